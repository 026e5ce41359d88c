# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The body that performs the actions of the toy set: 22 joints (HumanML3D's), posed by kinematics.

An action says where the pelvis and the feet go and how the upper body bends. The legs follow by two-bone inverse
kinematics, so that a foot on the ground does not slide; spine and arms follow by forward kinematics.
"""

from dataclasses import dataclass, field

import numpy as np

from ..skeletons import HUMANML3D

JOINT = {name: index for index, name in enumerate(HUMANML3D.joint_names)}
SIDES = ("left", "right")

# Bone vectors of the left half in meters, standing with the arms hanging down: x to the left, y up, z to the front.
_LEFT_BONES = {
    "left_hip": (0.06, -0.09, -0.01),
    "left_knee": (0.0, -0.39, 0.0),
    "left_ankle": (0.0, -0.41, 0.0),
    "left_toe": (0.02, -0.055, 0.13),
    "left_collar": (0.07, 0.11, -0.01),
    "left_shoulder": (0.11, 0.03, -0.01),
    "left_elbow": (0.01, -0.26, 0.0),
    "left_wrist": (0.0, -0.25, 0.0),
    "spine1": (0.0, 0.12, -0.02),
    "spine2": (0.0, 0.14, 0.01),
    "spine3": (0.0, 0.06, 0.02),
    "neck": (0.0, 0.21, -0.03),
    "head": (0.0, 0.10, 0.04),
}
_MIRROR = np.array([-1.0, 1.0, 1.0])
BONES = np.zeros((len(JOINT), 3))
for _name, _bone in _LEFT_BONES.items():
    BONES[JOINT[_name]] = _bone
    if _name.startswith("left"):
        BONES[JOINT[_name.replace("left", "right")]] = _MIRROR * _bone
THIGH, SHIN = (np.linalg.norm(BONES[JOINT[name]]) for name in ("left_knee", "left_ankle"))
LEG_REACH = 0.985 * (THIGH + SHIN)  # a leg on the ground stays a little bent
TOE_HEIGHT = 0.02  # of the toe joint over the ground


@dataclass
class Foot:
    """Where a foot goes: its toe (frames, 3), heading and pitch (frames,) in radians, and when it bears the body."""

    toe: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray
    bears: np.ndarray


@dataclass
class Performance:
    """What an action decides; `joints()` makes the body of it.

    Attributes:
        path: where the pelvis is over the ground, x and z, (frames, 2).
        yaw, lean, tilt: heading of the pelvis, and its lean to the front and to the left, (frames,) radians.
        height: the most that the pelvis may be above the ground, (frames,); the legs may allow less.
        airborne: how far the whole body is off the ground, (frames,).
        bends: rotation of the bones after a joint against those before it, (frames, 3) radians about x, y, z.
    """

    path: np.ndarray
    yaw: np.ndarray
    lean: np.ndarray = field(init=False)
    tilt: np.ndarray = field(init=False)
    height: np.ndarray = field(init=False)
    airborne: np.ndarray = field(init=False)
    feet: dict[str, Foot] = field(init=False)
    bends: dict[str, np.ndarray] = field(init=False)

    def __post_init__(self):
        frames = len(self.path)
        self.lean, self.tilt, self.airborne = np.zeros((3, frames))
        self.height = np.full(frames, np.inf)
        self.bends = {name: np.zeros((frames, 3)) for name in JOINT}
        self.feet = {}
        for sign, side in zip((1, -1), SIDES, strict=True):
            self.bends[f"{side}_shoulder"][:, 2] = sign * 0.12
            self.bends[f"{side}_elbow"][:, 0] = -0.2
            toe = on_ground(self.path + turned(standing_toe(sign), self.yaw))
            self.feet[side] = Foot(toe, self.yaw.copy(), np.zeros(frames), np.ones(frames, bool))

    def joints(self) -> np.ndarray:
        """The body, (frames, 22, 3) float32 meters."""
        frames = len(self.path)
        pelvis = rotation(self.lean, self.yaw, self.tilt)  # (frames, 3, 3)
        ankles = {
            side: foot.toe - _apply(rotation(foot.pitch, foot.yaw), BONES[JOINT[f"{side}_toe"]])
            for side, foot in self.feet.items()
        }
        joints = np.zeros((frames, len(JOINT), 3))
        joints[:, 0, [0, 2]] = self.path
        joints[:, 0, 1] = self._pelvis_height(pelvis, ankles)
        rotations = [pelvis] * len(JOINT)
        for name, joint in JOINT.items():
            if joint > 0:
                parent = HUMANML3D.parents[joint]
                joints[:, joint] = joints[:, parent] + _apply(rotations[parent], BONES[joint])
                rotations[joint] = rotations[parent] @ rotation(*self.bends[name].T)
        for side, foot in self.feet.items():
            hip, knee, ankle, toe = (JOINT[f"{side}_{part}"] for part in ("hip", "knee", "ankle", "toe"))
            joints[:, knee], joints[:, ankle] = _bend_leg(joints[:, hip], ankles[side], self.yaw)
            joints[:, toe] = joints[:, ankle] + _apply(rotation(foot.pitch, foot.yaw), BONES[toe])
        joints[:, :, 1] += self.airborne[:, None]
        return joints.astype(np.float32)

    def _pelvis_height(self, pelvis: np.ndarray, ankles: dict[str, np.ndarray]) -> np.ndarray:
        """As high as wanted, but no higher than the bearing legs reach, smoothly."""
        allowed = self.height.copy()
        for side, foot in self.feet.items():
            hip = _apply(pelvis, BONES[JOINT[f"{side}_hip"]])
            across = np.linalg.norm(self.path + hip[:, [0, 2]] - ankles[side][:, [0, 2]], axis=1)
            reach = ankles[side][:, 1] + np.sqrt(np.maximum(LEG_REACH**2 - across**2, 0.01)) - hip[:, 1]
            allowed = np.where(foot.bears, np.minimum(allowed, reach), allowed)
        # The lowest of a window, then its mean: smooth, and never above what is allowed.
        return _windows(_windows(allowed).min(axis=1)).mean(axis=1)


def _windows(values: np.ndarray, width: int = 5) -> np.ndarray:
    padded = np.pad(values, width // 2, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, width)


def rotation(x: np.ndarray, y: np.ndarray | float = 0.0, z: np.ndarray | float = 0.0) -> np.ndarray:
    """Rotation about z, then x, then y: (frames,) radians -> (frames, 3, 3)."""
    x, y, z = np.broadcast_arrays(x, y, z)
    (cx, cy, cz), (sx, sy, sz) = (np.cos([x, y, z]), np.sin([x, y, z]))
    rows = (
        (cy * cz + sy * sx * sz, sy * sx * cz - cy * sz, sy * cx),
        (cx * sz, cx * cz, -sx),
        (cy * sx * sz - sy * cz, sy * sz + cy * sx * cz, cy * cx),
    )
    return np.moveaxis(np.array(rows), -1, 0)


def _apply(rotation: np.ndarray, vector: np.ndarray) -> np.ndarray:
    return np.einsum("tij,j->ti", rotation, vector)


def turned(ground: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Turn vectors on the ground (x, z) by yaw: (2,) or (n, 2) and (n,) -> (n, 2)."""
    x, z = np.moveaxis(np.broadcast_to(ground, (len(yaw), 2)), -1, 0)
    return np.stack([np.cos(yaw) * x + np.sin(yaw) * z, np.cos(yaw) * z - np.sin(yaw) * x], axis=-1)


def on_ground(ground: np.ndarray) -> np.ndarray:
    """Places on the ground (frames, 2) -> those of a toe that stands there (frames, 3)."""
    return np.stack([ground[:, 0], np.full(len(ground), TOE_HEIGHT), ground[:, 1]], axis=-1)


def standing_toe(sign: int) -> np.ndarray:
    """The toe next to the pelvis in a stand, x and z."""
    return np.array([sign * 0.10, 0.10])


def _bend_leg(hip: np.ndarray, ankle: np.ndarray, yaw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two-bone inverse kinematics, the knee to the front. An ankle out of reach comes as near as the leg allows."""
    straight = ankle - hip
    length = np.linalg.norm(straight, axis=1, keepdims=True)
    along = straight / length
    length = np.clip(length, 0.25, 0.998 * (THIGH + SHIN))
    left = np.stack([np.cos(yaw), np.zeros_like(yaw), -np.sin(yaw)], axis=-1)
    front = np.cross(along, left)
    front /= np.linalg.norm(front, axis=1, keepdims=True)
    cosine = (THIGH**2 + length**2 - SHIN**2) / (2 * THIGH * length)
    knee = hip + THIGH * (cosine * along + np.sqrt(1 - cosine**2) * front)
    return knee, hip + length * along
