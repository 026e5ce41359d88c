# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Weights that are laid out once for many products with a few rows each, as those of a loop over tokens.

On a CPU, a product first copies the weights into the order in which its kernel reads them. With a few rows that takes
a good part of the time. MKL and, in bfloat16, oneDNN can keep the copy. Torch has operators for it, which its compiler
uses: so does this. That makes products with 12 to 256 rows, in bfloat16 with 1 to 256, 1.1 to 1.8 times as fast.
Others are torch's own.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# With more rows, the time is that of the arithmetic; with fewer in float32, that of reading the weights.
ROWS = {torch.float32: range(12, 257), torch.bfloat16: range(1, 257)}
LEAST_WEIGHTS = 256 * 256  # smaller weights stay in the processor's cache, in any order
LEAST_USES = 4  # packing takes about as long as a product
DENSE = (Tensor, nn.Parameter)  # neither quantized nor spread over devices


class PackedWeight:
    """The linear map of a weight, which is laid out once for inputs with a fixed number of rows.

    It is packed only if neither weight nor bias learns. A packed weight must not change while it is in use.

    Args:
        weight: (out, size).
        bias: (out,), or None.
        rows: of the inputs to come.
        uses: the number of calls to expect.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int, uses: int):
        self.weight, self.bias, self.rows = weight, bias, rows
        self.packed = None
        # `rows` last: a program that is exported for any number of rows must not compare it.
        if _can_be_packed(weight) and not self._learns() and uses >= LEAST_USES and rows in ROWS[weight.dtype]:
            self.packed = _pack(weight.detach().contiguous(), rows)

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
        return dtype == inputs.dtype == self.weight.dtype and not self._learns(inputs)

    def _learns(self, *inputs: Tensor) -> bool:
        """Whether there is a gradient to compute, which the operators do not."""
        tensors = (self.weight, self.bias, *inputs)
        return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


def _can_be_packed(weight: Tensor) -> bool:
    if is_traced() or weight.device.type != "cpu" or weight.numel() < LEAST_WEIGHTS or type(weight) not in DENSE:
        return False
    if weight.dtype == torch.bfloat16:
        return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return weight.dtype == torch.float32 and torch.backends.mkl.is_available()


def is_traced() -> bool:
    """Whether what runs becomes a program for other sizes, or goes through a transform such as `torch.func.vmap`."""
    is_compiled = torch.compiler.is_compiling() or torch.compiler.is_exporting()
    return is_compiled or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active()


def _pack(weight: Tensor, rows: int) -> Tensor:
    if weight.dtype == torch.float32:
        return torch.ops.mkl._mkl_reorder_linear_weight(weight, rows)
    return torch.ops.mkldnn._reorder_linear_weight(weight, rows)


def has_hooks(module: nn.Module) -> bool:
    """Whether a module has hooks of its own, so that it must be called."""
    hooks = module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks
    return any(hooks) or hasattr(module, "_hf_hook")


def is_plain(module: nn.Module, kind: type[nn.Module] = nn.Linear) -> bool:
    """Whether a layer is its weights and nothing else: not quantized, wrapped, nor with an adapter or a hook."""
    is_itself = type(module) is kind and type(module.weight) is nn.Parameter and "forward" not in vars(module)
    return is_itself and not has_hooks(module)


def has_its_own(model: nn.Module, kind: type[nn.Module], *names: str) -> bool:
    """Whether a model of this kind has other methods of these names, by a subclass or put into its place."""
    return any(getattr(type(model), name) is not getattr(kind, name) or name in vars(model) for name in names)


def drops(dropout: nn.Module) -> bool:
    """Whether a dropout has to be called."""
    return type(dropout) is not nn.Dropout or has_hooks(dropout) or (dropout.training and dropout.p > 0)


def packed_for_steps(weight: Tensor, bias: Tensor | None, rows: Sequence[int]) -> PackedWeight:
    """A `PackedWeight` for steps that have these numbers of rows: for the most common one."""
    usual, uses = Counter(rows).most_common(1)[0]
    return PackedWeight(weight, bias, usual, uses)


def packed_layer(layer: nn.Module, rows: int, uses: int) -> Callable[[Tensor], Tensor]:
    """A layer for inputs with a fixed number of rows: as a `PackedWeight` if it is plain, else as it is."""
    return PackedWeight(layer.weight, layer.bias, rows, uses) if is_plain(layer) else layer


__all__ = [
    "PackedWeight",
    "drops",
    "has_hooks",
    "has_its_own",
    "is_plain",
    "is_traced",
    "packed_for_steps",
    "packed_layer",
]
