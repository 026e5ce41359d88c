# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Skeletons as data: what the features, the files and the drawings need to know about a body."""

import math
from dataclasses import asdict, dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Skeleton:
    """What the features need to know about a body; a new skeleton is a new instance, nothing else.

    Args:
        name: short name, `"humanml3d"`.
        fps: frames per second of the motions of this skeleton.
        metres_per_unit: length of one unit of the joint positions, in meters.
        joint_names: one name per joint; joint 0 is the root.
        chains: kinematic chains, each a path of joint indices that starts at the root or on an earlier chain.
        directions: `(joints, 3)` unit direction of the bone that ends at each joint in the rest pose; root: zeros.
        face_joints: right hip, left hip, right shoulder, left shoulder.
        left_foot, right_foot: the two joints of each foot whose contact with the ground is a feature (ankle, toe).
        leg_joints: the ends of the upper and lower bone of one leg, whose length scales a retargeted motion.
        contact_threshold: the most, as a squared distance in units, that a foot joint in contact moves in a frame.
        mirror_pairs: (left, right) joint indices that swap places in a mirror.
    """

    name: str
    fps: float
    metres_per_unit: float
    joint_names: tuple[str, ...]
    chains: tuple[tuple[int, ...], ...]
    directions: tuple[tuple[float, float, float], ...]
    face_joints: tuple[int, int, int, int]
    left_foot: tuple[int, int]
    right_foot: tuple[int, int]
    leg_joints: tuple[int, int]
    contact_threshold: float
    mirror_pairs: tuple[tuple[int, int], ...]

    def __post_init__(self):
        joints = len(self.joint_names)
        if len(self.directions) != joints:
            raise ValueError(f"skeleton {self.name}: {len(self.directions)} directions for {joints} joint names.")
        ends = [joint for chain in self.chains for joint in chain[1:]]
        if sorted(ends) != list(range(1, joints)):
            raise ValueError(f"skeleton {self.name}: `chains` must reach every joint but the root exactly once.")
        reached = {0}
        for chain in self.chains:
            if chain[0] not in reached:
                raise ValueError(f"skeleton {self.name}: the chain {chain} must start on an earlier one.")
            reached.update(chain)
        if not all(math.isclose(math.hypot(*direction), 1, abs_tol=1e-4) for direction in self.directions[1:]):
            raise ValueError(f"skeleton {self.name}: every one of `directions` but the root's must have the length 1.")
        mirrored = [joint for pair in self.mirror_pairs for joint in pair]
        named = [*self.face_joints, *self.left_foot, *self.right_foot, *self.leg_joints, *mirrored]
        if not all(0 <= joint < joints for joint in named) or len(set(mirrored)) < len(mirrored):
            raise ValueError(
                f"skeleton {self.name}: face, foot, leg and mirrored joints must be indices below {joints}, and none "
                "may be in two of `mirror_pairs`."
            )

    @property
    def num_joints(self) -> int:
        """Number of joints, the root included."""
        return len(self.joint_names)

    @property
    def feature_size(self) -> int:
        """Number of features of a frame in the HumanML3D representation."""
        return 12 * self.num_joints - 1

    @property
    def parents(self) -> tuple[int, ...]:
        """Index of the joint that each joint hangs from; -1 for the root."""
        parents = [-1] * self.num_joints
        for chain in self.chains:
            for parent, joint in zip(chain, chain[1:], strict=False):
                parents[joint] = parent
        return tuple(parents)

    @property
    def mirrored_joints(self) -> tuple[int, ...]:
        """For each joint, the joint whose place it takes in a mirror."""
        order = list(range(self.num_joints))
        for left, right in self.mirror_pairs:
            order[left], order[right] = right, left
        return tuple(order)

    def problem_with(self, joints: np.ndarray | torch.Tensor) -> str | None:
        """Why `joints` cannot be a motion of this skeleton.

        Args:
            joints: should be `(frames, joints, 3)`.

        Returns:
            What follows the motion's name in a sentence, such as "has no frames"; None if nothing is wrong.
        """
        if joints.ndim != 3 or tuple(joints.shape[1:]) != (self.num_joints, 3):
            problem = (
                f"has shape {tuple(joints.shape)}, but joints of the {self.name} skeleton have the shape "
                f"(frames, {self.num_joints}, 3)"
            )
            if joints.ndim == 3 and joints.shape[1] > self.num_joints and joints.shape[2] == 3:
                problem += (
                    f"; if the further joints come last, as the hands of SMPL and SMPL-H do, take the first "
                    f"{self.num_joints}: joints[:, :{self.num_joints}]"
                )
            return problem
        if len(joints) == 0:
            return "has no frames"
        finite = (abs(joints) < math.inf).reshape(len(joints), -1).all(1)  # (frames,)
        if not finite.all():
            frame = finite.tolist().index(False)
            return f"holds NaN or infinite values, first in frame {frame}; repair or cut those frames"
        return None

    def to_dict(self) -> dict:
        """Plain lists and numbers, ready for JSON."""
        return {key: _to_lists(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict) -> "Skeleton":
        """The inverse of `to_dict`."""
        return cls(**{key: _to_tuples(value) for key, value in values.items()})


def _to_lists(value):
    return [_to_lists(item) for item in value] if isinstance(value, tuple) else value


def _to_tuples(value):
    return tuple(_to_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value


_UP, _DOWN, _LEFT, _RIGHT, _FRONT = (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0), (0, 0, 1)

HUMANML3D = Skeleton(
    name="humanml3d",
    fps=20.0,
    metres_per_unit=1.0,
    joint_names=(
        *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle"),
        *("right_ankle", "spine3", "left_toe", "right_toe", "neck", "left_collar", "right_collar", "head"),
        *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    ),
    chains=((0, 2, 5, 8, 11), (0, 1, 4, 7, 10), (0, 3, 6, 9, 12, 15), (9, 14, 17, 19, 21), (9, 13, 16, 18, 20)),
    directions=(
        *((0, 0, 0), _LEFT, _RIGHT, _UP, _DOWN, _DOWN, _UP, _DOWN, _DOWN, _UP, _FRONT, _FRONT, _UP, _LEFT, _RIGHT),
        *(_FRONT, _DOWN, _DOWN, _DOWN, _DOWN, _DOWN, _DOWN),
    ),
    face_joints=(2, 1, 17, 16),
    left_foot=(7, 10),
    right_foot=(8, 11),
    leg_joints=(5, 8),
    contact_threshold=0.002,
    mirror_pairs=((1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21)),
)

KIT = Skeleton(
    name="kit",
    fps=12.5,
    metres_per_unit=0.001,
    joint_names=(
        *("root", "spine1", "spine2", "spine3", "head", "right_shoulder", "right_elbow", "right_wrist"),
        *("left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "right_heel"),
        *("right_toe", "left_hip", "left_knee", "left_ankle", "left_heel", "left_toe"),
    ),
    chains=((0, 11, 12, 13, 14, 15), (0, 16, 17, 18, 19, 20), (0, 1, 2, 3, 4), (3, 5, 6, 7), (3, 8, 9, 10)),
    directions=(
        *((0, 0, 0), _UP, _UP, _UP, _UP, _LEFT, _DOWN, _DOWN, _RIGHT, _DOWN, _DOWN, _LEFT, _DOWN, _DOWN),
        *(_FRONT, _FRONT, _RIGHT, _DOWN, _DOWN, _FRONT, _FRONT),
    ),
    face_joints=(11, 16, 5, 8),
    left_foot=(19, 20),
    right_foot=(14, 15),
    leg_joints=(17, 18),
    contact_threshold=0.05,
    mirror_pairs=((8, 5), (9, 6), (10, 7), (16, 11), (17, 12), (18, 13), (19, 14), (20, 15)),
)

SKELETONS = {skeleton.name: skeleton for skeleton in (HUMANML3D, KIT)}


__all__ = ["HUMANML3D", "KIT", "SKELETONS", "Skeleton"]
