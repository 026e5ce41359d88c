# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Batches from a stream of rows: shuffled by a buffer, shared by processes and workers, resumed at any batch."""

from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from datasets import IterableDataset
from datasets.distributed import split_dataset_by_node
from torch.utils.data import DataLoader, get_worker_info

from ..data.motion_column import MotionColumn
from .script import ignore_stop_signals


class StreamedBatches:
    """What `TrainingBatches` is for a data set, for a stream: an epoch is a number of full batches.

    Each process and each of its workers reads files of its own, in an order of their own that depends on the seed and
    the epoch, and begins them anew when they come to an end. So the rows depend on the number of processes and of
    workers, unlike those of a data set.

    Args:
        steps: batches per epoch.
        batch_size: rows of all processes together.
        seed, epoch: what the order depends on. Set `epoch` before each epoch.
        start: batches to skip, on resuming within an epoch.
        accumulated: parts of a process's part of a batch.
    """

    num_rows = 0  # nobody knows

    def __init__(self, steps: int, batch_size: int, seed: int, rank: int = 0, world: int = 1, accumulated: int = 1):
        self.steps, self.batch_size, self.seed, self.accumulated = steps, batch_size, seed, accumulated
        self.rank, self.world = rank, world
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return self.steps

    @property
    def part_size(self) -> int:
        """Rows of each part."""
        return self.batch_size // self.world // self.accumulated

    def parts(self, batch: int) -> list[range]:
        """The places within a batch of all processes that are this process's, by part."""
        first = self.rank * self.batch_size // self.world
        starts = [first + part * self.part_size for part in range(self.accumulated)]
        return [range(start, start + self.part_size) for start in starts]


class StreamedRows(torch.utils.data.IterableDataset):
    """The parts of an epoch's batches, each a list of rows.

    Part n is the worker n % workers's. The first worker always comes first, so on resuming those before the first part
    to come give None in its place.
    """

    def __init__(self, stream: IterableDataset, batches: StreamedBatches, buffer_size: int):
        self.batches, self.buffer_size = batches, buffer_size
        self.column: MotionColumn = stream.features["features"]
        # motions are read when a row is used, and not when it is skipped or waits in the buffer
        raw = MotionColumn(self.column.skeleton, self.column.bodies, self.column.offsets, decode=False)
        self.stream = stream.cast_column("features", raw)

    def __iter__(self) -> Iterator[list[dict] | None]:
        batches, info = self.batches, get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        done = batches.start * batches.accumulated
        rounds = done // workers
        rows = islice(self._endless(), rounds * batches.part_size, None)
        for part in range(rounds * workers + worker, len(batches) * batches.accumulated, workers):
            chunk = list(islice(rows, batches.part_size))
            if part < done:
                yield None
            else:
                yield [row | {"features": self.column.decode_example(row["features"])} for row in chunk]

    def _endless(self) -> Iterator[dict]:
        for turn in count():
            key = (self.batches.seed, self.batches.epoch, turn)
            seed = int(np.random.SeedSequence(key).generate_state(1)[0])
            row = None
            for row in self.stream.shuffle(seed=seed, buffer_size=self.buffer_size):
                yield row
            if row is None:
                raise ValueError("A file of the stream has no clip of the lengths asked for; check --min_frames.")


class StreamLoader:
    """A loader for `fit` of this process's parts of every batch of a stream."""

    def __init__(self, rows: StreamedRows, collator: Callable, num_workers: int):
        self.batches, self.collate_fn = rows.batches, collator
        workers = {"num_workers": num_workers, "worker_init_fn": ignore_stop_signals}
        self.loader = DataLoader(rows, batch_size=None, collate_fn=self._collate, **workers)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        # drawn from at once, as by a `DataLoader`: `fit` restores the random generators after this call
        return filter(lambda batch: batch is not None, iter(self.loader))

    def _collate(self, rows: list[dict] | None) -> Any:
        return None if rows is None else self.collate_fn(rows)


def stream_loader(accelerator: Any, arguments: Any, stream: IterableDataset, collator: Callable) -> StreamLoader:
    """A loader for `fit`, as `training_loader` gives it, of a stream.

    Raises:
        ValueError: the epoch has no length, or there are fewer files than workers.
    """
    if arguments.steps_per_epoch < 1:
        raise ValueError("--streaming needs --steps_per_epoch: a stream does not know how long it is.")
    rank, world = accelerator.process_index, accelerator.num_processes
    accumulated = arguments.gradient_accumulation_steps
    size = arguments.batch_size * accumulated * world
    batches = StreamedBatches(arguments.steps_per_epoch, size, arguments.seed, rank, world, accumulated)
    if world > 1:
        stream = split_dataset_by_node(stream, rank, world)
    if arguments.num_workers > stream.num_shards:
        raise ValueError(
            f"--num_workers {arguments.num_workers} is more than the {stream.num_shards} files of the stream that a "
            "process has; take fewer workers, or write more shards."
        )
    return StreamLoader(StreamedRows(stream, batches, arguments.shuffle_buffer), collator, arguments.num_workers)


__all__ = ["StreamLoader", "StreamedBatches", "StreamedRows", "stream_loader"]
