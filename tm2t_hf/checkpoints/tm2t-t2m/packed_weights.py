# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Weights that are laid out once for many products with a few rows each, as those of a loop over tokens.

On a CPU, a product first copies the weights into the order in which its kernel reads them. With a few rows that takes
a good part of the time. MKL and, in bfloat16, oneDNN can keep the copy. Torch has operators for it, which its compiler
uses: so does this. Products with 12 to 256 rows are 1.1 to 1.8 times as fast so. Others are torch's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROWS = range(12, 257)  # with fewer, the time is that of reading the weights; with more, that of the arithmetic
LEAST_WEIGHTS = 256 * 256  # smaller weights stay in the processor's cache, in any order
LEAST_USES = 4  # packing takes about as long as a product
PLAIN = (Tensor, nn.Parameter)  # and not quantized, or spread over devices


class PackedWeight:
    """The linear map of a weight that stays the same, for inputs of as many rows each time.

    A weight that learns is not packed.

    Args:
        weight: (out, size).
        bias: (out,), or None.
        rows: of the inputs.
        uses: how often it is called, about.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int, uses: int):
        self.weight, self.bias, self.rows = weight, bias, rows
        self.packed = None
        # In this order: an exported program takes any number of rows, and must not compare it.
        if _can_be_packed(weight) and rows in ROWS and uses >= LEAST_USES:
            pack = _pack_single if weight.dtype == torch.float32 else _pack_bfloat16
            self.packed = pack(weight.detach().contiguous(), rows)

    def __call__(self, inputs: Tensor) -> Tensor:
        """(..., size) -> (..., out)."""
        if self.packed is None or not self._takes(inputs):
            return F.linear(inputs, self.weight, self.bias)
        if self.weight.dtype == torch.float32:
            # With other rows than those it was packed for, the operator takes the weight as it is.
            return torch.ops.mkl._mkl_linear(inputs, self.packed, self.weight, self.bias, self.rows)
        return torch.ops.mkldnn._linear_pointwise(inputs, self.packed, self.bias, "none", [], "")

    def _takes(self, inputs: Tensor) -> bool:
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else inputs.dtype
        learns = inputs.requires_grad and torch.is_grad_enabled()  # which the operators do not
        return dtype == inputs.dtype == self.weight.dtype and not learns


def _can_be_packed(weight: Tensor) -> bool:
    if torch.compiler.is_compiling() or torch.compiler.is_exporting():
        return False
    learns = weight.requires_grad and torch.is_grad_enabled()
    if learns or weight.device.type != "cpu" or weight.numel() < LEAST_WEIGHTS or type(weight) not in PLAIN:
        return False
    if weight.dtype == torch.bfloat16:
        return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return weight.dtype == torch.float32 and torch.backends.mkl.is_available()


def _pack_single(weight: Tensor, rows: int) -> Tensor:
    return torch.ops.mkl._mkl_reorder_linear_weight(weight, rows)


def _pack_bfloat16(weight: Tensor, rows: int) -> Tensor:
    return torch.ops.mkldnn._reorder_linear_weight(weight, rows)


def is_watched(module: nn.Module) -> bool:
    """Whether a module has a hook, and so has to be called."""
    return bool(module._forward_hooks or module._forward_pre_hooks or hasattr(module, "_hf_hook"))


def is_plain(module: nn.Module, kind: type[nn.Module] = nn.Linear) -> bool:
    """Whether a layer is its weights and nothing else: not quantized, wrapped, nor with an adapter or a hook."""
    is_itself = type(module) is kind and type(module.weight) is nn.Parameter and "forward" not in vars(module)
    return is_itself and not is_watched(module)


@contextmanager
def packed(*models: nn.Module, rows: int, uses: int) -> Iterator[None]:
    """Within, the linear layers of the models use packed weights for inputs of so many rows.

    Args:
        models: layers, or what holds layers; they must not learn meanwhile.
        rows: of the inputs that are to be fast; others work as always.
        uses: how often each layer is called, about.
    """
    layers = []
    for layer in (module for model in models for module in model.modules()):
        if is_plain(layer):  # and not packed by another thread
            product = PackedWeight(layer.weight, layer.bias, rows, uses)
            if product.packed is not None:
                layer.forward = product
                layers.append(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


__all__ = ["PackedWeight", "is_plain", "is_watched", "packed"]
