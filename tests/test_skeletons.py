# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Skeletons by name and from JSON files, and one sentence for what is wrong with such a file."""

import json

import pytest

from tm2t_hf import HUMANML3D, KIT, SKELETONS, load_skeleton

STICK = {
    "name": "stick",
    "fps": 10,
    "metres_per_unit": 1,
    "joint_names": ["root", "left", "right"],
    "chains": [[0, 1], [0, 2]],
    "directions": [[0, 0, 0], [1, 0, 0], [-1, 0, 0]],
    "face_joints": [2, 1, 2, 1],
    "left_foot": [1, 1],
    "right_foot": [2, 2],
    "leg_joints": [1, 2],
    "contact_threshold": 0.002,
    "mirror_pairs": [[1, 2]],
}


@pytest.fixture
def written(tmp_path):
    def write(content, encoding="utf-8"):
        path = tmp_path / "my.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding=encoding)
        return path

    return write


@pytest.mark.parametrize("name", SKELETONS)
def test_names_and_files_of_the_skeletons_here(name, written):
    assert load_skeleton(name) is SKELETONS[name]
    assert load_skeleton(written(SKELETONS[name].to_dict())) == SKELETONS[name]


def test_a_skeleton_of_your_own(written):
    skeleton = load_skeleton(str(written(STICK, encoding="utf-8-sig")))
    assert skeleton.parents == (-1, 0, 0) and skeleton.feature_size == 35 and skeleton.chains == ((0, 1), (0, 2))
    assert skeleton.to_dict() == STICK
    assert load_skeleton(written(STICK | {"mirror_pairs": []})).mirror_pairs == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON: Expecting"),
        ("[" * 100_000, "is not JSON"),
        ([1], "must be a JSON object with the fields of a Skeleton"),
        ({}, "lacks the fields name, fps, metres_per_unit,"),
        ({key: value for key, value in STICK.items() if key != "chains"}, "lacks the field chains"),
        (STICK | {"mirror_pair": []}, "has an unknown field mirror_pair; did you mean mirror_pairs"),
        (STICK | {"fps": "20"}, "must have a number above 0 as its fps; got 20"),
        (STICK | {"fps": True}, "must have a number above 0 as its fps; got True"),
        (STICK | {"metres_per_unit": float("nan")}, "must have a number above 0 as its metres_per_unit; got nan"),
        (STICK | {"joint_names": ["root", "left", "left"]}, "must have a list of different names as its joint_names"),
        (STICK | {"chains": [[0, 1], 2]}, "must have a list of lists of joint indices as its chains"),
        (STICK | {"left_foot": [1]}, "must have a list of two joint indices as its left_foot"),
        (STICK | {"right_foot": [1, -2]}, "must have a list of two joint indices as its right_foot"),
        (STICK | {"leg_joints": [1, 9]}, "indices below 3"),
        (STICK | {"chains": [[0, 1]]}, "`chains` must reach every joint but the root exactly once"),
        (STICK | {"directions": [[0, 0, 0], [1, 0, 0], [2, 0, 0]]}, "must have the length 1"),
        (KIT.to_dict() | {"fps": 30.0}, "has the name kit, but is another one; give it a new name"),
    ],
)
def test_files_that_are_no_skeleton(written, content, message):
    with pytest.raises(ValueError, match=r"my\.json.*" + message.replace(".", r"\.")) as information:
        load_skeleton(written(content))
    assert "\n" not in str(information.value)


def test_no_such_name_or_file(tmp_path):
    for unknown in ("horse", str(tmp_path / "my.json"), str(tmp_path)):
        with pytest.raises(ValueError, match=r"is neither a name \(humanml3d, kit\) nor a JSON file of a Skeleton"):
            load_skeleton(unknown)
    assert load_skeleton("humanml3d") is HUMANML3D
