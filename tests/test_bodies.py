# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Known bodies, bodies of other proportions, and heights, whatever the pose, place, direction and unit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tm2t_hf.bodies import (
    BODIES,
    METRES_PER_UNIT,
    body_height,
    body_parts,
    find_unit,
    known_offsets,
    varied_offsets,
)
from tm2t_hf.motion import HUMANML3D, KIT, bone_offsets, joints_to_features, retarget
from tm2t_hf.toy import make_toy_clip


def lengths(offsets):
    return np.linalg.norm(offsets, axis=-1)


def test_the_body_of_humanml3d_is_that_of_its_clip_012314(data_dir):
    joints = np.load(data_dir / "humanml3d_sample" / "new_joints" / "012314.npy")
    np.testing.assert_allclose(known_offsets("humanml3d", HUMANML3D), bone_offsets(joints, HUMANML3D), atol=1e-5)


def test_known_offsets_are_a_copy_of_a_body_of_this_skeleton():
    offsets = known_offsets("humanml3d", HUMANML3D)
    offsets += 1
    assert not np.array_equal(offsets, known_offsets("humanml3d", HUMANML3D))
    assert known_offsets("humanml3d", KIT) is None
    assert known_offsets("nobody", HUMANML3D) is None
    assert list(BODIES) == ["humanml3d"]


@pytest.mark.parametrize("skeleton", [HUMANML3D, KIT], ids=lambda skeleton: skeleton.name)
def test_every_bone_belongs_to_one_part(skeleton):
    parts = body_parts(skeleton)
    assert sorted(sum(parts.values(), [])) == list(range(1, skeleton.num_joints))
    names = {part: {skeleton.joint_names[joint] for joint in joints} for part, joints in parts.items()}
    assert {"left_elbow", "right_wrist"} <= names["arms"] and {"left_knee", "right_toe"} <= names["legs"]
    assert "head" in names["spine"] and {"left_hip", "right_hip"} <= names["spine"]
    assert "left_shoulder" in names["shoulders"]


def test_varied_bodies_stay_within_the_amount_and_parts_change_together():
    offsets = known_offsets("humanml3d", HUMANML3D)
    scales = []
    for seed in range(20):
        varied = varied_offsets(offsets, HUMANML3D, np.random.default_rng(seed), amount=0.2)
        scale = lengths(varied)[1:] / lengths(offsets)[1:]
        assert (scale > 0.8 - 1e-9).all() and (scale < 1.2 + 1e-9).all()
        for joints in body_parts(HUMANML3D).values():
            np.testing.assert_allclose(scale[np.array(joints) - 1], scale[joints[0] - 1])
        scales.append(scale)
    assert np.ptp(scales, axis=0).min() > 0.2
    same = varied_offsets(offsets, HUMANML3D, np.random.default_rng(0), amount=0, tilt=0)
    np.testing.assert_allclose(same, offsets)


def test_retargeting_takes_back_what_other_lengths_changed():
    """Whoever performs a motion, retargeted to one body it has nearly the same features."""
    joints, _ = make_toy_clip("walk", np.random.default_rng(0))
    offsets = known_offsets("humanml3d", HUMANML3D)
    wanted = joints_to_features(retarget(joints, HUMANML3D, offsets), HUMANML3D)
    other = varied_offsets(bone_offsets(joints, HUMANML3D), HUMANML3D, np.random.default_rng(1), tilt=0)
    performed = retarget(joints, HUMANML3D, other)
    assert np.abs(joints_to_features(performed, HUMANML3D) - joints_to_features(joints, HUMANML3D)).max() > 0.05
    found = joints_to_features(retarget(performed, HUMANML3D, offsets), HUMANML3D)
    np.testing.assert_allclose(found[:, 4:-4], wanted[:, 4:-4], atol=2e-3)


@pytest.fixture(scope="module")
def walk():
    return make_toy_clip("walk", np.random.default_rng(0))[0].astype(np.float64)


def test_the_body_of_humanml3d_is_an_adult(data_dir):
    joints = np.load(data_dir / "humanml3d_sample/new_joints/012314.npy")
    assert body_height(joints, HUMANML3D) == pytest.approx(1.70, abs=0.03)
    head = joints[:, 15, 1].max()  # the base of the skull of a person who stands upright in some frame
    assert 1.05 < body_height(joints, HUMANML3D) / head < 1.15


def test_the_pose_does_not_matter(walk):
    """Every action of the toy set is performed by one body."""
    for action in ("bow", "squat", "wave-left", "jump"):
        joints, _ = make_toy_clip(action, np.random.default_rng(1))
        other = retarget(joints.astype(np.float64), HUMANML3D, bone_offsets(walk, HUMANML3D))
        assert body_height(other, HUMANML3D) == pytest.approx(body_height(walk, HUMANML3D), rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(
    size=st.floats(1e-4, 1e4),
    angle=st.floats(-3, 3),
    axis=st.sampled_from(range(3)),
    place=st.tuples(*[st.floats(-9, 9)] * 3),
)
def test_height_scales_with_the_body_and_with_nothing_else(walk, size, angle, axis, place):
    turn = np.eye(3)
    rows = [index for index in range(3) if index != axis]
    turn[np.ix_(rows, rows)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    moved = (walk @ turn.T + place) * size
    assert body_height(moved, HUMANML3D) == pytest.approx(size * body_height(walk, HUMANML3D), rel=1e-6)


@pytest.mark.parametrize("unit", METRES_PER_UNIT)
def test_the_unit_of_an_adult_is_found(walk, unit):
    assert find_unit(walk / METRES_PER_UNIT[unit], HUMANML3D).value == unit


def test_a_skeleton_whose_head_points_up_is_measured_alike():
    lengths = np.full(KIT.num_joints, 0.1)
    lengths[1:5] = 0.16  # spine to head
    lengths[[12, 13, 17, 18]] = 0.42
    pose = np.zeros((KIT.num_joints, 3))
    for chain in KIT.chains:
        for parent, joint in zip(chain, chain[1:], strict=False):
            pose[joint] = pose[parent] + lengths[joint] * np.array(KIT.directions[joint])
    assert body_height(pose[None], KIT) == pytest.approx(1.15 * (0.64 + 0.84))
