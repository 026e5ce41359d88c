# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""A folder in the HumanML3D layout to shards, which training can stream."""

import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..files import written_beside
from ..skeletons import HUMANML3D, Skeleton
from .dataset import load_motion_dataset
from .shards import SCHEMA, STATISTICS

GROUP = 100  # clips that a reader holds in memory at a time


def write_shards(
    data_dir: str | Path,
    folder: str | Path,
    splits: Sequence[str] = ("train", "val", "test"),
    skeleton: Skeleton = HUMANML3D,
    clips_per_shard: int = 1000,
    further_texts: Sequence[str] = (),
) -> Path:
    """Write the splits of a folder in the HumanML3D layout as parquet shards, and its statistics next to them.

    Args:
        data_dir: the folder, made ready by `tm2t-hf prepare`.
        folder: where to write; made if needed. `huggingface_hub.upload_folder` takes it to the Hub as it is.
        splits: names of split files; those that the folder does not have are left out.
        skeleton: what the features belong to.
        clips_per_shard: at most. Whole shards go to processes and workers, so there should be several for each.
        further_texts: sub-folders with further captions, as for `load_motion_dataset`.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: there is no such data folder, it has none of the splits, or lacks a file.
    """
    data_dir, folder = Path(data_dir), Path(folder)
    if not data_dir.is_dir():
        raise FileNotFoundError(f"There is no data folder {data_dir}.")
    splits = [split for split in splits if (data_dir / f"{split}.txt").is_file()]
    if not splits:
        raise FileNotFoundError(f"{data_dir} has no split file, so there is nothing to write shards of.")
    folder.mkdir(parents=True, exist_ok=True)
    for split in splits:
        dataset = load_motion_dataset(
            data_dir, split, skeleton, min_frames=1, max_frames=10**9, further_texts=further_texts
        )
        for number, start in enumerate(range(0, len(dataset), clips_per_shard)):
            end = min(start + clips_per_shard, len(dataset))
            with (
                written_beside(folder / f"{split}-{number:05d}.parquet") as part,
                pq.ParquetWriter(part, SCHEMA) as writer,
            ):
                for first in range(start, end, GROUP):
                    rows = [_shard_row(dataset[place]) for place in range(first, min(first + GROUP, end))]
                    writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    for name in STATISTICS:
        if (data_dir / name).is_file():
            shutil.copyfile(data_dir / name, folder / name)
    return folder


def _shard_row(row: dict) -> dict:
    content = io.BytesIO()
    np.save(content, row["features"], allow_pickle=False)
    return row | {"features": content.getvalue()}


__all__ = ["write_shards"]
