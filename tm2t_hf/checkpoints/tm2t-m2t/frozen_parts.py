# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Parts of a model that no training changes, and that files may hold in half precision."""

from os import PathLike

import torch
from torch import Tensor


class FrozenStorageMixin:
    """A `PreTrainedModel` that stores its frozen parts in the type `config.frozen_storage_dtype`.

    They are in the model's own type again once loaded.
    """

    def save_pretrained(self, save_directory: str | PathLike, *args, state_dict: dict | None = None, **kwargs):
        """As in every model.

        Raises:
            ValueError: if a weight is too large for the type.
        """
        dtype = getattr(torch, self.config.frozen_storage_dtype)
        if dtype != torch.float32:
            prefixes = tuple(f"{name}." for name in self._frozen_names())
            state_dict = {
                name: _stored(tensor, name, dtype) if name.startswith(prefixes) else tensor
                for name, tensor in (self.state_dict() if state_dict is None else state_dict).items()
            }
        super().save_pretrained(save_directory, *args, state_dict=state_dict, **kwargs)

    def _frozen_names(self) -> list[str]:
        return [] if self.vq is None else ["vq"]


def _stored(tensor: Tensor, name: str, dtype: torch.dtype) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    stored = tensor.to(dtype)
    if not stored.isfinite().all():
        raise ValueError(f"{name} holds values beyond {dtype}: save with `config.frozen_storage_dtype` 'float32'.")
    return stored


__all__ = ["FrozenStorageMixin"]
