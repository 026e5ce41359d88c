# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`.npz` and `.csv` files: what is in them, and bad input."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rigid_motions import random_skeleton, t_pose

from tm2t_hf.formats.tables import save_csv, save_npz
from tm2t_hf.skeletons import HUMANML3D


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), frames=st.integers(1, 5), scale=st.floats(1e-3, 1e3))
def test_joints_come_back(tmp_path_factory, seed, frames, scale):
    rng = np.random.default_rng(seed)
    skeleton = random_skeleton(rng, 7)
    joints = scale * rng.normal(size=(frames, 7, 3))
    folder = tmp_path_factory.mktemp("tables")
    save_npz(joints, folder / "motion.npz", skeleton=skeleton)
    with np.load(folder / "motion.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["joints"], joints.astype(np.float32))
    save_csv(joints, folder / "motion.csv", skeleton=skeleton)
    table = np.loadtxt(folder / "motion.csv", delimiter=",", skiprows=1, ndmin=2)
    np.testing.assert_allclose(table[:, 1:].reshape(frames, 7, 3), joints, atol=1e-6)


def test_npz_holds_all_there_is_to_know(tmp_path):
    path = tmp_path / "motion.npz"
    save_npz(np.stack([t_pose()] * 2), path, fps=12.5, title="«a person» stands", ids=[3, 1, 511, 514])
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["fps", "ids", "joint_names", "joints", "text"]
        assert arrays["joints"].dtype == np.float32 and arrays["ids"].dtype == np.int64
        assert float(arrays["fps"]) == 12.5 and str(arrays["text"]) == "«a person» stands"
        assert arrays["ids"].tolist() == [3, 1, 511, 514]
        assert tuple(arrays["joint_names"]) == HUMANML3D.joint_names
    save_npz(np.stack([t_pose()] * 2), path)  # replaces it
    with np.load(path, allow_pickle=False) as arrays:
        assert "ids" not in arrays and str(arrays["text"]) == ""
    assert [file.name for file in tmp_path.iterdir()] == ["motion.npz"]


def test_csv_has_a_header_and_a_time(tmp_path):
    path = tmp_path / "motion.csv"
    save_csv(np.stack([t_pose()] * 3), path, fps=25)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["time"] for row in rows] == ["0.000000", "0.040000", "0.080000"]
    assert rows[0]["pelvis_y"] == "0.950000" and float(rows[2]["right_wrist_x"]) == -0.68
    assert len(rows[0]) == 1 + 3 * 22


def test_csv_quotes_names_with_commas(tmp_path):
    values = HUMANML3D.to_dict()
    values["joint_names"][0] = 'hips, "root"'
    save_csv(np.stack([t_pose()]), tmp_path / "motion.csv", skeleton=type(HUMANML3D).from_dict(values))
    with open(tmp_path / "motion.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row['hips, "root"_y'] == "0.950000"


@pytest.mark.parametrize("ids", [[0.5, 1.0], [[1, 2]], ["1"], 3])
def test_ids_must_be_a_list_of_integers(tmp_path, ids):
    with pytest.raises(ValueError, match="`ids` must be a list of integers"):
        save_npz(np.stack([t_pose()]), tmp_path / "motion.npz", ids=ids)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("save", [save_npz, save_csv])
@pytest.mark.parametrize(
    ("joints", "message"),
    [
        (np.zeros((3, 21, 3)), "`joints` has shape"),
        (np.zeros((0, 22, 3)), "`joints` has no frames"),
        (np.full((2, 22, 3), np.nan), "`joints` holds NaN or infinite values"),
    ],
)
def test_bad_input_leaves_nothing_behind(tmp_path, save, joints, message):
    with pytest.raises(ValueError, match=message):
        save(joints, tmp_path / "motion")
    assert not list(tmp_path.iterdir())
