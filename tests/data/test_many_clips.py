# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""A folder of many clips is read once: later starts compare names, sizes and times of its files, and open none."""

import os
from time import process_time

import numpy as np

from tm2t_hf.data import load_motion_dataset

CLIPS = int(os.environ.get("TM2T_CLIPS", "1000"))  # 500000 takes minutes the first time
LINKS = 30_000  # to one file; file systems allow no more than some ten thousands


def test_the_second_start_reads_no_clip(tmp_path, monkeypatch):
    clips = [f"{number:06d}" for number in range(CLIPS)]
    for kind in ("new_joint_vecs", "texts"):
        (tmp_path / kind).mkdir()
    for number, clip in enumerate(clips):
        features, text = tmp_path / "new_joint_vecs" / f"{clip}.npy", tmp_path / "texts" / f"{clip}.txt"
        if number % LINKS == 0:
            np.save(features, np.zeros((1, 263), np.float32))
            text.write_text("a person stands")
            first = features, text
        else:
            os.link(first[0], features)
            os.link(first[1], text)
    (tmp_path / "train.txt").write_text("\n".join(clips))

    def start() -> float:
        began = process_time()
        assert len(load_motion_dataset(tmp_path, "train", min_frames=1)) == CLIPS
        return process_time() - began

    def read(*arguments):
        raise AssertionError("a clip was read again")

    once = start()
    monkeypatch.setattr("tm2t_hf.data.dataset.load_array", read)
    monkeypatch.setattr("tm2t_hf.data.dataset.lines_of_clip", read)
    again = start()
    print(f"{CLIPS} clips: {once:.1f} s of a CPU once, {again:.1f} s then")
    assert again < 1 + 20 * CLIPS / 500_000
