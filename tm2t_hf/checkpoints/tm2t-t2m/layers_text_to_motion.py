# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The parts of the text-to-motion model: text encoder, attention, motion decoder, and the decoder's state."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.cache_utils import Cache
from transformers.utils import ModelOutput

from .configuration_text_to_motion import TextToMotionConfig
from .generation_arguments import check_cached_source
from .packed_weights import PackedWeight, drops, has_hooks, is_plain, is_traced, packed_layer
from .padding import before, lengths_of, text_lengths
from .recurrent import BidirectionalGRU, mirrored, new_word_vectors
from .stepwise import (
    StepwiseEmbedding,
    StepwiseGRU,
    StepwiseProduct,
    StepwiseRowProduct,
    gru_step,
    learns_in_steps,
)
from .text_features import TextFeaturesMixin, hand_on_rules, new_text_encoder

# In the paper `output` and `mix` are the halves of a layer from twice the size, which is initialized as a whole. It is
# a mark on the layer, since transformers passes over modules that hold no parameter of their own.
HALF_GAIN = math.sqrt(2 / 3)


@dataclass
class TextEncoderOutput(ModelOutput):
    """The encoded text. Batch comes first in every tensor, so that `generate()` expands them all for its beams.

    Args:
        last_hidden_state: (batch, words, 2 * text_hidden_size) states of the words, zeros past a caption's end.
        pooler_output: (batch, 2 * text_hidden_size) last states of both directions: the whole caption.
        key_states: (batch, words, motion_hidden_size) what the decoder's attention scores against.
        value_states: (batch, words, motion_hidden_size) what it takes from each word.
        key_bias: (batch, words) what is added to the scores: hugely negative for masked padding.
        hidden_states: if asked for, the word vectors and `last_hidden_state`.
    """

    last_hidden_state: Tensor | None = None
    pooler_output: Tensor | None = None
    key_states: Tensor | None = None  # not `keys` and `values`, which are methods of a ModelOutput
    value_states: Tensor | None = None
    key_bias: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class TextAttention(nn.Module):
    """Attention of the motion states over the words: one head, scaled dot products.

    Keys and values depend on no step, so the encoder projects them once per text. That includes the projection of the
    output, since that of a weighted mean is the mean of the projections, and that of the queries, which moves to the
    keys: (W h + b) · k is h · (W^T k) + b · k.
    """

    def __init__(self, config: TextToMotionConfig):
        super().__init__()
        size = config.motion_hidden_size
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(2 * config.text_hidden_size, size, bias=False)
        self.value = nn.Linear(2 * config.text_hidden_size, size)
        self.output = nn.Linear(size, size, bias=False)
        self.output.init_gain = HALF_GAIN

    def project(self, words: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        """Keys, values and key bias of word states (batch, words, 2 * text_hidden_size); mask is True for words."""
        rate = self.query.out_features**-0.5
        if self._joins(words):
            keys = F.linear(words, self.query.weight.t() @ self.key.weight * rate)
            bias = words @ (self.query.bias @ self.key.weight * rate)  # (batch, words)
            values = F.linear(words, self.output.weight @ self.value.weight, self.output.weight @ self.value.bias)
        else:
            keys = self.key(words) * rate  # (batch, words, motion_hidden_size)
            bias = keys.new_zeros(keys.shape[:2])
            if is_plain(self.query):  # else it has to be called
                keys, bias = keys @ self.query.weight, keys @ self.query.bias
            values = self.output(self.value(words))
        if mask is not None:
            bias = bias.masked_fill(~mask, torch.finfo(bias.dtype).min)
        return {"key_states": keys, "value_states": values, "key_bias": bias}

    def _joins(self, words: Tensor) -> bool:
        """Whether to multiply the weights with each other first: less arithmetic, where there are many words."""
        layers = self.query, self.key, self.value, self.output
        are_many = not is_traced() and words.shape[:2].numel() > self.query.out_features
        return are_many and all(is_plain(layer) for layer in layers)

    def forward(self, states: Tensor, text: TextEncoderOutput) -> tuple[Tensor, Tensor]:
        """Text seen from motion states (batch, tokens, motion_hidden_size).

        Returns:
            What is seen, of the same shape, and the weights of the words (batch, tokens, words).
        """
        return self._attend_to(text)(states)

    def stepwise(self, text: TextEncoderOutput, steps: int) -> "Attend":
        """`forward` for one token (batch, 1, motion_hidden_size) after the other, at most `steps` of them."""
        if has_hooks(self):
            return partial(self, text=text)
        if not learns_in_steps(text.key_states, text.value_states):
            return self._attend_to(text)
        scores = StepwiseRowProduct(text.key_states.transpose(1, 2), text.key_bias, steps)
        values = StepwiseRowProduct(text.value_states, None, steps)

        def attend(states: Tensor) -> tuple[Tensor, Tensor]:
            query = states if is_plain(self.query) else self.query(states)
            weights = scores(query.squeeze(1)).softmax(-1)  # (batch, words)
            return values(weights).unsqueeze(1), weights.unsqueeze(1)

        return attend

    def _attend_to(self, text: TextEncoderOutput) -> "Attend":
        """`forward` for one text, of which all that depends on no motion is found once."""
        keys, bias, values = text.key_states.transpose(1, 2), text.key_bias.unsqueeze(1), text.value_states
        has_query = not is_plain(self.query)

        def attend(states: Tensor) -> tuple[Tensor, Tensor]:
            weights = torch.baddbmm(bias, self.query(states) if has_query else states, keys).softmax(-1)
            return torch.bmm(weights, values), weights

        return attend


class TextEncoder(TextFeaturesMixin, nn.Module):
    """Word vectors or pretrained features, a bidirectional GRU, and the projections for the decoder's attention."""

    main_input_name = "input_ids"  # generate() asks

    def __init__(self, config: TextToMotionConfig):
        super().__init__()
        self.config = config
        self.text_encoder = new_text_encoder(config)
        hand_on_rules(self)
        self.embed_tokens = None if self.text_encoder is not None else new_word_vectors(config)
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
        embeddings = self.text_features(input_ids, attention_mask, inputs_embeds)
        embeddings = embeddings.to(self.initial_state.dtype)
        if attention_mask is None and input_ids is not None:
            attention_mask = input_ids != self.config.text_pad_id
        lengths = text_lengths(embeddings, attention_mask)
        inputs = self.input_projection(self.dropout(embeddings))
        words, last = self.gru(inputs, lengths, self.initial_state)  # (batch, longest, 2 * text_hidden_size)

        if self.config.flip_backward_states:
            forward, backward = words.chunk(2, dim=-1)
            words = torch.cat([forward, mirrored(backward, lengths)], dim=-1)
        mask = before(lengths, words.shape[1]) if self.config.mask_padding else None
        return TextEncoderOutput(
            last_hidden_state=words,
            pooler_output=last,
            hidden_states=(embeddings, words) if output_hidden_states else None,
            **self.attention.project(words, mask),
        )


# The state of a layer after a token, of what the layer reads and its state before, all (batch, size).
Cell = Callable[[Tensor, Tensor], Tensor]


class MotionGRU(nn.GRU):
    """A GRU over motion tokens that can look at its own state before each token, and skip tokens."""

    def cells(self, steps: int, batch: int) -> list[Cell]:
        """The layers, to be moved by at most `steps` tokens, one at a time."""
        if learns_in_steps(*self.parameters()):
            return [_stepwise_cell(weights, steps, batch) for weights in self.all_weights]
        return [_cell(weights, steps, batch) for weights in self.all_weights]

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
        cells = self.cells(*inputs.shape[1::-1])
        layers, steps = list(state), []
        for step, own in enumerate(inputs.unbind(1)):
            earlier, layers = layers, moved(layers, own if mix is None else mix(own, layers[-1]), cells)
            if mask is not None:
                kept = mask[:, step, None]
                layers = [torch.where(kept, new, old) for new, old in zip(layers, earlier, strict=True)]
            steps.append(layers)
        chosen = range(self.num_layers) if every_layer else (-1,)
        states = tuple(torch.stack([layers[layer] for layers in steps], dim=1) for layer in chosen)
        return states, torch.stack(layers)


def moved(layers: Sequence[Tensor], hidden: Tensor, cells: list[Cell]) -> list[Tensor]:
    """States (batch, size) of all layers after a token, of which the lowest reads `hidden` (batch, size)."""
    states = []
    for own, cell in zip(layers, cells, strict=True):
        hidden = cell(hidden, own)
        states.append(hidden)
    return states


def _cell(weights: list[Tensor], steps: int, batch: int) -> Cell:
    of_input, of_state, input_bias, state_bias = weights
    if not torch.is_grad_enabled():
        from_input = PackedWeight(of_input, input_bias, batch, steps)
        from_state = PackedWeight(of_state, state_bias, batch, steps)
        if from_input.packed is not None and from_state.packed is not None:
            return lambda hidden, own: gru_step(from_input(hidden), from_state(own), own)
    return lambda hidden, own: torch.gru_cell(hidden, own, *weights)


def _stepwise_cell(weights: list[Tensor], steps: int, batch: int) -> Cell:
    of_input, of_state, input_bias, state_bias = weights
    from_input = StepwiseProduct(of_input.t(), input_bias, steps, batch)
    move = StepwiseGRU(of_state.t(), state_bias, steps, batch)
    return lambda hidden, own: move(from_input(hidden), own)


def _rows_of(table: Tensor, ids: Tensor) -> Tensor:
    """Rows (..., size) of ids (...), whose gradients are not added up in half precision."""
    return F.embedding(ids, table.to(torch.promote_types(table.dtype, torch.float32))).to(table.dtype)


# Takes ids (batch,) and the states of all layers before them, each (batch, size); returns the top layer's state, and
# the next states of all layers.
Step = Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, Sequence[Tensor]]]

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
        self.mix.init_gain = HALF_GAIN
        self.norm = nn.LayerNorm(size)
        if self.late:
            self.projection = nn.Linear(size, size)

    def start(self, text: TextEncoderOutput) -> Tensor:
        """State before the first token -> (layers, batch, motion_hidden_size)."""
        state = self.initial_state(text.pooler_output)
        return state.unflatten(-1, (self.gru.num_layers, -1)).transpose(0, 1).contiguous()

    def advance(
        self,
        embeddings: Tensor,
        state: Tensor,
        attend: Attend,
        mask: Tensor | None = None,
        every_layer: bool = False,
        ids: Tensor | None = None,
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Read embeddings (batch, tokens, motion_hidden_size) -> see `MotionGRU.forward`.

        Args:
            embeddings: of the tokens.
            state: before them.
            attend: to the text, one token after the other.
            mask: of the tokens.
            every_layer: return the states of all layers.
            ids: (batch, tokens) whose embeddings they are, if known.
        """
        if self.late:
            return self.gru(self.dropout(embeddings), state, mask=mask, every_layer=every_layer)
        if ids is not None and self._projects_all(ids.numel()):
            inputs = _rows_of(self.mix(self.embed_tokens.weight), ids)
        else:
            inputs = self.mix(self.dropout(embeddings))
        return self.gru(inputs, state, self._mix_with(attend), mask, every_layer)

    def _projects_all(self, reads: int) -> bool:
        """Whether to project the embedding of every id once, rather than of each of the ids that are read."""
        # a program that is recorded for any number of ids must not depend on this one
        if is_traced() or not is_plain(self.mix) or not self._only_looks_up():
            return False
        return reads > self.embed_tokens.num_embeddings and not drops(self.dropout)

    def stepper(self, attend: Attend, steps: int, batch: int) -> Step:
        """`advance` for ids that are not known beforehand, of at most `steps` tokens."""
        read, mix = self._reader(steps, batch), None if self.late else self._mix_with(attend)
        if has_hooks(self.gru) or "forward" in vars(self.gru):  # which would be passed by otherwise

            def step(ids: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
                (tops,), state = self.gru(read(ids).unsqueeze(1), torch.stack(list(states)), mix)
                return tops.squeeze(1), state

            return step

        cells = self.gru.cells(steps, batch)

        def step(ids: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
            own = read(ids)
            states = moved(states, own if mix is None else mix(own, states[-1]), cells)
            return states[-1], states

        return step

    def _reader(self, steps: int, batch: int) -> Callable[[Tensor], Tensor]:
        """What the GRU reads of ids (batch,), before the text is mixed in, (batch, size): for `stepper`."""
        embed, project = self._embed_one, nn.Identity() if self.late else self.mix
        table = self.embed_tokens.weight
        if not self.late and self._projects_all(steps * batch):
            table, project = project(table), nn.Identity()
            embed = partial(_rows_of, table)
        elif is_plain(project) and learns_in_steps(project.weight):
            project = StepwiseProduct(project.weight.t(), project.bias, steps, batch)
        else:
            project = packed_layer(project, batch, steps)
        if learns_in_steps(table) and self._only_looks_up():
            embed = StepwiseEmbedding(table, steps, batch)
        if drops(self.dropout):
            return lambda ids: project(self.dropout(embed(ids)))
        return lambda ids: project(embed(ids))

    def _embed_one(self, ids: Tensor) -> Tensor:
        """(batch,) -> (batch, size), by a call such as any other: of tokens."""
        return self.embed_tokens(ids.unsqueeze(1)).squeeze(1)

    def _only_looks_up(self) -> bool:
        """Whether the embedding is its table and nothing else."""
        embed = self.embed_tokens
        if not is_plain(embed, nn.Embedding):
            return False
        options = embed.padding_idx, embed.max_norm, embed.scale_grad_by_freq or None, embed.sparse or None
        return all(option is None for option in options)

    def _mix_with(self, attend: Attend) -> Callable[[Tensor, Tensor], Tensor]:
        """What the GRU reads, of a token and the state before it: early attention."""

        def mix(own: Tensor, top: Tensor) -> Tensor:
            return self._mixed(own, attend(top.unsqueeze(1))[0].squeeze(1))

        return mix

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
        ids: (batch, seen) these tokens, so that a motion of another beginning is not taken to continue them; None if
            they are not known, as those of embeddings.
        text: (batch, 2 * text_hidden_size) the `pooler_output` of the texts, so that others are not taken for them.
    """

    is_compileable = False
    is_croppable = False

    def __init__(
        self, state: Tensor | None = None, seen: int = 0, ids: Tensor | None = None, text: Tensor | None = None
    ):
        self.state, self.seen, self.ids, self.text, self.layers = state, seen, ids, text, []

    def __repr__(self) -> str:
        return f"RecurrentCache(seen={self.seen}, state={None if self.state is None else tuple(self.state.shape)})"

    def __len__(self) -> int:
        return 0 if self.state is None else len(self.state)

    def __deepcopy__(self, memo) -> "RecurrentCache":
        state = None if self.state is None else self.state.clone()  # with its gradient
        return RecurrentCache(state, self.seen, self.ids, self.text)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many tokens led to the state."""
        return self.seen

    def advance(self, state: Tensor, tokens: int, ids: Tensor | None, text: TextEncoderOutput):
        """Move to the `state` after this many further tokens, whose ids (batch, tokens) are None if not known."""
        if ids is not None and self.seen:
            ids = None if self.ids is None else torch.cat([self.ids, ids], dim=1)
        self.state, self.seen, self.ids, self.text = state, self.seen + tokens, ids, text.pooler_output.detach()

    def check_text(self, text: TextEncoderOutput):
        """Refuse other texts than those that led to the state.

        Raises:
            ValueError: for texts of another number, or other ones.
        """
        batch = text.pooler_output.shape[0]
        if self.state.shape[1] != batch:
            raise ValueError(
                f"The cache holds {self.state.shape[1]} motions, but there are {batch} texts. (After a beam search "
                "it holds all beams: continue from `decoder_input_ids` alone.)"
            )
        if self.text is not None:
            check_cached_source(self.text, text.pooler_output)

    def reset(self):
        """Forget everything: the next call starts a motion."""
        self.state, self.seen, self.ids, self.text = None, 0, None, None

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
        self.ids, self.text = (
            None if rows is None else rows.repeat_interleave(repeats, dim=0) for rows in (self.ids, self.text)
        )

    def _take_rows(self, rows: Tensor):
        if self.state is not None:
            self.state = self.state[:, rows.to(self.state.device)]
        self.ids, self.text = (None if own is None else own[rows.to(own.device)] for own in (self.ids, self.text))

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


def checked_text(encoder_outputs: TextEncoderOutput | tuple, attention_mask: Tensor | None) -> TextEncoderOutput:
    """The encoded text, whose mask is only checked: the encoder has seen it."""
    text = TextEncoderOutput(*encoder_outputs) if isinstance(encoder_outputs, tuple) else encoder_outputs
    if getattr(text, "key_bias", None) is None:
        raise ValueError("`encoder_outputs` must be what the encoder of a TextToMotionModel returns.")
    if attention_mask is not None:
        lengths = lengths_of(attention_mask, attention_mask, "text")
        if len(lengths) != text.pooler_output.shape[0]:
            raise ValueError(
                f"The attention mask is of {len(lengths)} texts, but {text.pooler_output.shape[0]} are encoded."
            )
    return text


__all__ = [
    "Attend",
    "MotionDecoder",
    "MotionGRU",
    "RecurrentCache",
    "TextAttention",
    "TextEncoder",
    "TextEncoderOutput",
    "checked_text",
]
