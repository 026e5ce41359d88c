# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Text to motion: a bidirectional GRU over words and an attentive GRU over motion tokens (TM2T, section 3.2)."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init
from transformers.cache_utils import Cache
from transformers.generation import GenerationConfig, GenerationMixin, LogitsProcessor, LogitsProcessorList
from transformers.generation.logits_process import SuppressTokensLogitsProcessor
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.modeling_utils import PreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_text_to_motion import TextToMotionConfig
from .modeling_motion_vq import MotionVQModel
from .recurrent import (
    BidirectionalGRU,
    WordVectorsMixin,
    before,
    look_up_words,
    mirrored,
    new_word_vectors,
    right_padded_lengths,
    text_lengths,
)
from .vocabulary import ids_to_codes


@dataclass
class TextEncoderOutput(ModelOutput):
    """The encoded text. Batch comes first in every tensor, so that `generate()` expands them all for its beams.

    Args:
        last_hidden_state: (batch, words, 2 * text_hidden_size) states of the words, zeros past a caption's end.
        pooler_output: (batch, 2 * text_hidden_size) last states of both directions: the whole caption.
        keys, values: (batch, words, motion_hidden_size) what the decoder's attention scores against, and takes.
        key_bias: (batch, words) what is added to the scores: hugely negative for masked padding.
        hidden_states: if asked for, the word vectors and `last_hidden_state`.
    """

    last_hidden_state: Tensor | None = None
    pooler_output: Tensor | None = None
    keys: Tensor | None = None
    values: Tensor | None = None
    key_bias: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class TextAttention(nn.Module):
    """Attention of the motion states over the words: one head, scaled dot products.

    Keys and values depend on no step, so the encoder projects them once per text. That includes the projection of the
    output, since that of a weighted mean is the mean of the projections.
    """

    def __init__(self, config: TextToMotionConfig):
        super().__init__()
        size = config.motion_hidden_size
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(2 * config.text_hidden_size, size, bias=False)
        self.value = nn.Linear(2 * config.text_hidden_size, size)
        self.output = nn.Linear(size, size, bias=False)

    def project(self, words: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        """Keys, values and key bias of word states (batch, words, 2 * text_hidden_size); mask is True for words."""
        keys = self.key(words) * self.query.out_features**-0.5  # (batch, words, motion_hidden_size)
        bias = keys.new_zeros(keys.shape[:2])
        if mask is not None:
            bias = bias.masked_fill(~mask, torch.finfo(bias.dtype).min)
        return {"keys": keys, "values": self.output(self.value(words)), "key_bias": bias}

    def forward(self, states: Tensor, text: TextEncoderOutput) -> tuple[Tensor, Tensor]:
        """Text seen from motion states (batch, tokens, motion_hidden_size).

        Returns:
            What is seen, of the same shape, and the weights of the words (batch, tokens, words).
        """
        query = self.query(states)
        weights = torch.baddbmm(text.key_bias.unsqueeze(1), query, text.keys.transpose(1, 2)).softmax(-1)
        return weights @ text.values, weights


class TextEncoder(nn.Module):
    """Word embedding, bidirectional GRU, and the projections that the decoder's attention needs."""

    main_input_name = "input_ids"  # generate() asks

    def __init__(self, config: TextToMotionConfig):
        super().__init__()
        self.config = config
        self.embed_tokens = new_word_vectors(config)
        self.dropout = nn.Dropout(config.dropout)
        self.input_projection = nn.Linear(config.text_embedding_size, config.text_hidden_size)
        self.initial_state = nn.Parameter(torch.empty(2, 1, config.text_hidden_size))
        self.gru = BidirectionalGRU(config.text_hidden_size, config.text_hidden_size)
        self.attention = TextAttention(config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> TextEncoderOutput:
        """Encode a batch of captions: ids (batch, words) or word vectors (batch, words, text_embedding_size)."""
        embeddings = look_up_words(self.embed_tokens, self.config, input_ids, inputs_embeds)
        embeddings = embeddings.to(self.initial_state.dtype)
        if attention_mask is None and input_ids is not None:
            attention_mask = input_ids != self.config.text_pad_id
        lengths = text_lengths(attention_mask, embeddings)
        inputs = self.input_projection(self.dropout(embeddings))
        words, last = self.gru(inputs, lengths, self.initial_state)  # (batch, longest, 2 * text_hidden_size)

        if self.config.flip_backward_states:
            forward, backward = words.chunk(2, dim=-1)
            words = torch.cat([forward, mirrored(backward, lengths)], dim=-1)
        mask = before(lengths, words.shape[1]) if self.config.mask_padding else None
        return TextEncoderOutput(
            last_hidden_state=words,
            pooler_output=last,
            hidden_states=(embeddings[:, : words.shape[1]], words) if output_hidden_states else None,
            **self.attention.project(words, mask),
        )


class MotionGRU(nn.GRU):
    """A GRU over motion tokens that can look at its own state before each token, and skip tokens."""

    def forward(
        self,
        inputs: Tensor,
        state: Tensor,
        mix: Callable[[Tensor, Tensor], Tensor] | None = None,
        mask: Tensor | None = None,
        every_layer: bool = False,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Read tokens.

        Args:
            inputs: (batch, tokens, size).
            state: (layers, batch, size) before the first token.
            mix: makes of a token's input and the top layer's state before it, both (batch, size), what is read.
            mask: (batch, tokens) False for tokens to skip, which leave the state as it is.
            every_layer: return the states of all layers, not of the top one alone.

        Returns:
            States (batch, tokens, size) of each layer that was asked for, and the last state of all layers.
        """
        if mix is None and mask is None and (not every_layer or self.num_layers == 1):
            states, state = super().forward(inputs, state)
            return (states,), state
        all_weights, layers, steps = self.all_weights, list(state), []
        for step, hidden in enumerate(inputs.unbind(1)):
            if mix is not None:
                hidden = mix(hidden, layers[-1])
            earlier, layers = layers, []
            for own, weights in zip(earlier, all_weights, strict=True):
                hidden = torch.gru_cell(hidden, own, *weights)
                layers.append(hidden)
            if mask is not None:
                kept = mask[:, step, None]
                layers = [torch.where(kept, new, old) for new, old in zip(layers, earlier, strict=True)]
            steps.append(layers)
        chosen = range(self.num_layers) if every_layer else (-1,)
        states = tuple(torch.stack([layers[layer] for layers in steps], dim=1) for layer in chosen)
        return states, torch.stack(layers)


# Text seen from motion states (batch, tokens, motion_hidden_size), and the weights of its words.
Attend = Callable[[Tensor], tuple[Tensor, Tensor]]


class MotionDecoder(nn.Module):
    """The attentive GRU over motion tokens.

    It works in two parts, so that only what is recurrent goes step by step: `advance` moves the GRU along the tokens,
    `read` makes of its states what the logits are read off. Early attention is part of the first, late attention of
    the second (and then the GRU takes a whole sequence in one call).
    """

    def __init__(self, config: TextToMotionConfig):
        super().__init__()
        size = config.motion_hidden_size
        self.late = config.attention == "late"
        self.embed_tokens = nn.Embedding(config.vocab_size, size)
        self.dropout = nn.Dropout(config.dropout)
        self.initial_state = nn.Linear(2 * config.text_hidden_size, size * config.num_layers)
        self.gru = MotionGRU(size, size, num_layers=config.num_layers, batch_first=True)
        self.mix = nn.Linear(size, size)
        self.norm = nn.LayerNorm(size)
        if self.late:
            self.projection = nn.Linear(size, size)

    def start(self, text: TextEncoderOutput) -> Tensor:
        """State before the first token -> (layers, batch, motion_hidden_size)."""
        state = self.initial_state(text.pooler_output)
        return state.unflatten(-1, (self.gru.num_layers, -1)).transpose(0, 1).contiguous()

    def advance(
        self, embeddings: Tensor, state: Tensor, attend: Attend, mask: Tensor | None = None, every_layer: bool = False
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Read embeddings (batch, tokens, motion_hidden_size) -> see `MotionGRU.forward`."""
        inputs = self.dropout(embeddings)
        if self.late:
            return self.gru(inputs, state, mask=mask, every_layer=every_layer)

        def mix(own: Tensor, top: Tensor) -> Tensor:
            return self._mixed(own, attend(top.unsqueeze(1))[0].squeeze(1))

        return self.gru(self.mix(inputs), state, mix, mask, every_layer)

    def read(self, states: Tensor, attend: Attend) -> Tensor:
        """GRU states (batch, tokens, motion_hidden_size) -> what the logits are read off, of the same shape."""
        if not self.late:
            return states
        return self.projection(self._mixed(self.mix(states), attend(states)[0]))

    def _mixed(self, own: Tensor, attended: Tensor) -> Tensor:
        # The text may lie on another device, where a device map puts the encoder.
        return F.leaky_relu(self.norm(own + attended.to(own.device)), 0.2)


class RecurrentCache(Cache):
    """The state of the motion GRU between two calls, which move it along.

    Args:
        state: (layers, batch, motion_hidden_size); None before the first call.
        seen: how many tokens led to it.
    """

    is_compileable = False
    is_croppable = False

    def __init__(self, state: Tensor | None = None, seen: int = 0):
        self.state, self.seen, self.layers = state, seen, []

    def __repr__(self) -> str:
        return f"RecurrentCache(seen={self.seen}, state={None if self.state is None else tuple(self.state.shape)})"

    def __len__(self) -> int:
        return 0 if self.state is None else len(self.state)

    def __deepcopy__(self, memo) -> "RecurrentCache":
        return RecurrentCache(None if self.state is None else self.state.clone(), self.seen)  # with its gradient

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many tokens led to the state."""
        return self.seen

    def reset(self):
        """Forget everything: the next call starts a motion."""
        self.state, self.seen = None, 0

    def reorder_cache(self, beam_idx: Tensor):
        """Let row i be what row `beam_idx[i]` was."""
        self._take_rows(beam_idx)

    def batch_select_indices(self, indices: Tensor):
        """Keep these rows."""
        self._take_rows(indices)

    def batch_repeat_interleave(self, repeats: int):
        """Repeat each row."""
        if self.state is not None:
            self.state = self.state.repeat_interleave(repeats, dim=1)

    def _take_rows(self, rows: Tensor):
        if self.state is not None:
            self.state = self.state[:, rows.to(self.state.device)]

    def crop(self, tokens_to_remove: int):
        """Refuse to forget tokens.

        Raises:
            ValueError: unless nothing is to be removed.
        """
        if tokens_to_remove:
            raise ValueError(
                "A recurrent state cannot go back to an earlier token: copy the cache there (copy.deepcopy), or start "
                "again without it."
            )

    def update(self, *args, **kwargs):
        """Refuse keys and values.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("A RecurrentCache holds the state of a TextToMotionModel, no keys and values.")


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

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        ends = scores.argmax(-1, keepdim=True) == self.eom_id  # (batch, 1)
        is_eom = torch.arange(scores.shape[-1], device=scores.device) == self.eom_id
        return torch.where(ends, scores.masked_fill(~is_eom, -torch.inf), drawable(scores, self.never, self.top_k))


def drawable(logits: Tensor, never: list[int], top_k: int | None) -> Tensor:
    """Logits (..., vocabulary) with -inf at the ids `never` and at all but the k likeliest (counted with `never`).

    Where all k likeliest are never drawn, the likeliest of the others stays.
    """
    forbidden = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    forbidden[never] = True
    kept = logits.masked_fill(forbidden, -torch.inf)
    if top_k is not None and top_k < logits.shape[-1]:
        least = torch.minimum(logits.topk(top_k).values[..., -1:], kept.amax(-1, keepdim=True))
        kept = kept.masked_fill(kept < least, -torch.inf)
    return kept


NOT_FOR_FORWARD = frozenset({"attention_mask", "is_first_iteration", "next_sequence_length"})


class TextToMotionPreTrainedModel(WordVectorsMixin, PreTrainedModel):
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
            init.xavier_normal_(module.weight)
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
        elif isinstance(module, TextAttention):
            # In the paper this is one half of a layer from twice the size, which is initialised as a whole.
            init.xavier_normal_(module.output.weight, gain=math.sqrt(2 / 3))
        elif isinstance(module, MotionDecoder):
            init.xavier_normal_(module.mix.weight, gain=math.sqrt(2 / 3))


class TextToMotionModel(TextToMotionPreTrainedModel, GenerationMixin):
    """Motion tokens from text, and features from motion tokens.

    `generate()` gives ids of the motion vocabulary, `decode_motion()` the features, in normalised units. The VQ model
    is the sub-model `vq` (None without a `vq_config`).
    """

    _is_stateful = True
    _tied_weights_keys = {"lm_head.weight": "decoder.embed_tokens.weight"}

    def __init__(self, config: TextToMotionConfig):
        super().__init__(config)
        self.encoder = TextEncoder(config)
        self.decoder = MotionDecoder(config)
        self.dropout = nn.Dropout(config.dropout)
        self.lm_head = nn.Linear(config.motion_hidden_size, config.vocab_size, bias=False)
        self.vq = None if config.vq_config is None else MotionVQModel(config.vq_config)
        # A new one: that made from the model's config would be saved as such, and its own entries not loaded again.
        self.generation_config = GenerationConfig(
            bos_token_id=config.bos_token_id,
            decoder_start_token_id=config.decoder_start_token_id,
            eos_token_id=config.eos_token_id,
            pad_token_id=config.pad_token_id,
            suppress_tokens=[config.bos_token_id, config.pad_token_id],
            max_new_tokens=50,  # the original's limit
            eom_by_argmax=False,
        )
        self.post_init()

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # the cache is a RecurrentCache, made by forward

    def get_input_embeddings(self) -> nn.Embedding | None:
        """The table of word vectors; None for a model that is fed word vectors."""
        return self.encoder.embed_tokens

    def set_input_embeddings(self, value: nn.Embedding):
        """Replace the table of word vectors."""
        self.encoder.embed_tokens = value

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
    ) -> Seq2SeqLMOutput:
        """Logits of the motion tokens that follow `decoder_input_ids`.

        Args:
            input_ids: (batch, words) text ids; or `inputs_embeds`: (batch, words, text_embedding_size) word vectors;
                or `encoder_outputs`, what the encoder made of them.
            attention_mask: (batch, words), 0 on the padding (on the right); by default that of `text_pad_id`.
            decoder_input_ids: (batch, tokens) motion ids, beginning with `<bom>`; made from `labels` if left out. Or
                `decoder_inputs_embeds`: (batch, tokens, motion_hidden_size) rows of `decoder.embed_tokens`.
            labels: (batch, tokens) the motion ids to predict, `<eom>` included; -100 is ignored.
            past_key_values: the cache of an earlier call, which `decoder_input_ids` continue: they hold only what the
                cache has not seen. The call moves the cache along.
            use_cache: return a cache; by default, `config.use_cache` in eval mode.
            teacher_forcing: False feeds the model's own likeliest ids after the first of `decoder_input_ids`.
            decoder_attention_mask: (batch, tokens), 0 for tokens to skip, as if they were not there, wherever they
                are; with a cache it may also cover the tokens that led there.
            output_hidden_states: return `encoder_hidden_states` (the word vectors and the states of the words) and
                `decoder_hidden_states` (the embeddings, then each layer's states).
            output_attentions: return `cross_attentions`, one (batch, 1, tokens, words).

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
                raise ValueError("Give `decoder_input_ids` or `labels`; to make a motion, call generate().")
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        if encoder_outputs is None:
            text = self.encoder(input_ids, attention_mask, inputs_embeds, output_hidden_states)
        else:
            text = _checked_text(encoder_outputs, attention_mask)
        first = self._first_state(past_key_values, text)
        embeddings = self._decoder_inputs(decoder_input_ids, decoder_inputs_embeds, len(text.pooler_output))
        seen = 0 if past_key_values is None else past_key_values.seen
        mask = _tokens_to_read(decoder_attention_mask, embeddings, seen)

        if teacher_forcing:
            layers, state = self.decoder.advance(
                embeddings, first, self._attend(text), mask, every_layer=output_hidden_states
            )
            states = layers[-1]
        elif decoder_input_ids is None or mask is not None or output_hidden_states or output_attentions:
            raise ValueError(
                "`teacher_forcing=False` feeds the model's own ids: it takes `decoder_input_ids`, and neither a mask "
                "of them nor `output_hidden_states` nor `output_attentions`."
            )
        else:
            steps = embeddings.shape[1]
            states, state = self.unroll(
                decoder_input_ids[:, :1], first, text, steps, lambda step, logits: (logits.argmax(-1), False)
            )
        logits = self.lm_head(self.dropout(self.read(states, text)))  # (batch, tokens, vocabulary)

        loss = None
        if labels is not None:
            loss = F.cross_entropy(
                logits.flatten(0, 1).float(),
                labels.to(logits.device).flatten(),
                reduction=config.loss_reduction,
                # torch spreads it over the right id too, the paper's code over the others
                label_smoothing=config.label_smoothing * logits.shape[-1] / (logits.shape[-1] - 1),
            )
        if use_cache is None:
            use_cache = config.use_cache and not self.training
        if use_cache:
            past_key_values = RecurrentCache() if past_key_values is None else past_key_values
            past_key_values.state, past_key_values.seen = state, seen + embeddings.shape[1]
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
        batch = len(text.pooler_output)
        if cache.state.shape[1] != batch:
            raise ValueError(
                f"The cache holds {cache.state.shape[1]} motions, but there are {batch} texts. (After a beam search "
                "it holds all beams: continue from `decoder_input_ids` alone.)"
            )
        return cache.state

    def _decoder_inputs(self, ids: Tensor | None, embeddings: Tensor | None, batch: int) -> Tensor:
        """Embeddings (batch, tokens, motion_hidden_size) of what the decoder reads."""
        if (ids is None) == (embeddings is None):
            raise ValueError("Give the motion either as `decoder_input_ids` or as `decoder_inputs_embeds`.")
        embeddings = self.decoder.embed_tokens(ids) if embeddings is None else embeddings.to(self.dtype)
        if embeddings.shape[0] != batch or embeddings.shape[1] == 0:
            raise ValueError(
                f"The decoder's input is (batch, tokens) = {tuple(embeddings.shape[:2])}; it must be of {batch} motions, "
                "one for each text, with at least one token."
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

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """Labels (batch, tokens) shifted right behind `<bom>`, -100 replaced by `<pad>`."""
        ids = labels.roll(1, dims=1)
        ids[:, 0] = self.config.bos_token_id
        return ids.masked_fill(ids == -100, self.config.pad_token_id)

    def unroll(
        self,
        ids: Tensor,
        state: Tensor,
        text: TextEncoderOutput,
        steps: int,
        choose: Callable[[int, Tensor], tuple[Tensor, bool]],
    ) -> tuple[Tensor, Tensor]:
        """Let the decoder run on its own choices.

        The gradient flows along the recurrent state, not through the choices; the logits here are without it, since
        all of them are computed anew, in one go, from the states that are returned.

        Args:
            ids: (batch, 1) first ids; state, text: what to begin with.
            steps: the most ids to feed.
            choose: takes the step and its logits (batch, K + 3); returns the next ids (batch,) and whether to stop.

        Returns:
            GRU states (batch, chosen, motion_hidden_size), and the last state of all layers.
        """
        tops, attend = [], self._attend(text)
        for step in range(steps):
            (top,), state = self.decoder.advance(self.decoder.embed_tokens(ids), state, attend)
            tops.append(top)
            with torch.no_grad():
                chosen, done = choose(step, self.lm_head(self.decoder.read(top, attend)).squeeze(1))
            if done:
                break
            ids = chosen.unsqueeze(1)
        return torch.cat(tops, dim=1), state

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
            min_seconds, max_seconds: shortest and longest motion; counted in whole motion tokens that last
                `vq_config.seconds_per_token`, so the motion is never shorter and never longer than asked for.

        A motion to continue is given as `decoder_input_ids` (batch, tokens), beginning with `<bom>`. Shorter ones are
        padded with `<pad>` on either side; `decoder_attention_mask` is made from the padding if left out. With the
        cache of an earlier call (`past_key_values`), they hold the whole motion all the same, and only what the cache
        has not seen is read.

        Raises:
            ValueError: for seconds of a model without `vq_config`, lengths that are not positive or contradict each
                other, the same limit given in seconds and in tokens, no text, `guidance_scale`, or a motion to
                continue that does not begin with `<bom>` or does not go beyond its cache.
        """
        self._check_text(inputs, kwargs)
        self._check_prefix(kwargs)
        guidance = kwargs.get("guidance_scale", (generation_config or self.generation_config).guidance_scale)
        if guidance not in (None, 1):
            raise ValueError(
                "`guidance_scale` is not supported: the model was not trained without text, and has nothing to guide "
                "away from."
            )
        for name, seconds in (("min", min_seconds), ("max", max_seconds)):
            if seconds is not None:
                for other in (f"{name}_length", f"{name}_new_tokens"):
                    if kwargs.get(other) is not None:
                        raise ValueError(f"Give `{name}_seconds` or `{other}`, not both.")
                kwargs[f"{name}_new_tokens"] = self._tokens_of_seconds(name, seconds)
        config = generation_config or self.generation_config
        if kwargs.get("max_length", config.max_length) is not None and (
            kwargs.get("max_new_tokens", generation_config and config.max_new_tokens) is None
        ):
            kwargs["max_new_tokens"] = None  # else the model's default would win over what the caller asked for
        limit = kwargs.get("max_new_tokens", config.max_new_tokens or self.generation_config.max_new_tokens)
        if min_seconds is not None and limit is not None and kwargs["min_new_tokens"] > limit:
            raise ValueError(
                f"`min_seconds`={min_seconds} is {kwargs['min_new_tokens']} motion tokens, but at most {limit} are "
                f"allowed ({limit * self.config.vq_config.seconds_per_token:g} s): raise `max_seconds`."
            )
        return super().generate(inputs, generation_config, **kwargs)

    def _check_text(self, inputs: Tensor | None, kwargs: dict):
        """Check what there is to translate, and tell its padding, which `generate()` would look for by `<pad>`."""
        ids = kwargs.get("input_ids") if inputs is None else inputs
        embeddings, encoded = kwargs.get("inputs_embeds"), kwargs.get("encoder_outputs")
        if encoded is not None:
            kwargs["encoder_outputs"] = _checked_text(encoded, kwargs.get("attention_mask"))
        elif (ids is None) == (embeddings is None):
            raise ValueError(
                "Give the text to animate as `input_ids`, `inputs_embeds` or `encoder_outputs`, and as one."
            )
        elif ids is not None and kwargs.get("attention_mask") is None:
            kwargs["attention_mask"] = (ids != self.config.text_pad_id).long()

    def _check_prefix(self, kwargs: dict):
        """Check the motion to continue and its cache, and tell its padding."""
        ids, cache, bom, pad = (
            kwargs.get("decoder_input_ids"),
            kwargs.get("past_key_values"),
            self.config.bos_token_id,
            self.config.pad_token_id,
        )
        if cache is not None and cache.get_seq_length() and ids is None:
            raise ValueError("Give the motion that the cache belongs to, and more, as `decoder_input_ids`.")
        if ids is None:
            return
        mask = kwargs.get("decoder_attention_mask")
        if mask is None and (ids == pad).any():
            mask = kwargs["decoder_attention_mask"] = (ids != pad).long()
        places = torch.zeros(len(ids), 1, dtype=torch.long, device=ids.device)
        if mask is not None:
            if mask.shape != ids.shape:
                raise ValueError(
                    f"`decoder_attention_mask` is {tuple(mask.shape)}, `decoder_input_ids` {tuple(ids.shape)}."
                )
            places = mask.long().argmax(1, keepdim=True)  # (batch, 1) of the first token that is read
        begins = ids.gather(1, places) == bom
        if not begins.all() or (mask is not None and not (mask.bool().any(1) & (ids[:, 0] == bom).any())):
            raise ValueError(
                f"Every motion to continue must begin with <bom> ({bom}) as its first token that the mask does not "
                "hide, and the longest must have no padding before it."
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

    def _tokens_of_seconds(self, name: str, seconds: float) -> int:
        if self.config.vq_config is None:
            raise ValueError(f"`{name}_seconds` needs a model with `vq_config`: give `{name}_new_tokens` instead.")
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"`{name}_seconds` must be a positive number of seconds, got {seconds}.")
        tokens = seconds / self.config.vq_config.seconds_per_token
        # 0.6 / 0.2 is a hair less than 3
        tokens = math.ceil(tokens - 1e-6) if name == "min" else math.floor(tokens + 1e-6)
        if tokens < 1:
            raise ValueError(
                f"`max_seconds`={seconds} is shorter than one motion token "
                f"({self.config.vq_config.seconds_per_token:g} s)."
            )
        return tokens

    def _get_logits_processor(self, generation_config, *args, **kwargs) -> LogitsProcessorList:
        processors = super()._get_logits_processor(generation_config, *args, **kwargs)
        if getattr(generation_config, "eom_by_argmax", False):
            config = self.config
            top_k = (generation_config.top_k or None) if generation_config.do_sample else None
            rule = EndOfMotionByArgmax(config.eos_token_id, top_k, config.bos_token_id, config.pad_token_id)
            suppress = (i for i, p in enumerate(processors) if isinstance(p, SuppressTokensLogitsProcessor))
            processors.insert(next(suppress, len(processors)), rule)
        return processors

    @torch.no_grad()
    def decode_motion(self, ids: Tensor) -> list[Tensor]:
        """Features of motion ids (batch, tokens), each row up to its `<eom>`: `<bom>`, `<eom>`, `<pad>` are left out.

        Returns:
            a (frames, features) tensor a row, in normalised units; (0, features) for a row without a code.

        Raises:
            ValueError: if the model has no `vq`.
        """
        if self.vq is None:
            raise ValueError("This model has no VQ model to decode with: it was built without `vq_config`.")
        rows = ids_to_codes(ids, self.config)
        lengths = torch.tensor([len(row) for row in rows], device=ids.device)
        codes = nn.utils.rnn.pad_sequence(rows, batch_first=True)  # (batch, longest)
        codes = F.pad(codes, (0, max(0, 1 - codes.shape[1])))  # all rows empty: the VQ model wants one token
        mask = (torch.arange(codes.shape[1], device=ids.device) < lengths[:, None]).long()
        motion = self.vq.decode(codes, mask)
        frames = (lengths * self.config.vq_config.unit_length).tolist()
        return [row[:length] for row, length in zip(motion, frames, strict=True)]


def _checked_text(encoder_outputs: TextEncoderOutput | tuple, attention_mask: Tensor | None) -> TextEncoderOutput:
    """The encoded text, whose mask is only checked: the encoder has seen it."""
    text = TextEncoderOutput(*encoder_outputs) if isinstance(encoder_outputs, tuple) else encoder_outputs
    if getattr(text, "key_bias", None) is None:
        raise ValueError("`encoder_outputs` must be what the encoder of a TextToMotionModel returns.")
    if attention_mask is not None:
        lengths = right_padded_lengths(attention_mask, attention_mask, "text")
        if len(lengths) != len(text.pooler_output):
            raise ValueError(
                f"The attention mask is of {len(lengths)} texts, but {len(text.pooler_output)} are encoded."
            )
    return text


def _tokens_to_read(mask: Tensor | None, embeddings: Tensor, seen: int) -> Tensor | None:
    """Mask (batch, tokens) of embeddings (batch, tokens, size) that follow `seen` tokens; None if none are hidden."""
    if mask is None:
        return None
    batch, tokens = embeddings.shape[:2]
    if len(mask) != batch or mask.shape[1] not in (tokens, seen + tokens):
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
    "drawable",
]
