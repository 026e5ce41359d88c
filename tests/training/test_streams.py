# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Batches of a stream: whole, shuffled, endless, shared, and the same again from any batch on."""

from types import SimpleNamespace

import datasets
import numpy as np
import pytest

from tm2t_hf.data import load_motion_dataset
from tm2t_hf.data.shards import SCHEMA
from tm2t_hf.training import training_loader


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six shards of seven rows, which are numbered by their first value."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("shards")
    for shard in range(6):
        rows = []
        for number in range(shard * 7, shard * 7 + 7):
            content = io.BytesIO()
            np.save(content, np.full((20, 263), number, dtype=np.float32))
            texts = {name: [f"{name} {number}"] for name in ("captions", "tokens", "sources")}
            rows.append({"id": str(number), "features": content.getvalue(), **texts})
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / f"train-{shard}.parquet")
    return folder


def batches(folder, epoch=0, start=0, rank=0, world=1, **options):
    options = {"steps_per_epoch": 6, "batch_size": 5, "seed": 3, "shuffle_buffer": 8, "num_workers": 0} | options
    options = {"gradient_accumulation_steps": 1, "group_by_length": False} | options
    accelerator = SimpleNamespace(process_index=rank, num_processes=world)
    stream = load_motion_dataset(folder, "train", streaming=True)

    def collator(rows):
        assert all(row["features"].shape == (20, 263) and row["captions"] == [f"captions {row['id']}"] for row in rows)
        return [int(row["features"][0, 0]) for row in rows]

    loader = training_loader(accelerator, SimpleNamespace(**options), stream, collator)
    loader.batches.epoch, loader.batches.start = epoch, start
    return list(loader), loader


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_epochs_are_shuffled_and_begin_anew_where_the_stream_ends(folder):
    parts, loader = batches(folder, steps_per_epoch=10)
    assert len(loader) == len(parts) == 10 and {len(part) for part in parts} == {5}
    rows = sum(parts, [])
    assert sorted(rows[:42]) == list(range(42)) and rows[:42] != list(range(42))
    assert rows[42:] != rows[:8], "in another order each time"
    assert sum(batches(folder, epoch=1, steps_per_epoch=10)[0], []) != rows
    assert sum(batches(folder, steps_per_epoch=10)[0], []) == rows


@pytest.mark.parametrize(("workers", "accumulated"), [(0, 1), (2, 1), (3, 2)])
def test_resuming_at_any_batch(folder, workers, accumulated):
    options = {"num_workers": workers, "gradient_accumulation_steps": accumulated, "steps_per_epoch": 4}
    straight, _ = batches(folder, **options)
    assert len(straight) == 4 * accumulated
    for start in (1, 3):
        assert batches(folder, start=start, **options)[0] == straight[start * accumulated :]


def test_processes_read_different_files(folder):
    parts = [batches(folder, rank=rank, world=2, batch_size=3, steps_per_epoch=7) for rank in range(2)]
    rows = [sum(part, []) for part, _ in parts]
    assert sorted(rows[0] + rows[1]) == list(range(42))
    places = [[place for part in loader.batches.parts(0) for place in part] for _, loader in parts]
    assert places == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps_per_epoch": 0}, "--streaming needs --steps_per_epoch"),
        ({"num_workers": 7}, "--num_workers 7 is more than the 6 files of the stream"),
        ({"group_by_length": True}, "--group_by_length needs to know all lengths: leave it or --streaming out"),
    ],
)
def test_what_a_stream_needs(folder, options, message):
    with pytest.raises(ValueError, match=message):
        batches(folder, **options)
