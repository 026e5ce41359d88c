# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""One epoch loop for all training scripts: updates, validation, the best and the last checkpoint."""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import get_scheduler

from .arguments import LoopArguments
from .checkpoints import (
    Parts,
    Progress,
    TrainingError,
    check_same_processor,
    check_same_training,
    check_sums,
    find_checkpoint,
    load_parts,
    load_progress,
    restore_random_states,
    save_checkpoint,
    set_random_states,
    what_is_kept,
)
from .fsdp import ShardedStates, WholeModel, gathered, shard_model
from .losses import Loss, Means
from .reports import Reports, Sample
from .script import StopSignals, on_main_process
from .updates import make_cheaper, make_optimizer, update

logger = logging.getLogger(__name__)


class Moment(NamedTuple):
    """When and where a batch is: draws that depend on nothing else are the same on any number of processes.

    Args:
        epoch, step: the epoch, and the batch within it.
        rows: the places of this process's rows, or of a part of them, within the batch of all processes.
    """

    epoch: int
    step: int
    rows: range

    def uniform(self, seed: int, width: int, kind: int = 0) -> torch.Tensor:
        """Numbers from 0 to 1, (rows, width): for each row its own, which do not depend on the width."""
        keys = [(seed, self.epoch, self.step, row, kind) for row in self.rows]
        return torch.tensor(np.array([np.random.default_rng(key).random(width, dtype=np.float32) for key in keys]))


def fit(
    accelerator: Accelerator,
    arguments: LoopArguments,
    model: torch.nn.Module,
    train_loader: DataLoader,
    val_loader: DataLoader,
    training_losses: Callable[[torch.nn.Module, dict, Moment], Iterator[dict[str, Loss]]],
    validation_losses: Callable[[torch.nn.Module, dict], dict[str, Loss]],
    save: Callable[[torch.nn.Module, Path, dict], None],
    extra: dict[str, Any] | None = None,
    counts: Callable[[dict], dict[str, Any]] | None = None,
    learning_rates: dict[str, float] | None = None,
    samples: Callable[[torch.nn.Module], Iterable[Sample]] | None = None,
    processor: Any = None,
    finish: Callable[[Path], None] | None = None,
) -> None:
    """Train `model` and keep the best and the last of it.

    On SIGTERM or a first SIGINT the run writes a checkpoint after the batch in hand and exits with 143 or 130.

    Args:
        accelerator: from `start`.
        arguments: of the script.
        model: not yet prepared by the accelerator.
        train_loader: from `training_loader`.
        val_loader: from `validation_loader`.
        training_losses: `(model, batch, moment)` yields the named losses of each update that a batch is worth (one,
            except where a second optimizer step is made on the same batch). What is minimized is their weighted sum,
            which is reported as "loss".
        validation_losses: `(model, batch)` to named losses, in eval mode without gradients; the model with the lowest
            "loss" is the best. It gets the model itself, not a wrapped one, as processes may have different numbers of
            batches.
        save: `(model, folder, scores)` writes everything a user of the model needs into a folder.
        extra: what else has a state to resume, by name: anything with `state_dict` and `load_state_dict`.
        counts: `(batch)` gives, by the names of the losses, what they will average over; accumulating gradients needs
            it, to weigh the losses of a part of a batch before those of the other parts are known.
        learning_rates: peak learning rates of parameters whose names begin with these keys, in place of
            `arguments.learning_rate`.
        samples: `(model)` gives samples of what the model makes, for `--report_to`.
        processor: what `save` saves with the model and its inputs are made by; a resumed run must have the same.
        finish: `(folder)` adds to the best model what is found out at the end, before it is uploaded. It is called on
            the main process, and again when a run that came to its end is resumed.

    Raises:
        TrainingError: losses or weights become NaN or infinite, or a checkpoint cannot be written.
        FileNotFoundError, ValueError: there is nothing to resume, or it belongs to another training.
    """
    batches = train_loader.batches
    whole = None
    if arguments.fsdp:
        whole = WholeModel(model)
        shard_model(accelerator, model)
    make_cheaper(arguments, model)
    optimizer = make_optimizer(arguments, model, learning_rates or {})
    scheduler = get_scheduler(
        arguments.lr_schedule,
        optimizer,
        num_warmup_steps=arguments.warmup_steps,
        num_training_steps=arguments.epochs * len(batches),
    )
    bare = model
    if arguments.fsdp:
        # which is mixed precision alone: the gradients of a sharded model are averaged already
        model, optimizer = accelerator.prepare_model(model, evaluation_mode=True), accelerator.prepare(optimizer)
        learned = {"sharded": ShardedStates(bare, optimizer.optimizer)}
    else:
        model, optimizer = accelerator.prepare(model, optimizer)
        learned = {"model": bare, "optimizer": optimizer}
    scaler = {"scaler": accelerator.scaler} if accelerator.scaler is not None else {}
    parts = Parts(accelerator, bare, learned | {"scheduler": scheduler} | scaler | (extra or {}), whole)
    progress = Progress(num_rows=batches.num_rows, global_batch_size=batches.batch_size)
    states = None
    if arguments.resume_from_checkpoint:
        progress, states = resume(parts, arguments, progress, processor)

    with StopSignals() as signals, Reports(accelerator, arguments, samples) as reports:

        def checkpoint(scores: dict, is_best: bool = False):
            scores = scores | {"epoch": round(progress.epoch + progress.step / len(batches), 3)}
            save_checkpoint(parts, progress, arguments, save, scores, is_best)
            if accelerator.uploads is not None and is_best:
                accelerator.uploads.upload_in_background(f"Epoch {progress.epoch}")

        def stop_if_asked(saved: bool):
            signal = max_over_processes(accelerator, signals.received)
            if signal:
                if not saved:
                    checkpoint({})
                logger.info("Stopped by a signal; go on with --resume_from_checkpoint latest.")
                sys.exit(128 + signal)

        for epoch in range(progress.epoch, arguments.epochs):
            if 0 < arguments.early_stopping_patience <= progress.worse:
                logger.info("Stopped early: no better validation loss in the last %d.", progress.worse)
                break
            train_loader.collate_fn.epoch = batches.epoch = epoch
            batches.start = progress.step
            model.train()
            means = Means(progress.sums)
            loader = iter(train_loader)  # draws from the global random generator, which hence is restored after it
            if progress.step:
                set_random_states(states)
            with progress_bar(accelerator, arguments, epoch, progress.step, len(batches)) as bar:
                for step in range(progress.step, len(batches)):
                    rows = batches.parts(step)
                    batch = [send_to_device(part, accelerator.device) for part in islice(loader, len(rows))]
                    moments = [Moment(epoch, step, places) for places in rows]
                    losses = [training_losses(model, *each) for each in zip(batch, moments, strict=True)]
                    not_finite = partial(_not_finite, f"{epoch + 1}, batch {step + 1}", arguments)
                    known = list(map(counts, batch)) if counts else [{}]
                    update(accelerator, arguments, model, optimizer, losses, known, means, not_finite)
                    scheduler.step()
                    progress.step, progress.sums = step + 1, means.sums
                    bar.set_postfix({name: f"{value:.4g}" for name, value in means.values().items()}, refresh=False)
                    bar.update()
                    if progress.step < len(batches):
                        due = _is_due(arguments, epoch * len(batches) + progress.step)
                        if due:
                            checkpoint({})
                        stop_if_asked(saved=due)

            progress.epoch, progress.step, progress.sums = epoch + 1, 0, {}
            updates = progress.epoch * len(batches)
            reports.losses("train", means.values() | {"learning_rate": scheduler.get_last_lr()[0]}, updates)
            due = _is_due(arguments, updates)
            if progress.epoch % arguments.validate_every == 0 or progress.epoch == arguments.epochs:
                scores = validate(accelerator, model, val_loader, validation_losses)
                logger.info("epoch %d: train %s | validation %s", epoch + 1, _shown(means.values()), _shown(scores))
                if not isfinite(scores["loss"]):
                    raise _not_finite(f"{epoch + 1}", arguments, "validation loss", scores["loss"])
                is_best = progress.best is None or scores["loss"] < progress.best
                if is_best:
                    progress.best = scores["loss"]
                progress.worse = 0 if is_best else progress.worse + 1
                reports.losses("validation", scores, updates)
                reports.show(model, updates)
                checkpoint(scores, is_best)
                due = True
            elif due:
                checkpoint({})
            if progress.epoch < arguments.epochs:
                stop_if_asked(saved=due)
    if finish is not None and accelerator.is_main_process:
        finish(Path(arguments.output_dir))
    if accelerator.output_lock is not None:
        accelerator.output_lock.release()
    if accelerator.uploads is not None:
        try:
            logger.info("Uploaded: %s", accelerator.uploads.upload("End of training"))
        except ValueError as error:
            raise TrainingError(f"{error} The model itself is whole in {arguments.output_dir}.") from error


def progress_bar(accelerator: Accelerator, arguments: LoopArguments, epoch: int, done: int, total: int) -> tqdm:
    """The bar of one epoch, of which some batches may be done already; only the main process of a machine shows it."""
    return tqdm(
        total=total,
        initial=done,
        desc=f"epoch {epoch + 1}/{arguments.epochs}",
        disable=not accelerator.is_local_main_process,
        mininterval=1.0,
    )


def resume(parts: Parts, arguments: LoopArguments, progress: Progress, processor: Any = None) -> tuple[Progress, dict]:
    """Restore a run from its checkpoint; gives where it was and its random states."""
    accelerator = parts.accelerator
    folder = find_checkpoint(arguments)
    on_main_process(accelerator, lambda: check_sums(folder))
    on_main_process(accelerator, lambda: check_same_training(folder, arguments, accelerator.num_processes))
    if processor is not None:
        on_main_process(accelerator, lambda: check_same_processor(folder, processor))
    progress = load_progress(folder, progress.num_rows, progress.global_batch_size)
    load_parts(parts, folder)
    states = restore_random_states(folder, accelerator)
    if folder.resolve().parent != Path(arguments.output_dir).resolve():
        progress.best, progress.worse = None, 0  # the best model so far lies elsewhere
    within = f", batch {progress.step} of epoch {progress.epoch + 1}" if progress.step else ""
    logger.info("Resuming after epoch %d%s.", progress.epoch, within)
    if progress.epoch >= arguments.epochs:
        logger.warning("All %d epochs are done; to train on, raise --epochs.", arguments.epochs)
    return progress, states


@torch.no_grad()
def validate(accelerator: Accelerator, model, loader, compute: Callable) -> dict[str, float]:
    """Mean of each named loss over the loaders of all processes, in eval mode; "loss" is their weighted sum."""
    # a wrapped model would wait for other processes in each batch, and they may have fewer
    bare = accelerator.unwrap_model(model)
    was_training = bare.training
    bare.eval()
    means = Means()
    with gathered(bare):
        for batch in loader:
            losses = compute(bare, send_to_device(batch, accelerator.device))
            losses = {name: loss for name, loss in losses.items() if loss is not None}
            means.add(losses, [[loss.total, float(loss.count)] for loss in losses.values()])
    bare.train(was_training)
    return means.gathered().values()


def max_over_processes(accelerator: Accelerator, number: int) -> int:
    """The largest of a number that each process has."""
    if accelerator.num_processes == 1:
        return number
    return int(accelerator.gather(torch.tensor([number], device=accelerator.device)).max())


def _is_due(arguments: LoopArguments, batches: int) -> bool:
    return bool(arguments.checkpointing_steps) and batches % arguments.checkpointing_steps == 0


def _not_finite(when: str, arguments: LoopArguments, name: str, value: float) -> TrainingError:
    kept = what_is_kept(Path(arguments.output_dir))
    return TrainingError(
        f"The {name.replace('_', ' ')} became {value} in epoch {when}: training stopped, and {kept}. Lower "
        "--learning_rate, or set --max_grad_norm."
    )


def _shown(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
