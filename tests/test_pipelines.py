# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Both pipelines: outputs, samples, batches, where the model comes from, bad input."""

import numpy as np
import pytest
import torch
from transformers import pipeline, set_seed
from transformers.pipelines import PIPELINE_REGISTRY

from tm2t_hf import pipelines
from tm2t_hf.motion import features_to_joints
from tm2t_hf.pipelines import MotionToTextPipeline, TextToMotionPipeline

CAPTIONS = ["a person waves", "someone walks", "a person walks and then waves"]
LENGTHS = {"min_seconds": 1, "max_seconds": 2}


@pytest.fixture
def folders(processor, vq_model, t2m_model, m2t_model, tmp_path_factory):
    """Saved checkpoints of all three types."""
    root = tmp_path_factory.mktemp("checkpoints")
    for name, model in (("tm2t-vq", vq_model), ("tm2t-m2t", m2t_model), ("tm2t-t2m", t2m_model)):
        model.save_pretrained(root / name)
        processor.save_pretrained(root / name)
    return root


@pytest.fixture
def animate(folders):
    return pipeline("text-to-motion", model=str(folders / "tm2t-t2m"), device="cpu")


@pytest.fixture
def describe(folders):
    return pipeline("motion-to-text", model=str(folders / "tm2t-m2t"), device="cpu")


@pytest.fixture
def motions():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(frames, 263)).astype(np.float32) * 0.1 for frames in (24, 40, 12)]


def assert_same(one, other):
    assert one.keys() == other.keys() and one["fps"] == other["fps"]
    np.testing.assert_allclose(one["motion"], other["motion"], atol=1e-5)
    np.testing.assert_allclose(one["joints"], other["joints"], atol=1e-5)


def test_a_caption_gives_features_joints_and_fps(animate, t2m_model, processor):
    motion = animate(CAPTIONS[0], **LENGTHS)
    assert set(motion) == {"motion", "joints", "fps"} and motion["fps"] == 20.0
    frames = len(motion["motion"])
    assert 20 <= frames <= 40
    assert motion["motion"].shape == (frames, 263) and motion["motion"].dtype == np.float32
    assert motion["joints"].shape == (frames, 22, 3) and motion["joints"].dtype == np.float32
    sequences = t2m_model.generate(**processor(text=CAPTIONS[0], return_tensors="pt"), **LENGTHS)
    (values,) = t2m_model.decode_motion(sequences)
    np.testing.assert_allclose(motion["motion"], processor.feature_extractor.denormalize(values), atol=1e-5)
    np.testing.assert_allclose(motion["joints"], features_to_joints(motion["motion"], 22), atol=1e-4)


def test_several_captions_and_samples_are_lists(animate):
    assert [set(motion) for motion in animate(CAPTIONS, max_seconds=1)] == [{"motion", "joints", "fps"}] * 3
    samples = animate(CAPTIONS[0], do_sample=True, num_return_sequences=3, min_seconds=1, max_seconds=1)
    assert [sample["motion"].shape for sample in samples] == [(20, 263)] * 3
    assert np.abs(samples[0]["motion"] - samples[1]["motion"]).max() > 0
    both = animate(CAPTIONS, num_beams=2, num_return_sequences=2, max_seconds=1, batch_size=2)
    assert [len(samples) for samples in both] == [2, 2, 2]


@pytest.mark.parametrize("batch_size", [2, 3])
def test_batches_give_what_single_captions_give(animate, batch_size):
    for one, other in zip(animate(CAPTIONS, batch_size=batch_size, **LENGTHS), CAPTIONS, strict=True):
        assert_same(one, animate(other, **LENGTHS))


def test_generate_arguments_pass_through(animate, folders):
    given = animate(CAPTIONS[0], min_new_tokens=3, max_new_tokens=3)
    assert len(given["motion"]) == 12
    assert_same(animate(CAPTIONS[0], generate_kwargs={"min_new_tokens": 3, "max_new_tokens": 3}), given)
    at_creation = pipeline("text-to-motion", model=str(folders / "tm2t-t2m"), device="cpu", max_seconds=1)
    assert_same(at_creation(CAPTIONS[0], min_seconds=1), animate(CAPTIONS[0], min_seconds=1, max_seconds=1))
    with pytest.raises(ValueError, match="nonsense"):
        animate(CAPTIONS[0], nonsense=3)
    with pytest.raises(ValueError, match="fps"):
        animate(CAPTIONS[0], fps=30)


def test_a_seed_repeats_samples(animate):
    samples = []
    for _ in range(2):
        set_seed(3)
        samples.append(animate(CAPTIONS[0], do_sample=True, top_k=10, **LENGTHS))
    assert_same(*samples)


def test_an_empty_generation_is_returned_and_said(animate, monkeypatch):
    said = []
    monkeypatch.setattr(pipelines.logger, "warning", said.append)
    eom = animate.model.config.eos_token_id
    motions = animate(CAPTIONS[:2], sequence_bias=[[[eom], 1e4]])
    assert [motion["motion"].shape for motion in motions] == [(0, 263)] * 2
    assert [motion["joints"].shape for motion in motions] == [(0, 22, 3)] * 2
    assert len(said) == 2 and "'someone walks' has 0 frames" in said[1]


def test_a_motion_of_any_form_gives_captions(describe, motions, tmp_path):
    expected = describe(motions[0])
    assert [set(caption) for caption in expected] == [{"generated_text"}]
    assert isinstance(expected[0]["generated_text"], str)
    np.save(tmp_path / "motion.npy", motions[0])
    for motion in (torch.tensor(motions[0]), str(tmp_path / "motion.npy"), tmp_path / "motion.npy"):
        assert describe(motion) == expected
    joints = features_to_joints(motions[0], 22)
    assert describe(joints, fps=20) == describe(joints)
    assert isinstance(describe(joints, fps=30)[0]["generated_text"], str)


def test_several_motions_and_captions_are_lists(describe, motions):
    both = describe(motions, num_beams=3, num_return_sequences=2, max_new_tokens=5)
    assert [len(captions) for captions in both] == [2, 2, 2]
    assert describe(motions, batch_size=3) == [describe(motion) for motion in motions]
    assert describe(motions, batch_size=2, num_beams=2) == [describe(motion, num_beams=2) for motion in motions]


def test_model_objects_and_saved_pipelines_work(animate, t2m_model, processor, tmp_path):
    expected = animate(CAPTIONS[0], **LENGTHS)
    from_object = pipeline("text-to-motion", model=t2m_model, processor=processor, device="cpu")
    assert_same(from_object(CAPTIONS[0], **LENGTHS), expected)
    from_object.save_pretrained(tmp_path)
    assert_same(pipeline("text-to-motion", model=str(tmp_path), device="cpu")(CAPTIONS[0], **LENGTHS), expected)
    with pytest.raises(ValueError, match="comes without its processor; pass processor="):
        TextToMotionPipeline(model=t2m_model)


@pytest.mark.parametrize("task", ["text-to-motion", "motion-to-text"])
def test_without_a_model_the_shipped_one_is_taken(task, folders, monkeypatch):
    default = PIPELINE_REGISTRY.supported_tasks[task]["default"]
    shipped, revision = default["model"]
    assert shipped.endswith({"text-to-motion": "checkpoints/tm2t-t2m", "motion-to-text": "checkpoints/tm2t-m2t"}[task])
    monkeypatch.setitem(default, "model", (shipped.replace(str(pipelines.CHECKPOINTS), str(folders)), revision))
    assert isinstance(pipeline(task), (TextToMotionPipeline, MotionToTextPipeline))


@pytest.mark.parametrize(
    ("task", "folder", "message"),
    [
        (
            "text-to-motion",
            "tm2t-m2t",
            r"needs a checkpoint of type tm2t-t2m .* is of type tm2t-m2t; use it with "
            r"pipeline\('motion-to-text'\)",
        ),
        ("motion-to-text", "tm2t-t2m", "needs a checkpoint of type tm2t-m2t, but .* is of type tm2t-t2m"),
        ("motion-to-text", "tm2t-vq", "needs a checkpoint of type tm2t-m2t, but .* is of type tm2t-vq."),
    ],
)
def test_a_checkpoint_of_another_type_is_refused(task, folder, message, folders):
    with pytest.raises(ValueError, match=message):
        pipeline(task, model=str(folders / folder))


def test_bad_input_is_named(animate, describe, motions):
    with pytest.raises(ValueError, match="has no words"):
        animate("")
    with pytest.raises(ValueError, match="text is int, not a string"):
        animate(["a person waves", 3])
    with pytest.raises(ValueError, match="holds NaN or infinite values"):
        describe(motions[0] * np.nan)
    with pytest.raises(ValueError, match="shorter than one motion token"):
        describe(motions[0][:3])
    with pytest.raises(ValueError, match="motions holds an array of 2 motions; pass a list of motions"):
        describe(np.stack([motions[0], motions[0]]))
    with pytest.raises(FileNotFoundError, match="There is no file nowhere.npy"):
        describe("nowhere.npy")


def test_a_missing_shipped_checkpoint_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(pipelines, "CHECKPOINTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="This installation has no checkpoint .*tm2t-vq"):
        pipelines.shipped_checkpoint("tm2t-vq")
