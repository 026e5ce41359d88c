# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Skeletons as data: what the features, the files and the drawings need to know about a body."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

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

    def join_bones(self, root, bones) -> list:
        """The places of all joints, where each bone begins at the end of the one before it.

        Args:
            root: the place of the root, an array or a tensor.
            bones: for each joint the vector of the bone that ends at it; that of the root is not read.

        Returns:
            For each joint what is like `root`.
        """
        places = [root] * self.num_joints
        for chain in self.chains:
            for parent, joint in zip(chain, chain[1:], strict=False):
                places[joint] = places[parent] + bones[joint]
        return places

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

    def check(self, joints: np.ndarray | torch.Tensor) -> None:
        """Raise a ValueError that says what `problem_with` finds, if it finds anything."""
        if problem := self.problem_with(joints):
            raise ValueError(f"`joints` {problem}.")

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


def load_skeleton(name_or_path: str | PathLike) -> Skeleton:
    """A skeleton of this package by its name, or one of your own from a JSON file.

    The file holds the fields of a `Skeleton`, as `json.dumps(skeleton.to_dict())` writes them.

    Args:
        name_or_path: a key of `SKELETONS`, or the path of the file.

    Raises:
        ValueError: neither a name nor a file; the file is not a JSON object with exactly these fields; or a field does
            not make sense. The message names the file.
    """
    if str(name_or_path) in SKELETONS:
        return SKELETONS[str(name_or_path)]
    path = Path(name_or_path)
    if not path.is_file():
        raise ValueError(
            f"skeleton {str(name_or_path)!r} is neither a name ({', '.join(SKELETONS)}) nor a JSON file of a Skeleton."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"The skeleton {path} is not JSON: {error}.") from None
    if problem := _problem_with_fields(values):
        raise ValueError(f"The skeleton {path} {problem}.")
    try:
        skeleton = Skeleton.from_dict(values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if SKELETONS.get(skeleton.name, skeleton) != skeleton:
        raise ValueError(f"The skeleton {path} has the name {skeleton.name}, but is another one; give it a new name.")
    return skeleton


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_index(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_list(of: Callable[[Any], bool], length: int | None = None) -> Callable[[Any], bool]:
    """Whether a value is a list of `length` items (None: at least one) for which `of` holds."""
    return lambda value: (
        isinstance(value, list) and len(value) == (length or max(len(value), 1)) and all(map(of, value))
    )


# What each field of a file must be.
_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("a name", _is_name),
    "fps": ("a number above 0", _is_positive),
    "metres_per_unit": ("a number above 0", _is_positive),
    "joint_names": (
        "a list of different names",
        lambda value: _is_list(_is_name)(value) and len(set(value)) == len(value),
    ),
    "chains": ("a list of lists of joint indices", _is_list(_is_list(_is_index))),
    "directions": ("a list of three numbers per joint", _is_list(_is_list(_is_number, 3))),
    "face_joints": ("a list of four joint indices", _is_list(_is_index, 4)),
    "left_foot": ("a list of two joint indices", _is_list(_is_index, 2)),
    "right_foot": ("a list of two joint indices", _is_list(_is_index, 2)),
    "leg_joints": ("a list of two joint indices", _is_list(_is_index, 2)),
    "contact_threshold": ("a number above 0", _is_positive),
    "mirror_pairs": (
        "a list of pairs of joint indices",
        lambda value: value == [] or _is_list(_is_list(_is_index, 2))(value),
    ),
}


def _problem_with_fields(values: Any) -> str | None:
    """What is wrong with the content of a file, as the end of a sentence; None if nothing is."""
    if not isinstance(values, dict):
        return "must be a JSON object with the fields of a Skeleton, as Skeleton.to_dict() gives them"
    for field in values:
        if field not in _FIELDS:
            close = get_close_matches(field, _FIELDS, n=1)
            return f"has an unknown field {field}" + (f"; did you mean {close[0]}" if close else "")
    if missing := [field for field in _FIELDS if field not in values]:
        return f"lacks the field{'s' * (len(missing) > 1)} {', '.join(missing)}"
    for field, (wanted, holds) in _FIELDS.items():
        if not holds(values[field]):
            return f"must have {wanted} as its {field}; got {str(values[field])[:60]}"
    return None


__all__ = ["HUMANML3D", "KIT", "SKELETONS", "Skeleton", "load_skeleton"]
