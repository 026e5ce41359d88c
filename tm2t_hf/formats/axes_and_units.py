# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Finds out from the joints of a body in which unit they are measured and which axis points up."""

from dataclasses import dataclass

import numpy as np

from ..motion import Skeleton

METRES_PER_UNIT = {
    "meters": 1.0,
    "centimeters": 0.01,
    "millimeters": 0.001,
    "inches": 0.0254,
    "feet": 0.3048,
    "0.45 inches": 0.0254 / 0.45,  # what the files of the CMU database are measured in
}
_METRIC = ("meters", "centimeters", "millimeters")
_ADULT = 1.45  # meters from the ankle to the base of the skull, of a person of 1.7 m
_PLAUSIBLE = (0.8, 2.2)

# Added to how upright a body is along these axes, which are the usual ones: another axis must be clearly better.
_USUAL = {"y": 0.4, "z": 0.2}

# How x, y and z of a y-up motion are made of those of the file, by the axis that points up there: the (column, sign)
# of each. All of them are rotations.
TURNS = {
    "y": ((0, 1), (1, 1), (2, 1)),
    "z": ((0, 1), (2, 1), (1, -1)),
    "x": ((1, -1), (0, 1), (2, 1)),
    "-y": ((0, 1), (1, -1), (2, -1)),
    "-z": ((0, 1), (2, -1), (1, 1)),
    "-x": ((1, 1), (0, -1), (2, 1)),
}


@dataclass(frozen=True)
class Finding:
    """What was found, and what may be wrong about it (a clause) or None."""

    value: str
    doubt: str | None = None


def find_unit(joints: np.ndarray, skeleton: Skeleton) -> Finding:
    """The key of `METRES_PER_UNIT` in which a body of `(frames, joints, 3)` has the size of a person.

    Meters, centimeters and millimeters are preferred: they lie so far apart that children are told from giants.

    Raises:
        ValueError: a clause: the size is that of a person in none of the units.
    """
    size = _size(joints, skeleton)
    shortest, tallest = _PLAUSIBLE
    fitting = [unit for unit, meters in METRES_PER_UNIT.items() if shortest <= size * meters <= tallest]
    if not fitting:
        raise ValueError(
            f"its body measures {size:.4g} from the ankles to the head, a person's size in none of "
            f"{', '.join(METRES_PER_UNIT)}; give the length of its unit in meters (unit=)"
        )
    metric = [unit for unit in fitting if unit in _METRIC]
    unit = min(metric or fitting, key=lambda unit: abs(np.log(size * METRES_PER_UNIT[unit] / _ADULT)))
    if metric and len(fitting) == 1:
        return Finding(unit)
    return Finding(unit, f"the unit seems to be {unit} by the size of the body, or else pass unit=")


def find_up(joints: np.ndarray, skeleton: Skeleton) -> Finding:
    """The key of `TURNS` that points up: along it the body stands, and its lowest point stays at one height.

    y and then z are taken in doubt, because those are what files usually have.
    """
    body = _body_directions(joints, skeleton)
    size = _size(joints, skeleton)
    scores, upright = {}, {}
    for up, turn in TURNS.items():
        column, sign = turn[1]
        lowest = (joints[:, :, column] * sign).min(axis=1)  # (frames,)
        wandering = np.ptp(np.percentile(lowest, (5, 95))) / size
        upright[up] = float(np.clip(body[:, column] * sign, 0, None).mean())
        scores[up] = upright[up] - 0.5 * min(wandering, 1) + _USUAL.get(up, 0)
    best, second = sorted(scores, key=scores.get, reverse=True)[:2]
    if scores[best] - scores[second] < 0.2:
        usual, other = sorted((best, second), key=lambda up: -_USUAL.get(up, 0))
        return Finding(usual, f"{usual} is taken to point up, but it may be {other}, or else pass up=")
    if upright[best] < 0.5:
        return Finding(best, f"{best} seems to point up, but the body does not stand, or else pass up=")
    return Finding(best)


def faces_backward(joints: np.ndarray, skeleton: Skeleton) -> bool:
    """Whether the toes of a y-up body `(frames, joints, 3)` point away from where its hips and shoulders face.

    That is so where left and right are exchanged, as in a left-handed coordinate system.
    """
    right_hip, left_hip, right_shoulder, left_shoulder = (joints[:, joint] for joint in skeleton.face_joints)
    across = left_hip - right_hip + left_shoulder - right_shoulder
    facing = np.cross(across, [0.0, 1.0, 0.0])
    toes = sum(joints[:, toe] - joints[:, heel] for heel, toe in (skeleton.left_foot, skeleton.right_foot))
    stands = _body_directions(joints, skeleton)[:, 1] > 0.7  # crawling turns the toes back
    return bool(stands.any() and ((toes * facing).sum(axis=-1)[stands] < 0).mean() > 0.8)


def turned_up(joints: np.ndarray, up: str) -> np.ndarray:
    """`(frames, joints, 3)` rotated such that the axis `up` becomes y."""
    columns, signs = zip(*TURNS[up], strict=True)
    return joints[..., list(columns)] * np.array(signs, dtype=joints.dtype)


def _body_directions(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """`(frames, 3)` unit vectors from the feet to the head."""
    body = joints[:, _top_joint(skeleton)] - joints[:, skeleton.left_foot + skeleton.right_foot].mean(axis=1)
    return body / np.maximum(np.linalg.norm(body, axis=-1, keepdims=True), 1e-9)


def _rest_pose(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """`(joints, 3)`: the bones of this body, as long as they are in the middle of the frames, in the rest pose."""
    parents = np.array(skeleton.parents)
    bones = joints[:, 1:] - joints[:, parents[1:]]
    lengths = np.median(np.linalg.norm(bones, axis=-1), axis=0)  # (joints - 1,)
    return _summed(np.array(skeleton.directions[1:]) * lengths[:, None], skeleton)


def _summed(bones: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    places = np.zeros((skeleton.num_joints, 3))
    for chain in skeleton.chains:
        for parent, joint in zip(chain, chain[1:], strict=False):
            places[joint] = places[parent] + bones[joint - 1]
    return places


def _top_joint(skeleton: Skeleton) -> int:
    """The joint that is highest in the rest pose: the head."""
    return int(_summed(np.array(skeleton.directions[1:]), skeleton)[:, 1].argmax())


def _size(joints: np.ndarray, skeleton: Skeleton) -> float:
    return float(max(np.ptp(_rest_pose(joints, skeleton)[:, 1]), 1e-9))
