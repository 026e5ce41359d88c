# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The matcher's training script on a handful of clips, and what the matcher that ships reaches on real motions."""

import re
import sys
from collections import Counter
from types import SimpleNamespace

import evaluate_tm2t
import numpy as np
import pytest
import torch
import train_matcher as script
from bandai_namco.labels import action_and_style_of_clip
from transformers import AutoModel, AutoProcessor

from tm2t_hf import MotionTextMatcher, MotionTextMatcherProcessor, joints_to_features
from tm2t_hf.bodies import known_offsets
from tm2t_hf.data import prepare, read_captions, read_split
from tm2t_hf.metrics import confidence_interval, retrieval
from tm2t_hf.motion import HUMANML3D, retarget
from tm2t_hf.pipelines import CHECKPOINTS

CAPTIONS = ["a person walks forward", "someone waves the left hand", "the person stands still"]
SIZES = (
    '{"movement_hidden_size": 16, "movement_size": 16, "text_embedding_size": 12, "text_hidden_size": 12, '
    '"motion_hidden_size": 16, "embedding_size": 8, "dropout": 0.0}'
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """12 clips to train and 6 to validate, of three kinds that differ in how fast they sway."""
    folder = tmp_path_factory.mktemp("matcher")
    for part in ("new_joints", "texts"):
        (folder / part).mkdir()
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.3, (22, 3)) + [0, 1, 0]
    for n in range(18):
        kind, frames = n % 3, 41 + n
        sway = 0.1 * kind * np.sin(0.3 * kind * np.arange(frames) + rng.uniform(0, 6))
        joints = pose + sway[:, None, None] * [0, 1, 0] + rng.normal(0, 0.005, (frames, 22, 3))
        np.save(folder / "new_joints" / f"{n:06d}.npy", joints.astype(np.float32))
        lines = [f"{CAPTIONS[kind]} {adverb}#x/NOUN#0.0#0.0" for adverb in ("slowly", "now")]
        (folder / "texts" / f"{n:06d}.txt").write_text("\n".join(lines) + "\n")
    for split, clips in (("train", range(12)), ("val", range(12, 18))):
        (folder / f"{split}.txt").write_text("\n".join(f"{n:06d}" for n in clips) + "\n")
    prepare(folder)
    return folder


@pytest.fixture
def train(folder, tmp_path, monkeypatch, caplog):
    """Runs the script with further flags; gives the validation losses of its epochs."""

    def run(*flags):
        command = ["train_matcher.py", "--data_dir", str(folder), "--output_dir", str(tmp_path / "tm2t-matcher")]
        command += ["--batch_size", "6", "--learning_rate", "0.01", "--text_vocab_size", "300"]
        monkeypatch.setattr(sys, "argv", [*command, "--model_config", SIZES, *map(str, flags)])
        caplog.clear()
        with caplog.at_level("INFO"):
            script.main()
        return [float(loss) for loss in re.findall(r"validation loss ([\d.]+)", caplog.text)]

    return run


def test_training_learns_and_is_saved(train, tmp_path):
    losses = train("--epochs", 40, "--validate_every", 8)
    assert len(losses) == 5 and min(losses) < 0.3 * losses[0]
    folder = tmp_path / "tm2t-matcher"
    model, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    assert isinstance(model, MotionTextMatcher) and isinstance(processor, MotionTextMatcherProcessor)
    assert model.config.text_vocab_size == len(processor.tokenizer)
    inputs = processor(text=CAPTIONS[:1], motion=np.random.rand(40, 263), return_tensors="pt")
    assert model(**inputs).distances.shape == (1, 1)
    card = (folder / "README.md").read_text()
    assert "| r_precision3 |" in card and "accelerate launch train_matcher.py" in card
    assert f"| loss | {min(losses):.4g} |" in card


def test_a_resumed_training_ends_as_one_at_once(train, tmp_path):
    folder = tmp_path / "tm2t-matcher"
    flags = ("--lr_schedule", "constant", "--mirror", "true")
    at_once = train("--epochs", 3, *flags)
    weights = AutoModel.from_pretrained(folder / "last").state_dict()
    assert train("--epochs", 2, "--overwrite_output_dir", "true", *flags) == at_once[:2]
    assert train("--epochs", 3, "--resume", "true", *flags) == at_once[2:]
    for name, value in AutoModel.from_pretrained(folder / "last").state_dict().items():
        torch.testing.assert_close(value, weights[name])


def test_rows_that_share_a_caption_are_no_mismatch():
    labels = script.shared_caption_groups([["a", "b"], ["c"], ["d", "b"], ["d"], ["e"], ["c", "f"]])
    assert labels == [0, 1, 0, 0, 4, 1]


def test_batches_are_drawn_for_training_and_fixed_for_validation(feature_extractor, text_tokenizer):
    processor = MotionTextMatcherProcessor(feature_extractor, text_tokenizer)
    features = np.random.default_rng(0).normal(size=(43, 263)).astype(np.float32)
    rows = [{"id": f"{n}", "features": features, "captions": ["a person walks", "someone waves"]} for n in range(40)]
    fixed = script.MatcherCollator(processor, random=False)(rows)
    assert (fixed["motion_attention_mask"].sum(1) == 43).all()
    assert {text_tokenizer.decode(ids, skip_special_tokens=True) for ids in fixed["input_ids"]} == {"a person walks"}
    assert fixed["caption_ids"].shape == (40, 2) and len(fixed["caption_ids"].unique()) == 2

    collator = script.MatcherCollator(processor)
    drawn = collator(rows)
    assert set(drawn["motion_attention_mask"].sum(1).tolist()) == {36, 40}
    assert len({text_tokenizer.decode(ids, skip_special_tokens=True) for ids in drawn["input_ids"]}) == 2
    again = collator(rows)
    collator.epoch = 1
    other = collator(rows)
    assert torch.equal(drawn["motion_values"], again["motion_values"])
    assert not torch.equal(drawn["motion_attention_mask"], other["motion_attention_mask"])


def oracle_precision(labels, order, top_k=3, group_size=32):
    """R-precision of an oracle that knows the action and style of every caption and motion, and nothing else.

    The caption's own motion is anywhere among the n motions of the group that have its labels: it is one of the first
    k with a probability of min(k, n) / n.
    """
    precision = []
    for start in range(0, len(order) - group_size + 1, group_size):
        group = [labels[i] for i in order[start : start + group_size]]
        alike = Counter(group)
        precision += [[min(k, alike[label]) / alike[label] for k in range(1, top_k + 1)] for label in group]
    return np.mean(precision, 0)


def test_oracle():
    labels = ["a"] * 31 + ["b"] + ["c"] * 5  # the last five make no group
    assert oracle_precision(labels, range(37)) == pytest.approx([2 / 32, 3 / 32, 4 / 32])
    assert oracle_precision(list(range(64)), range(64)) == pytest.approx([1, 1, 1])


def test_the_matcher_that_ships(data_dir):
    args = SimpleNamespace(batch_size=64, device="cpu", dtype="float32", int8=False)
    matcher = evaluate_tm2t.load_checkpoint("matcher", str(CHECKPOINTS / "tm2t-matcher"), args)
    assert (CHECKPOINTS / "tm2t-matcher" / "model.safetensors").stat().st_size <= 10e6
    data = data_dir / "bandai_namco"
    clips = read_split(data, "test")
    labels = [action_and_style_of_clip(clip) for clip in clips]
    body = known_offsets("humanml3d", HUMANML3D)
    joints = (np.load(data / "new_joints" / f"{clip}.npy", allow_pickle=False) for clip in clips)
    joints = (retarget(clip, HUMANML3D, body) for clip in joints)
    motions = evaluate_tm2t.embed_motions(matcher, [joints_to_features(clip, HUMANML3D) for clip in joints], args)
    captions = [read_captions(data / "texts" / f"{clip}.txt")[0].caption for clip in clips]
    texts = evaluate_tm2t.embed_texts(matcher, captions, args)

    def replicate(seed):
        scores = []
        for replication in range(20):
            rng = np.random.default_rng(evaluate_tm2t.replication_seed(seed, replication))
            order = rng.permutation(len(clips))
            scores.append([*retrieval(texts[order], motions[order])[0], *oracle_precision(labels, order)])
        return confidence_interval(scores)

    (mean, width), (other_mean, other_width) = replicate(0), replicate(1)
    print(f"R-precision {mean[:3].round(3)}, of the oracle {mean[3:].round(3)}")
    assert (mean[:3] >= 0.85 * mean[3:]).all()
    # nobody is above the ceiling, but for chance
    assert (mean[:3] <= mean[3:] + 0.05).all()
    assert (np.abs(mean - other_mean) <= width + other_width).all()
