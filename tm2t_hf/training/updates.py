# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Updates of the weights: the optimizer, what makes them cheaper, and batches that are larger than the memory."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from math import isfinite

import torch
from accelerate import Accelerator

from .arguments import LoopArguments
from .checkpoints import TrainingError
from .losses import Loss, Means, counts_over_processes, minimized, sums_over_processes

logger = logging.getLogger(__name__)


def make_optimizer(
    arguments: LoopArguments, model: torch.nn.Module, learning_rates: dict[str, float]
) -> torch.optim.AdamW:
    """AdamW over what is not frozen.

    Args:
        arguments: of the script.
        model: has the parameters.
        learning_rates: of parameters whose names begin with these keys, in place of `arguments.learning_rate`.
    """
    parameters = parameter_groups(model, learning_rates)
    options = {"lr": arguments.learning_rate, "weight_decay": arguments.weight_decay}
    if arguments.fused_optimizer:
        try:
            return torch.optim.AdamW(parameters, **options, fused=True)
        except RuntimeError as error:
            logger.info(f"There is no fused AdamW here ({error}): the plain one gives the same.")
    return torch.optim.AdamW(parameters, **options)


def parameter_groups(model: torch.nn.Module, learning_rates: dict[str, float]) -> list[dict]:
    """The trainable parameters as groups of an optimizer: those without a learning rate of their own come first."""
    groups = [{"params": []}, *({"params": [], "lr": rate} for rate in learning_rates.values())]
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            own = [place for place, prefix in enumerate(learning_rates, start=1) if name.startswith(prefix)]
            groups[own[0] if own else 0]["params"].append(parameter)
    return [group for group in groups if group["params"]]


def make_cheaper(arguments: LoopArguments, model: torch.nn.Module) -> None:
    """Act on `--gradient_checkpointing` and `--compile`; neither changes the model's weights or their names.

    Raises:
        ValueError: the model has no layers whose activations could be computed again.
    """
    if arguments.gradient_checkpointing:
        if not getattr(model, "supports_gradient_checkpointing", False):
            raise ValueError(
                f"{type(model).__name__} has no gradient checkpointing, only transformers have; leave out "
                "--gradient_checkpointing."
            )
        model.gradient_checkpointing_enable()
    if arguments.compile:
        # batches have different lengths, for each of which a static graph would be compiled again
        model.compile(dynamic=True)


def update(
    accelerator: Accelerator,
    arguments: LoopArguments,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    parts: list[Iterator[dict[str, Loss | None]]],
    counts: list[dict],
    means: Means,
    not_finite: Callable[[str, float], TrainingError],
) -> None:
    """All steps of the optimizer that a batch is worth, each along the gradient over the whole batch.

    Args:
        accelerator: that `model` and `optimizer` were prepared by.
        arguments: of the script.
        model: computes the losses.
        optimizer: of the model.
        parts: of the batch: each yields its losses for the first step, then for the second, ...
        counts: what the losses of each part average over, by name; needed where there are several.
        means: which the losses are added to.
        not_finite: makes the error from the name of a loss and its value.

    Raises:
        ValueError: there are several parts, and `counts` does not give what a loss averages over.
    """
    of_batch = counts_over_processes(accelerator, counts) if len(parts) > 1 else None
    while True:
        for number, part in enumerate(parts, 1):
            with part_of_a_batch(accelerator, model) if number < len(parts) else nullcontext():
                losses = next(part, None)
                if losses is None:
                    return
                losses = {name: loss for name, loss in losses.items() if loss is not None}
                sums = sums_over_processes(accelerator, losses)
                for name, (total, _) in zip(losses, sums, strict=True):
                    if losses[name].weight and not isfinite(total):
                        raise not_finite(name, total)
                of_all = of_batch
                if of_batch is None and accelerator.num_processes > 1:
                    of_all = {name: count for name, (_, count) in zip(losses, sums, strict=True)}
                accelerator.backward(minimized(accelerator, losses, of_all))
            means.add(losses, sums)
        if arguments.max_grad_norm:
            accelerator.clip_grad_norm_(model.parameters(), arguments.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()


@contextmanager
def part_of_a_batch(accelerator: Accelerator, model: torch.nn.Module) -> Iterator[None]:
    """Within the context gradients stay on their process and moving averages stand still: more of the batch comes."""
    averaging = [module for module in model.modules() if hasattr(module, "accumulating")]
    for module in averaging:
        module.accumulating = True
    try:
        with accelerator.no_sync(model):
            yield
    finally:
        for module in averaging:
            module.accumulating = False


__all__ = ["make_cheaper", "make_optimizer", "parameter_groups", "update"]
