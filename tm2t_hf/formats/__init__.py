# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motions as files; the suffix says which format."""

from os import PathLike
from pathlib import Path

import numpy as np

from ..skeletons import HUMANML3D, Skeleton
from .bvh import save_bvh
from .gif import save_gif
from .glb import save_glb
from .mp4 import save_mp4
from .npy import save_npy
from .page import PageMotion, save_html, save_page
from .reading import ImportedMotion, import_motion, read_motion
from .tables import save_csv, save_npz

WRITERS = {
    ".gif": save_gif,
    ".mp4": save_mp4,
    ".html": save_html,
    ".bvh": save_bvh,
    ".glb": save_glb,
    ".npy": save_npy,
    ".npz": save_npz,
    ".csv": save_csv,
}
MOTION_SUFFIXES = tuple(WRITERS)


def save_motion(
    joints: np.ndarray,
    path: str | PathLike,
    fps: float = 20.0,
    title: str | None = None,
    skeleton: Skeleton = HUMANML3D,
) -> None:
    """Write a motion in the format that the suffix names.

    | suffix | what |
    |---|---|
    | `.gif`, `.mp4` | a drawing |
    | `.html` | a page to play, turn and scrub it in, in any browser, without a network |
    | `.bvh`, `.glb` | a skeleton with rotations, for Blender and other 3D tools |
    | `.npy` | the joints, (frames, joints, 3) float32 |
    | `.npz`, `.csv` | the joints with frame rate and names |

    Args:
        joints: (frames, joints, 3) in meters, y up.
        path: file to write.
        fps: frames per second.
        title: caption of the motion, for formats that hold one.
        skeleton: skeleton of the joints.

    Raises:
        ValueError: for another suffix, and as the writer of the format does.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        raise ValueError(f"{path} must end in one of {', '.join(WRITERS)}.")
    WRITERS[suffix](joints, path, fps, title, skeleton)


__all__ = [
    "MOTION_SUFFIXES",
    "WRITERS",
    "ImportedMotion",
    "PageMotion",
    "import_motion",
    "read_motion",
    "save_bvh",
    "save_csv",
    "save_gif",
    "save_glb",
    "save_html",
    "save_motion",
    "save_mp4",
    "save_npy",
    "save_npz",
    "save_page",
]
