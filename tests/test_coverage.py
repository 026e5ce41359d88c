# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What a checkpoint learned: the file, its facts about requests and motions, and files that are none."""

import json

import pytest
import torch
from safetensors.torch import save_file

from tm2t_hf.coverage import (
    COVERAGE_FILE,
    Calibration,
    MotionCoverage,
    TextCoverage,
    content_words,
    embed_texts,
    known_share,
    load_coverage,
    motion_facts,
    text_facts,
)
from tm2t_hf.pipelines import shipped_checkpoint

CAPTIONS = ["a person walks forward", "someone waves the left hand", "the man is kicking"]


def unit_rows(rows, size=16):
    return torch.nn.functional.normalize(torch.randn(rows, size), dim=-1)


@pytest.fixture
def coverage():
    calibration = Calibration(torch.tensor([6.0, 1.0, 3.0, -2.0, -1.0], dtype=torch.double), -4.5, 0.4)
    return TextCoverage(calibration, CAPTIONS, unit_rows(3), unit_rows(7))


def test_a_caption_is_covered_and_another_sentence_is_not(coverage):
    texts = ["a woman walks forward", "he plays chess"]
    learned, other = coverage.judge(texts, torch.stack([coverage.embeddings[0], coverage.others[2]]))
    assert learned.nearest == CAPTIONS[0] and learned.score > 0.8
    assert other.score < coverage.threshold < learned.score


def test_it_is_saved_and_loaded(coverage, tmp_path):
    coverage.save(tmp_path)
    loaded = load_coverage(tmp_path, "text")
    assert loaded.captions == CAPTIONS and loaded.words == coverage.words and loaded.threshold == 0.4
    torch.testing.assert_close(loaded.embeddings, coverage.embeddings, atol=0.01, rtol=0)
    queries = unit_rows(20)
    for one, other in zip(*(each.judge(["walk"] * 20, queries) for each in (coverage, loaded)), strict=True):
        assert one.nearest == other.nearest and one.score == pytest.approx(other.score, abs=0.01)
    first = (tmp_path / COVERAGE_FILE).read_bytes()
    loaded.save(tmp_path)
    assert (tmp_path / COVERAGE_FILE).read_bytes() == first  # the same on every machine
    assert [path.name for path in tmp_path.iterdir()] == [COVERAGE_FILE]


def test_no_file_is_no_coverage(tmp_path):
    assert load_coverage(tmp_path, "text") is None
    assert load_coverage("nobody/nothing", "motion") is None
    assert load_coverage("no such: name", "motion") is None


def test_that_of_motions_has_scores_alone(tmp_path):
    MotionCoverage(Calibration(torch.tensor([-1.0, 0, 0, 1], dtype=torch.double), 0.5, 0.25)).save(tmp_path)
    loaded = load_coverage(tmp_path, "motion")
    assert loaded.scores(torch.tensor([[0.5, 9, 9, 0.0], [30, 0, 0, 0]])) == [0.5, pytest.approx(0, abs=1e-9)]
    assert loaded.threshold == 0.25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts, tensors: facts.update(version=2), "is of version 2, later than this package knows"),
        (lambda facts, tensors: facts.update(kind="motion"), "is of the kind motion, not text"),
        (lambda facts, tensors: facts.update(captions=[1, 2, 3]), "its captions are not all text"),
        (lambda facts, tensors: facts.update(captions=["a"]), "1 captions do not fit embeddings of shape"),
        (lambda facts, tensors: facts.update(threshold="high"), "could not convert"),
        (lambda facts, tensors: facts.pop("words"), "'words'"),
        (lambda facts, tensors: tensors.pop("embeddings"), "'embeddings'"),
        (lambda facts, tensors: tensors.update(weights=torch.ones(3)), "weights are no numbers of a calibration"),
        (lambda facts, tensors: tensors.update(weights=torch.ones(5) * torch.nan), "weights are no numbers"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(coverage, tmp_path, change, message):
    tensors, facts = coverage._content()
    tensors["weights"] = coverage.calibration.weights
    facts |= {"version": 1, "kind": "text", "threshold": 0.4, "bias": 0.0}
    change(facts, tensors)
    save_file(tensors, tmp_path / COVERAGE_FILE, {"coverage": json.dumps(facts)})
    with pytest.raises(ValueError, match=f"{COVERAGE_FILE} is not a whole file of what a model learned .*{message}"):
        load_coverage(tmp_path, "text")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_refused_by_name(tmp_path, content):
    (tmp_path / COVERAGE_FILE).write_bytes(content)
    with pytest.raises(ValueError, match=f"{COVERAGE_FILE} is not a whole file of what a model learned"):
        load_coverage(tmp_path, "text")


def test_words_are_compared_without_endings():
    assert content_words("The man is JOGGING; he jogs, he jogged!") == ["jog"] * 3
    assert content_words("someone waves") == content_words("a wave") == content_words("waving") == ["wav"]
    assert content_words("he is doing it with them") == []
    words = set(content_words("a person waves the left hand"))
    assert known_share("she is waving a flag", words) == 0.5
    assert known_share("is he?", words) == 0


def test_facts_about_requests():
    captions = torch.tensor([[0.9, 0.1, 0.3, 0.2, 0.5, 0.7]])
    facts = text_facts(captions, torch.zeros(1, 0), [0.25])
    torch.testing.assert_close(facts, torch.tensor([[0.9, 0.52, 0.25, 0.0, 0.0]]))
    facts = text_facts(captions[:, :1], torch.tensor([[0.2, 0.4]]), [0.25])
    torch.testing.assert_close(facts, torch.tensor([[0.9, 0.9, 0.25, 0.4, 0.3]]))


def test_padding_does_not_count_in_embeddings():
    features, mask = torch.randn(2, 5, 8), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    embeddings = embed_texts(features, mask)
    torch.testing.assert_close(embeddings.norm(dim=-1), torch.ones(2))
    torch.testing.assert_close(embeddings[:1], embed_texts(features[:1, :3], mask[:1, :3]))


def test_facts_about_motions():
    features = torch.zeros(1, 8, 10)
    reconstruction = torch.zeros(1, 6, 10)
    reconstruction[0, 2, 1:4] = torch.tensor([3.0, 4.0, 0.0])  # one joint of two, in one frame of four
    reconstruction[0, 5] = 100  # padding
    mask = torch.tensor([[1, 1, 1, 1, 0, 0, 0, 0]])
    std = torch.full((10,), 0.1)
    (facts,) = motion_facts(features, reconstruction, mask, std, slice(1, 7), torch.tensor([-0.3]))
    expected = [0.5 / 2 / 4, 0.5 / 2, 7 / 10 / 4]
    torch.testing.assert_close(facts[:3].exp(), torch.tensor(expected))
    assert facts[3] == pytest.approx(-0.3)


def test_worse_motions_and_less_likely_captions_have_lower_scores():
    weights = load_coverage(shipped_checkpoint("tm2t-m2t"), "motion").calibration.weights
    assert (weights[:3] < 0).all() and weights[3] > 0  # errors of the motion VQ; likelihood of the caption
