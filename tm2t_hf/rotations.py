# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Rotations on torch tensors: unit quaternions `(w, x, y, z)`, matrices and the continuous 6D form.

The 6D form is the first two columns of the rotation matrix, one after the other (Zhou et al., CVPR 2019).
All functions work over any leading dimensions and are differentiable.
"""

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
    return torch.linalg.cross(*torch.broadcast_tensors(left, right), dim=-1)
