# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motions of rigid bones for the tests of the formats, made and measured without the code that is tested."""

import numpy as np

from tm2t_hf.skeletons import HUMANML3D, Skeleton

T_POSE = {  # x and y; all bones lie in one plane but the feet
    "pelvis": (0, 0.95),
    "left_hip": (0.08, 0.88),
    "left_knee": (0.08, 0.48),
    "left_ankle": (0.08, 0.08),
    "left_toe": (0.08, 0.08),
    "spine1": (0, 1.05),
    "spine2": (0, 1.18),
    "spine3": (0, 1.25),
    "neck": (0, 1.45),
    "head": (0, 1.55),
    "left_collar": (0.07, 1.38),
    "left_shoulder": (0.17, 1.38),
    "left_elbow": (0.43, 1.38),
    "left_wrist": (0.68, 1.38),
}


def t_pose() -> np.ndarray:
    """(22, 3): a person of 1.65 m who stands with the arms sideways, facing +z."""
    pose = []
    for name in HUMANML3D.joint_names:
        x, y = T_POSE.get(name) or T_POSE[name.replace("right", "left")]
        pose.append((-x if name.startswith("right") else x, y, 0.13 if name.endswith("toe") else 0))
    return np.array(pose, dtype=float)


def turn(axis, degrees) -> np.ndarray:
    """Rotation matrices (..., 3, 3) about an axis (3,), by Rodrigues' formula."""
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)[..., None, None]
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def descendants(skeleton: Skeleton, joint: int) -> list[int]:
    """`joint` and all that hangs from it."""
    found = [joint]
    for member in found:
        found += [child for child, parent in enumerate(skeleton.parents) if parent == member]
    return found


def bend(joints: np.ndarray, joint: str, rotations: np.ndarray, skeleton: Skeleton = HUMANML3D) -> np.ndarray:
    """The motion with all that hangs from `joint` rotated about it, in the axes of the world; (frames, 3, 3)."""
    index = skeleton.joint_names.index(joint)
    limb = descendants(skeleton, index)
    joints, center = joints.copy(), joints[:, [index]].copy()
    joints[:, limb] = center + (joints[:, limb] - center) @ rotations.transpose(0, 2, 1)
    return joints


def random_skeleton(rng: np.random.Generator, count: int) -> Skeleton:
    """A tree of joints in any order, with face and feet anywhere."""
    labels = np.concatenate([[0], 1 + rng.permutation(count - 1)])
    chains = tuple((int(labels[rng.integers(joint)]), int(labels[joint])) for joint in range(1, count))
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[0] = 0
    return Skeleton(
        name="random",
        fps=30.0,
        metres_per_unit=1.0,
        joint_names=tuple(f"joint {index}" for index in range(count)),
        chains=chains,
        directions=tuple(map(tuple, directions.tolist())),
        face_joints=tuple(rng.integers(count, size=4).tolist()),
        left_foot=tuple(rng.integers(count, size=2).tolist()),
        right_foot=tuple(rng.integers(count, size=2).tolist()),
        leg_joints=tuple(rng.integers(count, size=2).tolist()),
        contact_threshold=0.002,
        mirror_pairs=(),
    )


def random_motion(rng: np.random.Generator, skeleton: Skeleton, frames: int, degrees: float = 4.0) -> np.ndarray:
    """(frames, joints, 3): every joint starts in any rotation and turns up to `degrees` per frame about one axis."""
    joints = np.zeros((frames, skeleton.num_joints, 3))
    joints[:, 0] = np.cumsum(rng.normal(scale=0.02, size=(frames, 3)), axis=0)
    rotations = {}
    bones = [pair for chain in skeleton.chains for pair in zip(chain, chain[1:], strict=False)]
    for parent, joint in [(None, 0), *bones]:
        start = turn(rng.normal(size=3), rng.uniform(0, 180, size=1))
        local = start @ turn(rng.normal(size=3), rng.uniform(0, degrees) * np.arange(frames))
        rotations[joint] = local if parent is None else rotations[parent] @ local
        if parent is not None:
            offset = rng.normal(size=3)
            offset *= rng.uniform(0.03, 0.5) / np.linalg.norm(offset)
            joints[:, joint] = joints[:, parent] + rotations[parent] @ offset
    return joints


def largest_error(joints: np.ndarray, other: np.ndarray) -> float:
    """The largest distance in meters between the same joints."""
    return np.linalg.norm(joints - other, axis=-1).max()


def steps_in_degrees(quaternions: np.ndarray) -> np.ndarray:
    """(frames, ..., 4) -> (frames - 1, ...): how far each rotation turns from one frame to the next."""
    cosine = np.abs((quaternions[1:] * quaternions[:-1]).sum(axis=-1))
    return np.degrees(2 * np.arccos(np.clip(cosine, 0, 1)))
