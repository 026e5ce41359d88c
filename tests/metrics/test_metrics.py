# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Metrics against published scores, the original's functions, other packages, and motions whose scores are known."""

import json
import sys

import evaluate
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from tm2t_hf.metrics import (
    bert_score,
    caption_scores,
    codebook_scores,
    confidence_interval,
    diversity,
    foot_sliding,
    frechet_distance,
    frechet_distance_of_moments,
    ground_penetration,
    joint_scores,
    motion_scores,
    multimodality,
    retrieval,
)
from tm2t_hf.motion import HUMANML3D

FOLDER = str(ROOT / "tm2t_hf" / "metrics")

captions = st.lists(
    st.sampled_from(["a", "person", "walks", "runs", "waves", "the", "left", "right", "hand", "and"]),
    min_size=1,
    max_size=9,
)
captions = captions.map(" ".join)
cases = st.lists(st.tuples(captions, st.lists(captions, min_size=3, max_size=3)), min_size=1, max_size=5)


# Captions


@pytest.mark.parametrize("system", ["tm2t", "motiongpt"])
def test_captions_reach_the_published_scores(data_dir, system):
    table = pd.read_parquet(data_dir / "captions" / "m2t_predictions.parquet")
    table = table[table.model == system]
    wanted = json.loads((data_dir / "captions" / "m2t_scores.json").read_text())[system]
    scores = caption_scores(table.prediction, table.references)
    assert {name: scores[name] for name in wanted} == pytest.approx(wanted, abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(cases)
def test_bleu_and_rouge_agree_with_other_packages(cases):
    sacrebleu = pytest.importorskip("sacrebleu")
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
    predictions, references = zip(*cases, strict=True)
    scores = caption_scores(predictions, references)
    for order in (1, 2, 3, 4):
        options = {"tokenize": "none", "smooth_method": "none", "force": True, "max_ngram_order": order}
        bleu = sacrebleu.BLEU(**options).corpus_score(predictions, [list(column) for column in zip(*references)])  # noqa: B905
        assert scores[f"bleu{order}"] == pytest.approx(bleu.score / 100, abs=1e-9)

    class Words:
        def tokenize(self, text):
            return text.split(" ")

    scorer = rouge_scorer.RougeScorer(["rougeL"], tokenizer=Words())
    rouge = []
    for prediction, targets in cases:
        found = [scorer.score(target, prediction)["rougeL"] for target in targets]
        precision, recall = max(score.precision for score in found), max(score.recall for score in found)
        rouge.append((1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision) if recall else 0)
    assert scores["rougeL"] == pytest.approx(np.mean(rouge), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(cases)
def test_caption_scores_stay_within_their_bounds(cases):
    scores = caption_scores(*zip(*cases, strict=True))
    assert 0 <= scores.pop("cider") <= 10 + 1e-9
    assert all(0 <= score <= 1 + 1e-9 for score in scores.values())


def test_captions_equal_to_their_references_score_highest():
    references = [
        ["a man runs to the left side"],
        ["someone kicks with the right leg"],
        ["she waves both hands at us"],
    ]
    scores = caption_scores([texts[0] for texts in references], references)
    assert scores == pytest.approx({"bleu1": 1, "bleu2": 1, "bleu3": 1, "bleu4": 1, "rougeL": 1, "cider": 10})


def test_references_are_three_a_case():
    three = caption_scores(["a b c d"], [["a b c d", "a x", "a b c d", "never seen"]])
    assert caption_scores(["a b c d"], [["a b c d", "a x"]]) == three


def test_empty_prediction_scores_zero():
    scores = caption_scores(["", ""], [["a man walks"], ["a man runs"]])
    assert set(scores.values()) == {0.0}


@pytest.mark.parametrize(
    "predictions, references, message",
    [(["a"], [], "1 predictions, 0 lists"), ([], [], "no prediction"), (["a", "b"], [["a"], []], "case 1 has no ref")],
)
def test_captions_that_do_not_fit_are_named(predictions, references, message):
    with pytest.raises(ValueError, match=message):
        caption_scores(predictions, references)


def test_bert_score_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "bert_score", None)
    with pytest.raises(ImportError, match="pip install bert-score"):
        bert_score(["a man"], [["a man"]])


# Embeddings


@pytest.fixture(scope="module")
def golden(golden_dir):
    with np.load(golden_dir / "motion_metrics.npz", allow_pickle=False) as archive:
        return dict(archive)


@pytest.mark.parametrize("kind", ["gen", "gt"])
def test_retrieval_equals_the_original(golden, kind):
    for rows, sides in (("t2m", ("text", kind)), ("m2t", (kind, "text"))):
        precision, distance = retrieval(*(golden[side] for side in sides))
        assert precision == pytest.approx(golden[f"rprec_{rows}_{kind}"], abs=1e-12)
        assert distance == pytest.approx(golden[f"match_{rows}_{kind}"], abs=1e-5)
        for group in range(11):
            at = slice(32 * group, 32 * group + 32)
            precision, _ = retrieval(*(golden[side][at] for side in sides))
            assert np.array(precision) * 32 == pytest.approx(golden[f"topk_counts_per_batch_{rows}_{kind}"][group])


def test_frechet_distance_equals_the_original(golden):
    gt, gen = golden["gt"], golden["gen"]
    assert frechet_distance(gt, gen) == pytest.approx(golden["fid_gt_gen"], abs=1e-5)
    assert frechet_distance(gen, gt) == pytest.approx(golden["fid_gen_gt"], abs=1e-5)
    assert frechet_distance(gt[:352], gen[:352]) == pytest.approx(golden["fid_gt_gen_dropped352"], abs=1e-5)
    assert frechet_distance(golden["few_a"], golden["few_b"]) == pytest.approx(golden["fid_few"], abs=1e-5)
    moments = (golden["mu_gt"], golden["cov_gt"], golden["mu_gen"], golden["cov_gen"])
    assert frechet_distance_of_moments(*moments) == pytest.approx(golden["fid_gt_gen"], abs=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_diversity_and_multimodality_equal_the_original(golden, seed):
    rng = np.random.RandomState(seed)
    assert diversity(golden["gen"], rng) == pytest.approx(golden[f"diversity_gen_seed{seed}"], abs=1e-5)
    rng = np.random.RandomState(seed)
    assert multimodality(golden["mm"], rng) == pytest.approx(golden[f"multimodality_seed{seed}"], abs=1e-5)


def test_confidence_interval_equals_the_original(golden):
    mean, width = confidence_interval(golden["replications"])
    assert mean == pytest.approx(golden["replication_mean"], abs=1e-9)
    assert width == pytest.approx(golden["replication_ci95"], abs=1e-9)


def test_identical_embeddings_give_numbers(golden):
    trap = golden["nan_trap_input"]
    precision, distance = retrieval(trap, trap)
    assert distance == 0 and np.isfinite(precision).all()
    constant = np.ones((64, 8), np.float32)
    scores = motion_scores(constant, constant, constant, np.ones((3, 10, 8)), diversity_pairs=20)
    # with equal distances everywhere the own candidate is as likely to be at any rank
    chances = {"r_precision1": 1 / 32, "r_precision2": 2 / 32, "r_precision3": 3 / 32}
    assert scores == pytest.approx(chances | {"mm_dist": 0, "fid": 0, "diversity": 0, "multimodality": 0}, abs=1e-9)


def test_motion_scores_put_the_parts_together(golden):
    scores = motion_scores(torch.from_numpy(golden["gen"]), golden["text"], golden["gt"], golden["mm"], seed=3)
    assert scores == motion_scores(golden["gen"], golden["text"], golden["gt"], golden["mm"], seed=3)
    rng = np.random.default_rng(3)
    order = rng.permutation(360)
    precision, distance = retrieval(golden["text"][order], golden["gen"][order])
    assert [scores[f"r_precision{k}"] for k in (1, 2, 3)] == precision and scores["mm_dist"] == distance
    assert scores["fid"] == frechet_distance(golden["gt"], golden["gen"])
    assert scores["diversity"] == diversity(golden["gen"], rng)
    assert scores["multimodality"] == multimodality(golden["mm"], rng)
    # any shuffle of the 360 cases stays near the value over the first 352
    assert scores["r_precision1"] == pytest.approx(golden["rprec_t2m_gen"][0], abs=0.05)
    assert scores["fid"] == pytest.approx(golden["fid_gt_gen"], abs=0.1)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(2, 16))
def test_retrieval_counts_what_a_loop_counts(seed, groups, dim):
    rng = np.random.default_rng(seed)
    queries, candidates = rng.integers(0, 3, (2, groups * 8 + 3, dim)).astype(float)  # small integers: many ties
    precision, distance = retrieval(queries, candidates, group_size=8)
    ranks, own = [], []
    for group in range(groups):
        for i in range(8):
            distances = np.linalg.norm(queries[8 * group + i] - candidates[8 * group : 8 * group + 8], axis=1)
            ranks.append(np.argsort(distances, kind="stable").tolist().index(i))
            own.append(distances[i])
    assert precision == pytest.approx([np.mean([rank < k for rank in ranks]) for k in (1, 2, 3)])
    assert distance == pytest.approx(np.mean(own))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_frechet_distance_is_a_distance(seed, dim):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, 40, dim)) * rng.uniform(0.1, 3, (2, 1, dim))
    distance = frechet_distance(first, second)
    assert distance > -1e-9 and frechet_distance(first, first) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(second, first) == pytest.approx(distance, abs=1e-6)
    shift = rng.normal(size=dim)
    assert frechet_distance(first, first + shift) == pytest.approx(shift @ shift, abs=1e-6)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: retrieval(np.zeros((31, 4)), np.zeros((31, 4))), "31 cases make no group of 32"),
        (lambda: motion_scores(np.zeros((8, 4)), np.zeros((8, 4))), "8 cases make no group of 32"),
        (lambda: motion_scores(np.zeros((32, 4)), np.zeros((31, 4))), "must have the same shape"),
        (lambda: retrieval(np.full((32, 4), np.nan), np.zeros((32, 4))), "`queries` has values that are not finite"),
        (lambda: frechet_distance(np.zeros((8, 4)), np.zeros((8, 3))), "4 and of 3 dimensions"),
        (lambda: frechet_distance(np.zeros((1, 4)), np.zeros((8, 4))), "two embeddings or more"),
        (lambda: diversity(np.zeros((8, 4)), np.random.default_rng(0)), "draws 300 .* there are 8"),
        (lambda: multimodality(np.zeros((8, 4, 2)), np.random.default_rng(0)), "draws 10 .* there are 4"),
        (lambda: multimodality(np.zeros((8, 4)), np.random.default_rng(0)), "must have 3 dimensions"),
    ],
)
def test_embeddings_that_do_not_fit_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Joints and codes


def standing(frames=30):
    """A figure whose toes stand on the ground and that does not move."""
    joints = np.ones((frames, 22, 3))
    joints[:, [10, 11], 1] = 0
    return joints


def test_errors_of_a_displaced_motion():
    joints = standing()
    joints[:] += np.linspace(0, 1, 30)[:, None, None] ** 2 * [1, 0, 0]  # at constant acceleration
    moved = joints + [0.03, 0, 0.04]
    bent = joints.copy()
    bent[:, 20] += [0, 0.022, 0]
    scores = joint_scores([moved, bent], HUMANML3D, [joints, joints[:-3]])
    assert scores["global_error"] == pytest.approx((50 + 1) / 2)
    assert scores["root_relative_error"] == pytest.approx((0 + 1) / 2)
    assert scores["acceleration_error"] == pytest.approx(0, abs=1e-9)
    still = joint_scores([standing()], HUMANML3D, [joints])
    assert still["acceleration_error"] == pytest.approx(
        2 * (20 / 29) ** 2
    )  # x = t²: second derivative 2 a length² / s²


def test_foot_sliding_counts_only_feet_on_the_ground():
    joints = standing()
    assert foot_sliding(joints, HUMANML3D) == 0
    sliding = joints + np.arange(30)[:, None, None] * [0.01, 0, 0]  # 0.01 m per frame, 20 frames per second
    assert foot_sliding(sliding, HUMANML3D) == pytest.approx(0.2)
    sliding[:, 10, 1] = 0.2  # one foot in the air, the other one counts
    sliding[:, 10, 2] += np.arange(30)
    assert foot_sliding(sliding, HUMANML3D) == pytest.approx(0.2)
    assert foot_sliding(sliding + [0, 1, 0], HUMANML3D) == 0


def test_ground_penetration_is_the_mean_depth():
    joints = standing()
    joints[:15, 7, 1] = -0.02
    assert ground_penetration(joints) == pytest.approx(0.01)
    assert joint_scores([joints], HUMANML3D) == pytest.approx({"foot_sliding": 0, "ground_penetration": 10})


def test_real_feet_slide_little(data_dir):
    joints = np.load(data_dir / "humanml3d_sample" / "new_joints" / "012314.npy", allow_pickle=False)
    scores = joint_scores([joints], HUMANML3D)
    assert scores["foot_sliding"] < 0.2 and scores["ground_penetration"] < 5


def test_codebook_scores():
    assert codebook_scores([[0, 1], [2, 3, 0, 1, 2, 3]], 8) == pytest.approx(
        {"codebook_used": 0.5, "codebook_perplexity": 4}
    )
    assert codebook_scores([torch.tensor([5, 5, 5])], 8)["codebook_perplexity"] == pytest.approx(1)
    with pytest.raises(ValueError, match="0 to 7"):
        codebook_scores([[8]], 8)


@pytest.mark.parametrize("predictions, references", [([], None), ([standing()], [])])
def test_joints_that_do_not_fit_are_named(predictions, references):
    with pytest.raises(ValueError, match="no motion|1 predictions, 0 references"):
        joint_scores(predictions, HUMANML3D, references)


# The evaluate metric


def test_evaluate_loads_the_file(golden, tmp_path):
    load = {name: evaluate.load(FOLDER, name, cache_dir=str(tmp_path)) for name in ("captions", "motions", "joints")}
    predictions, references = ["a man walks", "a man runs"], [["a man walks"], ["he runs", "a man runs fast"]]
    assert load["captions"].compute(predictions=predictions, references=references) == caption_scores(
        predictions, references
    )
    for start in range(0, 360, 90):  # batches, as in an evaluation loop
        part = {name: golden[key][start : start + 90] for name, key in (("predictions", "gen"), ("references", "gt"))}
        load["motions"].add_batch(**part, texts=golden["text"][start : start + 90])
    scores = load["motions"].compute(seed=1, repeats=golden["mm"])
    wanted = motion_scores(golden["gen"], golden["text"], golden["gt"], golden["mm"], seed=1)
    assert scores == pytest.approx(wanted, abs=1e-9)
    joints = [standing(20), standing(30) + [0, 0.01, 0]]
    scores = load["joints"].compute(predictions=joints, references=joints[::-1], skeleton=HUMANML3D)
    assert scores == pytest.approx(joint_scores(joints, HUMANML3D, joints[::-1]), abs=1e-3)
    with pytest.raises(ValueError, match="captions, motions, joints"):
        evaluate.load(FOLDER, "pictures", cache_dir=str(tmp_path))
