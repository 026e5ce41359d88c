# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motions as files; the suffix says which format."""

from os import PathLike
from pathlib import Path

import numpy as np

from ..skeletons import HUMANML3D, Skeleton
from .gif import save_gif
from .npy import save_npy

WRITERS = {".gif": save_gif, ".npy": save_npy}
MOTION_SUFFIXES = tuple(WRITERS)


def save_motion(
    joints: np.ndarray,
    path: str | PathLike,
    fps: float = 20.0,
    title: str | None = None,
    skeleton: Skeleton = HUMANML3D,
) -> None:
    """Write a motion in the format that the suffix names: `.gif`, or `.npy` with joints (frames, joints, 3) float32.

    Args:
        joints: (frames, joints, 3) in meters, y up.
        path: file to write.
        fps: frames per second.
        title: caption of the motion, for formats that show one.
        skeleton: what the joints are.

    Raises:
        ValueError: for another suffix, and as the writer of the format does.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        raise ValueError(f"{path} must end in {' or '.join(WRITERS)}.")
    WRITERS[suffix](joints, path, fps, title, skeleton)


__all__ = ["MOTION_SUFFIXES", "WRITERS", "save_gif", "save_motion", "save_npy"]
