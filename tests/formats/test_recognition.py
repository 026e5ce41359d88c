# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The joints of bodies from all tools are found by their names, and what is guessed is said."""

import json

import numpy as np
import pytest

from tm2t_hf.formats.joint_names import CENTRAL_PARTS, NAMINGS, SIDE_PARTS
from tm2t_hf.formats.recognition import read_joint_map, recognize
from tm2t_hf.motion import HUMANML3D, KIT

# A standing body: (x to the left, y up, z forward) in meters, the right side by symmetry.
PLACES = {
    "pelvis": (0, 0.95, 0), "neck": (0, 1.45, 0), "head": (0, 1.6, 0.03), "left_hip": (0.1, 0.87, 0),
    "left_knee": (0.1, 0.48, 0), "left_ankle": (0.1, 0.08, 0), "left_toe": (0.1, 0.02, 0.13),
    "left_collar": (0.05, 1.38, 0), "left_shoulder": (0.18, 1.4, 0), "left_elbow": (0.2, 1.12, 0),
    "left_wrist": (0.2, 0.87, 0.05),
}  # fmt: skip
UP_FROM = {
    "neck": "spine", "head": "neck", "knee": "hip", "ankle": "knee", "toe": "ankle", "collar": "spine",
    "shoulder": "collar", "elbow": "shoulder", "wrist": "elbow", "hip": "pelvis",
}  # fmt: skip


def body(naming, prefix="", choose=0):
    """Names, parents and positions of a body as one tool names it; `choose` picks among alternative names."""
    names, parents, places = [], [], []

    def add(name, parent, place):
        names.append(prefix + name)
        parents.append(parent)
        places.append(place)
        return len(names) - 1

    at = {"pelvis": add(naming.pelvis.split("|")[0], -1, PLACES["pelvis"])}
    below = at["pelvis"]
    for number, name in enumerate(naming.spine, start=1):
        below = add(name, below, (0, 0.95 + 0.4 * number / len(naming.spine), 0))
    at["spine"] = below
    for part in CENTRAL_PARTS[1:]:
        at[part] = add(getattr(naming, part).split("|")[0], at[UP_FROM[part]], PLACES[part])
    for side, word, sign in zip(("left", "right"), naming.sides, (1, -1), strict=True):
        for part in SIDE_PARTS:
            options = getattr(naming, part).split("|")
            parent = at.get(UP_FROM[part], at.get(f"{side}_{UP_FROM[part]}"))
            place = np.array(PLACES[f"left_{part}"]) * (sign, 1, 1)
            at[f"{side}_{part}"] = add(options[min(choose, len(options) - 1)].replace("{}", word), parent, place)
    return names, parents, np.array(places)


def joints_of(recognition, places):
    return dict(
        zip(recognition.sources, recognition.joints({i: p[None] for i, p in enumerate(places)})[0], strict=True)
    )


@pytest.mark.parametrize("naming", NAMINGS, ids=lambda naming: naming.name)
@pytest.mark.parametrize("prefix", ["", "mixamorig:", "CC_Base_", "Bip01 ", "m_avg_", "DEF-"])
def test_every_naming_is_recognized_with_and_without_a_prefix(naming, prefix):
    for choose in (0, 1):
        names, parents, places = body(naming, prefix, choose)
        recognition = recognize(names, parents, places, HUMANML3D)
        assert not recognition.guesses
        found = joints_of(recognition, places)
        for part, place in PLACES.items():
            np.testing.assert_allclose(found[part], place, err_msg=part)
            np.testing.assert_allclose(found[part.replace("left", "right")][1:], place[1:])
        heights = [found[joint][1] for joint in ("pelvis", "spine1", "spine2", "spine3", "neck")]
        assert (np.diff(heights) > 0.02).all()


def test_names_are_compared_without_case_and_separators():
    names, parents, places = body(NAMINGS[4])
    shouted = [name.upper().replace("LEFT", "Left_").replace("ARM", "-arm") for name in names]
    assert (
        recognize(shouted, parents, places, HUMANML3D).sources == recognize(names, parents, places, HUMANML3D).sources
    )


def test_spine2_of_bandai_namco_is_the_middle_of_spine_and_chest():
    names, parents, places = body(next(naming for naming in NAMINGS if naming.name == "Bandai-Namco"))
    sources = recognize(names, parents, places, HUMANML3D).sources
    assert [names[index] for index in sources["spine2"]] == ["Spine", "Chest"]


def test_joints_on_one_point_are_told_apart():
    """As in the classic BVH files of CMU, where both shoulders and the neck lie on the chest."""
    names, parents, places = body(next(naming for naming in NAMINGS if naming.name == "CMU"))
    chest = places[names.index("Spine1")]
    for name in ("LeftShoulder", "RightShoulder"):
        places[names.index(name)] = chest
    names.append("Neck")
    parents.append(names.index("Spine1"))
    places = np.vstack([places, chest])
    recognition = recognize(names, parents, places, HUMANML3D)
    found = joints_of(recognition, places)
    np.testing.assert_allclose(found["neck"], PLACES["neck"])
    for collar in ("left_collar", "right_collar"):
        assert np.linalg.norm(found[collar] - found["spine3"]) > 0.03
        assert any(guess.startswith(f"{collar} lies on spine3") for guess in recognition.guesses)


def test_ends_of_bones_stand_in_for_toes_hands_and_head():
    names, parents, places = body(NAMINGS[4])
    for name in ("LeftToeBase", "RightToeBase", "LeftHand", "RightHand", "Head"):
        names[names.index(name)] = f"{name}.end"
    recognition = recognize(names, parents, places, HUMANML3D)
    assert len(recognition.guesses) == 5
    np.testing.assert_allclose(joints_of(recognition, places)["left_toe"], PLACES["left_toe"])


@pytest.mark.parametrize("kept", [0, 1])
def test_a_short_spine_is_filled_in(kept):
    naming = NAMINGS[4]
    names, parents, places = body(naming)
    for name in naming.spine[kept:]:
        names[names.index(name)] = f"something {name} else"
    recognition = recognize(names, parents, places, HUMANML3D)
    heights = [joints_of(recognition, places)[joint][1] for joint in ("pelvis", "spine1", "spine2", "spine3", "neck")]
    assert (np.diff(heights) > 0.02).all() and len(recognition.guesses) == 3 - kept


def test_kit_skeleton():
    names, parents, places = body(NAMINGS[4])
    recognition = recognize(names, parents, places, KIT)
    found = joints_of(recognition, places)
    np.testing.assert_allclose(found["left_heel"], np.mean([PLACES["left_ankle"], PLACES["left_toe"]], axis=0))
    np.testing.assert_allclose(found["spine3"], PLACES["neck"])
    assert len(recognition.guesses) == 2


def test_unknown_names_need_a_joint_map():
    names, parents, places = body(NAMINGS[4])
    unknown = [f"bone{number}" for number in range(len(names))]
    with pytest.raises(ValueError, match='no joint is known to be pelvis, .* joint map such as {"pelvis": "bone0"}'):
        recognize(unknown, parents, places, HUMANML3D)
    sources = recognize(names, parents, places, HUMANML3D).sources
    joint_map = {joint: [unknown[index] for index in indices] for joint, indices in sources.items()}
    recognition = recognize(unknown, parents, places, HUMANML3D, joint_map)
    assert recognition.sources == sources and not recognition.guesses


def test_a_joint_map_wins_and_the_tables_find_the_rest():
    names, parents, places = body(NAMINGS[4])
    recognition = recognize(names, parents, places, HUMANML3D, {"head": ["Head", "Neck"]})
    assert recognition.sources["head"] == (names.index("Head"), names.index("Neck"))
    assert recognition.sources["pelvis"] == (0,)


@pytest.mark.parametrize(
    ("joint_map", "reason"),
    [({"nose": "Head"}, "names 'nose', but the joints of humanml3d"), ({"head": "Hed"}, "its joints are called Head")],
)
def test_wrong_joint_maps(joint_map, reason):
    with pytest.raises(ValueError, match=reason):
        recognize(*body(NAMINGS[4]), HUMANML3D, joint_map)


def test_a_repeated_name_is_reported():
    names, parents, places = body(NAMINGS[4])
    recognition = recognize([*names, "Head"], [*parents, 0], np.vstack([places, [0, 0, 0]]), HUMANML3D)
    assert recognition.guesses == ("the first of several joints named Head is used",)


def test_joint_maps_from_json(tmp_path):
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"pelvis": "Hips", "spine2": ["Spine", "Chest"]}), encoding="utf-8-sig")
    assert read_joint_map(path) == {"pelvis": "Hips", "spine2": ["Spine", "Chest"]}
    with pytest.raises(FileNotFoundError, match="no.json is missing"):
        read_joint_map(tmp_path / "no.json")
    for content in ("[]", "{", '{"pelvis": 3}', '{"pelvis": []}', '{"pelvis": [["Hips"]]}', "[" * 100000):
        path.write_text(content)
        with pytest.raises(ValueError, match="map.json is not a JSON object such as"):
            read_joint_map(path)
