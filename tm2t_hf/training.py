# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the training scripts share: their common arguments, and one epoch loop with best and last checkpoint."""

import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.utils import set_seed
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import HfArgumentParser, PreTrainedConfig, PreTrainedModel, get_scheduler
from transformers.utils.logging import disable_progress_bar

logger = logging.getLogger(__name__)


@dataclass
class LoopArguments:
    """Arguments of every training script; a script adds its own."""

    data_dir: str = field(metadata={"help": "Folder in the HumanML3D layout, made ready by `tm2t-hf prepare`."})
    output_dir: str = field(metadata={"help": "Best model here, last one and the state to resume from in `last/`."})
    skeleton: Literal["humanml3d", "kit"] = field(default="humanml3d", metadata={"help": "22 joints or 21 joints."})
    mirror: bool = field(default=False, metadata={"help": "Also train on every clip mirrored left to right."})
    speeds: list[float] = field(
        default_factory=lambda: [1.0], metadata={"help": "Train on every clip at each of these speeds."}
    )
    repeats: str = field(
        default="{}",
        metadata={"help": 'JSON of patterns of clip names and how often those clips count: {"bn1_*": 4}.'},
    )
    min_frames: int = field(default=40, metadata={"help": "Shorter clips are left out."})
    max_frames: int = field(default=199, metadata={"help": "Longer clips are left out."})
    epochs: int = field(default=300, metadata={"help": "Passes over the training split."})
    batch_size: int = field(default=64, metadata={"help": "Clips a batch and process."})
    learning_rate: float = field(default=2e-4, metadata={"help": "Peak learning rate of AdamW."})
    weight_decay: float = field(default=0.0, metadata={"help": "Weight decay of AdamW; 0 is Adam, as in the paper."})
    lr_schedule: str = field(default="constant", metadata={"help": "Any name of transformers' get_scheduler."})
    warmup_steps: int = field(default=0, metadata={"help": "Updates over which the learning rate rises from 0."})
    max_grad_norm: float = field(default=0.5, metadata={"help": "Gradients are clipped at this norm; 0: never."})
    model_config: str = field(default="{}", metadata={"help": "JSON of the model's configuration fields."})
    mixed_precision: Literal["no", "bf16", "fp16"] = field(default="no", metadata={"help": "Of the arithmetic."})
    validate_every: int = field(default=1, metadata={"help": "Epochs from one validation and checkpoint to the next."})
    licence: str = field(default="other", metadata={"help": "Licence of the weights, for the model card."})
    seed: int = field(default=0, metadata={"help": "Seed of everything that is drawn."})
    resume: bool = field(default=False, metadata={"help": "Go on from `output_dir/last`."})

    def __post_init__(self):
        if isinstance(self.model_config, str):
            self.model_config = _parse_json(self.model_config, "--model_config")
        if isinstance(self.repeats, str):
            self.repeats = _parse_json(self.repeats, "--repeats")

    @property
    def limits(self) -> dict:
        """The lengths of clip that `load_motion_dataset` is to keep, of any split."""
        return {"min_frames": self.min_frames, "max_frames": self.max_frames}

    @property
    def variants(self) -> dict:
        """What `load_motion_dataset` is to make of the clips of a training split, and of no other."""
        return {"mirror": self.mirror, "speeds": self.speeds, "repeats": self.repeats}


def parse_arguments(arguments_class: type, section: str):
    """
    Command line to a dataclass: `script.py [config.json] [--flag value …]`, flags winning over the file.

    The JSON file holds values shared by all scripts at the top and one object a script, e.g.
    `{"seed": 1, "vq": {"epochs": 50, "model_config": {"hidden_size": 192}}, "m2t": {…}}`.

    Raises:
        SystemExit: for values of the wrong type and for what is required and missing, as argparse does.
        ValueError: for unknown flags or keys, and for what is not JSON.
    """
    command = sys.argv[1:]
    if command and command[0].endswith(".json"):
        content = _parse_json(Path(command[0]).read_text(encoding="utf-8"), command[0])
        values = {key: value for key, value in content.items() if not isinstance(value, dict)}
        values.update(content.get(section, {}))
        flags = []
        for key, value in values.items():
            if isinstance(value, list):
                flags += [f"--{key}", *map(str, value)]
            else:
                flags.append(f"--{key}={json.dumps(value) if isinstance(value, dict) else value}")
        command = flags + command[1:]
    # a key that is nearly right is wrong, too
    parser = HfArgumentParser(arguments_class, allow_abbrev=False)
    return parser.parse_args_into_dataclasses(args=command)[0]


def _parse_json(text: str, source: str) -> dict:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise ValueError(f'{source} must be a JSON object, such as {{"hidden_size": 192}}; got {text}.')
    return value


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


def load_trained(model_class: type[PreTrainedModel], name: str, **model_config) -> PreTrainedModel:
    """
    A model that has been trained before, with some fields of its configuration changed.

    Raises:
        FileNotFoundError: when there is no such model.
        ValueError: when it is a model of another type; `from_pretrained` would go on with random weights.
    """
    try:
        found = PreTrainedConfig.get_config_dict(name)[0].get("model_type")
    except OSError as error:
        raise FileNotFoundError(
            f"There is no model {name}: it is neither a folder with a config.json nor a model of the Hub within reach."
        ) from error
    needed = model_class.config_class.model_type
    if found != needed:
        raise ValueError(f"{name} is a model of type {found}, but one of type {needed} is needed in its place.")
    return model_class.from_pretrained(name, **model_config)


def check_same_codes(vq: PreTrainedModel, model: PreTrainedModel, name: str):
    """Raises ValueError when the translation model `name` was trained on codes that are not those of `vq`."""
    same = model.config.codebook_size == vq.config.codebook_size
    if same and model.vq is not None:
        codebook, other = (each.quantizer.embedding.weight.cpu() for each in (vq, model.vq))
        same = torch.equal(codebook, other)
    if not same:
        raise ValueError(
            f"{name} was trained on the {model.config.codebook_size} codes of another motion VQ than the one given by "
            f"--vq, which has {vq.config.codebook_size}; give the VQ that it was trained with."
        )


class LoopState:
    """Where the loop is; saved and restored with the model."""

    def __init__(self):
        self.epoch = 0
        self.best = float("inf")

    def state_dict(self) -> dict:
        return {"epoch": self.epoch, "best": self.best}

    def load_state_dict(self, state: dict):
        self.epoch, self.best = state["epoch"], state["best"]


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
        _save_checkpoint(accelerator, model, output_dir, scores | {"epoch": epoch + 1}, save, is_best)


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


def _save_checkpoint(accelerator: Accelerator, model, output_dir: Path, scores: dict, save: Callable, is_best: bool):
    """`last/` with the training state, and the model itself in `output_dir` when it is the best so far."""
    # written beside, in folders that have the model's name already, since the model card says it
    name = output_dir.resolve().name
    best, last = (output_dir / f"{kind}.writing" / name for kind in ("best", "last"))
    if accelerator.is_main_process:  # what an interrupted run has left
        shutil.rmtree(best.parent, ignore_errors=True)
        shutil.rmtree(last.parent, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(last / "state")
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        bare = accelerator.unwrap_model(model)
        if is_best:  # first, because the state in `last/` counts on it
            save(bare, best, scores)
            for file in sorted(best.iterdir()):
                target = output_dir / file.name
                if target.is_dir():
                    shutil.rmtree(target)
                os.replace(file, target)
            shutil.rmtree(best.parent)
        save(bare, last, scores)
        shutil.rmtree(output_dir / "last", ignore_errors=True)
        os.replace(last, output_dir / "last")
        last.parent.rmdir()
    accelerator.wait_for_everyone()
