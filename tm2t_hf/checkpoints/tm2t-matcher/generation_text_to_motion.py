# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`generate()` of the text-to-motion models: lengths in seconds, motions to continue, the original's end rule."""

import copy
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.generation import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.generation.logits_process import SuppressTokensLogitsProcessor, TopKLogitsWarper
from transformers.utils import ModelOutput

from .configuration_base import SPECIAL_IDS
from .generation_arguments import CheckedGenerationMixin, check_generation_arguments
from .layers_text_to_motion import RecurrentCache
from .sampling import Drawable, is_among
from .vocabulary import check_ids, ids_to_codes

# `labels` are those of a batch that `Seq2SeqTrainer(predict_with_generate=True)` passes on as it is.
NOT_FOR_FORWARD = frozenset({"attention_mask", "is_first_iteration", "labels", "next_sequence_length"})

MOST_FRAMES = 200  # of a motion, unless the caller allows more: the original's 50 tokens of 4 frames

LIMITS = {  # the arguments of `generate()` that set the same limit
    "min": ("min_seconds", "min_new_tokens", "min_length"),
    "max": ("max_seconds", "max_new_tokens", "max_length"),
}


def find_limit(limit: str, *sources: Mapping[str, Any]) -> tuple[str, Any] | None:
    """The argument that sets a limit, and its value; None if nothing does.

    Args:
        limit: "min" or "max".
        sources: arguments by name, the first of which that sets the limit counts. One that sets it in seconds and in
            tokens counts in seconds: every generation config has a number of tokens, by default.
    """
    for source in sources:
        for name in LIMITS[limit]:
            if source.get(name) is not None:
                return name, source[name]
    return None


def replaced_lengths(kwargs: dict) -> dict[str, None]:
    """None for the lengths that a pipeline may have been made with, but that this call sets in another unit.

    A generation config replaces them all; transformers itself leaves out those in tokens.
    """
    inner = kwargs.get("generate_kwargs")
    given = {**kwargs, **inner} if isinstance(inner, dict) else kwargs
    set_now = [names for names in LIMITS.values() if any(given.get(name) is not None for name in names)]
    replaced = [name for names in set_now for name in names]
    if given.get("generation_config") is not None:
        replaced += ["min_seconds", "max_seconds"]
    return {name: None for name in replaced if name not in given}


class EndOfMotionByArgmax(LogitsProcessor):
    """The original's rule of sampling: a motion ends where `<eom>` is the likeliest id, and nowhere else.

    Switched on for a model by `model.generation_config.eom_by_argmax = True` or `generate(eom_by_argmax=True)`, which
    also places it rightly: after what forbids an early end (`min_new_tokens`), before what forbids `<bom>` and `<pad>`
    and before temperature and truncation.

    Args:
        eom_id: id of `<eom>`.
        top_k: how many of the likeliest ids stay. The original counts the special ids among them, `generate()` alone
            would not. None keeps all.
        bom_id, pad_id: are never drawn, unless None.
    """

    def __init__(self, eom_id: int, top_k: int | None = None, bom_id: int | None = None, pad_id: int | None = None):
        self.eom_id, self.top_k = eom_id, top_k
        self.never = [i for i in (eom_id, bom_id, pad_id) if i is not None]
        self._prepared: tuple[Drawable, Tensor] | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (batch, vocabulary) -> the same, with -inf at ids that are not to be drawn."""
        if self._prepared is None or self._prepared[1].device != scores.device:
            is_other = ~is_among([self.eom_id], scores)
            self._prepared = Drawable(self.never, self.top_k, scores), is_other
        drawable, is_other = self._prepared
        ends = scores.argmax(-1, keepdim=True) == self.eom_id  # (batch, 1)
        return scores.masked_fill(torch.where(ends, is_other, drawable.hidden(scores)), -torch.inf)


class MotionGenerationMixin(CheckedGenerationMixin):
    """`generate()` and `decode_motion()` of the text-to-motion models.

    A model with positions for a limited number of tokens has them as `config.max_position_embeddings`, and every model
    checks the encoded text by a method `checked_text`.
    """

    def new_generation_config(self) -> GenerationConfig:
        """How a new model generates.

        Not made from the model's config: it would be saved as such, and its own entries not loaded again.
        """
        config = self.config
        tokens = MOST_FRAMES // (4 if config.vq_config is None else config.vq_config.unit_length)
        return GenerationConfig(
            **{name: getattr(config, name) for name in SPECIAL_IDS},
            suppress_tokens=[config.bos_token_id, config.pad_token_id],
            max_new_tokens=min(tokens, getattr(config, "max_position_embeddings", tokens)),
            eom_by_argmax=False,
        )

    @property
    def generation_config(self) -> GenerationConfig | None:
        """How the model generates. The special ids in it are always those of `config`.

        A `Trainer` puts there those of the tokenizer in its `processing_class`, which is the text's. Only None, for
        "there is none", is left as it is.
        """
        generation_config = self._generation_config
        for name in SPECIAL_IDS if generation_config is not None else ():
            if getattr(generation_config, name) is not None:
                setattr(generation_config, name, getattr(self.config, name))
        return generation_config

    @generation_config.setter
    def generation_config(self, generation_config: GenerationConfig | None):
        self._generation_config = generation_config

    def generate(
        self,
        inputs: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        *,
        min_seconds: float | None = None,
        max_seconds: float | None = None,
        **kwargs,
    ) -> Tensor | ModelOutput:
        """`GenerationMixin.generate()` with lengths in seconds too.

        Args:
            inputs: (batch, words) text ids, which may also be called `input_ids`.
            generation_config: comes before that of the model. Either can hold `min_seconds` and `max_seconds`, too,
                which there win over numbers of tokens.
            min_seconds: shortest motion; counted in whole motion tokens that last `vq_config.seconds_per_token`, so
                the motion is never shorter and never longer than requested.
            max_seconds: longest motion, counted likewise.
            **kwargs: what `forward` and `GenerationMixin.generate()` take.

        A motion to continue is given as `decoder_input_ids` (batch, tokens), beginning with `<bom>`. Shorter ones are
        padded with `<pad>` on either side; `decoder_attention_mask` is made from the padding if left out. With the
        cache of an earlier call (`past_key_values`), they hold the whole motion all the same, and only what the cache
        has not seen is read.

        Raises:
            ValueError: for seconds of a model without `vq_config`, lengths that are not positive or contradict each
                other, the same limit given in seconds and in tokens, no text, `guidance_scale`, or a motion to
                continue that does not begin with `<bom>`, or is not the motion of its cache and more.
        """
        check_generation_arguments(kwargs)
        self._check_text(inputs, kwargs)
        self._check_prefix(kwargs)
        lengths = self._lengths({**kwargs, "min_seconds": min_seconds, "max_seconds": max_seconds}, generation_config)
        kwargs |= lengths
        if generation_config is not None:  # into it: transformers warns of arguments beside a generation config
            generation_config = copy.deepcopy(generation_config)
            generation_config.update(**{name: kwargs.pop(name) for name in lengths})
        config = generation_config or self.generation_config
        # Not the model's own `max_length`: `Seq2SeqTrainer` fills it in after its first batch.
        if kwargs.get("max_length", generation_config and config.max_length) is not None and (
            kwargs.get("max_new_tokens", generation_config and config.max_new_tokens) is None
        ):
            kwargs["max_new_tokens"] = None  # else the model's default would win over what the caller asked for
        limit = kwargs.get("max_new_tokens", config.max_new_tokens or self.generation_config.max_new_tokens)
        least = lengths.get("min_new_tokens")
        if least is not None and limit is not None and least > limit:
            raise ValueError(
                f"`min_seconds` asks for {least} motion tokens, but at most {limit} are allowed "
                f"({limit * self.config.vq_config.seconds_per_token:g} s): raise `max_seconds`."
            )
        positions = getattr(self.config, "max_position_embeddings", None)
        start = 1 if kwargs.get("decoder_input_ids") is None else kwargs["decoder_input_ids"].shape[1]
        if positions is not None and limit is not None and start + limit - 1 > positions:  # the last id is not read
            raise ValueError(
                f"{limit} motion tokens after {start} are too many for a model with positions for {positions}: lower "
                "`max_seconds` or `max_new_tokens`."
            )
        return super().generate(inputs, generation_config, **kwargs)

    def _check_text(self, inputs: Tensor | None, kwargs: dict):
        """Check what there is to translate, and tell its padding, which `generate()` would look for by `<pad>`."""
        ids = kwargs.get("input_ids") if inputs is None else inputs
        embeddings, encoded = kwargs.get("inputs_embeds"), kwargs.get("encoder_outputs")
        if encoded is not None:
            kwargs["encoder_outputs"] = self.checked_text(encoded, kwargs.get("attention_mask"))
        elif (ids is None) == (embeddings is None):
            raise ValueError(
                "Give the text to animate as `input_ids`, `inputs_embeds` or `encoder_outputs`, and as one."
            )
        if ids is None or encoded is not None:
            return
        if self.config.text_vocab_size is not None:
            check_ids(ids, "input_ids", self.config.text_vocab_size)
        if kwargs.get("attention_mask") is None:
            kwargs["attention_mask"] = (ids != self.config.text_pad_id).long()

    def _check_prefix(self, kwargs: dict):
        """Check the motion to continue and its cache, and tell its padding."""
        ids, cache = kwargs.get("decoder_input_ids"), kwargs.get("past_key_values")
        bom, pad = self.config.bos_token_id, self.config.pad_token_id
        if cache is not None and cache.get_seq_length() and ids is None:
            raise ValueError("Give the motion that the cache belongs to, and more, as `decoder_input_ids`.")
        if ids is None:
            return
        check_ids(ids, "decoder_input_ids", self.config.vocab_size)
        mask = kwargs.get("decoder_attention_mask")
        if mask is None and (ids == pad).any():
            mask = kwargs["decoder_attention_mask"] = (ids != pad).long()
        read = torch.ones_like(ids) if mask is None else mask.long()
        if read.shape != ids.shape:
            raise ValueError(
                f"`decoder_attention_mask` is {tuple(mask.shape)}, `decoder_input_ids` {tuple(ids.shape)}."
            )
        if (ids == self.config.eos_token_id).any():
            raise ValueError(
                f"A motion to continue must not hold <eom> ({self.config.eos_token_id}), after which nothing counts: "
                "cut it off `decoder_input_ids`."
            )
        if not (ids == bom).any():
            self._check_cached(F.pad(ids, (1, 0), value=bom), cache)  # generate() puts it before them
            return
        self._check_cached(ids, cache)
        first = ids.gather(1, read.argmax(1, keepdim=True)).squeeze(1)  # (batch,)
        if not ((first == bom) & read.any(1)).all() or not (ids[:, 0] == bom).any():
            raise ValueError(
                f"Every motion to continue must begin with <bom> ({bom}) as its first token that the mask does not "
                "hide, and the longest must have no padding before it."
            )

    @staticmethod
    def _check_cached(ids: Tensor, cache: RecurrentCache | None):
        """Refuse a cache that comes from other motions than ids (batch, tokens) begin with."""
        seen = getattr(cache, "ids", None)  # which a cache of keys and values does not know
        if seen is None or len(seen) != len(ids):  # `forward` refuses another batch size
            return
        if not torch.equal(ids[:, : cache.seen], seen[:, : ids.shape[1]].to(ids.device)):
            raise ValueError(
                "The cache has seen other motions than `decoder_input_ids` begin with: give those that it belongs to, "
                "or leave `past_key_values` out."
            )

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, past_key_values: RecurrentCache | None = None, **kwargs
    ) -> dict:
        """What `forward` reads in one step of `generate()`: the ids that the cache has not seen."""
        seen = 0 if past_key_values is None else past_key_values.get_seq_length()
        if seen >= input_ids.shape[1]:
            raise ValueError(
                f"The cache has seen {seen} tokens, but there are only {input_ids.shape[1]}: give the whole motion, "
                "and copy a cache (copy.deepcopy) to continue from it more than once."
            )
        # The encoder has seen the text's mask; the others are hints of generate().
        passed = {name: value for name, value in kwargs.items() if name not in NOT_FOR_FORWARD}
        return {"decoder_input_ids": input_ids[:, seen:], "past_key_values": past_key_values, **passed}

    def _expand_inputs_for_generation(self, expand_size: int = 1, **kwargs):
        cache = kwargs.get("past_key_values")
        if cache is not None and expand_size > 1:
            kwargs["past_key_values"] = cache = copy.deepcopy(cache)
            cache.batch_repeat_interleave(expand_size)
        return super()._expand_inputs_for_generation(expand_size=expand_size, **kwargs)

    def _lengths(self, given: dict, generation_config: GenerationConfig | None) -> dict[str, int]:
        """`min_new_tokens` and `max_new_tokens`, where these limits are set in seconds."""
        lengths = {}
        sources = [given, *(vars(config) for config in (generation_config, self.generation_config) if config)]
        for limit, (in_seconds, *in_tokens) in LIMITS.items():
            for other in in_tokens:
                if given[in_seconds] is not None and given.get(other) is not None:
                    raise ValueError(f"Give `{in_seconds}` or `{other}`, not both.")
            name, value = find_limit(limit, *sources) or (None, None)
            if name == in_seconds:
                lengths[f"{limit}_new_tokens"] = self._tokens_of_seconds(limit, value)
        return lengths

    def _tokens_of_seconds(self, name: str, seconds: float) -> int:
        if self.config.vq_config is None:
            raise ValueError(f"`{name}_seconds` needs a model with `vq_config`: give `{name}_new_tokens` instead.")
        is_number = isinstance(seconds, Real) and not isinstance(seconds, bool)
        if not (is_number and math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"`{name}_seconds` must be a positive number of seconds, got {seconds!r}.")
        tokens = seconds / self.config.vq_config.seconds_per_token
        # 0.6 / 0.2 is a hair less than 3
        tokens = math.ceil(tokens - 1e-6) if name == "min" else math.floor(tokens + 1e-6)
        if tokens < 1:
            raise ValueError(
                f"`max_seconds`={seconds} is shorter than one motion token "
                f"({self.config.vq_config.seconds_per_token:g} s)."
            )
        return tokens

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """Labels (batch, tokens) shifted right behind `<bom>`, -100 replaced by `<pad>`."""
        ids = labels.roll(1, dims=1)
        ids[:, 0] = self.config.bos_token_id
        return ids.masked_fill(ids == -100, self.config.pad_token_id)

    @torch.no_grad()
    def decode_motion(self, ids: Tensor) -> list[Tensor]:
        """Features of motion ids (batch, tokens), each row up to its `<eom>`: `<bom>`, `<eom>`, `<pad>` are left out.

        Returns:
            a (frames, features) tensor a row, in normalized units; (0, features) for a row without a code.

        Raises:
            ValueError: if the model has no `vq`, and for ids that are no tensor (batch, tokens) or no motion ids.
        """
        if self.vq is None:
            raise ValueError("This model has no VQ model to decode with: it was built without `vq_config`.")
        rows = ids_to_codes(ids, self.config)
        if not rows:
            return []
        lengths = torch.tensor([len(row) for row in rows], device=ids.device)
        codes = nn.utils.rnn.pad_sequence(rows, batch_first=True)  # (batch, longest)
        codes = F.pad(codes, (0, max(0, 1 - codes.shape[1])))  # all rows empty: the VQ model wants one token
        mask = (torch.arange(codes.shape[1], device=ids.device) < lengths[:, None]).long()
        motion = self.vq.decode(codes, mask)
        frames = (lengths * self.config.vq_config.unit_length).tolist()
        return [row[:length] for row, length in zip(motion, frames, strict=True)]

    def _get_logits_processor(self, generation_config, *args, **kwargs) -> LogitsProcessorList:
        processors = super()._get_logits_processor(generation_config, *args, **kwargs)
        if getattr(generation_config, "eom_by_argmax", False):
            config = self.config
            top_k = (generation_config.top_k or None) if generation_config.do_sample else None
            rule = EndOfMotionByArgmax(config.eos_token_id, top_k, config.bos_token_id, config.pad_token_id)
            if top_k is not None:  # which the rule has done
                processors = LogitsProcessorList(p for p in processors if not isinstance(p, TopKLogitsWarper))
            suppress = (i for i, p in enumerate(processors) if isinstance(p, SuppressTokensLogitsProcessor))
            place = next(suppress, len(processors))
            following = next(iter(processors[place:]), None)
            forbidden = {config.bos_token_id, config.pad_token_id}
            is_suppression = type(following) is SuppressTokensLogitsProcessor
            if is_suppression and forbidden.issuperset(following.suppress_tokens.flatten().tolist()):
                processors[place] = rule  # which forbids these, too
            else:
                processors.insert(place, rule)
        return processors


__all__ = [
    "LIMITS",
    "EndOfMotionByArgmax",
    "MotionGenerationMixin",
    "find_limit",
    "replaced_lengths",
]
