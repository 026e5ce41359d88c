# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The toy set: complete, reproducible, and moved by something like a human body that does what its captions say."""

import numpy as np
import pytest

from tm2t_hf.data import check, load_motion_dataset, read_captions, read_split
from tm2t_hf.motion import HUMANML3D, features_to_joints, joints_to_features
from tm2t_hf.toy import ACTIONS, SIDED_ACTIONS, make_toy_clip, make_toy_dataset, tag_words

ALL_ACTIONS = [*ACTIONS, *(f"{name}-{side}" for name in SIDED_ACTIONS for side in ("left", "right"))]
JOINT = {name: index for index, name in enumerate(HUMANML3D.joint_names)}


def clip(action, seed=0):
    return make_toy_clip(action, np.random.default_rng(seed))


def turned(joints):
    """Signed heading change from the first to the last frame; the left is positive."""
    right_hip, left_hip = JOINT["right_hip"], JOINT["left_hip"]
    across = joints[:, left_hip] - joints[:, right_hip]
    return np.unwrap(np.arctan2(-across[:, 2], across[:, 0]))[[0, -1]] @ [-1, 1]


@pytest.fixture(scope="module")
def toy_dir(tmp_path_factory):
    return make_toy_dataset(tmp_path_factory.mktemp("toy") / "set", num_clips=50, seed=3)


def test_folder_is_complete_and_clean(toy_dir):
    assert check(toy_dir) == []
    splits = {split: read_split(toy_dir, split) for split in ("train", "val", "test", "all")}
    assert [len(splits[split]) for split in ("train", "val", "test", "all")] == [40, 5, 5, 50]
    assert sorted(splits["train"] + splits["val"] + splits["test"]) == sorted(splits["all"])
    dataset = load_motion_dataset(toy_dir, "all")
    assert len(dataset) == 50
    assert all(len(set(captions)) == 3 for captions in dataset["captions"])
    assert {row.rsplit("_", 1)[0].removeprefix("toy_") for row in dataset["id"]} == set(ALL_ACTIONS)


def test_same_seed_same_set(toy_dir, tmp_path):
    again = make_toy_dataset(tmp_path / "again", num_clips=50, seed=3)
    other = make_toy_dataset(tmp_path / "other", num_clips=50, seed=4)
    same = 0
    for path in sorted(file for file in toy_dir.rglob("*") if file.is_file()):
        name = path.relative_to(toy_dir)
        assert (again / name).read_bytes() == path.read_bytes()
        same += (other / name).read_bytes() == path.read_bytes()
    assert same == 1  # all.txt


def test_words_agree_with_the_action(toy_dir):
    for path in (toy_dir / "texts").glob("*.txt"):
        action = path.stem.split("_")[1]
        for line in read_captions(path):
            for side in ("left", "right"):
                assert (side in line.caption.split()) == action.endswith(side)


@pytest.mark.parametrize("action", ALL_ACTIONS)
def test_body_is_plausible(action):
    joints, _ = clip(action, seed=1)
    bones = np.linalg.norm(joints - joints[:, list(HUMANML3D.parents)], axis=-1)[:, 1:]
    assert np.ptp(bones, axis=0).max() < 1e-5
    assert joints[..., 1].min() > 0  # nothing below the ground
    assert joints[:, JOINT["head"], 1].min() > 0.7
    assert np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).max() * HUMANML3D.fps**2 < 150  # smooth, m/s^2
    for side in ("left", "right"):
        toe = joints[:, JOINT[f"{side}_toe"]]
        down = (toe[:-1, 1] < 0.0205) & (toe[1:, 1] < 0.0205)
        slid = np.linalg.norm(np.diff(toe, axis=0)[:, [0, 2]], axis=-1)
        assert slid[down].max(initial=0) < 0.004  # meters per frame
    back = features_to_joints(joints_to_features(joints, HUMANML3D), HUMANML3D.num_joints)
    relative, wanted = back - back[:, :1], joints[:-1] - joints[:-1, :1]
    np.testing.assert_allclose(np.linalg.norm(relative, axis=-1), np.linalg.norm(wanted, axis=-1), atol=2e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_sides_are_the_named_ones(side):
    other = {"left": "right", "right": "left"}[side]
    height = {
        (action, of): clip(f"{action}-{side}")[0][:, JOINT[f"{of}_{part}"], 1]
        for action, part in (("wave", "wrist"), ("raise", "wrist"), ("kick", "toe"))
        for of in (side, other)
    }
    assert height["wave", side].max() > 1.5 and height["wave", other].max() < 1.1
    assert height["raise", side].max() > 1.8 and height["raise", other].max() < 1.1
    assert height["kick", side].max() > 0.5 and height["kick", other].max() < 0.05
    sign = {"left": 1, "right": -1}[side]
    assert sign * turned(clip(f"turn-{side}")[0]) > 1.5
    assert sign * turned(clip(f"walk-turn-{side}")[0]) > 1.0
    # A step aside, seen from the body: the left is +x when it faces +z.
    joints = clip(f"step-{side}")[0]
    across = joints[0, JOINT["left_hip"]] - joints[0, JOINT["right_hip"]]
    assert sign * (joints[-1, 0] - joints[0, 0]) @ across > 0.02


def test_actions_do_what_they_are_called():
    pelvis = {action: clip(action)[0][:, 0] for action in ALL_ACTIONS}
    travelled = {action: np.linalg.norm((path[-1] - path[0])[[0, 2]]) for action, path in pelvis.items()}
    assert travelled["stand"] < 0.05 < 1.5 < travelled["walk"]
    assert travelled["run"] > 2.5
    assert 0.4 < travelled["jump-forward"] < 1.2
    assert pelvis["jump"][:, 1].max() > pelvis["stand"][:, 1].max() + 0.12
    assert pelvis["squat"][:, 1].min() < 0.65
    head = clip("bow")[0][:, JOINT["head"], 1]
    assert head.min() < head[0] - 0.2


def test_words_have_lemmas_and_parts_of_speech():
    assert tag_words("someone waves with the left arm") == "someone/PRON wave/VERB with/ADP the/DET left/ADJ arm/NOUN"


def test_bad_input(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="full is not empty"):
        make_toy_dataset(tmp_path / "full")
    with pytest.raises(ValueError, match="at least 10 clips"):
        make_toy_dataset(tmp_path / "new", num_clips=3)
    with pytest.raises(ValueError, match="no toy action 'fly'"):
        clip("fly")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
