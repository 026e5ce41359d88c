# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Both pipelines: outputs, samples, batches, where the model comes from, bad input."""

import json
import shutil
import types
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from transformers import GenerationConfig, pipeline, set_seed
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.pipelines.pt_utils import KeyDataset

from tm2t_hf import HUMANML3D, pipelines
from tm2t_hf.bodies import body_height
from tm2t_hf.chaining import generate_chain
from tm2t_hf.cleanup import clean_motion
from tm2t_hf.coverage import Calibration, MotionCoverage, TextCoverage
from tm2t_hf.formats import read_motion, save_motion
from tm2t_hf.motion import features_to_joints
from tm2t_hf.pipelines import MotionToTextPipeline, TextToMotionPipeline
from tm2t_hf.toy import make_toy_clip
from tm2t_hf.training.coverage import embed

CAPTIONS = ["a person waves", "someone walks", "a person walks and then waves"]
LENGTHS = {"min_seconds": 1, "max_seconds": 2}


@pytest.fixture
def animate(checkpoints):
    return pipeline("text-to-motion", model=str(checkpoints / "tm2t-t2m"), device="cpu")


@pytest.fixture
def describe(checkpoints):
    return pipeline("motion-to-text", model=str(checkpoints / "tm2t-m2t"), device="cpu")


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
    assert set(motion) == {"motion", "joints", "fps", "score"} and motion["fps"] == 20.0
    frames = len(motion["motion"])
    assert 20 <= frames <= 40
    assert motion["motion"].shape == (frames, 263) and motion["motion"].dtype == np.float32
    assert motion["joints"].shape == (frames, 22, 3) and motion["joints"].dtype == np.float32
    sequences = t2m_model.generate(**processor(text=CAPTIONS[0], return_tensors="pt"), **LENGTHS)
    (values,) = t2m_model.decode_motion(sequences)
    np.testing.assert_allclose(motion["motion"], processor.feature_extractor.denormalize(values), atol=1e-5)
    np.testing.assert_allclose(motion["joints"], features_to_joints(motion["motion"], 22), atol=1e-4)


def test_several_captions_and_samples_are_lists(animate):
    assert [set(motion) for motion in animate(CAPTIONS, max_seconds=1)] == [{"motion", "joints", "fps", "score"}] * 3
    samples = animate(CAPTIONS[0], do_sample=True, num_return_sequences=3, min_seconds=1, max_seconds=1)
    assert [sample["motion"].shape for sample in samples] == [(20, 263)] * 3
    assert np.abs(samples[0]["motion"] - samples[1]["motion"]).max() > 0
    both = animate(CAPTIONS, num_beams=2, num_return_sequences=2, max_seconds=1, batch_size=2)
    assert [len(samples) for samples in both] == [2, 2, 2]


@pytest.mark.parametrize("batch_size", [2, 3])
def test_batches_give_what_single_captions_give(animate, batch_size):
    for one, other in zip(animate(CAPTIONS, batch_size=batch_size, **LENGTHS), CAPTIONS, strict=True):
        assert_same(one, animate(other, **LENGTHS))


def test_generate_arguments_pass_through(animate, checkpoints):
    given = animate(CAPTIONS[0], min_new_tokens=3, max_new_tokens=3)
    assert len(given["motion"]) == 12
    assert_same(animate(CAPTIONS[0], generate_kwargs={"min_new_tokens": 3, "max_new_tokens": 3}), given)
    at_creation = pipeline("text-to-motion", model=str(checkpoints / "tm2t-t2m"), device="cpu", max_seconds=1)
    assert_same(at_creation(CAPTIONS[0], min_seconds=1), animate(CAPTIONS[0], min_seconds=1, max_seconds=1))
    with pytest.raises(ValueError, match="nonsense"):
        animate(CAPTIONS[0], nonsense=3)
    with pytest.raises(ValueError, match="fps"):
        animate(CAPTIONS[0], fps=30)


@pytest.mark.parametrize(
    ("made_with", "given", "frames"),
    [
        ({"max_seconds": 2}, {"max_new_tokens": 5}, 20),
        ({"max_seconds": 2}, {"max_length": 6}, 20),
        ({"max_seconds": 2}, {"generate_kwargs": {"max_new_tokens": 5}}, 20),
        ({"max_seconds": 2}, {"max_seconds": 1}, 20),
        ({"max_seconds": 2}, {"max_new_tokens": None}, 40),
        ({"max_seconds": 2}, {"generation_config": GenerationConfig(max_new_tokens=5)}, 20),
        ({"max_seconds": 2}, {"generation_config": GenerationConfig(max_seconds=1)}, 20),
        ({"max_new_tokens": 10}, {"max_seconds": 1}, 20),
        ({"max_new_tokens": 10}, {"generation_config": GenerationConfig(max_seconds=1)}, 20),
        ({"max_new_tokens": 10}, {"generation_config": GenerationConfig(), "max_seconds": 1}, 20),
        ({"max_length": 11}, {"max_seconds": 1}, 20),
        ({"generate_kwargs": {"max_new_tokens": 10}}, {"max_seconds": 1}, 20),
        ({"generation_config": GenerationConfig(max_seconds=1)}, {}, 20),
        ({"min_new_tokens": 10, "max_seconds": 2}, {"min_seconds": 1, "max_seconds": 1}, 20),
    ],
)
def test_a_length_replaces_that_which_the_pipeline_was_made_with(made_with, given, frames, t2m_model, processor):
    t2m_model.generation_config.suppress_tokens = [
        t2m_model.config.bos_token_id,
        t2m_model.config.eos_token_id,
        t2m_model.config.pad_token_id,
    ]
    animate = pipeline("text-to-motion", model=t2m_model, processor=processor, device="cpu", **made_with)
    before = len(animate(CAPTIONS[0])["motion"])
    assert len(animate(CAPTIONS[0], **given)["motion"]) == frames
    assert len(animate(CAPTIONS[0])["motion"]) == before  # for this call only


def test_a_length_of_a_chain_replaces_that_which_the_pipeline_was_made_with(checkpoints):
    animate = pipeline(
        "text-to-motion", model=str(checkpoints / "tm2t-t2m"), device="cpu", min_seconds=2, max_seconds=2
    )
    assert len(animate(CAPTIONS[:2], chain=True)["motion"]) == 80
    assert len(animate(CAPTIONS[:2], chain=True, min_new_tokens=3, max_new_tokens=3)["motion"]) == 24


def test_what_a_pipeline_cannot_do_is_refused_by_name(animate, describe, motions):
    for pipe, item in ((animate, CAPTIONS[0]), (describe, motions[0])):
        with pytest.raises(ValueError, match="return_dict_in_generate=True is for model.generate"):
            pipe(item, return_dict_in_generate=True)
    begun = torch.tensor([[animate.model.config.bos_token_id, 3]])
    for captions, continued in ((CAPTIONS[0], {"prefix": motions[0]}), (CAPTIONS, {"chain": True})):
        with pytest.raises(ValueError, match="leave chain and prefix out"):
            animate(captions, decoder_input_ids=begun, **continued)


def test_a_motion_that_is_shorter_than_two_frames_of_the_result(animate):
    motion = animate(CAPTIONS[0], max_new_tokens=4, min_new_tokens=4, output_fps=1)
    assert motion["joints"].shape == (1, 22, 3) and motion["motion"].shape == (0, 263) and motion["fps"] == 1


def test_one_length_in_two_units_is_refused(checkpoints, animate):
    for given in (
        {"max_seconds": 2, "max_new_tokens": 5},
        {"max_seconds": 2, "generate_kwargs": {"max_new_tokens": 5}},
    ):
        with pytest.raises(ValueError, match="Give `max_seconds` or `max_new_tokens`, not both"):
            animate(CAPTIONS[0], **given)
        with pytest.raises(ValueError, match="Give `max_seconds` or `max_new_tokens`, not both"):
            pipeline("text-to-motion", model=str(checkpoints / "tm2t-t2m"), device="cpu", **given)(CAPTIONS[0])


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
    assert [set(caption) for caption in expected] == [{"generated_text", "score"}]
    assert isinstance(expected[0]["generated_text"], str)
    np.save(tmp_path / "motion.npy", motions[0])
    for motion in (torch.tensor(motions[0]), str(tmp_path / "motion.npy"), tmp_path / "motion.npy"):
        assert describe(motion) == expected
    joints = features_to_joints(motions[0], 22)
    assert describe(joints, fps=20) == describe(joints) == describe({"joints": joints})
    assert describe({"joints": joints, "fps": 30}) == describe(joints, fps=30)
    assert describe([{"joints": joints}, {"motion": joints}]) == [describe(joints)] * 2
    assert isinstance(describe(joints, fps=30)[0]["generated_text"], str)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_motion_in_nested_lists_is_one(describe, motions, batch_size):
    describe = partial(describe, max_new_tokens=8)
    for motion in (motions[0], features_to_joints(motions[0], 22)):
        expected = describe(motion)
        for nested in (motion.tolist(), list(motion), tuple(motion), list(map(list, motion))):
            assert describe(nested, batch_size=batch_size) == expected
            assert describe([nested, nested], batch_size=batch_size) == [expected, expected]


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
def test_without_a_model_the_shipped_one_is_taken(task, checkpoints, monkeypatch):
    default = PIPELINE_REGISTRY.supported_tasks[task]["default"]
    shipped, revision = default["model"]
    assert shipped.endswith({"text-to-motion": "checkpoints/tm2t-t2m", "motion-to-text": "checkpoints/tm2t-m2t"}[task])
    monkeypatch.setitem(default, "model", (shipped.replace(str(pipelines.CHECKPOINTS), str(checkpoints)), revision))
    assert isinstance(pipeline(task), (TextToMotionPipeline, MotionToTextPipeline))


@pytest.mark.parametrize(
    ("task", "folder", "message"),
    [
        (
            "text-to-motion",
            "tm2t-m2t",
            r"needs a checkpoint of type tm2t-t2m or tm2t-t2m-transformer, but .* is of type tm2t-m2t; use it with "
            r"pipeline\('motion-to-text'\)",
        ),
        ("motion-to-text", "tm2t-t2m", "needs a checkpoint of type tm2t-m2t, but .* is of type tm2t-t2m"),
        ("motion-to-text", "tm2t-vq", "needs a checkpoint of type tm2t-m2t, but .* is of type tm2t-vq."),
    ],
)
def test_a_checkpoint_of_another_type_is_refused(task, folder, message, checkpoints):
    with pytest.raises(ValueError, match=message):
        pipeline(task, model=str(checkpoints / folder))


def test_bad_input_is_named(animate, describe, motions):
    with pytest.raises(ValueError, match="has no words"):
        animate("")
    with pytest.raises(ValueError, match=r"text\[1\] is int, not a string"):
        animate(["a person waves", 3])
    with pytest.raises(ValueError, match="holds NaN or infinite values"):
        describe(motions[0] * np.nan)
    with pytest.raises(ValueError, match="shorter than one motion token"):
        describe(motions[0][:3])
    with pytest.raises(FileNotFoundError, match="nowhere.npy is missing"):
        describe("nowhere.npy")


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ([], "text is an empty list"),
        ((), "text is an empty list"),
        ({}, "text is a dict that holds nothing, but no 'text'"),
        ({"caption": "a person"}, "text is a dict that holds 'caption', but no 'text'"),
        ([["a person", "a man"], ["someone"]], r"text\[0\] is list, not a string"),
        ({"a person", "a man"}, "text is a set, which has no order"),
        (None, "text is NoneType, not a string"),
        ((each for each in [["a person", "a man"]]), "an item of the captions holds 2 captions"),
    ],
)
def test_captions_that_are_none_are_refused(animate, captions, message):
    with pytest.raises(ValueError, match=message):
        list(animate(captions))


@pytest.mark.parametrize(
    ("motions", "message"),
    [
        ([], "motion is an empty list"),
        ((), "motion is an empty list"),
        ({}, "motion is a dict that holds nothing, but no 'motion'"),
        ({"caption": "a person"}, "motion is a dict that holds 'caption', but no 'motion'"),
        (
            (each for each in [np.random.default_rng(0).normal(size=(2, 9, 263))]),
            "an item of the motions holds 2 motions",
        ),
        (None, "motion is None; pass a motion"),
        ([None], r"motion\[0\] is None; pass a motion"),
        ([np.zeros((9, 263)), {"motion": None}], r"motion\[1\] is None"),
        ({"motion": None}, "motion is None"),
        ((each for each in [None]), "motion is None"),
    ],
)
def test_motions_that_are_none_are_refused(describe, motions, message):
    with pytest.raises(ValueError, match=message):
        list(describe(motions))


def test_every_container_gives_every_motion(animate):
    expected = animate(CAPTIONS, max_seconds=1)
    rows = Dataset.from_dict({"text": CAPTIONS})
    for captions in (
        tuple(CAPTIONS),
        np.array(CAPTIONS),
        np.array(CAPTIONS, dtype=object),
        pd.Series(CAPTIONS),
        pd.DataFrame(rows),
        rows,
        rows["text"],
        rows[:],
        list(rows),
        iter(CAPTIONS),
        (row for row in rows),
        rows.to_iterable_dataset(),
        KeyDataset(rows, "text"),
    ):
        for batch_size in (1, 2):
            outputs = list(animate(captions, max_seconds=1, batch_size=batch_size))
            if isinstance(captions, types.GeneratorType) or hasattr(captions, "__next__"):
                captions = CAPTIONS  # read once
            assert len(outputs) == 3, type(captions)
            for output, other in zip(outputs, expected, strict=True):
                assert_same(output, other)
    for caption in ({"text": CAPTIONS[0]}, np.array(CAPTIONS[0]), np.array({"text": CAPTIONS[0]})):
        assert_same(animate(caption, max_seconds=1), expected[0])


def test_every_container_gives_every_caption(describe, motions, tmp_path):
    describe = partial(describe, max_new_tokens=8)
    expected = describe(motions)
    rows = Dataset.from_dict({"motion": [motion.tolist() for motion in motions]})
    for several in (
        tuple(motions),
        [motion.tolist() for motion in motions],
        np.array([*motions, None], dtype=object)[:-1],
        pd.Series(motions),
        pd.DataFrame({"motion": motions}),
        rows,
        rows["motion"],
        rows[:],
        iter(motions),
        (row for row in rows),
        rows.to_iterable_dataset(),
        KeyDataset(rows, "motion"),
    ):
        assert list(describe(several)) == expected, type(several)
    assert describe({"motion": motions[0]}) == expected[0]
    assert describe(np.stack([motions[0], motions[0]])) == [expected[0]] * 2


def test_what_one_pipeline_returns_the_other_reads(animate, describe):
    motions = animate(CAPTIONS, min_seconds=1, max_seconds=2)
    assert describe(motions) == [describe(motion["motion"]) for motion in motions]
    assert describe(motions[0]) == describe(motions)[0]


def test_streams_are_read_while_motions_are_made(animate):
    read = []

    def stream():
        for caption in CAPTIONS:
            read.append(caption)
            yield caption

    outputs = animate(stream(), max_seconds=1)
    assert len(read) < 3
    next(iter(outputs))


def test_joints_in_millimeters(describe):
    body = make_toy_clip("walk", np.random.default_rng(0))[0]
    assert describe(body * 1000, unit="mm") == describe(body)
    with pytest.raises(ValueError, match="pass unit='cm' or unit='mm'"):
        describe(body * 1000, unit="m")
    assert describe(body * 1000) == describe(body)


def test_batches_are_decoded_once_and_in_one(animate, describe, motions, monkeypatch):
    calls = []
    for owner, name in ((animate.model, "decode_motion"), (describe.processor, "batch_decode")):
        method = getattr(owner, name)

        def count(*args, name=name, method=method, **kwargs):
            calls.append(name)
            return method(*args, **kwargs)

        monkeypatch.setattr(owner, name, count)
    animate(CAPTIONS, batch_size=3, max_seconds=1, num_return_sequences=2, do_sample=True)
    describe(motions, batch_size=3)
    assert calls == ["decode_motion", "batch_decode"]


def test_a_transformer_takes_the_place_of_the_gru(t2m_transformer, processor, tmp_path):
    TextToMotionPipeline(model=t2m_transformer, processor=processor).save_pretrained(tmp_path)
    animate = pipeline("text-to-motion", model=str(tmp_path), device="cpu")
    motions = animate(list(CAPTIONS[:2]), do_sample=True, num_return_sequences=2, **LENGTHS)
    assert [len(samples) for samples in motions] == [2, 2]
    chain = animate(list(CAPTIONS[:2]), chain=True, do_sample=True, **LENGTHS)
    assert [part["text"] for part in chain["parts"]] == list(CAPTIONS[:2])
    assert len(chain["joints"]) == chain["parts"][-1]["end"] > chain["parts"][0]["end"]


def test_a_chain_is_one_motion_with_parts(animate, t2m_model, processor):
    torch.manual_seed(0)
    motion = animate(CAPTIONS, chain=True, do_sample=True, **LENGTHS)
    assert set(motion) == {"motion", "joints", "fps", "parts", "score"}
    assert [part["text"] for part in motion["parts"]] == CAPTIONS
    starts, ends = ([part[side] for part in motion["parts"]] for side in ("start", "end"))
    assert starts == [0, *ends[:-1]] and ends[-1] == len(motion["motion"]) == len(motion["joints"])
    torch.manual_seed(0)
    prompts = [dict(processor(text=caption, return_tensors="pt")) for caption in CAPTIONS]
    chain = generate_chain(t2m_model, prompts, do_sample=True, **LENGTHS)
    assert chain.ends == ends
    np.testing.assert_allclose(motion["motion"], processor.feature_extractor.denormalize(chain.motion), atol=1e-5)
    for captions in (tuple(CAPTIONS), pd.Series(CAPTIONS), (caption for caption in CAPTIONS)):
        assert [part["text"] for part in animate(captions, chain=True, **LENGTHS)["parts"]] == CAPTIONS
    assert "parts" not in animate(CAPTIONS, chain=False, **LENGTHS)[0]


def test_a_motion_of_any_form_is_a_prefix(animate, t2m_model, motions, tmp_path):
    np.save(tmp_path / "motion.npy", motions[1])
    expected = animate(CAPTIONS[0], prefix=motions[1], do_sample=False, **LENGTHS)
    prefix, part = expected["parts"]
    assert prefix == {"text": None, "start": 0, "end": 40, "score": None} and part["start"] == 40 and part["end"] >= 60
    given = animate(CAPTIONS[0], do_sample=False, **LENGTHS) | {"motion": motions[1]}
    for other in (str(tmp_path / "motion.npy"), given, torch.tensor(motions[1])):
        np.testing.assert_array_equal(animate(CAPTIONS[0], prefix=other, **LENGTHS)["motion"], expected["motion"])
    joints, _ = make_toy_clip("walk", np.random.default_rng(0))
    save_motion(joints, tmp_path / "walk.bvh")
    parts = animate(CAPTIONS, chain=True, prefix=tmp_path / "walk.bvh", **LENGTHS)["parts"]
    assert [part["text"] for part in parts] == [None, *CAPTIONS] and parts[0]["end"] == (len(joints) - 1) // 4 * 4


def test_another_frame_rate_of_the_output(animate, describe):
    plain = animate(CAPTIONS[0], **LENGTHS)
    fast = animate(CAPTIONS[0], output_fps=40, **LENGTHS)
    assert fast["fps"] == 40 and len(fast["joints"]) == 2 * len(plain["joints"]) - 1
    np.testing.assert_allclose(fast["joints"][::2], plain["joints"], atol=1e-4)
    # what is returned agrees with itself: the features give the same motion, so the other pipeline reads it
    np.testing.assert_allclose(bones(features_to_joints(fast["motion"], 22)), bones(fast["joints"][:-1]), atol=1e-3)
    assert describe(fast) == describe({"motion": fast["joints"], "fps": 40})
    assert_same(animate(CAPTIONS[0], output_fps=20, **LENGTHS), plain)
    chain = animate(CAPTIONS[:2], chain=True, output_fps=30, min_seconds=1, max_seconds=1)
    assert [(part["start"], part["end"]) for part in chain["parts"]] == [(0, 30), (30, 59)] and len(
        chain["joints"]
    ) == 59


def bones(joints):
    """Lengths that stay when a motion is turned or moved."""
    return np.linalg.norm(joints[:, 1:] - joints[:, :-1], axis=-1)


def test_clean_joints(animate):
    plain, clean = (animate(CAPTIONS[0], clean=clean, **LENGTHS) for clean in (False, True))
    np.testing.assert_array_equal(plain["motion"], clean["motion"])
    np.testing.assert_allclose(clean["joints"], clean_motion(plain["joints"]), atol=1e-5)
    assert np.abs(clean["joints"] - plain["joints"]).max() > 0.001
    samples = animate(CAPTIONS, clean=True, num_return_sequences=2, do_sample=True, **LENGTHS)
    assert [len(each) for each in samples] == [2, 2, 2]


def test_clean_and_resampled_nothing(animate):
    eom = animate.model.config.eos_token_id
    motion = animate(CAPTIONS[0], clean=True, output_fps=30, sequence_bias=[[[eom], 1e4]])
    assert motion["joints"].shape == (0, 22, 3)


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("a person", {"chain": True}, "chain joins several captions, but text is a single one"),
        (
            CAPTIONS,
            {"chain": True, "num_return_sequences": 2},
            "A chain is one motion: leave num_return_sequences out",
        ),
        ("a person", {"prefix": np.zeros((24, 263)), "num_return_sequences": 2}, "A chain is one motion"),
        (CAPTIONS, {"prefix": np.zeros((24, 263))}, "prefix is for one motion; pass one caption, or chain several"),
        (
            "a person",
            {"prefix": np.random.default_rng(0).normal(size=(2, 24, 263))},
            "prefix holds 2 motions; pass the one to go on from",
        ),
        ("a person", {"prefix": "nowhere.bvh"}, "nowhere.bvh is missing"),
        ("a person", {"output_fps": 0}, "output_fps=0 must be a number from 1 to 1000"),
        ("a person", {"output_fps": "30"}, "output_fps='30' must be a number from 1 to 1000"),
        ("a person", {"output_fps": True}, "output_fps=True must be a number from 1 to 1000"),
        ("a person", {"fps": 30}, "pass output_fps= for another frame rate"),
        (["a person", ""], {"chain": True}, r"text\[1\] has no words"),
    ],
)
def test_arguments_that_exclude_each_other(animate, text, arguments, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        animate(text, **arguments)


def test_frame_rates_that_are_none_are_refused_in_one_sentence(describe, motions):
    for fps in ("60", [20, 60]):
        with pytest.raises(ValueError, match="^fps=.* must be a number from 1 to 1000"):
            describe(motions[0], fps=fps)


def test_files_of_any_tool_are_described(describe, tmp_path):
    joints, _ = make_toy_clip("walk", np.random.default_rng(0))
    save_motion(joints, tmp_path / "walk.bvh")
    np.savez(tmp_path / "fast.npz", joints=np.repeat(joints, 2, axis=0) * 100, fps=40)
    expected = describe(joints)
    assert describe(str(tmp_path / "fast.npz")) == expected
    assert describe([tmp_path / "walk.bvh", joints]) == [describe(read_motion(tmp_path / "walk.bvh")), expected]
    with pytest.raises(ValueError, match="walk.fbx must end in .bvh"):
        describe("walk.fbx")


@pytest.mark.parametrize("value", [0, "2", True])
def test_numbers_that_are_none_are_refused(animate, describe, motions, checkpoints, value):
    for name in ("batch_size", "num_return_sequences", "num_beams"):
        for call in (lambda **options: animate(CAPTIONS, **options), lambda **options: describe(motions, **options)):
            with pytest.raises(ValueError, match=f"^{name}={value!r} must be a whole number of at least 1"):
                call(**{name: value})
        with pytest.raises(ValueError, match=f"^{name}={value!r} must be a whole number of at least 1"):
            pipeline("text-to-motion", model=str(checkpoints / "tm2t-t2m"), **{name: value})


@pytest.mark.parametrize("name", ["chain", "clean", "return_codes", "do_sample"])
def test_switches_are_true_or_false(animate, name):
    with pytest.raises(ValueError, match=f"^{name}='no' must be True or False"):
        animate(CAPTIONS, **{name: "no"})


def test_batches_are_padded_on_the_right_whatever_the_tokenizer_says(checkpoints, processor, motions):
    for task, items, options in (
        ("text-to-motion", CAPTIONS, LENGTHS | {"do_sample": False}),
        ("motion-to-text", motions, {"max_new_tokens": 5}),
    ):
        model = str(checkpoints / ("tm2t-t2m" if task == "text-to-motion" else "tm2t-m2t"))
        expected = pipeline(task, model=model, device="cpu")(items, batch_size=3, **options)
        processor.tokenizer.padding_side = "left"
        found = pipeline(task, model=model, processor=processor, device="cpu")(items, batch_size=3, **options)
        assert processor.tokenizer.padding_side == "left", "it is the user's"
        if task == "motion-to-text":
            assert found == expected
        for one, other in zip(found, expected, strict=True) if task == "text-to-motion" else ():
            assert_same(one, other)


def test_a_processor_that_was_changed_meanwhile_is_refused(animate, describe, motions):
    animate.processor.tokenizer.add_tokens([f"pirouette{number}" for number in range(300)])
    with pytest.raises(ValueError, match="The processor does not fit the model: its text tokenizer has vocabulary"):
        animate(CAPTIONS[0])
    describe.processor.feature_extractor.fps = 30.0
    describe.model.config.vq_config.fps = 20.0
    with pytest.raises(ValueError, match="its feature extractor has fps 30"):
        describe(motions[0])


def test_guidance_is_refused(animate, describe, motions):
    with pytest.raises(ValueError, match="guidance_scale=2 is not possible"):
        animate(CAPTIONS[0], guidance_scale=2)
    with pytest.raises(ValueError, match="guidance_scale=2 is not possible"):
        describe(motions[0], generate_kwargs={"guidance_scale": 2})


def test_generate_kwargs_are_a_dict_that_contradicts_nothing(describe, motions):
    with pytest.raises(ValueError, match="^num_beams is given twice: by itself, and in generate_kwargs"):
        describe(motions[0], num_beams=2, generate_kwargs={"num_beams": 3})
    with pytest.raises(ValueError, match=r"^generate_kwargs=3 must be a dict of arguments of generate\(\)"):
        describe(motions[0], generate_kwargs=3)


@pytest.mark.parametrize("file", ["processor_config.json", "tokenizer.json", "motion_tokenizer"])
def test_a_model_without_a_whole_processor_is_refused(checkpoints, file):
    path = checkpoints / "tm2t-t2m" / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(
        ValueError, match=f"tm2t-t2m has no {file}, which its processor needs; get .* or write it there"
    ):
        pipeline("text-to-motion", model=str(checkpoints / "tm2t-t2m"))


def test_a_processor_with_broken_files_is_refused(checkpoints):
    (checkpoints / "tm2t-t2m" / "processor_config.json").write_text("{")
    with pytest.raises(ValueError, match="tm2t-t2m/processor_config.json is not JSON"):
        pipeline("text-to-motion", model=str(checkpoints / "tm2t-t2m"))


@pytest.mark.parametrize("task", ["text-to-motion", "motion-to-text"])
def test_a_processor_that_contradicts_the_model_is_refused(task, checkpoints, processor):
    folder = checkpoints / ("tm2t-t2m" if task == "text-to-motion" else "tm2t-m2t")
    config = json.loads((folder / "config.json").read_text())
    config["vq_config"]["fps"] = 20
    (folder / "config.json").write_text(json.dumps(config))
    pipeline(task, model=str(folder))
    saved = json.loads((folder / "processor_config.json").read_text())
    saved["feature_extractor"]["fps"] = 40
    (folder / "processor_config.json").write_text(json.dumps(saved))
    with pytest.raises(ValueError, match="does not fit the model: its feature extractor has fps 40.0, .* has 20;"):
        pipeline(task, model=str(folder))
    with pytest.raises(ValueError, match="has fps 20.0, but the model has 20.5"):
        pipeline(task, model=str(folder), processor=processor, model_kwargs={"vq_config": {"fps": 20.5}})


def test_shipped_models_of_another_type_are_refused():
    for name in ("tm2t-vq", "tm2t-matcher"):
        with pytest.raises(
            ValueError, match=f"needs a checkpoint of type tm2t-t2m or tm2t-t2m-transformer, but .* is of type {name}"
        ):
            pipeline("text-to-motion", model=str(pipelines.shipped_checkpoint(name)))


def test_a_missing_shipped_checkpoint_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(pipelines, "CHECKPOINTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="This installation has no checkpoint .*tm2t-vq"):
        pipelines.shipped_checkpoint("tm2t-vq")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(checkpoints, motions, dtype):
    animate = pipeline("text-to-motion", model=str(checkpoints / "tm2t-t2m"), device="cpu", dtype=dtype)
    motion = animate(CAPTIONS[0], **LENGTHS)
    assert animate.model.dtype == getattr(torch, dtype)
    assert motion["motion"].dtype == motion["joints"].dtype == np.float32 and np.isfinite(motion["joints"]).all()
    describe = pipeline("motion-to-text", model=str(checkpoints / "tm2t-m2t"), device="cpu", dtype=dtype)
    assert [len(captions) for captions in describe(motions, batch_size=2)] == [1, 1, 1]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_implementation_of_attention_can_be_chosen(checkpoints, motions, attention):
    options = {"device": "cpu", "model_kwargs": {"attn_implementation": attention}}
    folder = str(checkpoints / "tm2t-m2t")
    describe = pipeline("motion-to-text", model=folder, **options)
    assert describe(motions[0]) == pipeline("motion-to-text", model=folder, device="cpu")(motions[0])
    animate = pipeline("text-to-motion", model=str(checkpoints / "tm2t-t2m"), **options)
    assert len(animate(CAPTIONS[0], **LENGTHS)["motion"]) >= 20


def test_codes_on_request(animate):
    torch.manual_seed(0)
    motion = animate("a person walks", return_codes=True, do_sample=True, min_seconds=1, max_seconds=1)
    assert motion["codes"].shape == (5,) and motion["codes"].dtype == np.int64
    decoded = animate.model.vq.decode(torch.from_numpy(motion["codes"])[None])[0]
    expected = animate.processor.feature_extractor.denormalize(decoded.detach())
    np.testing.assert_allclose(motion["motion"], expected, atol=1e-4)
    chain = animate(["a person walks", "he waves"], chain=True, return_codes=True, do_sample=True, max_seconds=1)
    assert len(chain["codes"]) * 4 == len(chain["joints"])


# ---- how well what is asked for is covered by what was learned ------------------------------------------------------


@pytest.fixture
def said(monkeypatch):
    """The warnings of the pipelines."""
    messages = []
    monkeypatch.setattr(pipelines.logger, "warning", messages.append)
    return messages


def learn(animate, captions, threshold=0.5):
    """The pipeline's model now knows these captions: the score is high for what resembles one, and low otherwise."""
    calibration = Calibration(torch.tensor([100.0, 0, 0, 0, 0], dtype=torch.double), -99.0, threshold)
    animate.coverage = TextCoverage(calibration, captions, embed(animate, captions), torch.zeros(0, 12))


def test_without_coverage_there_is_no_score(animate, describe, motions, said):
    assert animate.coverage is None and describe.coverage is None
    assert animate(CAPTIONS[0], **LENGTHS)["score"] is None
    chain = animate(CAPTIONS[:2], chain=True, **LENGTHS)
    assert chain["score"] is None and [part["score"] for part in chain["parts"]] == [None, None]
    assert describe(motions[0])[0]["score"] is None
    assert not said


@pytest.mark.parametrize("batch_size", [1, 3])
def test_motions_have_scores_and_what_is_unlike_is_said(animate, said, batch_size):
    expected = animate(CAPTIONS, **LENGTHS)
    learn(animate, CAPTIONS[:1])
    motions = animate(CAPTIONS, batch_size=batch_size, **LENGTHS)
    scores = [motion.pop("score") for motion in motions]
    assert scores[0] > 0.7 > 0.5 > scores[1] and all(0 <= score <= 1 for score in scores)
    low = [caption for caption, score in zip(CAPTIONS, scores, strict=True) if score < 0.5]
    assert [message.partition(" is unlike what this model learned (score ")[0] for message in said] == [
        repr(caption) for caption in low
    ]
    assert said[0].endswith(f"the closest that it knows is {CAPTIONS[0]!r}.")
    for motion, other in zip(motions, expected, strict=True):  # the score changes nothing
        del other["score"]
        assert_same(motion, other)
    samples = animate(CAPTIONS[0], do_sample=True, num_return_sequences=2, **LENGTHS)
    assert [sample["score"] for sample in samples] == [pytest.approx(scores[0], abs=1e-5)] * 2


def test_messages_quote_what_was_asked_for(animate, said):
    learn(animate, CAPTIONS[:1])
    animate("Don't do push-ups!", **LENGTHS)
    assert said[0].startswith('"Don\'t do push-ups!" is unlike')
    animate("push " * 100, **LENGTHS)
    assert "push pu...' is unlike" in said[1] and len(said[1]) < 250


def test_parts_of_a_chain_have_scores(animate, motions, said):
    learn(animate, CAPTIONS[:1])
    chain = animate([CAPTIONS[0], CAPTIONS[1]], chain=True, prefix=motions[1], **LENGTHS)
    prefix, known, unknown = (part["score"] for part in chain["parts"])
    assert prefix is None and known > 0.7 and unknown < 0.5 and chain["score"] == unknown
    assert len(said) == 1 and said[0].startswith(repr(CAPTIONS[1]))


def test_text_features_are_computed_once(animate, monkeypatch):
    learn(animate, CAPTIONS)
    calls = []
    table = animate.model.get_input_embeddings()
    table.register_forward_hook(lambda *args: calls.append(1))
    animate(CAPTIONS, batch_size=3, **LENGTHS)
    assert calls == [1]


def test_captions_have_scores_and_unlike_motions_are_named(describe, motions, said, tmp_path):
    facts = torch.cat([describe.facts_of(motion) for motion in motions])
    assert facts.shape == (3, 4) and facts.isfinite().all()
    errors = facts[:, 0]
    middle = float(errors.sort().values[:2].mean())  # the motion that is rebuilt best is known, the others are not
    calibration = Calibration(torch.tensor([-1000.0, 0, 0, 0], dtype=torch.double), 1000 * middle, 0.5)
    describe.coverage = MotionCoverage(calibration)
    np.save(tmp_path / "motion.npy", motions[int(errors.argmax())])
    for batch_size in (1, 3):
        scores = [each[0]["score"] for each in describe(motions, batch_size=batch_size)]
        assert [score > 0.5 for score in scores] == (errors < middle).tolist()
        low = [number for number, score in enumerate(scores) if score < 0.5]
        assert [message.partition(" is unlike the motions")[0] for message in said] == [f"motion[{n}]" for n in low]
        assert len(low) == 2
        said.clear()
    captions = describe(tmp_path / "motion.npy", num_beams=2, num_return_sequences=2)
    assert [set(caption) for caption in captions] == [{"generated_text", "score"}] * 2
    assert len(said) == 1 and said[0].startswith(f"{tmp_path / 'motion.npy'} is unlike")
    assert said[0].endswith(f"so its caption may be wrong: {captions[0]['generated_text']!r}.")


def test_the_score_of_a_caption_is_the_same_beside_longer_ones(describe, motions):
    """Beam search fills up what follows the end of a caption, up to the length of the longest, with more ends."""
    inputs = {**describe.processor(motion=motions[0], return_tensors="pt")}
    read = describe.model.read_motion(**inputs)
    config = describe.model.config
    caption = torch.tensor([[config.bos_token_id, 5, 6, config.eos_token_id]])
    alone = describe._facts(inputs, read, caption)
    for filling in (config.eos_token_id, config.pad_token_id):
        beside = describe._facts(inputs, read, torch.nn.functional.pad(caption, (0, 3), value=filling))
        torch.testing.assert_close(beside, alone)


def test_likelihoods_are_those_of_the_caption(describe, motions):
    inputs = describe.processor(motion=motions[0], return_tensors="pt")
    ids = describe.model.generate(**inputs)
    loss = describe.model(**inputs, labels=ids[:, 1:]).loss.detach()
    assert describe.facts_of(motions[0])[0, 3] == pytest.approx(-float(loss), abs=1e-5)
    other = describe.processor.tokenizer("a person walks", return_tensors="pt")["input_ids"]
    loss = describe.model(**inputs, labels=other[:, 1:]).loss.detach()
    assert describe.facts_of(motions[0], "a person walks")[0, 3] == pytest.approx(-float(loss), abs=1e-5)


def test_a_sentence_is_judged_without_its_motion(animate):
    learn(animate, CAPTIONS, threshold=0.25)
    request = animate.judge(CAPTIONS[1])
    assert request.nearest == CAPTIONS[1]
    assert request.score == pytest.approx(animate(CAPTIONS[1], max_new_tokens=2)["score"])


def test_actions_are_saved_with_the_pipeline(tmp_path):
    shipped = pipelines.shipped_checkpoint("tm2t-t2m")
    pipeline("text-to-motion", model=str(shipped), device="cpu").save_pretrained(tmp_path)
    for name in ("actions.json", "coverage.safetensors"):
        assert (tmp_path / name).read_bytes() == (shipped / name).read_bytes()


def test_coverage_is_saved_with_the_pipeline_and_loaded(animate, tmp_path):
    learn(animate, CAPTIONS, threshold=0.25)
    animate.save_pretrained(tmp_path)
    loaded = pipeline("text-to-motion", model=str(tmp_path), device="cpu")
    assert loaded.coverage.threshold == 0.25 and loaded.coverage.captions == CAPTIONS
    (tmp_path / "coverage.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="is not a whole file of what a model learned"):
        pipeline("text-to-motion", model=str(tmp_path), device="cpu")


# ---- height ---------------------------------------------------------------------------------------------------------


def test_a_figure_has_the_height_that_is_asked_for(animate):
    plain = animate(CAPTIONS[0], **LENGTHS)
    for options in ({}, {"clean": True}, {"output_fps": 30}):
        tall, short = (animate(CAPTIONS[0], height=height, **options, **LENGTHS) for height in (1.9, 0.5))
        for motion, height in ((tall, 1.9), (short, 0.5)):
            assert body_height(motion["joints"], HUMANML3D) == pytest.approx(height, rel=1e-4)
        np.testing.assert_allclose(tall["joints"] / 1.9, short["joints"] / 0.5, atol=1e-4)  # the path too
        if "output_fps" not in options:
            np.testing.assert_array_equal(tall["motion"], plain["motion"])
    assert (
        animate(CAPTIONS[0], height=1.7, sequence_bias=[[[animate.model.config.eos_token_id], 1e4]])["joints"].size
        == 0
    )


@pytest.mark.parametrize("height", [0, 0.29, 3.01, 175, -1.7, float("nan"), "1.75", True])
def test_heights_of_nobody_are_refused(animate, height):
    with pytest.raises(ValueError, match=r"height=.* must be a number of meters from 0.3 to 3"):
        animate(CAPTIONS[0], height=height)


def test_parts_that_the_processor_would_not_use_are_refused(m2t_model, processor, feature_extractor):
    other = type(feature_extractor)(feature_extractor.skeleton, feature_extractor.mean, feature_extractor.std, fps=30)
    with pytest.raises(ValueError, match="feature_extractor= is not used by this pipeline"):
        pipeline("motion-to-text", model=m2t_model, processor=processor, feature_extractor=other)
