# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Clean feet: what must hold for any motion, and what it does to a sliding one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tm2t_hf import HUMANML3D, KIT
from tm2t_hf.cleanup import bone_lengths, clean_motion, foot_contacts, legs, smoothed, with_locked_foot
from tm2t_hf.metrics import foot_sliding, ground_penetration
from tm2t_hf.toy import make_toy_clip


def toy(action: str, seed: int = 0) -> np.ndarray:
    joints, _ = make_toy_clip(action, np.random.default_rng(seed))
    return joints


def lengths_over_time(joints: np.ndarray) -> np.ndarray:
    return np.linalg.norm(joints[:, 1:] - joints[:, list(HUMANML3D.parents[1:])], axis=-1)


def sliding(joints: np.ndarray, speed: float) -> np.ndarray:
    """The whole body drifting over the ground, in meters per second."""
    drift = np.arange(len(joints))[:, None] * np.array([speed / 20, 0, 0])
    return joints + drift[:, None]


def test_legs_are_hip_knee_ankle_and_foot():
    assert [[HUMANML3D.joint_names[joint] for joint in leg] for leg in legs(HUMANML3D)] == [
        [f"{side}_{part}" for part in ("hip", "knee", "ankle", "toe")] for side in ("left", "right")
    ]
    assert [KIT.joint_names[joint] for joint in legs(KIT)[1]] == [
        f"right_{part}" for part in ("hip", "knee", "ankle", "heel", "toe")
    ]


def test_feet_that_slide_stand_still():
    slides = sliding(toy("wave-left"), speed=0.05)
    cleaned = clean_motion(slides)
    assert foot_sliding(slides, HUMANML3D) > 0.045
    assert foot_sliding(cleaned, HUMANML3D) < 0.01
    contacts = foot_contacts(slides, HUMANML3D, 20.0)
    assert contacts.mean() > 0.9
    for leg, contact in zip(legs(HUMANML3D), contacts.T, strict=True):
        toe = cleaned[contact, leg[-1]]
        assert np.ptp(toe, axis=0).max() < 1e-5


@pytest.mark.parametrize("action", ["walk", "run", "jump", "kick-left", "punch-right", "squat"])
def test_a_good_motion_stays_what_it_is(action):
    joints = toy(action)
    cleaned = clean_motion(joints)
    assert np.abs(cleaned - joints).max() < 0.08
    # fast movements keep their extent
    assert np.ptp(cleaned - cleaned[:, :1], axis=0).max() > 0.97 * np.ptp(joints - joints[:, :1], axis=0).max()


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    action=st.sampled_from(["walk", "run", "turn-left", "jump-forward", "bow"]),
    noise=st.floats(0, 0.02),
    sunk=st.floats(0, 0.1),
)
def test_bones_keep_their_lengths_and_nothing_sinks(seed, action, noise, sunk):
    rng = np.random.default_rng(seed)
    joints = toy(action, seed) + rng.normal(0, noise, (1, 22, 3)) - np.array([0, sunk, 0])
    joints = joints + rng.normal(0, noise / 2, joints.shape)
    cleaned = clean_motion(joints)
    assert cleaned.shape == joints.shape and cleaned.dtype == np.float32 and np.isfinite(cleaned).all()
    assert np.abs(lengths_over_time(cleaned) - bone_lengths(joints, HUMANML3D)[1:]).max() < 1e-4
    assert ground_penetration(cleaned) <= ground_penetration(joints) + 0.01


def test_a_motion_in_the_air_is_only_smoothed():
    rng = np.random.default_rng(0)
    joints = toy("wave-right") + np.array([0, 1.0, 0])
    assert not foot_contacts(joints, HUMANML3D, 20.0).any()
    assert np.abs(clean_motion(joints) - joints).max() < 0.02
    noisy = joints + rng.normal(0, 0.01, joints.shape)
    jitter = [np.abs(np.diff(motion, n=2, axis=0)).mean() for motion in (noisy, clean_motion(noisy))]
    assert jitter[1] < 0.6 * jitter[0]


def test_a_foot_out_of_reach_stays_on_its_leg():
    slides = sliding(toy("wave-left"), speed=0.3)
    cleaned = clean_motion(slides)
    assert np.abs(lengths_over_time(cleaned) - bone_lengths(slides, HUMANML3D)[1:]).max() < 1e-4
    assert foot_sliding(cleaned, HUMANML3D) < foot_sliding(slides, HUMANML3D)


def test_a_foot_is_let_go_upward_sooner_than_sideways():
    """A foot that rolled off while it was held down would else swing too low."""
    joints = np.repeat(toy("bow")[:1].astype(np.float64), 20, axis=0)
    leg = legs(HUMANML3D)[0]
    foot = list(leg[2:])
    joints[9:, foot] += [0.02, 0.03, 0]
    contact = np.zeros(20, dtype=bool)
    contact[5:10] = True
    long_enough = 1.2 * bone_lengths(joints, HUMANML3D)
    moved = with_locked_foot(joints, leg, contact, long_enough, 20.0)
    along, up, _ = np.abs(moved - joints)[:, leg[-1]].T
    assert up[9] > 0.02 and up[11:].max() < 1e-6
    assert along[12] > 0.002 and along[13:].max() < 1e-6


def test_smoothing_keeps_parabolas():
    times = np.arange(30.0)[:, None, None]
    straight = np.concatenate([times, 2 - times, 0 * times], axis=2)
    np.testing.assert_allclose(smoothed(straight, 20.0), straight, atol=1e-9)
    curved = times**2 * np.ones((1, 1, 3))
    np.testing.assert_allclose(smoothed(curved, 20.0)[2:-2], curved[2:-2], atol=1e-8)


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_short_motions(frames):
    assert clean_motion(toy("walk")[:frames]).shape == (frames, 22, 3)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"`joints` has shape \(5, 21, 3\)"):
        clean_motion(np.zeros((5, 21, 3)))
    with pytest.raises(ValueError, match="`joints` holds NaN"):
        clean_motion(np.full((5, 22, 3), np.nan))
