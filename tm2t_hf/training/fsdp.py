# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""FSDP2: every process keeps a part of the weights, of their gradients and of the optimizer's state.

Done with `fully_shard` of PyTorch itself, as accelerate's FSDP needs GPUs. Checkpoints hold whole tensors: so a run is
resumed on any number of processes, and nothing of one is unpickled freely, as the metadata of a checkpoint in parts
(torch.distributed.checkpoint) would have to be.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def shard_model(accelerator: Accelerator, model: torch.nn.Module) -> torch.nn.Module:
    """Divide a model's weights among the processes, layer by layer; returns the model itself.

    The codebook is left whole, as moving averages write it from outside of `forward()`.

    Raises:
        ValueError: there is one process, or the model has recurrent layers, which keep references to whole weights.
    """
    if accelerator.num_processes == 1:
        raise ValueError("--fsdp divides a model among several processes, and there is one; leave it out.")
    if any(isinstance(module, torch.nn.RNNBase) for module in model.modules()):
        raise ValueError(f"{type(model).__name__} has recurrent layers, which cannot be sharded; leave out --fsdp.")
    model.to(accelerator.device)
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    whole = {
        parameter
        for module in model.modules()
        if hasattr(module, "accumulating")
        for parameter in module.parameters()
        if not parameter.requires_grad
    }
    options = {"mesh": mesh} | ({"ignored_params": whole} if whole else {})
    layers = set(getattr(model, "_no_split_modules", None) or ())
    for module in model.modules():
        if type(module).__name__ in layers:
            fully_shard(module, **options)
    return fully_shard(model, **options)


class ShardedStates:
    """Model and optimizer of a sharded training as one object with a state, that of whole tensors.

    Both methods are to be called on all processes; only the main one gets the state.
    """

    def __init__(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer):
        self.model, self.optimizer = model, optimizer

    def state_dict(self) -> dict[str, Any]:
        """The states of both."""
        return {
            "model": get_model_state_dict(self.model, options=WHOLE),
            "optimizer": get_optimizer_state_dict(self.model, self.optimizer, options=WHOLE),
        }

    def load_state_dict(self, states: dict[str, Any]) -> None:
        """Take over each process's part of the states."""
        set_model_state_dict(self.model, states["model"], options=WHOLE)
        set_optimizer_state_dict(self.model, self.optimizer, states["optimizer"], options=WHOLE)


class WholeModel:
    """Gives a sharded model as an ordinary one, to be saved."""

    def __init__(self, model: torch.nn.Module):
        self.copy = copy.deepcopy(model).cpu()  # made before the model is sharded

    def filled(self, states: dict[str, Any]) -> torch.nn.Module:
        """The model with the weights of a `ShardedStates.state_dict()`."""
        self.copy.load_state_dict(states["model"])
        return self.copy


@contextmanager
def gathered(model: torch.nn.Module) -> Iterator[None]:
    """Within the context every process holds the whole model: each may call it as often as it likes."""
    sharded = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for module in sharded:
        module.set_reshard_after_forward(False, recurse=False)
        module.unshard()
    try:
        yield
    finally:
        for module in sharded:
            module.reshard()
            module.set_reshard_after_forward(module is not model, recurse=False)


def all_finite(accelerator: Accelerator, model: torch.nn.Module) -> bool:
    """Whether all weights of a model are, on every process."""
    parts = (parameter.to_local() if hasattr(parameter, "to_local") else parameter for parameter in model.parameters())
    finite = all(bool(part.isfinite().all()) for part in parts)
    if accelerator.num_processes == 1:
        return finite
    return bool(accelerator.reduce(torch.tensor(float(not finite), device=accelerator.device), "sum") == 0)


__all__ = ["ShardedStates", "WholeModel", "all_finite", "gathered", "shard_model"]
