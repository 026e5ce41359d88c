# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from tm2t_hf.motion import (
    HUMANML3D,
    KIT,
    SKELETONS,
    Skeleton,
    bias_std,
    bone_offsets,
    facing_rotation,
    feature_groups,
    feature_statistics,
    features_to_joints,
    features_to_joints_by_rotations,
    joints_to_features,
    mirror_joints,
    resample,
    retarget,
)

skeletons = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)


def standing(skeleton: Skeleton) -> np.ndarray:
    """The rest pose (joints, 3), shoulders wider than hips, as the definition of the facing direction needs it."""
    pose = np.zeros((skeleton.num_joints, 3))
    for chain in skeleton.chains:
        for parent, joint in zip(chain, chain[1:], strict=False):
            length = 0.1 if joint in skeleton.face_joints[:2] else 0.3
            pose[joint] = pose[parent] + length * np.array(skeleton.directions[joint])
    return pose


def turned(poses: np.ndarray, angle) -> np.ndarray:
    """(frames, joints, 3) turned about the vertical by `angle` (frames,): positive is from +z to +x."""
    angle = np.broadcast_to(angle, len(poses))
    cosine, sine, zero, one = np.cos(angle), np.sin(angle), 0 * angle, 1 + 0 * angle
    matrix = np.stack([cosine, zero, sine, zero, one, zero, -sine, zero, cosine], axis=-1).reshape(-1, 3, 3)
    return np.einsum("fij,fkj->fki", matrix, poses)


def wandering(skeleton: Skeleton, frames: int, seed: int = 0) -> np.ndarray:
    """A body that trembles, turns and drifts at random; float64 (frames, joints, 3)."""
    rng = np.random.default_rng(seed)
    tremble = 0.02 * rng.standard_normal((frames, skeleton.num_joints, 3)).cumsum(0)
    poses = turned(standing(skeleton) + tremble, rng.uniform(-4, 4) + 0.3 * rng.standard_normal(frames).cumsum())
    return poses + 0.05 * rng.standard_normal((frames, 1, 3)).cumsum(0) + 5 * rng.standard_normal(3)


def at_origin(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """What features can tell of a motion: its place on the ground and its first heading are taken away."""
    right_hip, left_hip, right_shoulder, left_shoulder = joints[0, list(skeleton.face_joints)]
    across = right_hip - left_hip + right_shoulder - left_shoulder
    heading = np.arctan2(across[2], -across[0])  # of the direction up x across
    return turned(joints - [joints[0, 0, 0], joints[..., 1].min(), joints[0, 0, 2]], -heading)


@pytest.fixture(scope="module")
def golden(golden_dir):
    return load_file(golden_dir / "motion_features.safetensors")


# --------------------------------------------------------------------------------------------------------- reference


def test_extraction_agrees_with_the_original(golden):
    features = joints_to_features(golden["joints_012314"], HUMANML3D)
    np.testing.assert_allclose(features, golden["features_012314_f64"], atol=2e-5, rtol=0)


def test_recovery_agrees_with_the_original(golden):
    joints = features_to_joints(golden["vecs_012314"], 22)
    np.testing.assert_allclose(joints, golden["recovered_012314"], atol=5e-6, rtol=0)
    np.testing.assert_allclose(joints, golden["global_positions_012314"], atol=5e-6, rtol=0)


def test_recovery_by_rotations_agrees_with_the_original(golden):
    joints = features_to_joints_by_rotations(golden["vecs_012314"], HUMANML3D, golden["tgt_offsets"])
    np.testing.assert_allclose(joints, golden["recover_from_rot_012314"], atol=5e-6, rtol=0)


def test_offsets_agree_with_the_original(golden):
    np.testing.assert_array_equal(np.array(HUMANML3D.directions), golden["raw_offsets"])
    np.testing.assert_allclose(bone_offsets(golden["joints_012314"], HUMANML3D), golden["tgt_offsets"], atol=1e-7)


def test_features_of_the_published_clip(data_dir):
    sample = data_dir / "humanml3d_sample"
    joints = np.load(sample / "new_joints" / "012314.npy")
    published = np.load(sample / "new_joint_vecs" / "012314.npy")
    features = joints_to_features(joints, HUMANML3D)
    # the end of the published clip was smoothed with a frame that its joints do not have
    np.testing.assert_allclose(features[:79], published[:79], atol=2e-5, rtol=0)
    np.testing.assert_allclose(features, published[:-1], atol=0.02, rtol=0)
    np.testing.assert_allclose(features_to_joints(published, 22), joints, atol=5e-6, rtol=0)


def test_the_published_deviations_have_one_value_a_group(data_dir):
    std = np.load(data_dir / "humanml3d_sample" / "Std.npy")
    groups = feature_groups(HUMANML3D)
    assert [len(np.unique(std[columns])) for columns in groups.values()] == [1] * 7
    assert len(np.unique([std[columns][0] for columns in groups.values()])) == 7


# -------------------------------------------------------------------------------------------------------- round trip


@skeletons
@given(frames=st.integers(2, 60), seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_features_give_the_joints_back(skeleton, frames, seed):
    joints = wandering(skeleton, frames, seed)
    features = joints_to_features(joints, skeleton)
    assert features.shape == (frames - 1, skeleton.feature_size)
    recovered = features_to_joints(features, skeleton.num_joints)
    np.testing.assert_allclose(recovered, at_origin(joints, skeleton)[:-1], atol=1e-6)


CLIPS = ("bn1_bow_active_001", "bn2_walk-turn-left_active_001", "bn2_walk-turn-right_active_001", "bn2_run_active_001")


@pytest.mark.parametrize("clip", CLIPS)
def test_features_give_real_joints_back(data_dir, clip):
    joints = np.load(data_dir / "bandai_namco" / "new_joints" / f"{clip}.npy")
    features = joints_to_features(joints, HUMANML3D)
    assert features.dtype == np.float32
    expected = at_origin(joints.astype(np.float64), HUMANML3D)[:-1]
    np.testing.assert_allclose(features_to_joints(features, 22), expected, atol=2e-5)


def test_rotations_of_a_rigid_body_give_the_joints_back():
    """Positions and rotations are two descriptions of one motion, where bones keep their lengths."""
    joints = turned(np.repeat(standing(HUMANML3D)[None], 50, axis=0), np.linspace(0, 2, 50))
    joints += np.linspace([0, 0, 0], [1, 0.1, 2], 50)[:, None]
    features = joints_to_features(joints, HUMANML3D)
    by_rotations = features_to_joints_by_rotations(features, HUMANML3D, bone_offsets(joints, HUMANML3D))
    np.testing.assert_allclose(by_rotations, features_to_joints(features, 22), atol=1e-6)


@skeletons
@pytest.mark.parametrize("direction", [1, -1])
def test_a_full_turn_comes_back_by_integration(skeleton, direction):
    step = direction * 2.5 * np.pi / 200  # through 180 and 360 degrees
    joints = turned(np.repeat(standing(skeleton)[None], 200, axis=0), step * np.arange(200))
    features = joints_to_features(joints, skeleton)
    yaw_velocity = features[:, 0]
    assert (np.sign(yaw_velocity) == -direction).all()
    # half the angle of a frame, but for the ends, where the smoothing of the heading holds them
    np.testing.assert_allclose(yaw_velocity[80:-80], -step / 2, rtol=1e-4)
    np.testing.assert_allclose(2 * yaw_velocity.sum(), -step * 199, rtol=0.1)
    np.testing.assert_allclose(
        features_to_joints(features, skeleton.num_joints), at_origin(joints, skeleton)[:-1], atol=1e-6
    )


def test_a_heading_of_exactly_minus_z_is_finite():
    """Two half turns in no time: the smoothed heading is exactly -z, exactly +z, and nothing at all in between."""
    half = np.repeat(standing(HUMANML3D)[None], 61, axis=0)
    joints = np.concatenate([half, half * [-1, 1, -1], half])
    facing = facing_rotation(torch.from_numpy(joints), HUMANML3D, smooth=True)
    assert (facing[80:100, 0].abs() < 1e-6).all()  # half turns
    features = joints_to_features(joints, HUMANML3D)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features_to_joints(features, 22), at_origin(joints, HUMANML3D)[:-1], atol=1e-6)
    first = joints_to_features(joints[61:], HUMANML3D)  # begins at -z
    np.testing.assert_allclose(features_to_joints(first, 22), at_origin(joints[61:], HUMANML3D)[:-1], atol=1e-6)


@pytest.mark.parametrize("frames", [2, 3, 4])
def test_the_shortest_clips(frames):
    """Three frames, or three rows, are not mistaken for the three coordinates."""
    joints = wandering(HUMANML3D, frames, seed=1)
    features = joints_to_features(joints, HUMANML3D)
    np.testing.assert_allclose(features_to_joints(features, 22), at_origin(joints, HUMANML3D)[:-1], atol=1e-6)
    # each frame's rotations belong to its own bones
    offsets = bone_offsets(joints, HUMANML3D)
    rotated = features_to_joints_by_rotations(features, HUMANML3D, offsets)
    positions = features_to_joints(features, 22)
    parents = list(HUMANML3D.parents[1:])
    for first, second in ((rotated, positions), (positions, rotated)):
        bones = (each[:, 1:] - each[:, parents] for each in (first, second))
        bones = [bone / np.linalg.norm(bone, axis=-1, keepdims=True) for bone in bones]
        np.testing.assert_allclose(*bones, atol=1e-6)


# --------------------------------------------------------------------------------------------- what the columns mean


def test_features_do_not_depend_on_place_and_heading():
    joints = wandering(HUMANML3D, 40)
    moved = turned(joints, 2.0) + [3.0, 0.7, -5.0]
    np.testing.assert_allclose(joints_to_features(moved, HUMANML3D), joints_to_features(joints, HUMANML3D), atol=1e-6)


def test_columns_of_a_walk_straight_ahead():
    pose = standing(HUMANML3D)
    joints = np.repeat(pose[None], 30, axis=0) + np.linspace([0, 0, 0], [0, 0, 1.45], 30)[:, None]
    joints[:, HUMANML3D.left_foot[1]] = joints[0, HUMANML3D.left_foot[1]]  # the left toe stays where it is
    features = joints_to_features(joints, HUMANML3D)
    groups = {name: features[:, columns] for name, columns in feature_groups(HUMANML3D).items()}
    assert [columns.stop for columns in feature_groups(HUMANML3D).values()] == [1, 3, 4, 67, 193, 259, 263]
    np.testing.assert_allclose(groups["yaw_velocity"], 0, atol=1e-9)
    np.testing.assert_allclose(groups["root_velocity"], np.tile([0, 0.05], (29, 1)), atol=1e-9)
    np.testing.assert_allclose(groups["root_height"], -pose[:, 1].min(), atol=1e-9)
    np.testing.assert_allclose(groups["positions"][10, :3], pose[1] - [0, pose[:, 1].min(), 0], atol=1e-9)
    velocities = groups["velocities"].reshape(29, 22, 3)
    np.testing.assert_allclose(velocities[:, 15], np.tile([0, 0, 0.05], (29, 1)), atol=1e-9)
    # 5 cm a frame is more than a foot in contact moves
    np.testing.assert_array_equal(groups["contacts"], np.tile([0, 1, 0, 0], (29, 1)))


def test_contacts_of_a_figure_that_stands():
    joints = np.repeat(standing(HUMANML3D)[None], 10, axis=0)
    assert (joints_to_features(joints, HUMANML3D)[:, -4:] == 1).all()


# --------------------------------------------------------------------------------------------------- kinds of arrays


def calls(joints, features):
    """Every function that keeps the kind of its argument, on one motion."""
    offsets = bone_offsets(joints, HUMANML3D)
    return [
        offsets,
        joints_to_features(joints, HUMANML3D),
        features_to_joints(features, 22),
        features_to_joints_by_rotations(features, HUMANML3D, offsets),
        retarget(joints, HUMANML3D, offsets),
        mirror_joints(joints, HUMANML3D),
        resample(joints, 20, 30),
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_stay_arrays_and_tensors_tensors(dtype):
    joints = wandering(HUMANML3D, 12).astype(dtype)
    features = joints_to_features(joints, HUMANML3D)
    of_arrays = calls(joints, features)
    of_tensors = calls(torch.from_numpy(joints), torch.from_numpy(features))
    for array, tensor in zip(of_arrays, of_tensors, strict=True):
        assert isinstance(array, np.ndarray) and array.dtype == dtype
        assert isinstance(tensor, torch.Tensor) and tensor.dtype == getattr(torch, dtype)
        np.testing.assert_array_equal(array, tensor.numpy())


def test_arguments_by_name_lists_and_read_only_arrays():
    joints = np.rint(10 * wandering(HUMANML3D, 5)).astype(int)
    expected = joints_to_features(joints.astype(np.float32), HUMANML3D)
    np.testing.assert_array_equal(joints_to_features(joints=joints.tolist(), skeleton=HUMANML3D), expected)
    expected.setflags(write=False)
    assert features_to_joints(num_joints=22, features=expected).shape == (4, 22, 3)


def test_features_to_joints_is_batched():
    features = np.stack([joints_to_features(wandering(HUMANML3D, 9, seed), HUMANML3D) for seed in range(6)])
    batched = features_to_joints(features.reshape(2, 3, 8, 263), 22)
    assert batched.shape == (2, 3, 8, 22, 3)
    for index in range(6):
        np.testing.assert_array_equal(batched[index // 3, index % 3], features_to_joints(features[index], 22))


def test_features_to_joints_is_differentiable():
    small = 2  # joints: root and one more
    features = torch.randn(2, 5, 12 * small - 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda features: features_to_joints(features, small), features)
    (gradient,) = torch.autograd.grad(features_to_joints(features, small).square().sum(), features)
    used = gradient.abs().sum((0, 1)) > 0
    np.testing.assert_array_equal(used.nonzero().flatten(), np.arange(7))  # root and positions, no other column


# ------------------------------------------------------------------------------------------------------------ mirror


@skeletons
def test_mirror_twice_is_the_motion(skeleton):
    joints = wandering(skeleton, 8)
    mirrored = mirror_joints(joints, skeleton)
    assert not np.allclose(mirrored, joints)
    np.testing.assert_array_equal(mirror_joints(mirrored, skeleton), joints)
    np.testing.assert_array_equal(mirror_joints(np.stack([joints, joints]), skeleton)[1], mirrored)  # batched


def test_mirrored_features():
    joints = wandering(HUMANML3D, 60)
    joints[:, :, 0] += np.linspace(0, 3, 60)[:, None]  # to the left, if it faces +z
    joints[:, 7] = joints[0, 7]  # and only the left ankle is in contact
    features = joints_to_features(at_origin(joints, HUMANML3D), HUMANML3D)
    mirrored = joints_to_features(mirror_joints(at_origin(joints, HUMANML3D), HUMANML3D), HUMANML3D)
    np.testing.assert_allclose(mirrored[:, :4], features[:, :4] * [-1, -1, 1, 1], atol=1e-6)
    positions, mirrored_positions = (each[:, 4:67].reshape(-1, 21, 3) for each in (features, mirrored))
    swapped = np.array(HUMANML3D.mirrored_joints)[1:] - 1
    np.testing.assert_allclose(mirrored_positions, positions[:, swapped] * [-1, 1, 1], atol=1e-6)
    assert features[:, -4].all() and not features[:, -4:].all()
    np.testing.assert_array_equal(mirrored[:, -4:], features[:, [-2, -1, -4, -3]])


def test_a_walk_to_the_left_is_mirrored_into_one_to_the_right():
    joints = np.repeat(standing(HUMANML3D)[None], 30, axis=0) + np.linspace([0, 0, 0], [1.45, 0, 0], 30)[:, None]
    velocity = joints_to_features(joints, HUMANML3D)[:, 1]
    np.testing.assert_allclose(velocity, 0.05, atol=1e-9)
    np.testing.assert_allclose(joints_to_features(mirror_joints(joints, HUMANML3D), HUMANML3D)[:, 1], -0.05, atol=1e-9)


# --------------------------------------------------------------------------------------------- retarget and resample


def bone_lengths(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    return np.linalg.norm(joints[..., 1:, :] - joints[..., list(skeleton.parents[1:]), :], axis=-1)


@skeletons
def test_retarget_gives_the_lengths_of_the_target(skeleton):
    joints = wandering(skeleton, 20)
    lengths = np.random.default_rng(3).uniform(0.1, 0.6, skeleton.num_joints)
    retargeted = retarget(joints, skeleton, np.array(skeleton.directions) * lengths[:, None])
    np.testing.assert_allclose(bone_lengths(retargeted, skeleton), np.tile(lengths[1:], (20, 1)), rtol=1e-6)
    # bones keep their directions
    parents = list(skeleton.parents[1:])
    bones, targets = (each[:, 1:] - each[:, parents] for each in (joints, retargeted))
    cosines = (bones * targets).sum(-1) / np.linalg.norm(bones, axis=-1) / np.linalg.norm(targets, axis=-1)
    np.testing.assert_allclose(cosines, 1, atol=1e-9)
    # the path of the root is scaled with the legs
    legs = list(skeleton.leg_joints)
    scale = lengths[legs].sum() / np.linalg.norm(bone_offsets(joints, skeleton)[legs], axis=-1).sum()
    np.testing.assert_allclose(retargeted[:, 0], joints[:, 0] * scale, rtol=1e-9)


def test_retarget_to_its_own_body_changes_nothing(golden):
    joints = golden["joints_012314"]
    np.testing.assert_allclose(retarget(joints, HUMANML3D, bone_offsets(joints, HUMANML3D)), joints, atol=1e-5)


@given(st.integers(1, 50), st.floats(5, 120), st.floats(5, 120))
@settings(deadline=None)
def test_resample_keeps_a_steady_motion(frames, source_fps, target_fps):
    seconds = np.arange(frames) / source_fps
    motion = seconds[:, None, None] * np.array([[1.0, -2.0, 0.5]])
    resampled = resample(motion, source_fps, target_fps)
    expected = (np.arange(len(resampled)) / target_fps)[:, None, None] * np.array([[1.0, -2.0, 0.5]])
    np.testing.assert_allclose(resampled, expected, atol=1e-5)
    # it ends less than a frame before the motion does, and not after it
    assert -1e-5 <= seconds[-1] - (len(resampled) - 1) / target_fps < 1 / target_fps


def test_resample_counts():
    motion = np.arange(61.0)[:, None]
    assert len(resample(motion, 30, 20)) == 41
    assert len(resample(motion, 20, 30)) == 91
    np.testing.assert_array_equal(resample(motion, 20, 20), motion)
    np.testing.assert_array_equal(resample(motion, 120, 20), motion[::6])
    np.testing.assert_allclose(resample(motion, 30, 20)[:4, 0], [0, 1.5, 3, 4.5])


# -------------------------------------------------------------------------------------------------------- statistics


@skeletons
def test_statistics_agree_with_their_definition(skeleton):
    clips = [3 + joints_to_features(wandering(skeleton, frames, frames), skeleton) for frames in (5, 30, 17)]
    mean, std = feature_statistics((clip for clip in clips), skeleton)
    frames = np.concatenate(clips)
    assert mean.dtype == std.dtype == np.float32 and mean.shape == std.shape == (skeleton.feature_size,)
    np.testing.assert_allclose(mean, frames.mean(0), rtol=1e-5, atol=1e-6)
    joints, start, ends = skeleton.num_joints, 0, []
    for size in (1, 2, 1, 3 * (joints - 1), 6 * (joints - 1), 3 * joints, 4):
        ends.append(start + size)
        np.testing.assert_allclose(std[start : ends[-1]], frames.std(0)[start : ends[-1]].mean(), rtol=1e-5)
        start = ends[-1]
    assert start == skeleton.feature_size


def test_statistics_of_what_never_changes():
    features = np.full((10, 263), 1e4) + np.pad(np.arange(10.0)[:, None], ((0, 0), (3, 259)))  # the height rises
    mean, std = feature_statistics([features[:4], features[4:], features[:0]], HUMANML3D)
    np.testing.assert_allclose(std[3], np.arange(10).std(), rtol=1e-6)
    assert (np.delete(std, 3) == 1).all()
    np.testing.assert_allclose(np.delete(mean, 3), 1e4)


def test_bias_std():
    std = np.random.default_rng(0).uniform(1, 2, 263).astype(np.float32)
    before = std.copy()
    biased = bias_std(std, HUMANML3D, feat_bias=4.0)
    np.testing.assert_array_equal(std, before)
    lowered = [*range(4), *range(259, 263)]
    np.testing.assert_allclose(biased[lowered], std[lowered] / 4)
    np.testing.assert_array_equal(np.delete(biased, lowered), np.delete(std, lowered))


# --------------------------------------------------------------------------------------------------------- bad input


def test_bad_joints_and_features():
    joints = wandering(HUMANML3D, 5)
    with pytest.raises(ValueError, match=r"shape \(5, 21, 3\), but joints of the humanml3d .* \(frames, 22, 3\)"):
        joints_to_features(joints[:, 1:], HUMANML3D)
    for function in (joints_to_features, bone_offsets):
        with pytest.raises(ValueError, match=r"shape \(5, 22, 3\), but joints of the kit .* \(frames, 21, 3\)"):
            function(joints, KIT)
    with pytest.raises(ValueError, match=r"the shape \(..., 21, 3\) for the kit skeleton; got \(5, 22, 3\)"):
        mirror_joints(joints, KIT)
    with pytest.raises(ValueError, match="`joints` has no frames"):
        bone_offsets(joints[:0], HUMANML3D)
    with pytest.raises(ValueError, match=r"shape \(2, 5, 22, 3\), but joints of the humanml3d"):
        joints_to_features(np.stack([joints, joints]), HUMANML3D)
    with pytest.raises(ValueError, match="at least 2 frames"):
        joints_to_features(joints[:1], HUMANML3D)
    for bad in (np.nan, np.inf):
        broken = joints.copy()
        broken[3, 7, 1] = bad
        with pytest.raises(ValueError, match="NaN or infinite"):
            joints_to_features(broken, HUMANML3D)
    with pytest.raises(ValueError, match="NaN or infinite values, first in frame 3"):
        joints_to_features(np.ma.array(joints, mask=broken != joints), HUMANML3D)
    with pytest.raises(ValueError, match="Features of 21 joints have 251 columns; got 263"):
        features_to_joints(np.zeros((5, 263)), 21)
    with pytest.raises(ValueError, match=r"`offsets` must have the shape \(22, 3\); got \(21, 3\)"):
        retarget(joints, HUMANML3D, np.ones((21, 3)))
    with pytest.raises(ValueError, match="leg bones .* have no length"):
        retarget(np.zeros((5, 22, 3)), HUMANML3D, bone_offsets(joints, HUMANML3D))
    with pytest.raises(ValueError, match="must be positive; got 20 and 0"):
        resample(joints, 20, 0)


def test_bad_statistics():
    with pytest.raises(ValueError, match="not one frame"):
        feature_statistics([], HUMANML3D)
    with pytest.raises(ValueError, match=r"have the shape \(frames, 251\); got \(5, 263\)"):
        feature_statistics([np.zeros((5, 263))], KIT)


# ---------------------------------------------------------------------------------------------------------- skeleton


@skeletons
def test_skeletons_go_through_json(skeleton):
    assert Skeleton.from_dict(json.loads(json.dumps(skeleton.to_dict()))) == skeleton
    assert skeleton.feature_size == 12 * skeleton.num_joints - 1
    assert skeleton.parents[0] == -1 and all(parent >= 0 for parent in skeleton.parents[1:])
    # "left" and "right" in the names agree with the pairs and the feet
    for left, right in skeleton.mirror_pairs:
        names = skeleton.joint_names[left], skeleton.joint_names[right]
        assert names[0].startswith("left_") and names[1] == names[0].replace("left", "right")
    assert all(skeleton.joint_names[joint].startswith("left_") for joint in skeleton.left_foot)
    assert all(skeleton.joint_names[joint].startswith("right_") for joint in skeleton.right_foot)


def test_parents():
    assert HUMANML3D.parents == (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
    assert KIT.parents == (-1, 0, 1, 2, 3, 3, 5, 6, 3, 8, 9, 0, 11, 12, 13, 14, 0, 16, 17, 18, 19)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joint_names": HUMANML3D.joint_names[:-1]}, "22 directions for 21 joint names"),
        ({"chains": HUMANML3D.chains[:-1]}, "must reach every joint but the root exactly once"),
        ({"chains": HUMANML3D.chains + ((9, 13),)}, "must reach every joint but the root exactly once"),
        ({"chains": HUMANML3D.chains[::-1]}, r"chain \(9, 13, 16, 18, 20\) must start on an earlier one"),
        ({"directions": ((0, 0, 0), (2, 0, 0)) + HUMANML3D.directions[2:]}, "must have the length 1"),
        ({"face_joints": (2, 1, 17, 22)}, "must be indices below 22"),
        ({"left_foot": (7, -1)}, "must be indices below 22"),
        ({"mirror_pairs": ((1, 2), (2, 3))}, "none may be in two of `mirror_pairs`"),
    ],
)
def test_a_skeleton_that_does_not_hold_together(changes, message):
    with pytest.raises(ValueError, match=f"skeleton humanml3d: .*{message}"):
        dataclasses.replace(HUMANML3D, **changes)


def test_a_skeleton_of_ones_own():
    """A new body is data: here five joints, a root with two legs and two arms."""
    own = Skeleton(
        name="own",
        fps=30.0,
        metres_per_unit=0.01,
        joint_names=("root", "left_leg", "right_leg", "left_arm", "right_arm"),
        chains=((0, 1), (0, 2), (0, 3), (0, 4)),
        directions=((0, 0, 0), (0.6, -0.8, 0), (-0.6, -0.8, 0), (1, 0, 0), (-1, 0, 0)),
        face_joints=(2, 1, 4, 3),
        left_foot=(1, 1),
        right_foot=(2, 2),
        leg_joints=(1, 1),
        contact_threshold=0.1,
        mirror_pairs=((1, 2), (3, 4)),
    )
    joints = wandering(own, 30)
    features = joints_to_features(joints, own)
    assert features.shape == (29, 59)
    np.testing.assert_allclose(features_to_joints(features, 5), at_origin(joints, own)[:-1], atol=1e-6)
    np.testing.assert_array_equal(mirror_joints(mirror_joints(joints, own), own), joints)
