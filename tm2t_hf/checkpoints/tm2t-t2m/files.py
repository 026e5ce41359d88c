# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Files that are written whole or not at all, and arrays and texts that are read without trusting the file."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import numpy as np

from .motion import check_statistics
from .skeletons import HUMANML3D, Skeleton

OFFSETS = "Offsets.npy"  # of a data folder: the body that its motions were retargeted to


@contextmanager
def written_beside(path: str | PathLike) -> Iterator[Path]:
    """Write to a temporary path next to `path`, which moves into place when the block ends without an error.

    Readers therefore see the old content or the new one, never half of it, and an error leaves nothing behind. The
    block may make a file or a folder; a folder that is already there is replaced as a whole.

    Args:
        path: the file or folder to make; its parent folder must exist.

    Yields:
        The temporary path, whose name ends in `.part` and is used by no other process. Nothing is there yet.

    Raises:
        OSError: `path` cannot be written (no such folder, no permission, disk full); the message names it.
    """
    path = Path(path)
    part, old = (path.with_name(f".{path.name}.{secrets.token_hex(4)}.{kind}") for kind in ("part", "old.part"))
    try:
        yield part
        if part.is_dir() and path.is_dir():
            os.replace(path, old)  # a folder cannot be replaced in one step
            try:
                os.replace(part, path)
            except BaseException:
                os.replace(old, path)
                raise
        else:
            os.replace(part, path)
    except OSError as error:
        # A full disk shows in many ways, most of which name no file or the temporary one.
        if error.filename is not None and str(part) not in str(error.filename):
            raise
        raise OSError(f"{path} cannot be written: {error.strerror or in_one_line(error)}.") from error
    finally:
        for leftover in (part, old):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def save_array(path: str | PathLike, array: np.ndarray) -> None:
    """Write a `.npy` file whole or not at all."""
    with written_beside(path) as part, open(part, "wb") as file:
        np.save(file, array, allow_pickle=False)


def read_text(path: str | PathLike) -> str:
    """The text in a UTF-8 file, without a byte order mark and with newlines at the ends of lines.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is a folder, cannot be read, or is not UTF-8. Both name the file.
    """
    path = Path(path)
    check_is_file(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or in_one_line(error)}.") from error
    if "\0" in text:  # no text has it, but UTF-16 without a byte order mark does
        raise ValueError(f"{path} is not UTF-8 text; save it in the encoding UTF-8.")
    return text


def load_array(path: str | PathLike) -> np.ndarray:
    """The array in a `.npy` file, mapped into memory rather than read; nothing is unpickled.

    Returns:
        A read-only array of integers or floats.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is a folder, or not a whole `.npy` file of numbers. Both name the file.
    """
    path = Path(path)
    check_is_file(path)
    try:
        with open(path, "rb") as file:
            is_archive = file.read(2) == b"PK"
        # Unlike `numpy.load`, this reads nothing but the header and checks it against the length of the file, and a
        # hostile file can raise anything.
        array = None if is_archive else np.lib.format.open_memmap(path, mode="r")
    except Exception as error:
        reason = in_one_line(error)
        raise ValueError(
            f"{path} is not a whole .npy file of numbers ({reason}); write it with numpy.save(path, array)."
        ) from error
    if is_archive:
        raise ValueError(f"{path} is an archive of arrays (.npz); save one array with numpy.save(path, array).")
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{path} holds {array.dtype}, not real numbers; write them with numpy.save(path, array).")
    return array


def load_statistics(
    data_dir: str | PathLike, skeleton: Skeleton = HUMANML3D, names: tuple[str, str] = ("Mean.npy", "Std.npy")
) -> tuple[np.ndarray, np.ndarray]:
    """Read the mean and the standard deviation in a folder: two float32 arrays (feature_size,).

    Args:
        data_dir: the folder.
        skeleton: what the features belong to.
        names: the two files.

    Raises:
        FileNotFoundError: one of them is missing.
        ValueError: it is no array of numbers, has another size, NaN, or a standard deviation that is not positive.
    """
    paths = [Path(data_dir) / name for name in names]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; `tm2t-hf prepare` makes it from the joints of a data folder.")
    with np.errstate(over="ignore"):  # to infinite values, which are refused
        mean, std = (load_array(path).astype(np.float32) for path in paths)
    check_statistics(mean, std, skeleton, names=tuple(map(str, paths)))
    return mean, std


def load_offsets(data_dir: str | PathLike, skeleton: Skeleton = HUMANML3D) -> np.ndarray | None:
    """The body that the motions of a data folder were retargeted to: `Offsets.npy`, float64 (joints, 3).

    Returns:
        None if the folder has no such file: its motions are those of the people who were recorded.

    Raises:
        ValueError: it is no array of finite numbers, or has another shape.
    """
    path = Path(data_dir) / OFFSETS
    if not path.exists():
        return None
    offsets = load_array(path).astype(np.float64)
    if offsets.shape != (skeleton.num_joints, 3) or not np.isfinite(offsets).all():
        raise ValueError(
            f"{path} must hold the {skeleton.num_joints} bone vectors of the {skeleton.name} skeleton, "
            f"({skeleton.num_joints}, 3) finite numbers; make the folder again with `tm2t-hf prepare --retarget_to`."
        )
    return offsets


def check_is_file(path: Path) -> None:
    """Raise a FileNotFoundError or a ValueError that names `path` unless it is a file."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file.")
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing.")
    if not path.is_file():
        raise ValueError(f"{path} is not a file.")


def in_one_line(error: Exception | str) -> str:
    """What an error of another library says, within a sentence of ours."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__


__all__ = [
    "OFFSETS",
    "check_is_file",
    "in_one_line",
    "load_array",
    "load_offsets",
    "load_statistics",
    "read_text",
    "save_array",
    "written_beside",
]
