# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The BVH parser: forward kinematics against matrices multiplied by hand, all ways of writing, and broken files."""

import random
import tarfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tm2t_hf.formats.bvh import MAX_JOINTS, read_bvh

HIERARCHY = """HIERARCHY
ROOT Hips
{
  OFFSET 0 1 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Head
  {
    OFFSET 0 1 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 1 0
    }
  }
}
"""
ROW = "1 2 3 90 0 0 0 0 0\n"
FILE = f"{HIERARCHY}MOTION\nFrames: 2\nFrame Time: 0.05\n{ROW}{ROW}"


def write(folder: Path, content: str | bytes, name: str = "walk.bvh") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        FILE,
        FILE.replace("\n", "\r\n"),
        FILE.replace("\n", "\r"),
        "\ufeff" + FILE,
        FILE.replace(" ", "\t"),
        FILE.replace("\n  {", " {").replace("\n{", " {"),
        FILE.replace("position", "POSITION").replace("JOINT", "Joint").replace("End Site", "End site"),
        FILE.replace("0.05", "5e-2").replace("90 0", "9.0E+1 -0.0"),
        FILE.replace("90 0 0 0", "90\n0 0\n\n0"),
        FILE.replace("Frames: 2", "Frames:2").replace("Frame Time: ", "Frame Time:\t"),
        FILE.strip(),
    ],
)
def test_all_ways_of_writing_give_the_same(tmp_path, content):
    bvh = read_bvh(write(tmp_path, content))
    assert bvh.names == ("Hips", "Head", "Head.end") and bvh.parents == (-1, 0, 1)
    assert bvh.fps == pytest.approx(20)
    expected = [[1, 2, 3], [0, 2, 3], [-1, 2, 3]]  # y turned to -x by 90 degrees about z
    np.testing.assert_allclose(bvh.positions(), [expected, expected], atol=1e-6)


def test_names_may_have_spaces_repeat_and_be_in_another_encoding(tmp_path):
    content = FILE.encode().replace(b"Head", b"My Head").replace(b"Hips", "Hüfte".encode("latin-1"))
    assert read_bvh(write(tmp_path, content)).names == ("H\ufffdfte", "My Head", "My Head.end")
    assert read_bvh(write(tmp_path, FILE.replace("Head", "Hips"))).names == ("Hips", "Hips", "Hips.end")


def rotation(axis: str, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {
        "X": np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]),
        "Y": np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]),
        "Z": np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]),
    }[axis]


@given(
    orders=st.lists(
        st.permutations("XYZ").flatmap(lambda order: st.sampled_from([order, order[:2], [*order, order[0]]])),
        min_size=2,
        max_size=2,
    ),
    moves=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_rotation_order_and_positions_on_any_joint(tmp_path_factory, orders, moves, seed):
    rng = np.random.default_rng(seed)
    angles = [rng.uniform(-180, 180, len(order)) for order in orders]
    offsets, place = rng.normal(size=(3, 3)), rng.normal(size=3)
    channels = [[f"{axis}rotation" for axis in order] for order in orders]
    channels[1] = ["Zposition", *channels[1]] if moves else channels[1]
    row = [*angles[0], *([place[2]] if moves else []), *angles[1]]
    lines = ["HIERARCHY", "ROOT a", "{", f"OFFSET {' '.join(map(str, offsets[0]))}"]
    lines += [f"CHANNELS {len(channels[0])} {' '.join(channels[0])}", "JOINT b {"]
    lines += [f"CHANNELS {len(channels[1])} {' '.join(channels[1])}", f"OFFSET {' '.join(map(str, offsets[1]))}"]
    lines += ["JOINT c {", f"OFFSET {' '.join(map(str, offsets[2]))}", "CHANNELS 0", "} } }", "MOTION", "Frames: 1"]
    path = write(tmp_path_factory.mktemp("bvh"), "\n".join([*lines, "Frame Time: 0.1", " ".join(map(str, row))]))

    turns = [
        np.linalg.multi_dot([np.eye(3), np.eye(3), *map(rotation, order, angle)])
        for order, angle in zip(orders, angles, strict=True)
    ]
    second = offsets[1] * [1, 1, not moves] + place * [0, 0, moves]
    expected = [offsets[0], offsets[0] + turns[0] @ second]
    expected.append(expected[1] + turns[0] @ turns[1] @ offsets[2])
    np.testing.assert_allclose(read_bvh(path).positions()[0], expected, atol=1e-5)
    np.testing.assert_allclose(read_bvh(path).positions([2])[0], expected[2:], atol=1e-5)


def test_positions_on_top_of_the_offsets_are_told_from_those_that_replace_them(tmp_path):
    def chain(values: str) -> np.ndarray:
        lines = ["HIERARCHY", "ROOT j0 {", "OFFSET 0 0 0", "CHANNELS 3 Xposition Yposition Zposition"]
        for joint in range(1, 5):
            lines += [f"JOINT j{joint} {{", "OFFSET 0 2 0", "CHANNELS 3 Xposition Yposition Zposition"]
        lines += ["} " * 5, "MOTION", "Frames: 1", "Frame Time: 0.1", "0 0 0 " + values * 4]
        return read_bvh(write(tmp_path, "\n".join(lines))).positions()[0]

    np.testing.assert_allclose(chain("0 0.1 0 ")[-1], [0, 8.4, 0], atol=1e-5)
    np.testing.assert_allclose(chain("0 2.1 0 ")[-1], [0, 8.4, 0], atol=1e-5)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no MOTION section"),
        (b"\x89PNG\x00\x01" * 100, "no MOTION section"),
        (FILE.replace("HIERARCHY", "HIERARCHIE"), "does not begin with HIERARCHY"),
        (FILE.replace("Frames: 2", "Frames: 0"), "no frames"),
        (FILE.replace("Frames: 2", "Frames: two"), "number of frames is 'two'"),
        (FILE.replace("Frames: 2", "Frames: 1.5"), "not a whole number"),
        (FILE.replace("Frames: 2", "Frames: 1000000000000"), "number of frames is 1e"),
        (FILE.replace("Frames: 2", "Frames: 9000000"), "ends before the 9000000 frames"),
        (FILE.replace("Frames: 2", "Frames: 99000000"), "more than can be read"),
        (FILE.replace("Frames: 2", "Frames: 3"), "ends before"),
        (FILE + ROW, "holds 27 numbers, but 2 frames of 9 channels are 18"),
        (FILE.replace("0.05", "0"), "frame time"),
        (FILE.replace("0.05", "nan"), "frame time"),
        (FILE.replace("3 90", "3 nan"), "infinite, not a number"),
        (FILE.replace("3 90", "3 1e300"), "infinite, not a number"),
        (FILE.replace("3 90", "3 9O"), "not a number"),
        (FILE.replace("2 3 90", "2,0 3 90"), "not a number"),
        (FILE.replace("OFFSET 0 1 0", "OFFSET 0 inf 0"), "offset of the joint Hips is inf"),
        (FILE.replace("OFFSET 0 1 0", "OFFSET 0 up 0"), "offset of the joint Hips is 'up', not a number"),
        (FILE.replace("OFFSET 0 1 0\n  CH", "CH"), "joint Hips has no OFFSET"),
        (FILE.replace("Xrotation", "Xscale"), "channel 'Xscale'"),
        (FILE.replace("Yposition", "Xposition"), "same position channel twice"),
        (FILE.replace("CHANNELS 6", "CHANNELS 600"), "has 600 channels"),
        (FILE.replace("}\n}\n", "}\n"), "not closed"),
        (FILE.replace("}\n}\n", "}\n}\n}\n"), "where a ROOT was expected"),
        (FILE.replace("JOINT", "BONE"), "'BONE' was not expected in the joint Hips"),
        (FILE.replace("ROOT", "JOINT"), "wrong place"),
        (HIERARCHY, "no MOTION section"),
    ],
)
def test_a_broken_file_is_named_in_one_sentence(tmp_path, content, reason):
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=reason) as error:
        read_bvh(path)
    assert str(error.value).startswith(f"{path} ") and "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 300


def test_what_is_not_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no.bvh is missing"):
        read_bvh(tmp_path / "no.bvh")
    with pytest.raises(ValueError, match="is a folder, not a file"):
        read_bvh(tmp_path)


@pytest.mark.parametrize("shape", ["deep", "wide", "many channels", "many numbers"])
def test_time_and_memory_are_bounded(tmp_path, shape):
    joint = "JOINT j{}\n{{\nOFFSET 0 1 0\nCHANNELS 0\n"
    head, tail = (
        "HIERARCHY\nROOT r\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n",
        "MOTION\nFrames: 1000\nFrame Time: 0.1\n",
    )
    count = MAX_JOINTS - 1
    content = {
        "deep": head + "".join(map(joint.format, range(100000))) + "}\n" * 100001 + tail,
        "wide": head + "".join(joint.format(number) + "}\n" for number in range(100000)) + "}\n" + tail,
        "many channels": head + "".join(map(joint.format, range(count))) + "}\n" * count + "}\n" + tail + "1\n" * 1000,
        "many numbers": FILE + "1 " * 1_000_000,
    }[shape]
    path = write(tmp_path, content)
    tracemalloc.start()
    started = time.process_time()
    try:
        if shape == "many channels":  # as many joints as are allowed
            assert np.isfinite(read_bvh(path).positions([0, count])).all()
        else:
            with pytest.raises(ValueError, match="walk.bvh"):
                read_bvh(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300e6 and time.process_time() - started < 60


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to four random changes: bytes, pieces moved, doubled or cut, words replaced by nasty ones."""
    nasty = [
        b"nan",
        b"-inf",
        b"1e999",
        b"-1",
        b"0",
        b"999999999999",
        b"{",
        b"}",
        b"\x00",
        b"\xff\xfe",
        b"End Site",
        b"JOINT",
        b"ROOT a",
        b"CHANNELS 3",
        b"OFFSET",
        b"MOTION",
        b"Frames:",
        b"Frame Time:",
        b"Xposition",
        b"",
    ]
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice([1, 1, 4, 40, 400]))
        kind = rng.choice((0, 0, 0, 1, 2, 3, 4, 5, 5, 5)) if rng.randrange(3) else 0
        if kind == 0:
            data = data[:start] + bytes([rng.randrange(256)]) + data[start + 1 :]
        elif kind == 1:
            data = data[:start] + data[end:]
        elif kind == 2:
            data = data[:end] + data[start:end] + data[end:]
        elif kind == 3:
            data = data[:start]
        elif kind == 4:
            to = rng.randrange(len(data) + 1)
            data = data[:to] + data[start:end] + data[to:]
        else:
            words = data.split(b" ")
            words[rng.randrange(len(words))] = rng.choice(nasty)
            data = b" ".join(words)
    return data


def test_mutated_files_give_a_result_or_one_sentence(tmp_path):
    rng, path, outcomes = random.Random(0), tmp_path / "mutant.bvh", set()
    for _ in range(600):
        path.write_bytes(mutated(FILE.encode(), rng))
        try:
            assert np.isfinite(read_bvh(path).positions()).all()
            outcomes.add("read")
        except ValueError as error:
            assert str(error).startswith(f"{path} ") and "\n" not in str(error)
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_real_files_keep_their_bones(data_dir, tmp_path):
    with tarfile.open(data_dir / "cmu" / "bvh.tar.xz") as archive:
        member = next(member for member in archive if member.name.endswith(".bvh"))
        archive.extract(member, tmp_path, filter="data")
    bvh = read_bvh(tmp_path / member.name)
    positions = bvh.positions()
    for joint, parent in enumerate(bvh.parents):
        if parent >= 0:
            lengths = np.linalg.norm(positions[:, joint] - positions[:, parent], axis=-1)
            np.testing.assert_allclose(lengths, np.linalg.norm(bvh.offsets[joint]), atol=1e-3)
