# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Reads and writes BVH files: a hierarchy of joints, and one row of numbers per frame that moves them.

The format is Biovision's. Rotations apply in the order of their channels. A position channel replaces the joint's
offset along its axis, as in Blender and most exporters; files whose bones show that positions are meant on top of the
offset are converted. Every way of writing is read: any rotation order, positions on any joint, braces on any line,
any whitespace, rows broken across lines, a byte order mark, names with spaces or in another encoding.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..files import check_is_file, written_beside
from ..rotations import quaternion_to_euler
from ..skeletons import HUMANML3D, Skeleton
from .kinematics import animate_bones, checked_joints, children_of

MAX_BYTES = 256 * 2**20
MAX_JOINTS = 4096
MAX_POSITIONS = 2**25  # frames * joints, 400 MB of float32
MAX_NUMBER = 1e8  # no offset, position or angle of a real file comes near; float32 still holds its differences
END_SITE = ".end"  # the end site of "Head" is the joint "Head.end"

_CHANNEL = re.compile(r"([xyz])(position|rotation)", re.IGNORECASE)
_TOKEN = re.compile(rb"[{}]|[^\s{}]+")
_MOTION = re.compile(rb"(?<!\S)MOTION\s+Frames\s*:\s*(\S+)\s+Frame\s+Time\s*:\s*(\S+)", re.IGNORECASE)
_LONGEST_NAME = 100
_LONGEST_HIERARCHY = 16 * 2**20  # bytes
_POSITIONS_AT_ONCE = 2**19  # frames * joints of a block of forward kinematics

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


@dataclass(frozen=True)
class Bvh:
    """A parsed BVH file, in the file's own units and axes.

    Args:
        names: one name per joint as the file has it; the end site of joint `X` is the joint `X.end`. The same name
            can occur twice.
        parents: index of the joint that each joint hangs from, -1 for a root; parents come before their children.
        offsets: `(joints, 3)` from the parent in the rest pose.
        channels: of each joint, the axis (0, 1, 2) and the kind (`"position"`, `"rotation"`) of each of its channels.
        frame_time: seconds per frame.
        values: `(frames, channels)` the numbers of the file; angles in degrees, positions relative to the parent.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray
    channels: tuple[tuple[tuple[int, str], ...], ...]
    frame_time: float
    values: np.ndarray

    @property
    def fps(self) -> float:
        """Frames per second."""
        return 1 / self.frame_time

    def positions(self, joints: Sequence[int] | None = None) -> np.ndarray:
        """Global positions by forward kinematics, computed for all frames of a block at once.

        Args:
            joints: indices of the joints wanted; all of them by default.

        Returns:
            `(frames, joints, 3)` float32.
        """
        wanted = range(len(self.names)) if joints is None else joints
        positions = np.empty((len(self.values), len(wanted), 3), np.float32)
        needed = self._with_ancestors(wanted)
        frames = min(2048, _POSITIONS_AT_ONCE // max(1, len(needed)))
        for start in range(0, len(self.values), frames):
            block = slice(start, start + frames)
            placed = self._place(self.values[block], needed)
            for column, joint in enumerate(wanted):
                positions[block, column] = placed[joint]
        return positions

    def _with_ancestors(self, joints: Sequence[int]) -> list[int]:
        needed = set()
        for joint in joints:
            while joint >= 0 and joint not in needed:
                needed.add(joint)
                joint = self.parents[joint]
        return sorted(needed)

    def _place(self, values: np.ndarray, joints: list[int]) -> dict[int, np.ndarray]:
        """Global positions (frames, 3) of the joints, parents first."""
        starts = np.cumsum([0, *map(len, self.channels)])
        children_left = dict.fromkeys(joints, 0)
        for joint in joints:
            if self.parents[joint] >= 0:
                children_left[self.parents[joint]] += 1
        positions, rotations = {}, {}
        for joint in joints:
            local = np.repeat(self.offsets[joint][None], len(values), axis=0)  # (frames, 3)
            turns = []
            for channel, (axis, kind) in enumerate(self.channels[joint], start=starts[joint]):
                if kind == "position":
                    local[:, axis] = values[:, channel]
                else:
                    turns.append(_rotation_about(axis, values[:, channel]))
            parent = self.parents[joint]
            if parent < 0:
                positions[joint], rotation = local, None
            else:
                rotation = rotations[parent]
                turned = local if rotation is None else np.einsum("fij,fj->fi", rotation, local)
                positions[joint] = positions[parent] + turned
                children_left[parent] -= 1
                if not children_left[parent]:
                    del rotations[parent]  # deep and wide hierarchies would pile up matrices
            if children_left[joint]:
                for turn in turns:
                    rotation = turn if rotation is None else rotation @ turn  # (frames, 3, 3)
                rotations[joint] = rotation
        return positions


def _rotation_about(axis: int, degrees: np.ndarray) -> np.ndarray:
    """Angles (frames,) -> rotation matrices (frames, 3, 3)."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.zeros((len(degrees), 3, 3))
    after, before = (axis + 1) % 3, (axis + 2) % 3
    matrix[:, axis, axis] = 1
    matrix[:, after, after] = matrix[:, before, before] = cos
    matrix[:, before, after], matrix[:, after, before] = sin, -sin
    return matrix


def read_bvh(path: str | Path) -> Bvh:
    """Parse a BVH file. Memory and time are bounded whatever the file claims about itself.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a BVH file, or a broken or absurdly large one; one sentence that names the file.
    """
    path = Path(path)
    data = _read_bytes(path)
    try:
        return _parse(data)
    except _BrokenFileError as error:
        raise ValueError(f"{path} cannot be read as BVH: {error}.") from None


class _BrokenFileError(Exception):
    """What is wrong with a file, without its name."""


def _read_bytes(path: Path) -> bytes:
    check_is_file(path)
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(
                f"{path} has {size / 2**20:.0f} MiB, but BVH files of up to {MAX_BYTES // 2**20} MiB are "
                "read; cut it into parts."
            )
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from None


def _parse(data: bytes) -> Bvh:
    motion = _MOTION.search(data, 0, _LONGEST_HIERARCHY)
    if motion is None:
        raise _BrokenFileError("it has no MOTION section with 'Frames:' and 'Frame Time:'")
    names, parents, offsets, channels = _parse_hierarchy(_TOKEN.finditer(data, 0, motion.start()))

    num_frames = _integer(motion[1], "number of frames")
    frame_time = _number(motion[2], "frame time")
    if num_frames < 1:
        raise _BrokenFileError("it has no frames")
    if not 1e-4 <= frame_time <= 10:
        raise _BrokenFileError(f"its frame time of {frame_time:g} s is not between 0.0001 and 10 s")
    if num_frames * len(names) > MAX_POSITIONS:
        raise _BrokenFileError(
            f"{num_frames} frames of {len(names)} joints are more than can be read; cut it into parts"
        )
    num_channels = sum(map(len, channels))
    if not num_channels:
        raise _BrokenFileError("no joint has a channel, so nothing moves")
    values = _numbers(data, motion.end(), num_frames * num_channels, f"{num_frames} frames of {num_channels} channels")
    values = values.reshape(num_frames, num_channels)
    offsets = np.array(offsets)
    _replace_offsets(values, parents, offsets, channels)
    return Bvh(tuple(names), tuple(parents), offsets, tuple(channels), frame_time, values)


def _replace_offsets(values: np.ndarray, parents: list, offsets: np.ndarray, channels: list):
    """Make positions replace the offsets where they are meant on top of them.

    The bones tell: their length is that of the offset, so a position that replaces it is about as long, and one that
    comes on top of it is about zero. A root, or a joint that carries the whole body, moves freely and tells nothing.
    """
    votes, columns, added, column = [], [], [], 0
    for joint, kinds in enumerate(channels):
        axes = [(column + at, axis) for at, (axis, kind) in enumerate(kinds) if kind == "position"]
        column += len(kinds)
        offset = offsets[joint, [axis for _, axis in axes]]
        if parents[joint] < 0 or not np.linalg.norm(offset) > 0:
            continue
        columns += [at for at, _ in axes]
        added += list(offset)
        middle = np.median(values[:, [at for at, _ in axes]], axis=0)
        votes.append(np.linalg.norm(middle) < np.linalg.norm(middle - offset))
    if len(votes) >= 3 and np.mean(votes) > 0.5:
        values[:, columns] += added


def _parse_hierarchy(tokens: Iterator[re.Match]) -> tuple[list, list, list, list]:
    """Names, parents, offsets and channels of the joints; everything of a joint stands in its braces."""
    names, parents, offsets, channels = [], [], [], []
    open_joints = []  # indices, the innermost last
    first = _next(tokens)
    if first.removeprefix("\ufeff").upper() != "HIERARCHY":
        raise _BrokenFileError("it does not begin with HIERARCHY")
    for match in tokens:
        word = _text(match)
        keyword = word.upper()
        if keyword in ("ROOT", "JOINT", "END"):
            if (keyword == "ROOT") == bool(open_joints):
                raise _BrokenFileError(f"a {word} stands in the wrong place, after the joint {_last(names)}")
            name = _name(tokens)
            if keyword == "END":
                name = names[open_joints[-1]] + END_SITE
            names.append(name or f"joint {len(names)}")
            parents.append(open_joints[-1] if open_joints else -1)
            offsets.append(None)
            channels.append(None)
            open_joints.append(len(names) - 1)
            if len(names) > MAX_JOINTS:
                raise _BrokenFileError(f"it has more than {MAX_JOINTS} joints")
        elif not open_joints:
            raise _BrokenFileError(f"{word[:40]!r} stands where a ROOT was expected")
        elif keyword == "}":
            joint = open_joints.pop()
            if offsets[joint] is None:
                raise _BrokenFileError(f"the joint {names[joint]} has no OFFSET")
            channels[joint] = channels[joint] or ()
        elif keyword == "OFFSET" and offsets[open_joints[-1]] is None:
            where = f"offset of the joint {names[open_joints[-1]]}"
            offsets[open_joints[-1]] = [_number(_next(tokens), where) for _ in range(3)]
        elif keyword == "CHANNELS" and channels[open_joints[-1]] is None:
            channels[open_joints[-1]] = _channels(tokens, names[open_joints[-1]])
        else:
            raise _BrokenFileError(f"{word[:40]!r} was not expected in the joint {names[open_joints[-1]]}")
    if open_joints:
        raise _BrokenFileError(f"the braces of the joint {names[open_joints[-1]]} are not closed")
    if not names:
        raise _BrokenFileError("it has no ROOT")
    return names, parents, offsets, channels


def _channels(tokens: Iterator[re.Match], joint: str) -> tuple[tuple[int, str], ...]:
    count = _integer(_next(tokens), f"number of channels of the joint {joint}")
    if not 0 <= count <= 9:
        raise _BrokenFileError(f"the joint {joint} has {count} channels")
    channels = []
    for _ in range(count):
        word = _next(tokens)
        match = _CHANNEL.fullmatch(word)
        if match is None:
            raise _BrokenFileError(
                f"the joint {joint} has a channel {word[:40]!r}; known are X, Y and Z followed by position or rotation"
            )
        channels.append(("xyz".index(match[1].lower()), match[2].lower()))
    placed = [channel for channel in channels if channel[1] == "position"]
    if len(set(placed)) < len(placed):
        raise _BrokenFileError(f"the joint {joint} has the same position channel twice")
    return tuple(channels)


def _name(tokens: Iterator[re.Match]) -> str:
    """The words up to the opening brace."""
    words = []
    while (word := _next(tokens)) != "{":
        words.append(word)
        if word == "}" or len(words) > 20:
            raise _BrokenFileError(f"a joint named {' '.join(words)[:40]!r} has no opening brace")
    return " ".join(words)[:_LONGEST_NAME]


def _next(tokens: Iterator[re.Match]) -> str:
    match = next(tokens, None)
    if match is None:
        raise _BrokenFileError("its hierarchy ends too early")
    return _text(match)


def _text(match: re.Match) -> str:
    return match[0][:200].decode("utf-8", errors="replace")


def _last(names: list[str]) -> str:
    return names[-1] if names else "(none)"


def _integer(text: str | bytes, what: str) -> int:
    number = _number(text, what)
    if number != int(number):
        raise _BrokenFileError(f"the {what} is {number:g}, not a whole number")
    return int(number)


def _number(text: str | bytes, what: str) -> float:
    text = text if isinstance(text, str) else text[:200].decode("utf-8", errors="replace")
    try:
        number = float(text)
    except ValueError:
        raise _BrokenFileError(f"the {what} is {text[:40]!r}, not a number") from None
    if not abs(number) <= MAX_NUMBER:
        raise _BrokenFileError(f"the {what} is {number:g}")
    return number


def _numbers(data: bytes, start: int, count: int, meaning: str) -> np.ndarray:
    """The `count` numbers that follow, and nothing else."""
    if count > (len(data) - start) / 2 + 1:  # a digit and a space each
        raise _BrokenFileError(f"it ends before the {meaning} that it announces")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy's way to report text that is not a number
        try:
            values = np.fromstring(data[start:], dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            raise _BrokenFileError("its MOTION section holds something that is not a number") from None
    if len(values) != count:
        raise _BrokenFileError(f"its MOTION section holds {len(values)} numbers, but {meaning} are {count}")
    if not (np.abs(values) <= MAX_NUMBER).all():
        raise _BrokenFileError(
            "its MOTION section holds a number that is infinite, not a number, or beyond all measure"
        )
    return values


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
        joints: `(frames, joints, 3)` in meters, y up.
        path: file to write.
        fps: frames per second.
        title: ignored; BVH has no place for it.
        skeleton: skeleton of the joints; they get their standard names (`STANDARD_NAMES`).
        units_per_metre: 100 writes centimeters, as most tools expect; Blender's importer then needs the scale 0.01.

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
        lines.append(f"{indent}  OFFSET {_row(offsets[joint])}")
        lines.append(f"{indent}  CHANNELS {3 if joint else 6} {position}{rotation}")
        channels.append(degrees[:, joint])
        for child in children[joint]:
            add(child, depth + 1)
        if not children[joint]:
            tip = [f"{indent}  End Site", f"{indent}  {{", f"{indent}    OFFSET {_row(TIP * offsets[joint])}"]
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


def _row(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in np.round(values, 6) + 0.0)
