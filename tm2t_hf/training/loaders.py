# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Data loaders whose order depends on the seed and the epoch alone, split by process without padding."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from accelerate import Accelerator
from datasets import IterableDataset
from torch.utils.data import DataLoader, Sampler

from ..data.lengths import motion_lengths
from .arguments import LoopArguments
from .script import ignore_stop_signals
from .streams import StreamLoader, stream_loader

BATCHES_PER_POOL = 32  # that are sorted by length together


class TrainingBatches(Sampler):
    """Lists of row numbers for one process: its contiguous part of each batch of all processes together, in parts.

    A batch is what one update learns from. The order is that of one process with a batch size as large as that of all
    together. A last batch with fewer rows than processes is filled up from the beginning of the epoch's order, so that
    no process is left without a row.

    Args:
        num_rows: rows of the data set.
        batch_size: rows of an update, of all processes together.
        seed, epoch: what the order depends on. Set `epoch` before each epoch.
        start: batches to skip, on resuming within an epoch.
        drop_last: leave out a smaller last batch.
        accumulated: into how many parts a process divides its part of a batch, as it has no memory for more at once;
            fewer where there are not as many rows.
        lengths: of the rows. Where they are given, the rows of a batch have similar lengths, so that little of it is
            padding: see `grouped_by_length`.
    """

    def __init__(
        self,
        num_rows: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        drop_last: bool = False,
        accumulated: int = 1,
        lengths: Sequence[float] | None = None,
    ):
        self.lengths = lengths
        self.num_rows, self.batch_size, self.seed, self.drop_last = num_rows, batch_size, seed, drop_last
        self.rank, self.world, self.accumulated = rank, world, accumulated
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return self.num_rows // self.batch_size if self.drop_last else -(-self.num_rows // self.batch_size)

    def parts(self, batch: int) -> list[range]:
        """The places within a batch of all processes that are this process's, by part; as many on each process."""
        size = min(self.batch_size, self.num_rows - batch * self.batch_size)
        size = max(size, self.world)
        number = min(self.accumulated, size // self.world)
        first, end = (rank * size // self.world for rank in (self.rank, self.rank + 1))
        bounds = [first + part * (end - first) // number for part in range(number + 1)]
        return [range(*pair) for pair in pairwise(bounds)]

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(self.num_rows, generator=generator).tolist()
        if self.lengths is not None:
            order = grouped_by_length(order, self.lengths, self.batch_size, generator)
        order += order[: self.world] * self.world  # for a last batch with fewer rows than processes
        for batch in range(self.start, len(self)):
            for part in self.parts(batch):
                yield [order[batch * self.batch_size + place] for place in part]


def grouped_by_length(
    order: list[int], lengths: Sequence[float], batch_size: int, generator: torch.Generator
) -> list[int]:
    """A random order of rows in which batches have rows of similar lengths, and come in a random order themselves.

    The rows of `BATCHES_PER_POOL` batches that follow each other are sorted by length and cut into batches, so that
    a row is in another company in each epoch. A last batch with fewer rows stays last, of any length.
    """
    whole = len(order) // batch_size * batch_size
    batches = []
    for start in range(0, whole, batch_size * BATCHES_PER_POOL):
        pool = sorted(order[start : min(start + batch_size * BATCHES_PER_POOL, whole)], key=lengths.__getitem__)
        batches += [pool[first : first + batch_size] for first in range(0, len(pool), batch_size)]
    shuffled = torch.randperm(len(batches), generator=generator).tolist()
    return [row for batch in shuffled for row in batches[batch]] + order[whole:]


class ValidationBatches(Sampler):
    """Whole batches of row numbers in the order of the data set, process by process in turn; none is counted twice."""

    def __init__(self, num_rows: int, batch_size: int, rank: int = 0, world: int = 1, drop_last: bool = False):
        self.batches = [range(i, min(i + batch_size, num_rows)) for i in range(0, num_rows, batch_size)]
        if drop_last and self.batches and len(self.batches[-1]) < batch_size:
            self.batches.pop()
        self.batches = self.batches[rank::world]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        yield from map(list, self.batches)


class RowLoader(DataLoader):
    """A loader for `fit` of this process's parts of every batch of a data set."""

    @property
    def batches(self) -> TrainingBatches:
        """Which rows are in which batch."""
        return self.batch_sampler


def training_loader(
    accelerator: Accelerator, arguments: LoopArguments, dataset: Any, collator: Callable, drop_last: bool = False
) -> RowLoader | StreamLoader:
    """A loader for `fit` of this process's part of every batch; a collator with an attribute `epoch` is told it.

    Args:
        accelerator: from `start`.
        arguments: of the script.
        dataset: rows by number, or a stream of rows.
        collator: makes a batch of a list of rows.
        drop_last: leave out a smaller last batch; a stream has none.

    Raises:
        ValueError: lengths are needed, but the rows come in a stream.
    """
    if isinstance(dataset, IterableDataset):
        if arguments.group_by_length:
            raise ValueError("--group_by_length needs to know all lengths: leave it or --streaming out.")
        return stream_loader(accelerator, arguments, dataset, collator)
    batches = TrainingBatches(
        len(dataset),
        arguments.batch_size * arguments.gradient_accumulation_steps * accelerator.num_processes,
        arguments.seed,
        accelerator.process_index,
        accelerator.num_processes,
        drop_last,
        arguments.gradient_accumulation_steps,
        motion_lengths(dataset) if arguments.group_by_length else None,
    )
    workers = {"num_workers": arguments.num_workers, "worker_init_fn": ignore_stop_signals}
    return RowLoader(dataset, batch_sampler=batches, collate_fn=collator, **workers)


def validation_loader(
    accelerator: Accelerator,
    arguments: LoopArguments,
    dataset: Any,
    collator: Callable,
    batch_size: int | None = None,
    drop_last: bool = False,
) -> DataLoader:
    """A loader for `fit` of this process's share of whole batches, of the arguments' size by default."""
    batch_size = batch_size or arguments.batch_size
    batches = ValidationBatches(
        len(dataset), batch_size, accelerator.process_index, accelerator.num_processes, drop_last
    )
    workers = {"num_workers": arguments.num_workers, "worker_init_fn": ignore_stop_signals}
    return DataLoader(dataset, batch_sampler=batches, collate_fn=collator, **workers)


__all__ = ["TrainingBatches", "ValidationBatches", "training_loader", "validation_loader"]
