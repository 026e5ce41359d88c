# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Losses that know what they average over, so that several processes count as one with the whole batch."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from ..motion import features_to_joints
from ..skeletons import Skeleton


@dataclass
class Loss:
    """One named loss, as this process computed it from its part of a batch.

    Args:
        value: a scalar: the mean, or the sum, over `count` items.
        count: the items: tokens, frames or clips.
        weight: of this loss in the one that is minimized; 0 only reports it.
        reduction: whether `value` is a mean or a sum. An update by a sum minimizes the sum over the whole batch; what
            is reported is a mean in both cases.
    """

    value: Tensor
    count: Tensor | int = 1
    weight: float = 1.0
    reduction: Literal["mean", "sum"] = "mean"

    @property
    def total(self) -> float:
        """The sum over the items; 0 where there are none, whatever a mean over nothing gave."""
        count = float(self.count)
        return 0.0 if count == 0 else float(self.value.detach()) * (count if self.reduction == "mean" else 1.0)


class Means:
    """Means of named losses over many batches and all processes, each weighted by what it averages over."""

    def __init__(self, sums: dict[str, list[float]] | None = None):
        # name -> total, count, weight; plain numbers, so that JSON holds them
        self.sums = {} if sums is None else sums

    def add(self, losses: dict[str, Loss], sums: list[list[float]]) -> None:
        """Count named losses, whose totals and counts over all processes are given in the same order."""
        for (name, loss), (total, count) in zip(losses.items(), sums, strict=True):
            before = self.sums.get(name, [0.0, 0.0, loss.weight])
            self.sums[name] = [before[0] + total, before[1] + count, loss.weight]

    def values(self) -> dict[str, float]:
        """Name -> mean, first the weighted sum of them all as "loss"."""
        means = {name: total / max(count, 1e-12) for name, (total, count, _) in self.sums.items()}
        if not means:
            return {}
        minimized = [(mean, self.sums[name][2]) for name, mean in means.items() if self.sums[name][2]]
        return {"loss": sum(mean * weight for mean, weight in minimized)} | {
            name: mean for name, mean in means.items() if name != "loss"
        }

    def gathered(self) -> "Means":
        """The means over the processes, each of which has counted other batches, or none at all."""
        sums: dict[str, list[float]] = {}
        for part in gather_object([self.sums]):
            for name, (total, count, weight) in part.items():
                before = sums.get(name, [0.0, 0.0, weight])
                sums[name] = [before[0] + total, before[1] + count, weight]
        return Means(sums)


def counts_over_processes(accelerator: Accelerator, counts: list[dict[str, Any]]) -> dict[str, float]:
    """The sums of counts by name over the parts of a batch, and over all processes."""
    names = list(counts[0])
    own = [sum(float(part[name]) for part in counts) for name in names]
    if accelerator.num_processes > 1:
        own = accelerator.reduce(torch.tensor(own, dtype=torch.float64, device=accelerator.device), "sum").tolist()
    return dict(zip(names, own, strict=True))


def sums_over_processes(accelerator: Accelerator, losses: dict[str, Loss]) -> list[list[float]]:
    """[total, count] of each loss, over all processes."""
    own = [[loss.total, float(loss.count)] for loss in losses.values()]
    if accelerator.num_processes == 1:
        return own
    return accelerator.reduce(torch.tensor(own, dtype=torch.float64, device=accelerator.device), "sum").tolist()


def minimized(accelerator: Accelerator, losses: dict[str, Loss], counts: dict[str, float] | None) -> Tensor:
    """What this process calls `backward()` on, so that gradients are those of the whole batch.

    Args:
        accelerator: averages gradients over the processes.
        losses: of this process's part of the batch, or of one of its parts.
        counts: what each loss averages over in the whole batch; None if this is the whole batch.

    Raises:
        ValueError: no loss has a weight, or one that is part of a batch has no count.
    """
    result = None
    for name, loss in losses.items():
        if not loss.weight:
            continue
        value = loss.value if loss.weight == 1 else loss.weight * loss.value
        if counts is not None:
            if name not in counts:
                raise ValueError(
                    f"--gradient_accumulation_steps needs to know beforehand what {name} averages over, but `counts` "
                    "of `fit` does not give it."
                )
            if float(loss.count) == 0:
                value = value.nan_to_num() * 0.0
            share = 1.0 if loss.reduction == "sum" else float(loss.count) / max(counts[name], 1e-12)
            value = value * (accelerator.num_processes * share)
        result = value if result is None else result + value
    if result is None:
        raise ValueError("An update needs at least one loss whose weight is not 0.")
    return result


def gather_rows(accelerator: Accelerator, rows: Tensor) -> Tensor:
    """The rows (n, ...) of all processes, in their order: (sum of all n, ...), with the gradient of one's own."""
    if accelerator.num_processes == 1:
        return rows
    counts = accelerator.gather(torch.tensor([len(rows)], device=rows.device)).tolist()
    padding = rows.new_zeros((max(counts) - len(rows), *rows.shape[1:]))
    padded = torch.cat([rows, padding])
    if rows.requires_grad:
        parts = torch.distributed.nn.functional.all_gather(padded)
    else:
        parts = accelerator.gather(padded).split(max(counts))
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def foot_sliding(features: Tensor, target: Tensor, mask: Tensor, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """How far feet move over the ground while those of the real motion stand on it.

    Args:
        features: of the motion to judge, (batch, frames, features), not normalized.
        target: of the real motion, likewise; its foot contacts count.
        mask: (batch, frames) bool, True on real frames.
        skeleton: what the features belong to.

    Returns:
        The mean speed of feet in contact, in meters per second, a scalar; and the number of contacts.
    """
    feet = list(skeleton.left_foot + skeleton.right_foot)
    joints = features_to_joints(features, skeleton.num_joints)
    steps = joints[:, :, feet][..., [0, 2]].diff(dim=1)  # (batch, frames - 1, feet, 2)
    contacts = (target[:, :-1, -4:] > 0.5) & mask[:, 1:, None]  # (batch, frames - 1, feet)
    # the square root of a sum of squares has no gradient at 0
    speeds = (steps.square().sum(-1) + 1e-8).sqrt() * (skeleton.fps * skeleton.metres_per_unit)
    count = contacts.sum()
    return (speeds * contacts).sum() / count.clamp(min=1), count


__all__ = ["Loss", "Means", "counts_over_processes", "foot_sliding", "gather_rows", "minimized", "sums_over_processes"]
