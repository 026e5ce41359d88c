# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""BVH files, read back by a parser of these tests: the joints are the ones written, angles do not jump."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigid_motions import bend, largest_error, random_motion, random_skeleton, t_pose, turn
from transformers import pipeline

from tm2t_hf.formats.bvh import save_bvh, standard_names
from tm2t_hf.skeletons import HUMANML3D, KIT, Skeleton

AXES = {"X": (1, 0, 0), "Y": (0, 1, 0), "Z": (0, 0, 1)}


class Bvh:
    """A BVH file: names, parents, offsets and channels of the joints, and a value (frames, channels) per channel."""

    def __init__(self, path):
        tokens = iter(path.read_text(encoding="utf-8").split())
        assert next(tokens) == "HIERARCHY"
        self.names, self.parents, self.offsets, self.channels, self.tips = [], [], [], [], []
        stack = []
        for token in tokens:
            if token in ("ROOT", "JOINT"):
                self.parents.append(stack[-1] if stack else -1)
                self.names.append(next(tokens))
                joint = len(self.names) - 1
            elif token == "End":
                assert next(tokens) == "Site"
                joint = None
            elif token == "{":
                stack.append(joint)
            elif token == "}":
                stack.pop()
            elif token == "OFFSET":
                offset = [float(next(tokens)) for _ in range(3)]
                (self.tips if stack[-1] is None else self.offsets).append(offset)
            elif token == "CHANNELS":
                self.channels.append([next(tokens) for _ in range(int(next(tokens)))])
            else:
                assert token == "MOTION"
                break
        assert not stack and next(tokens) == "Frames:"
        frames = int(next(tokens))
        assert [next(tokens), next(tokens)] == ["Frame", "Time:"]
        self.frame_time = float(next(tokens))
        self.values = np.array([float(token) for token in tokens]).reshape(frames, -1)

    def joints(self):
        """(frames, joints, 3); positions replace the offset where a joint has them."""
        rotations, places, column = [], [], 0
        for parent, offset, channels in zip(self.parents, self.offsets, self.channels, strict=True):
            place = np.tile(np.array(offset), (len(self.values), 1))
            rotation = np.eye(3)
            for channel in channels:
                value = self.values[:, column]
                column += 1
                if channel.endswith("position"):
                    place[:, "XYZ".index(channel[0])] = value
                else:
                    rotation = rotation @ turn(AXES[channel[0]], value)
            if parent >= 0:
                place = places[parent] + (rotations[parent] @ place[..., None])[..., 0]
                rotation = rotations[parent] @ rotation
            places.append(place)
            rotations.append(rotation)
        return np.stack(places, axis=1)

    def angles(self):
        """(frames, 3 * joints) degrees."""
        names = [channel for channels in self.channels for channel in channels]
        return self.values[:, [name.endswith("rotation") for name in names]]

    def orders(self):
        """The three letters of each joint."""
        return ["".join(name[0] for name in channels if name.endswith("rotation")) for channels in self.channels]


def written(tmp_path, joints, skeleton=HUMANML3D, **arguments):
    """The file, and its joints in meters in the order of the skeleton."""
    path = tmp_path / "motion.bvh"
    save_bvh(joints, path, skeleton=skeleton, **arguments)
    assert [file.name for file in tmp_path.iterdir()] == ["motion.bvh"]
    bvh = Bvh(path)
    order = [bvh.names.index(name) for name in standard_names(skeleton)]
    return bvh, bvh.joints()[:, order] / 100


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 25), frames=st.integers(1, 30))
def test_rigid_motion_of_any_skeleton_comes_back(tmp_path_factory, seed, count, frames):
    rng = np.random.default_rng(seed)
    skeleton = random_skeleton(rng, count)
    joints = random_motion(rng, skeleton, frames)
    tmp_path = tmp_path_factory.mktemp("bvh")
    _, once = written(tmp_path, joints, skeleton)
    assert largest_error(once, joints) < 2e-5
    _, twice = written(tmp_path, once, skeleton)
    assert largest_error(twice, joints) < 4e-5


def test_the_file_says_what_tools_look_for(tmp_path):
    joints = np.stack([t_pose()] * 3) + np.arange(3)[:, None, None] * [0, 0, 0.1]
    bvh, _ = written(tmp_path, joints, fps=30)
    text = (tmp_path / "motion.bvh").read_text()
    assert text.startswith("HIERARCHY\nROOT Hips\n{\n  OFFSET 0.000000 0.000000 0.000000\n")
    assert "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation" in text
    assert text.count("CHANNELS 3 Zrotation Xrotation Yrotation") == 21 and text.count("End Site") == 5
    assert bvh.frame_time == pytest.approx(1 / 30, abs=1e-8) and len(bvh.values) == 3
    assert {"Hips", "Spine", "LeftUpLeg", "RightForeArm", "LeftToeBase", "LeftShoulder", "LeftArm"} < set(bvh.names)
    np.testing.assert_allclose(bvh.values[:, :3], [[0, 95, 0], [0, 95, 10], [0, 95, 20]], atol=1e-4)  # centimeters
    np.testing.assert_allclose(bvh.angles(), 0, atol=1e-4)
    assert np.linalg.norm(bvh.tips, axis=1).min() > 1  # Blender drops bones without length


def test_names_of_other_skeletons(tmp_path):
    assert standard_names(KIT)[:2] == ["Hips", "Spine"] and len(set(standard_names(KIT))) == KIT.num_joints
    values = HUMANML3D.to_dict()
    values["joint_names"][-1] = "root"
    assert standard_names(Skeleton.from_dict(values))[0] == "pelvis"  # two joints would be called "Hips"
    assert all(" " not in name for name in standard_names(random_skeleton(np.random.default_rng(0), 5)))


@pytest.mark.parametrize("axis", [(0, 1, 0), (1, 0, 0), (0, 0, 1), (0.1, 1, 0.05), (1, 1, 1)])
def test_two_full_turns_count_on(tmp_path, axis):
    joints = t_pose() @ turn(axis, np.linspace(0, 720, 145)).transpose(0, 2, 1)
    bvh, back = written(tmp_path, joints)
    assert largest_error(back, joints) < 2e-5
    assert np.abs(np.diff(bvh.angles(), axis=0)).max() < 45
    if axis in AXES.values():
        column = bvh.orders()[0].index({value: name for name, value in AXES.items()}[axis])
        np.testing.assert_allclose(bvh.angles()[:, column], np.linspace(0, 720, 145), atol=1e-3)


def test_a_joint_in_gimbal_lock_gets_another_order(tmp_path):
    """A thigh swings up past the front, half a degree off to the side: there Z, X, Y is nearly locked."""
    joints = bend(np.stack([t_pose()] * 21), "left_hip", turn((1, 0, 0), np.linspace(-60, -120, 21)))
    joints = bend(joints, "left_hip", turn((0, 1, 0), np.full(21, 0.5)))
    bvh, back = written(tmp_path, joints)
    assert largest_error(back, joints) < 2e-5
    assert np.abs(np.diff(bvh.angles(), axis=0)).max() < 45
    orders = dict(zip(bvh.names, bvh.orders(), strict=True))
    assert orders.pop("LeftUpLeg") != "ZXY" and set(orders.values()) == {"ZXY"}


def test_real_rigid_motion_comes_back(tmp_path, data_dir):
    """Raw recordings at their own rate, with their own skeleton."""
    for path in sorted((data_dir / "bandai_namco/bvh").glob("*.bvh"))[::6]:
        raw = Bvh(path)
        joints = raw.joints()[:300, 1:] / 100  # without the root on the floor, which the hips move against
        parents = [parent - 1 for parent in raw.parents[1:]]
        values = random_skeleton(np.random.default_rng(0), len(parents)).to_dict()
        names = {"joint_names": raw.names[1:], "chains": [[p, j] for j, p in enumerate(parents) if p >= 0]}
        skeleton = Skeleton.from_dict(values | names)
        _, back = written(tmp_path, joints, skeleton, fps=30)
        assert largest_error(back, joints) < 0.001, path


def test_real_turns_do_not_jump(tmp_path, data_dir):
    clips = [path for path in sorted((data_dir / "bandai_namco/new_joints").glob("*.npy")) if "turn" in path.name]
    for path in clips[::40]:
        bvh, _ = written(tmp_path, np.load(path))
        assert np.abs(np.diff(bvh.angles(), axis=0)).max() < 45, path


@pytest.mark.parametrize("caption", ["a person walks and turns right", "a person walks and turns left"])
def test_generated_turns_do_not_jump(tmp_path, caption):
    """As generated, and on a floor that turns once under it."""
    joints = pipeline("text-to-motion")(caption, do_sample=False)["joints"]
    right_hip, left_hip, *_ = HUMANML3D.face_joints
    for floor in (0, 360, -360):
        turned = joints @ turn((0, 1, 0), np.linspace(0, floor, len(joints))).transpose(0, 2, 1)
        bvh, back = written(tmp_path, turned, title=caption)
        assert np.abs(np.diff(bvh.angles(), axis=0)).max() < 45
        assert np.linalg.norm(back - turned, axis=-1).mean() < 0.01
        across = turned[:, left_hip] - turned[:, right_hip]
        heading = np.degrees(np.unwrap(np.arctan2(-across[:, 2], across[:, 0])))
        np.testing.assert_allclose(np.ptp(bvh.values[:, 5]), np.ptp(heading), atol=20)  # the Y rotation of the hips


def test_units(tmp_path):
    bvh, _ = written(tmp_path, np.stack([t_pose()]), units_per_metre=1)
    assert bvh.values[0, 1] == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("joints", "fps", "message"),
    [
        (np.zeros((3, 21, 3)), 20, "`joints` has shape"),
        (np.full((2, 22, 3), np.inf), 20, "`joints` holds NaN or infinite values"),
        (np.zeros((2, 22, 3)), 20, "have no length"),
        (np.zeros((2, 22, 3)), 0, "fps=0 must be above 0"),
    ],
)
def test_bad_input_leaves_nothing_behind(tmp_path, joints, fps, message):
    with pytest.raises(ValueError, match=message) as error:
        save_bvh(joints, tmp_path / "motion.bvh", fps=fps)
    assert not re.search(r"\n", str(error.value)) and not list(tmp_path.iterdir())
