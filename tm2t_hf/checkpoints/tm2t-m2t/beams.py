# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Beam searches that move less about than those of transformers, and find the same."""

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.cache_utils import Cache, DynamicLayer, EncoderDecoderCache
from transformers.generation import GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.generation.utils import GenerateBeamEncoderDecoderOutput
from transformers.modeling_outputs import BaseModelOutput

from .beam_steps import BeamSteps, chosen_beams
from .layers_transformer import TransformerAttention, TransformerDecoderLayer
from .packed_weights import has_hooks, is_traced, packed_layer
from .sampling import short_processes, usual_endings

NONE_YET = -1e9  # the score of a beam that does not exist
READ_IN_STEPS = {"encoder_outputs", "attention_mask", "past_key_values", "use_cache", "logits_to_keep"}


class BeamsShareSourceMixin:
    """Lets a beam search of `generate()` move less about."""

    def _reorder_cache(self, past_key_values: Cache, beam_idx: Tensor) -> Cache:
        """Let beam i go on from what `beam_idx[i]`, another beam of the same row, has written.

        Keys and values of the source stay where they are, as they are the same for all beams of a row.
        """
        written = getattr(past_key_values, "self_attention_cache", past_key_values)
        written.reorder_cache(beam_idx)
        return past_key_values


class ShortBeamsMixin(BeamsShareSourceMixin):
    """A `MarianMTModel` whose `generate()` searches by `BeamSteps`, wherever only the ids are asked for."""

    def _prepare_cache_for_generation(self, generation_config: GenerationConfig, model_kwargs: dict, *args, **kwargs):
        given = model_kwargs.get("past_key_values")
        if given is not None:
            given.belongs_to_caller = True  # who may look into it afterwards
        return super()._prepare_cache_for_generation(generation_config, model_kwargs, *args, **kwargs)

    def _beam_search(
        self,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        synced_gpus: bool = False,
        **model_kwargs,
    ) -> GenerateBeamEncoderDecoderOutput | Tensor:
        """What `generate()` does with beams: as in the base class, from which it gives the same ids.

        Where `BeamSearch` meets what it cannot do, the search begins again in the base class, which calls the logits
        processors anew.
        """
        config, found = generation_config, None
        max_length, last_ids, others = usual_endings(stopping_criteria)
        asks_more = config.return_dict_in_generate or config.do_sample or config.low_memory or synced_gpus
        is_short = not (asks_more or others) and max_length == config.max_length and input_ids.shape[1] == 1
        if is_short and self._takes_beam_steps(model_kwargs):
            found = self._search_by_steps(input_ids, logits_processor, last_ids, config, **model_kwargs)
        if found is None:
            arguments = (input_ids, logits_processor, stopping_criteria, config, synced_gpus)
            return super()._beam_search(*arguments, **model_kwargs)
        return found

    def _takes_beam_steps(self, model_kwargs: dict) -> bool:
        config, decoder, cache = self.config, self.model.decoder, model_kwargs.get("past_key_values")
        if any(value is not None for name, value in model_kwargs.items() if name not in READ_IN_STEPS):
            return False
        if self.training or torch.is_grad_enabled() or is_traced():
            return False
        if config._attn_implementation != "sdpa" or config.output_attentions or config.output_hidden_states:
            return False
        if not model_kwargs.get("use_cache") or not isinstance(cache, EncoderDecoderCache):
            return False
        own = cache.self_attention_cache
        is_plain_cache = not own.offloading and all(type(kept) is DynamicLayer for kept in own.layers)
        if hasattr(cache, "belongs_to_caller") or not is_plain_cache:
            return False
        attentions = [part for layer in decoder.layers for part in (layer.self_attn, layer.encoder_attn)]
        if any(type(layer) is not TransformerDecoderLayer for layer in decoder.layers):
            return False
        if any(type(attention) is not TransformerAttention for attention in attentions):
            return False
        # what is attached to a part whose call is left out
        parts = self, self.model, decoder, *decoder.layers, *attentions
        return not any(has_hooks(part) or "forward" in vars(part) or part._compiled_call_impl for part in parts)

    def _search_by_steps(
        self,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        last_ids: list[int],
        config: GenerationConfig,
        encoder_outputs: BaseModelOutput,
        attention_mask: Tensor | None = None,
        **model_kwargs,
    ) -> Tensor | None:
        """The captions (batch * num_return_sequences, length); None if `BeamSearch` cannot find them."""
        beams, steps = config.num_beams, config.max_length - 1
        source = encoder_outputs[0][::beams].contiguous()
        mask = None if attention_mask is None else attention_mask[::beams]
        read = BeamSteps(self.model.decoder, source, mask, beams, steps)
        head, processes = packed_layer(self.lm_head, len(input_ids), steps), short_processes(logits_processor)
        search = BeamSearch(input_ids.view(-1, beams, 1), last_ids, config)
        while True:
            hidden = read(search.ids[..., -1], search.origins)
            logits = (head(hidden) + self.final_logits_bias).squeeze(1).to(torch.float32)
            scores = logits.log_softmax(-1)  # (batch * beams, vocabulary)
            for process in processes:
                scores = process(search.ids.flatten(0, 1), scores)
            if not search.extend(scores.unflatten(0, (-1, beams))):
                return None
            if search.is_over:
                return search.best(config.num_return_sequences)


class BeamSearch:
    """The beams of a batch, by the rules of `GenerationMixin._beam_search`.

    Args:
        ids: (batch, beams, 1) what every beam begins with.
        last_ids: with which a beam ends.
        config: says how long, and which of the ended ones is best.
    """

    def __init__(self, ids: Tensor, last_ids: list[int], config: GenerationConfig):
        self.ids, self.config, self.is_over = ids, config, False
        self.last_ids = last_ids
        self.candidates = max(2, 1 + len(last_ids)) * ids.shape[1]  # such that enough go on even if the best end
        self.origins = None  # (batch, beams) the beam of the token before that each one continues
        self.scores = torch.full(ids.shape[:2], NONE_YET, device=ids.device)  # (batch, beams)
        self.scores[:, 0] = 0  # all begin alike: one is enough
        self.ended: _Ended | None = None

    def extend(self, scores: Tensor) -> bool:
        """Go on by one id each.

        Args:
            scores: (batch, beams, vocabulary) log-probabilities.

        Returns:
            Whether it could be done: not with too few possible ids, nor with scores beyond all bounds.
        """
        beams, vocabulary = scores.shape[1:]
        totals = (scores + self.scores.unsqueeze(-1)).flatten(1)  # (batch, beams * vocabulary)
        if totals.shape[1] < self.candidates:
            return False
        best, places = totals.topk(self.candidates)  # (batch, candidates)
        if not (best[:, -1] > NONE_YET / 2).all():
            return False
        origins, last = places // vocabulary, places % vocabulary
        ids = torch.cat([chosen_beams(self.ids, origins), last.unsqueeze(-1)], dim=-1)  # (batch, candidates, length)
        is_longest = ids.shape[-1] >= self.config.max_length
        ends = torch.ones_like(last, dtype=torch.bool) if is_longest else self._end(last)
        going, chosen = best.masked_fill(ends, NONE_YET).topk(beams)
        if ends[:, :beams].any():
            self.ended = _Ended(self.ids, self.config) if self.ended is None else self.ended
            if not self.ended.take(ids, best, ends):
                return False
        self.ids, self.scores, self.origins = chosen_beams(ids, chosen), going, origins.gather(1, chosen)
        self.is_over = is_longest or (self.ended is not None and not self.ended.may_improve(going, ids.shape[-1]))
        return True

    def _end(self, last: Tensor) -> Tensor:
        ends = torch.zeros_like(last, dtype=torch.bool)
        for index in self.last_ids:
            ends = ends | (last == index)
        return ends

    def best(self, number: int) -> Tensor:
        """The best that have ended, so many of each row, best first: (batch * number, length)."""
        ended = self.ended
        longest = int(ended.lengths[:, :number].max())
        return ended.ids[:, :number, :longest].flatten(0, 1)


class _Ended:
    """The best beams of each row that have ended, as many as there are beams.

    Args:
        ids: (batch, beams, length) those that go on.
        config: of the search.
    """

    def __init__(self, ids: Tensor, config: GenerationConfig):
        self.config = config
        pad, last = config._pad_token_tensor, config._eos_token_tensor
        # as in transformers, where a pad id of 0 gives way
        self.fill = -1 if last is None else int(last[0] if pad is None or pad == 0 else pad)
        self.ids = torch.full_like(ids, self.fill)
        self.lengths = torch.zeros(ids.shape[:2], dtype=torch.long, device=ids.device)
        self.scores = torch.full(ids.shape[:2], NONE_YET, device=ids.device)  # (batch, beams)
        self.are_there = torch.zeros(ids.shape[:2], dtype=torch.bool, device=ids.device)
        self.can_improve = torch.ones(len(ids), 1, dtype=torch.bool, device=ids.device)  # (batch, 1)

    def take(self, ids: Tensor, totals: Tensor, ends: Tensor) -> bool:
        """Take in those of ids (batch, candidates, length) that end, if they are better than what is there.

        Only as many candidates count as there are beams: the others are there to go on in their place.

        Args:
            ids: best first.
            totals: (batch, candidates) their log-probabilities.
            ends: (batch, candidates) which of them end.

        Returns:
            Whether their scores can be told from those of beams that do not exist; without, nothing has changed.
        """
        beams, length = self.ids.shape[1], ids.shape[-1]
        counts = ends[:, :beams] & self.can_improve
        if self.config.early_stopping is True:
            counts = counts & ~self.are_there.all(1, keepdim=True)
        scores = totals[:, :beams] / _spread(length, self.config)
        if (counts & ~(scores > NONE_YET / 2)).any():
            return False
        scores = scores.masked_fill(~counts, NONE_YET)
        self.ids = F.pad(self.ids, (0, length - self.ids.shape[-1]), value=self.fill)
        self.scores, best = torch.cat([self.scores, scores], dim=1).topk(beams)
        self.ids = chosen_beams(torch.cat([self.ids, ids[:, :beams]], dim=1), best)
        self.are_there = torch.cat([self.are_there, counts], dim=1).gather(1, best)
        self.lengths = torch.cat([self.lengths, torch.full_like(self.lengths, length)], dim=1).gather(1, best)
        return True

    def may_improve(self, going: Tensor, length: int) -> bool:
        """Whether any that go on, log-probabilities (batch, beams) at this length, may still become better."""
        early, penalty = self.config.early_stopping, self.config.length_penalty
        expected = self.config.max_length if early == "never" and penalty > 0 else length
        worst = self.scores.amin(1, keepdim=True).masked_fill(~self.are_there.all(1, keepdim=True), NONE_YET)
        self.can_improve = self.can_improve & (going[:, :1] / _spread(expected, self.config) > worst)
        return bool(self.can_improve.any()) and not (early is True and bool(self.are_there.all()))


def _spread(length: int, config: GenerationConfig) -> float:
    """By what the log-probability of ids is divided, of which the first was given."""
    return (length - 1) ** config.length_penalty


__all__ = ["BeamSearch", "BeamsShareSourceMixin", "ShortBeamsMixin"]
