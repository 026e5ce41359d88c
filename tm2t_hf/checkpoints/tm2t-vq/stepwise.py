# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""A loop over steps, such as a GRU's, whose weights get their gradient once, from all steps together.

By itself, autograd multiplies for the gradient of a shared weight at every step and adds the results up: a product of
a few rows, and reading and writing as much as the weight holds, each time. But the sum over the steps of x_t^T g_t is
the one product X^T G of all their rows. So here a step only keeps its x_t, and leaves its g_t in a slot.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .packed_weights import packed_for_steps

sigmoid_backward, tanh_backward = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward


def learns_in_steps(*tensors: Tensor) -> bool:
    """Whether a loop over steps is differentiated by one of these weights or states, and by eager autograd."""
    return (
        torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and any(tensor.requires_grad for tensor in tensors)
    )


def _as_in_autocast(matrix: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Matrix and bias in the type in which autocast multiplies, if it is on."""
    device = matrix.device.type
    if not torch.is_autocast_enabled(device):
        return matrix, bias
    dtype = torch.get_autocast_dtype(device)
    return matrix.to(dtype), None if bias is None else bias.to(dtype)


class _SharedMatrix:
    """What is multiplied at every step.

    Args:
        matrix: (size, out).
        bias: (out,), or None for none.
        steps: how often it is multiplied, at most.
        batch: rows of the inputs, of all steps or of each.
    """

    def __init__(self, matrix: Tensor, bias: Tensor | None, steps: int, batch: int | Sequence[int]):
        matrix, bias = _as_in_autocast(matrix, bias)
        self.inputs: list[Tensor] = []
        rows = [batch] * steps if isinstance(batch, int) else list(batch)
        self.slots = iter(_ProductSlots.apply(matrix, bias, self.inputs, sum(rows)).split(rows))
        self.matrix, bias = matrix.detach(), None if bias is None else bias.detach()
        self.multiply = packed_for_steps(self.matrix.t(), bias, rows)

    def keep(self, inputs: Tensor) -> Tensor:
        """Keep the inputs (batch, size) of the next step; returns its slot."""
        self.inputs.append(inputs.detach())
        return next(self.slots)


class StepwiseProduct(_SharedMatrix):
    """`inputs @ matrix + bias`, step by step; differentiable once. The arguments are those of `_SharedMatrix`."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """(batch, size) -> (batch, out)."""
        inputs = inputs.to(self.matrix)  # in its type, and on its device
        return _Product.apply(inputs, self.keep(inputs), self.matrix, self.multiply)


class StepwiseGRU(_SharedMatrix):
    """The state of a GRU, step by step, of which the part of the input is given; differentiable once.

    By itself, autograd keeps every intermediate result and joins the gates' gradients by copying them.

    The arguments are those of `_SharedMatrix`: the matrix (size, 3 * size) makes of the state its part of the reset,
    update and new gates.
    """

    def __call__(self, of_input: Tensor, state: Tensor) -> Tensor:
        """The state (batch, size) after a step.

        Args:
            of_input: (batch, 3 * size) the input's part of the gates, biases included.
            state: (batch, size) before it.
        """
        inputs = state.to(self.matrix)
        return _GRUStep.apply(of_input, state, inputs.detach(), self.keep(inputs), self.matrix, self.multiply)


class StepwiseRowProduct:
    """As `StepwiseProduct`, where each row has a matrix and a bias of its own.

    Args:
        matrices: (batch, size, out).
        biases: (batch, out), or None for none.
        steps: how often it is called, at most.
    """

    def __init__(self, matrices: Tensor, biases: Tensor | None, steps: int):
        matrices, biases = _as_in_autocast(matrices, biases)
        self.inputs: list[Tensor] = []
        self.slots = iter(_RowProductSlots.apply(matrices, biases, self.inputs, steps).unbind())
        self.matrices, self.biases = matrices.detach(), None if biases is None else biases.detach()

    def __call__(self, inputs: Tensor) -> Tensor:
        """(batch, size) -> (batch, out)."""
        inputs = inputs.to(self.matrices)
        self.inputs.append(inputs.detach())
        return _RowProduct.apply(inputs, next(self.slots), self.matrices, self.biases)


class StepwiseEmbedding:
    """Rows of a table, step by step; differentiable once.

    Args:
        table: (rows, size).
        steps: how often it is called, at most.
        batch: ids per step.
    """

    def __init__(self, table: Tensor, steps: int, batch: int):
        self.ids: list[Tensor] = []
        self.slots = iter(_EmbeddingSlots.apply(table, self.ids, steps, batch).unbind())
        self.table = table.detach()

    def __call__(self, ids: Tensor) -> Tensor:
        """(batch,) -> (batch, size)."""
        self.ids.append(ids)
        return _Lookup.apply(ids, next(self.slots), self.table)


def gru_step(of_input: Tensor, of_state: Tensor, state: Tensor) -> Tensor:
    """The state (batch, size) of a GRU after a step, where nothing is differentiated.

    Args:
        of_input: (batch, 3 * size) the input's part of the reset, update and new gates, biases included.
        of_state: (batch, 3 * size) the part of the state.
        state: (batch, size) before the step.
    """
    return _moved(*_gates_and_new(of_input, of_state), state)


def _gates_and_new(of_input: Tensor, of_state: Tensor) -> tuple[Tensor, Tensor]:
    """Reset and update gates (batch, 2 * size), and the new gate (batch, size)."""
    size = of_input.shape[-1] // 3
    gates = (of_input[:, : 2 * size] + of_state[:, : 2 * size]).sigmoid_()
    return gates, torch.addcmul(of_input[:, 2 * size :], gates[:, :size], of_state[:, 2 * size :]).tanh_()


def _moved(gates: Tensor, new: Tensor, state: Tensor) -> Tensor:
    """The state after a step, of the results of `_gates_and_new` and the state before it."""
    return new + gates[:, state.shape[-1] :] * (state - new)


def with_gradients(product: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`F.linear(inputs, weight, bias)`, which has been computed already, step by step, without a gradient.

    Args:
        product: (..., out).
        inputs: (..., size).
        weight: (out, size).
        bias: (out,), or None for none.
    """
    return _KnownProduct.apply(product, inputs, weight, bias)


class _KnownProduct(torch.autograd.Function):
    """See `with_gradients`."""

    @staticmethod
    def forward(ctx, product: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.mark_dirty(product)  # the same tensor, from now on with a gradient
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        inputs, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)
        of_inputs = gradient @ weight if ctx.needs_input_grad[1] else None
        of_weight = gradient.flatten(0, -2).t() @ inputs.flatten(0, -2) if ctx.needs_input_grad[2] else None
        return None, of_inputs, of_weight, gradient.flatten(0, -2).sum(0) if ctx.needs_input_grad[3] else None


class _GRUStep(torch.autograd.Function):
    """A step of a `StepwiseGRU`; the gradient of the matrix and of the bias goes into the slot."""

    @staticmethod
    def forward(
        ctx,
        of_input: Tensor,
        state: Tensor,
        inputs: Tensor,
        slot: Tensor,
        matrix: Tensor,
        multiply: Callable[[Tensor], Tensor],
    ) -> Tensor:
        of_state = multiply(inputs)
        gates, new = _gates_and_new(of_input, of_state)
        ctx.save_for_backward(gates, new, of_state[:, -new.shape[-1] :], state, matrix)
        return _moved(gates, new, state)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        gates, new, of_state, state, matrix = ctx.saved_tensors
        size = new.shape[-1]
        reset, update = gates.chunk(2, dim=-1)
        kept = gradient * update
        to_input = new.new_empty(len(new), 3 * size)
        to_reset, to_update, to_new = to_input.chunk(3, dim=-1)
        to_new.copy_(tanh_backward(gradient - kept, new))
        to_reset.copy_(sigmoid_backward(to_new * of_state, reset))
        to_update.copy_(sigmoid_backward(gradient * (state - new), update))
        to_state = to_input.to(matrix.dtype, copy=True)
        to_state[:, 2 * size :] *= reset
        return to_input, kept + (to_state @ matrix.t()).to(kept), None, to_state, None, None


class _Product(torch.autograd.Function):
    """A step of a `StepwiseProduct`; the gradient of the matrix and of the bias goes into the slot."""

    @staticmethod
    def forward(ctx, inputs: Tensor, slot: Tensor, matrix: Tensor, multiply: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(matrix)
        return multiply(inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        (matrix,) = ctx.saved_tensors
        return gradient @ matrix.t() if ctx.needs_input_grad[0] else None, gradient, None, None


class _ProductSlots(torch.autograd.Function):
    """Slots (rows of all steps, out) of a `StepwiseProduct`, without values; those not used by a step get zeros."""

    @staticmethod
    def forward(ctx, matrix: Tensor, bias: Tensor | None, inputs: list[Tensor], rows: int) -> Tensor:
        ctx.inputs = inputs
        return matrix.new_zeros(()).expand(rows, matrix.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx, gradients: Tensor):
        inputs = torch.cat(ctx.inputs)  # (rows taken, size)
        gradients = gradients[: len(inputs)]
        # The matrix is a transposed weight, whose gradient has to lie in memory as the weight does.
        of_matrix = (gradients.t() @ inputs).t()
        return of_matrix, gradients.sum(0) if ctx.needs_input_grad[1] else None, None, None


class _RowProduct(torch.autograd.Function):
    """As `_Product`, of a `StepwiseRowProduct`."""

    @staticmethod
    def forward(ctx, inputs: Tensor, slot: Tensor, matrices: Tensor, biases: Tensor | None) -> Tensor:
        ctx.save_for_backward(matrices)
        rows = inputs.unsqueeze(1)  # (batch, 1, size)
        product = rows @ matrices if biases is None else torch.baddbmm(biases.unsqueeze(1), rows, matrices)
        return product.squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        (matrices,) = ctx.saved_tensors
        of_inputs = (gradient.unsqueeze(1) @ matrices.mT).squeeze(1) if ctx.needs_input_grad[0] else None
        return of_inputs, gradient, None, None


class _RowProductSlots(torch.autograd.Function):
    """Slots (steps, batch, out) of a `StepwiseRowProduct`, as `_ProductSlots`."""

    @staticmethod
    def forward(ctx, matrices: Tensor, biases: Tensor | None, inputs: list[Tensor], steps: int) -> Tensor:
        ctx.inputs = inputs
        return matrices.new_zeros(()).expand(steps, len(matrices), matrices.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx, gradients: Tensor):
        inputs = torch.stack(ctx.inputs)  # (steps taken, batch, size)
        gradients = gradients[: len(inputs)]
        of_matrices = torch.bmm(inputs.permute(1, 2, 0), gradients.transpose(0, 1))
        return of_matrices, gradients.sum(0) if ctx.needs_input_grad[1] else None, None, None


class _Lookup(torch.autograd.Function):
    """A step of a `StepwiseEmbedding`; the gradient of the table goes into the slot."""

    @staticmethod
    def forward(ctx, ids: Tensor, slot: Tensor, table: Tensor) -> Tensor:
        return F.embedding(ids, table)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        return None, gradient, None


class _EmbeddingSlots(torch.autograd.Function):
    """Slots (steps, batch, size) of a `StepwiseEmbedding`, as `_ProductSlots`."""

    @staticmethod
    def forward(ctx, table: Tensor, ids: list[Tensor], steps: int, batch: int) -> Tensor:
        ctx.ids = ids
        ctx.rows = len(table)
        return table.new_zeros(()).expand(steps, batch, table.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx, gradients: Tensor):
        ids = torch.stack(ctx.ids)  # (taken, batch)
        # Many rows add up to one: not in half precision.
        given = gradients[: len(ids)].flatten(0, 1).to(torch.promote_types(gradients.dtype, torch.float32))
        of_table = given.new_zeros(ctx.rows, given.shape[-1]).index_add_(0, ids.flatten(), given)
        return of_table.to(gradients.dtype), None, None, None


__all__ = [
    "StepwiseEmbedding",
    "StepwiseGRU",
    "StepwiseProduct",
    "StepwiseRowProduct",
    "gru_step",
    "learns_in_steps",
    "with_gradients",
]
