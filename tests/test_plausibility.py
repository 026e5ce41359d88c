# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Axes, units, order and kind of the numbers in a motion: what a body cannot be, and what it hardly is."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from tm2t_hf.motion import feature_statistics, joints_to_features
from tm2t_hf.plausibility import doubts_about, doubts_about_features, problems_of, problems_of_features
from tm2t_hf.skeletons import HUMANML3D, KIT
from tm2t_hf.toy import ACTIONS, make_toy_clip


def clip(action="walk", seed=0):
    return make_toy_clip(action, np.random.default_rng(seed))[0]


def angles(joints):
    """Axis-angle rotations that swing, as SMPL's poses do."""
    rng = np.random.default_rng(0)
    swing = np.sin(0.2 * np.arange(len(joints))[:, None, None] + rng.uniform(0, 6, (22, 3)))
    return rng.normal(0, 0.2, (22, 3)) + rng.uniform(0, 0.5, (22, 3)) * swing


@pytest.mark.parametrize("action", ACTIONS)
def test_ordinary_motions_raise_no_doubt(action):
    joints = clip(action)
    features = joints_to_features(joints, HUMANML3D)
    for motion in (joints, torch.from_numpy(joints), joints + [100, 5, -100]):
        assert problems_of(motion, HUMANML3D) == doubts_about(motion, HUMANML3D) == []
    assert problems_of_features(features, HUMANML3D) == doubts_about_features(features, HUMANML3D) == []


def test_real_motions_raise_no_doubt(data_dir):
    lying = ["dm_crawl", "dm_getup_facedown", "dm_getup_faceup"]
    for name in ("bandai_namco", "deepmimic"):
        for path in sorted((data_dir / name / "new_joints").glob("*.npy"))[::5]:
            joints = np.load(path)
            assert problems_of(joints, HUMANML3D) == []
            doubts = doubts_about(joints, HUMANML3D)
            assert doubts == [] or (path.stem in lying and "unless the person lies down" in doubts[0])


WRONG = {
    "z up": (lambda w: w[..., [0, 2, 1]] * [1, -1, 1], "apart along z, not y"),
    "z up, pointing down": (lambda w: w[..., [0, 2, 1]] * [1, 1, -1], "apart along z, not y"),
    "x up": (lambda w: w[..., [1, 0, 2]] * [1, -1, 1], "apart along x, not y"),
    "y down": (lambda w: w * [1, -1, -1], "has its head below its feet"),
    "y down, mirrored": (lambda w: w * [1, -1, 1], "has its head below its feet"),
    "axes exchanged": (lambda w: w[..., [0, 2, 1]], "apart along z, not y"),
    "x of the wrong sign": (lambda w: w * [-1, 1, 1], "has toes that point backwards"),
    "left and right exchanged": (lambda w: w[:, HUMANML3D.mirrored_joints], "has toes that point backwards"),
    "centimeters": (lambda w: w * 100, r"m tall\): .* multiply them by 0.01"),
    "divided by 100": (lambda w: w / 100, r"m tall\): .* multiply them by 100"),
    "millimeters": (lambda w: w * 1000, r"m tall\): .* multiply them by 0.001"),
    "another order": (
        lambda w: w[:, np.random.default_rng(0).permutation(22)],
        "another order than that of humanml3d",
    ),
    "angles": (angles, "bones that change their length over time: .* rotations"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_other_axes_units_orders_and_kinds_are_named(kind):
    change, message = WRONG[kind]
    joints = change(clip())
    assert problems_of(joints, HUMANML3D) == []
    (doubt,) = doubts_about(joints, HUMANML3D)
    assert re.search(message, doubt), doubt


@pytest.mark.parametrize(
    "kind", ["z up", "z up, pointing down", "x up", "y down", "y down, mirrored", "axes exchanged"]
)
def test_the_turn_that_is_advised_makes_it_right(kind):
    joints = WRONG[kind][0](clip())
    (doubt,) = doubts_about(joints, HUMANML3D)
    advised = doubt.split("`")[1]
    turned = eval(advised, {"joints": joints})  # an expression of our own
    assert doubts_about(turned, HUMANML3D) == []
    np.testing.assert_allclose(turned[..., 1], clip()[..., 1], atol=1e-6)


def test_normalized_features_are_named():
    features = joints_to_features(clip(), HUMANML3D)
    mean, std = feature_statistics([joints_to_features(clip(action), HUMANML3D) for action in ACTIONS], HUMANML3D)
    assert "seem to be normalized" in doubts_about_features((features - mean) / (std / 5), HUMANML3D)[0]
    assert doubts_about_features((features - mean) / std, HUMANML3D)


@pytest.mark.parametrize(
    ("joints", "problem"),
    [
        (
            np.zeros((30, 22, 3)),
            "has bones without length, first in frame 0 (left_hip, right_hip, spine1 and 18 more)",
        ),
        (np.zeros((0, 22, 3)), "has no frames"),
        (np.full((30, 22, 3), np.nan), "holds NaN or infinite values, first in frame 0"),
        (np.zeros((30, 21, 3)), "has shape (30, 21, 3)"),
        (np.zeros((30, 24, 3)), "take the first 22: joints[:, :22]"),
        (np.zeros((30, 52, 3)), "take the first 22: joints[:, :22]"),
        (np.zeros((30, 263)), "has shape (30, 263)"),
    ],
)
def test_what_no_motion_can_be(joints, problem):
    (found,) = problems_of(joints, HUMANML3D)
    assert problem in found


def test_a_frame_that_was_lost_is_named():
    joints = clip()
    joints[7] = 0
    assert "first in frame 7" in problems_of(joints, HUMANML3D)[0]


def test_features_that_no_motion_has():
    assert "has bones without length" in problems_of_features(np.zeros((30, 263)), HUMANML3D)[0]
    assert problems_of_features(np.zeros((30, 251)), HUMANML3D) == [
        "has shape (30, 251), but humanml3d needs (frames, 263)"
    ]


def test_units_are_the_skeletons_own():
    rest = np.zeros((21, 3))
    for joint in range(1, 21):  # in an order that puts parents first
        rest[joint] = rest[KIT.parents[joint]] + 250 * np.array(KIT.directions[joint])
    joints = np.repeat(rest[None], 10, axis=0)
    assert not [doubt for doubt in doubts_about(joints, KIT) if "m tall" in doubt]
    doubt = doubts_about(joints / 1000, KIT)[0]
    assert doubt.endswith("kit joints are in millimeters; multiply them by 1000, if these are in meters")
    other = replace(KIT, metres_per_unit=0.0254)
    assert "kit joints are in inches; multiply them by 0.0393701, if" in doubts_about(joints, other)[0]
    other = replace(KIT, metres_per_unit=0.5)
    assert "kit joints are in units of 0.5 m; multiply them by 0.1, if that" in doubts_about(joints / 100, other)[0]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("unit", "factor"),
    [("centimeters", 0.01), ("millimeters", 0.001), ("feet", 0.3048), ("inches", 0.0254)],
)
def test_the_unit_that_is_advised_is_the_right_one(action, unit, factor):
    joints = clip(action)
    (doubt,) = doubts_about(joints / factor, HUMANML3D)
    assert doubt.endswith(f"humanml3d joints are in meters; multiply them by {factor:g}, if these are in {unit}")


def test_a_size_is_said_with_two_digits():
    joints = clip()
    size = np.median(np.ptp(joints, axis=1).max(-1))
    (doubt,) = doubts_about(joints * 123 / size, HUMANML3D)
    assert "(about 120 m tall)" in doubt
    (doubt,) = doubts_about(joints * 0.0137 / size, HUMANML3D)
    assert "(about 0.014 m tall): humanml3d joints are in meters; multiply them by 100, if that is the diff" in doubt
