# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The motion vocabulary: the K codes of a codebook, then `<bom>` K, `<eom>` K + 1 and `<pad>` K + 2.

The order is that of the paper's code. This is the only place that knows it: configurations take their special ids from
`MotionVocabularyMixin`, and everything else asks a configuration or a `MotionTokenizer`.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_CODEBOOK_SIZE = 2**18  # that of the largest published ones; every code is an entry of a tokenizer in memory
IGNORED = -100  # pads labels, and in `Trainer` predictions
BOM_TOKEN, EOM_TOKEN, PAD_TOKEN = SPECIAL_TOKENS = ("<bom>", "<eom>", "<pad>")


class MotionVocabularyMixin:
    """The special ids and the size of the motion vocabulary, for a configuration that has a `codebook_size` K."""

    codebook_size: int

    def validate_codebook_size(self):
        """Part of the validation by `@strict`.

        Raises:
            ValueError: for no code at all, or more than `MAX_CODEBOOK_SIZE`.
        """
        if not 1 <= self.codebook_size <= MAX_CODEBOOK_SIZE:
            raise ValueError(f"codebook_size must be from 1 to {MAX_CODEBOOK_SIZE:,} codes, got {self.codebook_size}")

    @property
    def bom_id(self) -> int:
        """Motion id of `<bom>`, the beginning of a motion."""
        return self.codebook_size + SPECIAL_TOKENS.index(BOM_TOKEN)

    @property
    def eom_id(self) -> int:
        """Motion id of `<eom>`, the end of a motion."""
        return self.codebook_size + SPECIAL_TOKENS.index(EOM_TOKEN)

    @property
    def pad_id(self) -> int:
        """Motion id of `<pad>`."""
        return self.codebook_size + SPECIAL_TOKENS.index(PAD_TOKEN)

    @property
    def motion_vocab_size(self) -> int:
        """Number of motion ids: the codes and the special ids."""
        return self.codebook_size + len(SPECIAL_TOKENS)


def codes_to_ids(codes: Tensor, attention_mask: Tensor | None, config: MotionVocabularyMixin) -> tuple[Tensor, Tensor]:
    """Motion ids `<bom> codes <eom> <pad> ...` of padded codes.

    Args:
        codes: `(batch, tokens)`.
        attention_mask: `(batch, tokens)`, 1 for codes and 0 for the padding behind them; None when there is none.
        config: tells the special ids.

    Returns:
        ids and attention mask, both `(batch, tokens + 2)` int64.

    Raises:
        ValueError: as `check_rows`.
    """
    check_rows(codes, "codes")
    if attention_mask is None:
        attention_mask = torch.ones_like(codes)
    lengths = attention_mask.sum(-1, keepdim=True)  # (batch, 1)
    places = torch.arange(codes.shape[1] + 2, device=codes.device)
    ids = F.pad(codes, (1, 1))
    ids = ids.masked_fill(places == 0, config.bom_id)
    ids = ids.masked_fill(places == lengths + 1, config.eom_id)
    ids = ids.masked_fill(places > lengths + 1, config.pad_id)
    return ids, (places <= lengths + 1).long()


def ids_to_codes(ids: Tensor, config: MotionVocabularyMixin) -> list[Tensor]:
    """The codes of each row of motion ids (batch, length): special ids and -100 left out, ended at the first `<eom>`.

    Raises:
        ValueError: as `check_rows`, and for ids outside the motion vocabulary.
    """
    check_rows(ids, "ids")
    ids = ids.long()  # small types cannot hold K
    foreign = ids[((ids < 0) & (ids != IGNORED)) | (ids >= config.motion_vocab_size)]
    if len(foreign):
        raise ValueError(
            f"`ids` holds {int(foreign[0])}, but motion ids are 0 to {config.motion_vocab_size - 1}; pad them with "
            f"<pad> ({config.pad_id})."
        )
    before_end = (ids == config.eom_id).cumsum(-1) == 0
    keep = before_end & (ids < config.codebook_size) & (ids >= 0)
    return [row[kept] for row, kept in zip(ids, keep, strict=True)]


def check_ids(ids: Tensor, name: str, vocab_size: int):
    """Refuse `ids` that are not rows of ids of a vocabulary, before an embedding is asked for them.

    Args:
        ids: should be `(batch, tokens)`, each from 0 to `vocab_size - 1`.
        name: of the argument, for the error.
        vocab_size: the number of ids.

    Raises:
        ValueError: as `check_rows`, for no rows, and for ids outside the vocabulary.
    """
    check_rows(ids, name)
    if not ids.numel():
        raise ValueError(f"`{name}` must hold at least one row of ids, got the shape {tuple(ids.shape)}.")
    foreign = ids[(ids < 0) | (ids >= vocab_size)]
    if len(foreign):
        raise ValueError(
            f"`{name}` holds {int(foreign[0])}, but the vocabulary has ids 0 to {vocab_size - 1}; use the processor "
            "that was saved with the model."
        )


def check_rows(values: Tensor, name: str):
    """Refuse `values` that are not a tensor of rows.

    Args:
        values: codes or motion ids, which should be `(batch, tokens)`.
        name: of the argument, for the error.

    Raises:
        ValueError: for anything but a tensor of integers, or another number of axes.
    """
    if not isinstance(values, Tensor):
        raise ValueError(
            f"`{name}` must be a tensor of shape (batch, tokens), got a {type(values).__name__}; "
            "convert each motion with torch.tensor(...)."
        )
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise ValueError(f"`{name}` must hold integers, got {values.dtype}.")
    if values.dim() != 2:
        hint = f"; for one motion, pass {name}[None]" if values.dim() == 1 else ""
        raise ValueError(f"`{name}` must have the shape (batch, tokens), got {tuple(values.shape)}{hint}.")


__all__ = [
    "BOM_TOKEN",
    "EOM_TOKEN",
    "MAX_CODEBOOK_SIZE",
    "PAD_TOKEN",
    "SPECIAL_TOKENS",
    "MotionVocabularyMixin",
    "check_ids",
    "check_rows",
    "codes_to_ids",
    "ids_to_codes",
]
