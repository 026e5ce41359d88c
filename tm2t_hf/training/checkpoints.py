# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Checkpoints: models that were trained before, and what a training leaves to resume from."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from transformers import PreTrainedConfig, PreTrainedModel


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


def save_checkpoint(accelerator: Accelerator, model, output_dir: Path, scores: dict, save: Callable, is_best: bool):
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
