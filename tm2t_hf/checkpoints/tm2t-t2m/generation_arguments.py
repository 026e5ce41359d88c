# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Checks of the arguments of `generate()` that transformers passes over, or stumbles over."""

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.cache_utils import Cache, EncoderDecoderCache
from transformers.generation import GenerationConfig, GenerationMixin
from transformers.models.marian.modeling_marian import MarianDecoder

from .checks import check_count, check_switch
from .layers_transformer import split_heads
from .padding import refuse_unless

NO_LABELS = (
    "Give `decoder_input_ids` or `labels` (a Trainer with label_smoothing_factor takes the labels out: set "
    "`label_smoothing` of the model's configuration instead)"
)
SWITCHES = ("do_sample", "use_cache", "eom_by_argmax")
LEAST = {  # of whole numbers
    "num_beams": 1,
    "num_return_sequences": 1,
    "max_new_tokens": 1,
    "max_length": 1,
    "min_new_tokens": 0,
    "min_length": 0,
    "top_k": 0,
    "no_repeat_ngram_size": 0,
}
RANGES = {  # of other numbers
    "temperature": (0, math.inf),
    "repetition_penalty": (0, math.inf),
    "length_penalty": (-math.inf, math.inf),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "typical_p": (0, 1),
}


def check_generation_arguments(values: Mapping[str, Any]):
    """Refuse arguments of `generate()` that are none; None is "left out".

    Args:
        values: the arguments by name; those without a rule here are left to transformers.

    Raises:
        ValueError: naming the first argument that has another type, or is out of range.
    """
    for name, value in values.items():
        if value is None:
            continue
        if name in SWITCHES:
            check_switch(name, value)
        elif name in LEAST:
            check_count(name, value, LEAST[name])
        elif name in RANGES:
            least, most = RANGES[name]
            if not isinstance(value, Real) or isinstance(value, bool) or not least <= value <= most:
                raise ValueError(f"{name}={value!r} must be a number from {least} to {most}.")
        elif name == "guidance_scale" and value != 1:
            raise ValueError(
                f"guidance_scale={value} is not possible: these models are not trained to generate without their "
                "input, so there is nothing to guide away from; leave it out."
            )


def check_cached_source(cached: Tensor, encoded: Tensor):
    """Refuse a cache that comes from other texts or motions than those that were given now.

    Args:
        cached: (batch, ...) what was made of those behind the cache.
        encoded: (batch, ...) the same of those that were given now.

    Raises:
        ValueError: if the two differ by more than rounding.
    """
    if cached is encoded:
        return
    tolerance = 0.01 if encoded.element_size() > 2 else 0.1
    refuse_unless(
        torch.isclose(cached.to(encoded), encoded.detach(), tolerance, tolerance),
        "`past_key_values` comes from another text or motion: give the one that it belongs to, or leave it out.",
    )


def check_cross_attention(cache: Cache, encoded: Tensor, decoder: MarianDecoder):
    """`check_cached_source` by the keys of the first layer that a cache has of its text or motion.

    Args:
        cache: of keys and values, whose rows may have been put in another order.
        encoded: (batch, length, d_model) the text or motion that was given now.
        decoder: reads the two. In the steps of one `generate()`, the keys are compared once.
    """
    if torch.compiler.is_compiling() or not isinstance(cache, EncoderDecoderCache):
        return
    if cache.is_updated.get(0) and getattr(cache, "source", None) is not encoded:
        attention = decoder.layers[0].encoder_attn
        keys = split_heads(attention.k_proj(encoded), attention.num_heads)
        cached = cache.cross_attention_cache.layers[0].keys[:, :, : keys.shape[2]]  # (batch, heads, length, size)
        if len(cached) == len(keys):  # else the cache is of other rows, which attention refuses
            check_cached_source(F.pad(cached, (0, 0, 0, keys.shape[2] - cached.shape[2])), keys)
    cache.source = encoded


class CheckedGenerationMixin(GenerationMixin):
    """`GenerationMixin` for models whose `generate()` checks its arguments first."""

    def _prepare_generation_config(
        self, generation_config: GenerationConfig | None, **kwargs
    ) -> tuple[GenerationConfig, dict]:
        check_generation_arguments(kwargs)  # before transformers computes with them
        prepared, model_kwargs = super()._prepare_generation_config(generation_config, **kwargs)
        check_generation_arguments(vars(prepared))  # with what a generation config says
        given = kwargs.get("max_length", generation_config and generation_config.max_length)
        if given is None and prepared.max_new_tokens is not None:
            # The model's own, or what `Seq2SeqTrainer` fills in after its first batch: transformers would warn of it,
            # and take the number of new tokens all the same.
            prepared.max_length = None
        return prepared, model_kwargs


__all__ = [
    "NO_LABELS",
    "CheckedGenerationMixin",
    "check_cached_source",
    "check_cross_attention",
    "check_generation_arguments",
]
