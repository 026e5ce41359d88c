# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Variants of a clip: other bodies, jitter, standing still."""

import numpy as np
import pytest

from tm2t_hf.bodies import known_offsets
from tm2t_hf.data import BodyVariation, load_motion_dataset, prepare, varied_motion
from tm2t_hf.motion import HUMANML3D, bone_offsets, features_to_joints
from tm2t_hf.toy import make_toy_dataset

BODY = {"skeleton": HUMANML3D, "offsets": known_offsets("humanml3d", HUMANML3D)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    source = make_toy_dataset(tmp_path_factory.mktemp("toy") / "toy", num_clips=12)
    return prepare(source, source.parent / "retargeted", retarget_to="humanml3d")


@pytest.fixture(scope="module")
def features(folder):
    return np.load(next(iter(sorted((folder / "new_joint_vecs").glob("*.npy")))))


def varied(features, seed=0, **body):
    return varied_motion(features, body=BodyVariation(copies=1, **body), rng=np.random.default_rng(seed), **BODY)


def test_another_body_is_nearly_the_same_motion_of_the_one_body(features):
    found = varied(features)
    joints, wanted = (features_to_joints(each, 22)[: len(found)] for each in (found, features))
    np.testing.assert_allclose(bone_offsets(joints, HUMANML3D), BODY["offsets"], atol=1e-3)
    distance = np.linalg.norm((joints - joints[:, :1]) - (wanted - wanted[:, :1]), axis=-1)
    assert 0.005 < distance.mean() < 0.08
    assert not np.array_equal(found, varied(features, seed=1))
    np.testing.assert_array_equal(found, varied(features))


def test_jitter_is_at_most_what_was_asked(features):
    plain, shaken = varied(features, proportions=0.0), varied(features, proportions=0.0, jitter=0.01)
    moved = features_to_joints(shaken, 22) - features_to_joints(plain, 22)
    deviation = (moved[:, 1:] - moved[:, :1]).std()
    assert 0.0005 < deviation < 0.03


def test_still_frames_make_the_motion_longer_by_frames_that_do_not_move(features):
    lengths = [len(varied(features, seed, still_frames=10)) for seed in range(30)]
    plain = len(varied(features))
    assert min(lengths) == plain and plain + 10 < max(lengths) <= plain + 20
    still = varied(features, int(np.argmax(lengths)), proportions=0.0, still_frames=10)
    joints = features_to_joints(still, 22)
    np.testing.assert_allclose(joints[1], joints[0], atol=1e-5)


def test_rows_of_other_bodies_have_ids_and_draws_of_their_own(folder):
    plain = load_motion_dataset(folder, "train", mirror=True)
    rows = load_motion_dataset(folder, "train", mirror=True, bodies=BodyVariation(copies=2))
    copies = [f"{name}~{copy}" for copy in (1, 2) for name in plain["id"]]
    assert rows["id"][:] == [*plain["id"], *copies]
    count = len(plain)
    np.testing.assert_array_equal(rows[0]["features"], plain[0]["features"])
    first, second = rows[count]["features"], rows[2 * count]["features"]
    assert not np.allclose(first, second, atol=1e-3)
    assert rows[count]["captions"] == plain[0]["captions"]


def test_mirrored_rows_of_a_retargeted_folder_have_its_body_again(folder):
    row = next(row for row in load_motion_dataset(folder, "train", mirror=True) if row["id"].startswith("M"))
    joints = features_to_joints(row["features"], 22)
    np.testing.assert_allclose(bone_offsets(joints, HUMANML3D), BODY["offsets"], atol=1e-3)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"copies": -1}, "copies of a body variation must be from 0 to inf; got -1"),
        ({"proportions": 0.7}, "proportions of a body variation must be from 0 to 0.5; got 0.7"),
        ({"jitter": 1.0}, "jitter of a body variation must be from 0 to 0.1; got 1.0"),
        ({"still_frames": -2}, "still_frames of a body variation must not be negative; got -2"),
    ],
)
def test_values_out_of_range(values, message):
    with pytest.raises(ValueError, match=message):
        BodyVariation(**values)
