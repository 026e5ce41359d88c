# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Data loaders whose order depends on the seed and the epoch alone, split by process without padding."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, Sampler

from .arguments import LoopArguments


class TrainingBatches(Sampler):
    """Batches of row numbers for one process: its contiguous part of each batch of all processes together.

    The order is that of one process with a batch size as large as that of all together. A last batch with fewer rows
    than processes is filled up from the beginning of the epoch's order, so that no process is left without a row.

    Args:
        num_rows: rows of the data set.
        batch_size: rows of all processes together.
        seed, epoch: what the order depends on. Set `epoch` before each epoch.
        start: batches to skip, on resuming within an epoch.
        drop_last: leave out a smaller last batch.
    """

    def __init__(
        self, num_rows: int, batch_size: int, seed: int, rank: int = 0, world: int = 1, drop_last: bool = False
    ):
        self.num_rows, self.batch_size, self.seed, self.drop_last = num_rows, batch_size, seed, drop_last
        self.rank, self.world = rank, world
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return self.num_rows // self.batch_size if self.drop_last else -(-self.num_rows // self.batch_size)

    def part(self, batch: int) -> range:
        """The places within a batch of all processes that are this process's."""
        size = min(self.batch_size, self.num_rows - batch * self.batch_size)
        size = max(size, self.world)
        return range(self.rank * size // self.world, (self.rank + 1) * size // self.world)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(self.num_rows, generator=generator).tolist()
        order += order[: self.world] * self.world  # for a last batch with fewer rows than processes
        for batch in range(self.start, len(self)):
            yield [order[batch * self.batch_size + place] for place in self.part(batch)]


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


def training_loader(
    accelerator: Accelerator, arguments: LoopArguments, dataset: Any, collator: Callable, drop_last: bool = False
) -> DataLoader:
    """A loader for `fit` of this process's part of every batch; a collator with an attribute `epoch` is told it."""
    batches = TrainingBatches(
        len(dataset),
        arguments.batch_size * accelerator.num_processes,
        arguments.seed,
        accelerator.process_index,
        accelerator.num_processes,
        drop_last,
    )
    return DataLoader(dataset, batch_sampler=batches, collate_fn=collator)


def validation_loader(
    accelerator: Accelerator, dataset: Any, collator: Callable, batch_size: int, drop_last: bool = False
) -> DataLoader:
    """A loader for `fit` of this process's share of whole batches."""
    batches = ValidationBatches(
        len(dataset), batch_size, accelerator.process_index, accelerator.num_processes, drop_last
    )
    return DataLoader(dataset, batch_sampler=batches, collate_fn=collator)


__all__ = ["TrainingBatches", "ValidationBatches", "training_loader", "validation_loader"]
