# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Joints -> a BVH file (Biovision Hierarchy): a skeleton of rigid bones, and Euler angles per joint and frame."""

import io
from os import PathLike

import numpy as np
import torch
from torch import Tensor

from ..files import written_beside
from ..rotations import quaternion_to_euler
from ..skeletons import HUMANML3D, Skeleton
from .kinematics import animate_bones, checked_joints, children_of

ORDER = "ZXY"  # of the rotation channels, as in most motion capture
LARGEST_STEP = 45  # degrees between two frames above which a joint gets another order
TIP = 0.5  # length of the bone that an End Site ends, relative to the one before it

# What Mixamo and MotionBuilder call the joints, so that Blender, Unity and retargeting add-ons know them.
STANDARD_NAMES = {
    "pelvis": "Hips",
    "root": "Hips",
    "spine1": "Spine",
    "spine2": "Spine1",
    "spine3": "Spine2",
    "neck": "Neck",
    "head": "Head",
    **{
        f"{side}_{joint}": f"{side.capitalize()}{standard}"
        for side in ("left", "right")
        for joint, standard in {
            "hip": "UpLeg",
            "knee": "Leg",
            "ankle": "Foot",
            "heel": "Heel",
            "toe": "ToeBase",
            "collar": "Shoulder",
            "shoulder": "Arm",
            "elbow": "ForeArm",
            "wrist": "Hand",
        }.items()
    },
}


def save_bvh(
    joints: np.ndarray,
    path: str | PathLike,
    fps: float = 20.0,
    title: str | None = None,
    skeleton: Skeleton = HUMANML3D,
    units_per_metre: float = 100.0,
) -> None:
    """Write a motion as BVH: a T-pose that faces +z, y up, and rotations in the order Z, X, Y.

    Bones are rigid: the joints of the file are those of `kinematics.animate_bones`. Euler angles count on through full
    turns. A joint whose angles would jump (gimbal lock: a thigh swung past the horizontal) gets the order of
    rotations in which they move least; a BVH file states the order joint by joint.

    Args:
        joints: `(frames, joints, 3)` in metres, y up.
        path: file to write.
        fps: frames per second.
        title: ignored; BVH has no place for it.
        skeleton: what the joints are; they get their standard names (`STANDARD_NAMES`).
        units_per_metre: 100 writes centimetres, as most tools expect; Blender's importer then needs the scale 0.01.

    Raises:
        ValueError: for joints of another shape, no frames, NaN or infinite values, bones without length, or a frame
            rate that is not above 0.
    """
    joints = checked_joints(joints, fps, skeleton)
    animation = animate_bones(joints, skeleton)
    names = standard_names(skeleton)
    order, degrees = _euler_angles(animation.rotations)
    children = children_of(skeleton)
    lines, channels = ["HIERARCHY"], [units_per_metre * animation.root]
    offsets = units_per_metre * animation.offsets.numpy()

    def add(joint: int, depth: int) -> None:
        indent = "  " * depth
        position = "" if joint else "Xposition Yposition Zposition "
        rotation = " ".join(f"{axis}rotation" for axis in order[joint])
        lines.append(f"{indent}{'JOINT' if joint else 'ROOT'} {names[joint]}")
        lines.append(f"{indent}{{")
        lines.append(f"{indent}  OFFSET {_numbers(offsets[joint])}")
        lines.append(f"{indent}  CHANNELS {3 if joint else 6} {position}{rotation}")
        channels.append(degrees[:, joint])
        for child in children[joint]:
            add(child, depth + 1)
        if not children[joint]:
            tip = [f"{indent}  End Site", f"{indent}  {{", f"{indent}    OFFSET {_numbers(TIP * offsets[joint])}"]
            lines.extend([*tip, f"{indent}  }}"])
        lines.append(f"{indent}}}")

    add(0, 0)
    lines += ["MOTION", f"Frames: {len(joints)}", f"Frame Time: {1 / fps:.8f}"]
    values = np.round(torch.cat(channels, dim=1).numpy(), 6) + 0.0  # without -0.0
    table = io.StringIO()
    np.savetxt(table, values, fmt="%.6f")
    with written_beside(path) as part:
        part.write_text("\n".join(lines) + "\n" + table.getvalue(), encoding="utf-8", newline="\n")


def standard_names(skeleton: Skeleton) -> list[str]:
    """One name per joint without spaces: that of Mixamo and MotionBuilder where the joint has one."""
    names = [STANDARD_NAMES.get(name, name) for name in skeleton.joint_names]
    if len(set(names)) < len(names):
        names = list(skeleton.joint_names)
    return ["_".join(name.split()) for name in names]


def _euler_angles(rotations: Tensor) -> tuple[list[str], Tensor]:
    """(frames, joints, 4) -> the order of each joint, and degrees (frames, joints, 3) in that order."""
    orders = [ORDER] * rotations.shape[1]
    degrees = torch.rad2deg(quaternion_to_euler(rotations, ORDER))
    for joint in (_largest_steps(degrees) > LARGEST_STEP).nonzero()[:, 0].tolist():
        others = {
            order: torch.rad2deg(quaternion_to_euler(rotations[:, joint], order))
            for order in (ORDER, "XZY", "YXZ", "YZX", "XYZ", "ZYX")
        }
        orders[joint] = min(others, key=lambda order: _largest_steps(others[order]).item())
        degrees[:, joint] = others[orders[joint]]
    return orders, degrees


def _largest_steps(degrees: Tensor) -> Tensor:
    """(frames, ..., 3) -> (...): how far one of the angles goes between two frames."""
    if len(degrees) < 2:
        return torch.zeros(degrees.shape[1:-1])
    return degrees.diff(dim=0).abs().amax((0, -1))


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in np.round(values, 6) + 0.0)


__all__ = ["STANDARD_NAMES", "save_bvh", "standard_names"]
