# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Recordings of the CMU database."""

import json
import shutil

import numpy as np
import pytest
from bandai_namco.labels import action_and_style
from evaluation import recordings

CLIPS = [
    {"file": "bvh/a.bvh", "description": "walk"},
    {"file": "bvh/a.bvh", "description": "slow walk", "captions": ["goes"], "split": "train", "start": 0, "end": 2}
    | {"mirrored_text": False},
    {"file": "bvh/a.bvh", "description": "dance", "captions": ["x", "y"], "split": "test", "start": 0, "end": 2}
    | {"mirrored_text": True},
    {"file": "bvh/a.bvh", "description": "dance"},
    {"file": "bvh/a.bvh", "description": "dance", "captions": ["x"], "split": "train"},
]


def write_clips(folder, clips):
    (folder / "clips.jsonl").write_text("".join(f"{json.dumps(clip)}\n" for clip in clips))


@pytest.fixture
def folder(data_dir, tmp_path):
    (tmp_path / "bvh").mkdir()
    shutil.copy(data_dir / "bandai_namco" / "bvh" / "dataset-1_bow_masculinity_001.bvh", tmp_path / "bvh" / "a.bvh")
    write_clips(tmp_path, CLIPS)
    return tmp_path


def test_gaits_and_clips_outside_the_training_set(folder):
    first, second, third = recordings.load_recordings(str(folder), action_and_style)
    assert (first.gait, first.caption, first.seen) == ("walk", "", False)
    assert (second.gait, second.caption, second.seen) == ("walk", "goes", True)
    assert (third.gait, third.caption, third.seen) == (None, "x", False)
    assert len(first.joints) > len(second.joints) == 41
    assert np.abs(second.joints - third.joints).max() > 0.01  # mirrored, as its captions are

    captions = ["a person walks", "someone turns left", "a person dances"]
    rows = recordings.recording_rows([first, second, third], captions, action_and_style)
    assert rows == {
        "walking and running, 2 clips": {"action": 0.5},
        "a from 0 s, walk": {"seen": "no", "people": "", "caption": "a person walks", "action": 1.0},
        "a from 0 s, slow walk": {"seen": "yes", "people": "goes", "caption": "someone turns left", "action": 0.0},
        "a from 0 s, dance": {"seen": "no", "people": "x", "caption": "a person dances"},
    }


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SystemExit, match="--cmu .*clips.jsonl"):
        recordings.load_recordings(str(tmp_path), action_and_style)
    write_clips(tmp_path, CLIPS[:1])
    with pytest.raises(SystemExit, match="--cmu .*bvh.tar.xz"):
        recordings.load_recordings(str(tmp_path), action_and_style)
    (tmp_path / "bvh").mkdir()
    with pytest.raises(SystemExit, match=r"--cmu .*a\.bvh"):
        recordings.load_recordings(str(tmp_path), action_and_style)
