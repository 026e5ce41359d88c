# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motions of real files and of every unit, axis and array become the same joints: meters, y up, the rate wanted."""

import io
import logging
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tm2t_hf.bodies import METRES_PER_UNIT
from tm2t_hf.formats.axes import TURNS, faces_backward, find_up, turned_up
from tm2t_hf.formats.bvh import read_bvh
from tm2t_hf.formats.reading import import_motion, read_motion
from tm2t_hf.motion import HUMANML3D, KIT, bone_offsets, features_to_joints, mirror_joints

HEAD, FEET = HUMANML3D.joint_names.index("head"), list(HUMANML3D.left_foot + HUMANML3D.right_foot)
# The file's axes of each `up`, as rows that make (x, y, z) of a y-up motion; the inverse of the turn.
TO_FILE = {up: np.array([np.eye(3)[column] * sign for column, sign in turn]).T for up, turn in TURNS.items()}


def walk(frames: int = 30, skeleton=HUMANML3D) -> np.ndarray:
    """A stick figure that strides forward: (frames, joints, 3) in meters."""
    lengths = np.full(skeleton.num_joints, 0.25 if skeleton is KIT else 0.2)
    lengths[list(skeleton.leg_joints)] = 0.4
    for left, right in skeleton.mirror_pairs:
        lengths[[left, right]] = max(lengths[left], lengths[right])
    rest = np.zeros((skeleton.num_joints, 3))
    directions = np.array(skeleton.directions)
    if skeleton is KIT:  # its table has left at -x
        directions = directions * [-1, 1, 1]
    for chain in skeleton.chains:
        for parent, joint in zip(chain, chain[1:], strict=False):
            rest[joint] = rest[parent] + directions[joint] * lengths[joint]
    rest[:, 1] -= rest[:, 1].min()
    joints = np.repeat(rest[None], frames, axis=0)
    joints[:, :, 2] += 0.05 * np.arange(frames)[:, None]
    return joints.astype(np.float32)


def bvh_text(joints: np.ndarray, fps: float = 20.0) -> str:
    """The motion as a BVH file with positions on every joint, which holds any joints exactly."""
    parents, names = HUMANML3D.parents, HUMANML3D.joint_names
    lines, order = ["HIERARCHY"], []

    def add(joint: int):
        order.append(joint)
        lines.append(f"{'ROOT' if parents[joint] < 0 else 'JOINT'} {names[joint]}\n{{")
        start = joints[0, joint] - (joints[0, parents[joint]] if parents[joint] >= 0 else 0)
        lines.append(f"OFFSET {' '.join(map(str, start))}\nCHANNELS 3 Xposition Yposition Zposition")
        for child, parent in enumerate(parents):
            if parent == joint:
                add(child)
        lines.append("}")

    add(0)
    local = joints - np.where(np.array(parents)[:, None] >= 0, joints[:, np.maximum(parents, 0)], 0)
    rows = "\n".join(" ".join(f"{value:.6f}" for value in frame.flat) for frame in local[:, order])
    return "\n".join([*lines, "MOTION", f"Frames: {len(joints)}", f"Frame Time: {1 / fps:.7f}", rows])


def save(path, content):
    if isinstance(content, str):
        path.write_text(content)
    else:
        np.save(path, content)
    return path


def test_bandai_namco_files_give_the_joints_of_the_data_set(data_dir):
    folder = data_dir / "bandai_namco"
    compared = 0
    files = sorted((folder / "bvh").glob("*.bvh"))
    for path in files:
        joints = read_motion(path)
        name = path.stem.replace("dataset-", "bn")
        parts = sorted([*folder.glob(f"new_joints/{name}.npy"), *folder.glob(f"new_joints/{name}_s*.npy")])
        if not parts:  # too short for the data set
            assert len(joints) < 24
            continue
        expected = np.concatenate([np.load(part) for part in parts])
        # the data set took the frame time at its word, 30.00003 frames per second, and lost a frame here and there
        assert len(joints) - len(expected) in (0, 1)
        assert np.linalg.norm(joints[: len(expected)] - expected, axis=-1).max() < 1e-3
        compared += 1
    assert len(files) == 25 and compared == 24


def test_cmu_files_stand_on_the_floor_upright(data_dir, tmp_path):
    with tarfile.open(data_dir / "cmu" / "bvh.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    files = sorted((tmp_path / "bvh").glob("*.bvh"))
    assert len(files) == 51
    for path in files:
        motion = import_motion(path)
        joints = motion.joints
        assert (motion.naming, motion.unit, motion.up) == ("Character Creator", "centimeters", "y"), path
        assert np.isfinite(joints).all() and motion.source_fps == 60
        offsets = bone_offsets(joints, HUMANML3D)[:, 1]
        tall = offsets[[3, 6, 9, 12, 15]].sum() - offsets[[4, 7]].sum()
        assert 1.4 < tall < 1.7, path  # from the ankles to the base of the skull
        upright = (joints[:, HEAD] - joints[:, FEET].mean(1))[:, 1]
        assert np.median(upright) > 1.0, path
        floor = np.percentile(joints[:, FEET, 1].min(axis=1), 5)
        assert 0 < floor < (0.3 if path.stem in ("03_01", "03_02") else 0.15), path  # these two walk on steps


@settings(deadline=None, max_examples=30)
@given(unit=st.sampled_from(list(METRES_PER_UNIT)), up=st.sampled_from(list(TURNS)), size=st.floats(0.75, 1.1))
def test_any_unit_and_axes_give_the_same_joints(tmp_path_factory, unit, up, size):
    joints = walk() * size
    in_file = joints.astype(np.float64) @ TO_FILE[up].T / METRES_PER_UNIT[unit]
    motion = import_motion(save(tmp_path_factory.mktemp("motion") / "walk.bvh", bvh_text(in_file)))
    assert (motion.unit, motion.up) == (unit, up)
    np.testing.assert_allclose(motion.joints, joints, atol=1e-4)


@pytest.mark.parametrize("up", TURNS)
@pytest.mark.parametrize("unit", ["meters", "inches"])
def test_real_files_with_other_units_and_axes_give_the_same_joints(data_dir, tmp_path, unit, up):
    """The joints of a real file, written in another unit and along other axes."""
    path = data_dir / "bandai_namco" / "bvh" / "dataset-1_bow_masculinity_001.bvh"
    expected = read_motion(path)
    in_file = expected.astype(np.float64) @ TO_FILE[up].T / METRES_PER_UNIT[unit]
    joints = read_motion(save(tmp_path / "bow.bvh", bvh_text(in_file)))
    np.testing.assert_allclose(joints, expected, atol=1e-4)


def test_a_file_turned_by_a_root_above_its_own(data_dir, tmp_path):
    path = data_dir / "bandai_namco" / "bvh" / "dataset-1_bow_masculinity_001.bvh"
    hierarchy, motion = path.read_text().split("MOTION")
    root = "HIERARCHY\nROOT Armature\n{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\n"
    hierarchy = hierarchy.replace("HIERARCHY", root).replace("ROOT joint_Root", "JOINT joint_Root") + "}\n"
    frames, frame_time, *rows = motion.strip().split("\n")
    turned = "\n".join(f"90 {row}" for row in rows)
    content = f"{hierarchy}MOTION\n{frames}\n{frame_time}\n{turned}\n"
    found = import_motion(save(tmp_path / "bow.bvh", content))
    assert found.up == "z"
    np.testing.assert_allclose(found.joints, read_motion(path), atol=1e-4)


def test_turns_are_rotations():
    for up, matrix in TO_FILE.items():
        assert np.linalg.det(matrix) == pytest.approx(1)
        np.testing.assert_allclose(turned_up(walk() @ matrix.T.astype(np.float32), up), walk())


def test_a_root_on_top_of_its_offset_stands_on_the_floor(tmp_path):
    """As iClone writes it: the positions of the root count from its offset, not from the origin."""
    text = bvh_text(walk())
    lines = text.split("Frame Time: ")
    rows = [line.split(" ") for line in lines[1].split("\n")[1:]]
    start = [float(value) for value in rows[0][:3]]
    for row in rows:
        row[:3] = [str(float(value) - first) for value, first in zip(row, start, strict=False)]
    moved = f"{lines[0]}Frame Time: 0.05\n" + "\n".join(map(" ".join, rows))
    np.testing.assert_allclose(read_motion(save(tmp_path / "walk.bvh", moved)), walk(), atol=1e-4)


def test_resampling_and_frame_times_written_short(tmp_path):
    path = save(tmp_path / "walk.bvh", bvh_text(walk(61), fps=60.0).replace("0.0166667", "0.016667"))
    motion = import_motion(path)
    assert motion.source_fps == 60 and motion.fps == 20 and len(motion.joints) == 21
    np.testing.assert_allclose(motion.joints, walk(61)[::3], atol=1e-4)
    assert len(read_motion(path, source_fps=30)) == 41
    assert len(read_motion(path, fps=10)) == 11


def test_a_calibration_pose_before_the_motion_is_left_out(tmp_path, caplog):
    joints = walk()
    apart = np.concatenate([joints[:1] + np.float32([1.5, 0, 0]), joints])
    with caplog.at_level(logging.INFO):
        motion = import_motion(save(tmp_path / "walk.bvh", bvh_text(apart)))
    np.testing.assert_allclose(motion.joints, joints, atol=1e-4)
    assert "first frame" in caplog.records[-1].message and caplog.records[-1].levelname == "WARNING"


def test_one_line_is_logged(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        read_motion(save(tmp_path / "walk.bvh", bvh_text(walk() / 0.01)))
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert record.message == f"{tmp_path / 'walk.bvh'}: humanml3d joints, centimeters, y up, 20 fps."


def test_left_and_right_exchanged_are_noticed(tmp_path):
    joints = walk()
    assert not faces_backward(joints, HUMANML3D)
    motion = import_motion(save(tmp_path / "walk.npy", joints * np.float32([-1, 1, 1])))
    assert any("left and right may be exchanged" in guess for guess in motion.guesses)
    assert not import_motion(save(tmp_path / "walk.npy", mirror_joints(joints, HUMANML3D))).guesses


def test_npy_and_npz(tmp_path):
    joints = walk()
    np.testing.assert_array_equal(read_motion(save(tmp_path / "walk.npy", joints)), joints)
    np.testing.assert_array_equal(read_motion(save(tmp_path / "f.npy", np.asfortranarray(joints))), joints)
    assert len(read_motion(tmp_path / "walk.npy", source_fps=10)) == 59
    np.savez_compressed(tmp_path / "walk.npz", joints=joints.astype(np.float64), fps=40.0, text="a person walks")
    np.testing.assert_allclose(read_motion(tmp_path / "walk.npz"), joints[::2], atol=1e-6)
    z_up = joints @ TO_FILE["z"].T.astype(np.float32)
    np.savez(tmp_path / "amass.npz", Jtr=z_up, poses=np.zeros((30, 156)), mocap_framerate=20)
    np.testing.assert_allclose(read_motion(tmp_path / "amass.npz"), joints, atol=1e-6)


def test_kit_joints_in_millimeters_become_metres(tmp_path):
    joints = walk(skeleton=KIT)
    motion = import_motion(save(tmp_path / "walk.npy", joints * 1000), KIT, fps=12.5)
    assert motion.unit == "millimeters"
    np.testing.assert_allclose(motion.joints, joints, atol=1e-5)


@pytest.mark.parametrize("count", [24, 52])
def test_smpl_joints_are_taken_only_when_asked(tmp_path, count):
    joints = walk()
    path = save(tmp_path / "smpl.npy", np.concatenate([joints, joints[:, -1:].repeat(count - 22, axis=1)], axis=1))
    with pytest.raises(ValueError, match=f"smpl.npy has {count} joints per frame.*smpl_order=True"):
        read_motion(path)
    np.testing.assert_array_equal(read_motion(path, smpl_order=True), joints)


def test_unit_and_axis_can_be_given(tmp_path):
    path = save(tmp_path / "dwarf.npy", walk() * 0.25)
    with pytest.raises(ValueError, match=r"dwarf.npy cannot be read .* a person's height in none of .*unit="):
        read_motion(path)
    np.testing.assert_allclose(read_motion(path, unit=4), walk(), atol=1e-5)
    lying = walk() @ TO_FILE["z"].T.astype(np.float32)
    np.testing.assert_array_equal(read_motion(save(tmp_path / "lying.npy", lying), up="y"), lying)


def hostile_npy(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.npy", b"", "not a whole .npy file"),
        ("a.npy", np.arange(3), r"has the shape \(3,\)"),
        ("a.npy", walk()[:0], "has no frames"),
        ("a.npy", walk() * np.nan, "NaN or infinite"),
        ("a.npy", walk() * 0, "a person's height in none of"),
        ("a.npy", walk()[:, :21], r"shape \(30, 21, 3\), but humanml3d needs joints \(frames, 22, 3\) or features"),
        ("a.npy", np.array(["a"]), "not real numbers"),
        ("a.npy", walk() * 1j, "not real numbers"),
        (
            "a.npy",
            hostile_npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 22, 3)}\n"),
            "not a whole",
        ),
        ("a.npy", hostile_npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1, 22, 3)}\n"), "not a whole .npy"),
        ("a.npy", hostile_npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 22, 3)}\n"), "a.npy"),
        ("a.npz", b"PK\x03\x04 and nothing", "not a whole .npz file"),
        ("a.npz", {"poses": np.zeros((3, 156)), "trans": np.zeros((3, 3))}, "SMPL pose parameters but no joints"),
        ("a.npz", {"text": np.array("walk")}, "no array named joints"),
        ("a.npz", {"joints": walk(), "fps": np.array([20, 30])}, "one positive number"),
        ("a.npz", {"joints": walk(), "fps": np.array(np.nan)}, "one positive number"),
        ("a.npz", {"joints": np.array([{"a": 1}], dtype=object)}, "not real numbers"),
        ("a.fbx", b"Kaydara", "must end in .bvh, .npy, .npz"),
    ],
)
def test_bad_files_are_named_in_one_sentence(tmp_path, name, content, reason):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        np.save(path, content)
    with pytest.raises(ValueError, match=reason) as error:
        read_motion(path)
    assert str(error.value).startswith(f"{path} ") and "\n" not in str(error.value)


def test_a_small_archive_of_a_huge_array_takes_no_memory(tmp_path):
    header = hostile_npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (30000000, 22, 3)}\n")
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("joints.npy", header + bytes(10_000_000))
    with pytest.raises(ValueError, match="bomb.npz is not a whole .npz file"):
        read_motion(tmp_path / "bomb.npz")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"fps": 0}, "fps is 0"),
        ({"fps": True}, "fps is True"),
        ({"fps": float("inf")}, "fps is inf"),
        ({"source_fps": -1}, "source_fps is -1"),
        ({"unit": "parsec"}, "unit is 'parsec'"),
        ({"unit": 0}, "unit is 0"),
        ({"up": "w"}, "up is 'w'"),
        ({"joint_map": {"head": "Head"}}, "joints without names"),
        ({"fps": 10000, "source_fps": 0.1}, "more than can be read"),
    ],
)
def test_bad_arguments(tmp_path, arguments, reason):
    with pytest.raises(ValueError, match=reason):
        read_motion(save(tmp_path / "walk.npy", walk()), **arguments)
    with pytest.raises(FileNotFoundError, match="no.npy"):
        read_motion(tmp_path / "no.npy")


def test_a_body_that_crawls_is_taken_as_y_up_and_reported(data_dir):
    crawl = data_dir / "deepmimic" / "new_joints" / "dm_crawl.npy"
    motion = import_motion(crawl)
    assert motion.up == "y" and any("y is taken to point up" in guess for guess in motion.guesses)
    np.testing.assert_allclose(motion.joints, np.load(crawl), atol=1e-6)


def test_real_motions_with_any_axis_up(data_dir):
    """Flips, cartwheels, rolls and getting up, too."""
    clips = [*(data_dir / "deepmimic" / "new_joints").glob("*.npy")]
    clips += sorted((data_dir / "bandai_namco" / "new_joints").glob("*.npy"))[::50]
    for path in clips:
        joints = np.load(path).astype(np.float64)
        for up in ("y", "z"):
            found = find_up(joints @ TO_FILE[up].T, HUMANML3D)
            assert found.value == up or (up == "z" and found.doubt), path  # y wins where it may be either


def test_a_joint_map_in_a_file(tmp_path):
    text = bvh_text(walk()).replace(" pelvis", " bone of the hip").replace(" head", " skull")
    path = save(tmp_path / "walk.bvh", text)
    with pytest.raises(ValueError, match="walk.bvh is not a body of humanml3d that is known: no joint is known to be"):
        read_motion(path)
    (tmp_path / "map.json").write_text('{"pelvis": "bone of the hip", "head": "skull"}')
    np.testing.assert_allclose(read_motion(path, joint_map=tmp_path / "map.json"), walk(), atol=1e-4)
    assert read_bvh(path).names[0] == "bone of the hip"


def test_nothing_is_unpickled(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "a.npy").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="not a whole .npy file of numbers .*Python objects"):
        read_motion(tmp_path / "a.npy")


@pytest.mark.parametrize("skeleton", [HUMANML3D, KIT])
def test_features_are_joints_too(skeleton, tmp_path):
    size = skeleton.feature_size
    features = np.random.default_rng(0).normal(size=(30, size)).astype(np.float32) * 0.1 / skeleton.metres_per_unit
    np.save(tmp_path / "a.npy", features)
    joints = features_to_joints(features, skeleton.num_joints) * skeleton.metres_per_unit
    motion = import_motion(tmp_path / "a.npy", skeleton, fps=None)
    np.testing.assert_allclose(motion.joints, joints, atol=1e-5)
    assert motion.fps == motion.source_fps == skeleton.fps and not motion.guesses


def test_without_a_frame_rate_the_one_of_the_file_stays(tmp_path):
    np.savez(tmp_path / "a.npz", joints=walk(), fps=33)
    np.save(tmp_path / "a.npy", walk())
    assert import_motion(tmp_path / "a.npz", fps=None).fps == 33
    assert import_motion(tmp_path / "a.npy", fps=None).fps == HUMANML3D.fps
    np.testing.assert_allclose(read_motion(tmp_path / "a.npz", fps=None), walk(), atol=1e-5)


def test_more_frames_than_can_be_read_are_refused_before_they_are(tmp_path):
    with open(tmp_path / "a.npy", "wb") as file:
        shape = (2**21, 22, 3)
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + 4 * np.prod(shape))  # a sparse file
    with pytest.raises(ValueError, match="a.npy has 2,097,152 frames, more than can be read; cut it into parts"):
        read_motion(tmp_path / "a.npy")


def test_a_folder_is_no_motion_file(tmp_path):
    with pytest.raises(ValueError, match="is a folder, not a file"):
        read_motion(tmp_path)
