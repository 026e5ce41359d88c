# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The evaluation script, from the command line to its report, on a handful of clips and tiny random models."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tm2t_hf import (
    MotionFeatureExtractor,
    MotionTokenizer,
    MotionToTextConfig,
    MotionToTextModel,
    MotionVQConfig,
    MotionVQModel,
    TextToMotionConfig,
    TextToMotionModel,
    TM2TProcessor,
)
from tm2t_hf.metrics import caption_scores, joint_scores
from tm2t_hf.motion import HUMANML3D, features_to_joints
from tm2t_hf.prepare import prepare
from tm2t_hf.tokenization_text import train_text_tokenizer

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import evaluate_tm2t as script

CAPTIONS = ["a person walks forward", "someone runs energetically", "the person waves the left hand"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five clips named as Bandai-Namco names them, and the three models with their processors."""
    folder = tmp_path_factory.mktemp("evaluation")
    data = folder / "data"
    for part in ("new_joints", "texts"):
        (data / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    clip_ids = [
        f"bn2_{action}_normal_{n:03d}" for n, action in enumerate(["walk", "run", "walk", "wave-left-hand", "run"])
    ]
    pose = rng.normal(0, 0.3, (22, 3)) + [0, 1, 0]
    pose[[10, 11], 1] = 0
    for n, clip_id in enumerate(clip_ids):
        steps = rng.normal(0, 0.01, (41 + n, 22, 3)).cumsum(0)
        np.save(data / "new_joints" / f"{clip_id}.npy", (pose + steps).astype(np.float32))
        lines = [f"{caption}#{caption}#0.0#0.0" for caption in np.roll(CAPTIONS, n)]
        (data / "texts" / f"{clip_id}.txt").write_text("\n".join(lines) + "\n")
    for split in ("train", "val", "test"):
        (data / f"{split}.txt").write_text("\n".join(clip_ids) + "\n")
    prepare(data)

    torch.manual_seed(0)
    vq = MotionVQModel(
        MotionVQConfig(codebook_size=16, hidden_size=16, num_encoder_blocks=1, num_decoder_blocks=1)
    ).eval()
    torch.nn.init.normal_(vq.quantizer.embedding.weight)
    extractor = MotionFeatureExtractor.from_data_dir(data)
    tokenizer = train_text_tokenizer(CAPTIONS, vocab_size=280)
    processor = TM2TProcessor(extractor, tokenizer, MotionTokenizer(16))
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 24}
    m2t = MotionToTextModel(MotionToTextConfig(vq_config=vq.config, vocab_size=len(tokenizer), **sizes, **heads))
    sizes = {
        "text_embedding_size": 8,
        "text_hidden_size": 8,
        "motion_hidden_size": 16,
        "text_vocab_size": len(tokenizer),
    }
    t2m = TextToMotionModel(TextToMotionConfig(vq_config=vq.config, **sizes))
    for model in (m2t, t2m):
        model.vq.load_state_dict(vq.state_dict())
    t2m.generation_config.do_sample = True
    t2m.generation_config.max_new_tokens = 12
    for name, model, processing in (("vq", vq, extractor), ("m2t", m2t, processor), ("t2m", t2m, processor)):
        model.save_pretrained(folder / name)
        processing.save_pretrained(folder / name)
    return folder


@pytest.fixture
def evaluate(folder, tmp_path, monkeypatch):
    """Runs the script with the models named and further flags; gives its report."""

    def run(*models, **flags):
        command = ["evaluate_tm2t.py", "--data_dir", str(folder / "data"), "--output_dir", str(tmp_path)]
        for name in models:
            command += [f"--{name}", str(folder / name)]
        for name, value in flags.items():
            command += [f"--{name}", str(value)]
        monkeypatch.setattr(sys, "argv", command)
        script.main()
        return json.loads((tmp_path / "report.json").read_text())

    return run


def test_report_of_all_models(evaluate, folder, tmp_path):
    report = evaluate("vq", "m2t", "t2m", replications=2, batch_size=2)
    assert report["clips"] == 5
    assert list(report["motions"]) == list(report["judge"]) == ["real motion", "VQ reconstruction", "text to motion"]
    assert list(report["captions"]) == [
        "first real caption against the others",
        "motion to text",
        "text to motion, captioned back",
    ]
    features = [np.load(path) for path in sorted((folder / "data" / "new_joint_vecs").glob("*.npy"))]
    joints = [features_to_joints(clip, 22) for clip in features]
    assert report["motions"]["real motion"] == pytest.approx(joint_scores(joints, HUMANML3D), rel=1e-3)
    assert report["motions"]["real motion"]["foot_sliding"] > 0.05
    first, others = zip(
        *[(rolled[0], rolled[1:]) for n in range(5) for rolled in [list(np.roll(CAPTIONS, n))]], strict=True
    )
    assert report["captions"]["first real caption against the others"] == pytest.approx(caption_scores(first, others))

    vq, extractor = MotionVQModel.from_pretrained(folder / "vq"), MotionFeatureExtractor.from_pretrained(folder / "vq")
    decoded = []
    for clip in features:
        output = vq.eval()(torch.tensor(extractor([clip])["motion_values"][0])[None])
        decoded += extractor.post_process(output.reconstruction)
    wanted = joint_scores(decoded, HUMANML3D, joints)
    found = report["motions"]["VQ reconstruction"]
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-3)

    for group, name in (("judge", "text to motion"), ("captions", "text to motion, captioned back")):
        mean, width = report[group][name]["action"]
        assert 0 <= mean <= 1 and width >= 0
    markdown = (tmp_path / "report.md").read_text()
    assert "| text to motion |" in markdown and "± " in markdown and "empty generations" in markdown


def test_same_seed_same_motions(evaluate, monkeypatch):
    decode_motion = TextToMotionModel.decode_motion
    seen = []
    monkeypatch.setattr(
        TextToMotionModel, "decode_motion", lambda self, ids: seen.append(ids) or decode_motion(self, ids)
    )
    for seed, replications in ((3, 2), (4, 1)):
        evaluate("t2m", seed=seed, replications=replications)
    third, fourth, again = seen
    assert torch.equal(fourth, again) and not torch.equal(third, fourth)


def test_one_model_alone(evaluate, tmp_path):
    report = evaluate("vq")
    assert list(report["motions"]) == ["real motion", "VQ reconstruction"]
    assert "empty generations" not in (tmp_path / "report.md").read_text()


def test_empty_generations_are_wrong_and_counted(evaluate, monkeypatch):
    generate = TextToMotionModel.generate

    def end_at_once(self, **inputs):
        ids = generate(self, **inputs, min_new_tokens=3)
        ids[0, 1:] = self.config.eos_token_id
        return ids

    monkeypatch.setattr(TextToMotionModel, "generate", end_at_once)
    report = evaluate("m2t", "t2m", replications=1, batch_size=2)  # three batches, one empty generation in each
    assert report["motions"]["text to motion"]["empty"] == 3
    wrong = report["judge"]["text to motion"]["mistakes"]
    assert sum(count for mistake, count in wrong.items() if mistake.endswith("-> None")) == 6  # actions and styles
    assert report["captions"]["text to motion, captioned back"]["action"] <= 2 / 5


def test_clips_without_labels_are_not_judged(evaluate, folder, tmp_path):
    data = folder / "data"
    for part, suffix in (("new_joint_vecs", "npy"), ("texts", "txt")):
        (data / part / f"000001.{suffix}").write_bytes((data / part / f"bn2_walk_normal_000.{suffix}").read_bytes())
    (data / "unnamed.txt").write_text("000001\n")
    report = evaluate("m2t", split="unnamed")
    assert "judge" not in report and "action" not in report["captions"]["motion to text"]


def test_models_that_do_not_fit_are_named(evaluate, folder):
    with pytest.raises(SystemExit, match="nothing to evaluate"):
        evaluate()
    other = folder / "other"
    model = TextToMotionModel.from_pretrained(folder / "t2m")
    torch.nn.init.normal_(model.vq.quantizer.embedding.weight)
    model.save_pretrained(other)
    TM2TProcessor.from_pretrained(folder / "t2m").save_pretrained(other)
    with pytest.raises(SystemExit, match="different motion VQs"):
        evaluate("m2t", t2m=other)


def test_shares_and_mistakes():
    labels = [("walk", "sad"), ("run", "sad"), ("bow", "old"), ("bow", "old")]
    found = [("walk", "sad"), ("walk", "sad"), ("bow", "sad"), (None, None)]
    assert script.shares(found, labels) == {"action": 0.5, "style": 0.5, "both": 0.25}
    assert script.mistakes([found, found], labels) == {
        "run -> walk": 2, "old -> sad": 2, "bow -> None": 2, "old -> None": 2
    }  # fmt: skip


def test_summary_of_replications():
    assert script.summarize([{"a": 1}]) == {"a": 1.0}
    (mean, width) = script.summarize([{"a": 1.0}, {"a": 2.0}])["a"]
    assert mean == 1.5 and width == pytest.approx(1.96 * 0.5 / np.sqrt(2))
    assert script.show([0.5, 0.012], 1, 100) == "50.0 ± 1.2" and script.show(None, 1, 1) == ""
