# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""How long the motions of a data set are, without reading them."""

import pyarrow.compute as pc
from datasets import Dataset

BYTES_PER_NUMBER = 4  # of features that a data set holds itself


def motion_lengths(dataset: Dataset) -> list[float]:
    """The length of each row: in codes for a row of `tokenize_motions`, in frames for one of `load_motion_dataset`."""
    lengths = []
    for batch in dataset.with_format("arrow").iter(batch_size=1000):
        if "codes" in batch.column_names:
            lengths += pc.list_value_length(pc.list_element(batch["codes"], 0)).to_pylist()
            continue
        stored, start, end, speed = (
            pc.struct_field(batch["features"], name) for name in ("values", "start", "end", "speed")
        )
        frame = BYTES_PER_NUMBER * dataset.features["features"].feature_size
        frames = pc.divide(pc.cast(pc.subtract(end, start), "double"), speed)
        lengths += pc.coalesce(
            pc.divide(pc.cast(pc.binary_length(stored), "double"), float(frame)), frames
        ).to_pylist()
    return lengths


__all__ = ["motion_lengths"]
