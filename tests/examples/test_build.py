# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The scripts that make training folders from raw data, on the real data."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tm2t_hf import HUMANML3D
from tm2t_hf.data import read_captions, read_split
from tm2t_hf.motion import joints_to_features, mirror_joints

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SPLITS = ("train", "val", "test", "train_val", "all")


def script(name: str):
    spec = importlib.util.spec_from_file_location(f"build_{name}", EXAMPLES / name / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_bandai_namco_captions_and_splits_are_those_of_the_data_set(data_dir):
    build, folder = script("bandai_namco"), data_dir / "bandai_namco"
    clips = build.read_clips(build.HERE / "clips.tsv")
    grammar = json.loads((build.HERE / "captions.json").read_text(encoding="utf-8"))
    assert list(clips) == read_split(folder, "all")
    for name, clip in clips.items():
        lines = (folder / "texts" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        assert build.caption_lines(name, clip, grammar) == lines
    for split in ("train", "val", "test"):
        assert [name for name, clip in clips.items() if clip.split == split] == read_split(folder, split)


def test_bandai_namco_folder_is_rebuilt(data_dir, tmp_path):
    build, folder = script("bandai_namco"), data_dir / "bandai_namco"
    build.main(["--raw_dir", str(folder / "bvh"), "--output_dir", str(tmp_path)])
    made = sorted((tmp_path / "new_joints").glob("*.npy"))
    assert len(made) == 26  # 24 of the 25 files, two of them in two parts
    for path in made:
        joints, expected = np.load(path), np.load(folder / "new_joints" / path.name)
        assert joints.dtype == np.float32 and joints.shape == expected.shape
        np.testing.assert_allclose(joints, expected, atol=1.5 / build.GRID)
        text = (tmp_path / "texts" / f"{path.stem}.txt").read_text()
        assert text == (folder / "texts" / f"{path.stem}.txt").read_text()
    for split in SPLITS:
        ids = [name for name in read_split(folder, split) if (tmp_path / "new_joints" / f"{name}.npy").exists()]
        assert (tmp_path / f"{split}.txt").read_text().split() == ids


def test_bandai_namco_needs_the_raw_files(tmp_path):
    with pytest.raises(SystemExit, match="has no files named like dataset-1_bow_active_001.bvh"):
        script("bandai_namco").main(["--raw_dir", str(tmp_path), "--output_dir", str(tmp_path / "out")])


def test_cmu_folder_is_made(data_dir, tmp_path):
    build, folder = script("cmu"), data_dir / "cmu"
    build.main(["--data_dir", str(folder), "--output_dir", str(tmp_path)])
    clips = [json.loads(line) for line in (folder / "clips.jsonl").read_text().splitlines()]
    clips = {build.clip_id(clip): clip for clip in clips if "captions" in clip}
    assert {split: len(read_split(tmp_path, split)) for split in SPLITS} == {
        "train": 30, "val": 5, "test": 11, "train_val": 35, "all": 46,
    }  # fmt: skip
    for name, clip in clips.items():
        joints = np.load(tmp_path / "new_joints" / f"{name}.npy")
        assert abs(len(joints) / build.FPS - (clip["end"] - clip["start"])) < 0.25 and len(joints) <= build.LONGEST
        assert np.isfinite(joints_to_features(joints, HUMANML3D)).all()
        captions = read_captions(tmp_path / "texts" / f"{name}.txt")
        assert [line.caption for line in captions] == [" ".join(caption.split()) for caption in clip["captions"]]
        assert all(line.tokens.split() and all("/" in token for token in line.tokens.split()) for line in captions)
        assert name in read_split(tmp_path, clip["split"])


def test_cmu_clips_with_mirrored_captions_are_mirrored_and_bad_ones_left_out(data_dir, tmp_path, caplog):
    build, data = script("cmu"), tmp_path / "data"
    (data / "bvh").mkdir(parents=True)
    source = data_dir / "bandai_namco" / "bvh" / "dataset-1_bow_masculinity_001.bvh"
    shutil.copy(source, data / "bvh" / "01_01.bvh")
    (data / "bvh" / "01_02.bvh").write_text("HIERARCHY")
    clip = {"file": "bvh/01_01.bvh", "humanml3d_id": "1", "split": "train", "start": 0.0, "end": 2.0}
    clip |= {"mirrored_text": False, "captions": ["a man bows # deeply"]}
    clips = [clip, clip | {"humanml3d_id": "2", "mirrored_text": True}, clip | {"file": "bvh/01_02.bvh"}]
    clips.append(clip | {"start": 50.0, "end": 60.0})
    (data / "clips.jsonl").write_text("\n".join(map(json.dumps, clips)))
    build.main(["--data_dir", str(data), "--output_dir", str(tmp_path / "out")])
    assert read_split(tmp_path / "out", "all") == ["cmu_01_01_1", "cmu_01_01_2"]
    plain, mirrored = (np.load(tmp_path / "out" / "new_joints" / f"cmu_01_01_{number}.npy") for number in (1, 2))
    np.testing.assert_array_equal(mirrored, mirror_joints(plain, HUMANML3D))
    text = (tmp_path / "out" / "texts" / "cmu_01_01_1.txt").read_text()
    assert text == "a man bows deeply#a/DET man/NOUN bow/VERB deeply/ADV#0.0#0.0\n"
    assert [record.message[:10] for record in caplog.records if record.message.startswith("Left out")] == [
        "Left out: "
    ] * 2
