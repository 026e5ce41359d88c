# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Draw skeleton.png, the picture in docs/data.md of joint order, axes and units."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tm2t_hf import HUMANML3D

LEFT, RIGHT, MIDDLE, AXIS = "#2d74c4", "#e86b2d", "#424650", "#8c8e92"
BONES = {"toe": 0.2, "ankle": 0.4, "knee": 0.38, "hip": 0.1, "spine": 0.13, "neck": 0.17, "head": 0.15}
BONES |= {"collar": 0.14, "shoulder": 0.13, "elbow": 0.27, "wrist": 0.25}  # meters


def pose() -> np.ndarray:
    """(joints, 3) meters: standing, facing +z, with the arms and legs apart so that no joint hides another."""
    joints = np.zeros((HUMANML3D.num_joints, 3))
    joints[0] = [0, 0.88, 0]
    for joint in range(1, HUMANML3D.num_joints):
        name = HUMANML3D.joint_names[joint]
        side = {"l": 1, "r": -1}[name[0]] if name.startswith(("left", "right")) else 0
        part = name.split("_")[-1].rstrip("123")
        direction = np.array(HUMANML3D.directions[joint])
        if part == "head":
            direction = np.array([0, 1, 0.2])
        elif part in ("elbow", "wrist"):
            direction = np.array([0.85 * side, -0.5, 0])
        elif part in ("collar", "shoulder"):
            direction = np.array([side, 0.15 if part == "shoulder" else 0.8, 0])
        elif part in ("hip", "knee", "ankle"):
            direction = np.array([side, -0.6, 0]) if part == "hip" else np.array([0.12 * side, -1, 0])
        joints[joint] = joints[HUMANML3D.parents[joint]] + BONES[part] * direction / np.linalg.norm(direction)
    return joints - [0, joints[:, 1].min(), 0]


def seen(points) -> np.ndarray:
    """(..., 3) -> (..., 2): seen from the front, a little from above and from the figure's left."""
    return np.asarray(points) @ np.array([[1, 0], [0, 1], [-0.45, -0.4]])


def main():
    """Draw and save."""
    figure = Figure((8, 6.2), dpi=110)
    axes = figure.add_axes((0, 0, 1, 1))
    joints = seen(pose())
    for joint, parent in enumerate(HUMANML3D.parents):
        name = HUMANML3D.joint_names[joint]
        color = LEFT if name.startswith("left") else RIGHT if name.startswith("right") else MIDDLE
        if parent >= 0:
            axes.plot(
                *joints[[parent, joint]].T, color=color, linewidth=5, alpha=0.45, solid_capstyle="round", zorder=1
            )
        axes.plot(*joints[joint], "o", color=color, markersize=17, zorder=2)
        axes.annotate(str(joint), joints[joint], color="white", ha="center", va="center", fontsize=9, weight="bold")
        dx, align = (-0.055, "right") if color == RIGHT else (0.055, "left")
        dy = -0.05 if "collar" in name else 0.045 if "shoulder" in name else 0
        axes.annotate(name, joints[joint] + [dx, dy], color=color, ha=align, va="center", fontsize=9)
    corner = np.array([-1.15, 0, 0])
    for axis, text in enumerate(("x: the figure's left", "y: up", "z: where it faces at first")):
        end = corner + 0.25 * np.eye(3)[axis]
        axes.annotate("", seen(end), seen(corner), arrowprops={"arrowstyle": "-|>", "color": AXIS, "linewidth": 2})
        axes.annotate(
            text, seen(end) + [0.02, 0.0 if axis == 0 else -0.04 if axis == 2 else 0.02], color=AXIS, fontsize=9
        )
    axes.plot([1.0, 1.0], [0, 1], color=AXIS, linewidth=2, marker="_", markersize=10)
    axes.annotate("1 m", (1.03, 0.5), color=AXIS, va="center", fontsize=9)
    axes.set_aspect("equal")
    axes.set_xlim(-1.35, 1.2)
    axes.set_ylim(-0.25, 1.7)
    axes.axis("off")
    figure.savefig(Path(__file__).with_name("skeleton.png"))


if __name__ == "__main__":
    main()
