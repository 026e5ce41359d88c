# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the two transformers do about the speed of `generate()`."""

from contextlib import AbstractContextManager

from torch import Tensor
from transformers.cache_utils import Cache
from transformers.generation import GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.utils import ModelOutput

from .packed_weights import packed


class FastTokensMixin:
    """Lets the loops of `generate()` read packed weights, and a beam search move less about."""

    def _sample(
        self,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        **kwargs,
    ) -> ModelOutput | Tensor:
        """The loop of `generate()` without beams: as in the base class."""
        with self._packed(input_ids, generation_config):
            return super()._sample(input_ids, logits_processor, stopping_criteria, generation_config, **kwargs)

    def _beam_search(
        self,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        **kwargs,
    ) -> ModelOutput | Tensor:
        """The loop of `generate()` with beams, which are rows of `input_ids`: as in the base class."""
        with self._packed(input_ids, generation_config):
            return super()._beam_search(input_ids, logits_processor, stopping_criteria, generation_config, **kwargs)

    def _packed(self, input_ids: Tensor, generation_config: GenerationConfig) -> AbstractContextManager:
        parts = self.get_decoder(), self.get_output_embeddings()
        return packed(*parts, rows=len(input_ids), uses=generation_config.max_length - input_ids.shape[1])

    def _reorder_cache(self, past_key_values: Cache, beam_idx: Tensor) -> Cache:
        """Let beam i go on from what `beam_idx[i]`, another beam of the same row, has written.

        Keys and values of the source stay where they are, as they are the same for all beams of a row.
        """
        written = getattr(past_key_values, "self_attention_cache", past_key_values)
        written.reorder_cache(beam_idx)
        return past_key_values


__all__ = ["FastTokensMixin"]
