# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Joints -> a `.npy` file."""

from os import PathLike

import numpy as np

from ..files import save_array
from ..skeletons import HUMANML3D, Skeleton


def save_npy(
    joints: np.ndarray,
    path: str | PathLike,
    fps: float = 20.0,
    title: str | None = None,
    skeleton: Skeleton = HUMANML3D,
) -> None:
    """Write joints (frames, joints, 3) as float32; the file has no place for `fps`, `title` and `skeleton`."""
    save_array(path, np.asarray(joints, dtype=np.float32))
