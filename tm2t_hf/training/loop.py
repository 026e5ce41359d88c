# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""One epoch loop for all training scripts: updates, validation, the best and the last checkpoint."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import set_seed
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import get_scheduler
from transformers.utils.logging import disable_progress_bar

from .arguments import LoopArguments
from .checkpoints import LoopState, save_checkpoint

logger = logging.getLogger(__name__)


def start(arguments: LoopArguments) -> Accelerator:
    """Seeds everything and gives the Accelerator whose data order a resumed run repeats."""
    accelerator = Accelerator(
        mixed_precision=arguments.mixed_precision,
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True, data_seed=arguments.seed),
        # the scripts give the schedule in updates of all processes together
        step_scheduler_with_optimizer=False,
    )
    level = logging.INFO if accelerator.is_local_main_process else logging.ERROR
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "accelerate"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # of every checkpoint: a line a file, a warning of tied weights, and a bar
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    disable_progress_bar()
    set_seed(arguments.seed)
    return accelerator


def fit(
    accelerator: Accelerator,
    arguments: LoopArguments,
    model: torch.nn.Module,
    train_loader: DataLoader,
    val_loader: DataLoader,
    training_losses: Callable[[torch.nn.Module, dict, int], Iterator[dict[str, torch.Tensor]]],
    validation_losses: Callable[[torch.nn.Module, dict], dict[str, torch.Tensor]],
    save: Callable[[torch.nn.Module, Path, dict], None],
):
    """
    Trains `model` and keeps the best and the last of it.

    Args:
        model: not yet prepared by the accelerator.
        train_loader, val_loader: not yet prepared; a collator with an attribute `epoch` is told the epoch.
        training_losses: `(model, batch, epoch)` yields the named losses of each update that a batch is worth (one, but
            for a second optimizer step on the same batch); `"loss"` is what the update minimises.
        validation_losses: `(model, batch)` to named losses, in eval mode without gradients; the model with the lowest
            mean `"loss"` is the best.
        save: `(model, folder, scores)` writes everything a user of the model needs into an empty folder.
    """
    output_dir = Path(arguments.output_dir)
    optimizer = torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=arguments.learning_rate,
        weight_decay=arguments.weight_decay,
    )
    collator = train_loader.collate_fn
    model, optimizer, train_loader, val_loader = accelerator.prepare(model, optimizer, train_loader, val_loader)
    scheduler = accelerator.prepare(
        get_scheduler(
            arguments.lr_schedule,
            optimizer,
            num_warmup_steps=arguments.warmup_steps,
            num_training_steps=arguments.epochs * len(train_loader),
        )
    )
    state = LoopState()
    accelerator.register_for_checkpointing(state)
    if arguments.resume:
        if not (output_dir / "last" / "state").is_dir():
            raise FileNotFoundError(f"There is nothing to resume in {output_dir / 'last'}; leave out --resume.")
        accelerator.load_state(output_dir / "last" / "state")
        logger.info("Going on after epoch %d.", state.epoch)

    for epoch in range(state.epoch, arguments.epochs):
        collator.epoch = epoch
        train_loader.set_epoch(epoch)
        model.train()
        means = RunningMeans()
        bar = tqdm(
            train_loader,
            desc=f"epoch {epoch + 1}/{arguments.epochs}",
            disable=not accelerator.is_local_main_process,
            mininterval=1.0,
        )
        for batch in bar:
            for losses in training_losses(model, batch, epoch):
                accelerator.backward(losses["loss"])
                if arguments.max_grad_norm:
                    accelerator.clip_grad_norm_(model.parameters(), arguments.max_grad_norm)
                optimizer.step()
                optimizer.zero_grad()
                means.add(losses)
            scheduler.step()
            bar.set_postfix({name: f"{value:.4g}" for name, value in means.values().items()}, refresh=False)

        last_epoch = epoch + 1 == arguments.epochs
        if (epoch + 1) % arguments.validate_every and not last_epoch:
            continue
        scores = mean_losses(accelerator, model, val_loader, validation_losses)
        logger.info("epoch %d: train %s | validation %s", epoch + 1, _formatted(means.values()), _formatted(scores))
        state.epoch = epoch + 1
        is_best = scores["loss"] < state.best
        state.best = min(state.best, scores["loss"])
        save_checkpoint(accelerator, model, output_dir, scores | {"epoch": epoch + 1}, save, is_best)


@torch.no_grad()
def mean_losses(accelerator: Accelerator, model, loader, compute: Callable) -> dict[str, float]:
    """Mean of each named loss over a loader and all processes, in eval mode, batches weighed by their size."""
    was_training = model.training
    model.eval()
    totals, count = {}, 0
    for batch in loader:
        size = len(next(iter(batch.values())))
        for name, value in compute(model, batch).items():
            totals[name] = totals.get(name, 0.0) + float(value) * size
        count += size
    model.train(was_training)
    names = sorted(totals)
    # float32: not every device has float64
    sums = torch.tensor([totals[name] for name in names] + [count], dtype=torch.float32, device=accelerator.device)
    sums = accelerator.reduce(sums, reduction="sum").tolist()
    return {name: value / sums[-1] for name, value in zip(names, sums, strict=False)}


class RunningMeans:
    """Means of named losses over an epoch."""

    def __init__(self):
        self.sums, self.counts = {}, {}

    def add(self, losses: dict[str, torch.Tensor]):
        for name, value in losses.items():
            if value is not None:
                self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())
                self.counts[name] = self.counts.get(name, 0) + 1

    def values(self) -> dict[str, float]:
        return {name: total / self.counts[name] for name, total in self.sums.items()}


def _formatted(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
