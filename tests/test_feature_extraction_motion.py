# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The feature extractor: every form of a motion, normalization and back, resampling, bad input."""

import json
import pickle
import re
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoFeatureExtractor

from tm2t_hf import feature_extraction_motion
from tm2t_hf.bodies import body_height, known_offsets
from tm2t_hf.feature_extraction_motion import MotionFeatureExtractor
from tm2t_hf.formats import read_motion, save_motion
from tm2t_hf.motion import HUMANML3D, KIT, bias_std, bone_offsets, features_to_joints, joints_to_features
from tm2t_hf.toy import make_toy_clip

FRAMES = 30


def make_joints(frames=FRAMES, skeleton=HUMANML3D, seed=0):
    """A body that walks and sways: a fixed random pose of human size, moved smoothly."""
    rng = np.random.default_rng(seed)
    pose = rng.uniform(-0.4, 0.4, (skeleton.num_joints, 3)) + [0, 0.9, 0]
    right_hip, left_hip, right_shoulder, left_shoulder = skeleton.face_joints
    pose[[right_hip, right_shoulder], 0] = -0.2
    pose[[left_hip, left_shoulder], 0] = 0.2
    time = np.arange(frames)[:, None, None] / 20
    return pose + 0.05 * np.sin(2 * time + rng.uniform(0, 6, pose.shape)) + time * [0.1, 0, 0.5]


@pytest.fixture(scope="module")
def extractor():
    features = joints_to_features(make_joints(), HUMANML3D)
    return MotionFeatureExtractor(HUMANML3D, features.mean(axis=0), features.std(axis=0) + 0.1)


@pytest.fixture(scope="module")
def features():
    return joints_to_features(make_joints(), HUMANML3D).astype(np.float32)


def test_joints_features_tensors_lists_and_files_are_one_motion(extractor, features, tmp_path):
    joints = make_joints()
    np.save(tmp_path / "joints.npy", joints)
    np.save(tmp_path / "features.npy", features)
    expected = (features - np.float32(extractor.mean)) / np.float32(extractor.std)
    forms = (
        joints,
        features,
        torch.tensor(features),
        features.tolist(),
        tmp_path / "joints.npy",
        str(tmp_path / "features.npy"),
        [joints],
        features[None],
        joints[None],
        list(features),
    )
    for motion in forms:
        batch = extractor(motion)
        assert batch["motion_values"][0].dtype == np.float32
        np.testing.assert_allclose(batch["motion_values"][0], expected, atol=1e-5)
        assert np.asarray(batch["attention_mask"]).tolist() == [[1] * (FRAMES - 1)]


def test_a_batch_is_padded_with_zeros_and_masked(extractor, features):
    batch = extractor([features, features[:10]], return_tensors="pt")
    assert batch["motion_values"].shape == (2, FRAMES - 1, 263) and batch["motion_values"].dtype == torch.float32
    assert batch["attention_mask"].sum(dim=1).tolist() == [FRAMES - 1, 10]
    assert (batch["motion_values"][1, 10:] == 0).all()
    batch = extractor(features, padding="max_length", max_length=64, return_tensors="np")
    assert batch["motion_values"].shape == (1, 64, 263)


def test_post_process_gives_the_joints_back(extractor, features):
    batch = extractor([features, features[:10]], return_tensors="pt")
    joints = extractor.post_process(batch["motion_values"], batch["attention_mask"])
    assert [len(clip) for clip in joints] == [FRAMES - 1, 10]
    for clip in joints:
        assert clip.dtype == np.float32
        np.testing.assert_allclose(clip, features_to_joints(features, 22)[: len(clip)], atol=1e-4)
    single = extractor.post_process(batch["motion_values"][0])
    several = extractor.post_process([batch["motion_values"][0], batch["motion_values"][1, :10]])
    np.testing.assert_array_equal(single[0], joints[0])
    np.testing.assert_array_equal(several[1], joints[1])
    assert extractor.post_process(torch.zeros(1, 0, 263))[0].shape == (0, 22, 3)
    with pytest.raises(ValueError, match="attention_mask has 7 frames, but motion_values 8; pass the mask of these"):
        extractor.post_process(torch.zeros(1, 8, 263), torch.ones(1, 7))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), frames=st.integers(4, 12))
def test_denormalize_undoes_normalization(extractor, seed, frames):
    motion = np.random.default_rng(seed).normal(size=(frames, 263)).astype(np.float32)
    values = extractor(motion, return_tensors="pt")["motion_values"][0]
    np.testing.assert_allclose(extractor.denormalize(values).numpy(), motion, atol=1e-5)
    restored = extractor.denormalize(values.numpy())
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, motion, atol=1e-5)


def test_metres_go_in_and_come_out_whatever_the_units_of_the_skeleton():
    joints = make_joints(skeleton=KIT)
    features = joints_to_features(joints * 1000, KIT)
    extractor = MotionFeatureExtractor(KIT, features.mean(axis=0), features.std(axis=0) + 1)
    assert extractor.fps == 12.5
    batch = extractor(joints, return_tensors="pt")
    np.testing.assert_allclose(extractor.denormalize(batch["motion_values"])[0], features, atol=1e-2)
    (restored,) = extractor.post_process(batch["motion_values"])
    np.testing.assert_allclose(restored, features_to_joints(features, 21) / 1000, atol=1e-4)


@pytest.mark.parametrize("fps", [10, 30, 60])
def test_another_frame_rate_is_resampled(extractor, fps):
    fine = make_joints(frames=241)  # taken as 20 fps; every motion below lasts the same seconds
    slow = extractor.post_process(extractor(fine, return_tensors="pt")["motion_values"])[0]
    motion = fine[np.linspace(0, 240, 12 * fps + 1).round().astype(int)]
    batch = extractor(motion, fps=fps, return_tensors="pt")
    assert batch["motion_values"].shape[1] == 240
    np.testing.assert_allclose(extractor.post_process(batch["motion_values"])[0], slow, atol=0.02)
    from_features = extractor(joints_to_features(motion, HUMANML3D), fps=fps, return_tensors="pt")
    assert from_features["motion_values"].shape[1] in (238, 239)


def test_offsets_give_every_joint_motion_one_body(extractor):
    joints = make_joints()
    small = MotionFeatureExtractor(
        extractor.skeleton, extractor.mean, extractor.std, offsets=bone_offsets(joints * 0.5, HUMANML3D)
    )
    (restored,) = small.post_process(small(joints, return_tensors="pt")["motion_values"])
    length = np.linalg.norm(restored[:, 4] - restored[:, 1], axis=-1)
    expected = np.linalg.norm(joints[0, 4] - joints[0, 1]) / 2
    np.testing.assert_allclose(length, expected, atol=1e-3)


def test_saves_and_loads_everything(extractor, features, tmp_path):
    extractor.save_pretrained(tmp_path)
    for loaded in (MotionFeatureExtractor.from_pretrained(tmp_path), AutoFeatureExtractor.from_pretrained(tmp_path)):
        assert isinstance(loaded, MotionFeatureExtractor)
        assert loaded.to_dict() == extractor.to_dict()
        np.testing.assert_array_equal(loaded(features)["motion_values"], extractor(features)["motion_values"])


def test_statistics_of_a_data_folder_are_biased_as_in_the_original(extractor, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Mean.npy is missing; `tm2t-hf prepare` makes it"):
        MotionFeatureExtractor.from_data_dir(tmp_path)
    mean, std = np.float32(extractor.mean), np.float32(extractor.std)
    np.save(tmp_path / "Mean.npy", mean)
    np.save(tmp_path / "Std.npy", std)
    loaded = MotionFeatureExtractor.from_data_dir(tmp_path, unit_length=8)
    np.testing.assert_allclose(loaded.mean, mean)
    np.testing.assert_allclose(loaded.std, bias_std(std, HUMANML3D, 5.0))
    assert loaded.unit_length == 8
    with pytest.raises(ValueError, match=r"Mean.npy has shape \(263,\), but the kit skeleton has 251 features"):
        MotionFeatureExtractor.from_data_dir(tmp_path, KIT)


def test_the_official_clip_of_humanml3d_and_its_joints_agree(data_dir):
    sample = data_dir / "humanml3d_sample"
    extractor = MotionFeatureExtractor.from_data_dir(sample, feat_bias=1.0)
    features = np.load(sample / "new_joint_vecs" / "012314.npy")
    values = extractor(features, return_tensors="pt")["motion_values"]
    assert values.abs().mean() < 1.5  # the statistics are those of this representation
    (restored,) = extractor.post_process(values)
    joints = np.load(sample / "new_joints" / "012314.npy")
    np.testing.assert_allclose(restored, joints[: len(restored)], atol=1e-4)


FEATURES = joints_to_features(make_joints(), HUMANML3D).astype(np.float32)
BAD_MOTIONS = [
    (np.ma.masked_equal(np.arange(9 * 66).reshape(9, 22, 3), 70), "motion holds NaN or infinite values, .* frame 1"),
    (np.zeros((9, 262)), r"motion has shape \(9, 262\).*\(humanml3d\) takes joints \(frames, 22, 3\)"),
    (np.zeros((9, 21, 3)), r"motion has shape \(9, 21, 3\)"),
    (np.zeros((9, 66)), r"motion has shape \(9, 66\)"),
    (np.zeros(263), r"motion has shape \(263,\)"),
    (np.full((9, 263), np.inf), "motion holds NaN or infinite values, first in frame 0"),
    (np.ma.array(FEATURES[:9], mask=np.arange(9 * 263).reshape(9, 263) == 1400), "motion holds NaN .* in frame 5"),
    (FEATURES[:3], "motion has 3 frames, which is shorter than one motion token; pass 4 frames or more"),
    (np.zeros((0, 263)), "motion has 0 frames"),
    (make_joints(4), "motion has 4 frames.* pass 5 frames or more"),
    (np.array([None, "x"], dtype=object), r"motion\[0\] is not an array of numbers"),
    ([[1.0, 2.0], [3.0]], "motion is not an array of numbers"),
    ([], "motion is an empty list"),
    (np.array([], dtype=object), "motion is an empty list"),
    (iter(()), "motion is an empty list"),
    (None, "motion is not an array of numbers"),
    (3, r"motion has shape \(\)"),
    ({}, "motion is a dict that holds nothing, but no 'motion' or 'joints'; pass that"),
    ({"caption": "a person"}, "motion is a dict that holds 'caption', but no 'motion' or 'joints'"),
    ([{"poses": make_joints()}], r"motion\[0\] is a dict that holds 'poses', but no 'motion' or 'joints'"),
    (pd.DataFrame({"poses": [1]}), "motion is a DataFrame that holds 'poses', but no 'motion' or 'joints'"),
    (np.zeros((9, 24, 3)), r"SMPL or SMPL-H, take the first 22: motion\[:, :22\]"),
    (np.zeros((9, 52, 3)), r"SMPL or SMPL-H, take the first 22: motion\[:, :22\]"),
]


def test_an_array_that_masks_nothing_is_one(extractor):
    expected = extractor(FEATURES)["motion_values"]
    np.testing.assert_array_equal(extractor(np.ma.array(FEATURES))["motion_values"], expected)
    np.testing.assert_array_equal(extractor([np.ma.array(FEATURES)])["motion_values"], expected)


@pytest.mark.parametrize(("motion", "message"), BAD_MOTIONS, ids=range(len(BAD_MOTIONS)))
def test_a_motion_that_does_not_fit_is_named(extractor, motion, message):
    with pytest.raises(ValueError, match=message):
        extractor(motion)


def test_the_first_bad_motion_of_a_list_is_named(extractor, features):
    bad = features.copy()
    bad[7, 3] = np.nan
    with pytest.raises(ValueError, match=r"motion\[1\] holds NaN or infinite values, first in frame 7"):
        extractor([features, bad])
    with pytest.raises(ValueError, match=r"motion\[1\] has shape"):
        extractor([features, np.zeros((9, 3))])


def test_a_clip_that_resampling_makes_too_short_says_so(extractor):
    with pytest.raises(ValueError, match="has 3 frames at 20 fps, which is shorter than one motion token"):
        extractor(make_joints(9), fps=60)


@pytest.mark.parametrize("fps", [0, -20, 1e-3, 1e9, np.inf, -np.inf, np.nan, "20", True, np.True_])
def test_frame_rates_that_are_none_are_refused(extractor, fps):
    with pytest.raises(ValueError, match=r"fps=.* must be a number from 1 to 1000"):
        extractor(make_joints(), fps=fps)
    with pytest.raises(ValueError, match=r"motion\[1\]\['fps'\]=.* must be a number from 1 to 1000"):
        extractor([make_joints(), {"motion": make_joints(), "fps": fps}])
    if not isinstance(fps, str):
        with pytest.raises(ValueError, match="must be a number from 1 to 1000"):
            MotionFeatureExtractor(HUMANML3D, extractor.mean, extractor.std, fps=fps)


class Evil:
    def __reduce__(self):
        return pytest.fail, ("the file was unpickled",)


def test_files_are_never_unpickled(extractor, tmp_path):
    path = tmp_path / "motion.npy"
    with pytest.raises(FileNotFoundError, match="motion.npy is missing"):
        extractor(path)
    for content in (b"", b"no motion", pickle.dumps(Evil())):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="motion.npy is not a whole .npy file of numbers"):
            extractor(path)
    np.save(path, np.array([Evil()], dtype=object))
    with pytest.raises(ValueError, match="motion.npy is not a whole .npy file of numbers"):
        extractor(path)
    with open(path, "wb") as file:
        np.savez(file, a=np.zeros((9, 263)))
    with pytest.raises(ValueError, match="is an archive of arrays"):
        extractor(path)
    np.save(path, np.zeros((9, 5)))
    with pytest.raises(ValueError, match=r"motion.npy has shape \(9, 5\)"):
        extractor(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.zeros(5)}, r"mean has shape \(5,\), but the humanml3d skeleton has 263"),
        ({"std": np.zeros(263)}, "std holds a deviation of 0"),
        ({"mean": np.full(263, np.nan)}, "mean holds NaN"),
        ({"offsets": np.zeros((21, 3))}, r"offsets has shape \(21, 3\), but must be \(22, 3\) bone vectors"),
        ({"offsets": [["a"] * 3] * 22}, "offsets .* holds what is no number"),
        ({"offsets": np.full((22, 3), np.nan)}, "offsets .* holds NaN"),
        ({"offsets": np.zeros((22, 3))}, "offsets .* are of a body .* tall: are they in another unit"),
        (
            {"offsets": 100 * known_offsets("humanml3d", HUMANML3D)},
            "offsets .* are of a body .* tall: are they in another unit",
        ),
    ],
)
def test_statistics_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        MotionFeatureExtractor(**({"skeleton": HUMANML3D, "mean": np.zeros(263), "std": np.ones(263)} | change))


def test_post_process_refuses_features_of_another_skeleton(extractor):
    with pytest.raises(ValueError, match="motion_values has 251 features a frame, but this extractor has 263"):
        extractor.post_process(torch.zeros(1, 8, 251))


# ---- what holds motions ---------------------------------------------------------------------------------------------


def containers(motions, tmp_path) -> dict:
    paths = [str(tmp_path / f"{index}.npy") for index in range(len(motions))]
    for path, motion in zip(paths, motions, strict=True):
        np.save(path, motion)
    lists = [np.asarray(motion).tolist() for motion in motions]
    return {
        "list": list(motions),
        "tuple": tuple(motions),
        "generator": (motion for motion in motions),
        "tensors": [torch.tensor(motion) for motion in motions],
        "half precision": [torch.tensor(motion).half() for motion in motions],
        "nested lists": lists,
        "tuples of tuples": tuple(tuple(map(tuple, motion)) for motion in lists)
        if np.ndim(motions[0]) == 2
        else lists,
        "lists of frames": [list(motion) for motion in motions],
        "lists of tensors": [list(torch.tensor(motion)) for motion in motions],
        "array of objects": np.array([*motions, None], dtype=object)[:-1],
        "series": pd.Series(list(motions)),
        "data frame": pd.DataFrame({"motion": list(motions)}),
        "column of a data set": Dataset.from_dict({"motion": lists})["motion"],
        "data set": Dataset.from_dict({"motion": lists}),
        "numpy data set": Dataset.from_dict({"motion": lists}).with_format("numpy"),
        "rows": [{"motion": motion} for motion in motions],
        "columns": {"motion": list(motions)},
        "rows of joints": [{"joints": motion} for motion in motions],
        "columns of joints": {"joints": list(motions)},
        "data frame of joints": pd.DataFrame({"joints": list(motions)}),
        "paths": paths,
        "array of paths": np.array(paths),
        "series of paths": pd.Series(paths),
    }


@pytest.mark.parametrize("kind", ["features", "joints"])
def test_every_container_gives_every_motion(extractor, kind, tmp_path):
    joints = [make_joints(frames) for frames in (30, 12, 20)]
    motions = joints if kind == "joints" else [joints_to_features(each, HUMANML3D) for each in joints]
    expected = [extractor(motion)["motion_values"][0] for motion in motions]
    for name, container in containers(motions, tmp_path).items():
        batch = extractor(container)
        assert np.asarray(batch["attention_mask"]).sum(axis=1).tolist() == [29, 11, 19], name
        for values, alone in zip(batch["motion_values"], expected, strict=True):
            tolerance = {"half precision": 0.1, "numpy data set": 1e-4}.get(name, 1e-6)
            np.testing.assert_allclose(values[: len(alone)], alone, atol=tolerance, err_msg=name)


def test_one_motion_is_one_in_every_form(extractor):
    joints = make_joints()
    for motion in (
        joints,
        joints.tolist(),
        list(joints),
        tuple(map(torch.tensor, joints)),
        {"motion": joints},
        {"motion": joints, "fps": 20.0, "joints": None},
        {"joints": joints},
        FEATURES,
        tuple(FEATURES),
        FEATURES.tolist(),
    ):
        assert extractor.list_motions(motion) is None
        assert len(extractor(motion)["motion_values"]) == 1


def test_rows_bring_their_frame_rate(extractor):
    joints = make_joints(61)
    slow, fast = extractor(joints)["motion_values"][0], extractor(joints, fps=60)["motion_values"][0]
    rows = [{"motion": joints, "fps": 60}, {"motion": joints}]
    for container in (rows, {"motion": [joints, joints], "fps": [60, 20]}, pd.DataFrame(rows).fillna(20)):
        batch = extractor(container)
        np.testing.assert_array_equal(batch["motion_values"][0][: len(fast)], fast)
        np.testing.assert_array_equal(batch["motion_values"][1], slow)
        assert np.asarray(batch["attention_mask"]).sum(axis=1).tolist() == [20, 60]
    np.testing.assert_array_equal(extractor(rows[0], fps=20)["motion_values"][0], slow)  # what is said aloud wins


@pytest.mark.parametrize("padding", [False, True, "do_not_pad", "longest"])
def test_data_sets_can_be_mapped_in_batches(extractor, padding):
    joints = [make_joints(frames) for frames in (30, 12, 20)]
    data = Dataset.from_dict({"motion": [each.tolist() for each in joints]})
    data = data.map(lambda rows: {**extractor(rows["motion"], padding=padding)}, batched=True, batch_size=3)
    for values, each in zip(data["motion_values"], joints, strict=True):
        expected = extractor(each)["motion_values"][0]
        np.testing.assert_allclose(np.array(values)[: len(expected)], expected, atol=1e-6)
    if padding in (False, "do_not_pad"):
        assert [len(mask) for mask in data["attention_mask"]] == [29, 11, 19]


def test_without_padding_options_still_hold(extractor):
    batch = extractor([make_joints(30), make_joints(12)], padding=False, max_length=16, truncation=True)
    assert [values.shape for values in batch["motion_values"]] == [(16, 263), (11, 263)]
    assert [len(mask) for mask in batch["attention_mask"]] == [16, 11]


# ---- units, and what is no body -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def body():
    """Joints of a person who walks."""
    return make_toy_clip("walk", np.random.default_rng(0))[0]


@pytest.fixture
def said(monkeypatch):
    """The warnings of the extractor."""
    messages = []
    monkeypatch.setattr(feature_extraction_motion.logger, "warning", messages.append)
    return messages


def test_joints_in_other_units(extractor, body, said):
    expected = extractor(body)["motion_values"]
    for unit, factor in (("cm", 100), ("mm", 1000)):
        np.testing.assert_allclose(extractor(body * factor, unit=unit)["motion_values"], expected, atol=1e-4)
        np.testing.assert_allclose(extractor(body * factor)["motion_values"], expected, atol=1e-4)
    assert not said
    with pytest.raises(ValueError, match=r"shows a figure 1\d\d m tall, .* pass unit='cm' or unit='mm'"):
        extractor(body * 100, unit="m")
    with pytest.raises(ValueError, match=r"shows a figure 1\d m tall, taking unit='cm'.* pass unit='mm' \(KIT-ML"):
        extractor(body * 1000, unit="cm")
    with pytest.raises(ValueError, match="unit='inch' must be one of 'm', 'cm', 'mm'"):
        extractor(body, unit="inch")
    with pytest.raises(ValueError, match="unit='mm' is for joints, but motion holds features; leave it out"):
        extractor(FEATURES, unit="mm")


def test_the_unit_is_found_from_the_height_of_the_body(extractor, body, said):
    expected = extractor(body)["motion_values"]
    for meters, unit in ((0.0254, "inches"), (0.3048, "feet")):
        np.testing.assert_allclose(extractor(body / meters)["motion_values"], expected, atol=1e-4)
        assert f"the unit seems to be {unit}" in said.pop()
    unknown = extractor(body * 5e4)["motion_values"]
    assert "taken to be 1.7 m tall" in said.pop() and not said
    adult = body * (1.7 / body_height(body, HUMANML3D))
    np.testing.assert_allclose(unknown, extractor(adult, unit="m")["motion_values"], atol=1e-4)
    child = body * 0.5
    np.testing.assert_array_equal(extractor(child)["motion_values"], extractor(child, unit="m")["motion_values"])
    assert not said
    noise = np.random.default_rng(0).normal(size=body.shape) * 50
    with pytest.raises(ValueError, match="m tall"):
        extractor(noise)


def test_joints_of_kit_ml_are_in_millimeters():
    joints = make_joints(skeleton=KIT)
    features = joints_to_features(joints * 1000, KIT)
    extractor = MotionFeatureExtractor(KIT, features.mean(axis=0), features.std(axis=0) + 1)
    with pytest.raises(
        ValueError, match=r"m tall, taking unit='m' .*pass unit='cm' or unit='mm' \(KIT-ML's new_joints"
    ):
        extractor(joints * 1000)
    np.testing.assert_allclose(
        extractor(joints * 1000, unit="mm")["motion_values"], extractor(joints)["motion_values"], atol=1e-5
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda body: body / 100, r"shows a body .*0.01\d m tall.* multiply them by 100"),
        (lambda body: body[..., [0, 2, 1]] * [1, -1, 1], "has its feet and its head apart along z, not y"),
        (lambda body: body * [1, -1, -1], "has its head below its feet"),
    ],
)
def test_joints_that_do_not_look_like_a_body_are_reported(extractor, body, said, change, message):
    extractor(body)
    assert said == []
    extractor([body, change(body)], unit="m")
    assert len(said) == 1 and re.match(rf"motion\[1\] {message}", said[0])


def test_normalized_features_are_reported(extractor, body, said):
    features = joints_to_features(body, HUMANML3D)
    extractor(features)
    assert said == []
    extractor((features - features.mean(0)) / 0.05)
    assert len(said) == 1 and "motion has foot contacts that are far from 0 and 1" in said[0]


@pytest.mark.parametrize("motion", [np.zeros((9, 263)), np.zeros((9, 22, 3))])
def test_bones_without_length_are_refused(extractor, motion):
    with pytest.raises(ValueError, match="motion has bones without length, first in frame 0"):
        extractor(motion)


# ---- how it is saved and shown --------------------------------------------------------------------------------------


def test_a_known_skeleton_is_saved_by_its_name_and_another_in_full(extractor, tmp_path):
    other = MotionFeatureExtractor(replace(HUMANML3D, fps=30.0), extractor.mean, extractor.std)
    for name, saved, skeleton in (("known", extractor, "humanml3d"), ("other", other, other.skeleton.to_dict())):
        saved.save_pretrained(tmp_path / name)
        content = json.loads((tmp_path / name / "preprocessor_config.json").read_text())
        assert content["skeleton"] == skeleton
        loaded = MotionFeatureExtractor.from_pretrained(tmp_path / name)
        assert loaded.skeleton == saved.skeleton and loaded.mean == saved.mean and loaded.fps == saved.fps
    # as folders were written before
    content |= {"skeleton": HUMANML3D.to_dict(), "padding_side": "right"}
    (tmp_path / "known" / "preprocessor_config.json").write_text(json.dumps(content))
    assert MotionFeatureExtractor.from_pretrained(tmp_path / "known").skeleton == HUMANML3D
    with pytest.raises(ValueError, match="skeleton 'smpl' is unknown; the names are humanml3d, kit"):
        MotionFeatureExtractor("smpl", extractor.mean, extractor.std)


def test_padding_on_the_left_is_refused_where_it_enters(extractor, tmp_path):
    with pytest.raises(ValueError, match="padding_side='left' is not possible"):
        MotionFeatureExtractor(HUMANML3D, extractor.mean, extractor.std, padding_side="left")
    with pytest.raises(ValueError, match="padding_side='left' is not possible"):
        extractor.padding_side = "left"
    extractor.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="padding_side='left' is not possible"):
        AutoFeatureExtractor.from_pretrained(tmp_path, padding_side="left")


def test_it_is_shown_in_one_line(extractor):
    assert repr(extractor) == "MotionFeatureExtractor(skeleton='humanml3d', feature_size=263, fps=20, unit_length=4)"


def test_frames_after_the_last_whole_token_are_returned_and_leave_the_codes_alone(vq_model, extractor):
    """As the docstring says."""
    features = joints_to_features(make_joints(44), HUMANML3D)  # 43 frames
    codes = [vq_model.encode(**extractor(features[:frames], return_tensors="pt")).codes for frames in (40, 41, 42, 43)]
    assert all(torch.equal(each, codes[0]) for each in codes) and codes[0].shape == (1, 10)
    assert extractor(features, return_tensors="pt")["motion_values"].shape[1] == 43


def test_files_of_any_tool(feature_extractor, tmp_path, caplog):
    joints, _ = make_toy_clip("walk", np.random.default_rng(0))
    expected = feature_extractor(joints)["motion_values"]
    np.savez(tmp_path / "inches.npz", joints=joints[..., [0, 2, 1]] * [1, -1, 1] / 0.0254, fps=20)
    np.savez(tmp_path / "wrong.npz", joints=joints, fps=60)
    save_motion(joints, tmp_path / "walk.bvh", fps=20)
    np.testing.assert_allclose(
        feature_extractor(tmp_path / "walk.bvh")["motion_values"],
        feature_extractor(read_motion(tmp_path / "walk.bvh"))["motion_values"],
        atol=1e-5,
    )
    with caplog.at_level("WARNING"):
        values = feature_extractor(str(tmp_path / "inches.npz"))["motion_values"]
    np.testing.assert_allclose(values, expected, atol=1e-3)
    guesses = [record.getMessage() for record in caplog.records if "inches.npz" in record.getMessage()]
    assert len(guesses) == 1 and "the unit seems to be inches" in guesses[0]
    np.testing.assert_allclose(feature_extractor(tmp_path / "wrong.npz", fps=20)["motion_values"], expected, atol=1e-5)
    assert len(feature_extractor(tmp_path / "wrong.npz")["motion_values"][0]) < len(expected[0]) / 2


def test_a_file_that_needs_the_package_says_so(feature_extractor, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tm2t_hf.formats", None)
    with pytest.raises(ImportError, match="walk.bvh cannot be read without the package tm2t_hf; install it, or pass"):
        feature_extractor(tmp_path / "walk.bvh")


@pytest.mark.parametrize("unit_length", [0, -4, 4.0, True, "4"])
def test_a_unit_length_that_is_no_number_of_frames(unit_length):
    size = HUMANML3D.feature_size
    with pytest.raises(ValueError, match="unit_length=.* must be a number of frames"):
        MotionFeatureExtractor(HUMANML3D, np.zeros(size), np.ones(size), unit_length=unit_length)


def test_post_process_takes_lists_and_says_what_it_cannot_take(extractor):
    motion = torch.randn(8, extractor.feature_size)
    (wanted,) = extractor.post_process(motion)
    for same in (motion.tolist(), list(motion), [motion], motion[None], motion.numpy()):
        np.testing.assert_allclose(extractor.post_process(same)[0], wanted, atol=1e-5)
    assert extractor.post_process(motion[:0])[0].shape == (0, 22, 3)
    for bad in ([1.0], "x", 3, [[[1.0]]], torch.zeros(2, 2, 2, 2)):
        with pytest.raises(ValueError, match="motion_values"):
            extractor.post_process(bad)
