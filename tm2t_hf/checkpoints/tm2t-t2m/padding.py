# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Padding stands behind what it fills up, and a check of values that also serves compiled code."""

import torch
from torch import Tensor


def refuse_unless(holds: Tensor, message: str):
    """Refuse input for which not all of `holds`, a tensor of bool, is True.

    Nothing is checked on the meta device, which has no numbers, nor in an exported program.

    Raises:
        ValueError: with this message; in compiled code a RuntimeError, which on a GPU comes late and ends its use, as
            every assertion there does.
    """
    if holds.is_meta or torch.compiler.is_exporting():
        return
    if torch.compiler.is_compiling():
        torch._assert_async(holds.all(), message)
    elif not holds.all():
        raise ValueError(message)


def padded_lengths(attention_mask: Tensor | None, shape: torch.Size, what: str) -> Tensor | None:
    """Lengths (batch,) of sequences that are padded on their right side; None without a mask.

    Args:
        attention_mask: (batch, length), 1 for what counts and 0 for padding.
        shape: (batch, length) of the sequences.
        what: their name, for the errors.

    Raises:
        ValueError: for a mask of another shape, or with padding in front of, or inside, a sequence.
    """
    if attention_mask is None:
        return None
    if attention_mask.shape != shape:
        raise ValueError(
            f"attention_mask has the shape {tuple(attention_mask.shape)}, but {what} {tuple(shape)}: it must tell "
            "padding from the rest along the same axis"
        )
    mask = attention_mask.bool()
    lengths = mask.sum(-1)  # (batch,)
    refuse_unless(
        mask == before(lengths, mask.shape[1]),
        f"{what} must be padded on the right side only: use padding_side='right'",
    )
    return lengths


def lengths_of(inputs: Tensor, attention_mask: Tensor | None, what: str) -> Tensor:
    """`padded_lengths` of inputs (batch, length, ...), which without a mask are all of the whole length."""
    lengths = padded_lengths(attention_mask, inputs.shape[:2], what)
    return torch.full(inputs.shape[:1], inputs.shape[1], device=inputs.device) if lengths is None else lengths


def text_lengths(inputs: Tensor, attention_mask: Tensor | None) -> Tensor:
    """`lengths_of` texts (batch, words, ...), each of which must have at least one word."""
    lengths = lengths_of(inputs, attention_mask, "text")
    refuse_unless(lengths > 0, "A text of the batch is empty: give at least one word.")
    return lengths


def before(lengths: Tensor, size: int) -> Tensor:
    """(batch,) -> (batch, size) bool, True before each length."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


__all__ = ["before", "lengths_of", "padded_lengths", "refuse_unless", "text_lengths"]
