# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the text-to-motion model and the matcher share: word vectors, and a GRU over rows of unequal length."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from transformers import PreTrainedConfig

from .packed_weights import packed_for_steps
from .padding import before
from .stepwise import StepwiseGRU, gru_step, learns_in_steps


class WordVectorsMixin:
    """Resizes the word vectors of a `PreTrainedModel` whose text vocabulary is `config.text_vocab_size`."""

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> nn.Embedding:
        """Resize the table of word vectors, for a text tokenizer that got new entries.

        The motion vocabulary keeps its size, which is that of the codebook.

        Args:
            new_num_tokens: rows of the new table; None keeps them.
            pad_to_multiple_of: round the number of rows up to a multiple of this.
            mean_resizing: draw new rows around the mean of the old ones, rather than around zero.

        Returns:
            The new table.

        Raises:
            ValueError: if the model has no word vectors, or `text_pad_id` would lose its row.
        """
        table = self.get_input_embeddings()
        if table is None:
            raise ValueError(NO_WORD_VECTORS)
        is_frozen = "weight" in table._buffers
        if new_num_tokens is not None and new_num_tokens <= self.config.text_pad_id:
            raise ValueError(
                f"{new_num_tokens} word vectors leave none for `text_pad_id` {self.config.text_pad_id}; keep at least "
                f"{self.config.text_pad_id + 1}."
            )
        table = self._get_resized_embeddings(table, new_num_tokens, pad_to_multiple_of, mean_resizing)
        self.set_input_embeddings(freeze_embedding(table) if is_frozen else table)
        self.config.text_vocab_size = len(table.weight)
        return table


NO_WORD_VECTORS = "This model has no word embedding (text_vocab_size=None): give `inputs_embeds`."


def new_word_vectors(config: PreTrainedConfig) -> nn.Embedding | None:
    """The table of word vectors that a configuration describes; None for a model that is fed word vectors."""
    if config.text_vocab_size is None:
        return None
    table = nn.Embedding(config.text_vocab_size, config.text_embedding_size)
    return table if config.train_text_embedding else freeze_embedding(table)


def freeze_embedding(table: nn.Embedding) -> nn.Embedding:
    """Make the weight a buffer, since `from_pretrained` makes every parameter one that requires a gradient."""
    if "weight" in table._parameters:
        weight = table._parameters.pop("weight").detach()
        table.register_buffer("weight", weight)
    return table


def look_up_words(
    table: nn.Embedding | None, config: PreTrainedConfig, input_ids: Tensor | None, inputs_embeds: Tensor | None
) -> Tensor:
    """Word vectors (batch, words, text_embedding_size) of a text that is given as ids or as such vectors.

    Raises:
        ValueError: for missing or doubled inputs, ids for a model without word vectors, vectors of another size.
    """
    if (input_ids is None) == (inputs_embeds is None):
        raise ValueError("Give the text either as `input_ids` or as `inputs_embeds`.")
    if input_ids is not None:
        if table is None:
            raise ValueError(NO_WORD_VECTORS)
        inputs_embeds = table(input_ids)
    if inputs_embeds.dim() != 3 or inputs_embeds.shape[-1] != config.text_embedding_size:
        raise ValueError(
            f"The word vectors have the shape {tuple(inputs_embeds.shape)}; this model takes "
            f"(batch, words, {config.text_embedding_size})."
        )
    return inputs_embeds


def mirrored(values: Tensor, lengths: Tensor) -> Tensor:
    """Values (batch, length, size), each row reversed up to its length."""
    lengths, places = lengths[:, None], torch.arange(values.shape[1], device=values.device)
    places = torch.where(places < lengths, lengths - 1 - places, places)  # (batch, length)
    return values.gather(1, places.unsqueeze(-1).expand_as(values))


def _step_by(product: Callable[[Tensor], Tensor], of_input: Tensor, state: Tensor) -> Tensor:
    return gru_step(of_input, product(state), state)


class BidirectionalGRU(nn.GRU):
    """A bidirectional GRU of one layer over rows of unequal length."""

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__(input_size, hidden_size, batch_first=True, bidirectional=True)

    def forward(self, inputs: Tensor, lengths: Tensor, initial_state: Tensor) -> tuple[Tensor, Tensor]:
        """Run along each row in both directions.

        Args:
            inputs: (batch, length, input_size), padded on the right.
            lengths: (batch,) of the rows.
            initial_state: (2, 1, hidden_size).

        Returns:
            States (batch, longest, 2 * hidden_size), zero in the padding; and the last state of each direction,
            (batch, 2 * hidden_size).
        """
        initial_state = initial_state.expand(-1, inputs.shape[0], -1).contiguous()
        if torch.compiler.is_exporting():  # which packing, with its loop over the lengths' values, prevents
            return self._run_padded(inputs, lengths, initial_state)
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        steps = self._steps(packed.batch_sizes.tolist()) if inputs.device.type == "cpu" else None
        if steps is None:
            packed, last = super().forward(packed, initial_state)
        else:
            packed, last = self._run_in_steps(packed, initial_state, steps)
        states, _ = pad_packed_sequence(packed, batch_first=True)
        return states, last.transpose(0, 1).flatten(1)

    def _steps(self, rows: list[int]) -> list[Callable[[Tensor, Tensor], Tensor]] | None:
        """What moves each direction by a step, whose rows are given; None where torch is as fast.

        On a CPU, torch's backward pass fills and adds a tensor of all steps up at every step, and its forward pass
        lays the weights out anew at every step.
        """
        if learns_in_steps(*self.parameters()):
            return [
                StepwiseGRU(of_state.t(), bias, len(rows), rows[:: -1 if direction else 1])
                for direction, (_, of_state, _, bias) in enumerate(self.all_weights)
            ]
        if torch.is_grad_enabled():
            return None
        products = [packed_for_steps(of_state, bias, rows) for _, of_state, _, bias in self.all_weights]
        if any(product.packed is None for product in products):
            return None
        return [partial(_step_by, product) for product in products]

    def _run_in_steps(
        self, packed: PackedSequence, initial_state: Tensor, steps: list[Callable[[Tensor, Tensor], Tensor]]
    ) -> tuple[PackedSequence, Tensor]:
        """The same as torch, by what moves each direction by a step: see `_steps`."""
        rows = packed.batch_sizes.tolist()  # at each step; the longest sequence is the first row
        directions, last = [], []
        for direction, (of_input, _, input_bias, _) in enumerate(self.all_weights):
            gates = F.linear(packed.data, of_input, input_bias).split(rows)
            order = list(enumerate(rows))[:: -1 if direction else 1]
            states: list[Tensor] = [None] * len(rows)
            first = initial_state[direction]  # (batch, size)
            state, ended = first[: order[0][1]], []
            for step, number in order:
                if number > len(state):  # rows that begin, as those of the backward direction do
                    state = torch.cat([state, first[len(state) : number]])
                elif number < len(state):
                    ended.append(state[number:])
                    state = state[:number]
                states[step] = state = steps[direction](gates[step], state)
            directions.append(torch.cat(states))
            last.append(torch.cat([state, *ended[::-1]])[packed.unsorted_indices])
        return packed._replace(data=torch.cat(directions, dim=-1)), torch.stack(last)

    def _run_padded(self, inputs: Tensor, lengths: Tensor, initial_state: Tensor) -> tuple[Tensor, Tensor]:
        """The same without packing: each direction runs over the padding too, behind the end of its row."""
        ends = (lengths - 1)[:, None, None].expand(-1, 1, self.hidden_size)
        states, last = [], []
        for direction, weights in enumerate(self.all_weights):
            ordered = mirrored(inputs, lengths) if direction else inputs
            own, _ = torch.gru(
                ordered, initial_state[direction : direction + 1], weights, True, 1, 0.0, False, False, True
            )
            last.append(own.gather(1, ends).squeeze(1))
            states.append(mirrored(own, lengths) if direction else own)
        mask = before(lengths, inputs.shape[1]).unsqueeze(-1)
        return torch.cat(states, dim=-1) * mask, torch.cat(last, dim=-1)


__all__ = [
    "NO_WORD_VECTORS",
    "BidirectionalGRU",
    "WordVectorsMixin",
    "freeze_embedding",
    "look_up_words",
    "mirrored",
    "new_word_vectors",
]
