# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The script that joins the data sets of the shipped models."""

import numpy as np
import pytest
from shipped import build

from tm2t_hf.data import read_captions, read_split


def make_folder(folder, splits, tokens="a/DET"):
    """Clips of a few frames whose joints all hold the number of the clip."""
    clips = [clip for split in splits.values() for clip in split]
    for name in ("new_joints", "texts"):
        (folder / name).mkdir(parents=True)
    for number, clip in enumerate(clips):
        np.save(folder / "new_joints" / f"{clip}.npy", np.full((5, 22, 3), number, np.float32))
        (folder / "texts" / f"{clip}.txt").write_text(f"{clip} moves#{tokens}#0.0#0.0\n")
    for split, names in {**splits, "all": clips}.items():
        (folder / f"{split}.txt").write_text("".join(f"{clip}\n" for clip in names))
    return folder


@pytest.fixture
def arguments(tmp_path):
    folders = {
        "bandai_namco": {"train": ["bn1_bow_angry_001"], "val": ["bn1_run_sad_001"], "test": ["bn1_walk_sad_001"]},
        "cmu": {"train": ["cmu_01_01_1"], "val": ["cmu_02_01_2"], "test": ["cmu_02_01_3"]},
        "deepmimic": {"train": ["dm_roll", "dm_sie_punch"]},
    }
    made = {name: make_folder(tmp_path / name, splits, "" if name == "deepmimic" else "a/DET")
            for name, splits in folders.items()}  # fmt: skip
    return [word for name, folder in made.items() for word in (f"--{name}", str(folder))] + [
        "--output_dir", str(tmp_path / "joined")
    ]  # fmt: skip


def test_joined_folder(arguments, tmp_path):
    body = tmp_path / "012314.npy"
    np.save(body, np.zeros((5, 22, 3), np.float32))
    build.main([*arguments, "--body", str(body)])
    joined = tmp_path / "joined"
    assert read_split(joined, "train") == ["bn1_bow_angry_001", "cmu_01_01_1", "deepmimic_roll", "deepmimic_sie_punch"]
    assert read_split(joined, "val") == ["bn1_run_sad_001"] and read_split(joined, "test") == ["bn1_walk_sad_001"]
    assert read_split(joined, "cmu_dev") == ["cmu_02_01_2", "cmu_02_01_3"]
    assert len(read_split(joined, "all")) == 8 and len(read_split(joined, "train_val")) == 5
    assert np.load(joined / "new_joints" / "deepmimic_sie_punch.npy").max() == 1
    assert (joined / "new_joints" / "012314.npy").exists()
    (line,) = read_captions(joined / "texts" / "deepmimic_roll.txt")
    assert line.caption == "dm_roll moves" and "/" in line.tokens  # tagged here
    (line,) = read_captions(joined / "texts" / "cmu_01_01_1.txt")
    assert line.tokens == "a/DET"  # as it was


def test_nothing_is_replaced(arguments, tmp_path):
    (tmp_path / "joined").mkdir()
    (tmp_path / "joined" / "notes.md").write_text("mine")
    with pytest.raises(SystemExit, match="joined is not empty; give a new folder"):
        build.main(arguments)
    assert (tmp_path / "joined" / "notes.md").read_text() == "mine"


def test_a_failed_run_leaves_no_folder(arguments, tmp_path):
    (tmp_path / "cmu" / "texts" / "cmu_01_01_1.txt").write_text("a person walks##1.0#2.0\n")
    with pytest.raises(ValueError, match="cmu_01_01_1.txt has a caption of a part of the clip"):
        build.main(arguments)
    assert not (tmp_path / "joined").exists()
