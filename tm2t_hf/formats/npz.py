# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Reads joints from `.npz` files; nothing is unpickled, no header is trusted."""

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..files import check_is_file, in_one_line

MAX_ARRAY_BYTES = 2**30
JOINT_KEYS = ("joints", "joints3d", "positions", "Jtr")
FPS_KEYS = ("fps", "mocap_framerate", "mocap_frame_rate", "framerate")
_SMPL_KEYS = {"poses", "pose_body", "root_orient", "trans", "betas"}
_UNREADABLE = (ValueError, TypeError, OSError, EOFError, SyntaxError, zipfile.BadZipFile, zlib.error, RuntimeError)


def read_npz(path: Path) -> tuple[np.ndarray, float | None]:
    """The joints of a `.npz` file, and their frame rate where the file has one.

    Joints are looked for under `joints` and the names that SMPL tools use. SMPL's pose parameters alone are refused:
    joints follow from them only by a body model, which is not part of this package.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a `.npz` file of numbers, or holds no joints.
    """
    check_is_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
            joints = _member(archive, members, JOINT_KEYS)
            fps = _member(archive, members, FPS_KEYS)
    except _UNREADABLE as error:
        raise ValueError(f"{path} is not a whole .npz file of numbers: {in_one_line(error)}.") from None
    if joints is None and _SMPL_KEYS & set(members):
        raise ValueError(
            f"{path} holds SMPL pose parameters but no joints: compute them with a body model (the smplx package and "
            "the model's files) and save them as numpy.savez(path, joints=joints, fps=fps)."
        )
    if joints is None:
        held = ", ".join(sorted(members)[:8]) or "nothing"
        raise ValueError(f"{path} has no array named {' or '.join(JOINT_KEYS)}; it holds {held[:200]}.")
    if fps is None:
        return joints, None
    if fps.size != 1 or not 0 < (rate := float(fps.reshape(()))) < math.inf:
        raise ValueError(f"{path} does not have one positive number as its frame rate.")
    return joints, rate


def _member(archive: zipfile.ZipFile, members: dict[str, str], keys: Sequence[str]) -> np.ndarray | None:
    for key in keys:
        if key in members:
            info = archive.getinfo(members[key])
            with archive.open(info) as file:
                return _read_array(file, info.file_size)
    return None


def _read_array(file: BinaryIO, size: int) -> np.ndarray:
    """An array in numpy's format; the header's claim is compared with the size of the file before memory is taken."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the format is not known")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read_header(file)
    if dtype.kind not in "fiu":
        raise ValueError(f"it holds {dtype}, not real numbers")
    count = math.prod(shape)
    if count * dtype.itemsize > min(size, MAX_ARRAY_BYTES):
        raise ValueError(
            f"its header announces an array of the shape {shape}, more than the file holds or can be read"
        )
    data = file.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise ValueError("it ends too early")
    array = np.frombuffer(data, dtype=dtype, count=count)
    return array.reshape(shape[::-1]).T if fortran_order else array.reshape(shape)
