# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from tm2t_hf.rotations import (
    axis_rotation,
    continuous_quaternions,
    cross,
    euler_to_quaternion,
    fit_rotation,
    invert_quaternion,
    matrix_from_6d,
    matrix_to_6d,
    matrix_to_quaternion,
    multiply_quaternions,
    quaternion_between,
    quaternion_to_euler,
    quaternion_to_matrix,
    rotate,
    twist_angle,
)

seeds = st.integers(0, 10**6)


def draws(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def quaternions(seed: int, *shape: int) -> torch.Tensor:
    return normalize(draws(seed, *shape, 4), dim=-1)


@given(seeds)
@settings(deadline=None)
def test_inverse_undoes_the_rotation(seed):
    quaternion, vectors = quaternions(seed, 5), draws(seed + 1, 5, 3)
    torch.testing.assert_close(rotate(invert_quaternion(quaternion), rotate(quaternion, vectors)), vectors)
    identity = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand(5, 4)
    torch.testing.assert_close(multiply_quaternions(quaternion, invert_quaternion(quaternion)), identity)


@given(seeds)
@settings(deadline=None)
def test_a_product_rotates_by_its_right_factor_first(seed):
    left, right, vectors = quaternions(seed, 5), quaternions(seed + 1, 5), draws(seed + 2, 5, 3)
    one_by_one = rotate(left, rotate(right, vectors))
    torch.testing.assert_close(rotate(multiply_quaternions(left, right), vectors), one_by_one)
    matrices = quaternion_to_matrix(left) @ quaternion_to_matrix(right)
    torch.testing.assert_close(quaternion_to_matrix(multiply_quaternions(left, right)), matrices)
    torch.testing.assert_close((matrices @ vectors.unsqueeze(-1)).squeeze(-1), one_by_one)


@given(seeds)
@settings(deadline=None)
def test_a_rotation_keeps_lengths_angles_and_handedness(seed):
    quaternion, left, right = quaternions(seed, 5), draws(seed + 1, 5, 3), draws(seed + 2, 5, 3)
    rotated_left, rotated_right = rotate(quaternion, left), rotate(quaternion, right)
    torch.testing.assert_close(rotated_left.norm(dim=-1), left.norm(dim=-1))
    torch.testing.assert_close((rotated_left * rotated_right).sum(-1), (left * right).sum(-1))
    torch.testing.assert_close(cross(rotated_left, rotated_right), rotate(quaternion, cross(left, right)))


def test_a_quarter_turn_about_each_axis():
    half = math.sqrt(0.5)
    x, y, z = torch.eye(3)
    for axis, source, target in ((x, y, z), (y, z, x), (z, x, y)):
        quaternion = torch.cat([torch.tensor([half]), half * axis])
        torch.testing.assert_close(rotate(quaternion, source), target)
        torch.testing.assert_close(quaternion_to_matrix(quaternion) @ source, target)


def test_leading_dimensions_broadcast():
    quaternion, vectors = quaternions(0, 4, 1), draws(1, 4, 7, 3)
    rotated = rotate(quaternion, vectors)
    assert rotated.shape == (4, 7, 3)
    torch.testing.assert_close(rotated[2, 5], rotate(quaternion[2, 0], vectors[2, 5]))
    # three rows of three numbers: a cross product over the wrong dimension would go unnoticed by the shape
    left, right = draws(2, 3, 3), draws(3, 3, 3)
    torch.testing.assert_close(cross(left, right)[1], torch.linalg.cross(left[1], right[1]))
    assert cross(left[0].double(), right).dtype == torch.float64


@given(seeds)
@settings(deadline=None)
def test_6d_round_trip(seed):
    matrix = quaternion_to_matrix(quaternions(seed, 5))
    rotation_6d = matrix_to_6d(matrix)
    torch.testing.assert_close(rotation_6d[..., 3:], matrix @ torch.tensor([0, 1.0, 0], dtype=torch.float64))
    torch.testing.assert_close(matrix_from_6d(rotation_6d), matrix)


@given(seeds)
@settings(deadline=None)
def test_any_six_numbers_become_a_rotation_that_keeps_the_first_column(seed):
    rotation_6d = draws(seed, 5, 6)
    matrix = matrix_from_6d(rotation_6d)
    identity = torch.eye(3, dtype=torch.float64).expand(5, 3, 3)
    torch.testing.assert_close(matrix @ matrix.mT, identity)
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(matrix[..., 0], normalize(rotation_6d[..., :3], dim=-1))


@given(seeds)
@settings(deadline=None)
def test_quaternion_between_takes_one_direction_to_the_other_the_shortest_way(seed):
    source, target = draws(seed, 5, 3), draws(seed + 1, 5, 3)
    quaternion = quaternion_between(source, target)
    torch.testing.assert_close(rotate(quaternion, normalize(source, dim=-1)), normalize(target, dim=-1))
    torch.testing.assert_close(quaternion.norm(dim=-1), torch.ones(5, dtype=torch.float64))
    angle = torch.nn.functional.cosine_similarity(source, target, dim=-1).acos()
    torch.testing.assert_close(2 * quaternion[:, 0].acos(), angle)
    # its axis is perpendicular to both
    torch.testing.assert_close((quaternion[:, 1:] * source).sum(-1), torch.zeros(5, dtype=torch.float64))


DIRECTIONS = [(0, 0, 1), (0, 0, -1), (1, 0, 0), (0, 1, 0), (0, -1, 0), (0.6, 0, -0.8), (0.1, 0.99, 0.05), (1, 1, 1)]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parallel_and_opposite_directions(direction, dtype):
    source = normalize(torch.tensor(direction, dtype=dtype), dim=-1)
    torch.testing.assert_close(quaternion_between(source, 3 * source), torch.tensor([1.0, 0, 0, 0], dtype=dtype))
    half_turn = quaternion_between(source, -2 * source)
    torch.testing.assert_close(rotate(half_turn, source), -source)
    torch.testing.assert_close(half_turn.norm(), torch.ones((), dtype=dtype))


def test_the_opposite_of_a_heading_is_a_half_turn_about_the_vertical():
    turn = quaternion_between(torch.tensor([0.0, 0.0, -1.0]), torch.tensor([0.0, 0.0, 1.0]))
    torch.testing.assert_close(turn.abs(), torch.tensor([0.0, 0.0, 1.0, 0.0]))


@given(seeds, st.floats(-12, 0), st.sampled_from([torch.float32, torch.float64]))
@settings(deadline=None)
def test_nearly_opposite_directions_lose_little(seed, exponent, dtype):
    source = normalize(draws(seed, 5, 3), dim=-1)
    target = normalize(-source + 10**exponent * draws(seed + 1, 5, 3), dim=-1)
    quaternion = quaternion_between(source.to(dtype), target.to(dtype))
    error = (rotate(quaternion, source.to(dtype)) - target).norm(dim=-1)
    assert error.max() < 4 * torch.finfo(dtype).eps ** 0.5


def test_a_direction_of_no_length_turns_nothing():
    turn = quaternion_between(torch.zeros(3), torch.tensor([0.0, 0.0, 1.0]))
    torch.testing.assert_close(turn, torch.tensor([1.0, 0, 0, 0]))


def test_gradients_are_right_and_finite():
    quaternion, left, right = quaternions(0, 2), draws(1, 2, 3), draws(2, 2, 3)
    for inputs in (quaternion, left, right):
        inputs.requires_grad_()
    assert torch.autograd.gradcheck(rotate, (quaternion, left))
    assert torch.autograd.gradcheck(quaternion_between, (left, right))
    assert torch.autograd.gradcheck(lambda left, right: matrix_from_6d(torch.cat([left, right], -1)), (left, right))


@pytest.mark.parametrize("target", [*DIRECTIONS, (0, 0, 0)])
def test_gradients_are_finite_where_a_direction_is_special(target):
    source = torch.tensor([0.0, 0.0, 1.0], requires_grad=True)
    target = torch.tensor(target, dtype=torch.float32, requires_grad=True)
    quaternion_between(source, target).sum().backward()
    assert source.grad.isfinite().all() and target.grad.isfinite().all()
    rotation_6d = torch.cat([source.detach(), target.detach()]).requires_grad_()  # for (0, 0, 1): two equal columns
    matrix_from_6d(rotation_6d).sum().backward()
    assert rotation_6d.grad.isfinite().all()


def same_rotations(left: torch.Tensor, right: torch.Tensor, atol: float = 1e-9) -> None:
    torch.testing.assert_close(quaternion_to_matrix(left), quaternion_to_matrix(right), atol=atol, rtol=0)


@given(seeds)
@settings(deadline=None)
def test_matrix_round_trip(seed):
    quaternion = quaternions(seed, 4, 5)
    back = matrix_to_quaternion(quaternion_to_matrix(quaternion))
    torch.testing.assert_close(back, torch.where(quaternion[..., :1] < 0, -quaternion, quaternion))


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (-1, 2, 3)])
def test_half_turns_have_quaternions(axis):
    axis = normalize(torch.tensor(axis, dtype=torch.float64), dim=-1)
    for angle in (math.pi, math.pi - 1e-9, 3.0, 0.0):
        turn = axis_rotation(axis, torch.tensor(angle, dtype=torch.float64))
        same_rotations(matrix_to_quaternion(quaternion_to_matrix(turn)), turn)


@given(seeds, st.floats(-3.1, 3.1))
@settings(deadline=None)
def test_a_rotation_is_its_twist_and_then_a_swing(seed, angle):
    axis = normalize(draws(seed, 5, 3), dim=-1)
    swing = quaternion_between(axis, draws(seed + 1, 5, 3))
    twist = axis_rotation(axis, torch.tensor(angle, dtype=torch.float64).expand(5))
    torch.testing.assert_close(rotate(twist, axis), axis)
    measured = twist_angle(multiply_quaternions(swing, twist), axis)
    torch.testing.assert_close(measured, torch.full((5,), angle, dtype=torch.float64))
    torch.testing.assert_close(twist_angle(-twist, axis), measured)  # q and -q are one rotation


@given(seeds, st.integers(2, 6))
@settings(deadline=None)
def test_a_rotation_is_found_from_points(seed, points):
    quaternion, source = quaternions(seed, 5), draws(seed + 1, points, 3)
    # two points nearly in line leave their own direction badly conditioned, hence the tolerance
    fitted = fit_rotation(source, rotate(quaternion[:, None], source))
    torch.testing.assert_close(source @ fitted.mT, rotate(quaternion[:, None], source), atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.linalg.det(fitted), torch.ones(5, dtype=torch.float64))


def test_what_points_leave_open_stays_at_rest():
    line = torch.tensor([[0.0, 1.0, 0.0], [0.0, -2.0, 0.0]], dtype=torch.float64)
    identity = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(fit_rotation(line, line), identity)
    target = normalize(torch.tensor([0.3, 1.0, 0.2], dtype=torch.float64), dim=-1)
    smallest = quaternion_to_matrix(quaternion_between(line[0], target))
    torch.testing.assert_close(fit_rotation(line, line[:, 1:2] * target), smallest, atol=1e-6, rtol=0)
    # a mirror image is not a rotation
    points = draws(0, 4, 3)
    assert torch.linalg.det(fit_rotation(points, points * torch.tensor([-1.0, 1, 1]))) > 0


@given(seeds)
@settings(deadline=None)
def test_the_sign_of_a_quaternion_is_that_of_the_frame_before(seed):
    axis = normalize(draws(seed, 3, 3), dim=-1)
    turned = axis_rotation(axis, torch.linspace(0, 20, 120, dtype=torch.float64)[:, None])  # (frames, 3, 4)
    signs = torch.where(draws(seed + 1, 120, 3, 1) < 0, -1, 1)
    signs[0] = 1
    torch.testing.assert_close(continuous_quaternions(turned * signs), turned)


ORDERS = ["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"]


@pytest.mark.parametrize("order", ORDERS)
@given(seed=seeds, frames=st.integers(1, 5))
@settings(deadline=None, max_examples=20)
def test_euler_angles_of_any_rotations(order, seed, frames):
    quaternion = quaternions(seed, frames, 3)
    angles = quaternion_to_euler(quaternion, order)
    assert angles.shape == (frames, 3, 3)
    same_rotations(euler_to_quaternion(angles, order), quaternion)


def test_the_last_letter_of_an_order_turns_first():
    quarter = torch.tensor(math.pi / 2)
    z = torch.tensor([0.0, 0.0, 1.0])
    turn = euler_to_quaternion(torch.stack([torch.tensor(0.0), quarter, quarter]), "ZXY")
    torch.testing.assert_close(rotate(turn, z), torch.tensor([1.0, 0.0, 0.0]))  # y: z to x, which x leaves there


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_euler_angles_count_through_full_turns(order, place):
    """Also the middle one, which passes gimbal lock at 90 degrees, exactly and between frames."""
    for count in (145, 150):
        angles = torch.zeros(count, 3, dtype=torch.float64)
        angles[:, place] = torch.linspace(0, 4 * math.pi, count, dtype=torch.float64)
        torch.testing.assert_close(quaternion_to_euler(euler_to_quaternion(angles, order), order), angles)


@pytest.mark.parametrize("order", ORDERS)
@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_slow_euler_angles_are_found_again(order, seed):
    start = draws(seed, 3) * torch.tensor([3.0, 0.3, 3.0])
    speed = 0.05 * draws(seed + 1, 3).clamp(-1, 1) * torch.tensor([1.0, 0.2, 1.0])
    angles = start + speed * torch.arange(60)[:, None]
    found = quaternion_to_euler(euler_to_quaternion(angles, order), order)
    assert (found.diff(dim=0) - angles.diff(dim=0)).abs().max() < 1e-6 or angles[:, 1].abs().max() > 1.4


@pytest.mark.parametrize("order", ["ZZY", "XY", "xyz", ""])
def test_other_orders_are_refused(order):
    with pytest.raises(ValueError, match="order of Euler angles is the letters X, Y and Z"):
        quaternion_to_euler(quaternions(0, 2), order)
