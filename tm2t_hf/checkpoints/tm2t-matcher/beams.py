# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the two transformers do about beams."""

from torch import Tensor
from transformers.cache_utils import Cache


class BeamsShareSourceMixin:
    """Lets a beam search of `generate()` move less about."""

    def _reorder_cache(self, past_key_values: Cache, beam_idx: Tensor) -> Cache:
        """Let beam i go on from what `beam_idx[i]`, another beam of the same row, has written.

        Keys and values of the source stay where they are, as they are the same for all beams of a row.
        """
        written = getattr(past_key_values, "self_attention_cache", past_key_values)
        written.reorder_cache(beam_idx)
        return past_key_values


__all__ = ["BeamsShareSourceMixin"]
