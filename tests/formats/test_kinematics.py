# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Rotations of rigid bones: exact where bones are rigid, near where they are not, and without flips."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigid_motions import (
    bend,
    largest_error,
    random_motion,
    random_skeleton,
    steps_in_degrees,
    t_pose,
    turn,
)

from tm2t_hf.formats.kinematics import animate_bones, checked_joints, forward_kinematics, rest_positions
from tm2t_hf.skeletons import HUMANML3D, KIT

NAMES = HUMANML3D.joint_names


def rotations_of(joints, skeleton=HUMANML3D):
    """Local rotations (frames, joints, 4); the joints that they give must be the ones asked for."""
    animation = animate_bones(joints, skeleton)
    assert largest_error(forward_kinematics(animation).numpy(), joints) < 1e-5
    quaternions = animation.rotations.numpy()
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=-1), 1, atol=1e-9)
    assert ((quaternions[1:] * quaternions[:-1]).sum(axis=-1) >= 0).all()  # the sign never changes
    return quaternions


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 30), frames=st.integers(1, 40))
def test_rigid_bones_of_any_skeleton_are_met_exactly(seed, count, frames):
    rng = np.random.default_rng(seed)
    skeleton = random_skeleton(rng, count)
    rotations_of(random_motion(rng, skeleton, frames), skeleton)


@pytest.mark.parametrize("skeleton", [HUMANML3D, KIT], ids=["humanml3d", "kit"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_slow_motion_is_slow_in_every_joint(skeleton, seed):
    joints = random_motion(np.random.default_rng(seed), skeleton, 90, degrees=2.0)
    assert steps_in_degrees(rotations_of(joints, skeleton)).max() < 45


def test_the_t_pose_is_the_rest_pose():
    animation = animate_bones(np.stack([t_pose()] * 3))
    np.testing.assert_allclose(animation.rotations[..., 0], 1)
    rest = rest_positions(animation).numpy()
    np.testing.assert_allclose(rest, t_pose() - [0, 0.08, 0], atol=1e-9)  # standing on the floor


@pytest.mark.parametrize("axis", [(0, 1, 0), (1, 0, 0), (0, 0, 1), (1, 1, 1), (0.2, 1, 0.1)])
@pytest.mark.parametrize("skeleton", [HUMANML3D, KIT], ids=["humanml3d", "kit"])
def test_two_turns_of_the_whole_body_move_the_root_alone(axis, skeleton):
    pose = random_motion(np.random.default_rng(1), skeleton, 1)[0] if skeleton is KIT else t_pose()
    joints = pose @ turn(axis, np.linspace(0, 720, 145)).transpose(0, 2, 1)
    steps = steps_in_degrees(rotations_of(joints, skeleton))
    np.testing.assert_allclose(steps[:, 0], 5, atol=1e-4)
    assert steps[:, 1:].max() < 1e-3


@pytest.mark.parametrize("axis", [(0, 1, 0), (1, 0, 0), (0, 0, 1), (0.05, 1, 0.02), (0.3, 0.2, 1)])
@pytest.mark.parametrize("joint", ["left_shoulder", "right_hip", "right_shoulder", "neck", "spine1", "left_ankle"])
def test_a_limb_that_goes_round_does_not_flip(axis, joint):
    """Also where it points opposite to the T-pose, where the smallest rotation flips."""
    joints = np.stack([t_pose()] * 121)
    joints = bend(joints, joint, turn(axis, np.linspace(0, 720, 121)))
    assert steps_in_degrees(rotations_of(joints)).max() < 45


def test_an_arm_that_turns_away_from_its_opposite_is_not_twisted_for_good():
    """Back in the first pose, the rotations are the first ones: smoothing adds no turn that stays."""
    joints = bend(np.stack([t_pose()] * 121), "left_shoulder", turn((0, 1, 0), np.linspace(0, 360, 121)))
    quaternions = rotations_of(joints)
    difference = steps_in_degrees(np.stack([quaternions[0], quaternions[-1]]))
    assert difference.max() < 20


@pytest.mark.parametrize(
    ("upper", "lower", "axis"),
    [("left_hip", "left_knee", (1, 0, 0)), ("left_shoulder", "left_elbow", (0, -1, 0))],
)
def test_knees_and_elbows_are_hinges(upper, lower, axis):
    joints = bend(np.stack([t_pose()] * 41), lower, turn(axis, np.linspace(0, 120, 41)))
    quaternions = rotations_of(joints)
    hinge = quaternions[:, NAMES.index(lower)]
    expected = np.radians(np.linspace(0, 120, 41)) / 2
    np.testing.assert_allclose(hinge[:, 0], np.cos(expected), atol=1e-6)
    np.testing.assert_allclose(hinge[:, 1:], np.sin(expected)[:, None] * axis, atol=1e-6)
    others = np.delete(quaternions, NAMES.index(lower), axis=1)
    np.testing.assert_allclose(others[..., 0], 1, atol=1e-9)


def test_an_upper_arm_turns_about_itself_with_the_elbow():
    """Held sideways with a bent elbow, the forearm swings up: positions show this twist, so it is not lost."""
    joints = bend(np.stack([t_pose()] * 31), "left_elbow", turn((0, -1, 0), np.full(31, 90)))
    joints = bend(joints, "left_shoulder", turn((1, 0, 0), np.linspace(0, -90, 31)))
    quaternions = rotations_of(joints)
    upper, lower = (quaternions[:, NAMES.index(joint)] for joint in ("left_shoulder", "left_elbow"))
    assert steps_in_degrees(upper[[0, -1]])[0] > 80
    assert steps_in_degrees(lower[[0, -1]])[0] < 10


@pytest.mark.parametrize("lower", ["left_knee", "right_elbow"])
def test_a_limb_that_is_bent_beyond_straight_does_not_flip(lower):
    axis = (1, 0, 0) if "knee" in lower else (0, 1, 0)
    degrees = 40 * np.sin(np.linspace(0, 4 * np.pi, 161))  # 3 degrees per frame through the straight pose
    steps = steps_in_degrees(rotations_of(bend(np.stack([t_pose()] * 161), lower, turn(axis, degrees))))
    assert steps.max() < 45


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), noise=st.floats(0.001, 0.03))
def test_joints_of_bones_that_change_their_length_are_met_nearly(seed, noise):
    rng = np.random.default_rng(seed)
    rigid = bend(np.stack([t_pose()] * 60), "right_shoulder", turn((0, 0, 1), np.linspace(0, 60, 60)))
    wave = np.sin(np.linspace(0, 2 * np.pi, 60)[:, None, None] + rng.uniform(0, 6, size=(22, 3)))
    joints = rigid + noise * wave
    animation = animate_bones(joints)
    places = forward_kinematics(animation).numpy()
    lengths = np.linalg.norm(places[:, 1:] - places[:, list(HUMANML3D.parents[1:])], axis=-1)
    np.testing.assert_allclose(lengths, lengths[:1].repeat(60, 0), atol=1e-9)
    # 1.12 times the noise on average at 30 mm, with a deviation of 0.14
    assert np.linalg.norm(places - joints, axis=-1).mean() < 2 * noise


def test_a_bone_that_vanishes_in_some_frames_keeps_its_direction():
    joints = bend(np.stack([t_pose()] * 40), "left_elbow", turn((0, 0, 1), np.linspace(0, 80, 40)))
    wrist, elbow = NAMES.index("left_wrist"), NAMES.index("left_elbow")
    rigid = joints.copy()
    joints[20:22, wrist] = joints[20:22, elbow] - 0.01 * (joints[20:22, wrist] - joints[20:22, elbow])
    animation = animate_bones(joints)
    assert largest_error(forward_kinematics(animation).numpy(), rigid) < 0.03
    assert steps_in_degrees(animation.rotations.numpy()).max() < 45


def test_real_motion(data_dir):
    """Bones of these clips are rigid up to the resampling to 20 fps: no joint misses by much more than that."""
    clips = sorted((data_dir / "bandai_namco/new_joints").glob("*.npy"))
    for path in [*clips[::150], *[clip for clip in clips if "turn" in clip.name][::40]]:
        joints = np.load(path).astype(float)
        animation = animate_bones(joints)
        lengths = np.linalg.norm(joints[:, 1:] - joints[:, list(HUMANML3D.parents[1:])], axis=-1)
        stretch = np.abs(lengths - np.median(lengths, axis=0)).max()
        assert largest_error(forward_kinematics(animation).numpy(), joints) < 0.001 + 2 * stretch, path
        # a sprinter's shin really turns by 45 degrees in a twentieth of a second
        assert steps_in_degrees(animation.rotations.numpy()).max() < (60 if "run" in path.name else 45), path


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        (np.zeros((3, 21, 3)), r"`joints` has shape \(3, 21, 3\), but .* humanml3d .* \(frames, 22, 3\)"),
        (np.zeros((0, 22, 3)), "`joints` has no frames"),
        (np.full((2, 22, 3), np.nan), "`joints` holds NaN or infinite values"),
        (np.zeros((2, 22, 3)), "bones that end at left_hip, right_hip, .* have no length"),
    ],
)
def test_bad_joints_get_one_sentence(joints, message):
    with pytest.raises(ValueError, match=message) as error:
        animate_bones(joints)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fps", [0, -20, np.nan, np.inf])
def test_bad_frame_rates_get_one_sentence(fps):
    with pytest.raises(ValueError, match="fps=.* must be above 0"):
        checked_joints(np.stack([t_pose()]), fps)
