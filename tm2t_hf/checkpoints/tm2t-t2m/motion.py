# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The HumanML3D motion representation: joints to features and back.

A motion is `(frames, joints, 3)` joint positions with y up. Its features (Guo et al., CVPR 2022) describe the same
motion seen from the body, `12 * joints - 1` numbers per frame:

| columns (J joints) | what |
|---|---|
| 0 | yaw velocity of the root: half the angle turned to the next frame, radians |
| 1:3 | velocity of the root on the ground, x and z in the facing frame, units per frame |
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
from .skeletons import HUMANML3D, KIT, SKELETONS, Skeleton

UP, FRONT = (0, 1, 0), (0, 0, 1)
FACING_SMOOTHING = 20  # standard deviation in frames of the Gaussian that smooths the facing direction


def unmasked(values: np.ndarray) -> np.ndarray:
    """An array in which NaN stands for what a masked array hides, and numpy would uncover."""
    return values.astype(np.float64).filled(np.nan) if isinstance(values, np.ma.MaskedArray) else values


def _keeps_kind(function):
    """Lets a function of tensors take numpy arrays and return numpy arrays for them, in the type of the first one."""
    signature = inspect.signature(function)
    first = next(iter(signature.parameters))

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        if isinstance(bound.arguments[first], Tensor):
            return function(*bound.args, **bound.kwargs)
        values = np.asarray(unmasked(bound.arguments[first]))
        dtype = values.dtype if values.dtype.kind == "f" else np.dtype("float32")
        bound.arguments[first] = torch.from_numpy(values.astype(dtype))
        return function(*bound.args, **bound.kwargs).numpy()

    return wrapper


@_keeps_kind
def joints_to_features(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """Features of a motion; it is put on the floor, at the origin, facing +z first.

    Args:
        joints: `(frames, joints, 3)` positions in the units of the skeleton, y up; at least 2 frames.
        skeleton: of these joints.

    Returns:
        `(frames - 1, 12 * joints - 1)` features; computed in float64, returned in the type of `joints`.

    Raises:
        ValueError: for another shape, or values that are not finite.
    """
    skeleton.check(joints)
    if len(joints) < 2:
        raise ValueError("joints_to_features needs at least 2 frames: velocities are taken between frames.")
    dtype, joints = joints.dtype, _stand_at_origin(joints.double(), skeleton)
    facing = facing_rotation(joints, skeleton, smooth=True)  # (frames, 4)

    steps = joints[1:] - joints[:-1]
    turn = multiply_quaternions(facing[1:], invert_quaternion(facing[:-1]))
    # q and -q are one rotation: without the sign a heading that crosses 180 degrees would seem to turn the other way
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
        features: `(..., frames, 12 * num_joints - 1)`, not normalized.
        num_joints: number of joints, the root included.

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
        features: `(..., frames, features)`, not normalized.
        skeleton: of these features.
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
    """The same movement on a body with other bone lengths; the path of the root is scaled with the legs.

    Args:
        joints: `(frames, joints, 3)`.
        skeleton: of these joints.
        offsets: `(joints, 3)` bone vectors of the target body, as `bone_offsets` gives them.

    Returns:
        `(frames, joints, 3)`.
    """
    skeleton.check(joints)
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
    skeleton.check(joints)
    directions = joints.new_tensor(skeleton.directions)
    return directions * _bone_lengths(joints[0], skeleton).unsqueeze(-1)


@_keeps_kind
def mirror_joints(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """The motion seen in a mirror: x changes sign, left and right joints change places. `(..., joints, 3)`."""
    if joints.shape[-2:] != (skeleton.num_joints, 3):
        raise ValueError(
            f"`joints` must have the shape (..., {skeleton.num_joints}, 3) for the {skeleton.name} skeleton; "
            f"got {tuple(joints.shape)}."
        )
    return joints[..., skeleton.mirrored_joints, :] * joints.new_tensor([-1, 1, 1])


@_keeps_kind
def resample(motion: Tensor, source_fps: float, target_fps: float) -> Tensor:
    """Joint positions at another frame rate, by linear interpolation over time. `(frames, ...)` -> `(frames', ...)`.

    Only positions may be resampled: features hold velocities per frame.
    """
    if not (0 < source_fps < math.inf and 0 < target_fps < math.inf):
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
        skeleton: of these features.

    Returns:
        mean and std, float32 `(features,)`.

    Raises:
        ValueError: for another feature size, or when there are no frames at all.
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
    forward = cross(joints.new_tensor(UP), normalize(across, dim=-1))
    if smooth:
        smoothed = _smooth(forward, FACING_SMOOTHING)
        # directions of a turn on the spot can average to zero
        forward = torch.where(smoothed.norm(dim=-1, keepdim=True) > 1e-6, smoothed, forward)
    facing = quaternion_between(forward, forward.new_tensor(FRONT))
    facing[0] = facing.new_tensor([1, 0, 0, 0])
    return facing


def check_statistics(mean, std, skeleton: Skeleton, names: tuple[str, str] = ("mean", "std")) -> None:
    """Raise a ValueError, naming one of `names`, unless mean and std fit a skeleton's features."""
    for name, values in zip(names, (mean, std), strict=True):
        if np.shape(values) != (skeleton.feature_size,):
            raise ValueError(
                f"{name} has shape {np.shape(values)}, but the {skeleton.name} skeleton has {skeleton.feature_size} "
                "features; give the statistics of a data set of this skeleton."
            )
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds NaN or infinite values; make it again with `tm2t-hf prepare`.")
    if not (np.asarray(std) > 0).all():
        raise ValueError(f"{names[1]} holds a deviation of 0 or less; make it again with `tm2t-hf prepare`.")


def _stand_at_origin(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """Lowest point on the floor, first root above the origin, first frame facing +z."""
    origin = joints[0, 0].clone()
    origin[1] = joints[..., 1].min()
    right_hip, left_hip, right_shoulder, left_shoulder = joints[0, list(skeleton.face_joints)]
    across = right_hip - left_hip + right_shoulder - left_shoulder
    forward = cross(joints.new_tensor(UP), across)
    return rotate(quaternion_between(forward, forward.new_tensor(FRONT)), joints - origin)


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
    """Facing (..., 3, 3), local (..., joints - 1, 3, 3), root (..., 3) -> (..., joints, 3)."""
    bones = [None] * skeleton.num_joints
    for chain in skeleton.chains:
        rotation = facing
        for joint in chain[1:]:
            rotation = rotation @ local[..., joint - 1, :, :]
            bones[joint] = rotation @ offsets[joint]
    return torch.stack(skeleton.join_bones(root, bones), dim=-2)


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


__all__ = [
    "HUMANML3D",
    "KIT",
    "SKELETONS",
    "Skeleton",
    "bias_std",
    "bone_offsets",
    "check_statistics",
    "facing_rotation",
    "feature_groups",
    "feature_statistics",
    "features_to_joints",
    "features_to_joints_by_rotations",
    "joints_to_features",
    "mirror_joints",
    "resample",
    "retarget",
    "unmasked",
]
