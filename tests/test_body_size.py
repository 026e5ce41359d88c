# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Heights of bodies: those of known people, whatever their pose, place, direction and unit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tm2t_hf.body_size import METRES_PER_UNIT, body_height, find_unit
from tm2t_hf.motion import bone_offsets, retarget
from tm2t_hf.skeletons import HUMANML3D, KIT
from tm2t_hf.toy import make_toy_clip


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
