# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Whether numbers of the right shape are a human motion: axes, units, joint order, positions rather than angles.

Two kinds of findings, each the end of a sentence that starts with the motion's name:

- problems: the motion cannot be used (`problems_of`, `problems_of_features`);
- doubts: it can be used but does not look like a body, with the likely cause and the fix (`doubts_about`,
  `doubts_about_features`). Unusual motions, such as those of a person who lies down, may raise a doubt.

The thresholds leave room for generated motions and were chosen on motion capture of walking, dancing, crawling and
somersaults, whose bones change by 5 % at most over a clip and differ by 7 % at most between left and right.
"""

import math

import numpy as np

from .motion import feature_groups, features_to_joints
from .skeletons import Skeleton

SHORTEST_BONE = 1e-5  # meters; a shorter one has no direction
SMALLEST_BODY, TALLEST_BODY = 0.5, 3.0  # meters
USUAL_BODY = 1.5  # meters; the longest side of the box around a body, over many motions
UNITS = {"meters": 1.0, "centimeters": 0.01, "millimeters": 0.001, "feet": 0.3048, "inches": 0.0254}
BONE_CHANGE = 0.25  # standard deviation over time divided by the mean, for the typical bone
SIDE_DIFFERENCE = 0.35  # of the longer one of two bones that mirror each other
UNUSUAL = "unless the person"  # in doubts that a real motion may raise: a person who lies down or stands on the hands
CONTACT_RANGE = (-0.5, 1.5)  # contacts are 0 or 1; models write values around them


def problems_of(joints: np.ndarray, skeleton: Skeleton) -> list[str]:
    """Why `joints` cannot be a motion of this skeleton.

    Args:
        joints: should be `(frames, joints, 3)`, in the skeleton's units; an array or a tensor.
        skeleton: what the joints should be.

    Returns:
        Ends of sentences that start with the motion's name, such as "has no frames"; empty if it can be used.
    """
    if problem := skeleton.problem_with(joints):
        return [problem]
    too_short = _bone_lengths(joints, skeleton) < SHORTEST_BONE  # (frames, joints - 1)
    if not too_short.any():
        return []
    names = [skeleton.joint_names[joint + 1] for joint in np.flatnonzero(too_short.any(0))]
    frame = int(too_short.any(1).argmax())
    return [
        f"has bones without length, first in frame {frame} ({_some(names)}); each joint needs a "
        "position of its own: repair or cut those frames"
    ]


def doubts_about(joints: np.ndarray, skeleton: Skeleton) -> list[str]:
    """What does not look like a body in joints of which `problems_of` finds nothing wrong, and the likely cause.

    Args:
        joints: `(frames, joints, 3)`, in the skeleton's units; an array or a tensor.
        skeleton: what the joints should be.

    Returns:
        Ends of sentences that start with the motion's name; empty for an ordinary motion.
    """
    joints = np.asarray(joints, dtype=np.float64)
    if order := doubts_about_bones(joints, skeleton):
        return order  # size and posture of something else than a body mean nothing
    return [doubt for doubt in (_doubt_about_size(joints, skeleton), _doubt_about_axes(joints, skeleton)) if doubt]


def problems_of_features(features: np.ndarray, skeleton: Skeleton) -> list[str]:
    """As `problems_of`, for features `(frames, 12 * joints - 1)`, not normalized."""
    shape = tuple(features.shape)
    if len(shape) != 2 or shape[1] != skeleton.feature_size:
        return [f"has shape {shape}, but {skeleton.name} needs (frames, {skeleton.feature_size})"]
    return problems_of(_joints_of(features, skeleton), skeleton)


def doubts_about_features(features: np.ndarray, skeleton: Skeleton) -> list[str]:
    """As `doubts_about`, for features `(frames, 12 * joints - 1)`, which should not be normalized."""
    contacts = np.asarray(features)[:, feature_groups(skeleton)["contacts"]]
    low, high = CONTACT_RANGE
    if ((contacts < low) | (contacts > high)).mean() > 0.05:
        return [
            "has foot contacts that are far from 0 and 1: the features seem to be normalized; pass them as they were "
            "before (features * std + mean)"
        ]
    doubts = doubts_about(_joints_of(features, skeleton), skeleton)
    return [f"{doubt} (in the joints that its features describe)" for doubt in doubts]


def _joints_of(features, skeleton: Skeleton) -> np.ndarray:
    return features_to_joints(np.asarray(features, dtype=np.float64), skeleton.num_joints)


def _bone_lengths(joints, skeleton: Skeleton) -> np.ndarray:
    """(frames, joints, 3) -> (frames, joints - 1) in meters: the bone that ends at each joint but the root."""
    joints = np.asarray(joints, dtype=np.float64) * skeleton.metres_per_unit
    return np.linalg.norm(joints[:, 1:] - joints[:, list(skeleton.parents[1:])], axis=-1)


def doubts_about_bones(joints: np.ndarray, skeleton: Skeleton) -> list[str]:
    """Those of `doubts_about` that say that the numbers are no joints of a body, of whatever size and posture."""
    lengths = _bone_lengths(joints, skeleton)
    typical = np.median(lengths, axis=0)  # (joints - 1,)
    if np.median(lengths.std(0) / np.maximum(lengths.mean(0), SHORTEST_BONE)) > BONE_CHANGE:
        return [
            "has bones that change their length over time: the numbers seem not to be positions of "
            "joints but, for example, rotations; pass positions (frames, joints, 3)"
        ]
    different = [
        f"{skeleton.joint_names[left]} and {skeleton.joint_names[right]}"
        for left, right in skeleton.mirror_pairs
        if abs(typical[left - 1] - typical[right - 1]) > SIDE_DIFFERENCE * max(typical[left - 1], typical[right - 1])
    ]
    if different:
        return [
            f"has bones of unequal length on the left and on the right ({_some(different)}): the joints seem to be in "
            f"another order than that of {skeleton.name} (`Skeleton.joint_names`)"
        ]
    return []


def _doubt_about_size(joints: np.ndarray, skeleton: Skeleton) -> str | None:
    """By the longest side of the box around the body, which is its height also where another axis points up."""
    size = float(np.median(np.ptp(joints, axis=1).max(-1)))  # in units of the joints
    expected = skeleton.metres_per_unit
    in_meters = size * expected
    if SMALLEST_BODY <= in_meters <= TALLEST_BODY:
        return None
    sizes = {name: size * unit for name, unit in UNITS.items()}
    likely = [name for name in UNITS if SMALLEST_BODY <= sizes[name] <= TALLEST_BODY]
    if likely:
        found = min(likely, key=lambda name: abs(math.log(sizes[name] / USUAL_BODY)))
        factor, condition = UNITS[found] / expected, f"if these are in {found}"
    else:
        factor, condition = 10.0 ** round(math.log10(USUAL_BODY / in_meters)), "if that is the difference"
    names = {unit: name for name, unit in UNITS.items()}
    return (
        f"shows a body of the wrong size (about {float(f'{in_meters:.2g}'):g} m tall): {skeleton.name} joints are in "
        f"{names.get(expected, f'units of {expected:g} m')}; multiply them by {factor:g}, {condition}"
    )


def _doubt_about_axes(joints: np.ndarray, skeleton: Skeleton) -> str | None:
    """By the way from the feet to the shoulders, and by which side of the body the toes are on."""
    feet = list(skeleton.left_foot + skeleton.right_foot)
    up = joints[:, skeleton.face_joints[2:]].mean(1) - joints[:, feet].mean(1)  # (frames, 3)
    up = np.median(up, axis=0)
    axis = int(abs(up).argmax())
    if axis == 1 and up[1] > 0:
        if not _toes_point_backwards(joints, skeleton):
            return None
        return (
            "has toes that point backwards: left and right seem to have changed places, by the order of the joints or "
            "by an axis of the wrong sign; `joints * [-1, 1, 1]` changes them back"
        )
    # The rotation that makes y point up, and a mirror image of it if the axes were mirrored already.
    order = {0: [1, 0, 2], 1: [0, 1, 2], 2: [0, 2, 1]}[axis]
    signs = np.array([1, 1, -1]) if up[axis] > 0 else np.array([1, -1, -1 if axis == 1 else 1])
    if _toes_point_backwards(joints[..., order] * signs, skeleton):
        signs[0] = -1
    turn = f"`joints[..., {order}] * {signs.tolist()}`"
    if axis == 1:
        return f"has its head below its feet: {UNUSUAL} is upside down, y points down; turn the joints with {turn}"
    return (
        f"has its feet and its head apart along {'xyz'[axis]}, not y: {UNUSUAL} lies down, the joints "
        f"are not y up; turn them with {turn}"
    )


def _toes_point_backwards(joints: np.ndarray, skeleton: Skeleton) -> bool:
    """By the lower foot of each frame: the foot in the air of a runner points down and back."""
    right_hip, left_hip, *_ = skeleton.face_joints
    forward = np.cross(joints[:, left_hip] - joints[:, right_hip], [0, 1, 0])  # (frames, 3)
    ends, heels = ([foot[k] for foot in (skeleton.left_foot, skeleton.right_foot)] for k in (1, 0))
    lower = joints[:, ends, 1].argmin(1)  # (frames,)
    feet = (joints[:, ends] - joints[:, heels])[np.arange(len(joints)), lower] * [1, 0, 1]  # (frames, 3)
    lengths = np.linalg.norm(forward, axis=-1) * np.linalg.norm(feet, axis=-1)
    return bool((forward * feet).sum() < -0.5 * lengths.sum())


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


__all__ = ["doubts_about", "doubts_about_bones", "doubts_about_features", "problems_of", "problems_of_features"]
