# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Joint positions <-> rotations of rigid bones, for the formats that animate a skeleton (BVH, glTF).

Positions do not say how far a bone is twisted about its own length. Here

- a joint with several children (pelvis, chest) turns with all of them,
- upper arms and thighs are twisted so that elbows and knees are hinges: an elbow bends forward, a knee backward,
- every other bone follows the one above it, twisted no further than its direction asks for,

and where those rules would flip a bone from one frame to the next, the twist is smoothed over time until none flips.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..rotations import (
    axis_rotation,
    continuous_quaternions,
    cross,
    fit_rotation,
    invert_quaternion,
    matrix_to_quaternion,
    multiply_quaternions,
    quaternion_between,
    rotate,
    twist_angle,
)
from ..skeletons import HUMANML3D, Skeleton

SHORTEST_BONE = 1e-5  # meters; a shorter bone has no direction
LARGEST_TWIST = np.radians(20)  # between two frames, beyond what the bone's direction asks for
CATCH_UP = 0.1  # share of its length by which a bone corrects for what the bones before it could not reach
SHRUNK, SHRUNK_FRAMES = 0.7, 3  # share of its length below which a bone's direction is unsure; frames that help
STRAIGHT = 0.05  # squared sine of the bend up to which knees and elbows rather count as straight (13 degrees)


@dataclass(frozen=True)
class BoneAnimation:
    """A motion of rigid bones; `forward_kinematics` gives its joint positions.

    Args:
        skeleton: skeleton of the joints.
        offsets: `(joints, 3)` meters from each joint's parent to it in the rest pose, a T-pose that faces +z; root: 0.
        root: `(frames, 3)` positions of the root in meters.
        rotations: `(frames, joints, 4)` unit quaternions (w, x, y, z) from the parent's axes to the joint's, without
            a change of sign between frames. In the rest pose all are the identity. Joints without children keep it.
    """

    skeleton: Skeleton
    offsets: Tensor
    root: Tensor
    rotations: Tensor


def checked_joints(joints: np.ndarray, fps: float, skeleton: Skeleton = HUMANML3D) -> np.ndarray:
    """A motion to be written, as float64.

    Raises:
        ValueError: for joints of another shape, no frames, NaN or infinite values, or a frame rate not above 0.
    """
    joints = np.asarray(joints, dtype=np.float64)
    skeleton.check(joints)
    if not 0 < fps < np.inf:
        raise ValueError(f"fps={fps} must be above 0.")
    return joints


def animate_bones(joints: np.ndarray, skeleton: Skeleton = HUMANML3D) -> BoneAnimation:
    """Rotations of rigid bones that follow joint positions.

    Bones get the median of their lengths over the frames, the children of one joint the median of their arrangement.
    Where those are constant the joints are met exactly. Where lengths vary, as in generated motion, each bone makes up
    for what the ones before it could not reach, so that differences do not add up along a limb.

    Args:
        joints: `(frames, joints, 3)` meters, y up.
        skeleton: skeleton of the joints.

    Raises:
        ValueError: for joints of another shape, no frames, NaN or infinite values, or a bone without length.
    """
    joints = torch.from_numpy(checked_joints(joints, skeleton.fps, skeleton))
    lengths = _bone_lengths(joints, skeleton)
    directions = _t_pose(skeleton)
    bends = _hinges(skeleton, directions)
    offsets = directions * lengths[:, None]
    rotations = torch.zeros(*joints.shape[:2], 4, dtype=joints.dtype)
    rotations[..., 0] = 1
    places, turned = (
        joints.clone(),
        rotations.clone(),
    )  # of the rigid bones: positions, rotations from the world's axes
    for joint, children in children_of(skeleton).items():
        if joint:
            parent = skeleton.parents[joint]
            places[:, joint] = places[:, parent] + rotate(turned[:, parent], offsets[joint])
        above = turned[:, skeleton.parents[joint]] if joint else turned[:, 0]  # (frames, 4)
        aims = joints[:, children] - joints[:, joint, None]  # (frames, children, 3)
        aims = _achievable(aims, joints[:, joint, None] - places[:, joint, None], lengths[children, None])
        aims = rotate(invert_quaternion(above)[:, None], aims)
        if len(children) > 1:
            offsets[children] = _arrangement(aims, directions[children]) * lengths[children, None]
            rotations[:, joint] = matrix_to_quaternion(fit_rotation(offsets[children], aims))
        elif children:
            (child,) = children
            bend = None
            if joint in bends:
                end = children_of(skeleton)[child][0]
                below = (joints[:, end] - joints[:, child]) / lengths[end]
                bend = bends[joint], rotate(invert_quaternion(above), below)
            rotations[:, joint] = _aim(directions[child], aims[:, 0], bend)
        turned[:, joint] = multiply_quaternions(above, rotations[:, joint])
    return BoneAnimation(skeleton, offsets, joints[:, 0], continuous_quaternions(rotations))


def forward_kinematics(animation: BoneAnimation) -> Tensor:
    """`(frames, joints, 3)` joint positions of rigid bones."""
    skeleton, local = animation.skeleton, animation.rotations
    places = animation.root[:, None].repeat(1, skeleton.num_joints, 1)
    turned = local.clone()
    for joint in children_of(skeleton):
        if joint:
            parent = skeleton.parents[joint]
            places[:, joint] = places[:, parent] + rotate(turned[:, parent], animation.offsets[joint])
            turned[:, joint] = multiply_quaternions(turned[:, parent], local[:, joint])
    return places


def rest_positions(animation: BoneAnimation) -> Tensor:
    """`(joints, 3)` meters: the T-pose, standing on the floor above the origin."""
    places = torch.zeros_like(animation.offsets)
    for joint in children_of(animation.skeleton):
        if joint:
            places[joint] = places[animation.skeleton.parents[joint]] + animation.offsets[joint]
    places[:, 1] -= places[:, 1].min()
    return places


def children_of(skeleton: Skeleton) -> dict[int, list[int]]:
    """The children of each joint; every joint comes after its parent."""
    children = {0: []}
    for chain in skeleton.chains:
        for parent, joint in zip(chain, chain[1:], strict=False):
            children[parent].append(joint)
            children[joint] = []
    return children


def _bone_lengths(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """(frames, joints, 3) -> (joints,): median length of the bone that ends at each joint; root: 0."""
    lengths = (joints[:, 1:] - joints[:, list(skeleton.parents[1:])]).norm(dim=-1).median(0).values
    if short := [skeleton.joint_names[index + 1] for index in (lengths < SHORTEST_BONE).nonzero()[:, 0]]:
        raise ValueError(
            f"The bones that end at {', '.join(short)} have no length in most frames, so they have no direction; "
            "are all joints in meters and in the order of the skeleton?"
        )
    return torch.nn.functional.pad(lengths, (1, 0))


def _limb(skeleton: Skeleton, joint: int, opposite: int) -> list[int]:
    """The joints of the limb that `joint` belongs to, from where it leaves the trunk shared with `opposite`."""
    trunk = {opposite}
    while opposite > 0:
        opposite = skeleton.parents[opposite]
        trunk.add(opposite)
    while joint and skeleton.parents[joint] not in trunk:
        joint = skeleton.parents[joint]
    limb = [joint]
    for member in limb:
        limb += children_of(skeleton)[member]
    return limb


def _t_pose(skeleton: Skeleton) -> Tensor:
    """`(joints, 3)` unit directions of the bones in the rest pose: arms sideways, legs down, +z in front; root: 0.

    Animation tools expect it as the pose that all rotations start from. `skeleton.directions`, which the features are
    defined with, have hanging arms instead, and for KIT the hips on the wrong sides.
    """
    right_hip, left_hip, right_shoulder, left_shoulder = skeleton.face_joints
    directions = torch.tensor([[0.0, 1.0, 0.0]] * skeleton.num_joints, dtype=torch.float64)
    directions[0] = 0
    for side, hip, opposite in ((1.0, left_hip, right_hip), (-1.0, right_hip, left_hip)):
        leg = _limb(skeleton, hip, opposite)
        directions[leg] = torch.tensor(skeleton.directions, dtype=torch.float64)[leg]
        directions[leg[0]] = torch.tensor([side, 0.0, 0.0], dtype=torch.float64)
    for side, shoulder, opposite in ((1.0, left_shoulder, right_shoulder), (-1.0, right_shoulder, left_shoulder)):
        directions[_limb(skeleton, shoulder, opposite)] = torch.tensor([side, 0.0, 0.0], dtype=torch.float64)
    directions[0] = 0
    return normalize(directions, dim=-1)


def _hinges(skeleton: Skeleton, directions: Tensor) -> dict[int, Tensor]:
    """For hips and shoulders, the direction (3,) in the rest pose in which the lower bone bends from the upper one."""
    right_hip, left_hip, right_shoulder, left_shoulder = skeleton.face_joints
    children = children_of(skeleton)
    backward = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
    bends = dict.fromkeys((right_hip, left_hip), backward) | dict.fromkeys((right_shoulder, left_shoulder), -backward)
    # a limb of another build (no knee, several bones from the hip) has no hinge
    return {
        joint: bend
        for joint, bend in bends.items()
        if len(children[joint]) == 1 and children[children[joint][0]] and directions[children[joint][0], 2] == 0
    }


def _arrangement(aims: Tensor, directions: Tensor) -> Tensor:
    """How the children of a joint lie around it: (frames, children, 3), T-pose (children, 3) -> (children, 3).

    The median over the frames, turned as near to the T-pose as it can be; unit vectors.
    """
    aims = normalize(aims, dim=-1)
    arrangement = aims[len(aims) // 2]
    for _ in range(3):
        turns = fit_rotation(arrangement, aims)  # (frames, 3, 3)
        arrangement = normalize((aims @ turns).median(0).values, dim=-1)
    return arrangement @ fit_rotation(arrangement, directions).mT


def _achievable(bones: Tensor, missed: Tensor, lengths: Tensor) -> Tensor:
    """Where the children of a joint should lie, seen from where the joint came to lie.

    Args:
        bones: `(frames, children, 3)` where they lie, seen from where the joint should be.
        missed: `(frames, 1, 3)` from where the joint came to lie to where it should be.
        lengths: `(children, 1)` of the rigid bones.
    """
    # chasing a place that is farther off would distort the pose more than the miss does
    most = CATCH_UP * lengths / missed.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    bones = bones + missed * most.clamp(max=1)
    # a bone that has shrunk says little about its direction, so the frames around it count too
    shrunk = (1 - bones.norm(dim=-1, keepdim=True) / (SHRUNK * lengths)).clamp(min=0)
    if not shrunk.any():
        return bones
    return bones + shrunk * _blurred(bones.flatten(1), SHRUNK_FRAMES).reshape(bones.shape)


def _aim(rest: Tensor, aims: Tensor, bend: tuple[Tensor, Tensor] | None) -> Tensor:
    """Rotations that take one direction to others, with a sensible and steady twist.

    Args:
        rest: `(3,)` direction of the bone in the rest pose.
        aims: `(frames, 3)` its directions, of any length.
        bend: of a limb, the direction (3,) in which its lower bone bends from the upper one in the rest pose, and the
            directions (frames, 3) of the lower bone, shorter than 1 where it has shrunk.

    Returns:
        `(frames, 4)`.
    """
    swing = quaternion_between(rest, aims)
    # No twist at all is the best guess, except where the bone points opposite to its rest: there it is arbitrary.
    certainty = ((1 + (normalize(aims, dim=-1) * rest).sum(-1)) / 2).square()
    wish = torch.complex(certainty, torch.zeros_like(certainty))  # its angle is the twist, its length the certainty
    if bend is not None:
        rest_bend, lower = bend
        lower = rotate(invert_quaternion(swing), lower)  # as seen with the upper bone in its rest direction
        side = cross(rest, rest_bend)
        hinge = torch.complex((lower * rest_bend).sum(-1), (lower * side).sum(-1))  # its length: the sine of the bend
        wish = STRAIGHT * wish + hinge * hinge.abs()
    return multiply_quaternions(swing, axis_rotation(rest, _steady_twist(swing, rest, wish)))


def _steady_twist(swing: Tensor, rest: Tensor, wish: Tensor) -> Tensor:
    """The angles of `wish` (frames,), smoothed over time as far as needed for no step above `LARGEST_TWIST`.

    A step counts relative to the bone being carried along without any twist, which is what a wide window leads to.
    """
    if len(swing) < 2:
        return wish.angle()
    aims = rotate(swing, rest)
    carried = multiply_quaternions(quaternion_between(aims[:-1], aims[1:]), swing[:-1])
    steps = twist_angle(multiply_quaternions(invert_quaternion(carried), swing[1:]), rest)
    drift = torch.nn.functional.pad(steps.cumsum(0), (1, 0))  # (frames,) twist of `swing` since the first frame
    wish = wish * torch.polar(torch.ones_like(drift), drift)
    wish = torch.view_as_real(wish)  # (frames, 2)
    width = 0
    while True:
        smooth = torch.view_as_complex(_blurred(wish, width))
        steps = (smooth[1:] * smooth[:-1].conj()).angle()
        if steps.abs().max() <= LARGEST_TWIST or width > 2 * len(wish):
            break
        width = 2 * width + 1
    twist = smooth[:1].angle() + torch.nn.functional.pad(steps.cumsum(0), (1, 0))
    return twist - drift


def _blurred(values: Tensor, width: int) -> Tensor:
    """Weighted sum over `width` frames on either side, the nearest counting most. (frames, channels)."""
    kernel = torch.hann_window(2 * width + 3, periodic=False, dtype=values.dtype)[1:-1]
    columns = torch.nn.functional.conv1d(values.t().unsqueeze(1), kernel.reshape(1, 1, -1), padding=width)
    return columns[:, 0].t().contiguous()


__all__ = ["BoneAnimation", "animate_bones", "checked_joints", "children_of", "forward_kinematics", "rest_positions"]
