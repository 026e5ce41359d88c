# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Skeletons as data, and the HumanML3D motion representation: joints to features and back.

A motion is `(frames, joints, 3)` joint positions with y up. Its features (Guo et al., CVPR 2022) describe the same
motion seen from the body, `12 * joints - 1` numbers a frame:

| columns (J joints) | what |
|---|---|
| 0 | yaw velocity of the root: half the angle turned to the next frame, radians |
| 1:3 | velocity of the root on the ground, x and z in the facing frame, units a frame |
| 3 | height of the root |
| 4 : 4+3(J-1) | positions of the other joints, relative to the root's place on the ground, facing +z |
| next 6(J-1) | rotations of the bones, continuous 6D |
| next 3J | joint velocities in the facing frame |
| last 4 | foot contacts: left ankle, left toe, right ankle, right toe |

Every function here takes numpy arrays or torch tensors and returns the kind it was given.
"""

import functools
import inspect
import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from .rotations import (
    cross,
    invert_quaternion,
    matrix_from_6d,
    matrix_to_6d,
    multiply_quaternions,
    quaternion_between,
    quaternion_to_matrix,
    rotate,
)

FACING_SMOOTHING = 20  # standard deviation in frames of the Gaussian that smooths the facing direction


@dataclass(frozen=True)
class Skeleton:
    """What the features need to know of a body; a new skeleton is a new instance, nothing else.

    Args:
        name: short name, `"humanml3d"`.
        fps: frames a second of the motions of this skeleton.
        metres_per_unit: length of one unit of the joint positions.
        joint_names: one name a joint; joint 0 is the root.
        chains: kinematic chains, each a path of joint indices that starts at the root or on an earlier chain.
        directions: `(joints, 3)` unit direction of the bone that ends at each joint in the rest pose; root: zeros.
        face_joints: right hip, left hip, right shoulder, left shoulder.
        left_foot, right_foot: the two joints of each foot whose contact with the ground is a feature (ankle, toe).
        leg_joints: the ends of the upper and lower bone of one leg, whose length scales a retargeted motion.
        contact_threshold: squared distance in units that a foot joint in contact moves in a frame at most.
        mirror_pairs: (left, right) joint indices that change places in a mirror.
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
        return len(self.joint_names)

    @property
    def feature_size(self) -> int:
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


def _keeps_kind(function):
    """Lets a function of tensors take numpy arrays and return numpy arrays for them, in the type of the first one."""
    signature = inspect.signature(function)
    first = next(iter(signature.parameters))

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        if isinstance(bound.arguments[first], Tensor):
            return function(*bound.args, **bound.kwargs)
        values = np.asarray(bound.arguments[first])
        dtype = values.dtype if values.dtype.kind == "f" else np.dtype("float32")
        bound.arguments[first] = torch.from_numpy(values.astype(dtype))
        return function(*bound.args, **bound.kwargs).numpy()

    return wrapper


@_keeps_kind
def joints_to_features(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """Features of a motion; it is put on the floor, at the origin, facing +z first.

    Args:
        joints: `(frames, joints, 3)` positions in the units of the skeleton, y up; at least 2 frames.

    Returns:
        `(frames - 1, 12 * joints - 1)` features; computed in float64, returned in the type of `joints`.

    Raises:
        ValueError: for another shape, or values that are not finite.
    """
    _check_joints(joints, skeleton)
    if len(joints) < 2:
        raise ValueError("joints_to_features needs at least 2 frames: velocities are taken between frames.")
    dtype, joints = joints.dtype, _stand_at_origin(joints.double(), skeleton)
    facing = facing_rotation(joints, skeleton, smooth=True)  # (frames, 4)

    steps = joints[1:] - joints[:-1]
    turn = multiply_quaternions(facing[1:], invert_quaternion(facing[:-1]))
    # q and -q are one rotation: without the sign a heading that crosses 180 degrees seems to turn the other way
    yaw_velocity = torch.asin((turn[:, 2:3] * torch.where(turn[:, :1] < 0, -1, 1)).clamp(-1, 1))
    root_velocity = rotate(facing[1:], steps[:, 0])[:, [0, 2]]

    ground = joints[:, :1] * joints.new_tensor([1, 0, 1])
    positions = rotate(facing[:, None], joints - ground)  # (frames, joints, 3)
    rotations = matrix_to_6d(quaternion_to_matrix(_bone_rotations(joints, skeleton, facing)))
    velocities = rotate(facing[:-1, None], steps)
    feet = steps[:, skeleton.left_foot + skeleton.right_foot].square().sum(-1) < skeleton.contact_threshold

    features = [
        yaw_velocity,
        root_velocity,
        positions[:-1, 0, 1:2],
        positions[:-1, 1:].flatten(1),
        rotations[:-1, 1:].flatten(1),
        velocities.flatten(1),
        feet.to(joints.dtype),
    ]
    return torch.cat(features, dim=-1).to(dtype)


@_keeps_kind
def features_to_joints(features: Tensor, num_joints: int) -> Tensor:
    """Joint positions from features: the root's path integrated, the joint positions put around it. Differentiable.

    Args:
        features: `(..., frames, 12 * num_joints - 1)`, not normalised.

    Returns:
        `(..., frames, num_joints, 3)`, starting at the origin facing +z.

    Raises:
        ValueError: when the feature size does not belong to `num_joints`.
    """
    facing, root = _root_path(features, num_joints)
    positions = features[..., 4 : 4 + 3 * (num_joints - 1)].unflatten(-1, (num_joints - 1, 3))
    positions = rotate(invert_quaternion(facing).unsqueeze(-2), positions)
    ground = (root * root.new_tensor([1, 0, 1])).unsqueeze(-2)
    return torch.cat([root.unsqueeze(-2), positions + ground], dim=-2)


@_keeps_kind
def features_to_joints_by_rotations(features: Tensor, skeleton: Skeleton, offsets) -> Tensor:
    """Joint positions by forward kinematics over the rotation features: bones keep the lengths of `offsets`.

    Args:
        features: `(..., frames, features)`, not normalised.
        offsets: `(joints, 3)` bone vectors in the rest pose, as `bone_offsets` gives them.

    Returns:
        `(..., frames, joints, 3)`.
    """
    count = skeleton.num_joints
    facing, root = _root_path(features, count)
    start = 4 + 3 * (count - 1)
    local = matrix_from_6d(features[..., start : start + 6 * (count - 1)].unflatten(-1, (count - 1, 6)))
    offsets = torch.as_tensor(offsets, dtype=features.dtype, device=features.device)
    return _forward_kinematics(quaternion_to_matrix(facing), local, root, offsets, skeleton)


@_keeps_kind
def retarget(joints: Tensor, skeleton: Skeleton, offsets) -> Tensor:
    """The same movement on a body of other bone lengths; the path of the root is scaled with the legs.

    Args:
        joints: `(frames, joints, 3)`.
        offsets: `(joints, 3)` bone vectors of the target body, as `bone_offsets` gives them.

    Returns:
        `(frames, joints, 3)`.
    """
    _check_joints(joints, skeleton)
    dtype, joints = joints.dtype, joints.double()
    offsets = torch.as_tensor(offsets, dtype=joints.dtype, device=joints.device)
    if offsets.shape != joints.shape[1:]:
        raise ValueError(f"`offsets` must have the shape {tuple(joints.shape[1:])}; got {tuple(offsets.shape)}.")
    legs = list(skeleton.leg_joints)
    source = _bone_lengths(joints[0], skeleton)[legs].sum()
    if source < 1e-6:
        raise ValueError("The leg bones of the motion to retarget have no length; are its joints in another order?")
    facing = facing_rotation(joints, skeleton, smooth=False)
    local = quaternion_to_matrix(_bone_rotations(joints, skeleton, facing))[:, 1:]
    root = joints[:, 0] * (offsets[legs].norm(dim=-1).sum() / source)
    return _forward_kinematics(quaternion_to_matrix(facing), local, root, offsets, skeleton).to(dtype)


@_keeps_kind
def bone_offsets(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """`(joints, 3)` bone vectors in the rest pose, of the lengths in the first frame of `(frames, joints, 3)`."""
    _check_joints(joints, skeleton)
    directions = joints.new_tensor(skeleton.directions)
    return directions * _bone_lengths(joints[0], skeleton).unsqueeze(-1)


@_keeps_kind
def mirror_joints(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """The motion seen in a mirror: x changes sign, left and right joints change places. `(..., joints, 3)`."""
    _check_shape(joints, skeleton)
    return joints[..., skeleton.mirrored_joints, :] * joints.new_tensor([-1, 1, 1])


@_keeps_kind
def resample(motion: Tensor, source_fps: float, target_fps: float) -> Tensor:
    """Joint positions at another frame rate, by linear interpolation over time. `(frames, ...)` -> `(frames', ...)`.

    Only positions may be resampled: features hold velocities per frame.
    """
    if source_fps <= 0 or target_fps <= 0:
        raise ValueError(f"Frame rates must be positive; got {source_fps} and {target_fps}.")
    # the last instant stays inside the motion; the tolerance keeps it there when rounding says 0.9999 frames
    count = int((len(motion) - 1) * target_fps / source_fps + 1e-6) + 1
    instants = torch.arange(count, dtype=torch.float64, device=motion.device) * (source_fps / target_fps)
    before = instants.floor().long().clamp(max=len(motion) - 1)
    after = (before + 1).clamp(max=len(motion) - 1)
    weight = (instants - before).to(motion.dtype).reshape(-1, *[1] * (motion.dim() - 1))
    return torch.lerp(motion[before], motion[after], weight)


def feature_statistics(features, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the frames of many clips, as HumanML3D's `Mean.npy` and `Std.npy` define them.

    The standard deviation is the mean over each group of columns (yaw velocity, root velocity, height, positions,
    rotations, velocities, contacts).

    Args:
        features: an iterable of `(frames, features)` arrays; read once, so a generator is enough.

    Returns:
        mean and std, float32 `(features,)`.

    Raises:
        ValueError: for another feature size, or when there is not one frame.
    """
    count, total, squares = 0, 0.0, 0.0
    shift = None
    for clip in features:
        clip = np.asarray(clip, dtype=np.float64)
        if clip.ndim != 2 or clip.shape[1] != skeleton.feature_size:
            raise ValueError(
                f"Features of the {skeleton.name} skeleton have the shape (frames, {skeleton.feature_size}); "
                f"got {clip.shape}."
            )
        if len(clip) == 0:
            continue
        # sums of squares of values far from zero lose digits: everything is taken relative to the first clip
        shift = clip.mean(axis=0) if shift is None else shift
        count += len(clip)
        total = total + (clip - shift).sum(axis=0)
        squares = squares + np.square(clip - shift).sum(axis=0)
    if count == 0:
        raise ValueError("There is not one frame to take statistics of.")
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - np.square(mean), 0))
    for group in feature_groups(skeleton).values():
        std[group] = std[group].mean()
    # a group that never changes (a toy set without turns) would divide by zero
    std[std < 1e-8] = 1.0
    return (mean + shift).astype(np.float32), std.astype(np.float32)


def feature_groups(skeleton: Skeleton) -> dict[str, slice]:
    """The columns of each group of features."""
    joints = skeleton.num_joints
    sizes = {
        "yaw_velocity": 1,
        "root_velocity": 2,
        "root_height": 1,
        "positions": 3 * (joints - 1),
        "rotations": 6 * (joints - 1),
        "velocities": 3 * joints,
        "contacts": 4,
    }
    ends = np.cumsum(list(sizes.values()))
    return {name: slice(int(end - size), int(end)) for (name, size), end in zip(sizes.items(), ends, strict=True)}


def bias_std(std: np.ndarray, skeleton: Skeleton, feat_bias: float = 5.0) -> np.ndarray:
    """Divides the std of the root's and the feet's features by `feat_bias`, so that a model weighs them more.

    The original applies this to `Std.npy` before training and saves the result as `meta/std.npy`.
    """
    std = np.array(std, copy=True)
    for group in ("yaw_velocity", "root_velocity", "root_height", "contacts"):
        std[feature_groups(skeleton)[group]] /= feat_bias
    return std


def facing_rotation(joints: Tensor, skeleton: Skeleton, smooth: bool) -> Tensor:
    """`(frames, joints, 3)` -> `(frames, 4)`: the rotation about y that turns each frame's facing direction to +z.

    As the original defines it: the direction is perpendicular to the shoulders minus the hips (about 8 degrees off
    the body's own, and every published checkpoint was trained on it), and the first frame counts as facing +z.
    """
    right_hip, left_hip, right_shoulder, left_shoulder = skeleton.face_joints
    across = joints[:, left_hip] - joints[:, right_hip] + joints[:, right_shoulder] - joints[:, left_shoulder]
    forward = cross(joints.new_tensor(_UP), normalize(across, dim=-1))
    if smooth:
        smoothed = _smooth(forward, FACING_SMOOTHING)
        # a turn on the spot can average to no direction at all
        forward = torch.where(smoothed.norm(dim=-1, keepdim=True) > 1e-6, smoothed, forward)
    facing = quaternion_between(forward, forward.new_tensor(_FRONT))
    facing[0] = facing.new_tensor([1, 0, 0, 0])
    return facing


def _check_shape(joints: Tensor, skeleton: Skeleton):
    if joints.shape[-2:] != (skeleton.num_joints, 3):
        raise ValueError(
            f"Joints of the {skeleton.name} skeleton have the shape (frames, {skeleton.num_joints}, 3); "
            f"got {tuple(joints.shape)}."
        )


def _check_joints(joints: Tensor, skeleton: Skeleton):
    _check_shape(joints, skeleton)
    if joints.dim() != 3 or len(joints) == 0:
        raise ValueError(f"One motion with at least one frame is needed: joints {tuple(joints.shape)} is not that.")
    if not torch.isfinite(joints).all():
        raise ValueError("The joints hold NaN or infinite values; mend or leave out those frames.")


def _stand_at_origin(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """Lowest point on the floor, first root above the origin, first frame facing +z."""
    origin = joints[0, 0].clone()
    origin[1] = joints[..., 1].min()
    right_hip, left_hip, right_shoulder, left_shoulder = joints[0, list(skeleton.face_joints)]
    across = right_hip - left_hip + right_shoulder - left_shoulder
    forward = cross(joints.new_tensor(_UP), across)
    return rotate(quaternion_between(forward, forward.new_tensor(_FRONT)), joints - origin)


def _bone_lengths(pose: Tensor, skeleton: Skeleton) -> Tensor:
    """(joints, 3) -> (joints,): length of the bone that ends at each joint; 0 for the root."""
    lengths = (pose[1:] - pose[list(skeleton.parents[1:])]).norm(dim=-1)
    return pad(lengths, (1, 0))


def _bone_rotations(joints: Tensor, skeleton: Skeleton, facing: Tensor) -> Tensor:
    """Local rotation of each bone relative to the one before it in its chain: (frames, joints, 4), the root's first.

    A chain starts from the facing rotation, also where it hangs from a joint of another chain: the definition of the
    original, which `_forward_kinematics` inverts.
    """
    bones = joints[:, 1:] - joints[:, list(skeleton.parents[1:])]
    directions = joints.new_tensor(skeleton.directions[1:])
    absolute = torch.cat([facing[:, None], quaternion_between(directions, bones)], dim=1)  # (frames, joints, 4)
    before = absolute[:, _bones_before(skeleton)]
    return torch.cat([facing[:, None], multiply_quaternions(invert_quaternion(before), absolute[:, 1:])], dim=1)


def _bones_before(skeleton: Skeleton) -> list[int]:
    """For every joint but the root, the joint before it in its chain, or the root where it begins one."""
    before = [0] * skeleton.num_joints
    for chain in skeleton.chains:
        for previous, joint in zip(chain[1:], chain[2:], strict=False):
            before[joint] = previous
    return before[1:]


def _forward_kinematics(facing: Tensor, local: Tensor, root: Tensor, offsets: Tensor, skeleton: Skeleton) -> Tensor:
    """facing (..., 3, 3), local (..., joints - 1, 3, 3), root (..., 3) -> (..., joints, 3)."""
    places = [root] + [None] * (skeleton.num_joints - 1)
    for chain in skeleton.chains:
        rotation = facing
        for parent, joint in zip(chain, chain[1:], strict=False):
            rotation = rotation @ local[..., joint - 1, :, :]
            places[joint] = places[parent] + rotation @ offsets[joint]
    return torch.stack(places, dim=-2)


def _root_path(features: Tensor, num_joints: int) -> tuple[Tensor, Tensor]:
    """Facing rotation (..., frames, 4) and place of the root (..., frames, 3) from the root's velocities."""
    if features.shape[-1] != 12 * num_joints - 1:
        raise ValueError(
            f"Features of {num_joints} joints have {12 * num_joints - 1} columns; got {features.shape[-1]}."
        )
    # what a frame holds is the way to the next one
    velocities = pad(features[..., :-1, :3], (0, 0, 1, 0))
    half_angle = velocities[..., 0].cumsum(-1)
    zero = torch.zeros_like(half_angle)
    facing = torch.stack([half_angle.cos(), zero, half_angle.sin(), zero], dim=-1)
    step = torch.stack([velocities[..., 1], zero, velocities[..., 2]], dim=-1)
    path = rotate(invert_quaternion(facing), step).cumsum(-2)
    return facing, torch.stack([path[..., 0], features[..., 3], path[..., 2]], dim=-1)


def _smooth(values: Tensor, sigma: float) -> Tensor:
    """Gaussian over time with the ends held, cut at four standard deviations. (frames, channels)."""
    radius = int(4 * sigma + 0.5)
    instants = torch.arange(-radius, radius + 1, dtype=values.dtype, device=values.device)
    kernel = torch.exp(-0.5 * (instants / sigma).square())
    padded = torch.cat([values[:1].expand(radius, -1), values, values[-1:].expand(radius, -1)])
    return torch.nn.functional.conv1d(padded.t().unsqueeze(1), (kernel / kernel.sum()).reshape(1, 1, -1))[:, 0].t()
