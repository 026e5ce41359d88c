# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Rotations on torch tensors: unit quaternions `(w, x, y, z)`, matrices and the continuous 6D form.

The 6D form is the first two columns of the rotation matrix, one after the other (Zhou et al., CVPR 2019).
All functions work over any leading dimensions and are differentiable.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize


def multiply_quaternions(left: Tensor, right: Tensor) -> Tensor:
    """Hamilton product: the rotation `right` followed by the rotation `left`."""
    left_w, left_v = left[..., :1], left[..., 1:]
    right_w, right_v = right[..., :1], right[..., 1:]
    w = left_w * right_w - (left_v * right_v).sum(-1, keepdim=True)
    v = left_w * right_v + right_w * left_v + cross(left_v, right_v)
    return torch.cat([w, v], dim=-1)


def invert_quaternion(quaternion: Tensor) -> Tensor:
    """The inverse of a unit quaternion."""
    return torch.cat([quaternion[..., :1], -quaternion[..., 1:]], dim=-1)


def rotate(quaternion: Tensor, vectors: Tensor) -> Tensor:
    """Rotates `vectors` (..., 3) by `quaternion` (..., 4); the leading dimensions broadcast."""
    w, v = quaternion[..., :1], quaternion[..., 1:]
    twice = 2 * cross(v, vectors)
    return vectors + w * twice + cross(v, twice)


def quaternion_between(source: Tensor, target: Tensor) -> Tensor:
    """The shortest rotation that takes the direction of `source` (..., 3) to that of `target` (..., 3).

    Opposite directions have no shortest rotation: a half turn about an axis perpendicular to `source` is taken, the
    vertical one where `source` is horizontal, so that a heading of exactly -z is a half turn about y.
    """
    source, target = torch.broadcast_tensors(normalize(source, dim=-1), normalize(target, dim=-1))
    w = 1 + (source * target).sum(-1, keepdim=True)
    quaternion = torch.cat([w, cross(source, target)], dim=-1)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=source.dtype, device=source.device)
    side = torch.tensor([1.0, 0.0, 0.0], dtype=source.dtype, device=source.device)
    axis = up - source * source[..., 1:2]
    axis = torch.where(axis.norm(dim=-1, keepdim=True) > 1e-3, axis, side - source * source[..., :1])
    half_turn = torch.cat([torch.zeros_like(w), axis], dim=-1)
    # below this length, rounding has destroyed the direction of `quaternion`, and the half turn is more accurate
    enough = torch.finfo(source.dtype).eps ** 0.5
    return normalize(torch.where(quaternion.norm(dim=-1, keepdim=True) > enough, quaternion, half_turn), dim=-1)


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """(..., 4) -> (..., 3, 3)."""
    w, x, y, z = quaternion.unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def matrix_to_6d(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 6)."""
    return torch.cat([matrix[..., 0], matrix[..., 1]], dim=-1)


def matrix_from_6d(rotation_6d: Tensor) -> Tensor:
    """(..., 6) -> (..., 3, 3); the two columns are made orthonormal (Gram-Schmidt, the first one kept)."""
    x = normalize(rotation_6d[..., :3], dim=-1)
    z = normalize(cross(x, rotation_6d[..., 3:]), dim=-1)
    return torch.stack([x, cross(z, x), z], dim=-1)


def cross(left: Tensor, right: Tensor) -> Tensor:
    """Cross product over the last dimension; the leading dimensions broadcast."""
    # not `torch.linalg.cross`, which takes four times as long on a CPU
    (x, y, z), (u, v, w) = (vectors.unbind(-1) for vectors in torch.broadcast_tensors(left, right))
    return torch.stack([y * w - z * v, z * u - x * w, x * v - y * u], dim=-1)


def axis_rotation(axis: Tensor, angle: Tensor) -> Tensor:
    """The rotation by `angle` (...) radians about the unit vector `axis` (..., 3); leading dimensions broadcast."""
    half = angle.unsqueeze(-1) / 2
    vector = half.sin() * axis
    return torch.cat([half.cos().expand_as(vector[..., :1]), vector], dim=-1)


def twist_angle(quaternion: Tensor, axis: Tensor) -> Tensor:
    """How far a rotation (..., 4) turns about the unit vector `axis` (..., 3), in [-pi, pi).

    Every rotation is a twist about a given axis, followed by a swing about an axis perpendicular to it; this is the
    angle of the twist.
    """
    return _wrapped(2 * torch.atan2((quaternion[..., 1:] * axis).sum(-1), quaternion[..., 0]))


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 4), with w >= 0 except where w is rounded off."""
    xx, yy, zz = matrix.diagonal(dim1=-2, dim2=-1).unbind(-1)
    x, y, z = (matrix[..., i, j] - matrix[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    xy, xz, yz = (matrix[..., i, j] + matrix[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    # every row is the quaternion times four times one of its own elements
    rows = [
        [1 + xx + yy + zz, x, y, z],
        [x, 1 + xx - yy - zz, xy, xz],
        [y, xy, 1 - xx + yy - zz, yz],
        [z, xz, yz, 1 - xx - yy + zz],
    ]
    candidates = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)  # (..., 4, 4)
    # the row of the largest element loses the least to rounding
    largest = candidates.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None].expand(*matrix.shape[:-2], 1, 4)
    quaternion = normalize(candidates.gather(-2, largest).squeeze(-2), dim=-1)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def fit_rotation(source: Tensor, target: Tensor, prior_weight: float = 1e-8) -> Tensor:
    """The rotation that takes `source` (..., points, 3) nearest to `target` (..., points, 3), about the origin.

    Least squares by the singular value decomposition (Kabsch 1976; Wahba's problem). Where the points leave several
    rotations open, as on a line, it is the smallest of them.

    Args:
        source: vectors before the rotation; the leading dimensions broadcast.
        target: the same vectors after it.
        prior_weight: how much staying at rest counts, relative to the points.

    Returns:
        Rotation matrices `(..., 3, 3)`.
    """
    identity = torch.eye(3, dtype=source.dtype, device=source.device)
    scale = (source.square().sum((-2, -1)) * target.square().sum((-2, -1))).sqrt()
    covariance = target.mT @ source + (prior_weight * scale)[..., None, None] * identity
    u, _, vh = torch.linalg.svd(covariance)
    handedness = torch.linalg.det(u @ vh).sign()
    return torch.cat([u[..., :2], u[..., 2:] * handedness[..., None, None]], dim=-1) @ vh


def continuous_quaternions(quaternions: Tensor) -> Tensor:
    """Of the two quaternions of each rotation the one nearest to that of the frame before. (frames, ..., 4)."""
    turned_over = (quaternions[1:] * quaternions[:-1]).sum(-1, keepdim=True) < 0
    signs = torch.where(turned_over, -1, 1).to(quaternions.dtype).cumprod(0)
    return torch.cat([quaternions[:1], quaternions[1:] * signs])


def euler_to_quaternion(angles: Tensor, order: str) -> Tensor:
    """Euler angles in radians -> quaternions. (..., 3) -> (..., 4).

    Args:
        angles: one angle per letter of `order`.
        order: three of the letters X, Y and Z; the rotation about the last one happens first, as in a BVH file whose
            channels come in this order.
    """
    axes = torch.eye(3, dtype=angles.dtype, device=angles.device)
    first, second, third = (axis_rotation(axes["XYZ".index(name)], angles[..., i]) for i, name in enumerate(order))
    return multiply_quaternions(multiply_quaternions(first, second), third)


def quaternion_to_euler(quaternions: Tensor, order: str) -> Tensor:
    """Euler angles in radians that change as little as they can from one frame to the next.

    Each rotation has two triples of angles, each up to full turns; the one nearest to the frame before is taken, so
    that a full turn counts up to 360 degrees instead of jumping at 180, and the middle angle may go beyond 90.

    Args:
        quaternions: `(frames, ..., 4)`.
        order: as in `euler_to_quaternion`; three different letters.

    Returns:
        `(frames, ..., 3)`, one angle per letter of `order`.

    Raises:
        ValueError: for another order.
    """
    if sorted(order) != ["X", "Y", "Z"]:
        raise ValueError(f"The order of Euler angles is the letters X, Y and Z in some order; got {order!r}.")
    i, j, k = ("XYZ".index(name) for name in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    matrix = quaternion_to_matrix(quaternions)
    first = torch.atan2(-sign * matrix[..., j, k], matrix[..., k, k])
    cosine = torch.hypot(matrix[..., k, k], matrix[..., j, k])
    middle = torch.atan2(sign * matrix[..., i, k], cosine)
    last = torch.atan2(-sign * matrix[..., i, j], matrix[..., i, i])

    # In gimbal lock only the sum or the difference of the outer two is known: the last one stays as it was before.
    locked = cosine < 1e-6
    frames = torch.arange(len(locked), device=locked.device).reshape(-1, *[1] * (locked.dim() - 1))
    last = last.gather(0, torch.where(locked, 0, frames).cummax(0).values)
    axes = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    inner = multiply_quaternions(axis_rotation(axes[j], middle), axis_rotation(axes[k], last))
    first = torch.where(
        locked, twist_angle(multiply_quaternions(quaternions, invert_quaternion(inner)), axes[i]), first
    )

    angles = torch.stack([first, middle, last], dim=-1)  # (frames, ..., 3)
    other = torch.stack([first + math.pi, math.pi - middle, last + math.pi], dim=-1)
    # Both triples of a frame are the same rotation. From one frame to the next, other -> other is as far as
    # angles -> angles, and other -> angles as far as angles -> other: two distances per step say when to change over.
    stay = _wrapped(angles[1:] - angles[:-1]).square().sum(-1)
    change = _wrapped(other[1:] - angles[:-1]).square().sum(-1)
    in_other = (change < stay).cumsum(0) % 2 == 1
    angles = torch.cat([angles[:1], torch.where(in_other.unsqueeze(-1), other[1:], angles[1:])])
    steps = _wrapped(angles[1:] - angles[:-1])
    return torch.cat([angles[:1], angles[:1] + steps.cumsum(0)])


def _wrapped(angles: Tensor) -> Tensor:
    """The same angles in [-pi, pi)."""
    return torch.remainder(angles + math.pi, 2 * math.pi) - math.pi
