# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Longer motion: several prompts, one after the other, in one continuous motion.

Each prompt goes on from the last motion token of the one before, and all tokens are decoded at once, so that the VQ's
convolutions join the parts. One token is enough to begin where the last part ended; after more of them the model goes
on doing what it did (100 chains of three prompts with all three actions right: 88 with one token, 82 with two, 70 with
four, 54 with eight; 87 without any, and then nothing joins the parts).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .containers import unwrap_row
from .generation_text_to_motion import MotionGenerationMixin, find_limit
from .tokenization_text import check_captions
from .vocabulary import ids_to_codes

SHORTEST_SECONDS = 1.0  # of a part, unless the caller says otherwise: a part must not end before its action begins


class MotionChain(NamedTuple):
    """One motion made from several prompts.

    Attributes:
        motion: (frames, features), normalized.
        codes: (tokens,) of all parts, the prefix included.
        ends: one past the last frame of the prefix, if there is one, and of each prompt's part.
    """

    motion: Tensor
    codes: Tensor
    ends: list[int]


@torch.no_grad()
def generate_chain(
    model: MotionGenerationMixin,
    prompts: Sequence[dict[str, Tensor]],
    prefix: Tensor | None = None,
    **generate_kwargs,
) -> MotionChain:
    """Generate one motion for several prompts.

    Args:
        model: a text-to-motion model with its motion VQ.
        prompts: the encoder's inputs for each prompt (`input_ids` and `attention_mask`, a batch of one).
        prefix: (tokens,) codes of a motion to go on from; they become the beginning of the result.
        generate_kwargs: arguments of `generate()` for every part, lengths included; a part lasts at least a
            second, unless these or a generation config say otherwise.

    Returns:
        The motion, and where its parts end.

    Raises:
        ValueError: if there is no prompt, or for more than one sample per prompt.
    """
    if not prompts:
        raise ValueError("A chain needs at least one prompt.")
    if generate_kwargs.get("num_return_sequences", 1) != 1:
        raise ValueError("A chain is one motion: leave num_return_sequences out and call again for another.")
    generate_kwargs["num_return_sequences"] = 1  # whatever the generation config says
    configs = (generate_kwargs.get("generation_config"), model.generation_config)
    if find_limit("min", generate_kwargs, *(vars(config) for config in configs if config)) is None:
        generate_kwargs["min_seconds"] = SHORTEST_SECONDS
    parts = [] if prefix is None else [prefix.to(model.device)]
    for prompt in prompts:
        begin = torch.tensor([model.config.bom_id], device=model.device)
        begin = torch.cat([begin, *(codes[-1:] for codes in parts[-1:])])[None]  # (1, 1 or 2)
        ids = model.generate(**prompt, decoder_input_ids=begin, **generate_kwargs)
        (codes,) = ids_to_codes(ids[:, begin.shape[1] :], model.config)
        if len(codes) == 0:
            raise ValueError("The model ended a part of the chain at once; pass min_seconds.")
        parts.append(codes)
    codes = torch.cat(parts)
    (motion,) = model.decode_motion(codes[None])
    lengths = torch.tensor([len(codes) for codes in parts]) * model.config.vq_config.unit_length
    return MotionChain(motion, codes, lengths.cumsum(0).tolist())


def captions_of_chain(text_inputs, chain: bool | None) -> tuple[str, ...]:
    """The captions of one continuous motion, as a tuple, which transformers takes for one input.

    Raises:
        ValueError: for one caption to chain, and for several that are not to be chained.
    """
    captions = unwrap_row(text_inputs, "text", "text")
    is_one = isinstance(captions, str)
    captions = check_captions(captions)
    if chain and is_one:
        raise ValueError("chain joins several captions, but text is a single one; pass a list, or leave chain out.")
    if not chain and len(captions) > 1:
        raise ValueError("prefix is for one motion; pass one caption, or chain several.")
    return tuple(captions)


__all__ = ["MotionChain", "captions_of_chain", "generate_chain"]
