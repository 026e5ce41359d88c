# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Joints -> `.npz` and `.csv` files, for those who compute with them."""

import csv
from collections.abc import Sequence
from os import PathLike

import numpy as np

from ..files import written_beside
from ..skeletons import HUMANML3D, Skeleton
from .kinematics import checked_joints


def save_npz(
    joints: np.ndarray,
    path: str | PathLike,
    fps: float = 20.0,
    title: str | None = None,
    skeleton: Skeleton = HUMANML3D,
    ids: Sequence[int] | None = None,
) -> None:
    """Write a compressed `.npz`, which `numpy.load(path)` opens without unpickling anything.

    It holds `joints` (frames, joints, 3) float32 in meters, `fps` float64, `text`, the names `joint_names` (joints,)
    and, where given, `ids` int64.

    Args:
        joints: `(frames, joints, 3)` in meters, y up.
        path: file to write.
        fps: frames per second.
        title: caption of the motion, stored as `text`; an empty string without one.
        skeleton: skeleton of the joints.
        ids: motion ids of the motion, as `generate` returns them.

    Raises:
        ValueError: for joints of another shape, no frames, NaN or infinite values, a frame rate that is not above 0,
            or ids that are not a list of integers.
    """
    joints = checked_joints(joints, fps, skeleton).astype(np.float32)
    arrays = {"joints": joints, "fps": np.float64(fps), "text": np.str_(title or "")}
    arrays["joint_names"] = np.array(skeleton.joint_names)
    if ids is not None:
        arrays["ids"] = np.asarray(ids)
        if arrays["ids"].ndim != 1 or arrays["ids"].dtype.kind not in "iu":
            raise ValueError("`ids` must be a list of integers, the motion ids of one motion.")
        arrays["ids"] = arrays["ids"].astype(np.int64)
    with written_beside(path) as part, open(part, "wb") as file:
        np.savez_compressed(file, **arrays)


def save_csv(
    joints: np.ndarray,
    path: str | PathLike,
    fps: float = 20.0,
    title: str | None = None,
    skeleton: Skeleton = HUMANML3D,
) -> None:
    """Write a table with one row per frame: `time` in seconds, then `pelvis_x`, `pelvis_y`, `pelvis_z`, ... in meters.

    Args:
        joints: `(frames, joints, 3)` in meters, y up.
        path: file to write.
        fps: frames per second.
        title: ignored; a table has no place for it.
        skeleton: skeleton of the joints.

    Raises:
        ValueError: for joints of another shape, no frames, NaN or infinite values, or a frame rate not above 0.
    """
    joints = checked_joints(joints, fps, skeleton)
    header = ["time", *(f"{name}_{axis}" for name in skeleton.joint_names for axis in "xyz")]
    table = np.column_stack([np.arange(len(joints)) / fps, joints.reshape(len(joints), -1)])
    with written_beside(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(header)
        np.savetxt(file, np.round(table, 6) + 0.0, "%.6f", delimiter=",")  # without -0.0


__all__ = ["save_csv", "save_npz"]
