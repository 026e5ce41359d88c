# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Memory does not grow with the data: as many updates on a hundred times the clips, from a folder and from shards."""

import os
import resource
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
from forked import in_processes

from tm2t_hf.data import load_motion_dataset, write_shards
from tm2t_hf.training import training_loader

CLIPS, FRAMES = 16, 100  # 1.7 MB; a hundred times as many do not go unnoticed
ROWS = 100 * CLIPS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`few` and `many`, which are links to the files of `few`, and both as shards."""
    root = tmp_path_factory.mktemp("memory")
    features = np.random.default_rng(0).normal(size=(FRAMES, 263)).astype(np.float32)
    for name, times in (("few", 1), ("many", 100)):
        for kind in ("new_joint_vecs", "texts"):
            (root / name / kind).mkdir(parents=True)
        clips = [f"{number:04d}" for number in range(CLIPS * times)]
        for number, clip in enumerate(clips):
            array = root / name / "new_joint_vecs" / f"{clip}.npy"
            text = root / name / "texts" / f"{clip}.txt"
            if name == "few":
                np.save(array, features)
                text.write_text("a person walks")
            else:
                for path in (array, text):
                    os.link(root / "few" / path.parent.name / f"{number % CLIPS:04d}{path.suffix}", path)
        (root / name / "train.txt").write_text("\n".join(clips))
    write_shards(root / "few", root / "few-shards", clips_per_shard=1)
    (root / "many-shards").mkdir()
    for number in range(ROWS):
        os.link(root / "few-shards" / "train-00000.parquet", root / "many-shards" / f"train-{number:05d}.parquet")
    return root


@pytest.mark.parametrize("streaming", [False, True], ids=["folder", "shards"])
def test_training_on_a_hundred_times_the_clips(folder, tmp_path, monkeypatch, streaming):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    arguments = {"batch_size": 8, "gradient_accumulation_steps": 1, "seed": 0, "num_workers": 0, "shuffle_buffer": 16}
    arguments["group_by_length"] = False
    accelerator = SimpleNamespace(process_index=0, num_processes=1)

    def loader_of(name, steps):
        dataset = load_motion_dataset(folder / f"{name}{'-shards' if streaming else ''}", "train", streaming=streaming)
        options = SimpleNamespace(**arguments, steps_per_epoch=steps)
        return training_loader(accelerator, options, dataset, lambda rows: sum(len(row["features"]) for row in rows))

    def peak(name, epochs):
        loader = loader_of(name, ROWS // epochs // 8)
        assert sum(sum(loader) for _ in range(epochs)) == ROWS * FRAMES
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for name in ("few", "many"):
        loader_of(name, 1)  # makes the index
    # as many rows of each: the first hundreds fill the pools that numpy and pyarrow keep; a stream begins anew itself
    cases = ("few", 1 if streaming else ROWS // CLIPS), ("many", 1)
    (few,), (many,) = (in_processes(lambda case=case: peak(*case)) for case in cases)
    assert many < 1.1 * few
