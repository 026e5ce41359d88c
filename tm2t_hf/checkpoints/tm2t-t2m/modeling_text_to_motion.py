# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Text to motion: a bidirectional GRU over words and an attentive GRU over motion tokens (TM2T, section 3.2)."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init
from transformers.generation import GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.modeling_utils import PreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_text_to_motion import TextToMotionConfig
from .generation_arguments import NO_LABELS
from .generation_text_to_motion import EndOfMotionByArgmax, MotionGenerationMixin
from .layers_text_to_motion import (
    Attend,
    MotionDecoder,
    RecurrentCache,
    TextEncoder,
    TextEncoderOutput,
    checked_text,
)
from .loading import WholeWeightsMixin
from .modeling_motion_vq import MotionVQModel
from .packed_weights import drops, has_hooks, has_its_own, is_plain, packed_layer
from .recurrent import WordVectorsMixin
from .sampling import Endings, draw, short_processes
from .stepwise import learns_in_steps, with_gradients
from .text_features import FrozenPartsMixin

NOT_FINITE = "The model gives NaN or infinite logits: check its weights, or load it in float32."


class TextToMotionPreTrainedModel(WholeWeightsMixin, WordVectorsMixin, PreTrainedModel):
    """Loads, saves and initializes the text-to-motion model."""

    config: TextToMotionConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    # What runs as a whole on one device.
    _no_split_modules = ["TextEncoder", "MotionGRU", "MotionVQEncoder", "MotionVQDecoder"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_sdpa = True  # one kind of attention serves whatever is asked for

    @torch.no_grad()
    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            init.xavier_normal_(module.weight, gain=getattr(module, "init_gain", 1.0))
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, nn.GRU):
            for parameter in module.parameters():
                init.uniform_(parameter, -(module.hidden_size**-0.5), module.hidden_size**-0.5)
        elif isinstance(module, TextEncoder):
            init.normal_(module.initial_state)


class TextToMotionModel(FrozenPartsMixin, TextToMotionPreTrainedModel, MotionGenerationMixin):
    """Motion tokens from text, and features from motion tokens.

    `generate()` gives ids of the motion vocabulary, `decode_motion()` the features, in normalized units. The VQ model
    is the sub-model `vq` (None without a `vq_config`).

    A program of `torch.export` takes any number of texts, but of the padded length that it was exported with, since
    the export writes out every step of a GRU: pad texts to the longest length that is needed.
    """

    _is_stateful = True
    accepts_loss_kwargs = True  # `Trainer` asks whether there is `num_items_in_batch`
    _tied_weights_keys = {"lm_head.weight": "decoder.embed_tokens.weight"}

    def __init__(self, config: TextToMotionConfig):
        config.validate_architecture()  # may have been changed since it was made
        config.validate_codebook_size()
        config.validate_vq_config()
        super().__init__(config)
        self.encoder = TextEncoder(config)
        self.decoder = MotionDecoder(config)
        self.dropout = nn.Dropout(config.dropout)
        self.lm_head = nn.Linear(config.motion_hidden_size, config.vocab_size, bias=False)
        self.vq = None if config.vq_config is None else MotionVQModel(config.vq_config)
        self.freeze_parts()
        self.generation_config = self.new_generation_config()
        self.post_init()

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # the cache is a RecurrentCache, made by forward

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        encoder_outputs: TextEncoderOutput | tuple | None = None,
        past_key_values: RecurrentCache | None = None,
        use_cache: bool | None = None,
        teacher_forcing: bool = True,
        decoder_attention_mask: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Seq2SeqLMOutput:
        """Logits of the motion tokens that follow `decoder_input_ids`.

        Args:
            input_ids: (batch, words) text ids.
            inputs_embeds: (batch, words, text_embedding_size) word vectors, in place of `input_ids`.
            encoder_outputs: what the encoder made of the text, in place of both.
            attention_mask: (batch, words), 0 on the padding (on the right); by default that of `text_pad_id`.
            decoder_input_ids: (batch, tokens) motion ids, beginning with `<bom>`; made from `labels` if left out.
            decoder_inputs_embeds: (batch, tokens, motion_hidden_size) rows of `decoder.embed_tokens`, in place of
                `decoder_input_ids`.
            labels: (batch, tokens) the motion ids to predict, `<eom>` included; -100 is ignored.
            past_key_values: the cache of an earlier call, which `decoder_input_ids` continue: they hold only what the
                cache has not seen. The call moves the cache along.
            use_cache: return a cache; by default, `config.use_cache` in eval mode, and none in an exported program.
            teacher_forcing: False feeds the model's own likeliest ids after the first of `decoder_input_ids`.
            decoder_attention_mask: (batch, tokens), 0 for tokens to skip, as if they were not there, wherever they
                are; with a cache it may also cover the tokens that led there.
            output_hidden_states: return `encoder_hidden_states` (the word vectors and the states of the words) and
                `decoder_hidden_states` (the embeddings, then each layer's states).
            output_attentions: return `cross_attentions`, one (batch, 1, tokens, words).
            num_items_in_batch: with the mean as reduction, divide by this number of labels (`Trainer` gives it when it
                accumulates gradients) rather than by this batch's.

        Returns:
            `loss` (if there are labels), `logits` (batch, tokens, K + 3), `past_key_values`, the encoder's output.

        Raises:
            ValueError: for missing or doubled inputs, an empty text, text padded on its left, a cache or a mask that
                does not fit.
        """
        config = self.config
        output_hidden_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        output_attentions = config.output_attentions if output_attentions is None else output_attentions
        if decoder_input_ids is None and decoder_inputs_embeds is None:
            if labels is None:
                raise ValueError(f"{NO_LABELS}; to make a motion, call generate().")
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        if encoder_outputs is None:
            text = self.encoder(input_ids, attention_mask, inputs_embeds, output_hidden_states)
        else:
            text = checked_text(encoder_outputs, attention_mask)
        first = self._first_state(past_key_values, text)
        embeddings = self._decoder_inputs(decoder_input_ids, decoder_inputs_embeds, text.pooler_output.shape[0])
        seen = 0 if past_key_values is None else past_key_values.seen
        mask = _tokens_to_read(decoder_attention_mask, embeddings, seen)

        if teacher_forcing:
            attend = self.encoder.attention.stepwise(text, embeddings.shape[1])
            ids = None if output_hidden_states else decoder_input_ids  # embeddings that are returned have a gradient
            layers, state = self.decoder.advance(embeddings, first, attend, mask, output_hidden_states, ids)
            states = layers[-1]
        elif decoder_input_ids is None or mask is not None or output_hidden_states or output_attentions:
            raise ValueError(
                "`teacher_forcing=False` feeds the model's own ids: it takes `decoder_input_ids`, and neither a mask "
                "of them nor `output_hidden_states` nor `output_attentions`."
            )
        else:
            steps = embeddings.shape[1]
            states, state = self.unroll(
                decoder_input_ids[:, 0], first, text, steps, lambda step, logits: (logits.argmax(-1), False)
            )
        logits = self.lm_head(self.dropout(self.read(states, text)))  # (batch, tokens, vocabulary)

        loss = None
        if labels is not None:
            loss = F.cross_entropy(
                logits.flatten(0, 1).float(),
                labels.to(logits.device).flatten(),
                reduction=config.loss_reduction if num_items_in_batch is None else "sum",
                # torch spreads it over the right id too, the paper's code over the others
                label_smoothing=config.label_smoothing * logits.shape[-1] / (logits.shape[-1] - 1),
            )
            if num_items_in_batch is not None and config.loss_reduction == "mean":
                loss = loss / num_items_in_batch
        if use_cache is None:
            use_cache = config.use_cache and not (self.training or torch.compiler.is_exporting())
        if use_cache:
            past_key_values = RecurrentCache() if past_key_values is None else past_key_values
            read = decoder_input_ids if teacher_forcing and decoder_inputs_embeds is None else None
            past_key_values.advance(state, embeddings.shape[1], read, text)
        return Seq2SeqLMOutput(
            loss=loss,
            logits=logits,
            past_key_values=past_key_values if use_cache else None,
            decoder_hidden_states=(embeddings, *layers) if output_hidden_states else None,
            cross_attentions=(self._attention_weights(first, states, text),) if output_attentions else None,
            encoder_last_hidden_state=text.last_hidden_state,
            encoder_hidden_states=text.hidden_states if output_hidden_states else None,
        )

    def _first_state(self, cache: RecurrentCache | None, text: TextEncoderOutput) -> Tensor:
        if cache is not None and not isinstance(cache, RecurrentCache):
            raise ValueError(
                f"`past_key_values` must be a RecurrentCache, as this model returns it; got a {type(cache).__name__}."
            )
        if cache is None or cache.state is None:
            return self.decoder.start(text)
        cache.check_text(text)
        return cache.state

    def _decoder_inputs(self, ids: Tensor | None, embeddings: Tensor | None, batch: int) -> Tensor:
        """Embeddings (batch, tokens, motion_hidden_size) of what the decoder reads."""
        if (ids is None) == (embeddings is None):
            raise ValueError("Give the motion either as `decoder_input_ids` or as `decoder_inputs_embeds`.")
        embeddings = self.decoder.embed_tokens(ids) if embeddings is None else embeddings.to(self.dtype)
        if embeddings.shape[0] != batch or embeddings.shape[1] == 0:
            raise ValueError(
                f"The decoder's input is (batch, tokens) = {tuple(embeddings.shape[:2])}; it must be of "
                f"{batch} motions, one for each text, with at least one token."
            )
        return embeddings

    def _attend(self, text: TextEncoderOutput) -> Attend:
        return partial(self.encoder.attention, text=text)

    def _attention_weights(self, first: Tensor, states: Tensor, text: TextEncoderOutput) -> Tensor:
        """Weights (batch, 1, tokens, words) of the words for each token that was read."""
        if not self.decoder.late:  # early attention looks from the state before the token
            states = torch.cat([first[-1].unsqueeze(1), states[:, :-1]], dim=1)
        return self._attend(text)(states)[1].unsqueeze(1)

    def read(self, states: Tensor, text: TextEncoderOutput) -> Tensor:
        """What the logits are read off, of GRU states and of their shape (batch, tokens, motion_hidden_size)."""
        return self.decoder.read(states, self._attend(text))

    def checked_text(
        self, encoder_outputs: TextEncoderOutput | tuple, attention_mask: Tensor | None
    ) -> TextEncoderOutput:
        """As `layers_text_to_motion.checked_text`."""
        return checked_text(encoder_outputs, attention_mask)

    def free_run(
        self, text: TextEncoderOutput, steps: int, choose: Callable[[int, Tensor], tuple[Tensor, bool]]
    ) -> Tensor:
        """Let the decoder run on its own choices; see `unroll`.

        Args:
            text: the encoded text.
            steps: the most ids to choose.
            choose: takes the step and its logits (batch, K + 3); returns the next ids (batch,) and whether to stop.

        Returns:
            Logits (batch, chosen, K + 3).
        """
        begin = torch.full((len(text.pooler_output),), self.config.bos_token_id, device=text.pooler_output.device)
        kept = []

        def keep_and_choose(step: int, logits: Tensor) -> tuple[Tensor, bool]:
            kept.append(logits)
            return choose(step, logits)

        states, _ = self.unroll(begin, self.decoder.start(text), text, steps, keep_and_choose)
        read = self.read(states, text)
        if is_plain(self.lm_head) and learns_in_steps(read):
            return with_gradients(torch.stack(kept, dim=1), read, self.lm_head.weight, self.lm_head.bias)
        return self.lm_head(read)

    def _sample(
        self,
        input_ids: Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        synced_gpus: bool = False,
        streamer: BaseStreamer | None = None,
        **model_kwargs,
    ) -> ModelOutput | Tensor:
        """What `generate()` does unless there are beams: as in the base class, from which it gives the same ids.

        Where nothing but the ids is asked for, the steps go without what the base class keeps track of in each, which
        takes it as long as the arithmetic of a single motion.

        Raises:
            ValueError: the logits are NaN or infinite.
        """
        own_cache = model_kwargs.get("past_key_values") is None and model_kwargs.get("use_cache")
        pad_id = generation_config._pad_token_tensor
        asks_more = generation_config.return_dict_in_generate or streamer is not None or synced_gpus
        if asks_more or not self._may_be_left_out() or not own_cache or pad_id is None:
            arguments = (input_ids, logits_processor, stopping_criteria, generation_config, synced_gpus, streamer)
            return super()._sample(*arguments, **model_kwargs)
        output = self(**self.prepare_inputs_for_generation(input_ids, **model_kwargs), return_dict=True)
        text, logits, states = model_kwargs["encoder_outputs"], output.logits[:, -1], output.past_key_values.state
        steps = generation_config.max_length
        attend = self.encoder.attention.stepwise(text, steps)
        advance = self.decoder.stepper(attend, steps, len(input_ids))
        head = packed_layer(self.lm_head, len(input_ids), steps)
        choose = draw if generation_config.do_sample else partial(torch.argmax, dim=-1)
        processes, pad_id = short_processes(logits_processor), pad_id.to(input_ids.device)
        running = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
        endings = Endings(stopping_criteria, running)
        while True:
            scores = logits.to(input_ids.device, torch.float32)
            for process in processes:
                scores = process(input_ids, scores)
            ids = choose(scores).where(endings.running, pad_id)  # (batch,)
            input_ids = torch.cat([input_ids, ids.unsqueeze(1)], dim=1)
            if endings.all_after(input_ids):
                if (scores.isnan() | scores.isposinf()).any():  # -inf is what must not be drawn
                    raise ValueError(NOT_FINITE)
                return input_ids
            top, states = advance(ids, states)
            logits = head(self.decoder.read(top.unsqueeze(1), attend)).squeeze(1)

    def _may_be_left_out(self) -> bool:
        """Whether nobody notices that `forward` is not called for a token."""
        if has_its_own(self, TextToMotionModel, "forward", "prepare_inputs_for_generation"):
            return False
        return not (self._compiled_call_impl or has_hooks(self) or has_hooks(self.decoder) or drops(self.dropout))

    def unroll(
        self,
        ids: Tensor,
        state: Tensor,
        text: TextEncoderOutput,
        steps: int,
        choose: Callable[[int, Tensor], tuple[Tensor, bool]],
    ) -> tuple[Tensor, Tensor]:
        """Let the decoder run on its own choices.

        The gradient flows along the recurrent state, not through the choices. The logits here are without it: those
        of all steps get it at once, from the states that are returned.

        Args:
            ids: (batch,) first ids.
            state: (layers, batch, motion_hidden_size) before them.
            text: the encoded text.
            steps: the most ids to feed.
            choose: takes the step and its logits (batch, K + 3); returns the next ids (batch,) and whether to stop.

        Returns:
            GRU states (batch, chosen, motion_hidden_size), and the last state of all layers.
        """
        tops, states = [], state
        advance = self.decoder.stepper(self.encoder.attention.stepwise(text, steps), steps, len(ids))
        with torch.no_grad():
            head = packed_layer(self.lm_head, len(ids), steps)
        for step in range(steps):
            top, states = advance(ids, states)
            tops.append(top)
            with torch.no_grad():
                ids, done = choose(step, head(self.read(top.unsqueeze(1), text)).squeeze(1))
            if done:
                break
        return torch.stack(tops, dim=1), torch.stack(list(states))


def _tokens_to_read(mask: Tensor | None, embeddings: Tensor, seen: int) -> Tensor | None:
    """Mask (batch, tokens) of embeddings (batch, tokens, size) that follow `seen` tokens; None if none are hidden."""
    if mask is None:
        return None
    batch, tokens = embeddings.shape[:2]
    if mask.shape[0] != batch or mask.shape[1] not in (tokens, seen + tokens):
        raise ValueError(
            f"`decoder_attention_mask` is {tuple(mask.shape)}, but the decoder reads {(batch, tokens)}"
            + (f" after {seen} tokens." if seen else ".")
        )
    mask = mask[:, -tokens:].bool()
    return mask if torch.compiler.is_exporting() or not mask.all() else None


__all__ = [
    "EndOfMotionByArgmax",
    "RecurrentCache",
    "TextEncoderOutput",
    "TextToMotionModel",
    "TextToMotionPreTrainedModel",
]
