# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Finds out from the joints of a body which axis points up."""

import numpy as np

from ..bodies import Finding, body_height, top_joint
from ..skeletons import Skeleton

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


def find_up(joints: np.ndarray, skeleton: Skeleton) -> Finding:
    """The key of `TURNS` that points up: along it the body stands, and its lowest point stays at one height.

    y and then z are taken in doubt, because those are what files usually have.
    """
    body = _body_directions(joints, skeleton)
    height = body_height(joints, skeleton)
    scores, upright = {}, {}
    for up, turn in TURNS.items():
        column, sign = turn[1]
        lowest = (joints[:, :, column] * sign).min(axis=1)  # (frames,)
        wandering = np.ptp(np.percentile(lowest, (5, 95))) / height
        upright[up] = float(np.clip(body[:, column] * sign, 0, None).mean())
        scores[up] = upright[up] - 0.5 * min(wandering, 1) + _USUAL.get(up, 0)
    best, second = sorted(scores, key=scores.get, reverse=True)[:2]
    if scores[best] - scores[second] < 0.2:
        usual, other = sorted((best, second), key=lambda up: -_USUAL.get(up, 0))
        return Finding(usual, f"{usual} is taken to point up, but it may be {other}; if so, pass up (--up)")
    if upright[best] < 0.5:
        return Finding(best, f"{best} seems to point up, but the body does not stand; if not, pass up (--up)")
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
    body = joints[:, top_joint(skeleton)] - joints[:, skeleton.left_foot + skeleton.right_foot].mean(axis=1)
    return body / np.maximum(np.linalg.norm(body, axis=-1, keepdims=True), 1e-9)


__all__ = ["TURNS", "faces_backward", "find_up", "turned_up"]
