# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Reads a motion from a file of any tool: the joints of a skeleton in meters, y up, at the frame rate wanted."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np

from ..bodies import METRES_PER_UNIT, Finding, find_unit
from ..files import load_array
from ..motion import HUMANML3D, Skeleton, features_to_joints, resample
from .axes import TURNS, faces_backward, find_up, turned_up
from .bvh import MAX_POSITIONS, read_bvh
from .npz import read_npz
from .recognition import JointMap, Recognition, read_joint_map, recognize

logger = logging.getLogger(__name__)

SMPL_JOINTS = {24: "SMPL", 52: "SMPL-H", 55: "SMPL-X", 127: "SMPL-X", 144: "SMPL-X"}
_ROUNDED = 2e-4  # a frame time of 0.0333333 s or 0.016667 s means 30 and 60 frames per second
_FRAMES_LOOKED_AT = 1000
_FASTEST = 15.0  # meters per second that no joint of an ordinary motion reaches


@dataclass(frozen=True)
class ImportedMotion:
    """A motion and how it was read.

    Args:
        joints: `(frames, joints, 3)` float32 in meters, y up.
        fps: frames per second of `joints`.
        source_fps: frames per second of the file.
        naming: whose names the joints of the file have.
        sources: of each joint of the skeleton, the names of the joints in the file whose mean it is.
        unused: the joints of the file that are left out.
        unit: what the file is measured in.
        up: the axis that points up in the file.
        guesses: what may be wrong, one clause each; empty when nothing had to be guessed.
    """

    joints: np.ndarray
    fps: float
    source_fps: float
    naming: str
    sources: dict[str, tuple[str, ...]]
    unused: tuple[str, ...]
    unit: str
    up: str
    guesses: tuple[str, ...]

    @property
    def report(self) -> str:
        """All of it in one line."""
        means = [
            f"{joint} = mean of {', '.join(dict.fromkeys(names))}"
            for joint, names in self.sources.items()
            if len(names) > 1
        ]
        facts = [f"{self.naming} joints", self.unit, f"{self.up} up", f"{self.source_fps:g} fps", *means]
        if self.unused:
            facts.append(f"{len(self.unused)} joints unused")
        return "; ".join([", ".join(facts), *self.guesses])


@dataclass(frozen=True)
class _Source:
    """Joints of a skeleton in the units and axes of a file."""

    joints: np.ndarray
    fps: float | None
    recognition: Recognition
    names: tuple[str, ...]
    root_offset: np.ndarray | None = None  # (3,)
    unit: str | None = None  # where it is known
    up: str | None = None  # likewise


def read_motion(
    path: str | PathLike,
    skeleton: Skeleton = HUMANML3D,
    fps: float | None = 20.0,
    joint_map: JointMap | str | PathLike | None = None,
    unit: float | str | None = None,
    up: str | None = None,
    source_fps: float | None = None,
    smpl_order: bool = False,
) -> np.ndarray:
    """Read the joints of a motion; what was found out or guessed is logged in one line.

    Args:
        path: `.bvh`; `.npy` with joints (frames, joints, 3) or features (frames, features); or `.npz` with `joints`
            and `fps`.
        skeleton: whose joints are wanted. Arrays must have them in this order; those of a BVH file are found by name.
        fps: frames per second wanted; None keeps those of the file.
        joint_map: for BVH files with unusual names: of joints of the skeleton, the joint in the file, or a list of
            joints whose mean is taken; or the path of a JSON file with that. See `recognize`.
        unit: what the file is measured in: a key of `METRES_PER_UNIT` or the length of one unit in meters. Found from
            the size of the body by default.
        up: the axis that points up in the file: one of `"y"`, `"z"`, `"x"`, `"-y"`, `"-z"`, `"-x"`. Found from the
            motion by default.
        source_fps: frames per second of the file, where it does not say (`.npy`) or says something wrong. A file that
            does not say is taken to have `fps`, or where that is None those of the skeleton.
        smpl_order: the array holds the joints of SMPL (24), SMPL-H (52) or SMPL-X, whose first 22 are HumanML3D's.

    Returns:
        `(frames, joints, 3)` float32 in meters, y up.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or is not a motion of this skeleton; one sentence that names the file.
    """
    return import_motion(path, skeleton, fps, joint_map, unit, up, source_fps, smpl_order).joints


def import_motion(
    path: str | PathLike,
    skeleton: Skeleton = HUMANML3D,
    fps: float | None = 20.0,
    joint_map: JointMap | str | PathLike | None = None,
    unit: float | str | None = None,
    up: str | None = None,
    source_fps: float | None = None,
    smpl_order: bool = False,
) -> ImportedMotion:
    """As `read_motion`, with everything that was found out about the file."""
    path = Path(path)
    check_arguments(fps, unit, up, source_fps)
    if isinstance(joint_map, (str, PathLike)):
        joint_map = read_joint_map(joint_map)
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file.")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path} must end in {', '.join(READERS)}.")
    source = reader(path, skeleton, joint_map, smpl_order)
    try:
        motion = _convert(source, skeleton, fps, unit, up, source_fps)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as a motion of {skeleton.name}: {error}.") from None
    logger.log(logging.WARNING if motion.guesses else logging.INFO, "%s: %s.", path, motion.report)
    return motion


def _read_bvh(path: Path, skeleton: Skeleton, joint_map: JointMap | None, smpl_order: bool) -> _Source:
    bvh = read_bvh(path)
    first = replace(bvh, values=bvh.values[:1]).positions()[0]  # (joints, 3)
    try:
        recognition = recognize(bvh.names, bvh.parents, first, skeleton, joint_map)
    except ValueError as error:
        raise ValueError(f"{path} is not a body of {skeleton.name} that is known: {error}.") from None
    wanted = sorted({index for indices in recognition.sources.values() for index in indices})
    positions = dict(zip(wanted, np.moveaxis(bvh.positions(wanted), 1, 0), strict=True))
    moved = [axis for axis, kind in bvh.channels[0] if kind == "position"]
    root_offset = np.where(np.isin(range(3), moved), bvh.offsets[0], 0)
    return _Source(recognition.joints(positions), _round_rate(bvh.fps), recognition, bvh.names, root_offset)


def _read_npy(path: Path, skeleton: Skeleton, joint_map: JointMap | None, smpl_order: bool) -> _Source:
    return _source_of_array(path, load_array(path), None, skeleton, joint_map, smpl_order)


def _read_npz(path: Path, skeleton: Skeleton, joint_map: JointMap | None, smpl_order: bool) -> _Source:
    return _source_of_array(path, *read_npz(path), skeleton, joint_map, smpl_order)


READERS: dict[str, Callable[..., _Source]] = {".bvh": _read_bvh, ".npy": _read_npy, ".npz": _read_npz}


def _source_of_array(
    path: Path,
    array: np.ndarray,
    fps: float | None,
    skeleton: Skeleton,
    joint_map: JointMap | None,
    smpl_order: bool,
) -> _Source:
    if joint_map:
        raise ValueError(f"{path} has joints without names: a joint map is for BVH files.")
    count = skeleton.num_joints
    body = SMPL_JOINTS.get(array.shape[1]) if array.ndim == 3 else None
    is_prefix = skeleton.joint_names == HUMANML3D.joint_names and body is not None
    if is_prefix and smpl_order:
        array = array[:, :count]
    elif is_prefix:
        raise ValueError(
            f"{path} has {array.shape[1]} joints per frame, as {body} has, but {skeleton.name} needs {count}: where "
            f"they are in the order of {body}, pass smpl_order=True (--smpl) to take the first {count}."
        )
    is_features = array.ndim == 2 and array.shape[1] == skeleton.feature_size
    if not is_features and (array.ndim != 3 or array.shape[1:] != (count, 3)):
        raise ValueError(
            f"{path} has the shape {array.shape}, but {skeleton.name} needs joints (frames, {count}, 3) or features "
            f"(frames, {skeleton.feature_size})."
        )
    if not len(array):
        raise ValueError(f"{path} has no frames.")
    if len(array) * count > MAX_POSITIONS:
        raise ValueError(f"{path} has {len(array):,} frames, more than can be read; cut it into parts.")
    joints = array.astype(np.float32)
    if not np.isfinite(joints).all():
        raise ValueError(f"{path} holds NaN or infinite {'features' if is_features else 'joints'}.")
    recognition = Recognition(skeleton.name, {name: (index,) for index, name in enumerate(skeleton.joint_names)})
    if is_features:
        joints = features_to_joints(joints, count) * np.float32(skeleton.metres_per_unit)
        return _Source(joints, fps or skeleton.fps, recognition, skeleton.joint_names, unit="meters", up="y")
    return _Source(joints, fps, recognition, skeleton.joint_names)


def _convert(
    source: _Source,
    skeleton: Skeleton,
    fps: float | None,
    unit: float | str | None,
    up: str | None,
    source_fps: float | None,
) -> ImportedMotion:
    joints, guesses = source.joints, list(source.recognition.guesses)
    unit, up = unit or source.unit, up or source.up
    looked_at = joints[:: math.ceil(len(joints) / _FRAMES_LOOKED_AT)].astype(np.float64)
    found_unit = Finding(unit) if isinstance(unit, str) else find_unit(looked_at, skeleton) if unit is None else None
    meters = unit if found_unit is None else METRES_PER_UNIT[found_unit.value]
    axis = Finding(up) if up else find_up(looked_at, skeleton)
    guesses += [found.doubt for found in (found_unit, axis) if found and found.doubt]
    if source.root_offset is not None and _floats(looked_at, source.root_offset, axis.value):
        joints = joints + source.root_offset.astype(np.float32)
    if faces_backward(turned_up(looked_at, axis.value), skeleton):
        guesses.append("the toes point backward: left and right may be exchanged")
    rate = source_fps or source.fps or fps or skeleton.fps
    fps = fps or rate
    if _begins_apart(joints * meters, rate):
        joints = joints[1:]
        guesses.append("its first frame, a pose apart from the motion, is left out")
    if (len(joints) - 1) / rate * fps * skeleton.num_joints > MAX_POSITIONS:
        raise ValueError(f"{len(joints) / rate:.4g} s at {fps:g} fps are more than can be read; cut it into parts")
    joints = resample(turned_up(joints, axis.value) * np.float32(meters), rate, fps)
    sources = {
        joint: tuple(source.names[index] for index in indices) for joint, indices in source.recognition.sources.items()
    }
    used = {name for names in sources.values() for name in names}
    return ImportedMotion(
        joints=joints,
        fps=fps,
        source_fps=rate,
        naming=source.recognition.naming,
        sources=sources,
        unused=tuple(name for name in source.names if name not in used),
        unit=found_unit.value if found_unit else f"units of {unit:g} m",
        up=axis.value,
        guesses=tuple(guesses),
    )


def _floats(joints: np.ndarray, root_offset: np.ndarray, up: str) -> bool:
    """Whether the feet come nearer to the floor when the root's positions are taken on top of its offset.

    Some tools (iClone) write them so; nothing in the file says it, and nothing but the height of the body differs.
    """
    lowest = np.percentile(turned_up(joints, up)[..., 1].min(axis=1), 5)
    return abs(lowest + turned_up(root_offset, up)[1]) < abs(lowest)


def _begins_apart(joints: np.ndarray, rate: float) -> bool:
    """Whether the first frame is a pose for calibration (a T-pose) from which the body jumps into the motion.

    Args:
        joints: `(frames, joints, 3)` in meters.
        rate: frames per second.
    """
    steps = np.linalg.norm(np.diff(joints[:12], axis=0), axis=-1).max(axis=1)  # (frames - 1,)
    return len(steps) >= 2 and steps[0] > max(0.1, _FASTEST / rate, 5 * steps[1:].max())


def check_arguments(fps: float | None, unit: float | str | None, up: str | None, source_fps: float | None):
    """Raise a ValueError that names the argument of `read_motion` which is out of range."""
    for name, rate in (("fps", fps), ("source_fps", source_fps)):
        if rate is not None and (isinstance(rate, bool) or not 0.1 <= rate <= 10000):
            raise ValueError(f"{name} is {rate}, but has to be between 0.1 and 10000 frames per second.")
    if isinstance(unit, str) and unit not in METRES_PER_UNIT:
        raise ValueError(f"unit is {unit!r}, but has to be a number of meters or one of {', '.join(METRES_PER_UNIT)}.")
    if unit is not None and not isinstance(unit, str) and not 0 < unit < math.inf:
        raise ValueError(f"unit is {unit}, but has to be a positive number of meters.")
    if up is not None and up not in TURNS:
        raise ValueError(f"up is {up!r}, but has to be one of {', '.join(TURNS)}.")


def _round_rate(fps: float) -> float:
    whole = round(fps)
    return float(whole) if abs(fps - whole) <= _ROUNDED * fps else fps
