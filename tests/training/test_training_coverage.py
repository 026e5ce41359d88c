# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Calibrations tell cases apart that can be told apart, and keep within their limits."""

import numpy as np
import pytest
import torch

from tm2t_hf import HUMANML3D
from tm2t_hf.coverage import COVERAGE_FILE, load_coverage
from tm2t_hf.toy import make_toy_clip
from tm2t_hf.training.coverage import (
    MOST_OTHERS,
    UNKNOWN_REQUESTS,
    calibrate,
    fit_text_coverage,
    read_lines,
    spoiled,
)

LEARNED = ["walk", "run", "kick", "wave", "bow"]
ADVERBS = ["slowly", "fast", "happily", "sadly", "again", "once", "twice", "today", "proudly", "calmly"]
NOT_LEARNED = ["swim", "drive", "cook", "paint", "sing"]


def sentences(verbs, subjects=("a person", "she")):
    return [f"{subject} {verb}s {adverb}" for subject in subjects for verb in verbs for adverb in ADVERBS]


def embed(texts):
    """Embeddings in which each verb has a direction of its own."""
    rows = torch.zeros(len(texts), 32)
    verbs = [*LEARNED, *NOT_LEARNED]
    for row, text in zip(rows, texts, strict=True):
        for index, verb in enumerate(verbs):
            row[index] = float(f" {verb}s " in text)
        row[10:] = 0.2 * torch.randn(22, generator=torch.Generator().manual_seed(len(text)))
    return torch.nn.functional.normalize(rows, dim=-1)


@pytest.mark.parametrize("known", [(), sentences(LEARNED, ["the girl"])])
@pytest.mark.parametrize("others", [(), sentences(NOT_LEARNED, ["the boy", "it"])])
def test_requests_are_told_apart(known, others):
    coverage, report = fit_text_coverage(sentences(LEARNED), embed, known, sentences(NOT_LEARNED), others)
    assert report.auc > 0.99 and report.known_warned <= 0.05 and report.unknown_warned >= 0.9
    texts = ["a man kicks again", "a man swims again"]
    kick, swim = coverage.judge(texts, embed(texts))
    assert "kick" in kick.nearest
    assert swim.score < coverage.threshold < kick.score


def test_requests_that_the_captions_cover_are_not_unknown():
    captions = sentences([*LEARNED, "swim"])
    coverage, _ = fit_text_coverage(captions, embed, (), sentences(NOT_LEARNED))
    (swim,) = coverage.judge(["a man swims again"], embed(["a man swims again"]))
    assert swim.score > coverage.threshold


def test_too_few_cases_are_not_calibrated_on(caplog):
    for captions, unknown in ((["a person walks"], sentences(NOT_LEARNED)), (sentences(LEARNED), ["she swims"])):
        assert fit_text_coverage(captions, embed, (), unknown) == (None, None)
        assert "too few" in caplog.text


@pytest.mark.parametrize(("count", "kept"), [(1500, 1500), (5000, 5000), (15000, 12000)])
def test_the_file_stays_small(tmp_path, count, kept):
    """Many captions are expressed in fewer directions, and of very many some are left out."""
    random = torch.Generator().manual_seed(0)
    table = {}

    def embed_anything(texts):
        rows = torch.randn(len(texts), 384, generator=random) * torch.linspace(2, 0.1, 384)
        for text, row in zip(texts, torch.nn.functional.normalize(rows, dim=-1), strict=True):
            table.setdefault(text, row)
        return torch.stack([table[text] for text in texts])

    captions = [f"a person does what has the number {number}" for number in range(count)]
    others = [f"another thing {number}" for number in range(MOST_OTHERS + 200)]
    coverage, _ = fit_text_coverage(captions, embed_anything, (), read_lines(UNKNOWN_REQUESTS), others)
    assert kept * 0.9 <= len(coverage.captions) <= kept and len(coverage.others) == MOST_OTHERS
    assert (coverage.basis is None) == (count == 1500)
    coverage.save(tmp_path)
    assert (tmp_path / COVERAGE_FILE).stat().st_size < 2_000_000
    (found,) = load_coverage(tmp_path, "text").judge(["a person"], embed_anything([coverage.captions[7]]))
    assert found.nearest == coverage.captions[7]


def test_unknown_requests_are_sentences():
    lines = read_lines(UNKNOWN_REQUESTS)
    assert len(lines) == len(set(lines)) > 150


def test_a_calibration_tells_two_clouds_apart():
    random = torch.Generator().manual_seed(0)
    known = torch.randn(300, 3, generator=random) + torch.tensor([2.0, 0.0, 0.0])
    unknown = torch.randn(60, 3, generator=random) * 5 - torch.tensor([2.0, 0.0, 0.0]) * 5
    calibration, report = calibrate(known, unknown)
    assert 0.9 < report.auc < 1 and 0 < report.threshold < 1
    assert report.known_warned < 0.1 and report.unknown_warned > 0.85
    scores = calibration.score(torch.tensor([[4.0, 0, 0], [-20.0, 0, 0]]))
    assert scores[0] > 0.9 and scores[1] < 0.1
    overlapping = calibrate(torch.randn(400, 2, generator=random), torch.randn(400, 2, generator=random) - 1)[1]
    assert overlapping.known_warned == pytest.approx(0.05, abs=0.01) and 0.6 < overlapping.auc < 0.95
    separate = calibrate(torch.ones(30, 2), -torch.ones(30, 2))[1]
    assert separate == (1.0, 0.0, 1.0, separate.threshold)


def test_spoiled_motions_are_no_motions_of_people():
    clips = [make_toy_clip(action, np.random.default_rng(0))[0] for action in ("walk", "bow", "squat", "run")]
    results = list(spoiled(clips, HUMANML3D))
    lying, fast, pieces, mixed = results
    assert np.ptp(lying[:, :, 1]) < 0.8 * np.ptp(clips[0][:, :, 1]) and lying[..., 1].min() == pytest.approx(0)
    assert len(fast) < len(clips[1]) / 1.9
    assert sorted(pieces[:, 0, 2].tolist()) == sorted(clips[2][:, 0, 2].tolist())
    legs, arms = [4, 5, 7, 8, 10, 11], [16, 17, 20, 21]
    frames = len(mixed)
    np.testing.assert_array_equal(mixed[:, arms], clips[3][:frames, arms])
    assert np.abs(mixed[:, legs] - clips[3][:frames, legs]).max() > 0.05
    assert all(np.isfinite(result).all() and len(result) >= 8 for result in results)
