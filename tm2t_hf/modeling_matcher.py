# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The text-motion matcher of Guo et al. (CVPR 2022): sentences and motions in one space, near where they match.

R-precision, FID and the other metrics of text-to-motion models are computed with its embeddings.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_matcher import MotionTextMatcherConfig

LEAKY_SLOPE = 0.2


@dataclass
class MotionTextMatcherOutput(ModelOutput):
    """
    Output of [`MotionTextMatcher`].

    Args:
        loss: the sum of the two losses below.
        matched_loss: mean squared distance of texts and motions that belong together.
        mismatched_loss: mean squared shortfall of the others' distance from `config.margin`.
        text_embeddings, motion_embeddings: `(batch, embedding_size)`.
        distances: `(batch, batch)` Euclidean distance of text i and motion j.
    """

    loss: Tensor | None = None
    matched_loss: Tensor | None = None
    mismatched_loss: Tensor | None = None
    text_embeddings: Tensor | None = None
    motion_embeddings: Tensor | None = None
    distances: Tensor | None = None


class MovementEncoder(nn.Module):
    """Features (batch, frames, features) -> movements (batch, frames // unit_length, movement_size)."""

    def __init__(self, config: MotionTextMatcherConfig):
        super().__init__()
        stages = config.unit_length.bit_length() - 1
        sizes = [config.feature_size - config.contact_size, *[config.movement_hidden_size] * (stages - 1)]
        sizes.append(config.movement_size)
        self.downsamples = nn.ModuleList(
            nn.Conv1d(sizes[stage], sizes[stage + 1], 4, stride=2, padding=1) for stage in range(stages)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.movement_size, config.movement_size)

    def forward(self, motion_values: Tensor, lengths: Tensor) -> Tensor:
        """What lies beyond the `lengths` (batch,) is zero for every convolution, as behind a motion that is alone."""
        hidden = motion_values.transpose(1, 2)
        for downsample in self.downsamples:
            hidden = F.leaky_relu(self.dropout(downsample(hidden)), LEAKY_SLOPE)  # (batch, size, frames // 2)
            lengths = lengths // 2
            hidden = hidden * _mask(lengths, hidden.shape[-1]).unsqueeze(1)
        return self.output(hidden.transpose(1, 2))


class SequenceEncoder(nn.Module):
    """(batch, length, input_size) -> (batch, embedding_size): a bidirectional GRU, a network on its last states."""

    def __init__(self, input_size: int, hidden_size: int, embedding_size: int):
        super().__init__()
        self.input_projection = nn.Linear(input_size, hidden_size)
        self.initial_state = nn.Parameter(torch.empty(2, 1, hidden_size))
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True, bidirectional=True)
        self.hidden = nn.Linear(2 * hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.output = nn.Linear(hidden_size, embedding_size)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(
            self.input_projection(inputs), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, last = self.gru(packed, self.initial_state.expand(-1, len(inputs), -1).contiguous())
        states = last.transpose(0, 1).flatten(1)  # (batch, 2 * hidden_size)
        return self.output(F.leaky_relu(self.norm(self.hidden(states)), LEAKY_SLOPE))


class MotionTextMatcherPreTrainedModel(PreTrainedModel):
    config: MotionTextMatcherConfig
    base_model_prefix = "matcher"
    main_input_name = "input_ids"

    @torch.no_grad()
    def _init_weights(self, module):
        if isinstance(module, nn.Linear | nn.Conv1d):
            init.xavier_normal_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, nn.GRU):
            for parameter in module.parameters():
                init.uniform_(parameter, -(module.hidden_size**-0.5), module.hidden_size**-0.5)
        elif isinstance(module, SequenceEncoder):
            init.normal_(module.initial_state)


class MotionTextMatcher(MotionTextMatcherPreTrainedModel):
    """
    Embeds sentences and motions in one space.

    `get_text_embeddings` and `get_motion_embeddings` give the embeddings, `forward` also the contrastive loss.
    Neither the order of a batch nor its padding changes an embedding.
    """

    def __init__(self, config: MotionTextMatcherConfig):
        super().__init__(config)
        self.embed_tokens = None
        if config.text_vocab_size is not None:
            self.embed_tokens = nn.Embedding(config.text_vocab_size, config.text_embedding_size)
            if not config.train_text_embedding:
                # a buffer, because `from_pretrained` makes every loaded parameter a trainable one
                table = self.embed_tokens._parameters.pop("weight").detach()
                self.embed_tokens.register_buffer("weight", table)
        self.pos_projection = nn.Linear(config.pos_size, config.text_embedding_size) if config.pos_size else None
        self.text_encoder = SequenceEncoder(config.text_embedding_size, config.text_hidden_size, config.embedding_size)
        self.movement_encoder = MovementEncoder(config)
        self.motion_encoder = SequenceEncoder(config.movement_size, config.motion_hidden_size, config.embedding_size)
        self.post_init()

    def get_text_embeddings(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        pos_ids: Tensor | None = None,
    ) -> Tensor:
        """
        Embeddings of a batch of texts.

        Args:
            input_ids: `(batch, words)` text ids.
            attention_mask: `(batch, words)`, 1 for words and 0 for the padding behind them; by default that of
                `text_pad_id`.
            inputs_embeds: `(batch, words, text_embedding_size)` word vectors, in place of `input_ids`.
            pos_ids: `(batch, words)` part-of-speech classes, for a model with `pos_size`.

        Returns:
            `(batch, embedding_size)`.

        Raises:
            ValueError: for missing or doubled inputs, an empty text, text padded on its left.
        """
        config = self.config
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give the text either as `input_ids` or as `inputs_embeds`.")
        if inputs_embeds is None:
            if self.embed_tokens is None:
                raise ValueError("This model has no word embedding (text_vocab_size=None): give `inputs_embeds`.")
            if attention_mask is None:
                attention_mask = input_ids != config.text_pad_id
            inputs_embeds = self.embed_tokens(input_ids)
        if inputs_embeds.shape[-1] != config.text_embedding_size:
            raise ValueError(
                f"`inputs_embeds` has vectors of {inputs_embeds.shape[-1]} numbers; "
                f"this model takes {config.text_embedding_size}."
            )
        if (pos_ids is None) != (self.pos_projection is None):
            raise ValueError(
                "This model does not know parts of speech: leave out `pos_ids`."
                if self.pos_projection is None
                else f"This model needs parts of speech: give `pos_ids`, classes from 0 to {config.pos_size - 1}."
            )
        lengths = _lengths(attention_mask, inputs_embeds, "text")
        if not lengths.all():
            raise ValueError(f"The text of row {int(lengths.argmin())} is empty: give at least one word.")
        if pos_ids is not None:
            one_hots = F.one_hot(pos_ids, config.pos_size).to(inputs_embeds.dtype)  # (batch, words, pos_size)
            inputs_embeds = inputs_embeds + self.pos_projection(one_hots)
        return self.text_encoder(inputs_embeds, lengths)

    def get_motion_embeddings(self, motion_values: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """
        Embeddings of a batch of motions; frames beyond the last whole movement count as context only.

        Args:
            motion_values: `(batch, frames, features)`, normalised.
            attention_mask: `(batch, frames)`, 1 for frames and 0 for the padding behind them.

        Returns:
            `(batch, embedding_size)`.

        Raises:
            ValueError: for another feature size, or a motion shorter than one movement.
        """
        config = self.config
        if motion_values.dim() != 3 or motion_values.shape[-1] != config.feature_size:
            raise ValueError(
                f"`motion_values` must have the shape (batch, frames, {config.feature_size}); "
                f"got {tuple(motion_values.shape)}."
            )
        lengths = _lengths(attention_mask, motion_values, "motion")
        if lengths.min() < config.unit_length:
            raise ValueError(
                f"The motion of row {int(lengths.argmin())} has {int(lengths.min())} frames, fewer than one movement "
                f"({config.unit_length} frames); give longer motions."
            )
        seen = motion_values[..., : config.feature_size - config.contact_size]
        seen = seen * _mask(lengths, seen.shape[1]).unsqueeze(-1)
        seen = F.pad(seen, (0, 0, 0, max(0, config.padded_frames - seen.shape[1])))
        movements = self.movement_encoder(seen, lengths.clamp(min=config.padded_frames))
        return self.motion_encoder(movements, lengths // config.unit_length)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        motion_values: Tensor | None = None,
        motion_attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        pos_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> MotionTextMatcherOutput:
        """
        Embeddings of texts and of their motions, and the contrastive loss (Hadsell et al. 2006) on their distances:
        d² where text and motion belong together, max(0, margin - d)² where they do not.

        The original draws one wrong motion for each text of a batch; here all of them count, which is what that
        draw is on average.

        Args:
            input_ids, attention_mask, inputs_embeds, pos_ids: the texts, see `get_text_embeddings`.
            motion_values, motion_attention_mask: their motions, row by row, see `get_motion_embeddings`.
            labels: `(batch,)` int64; texts and motions of equal label never count as mismatched. By default only
                those of the same row do not.
        """
        if motion_values is None:
            raise ValueError("Give the texts' motions as `motion_values`; for texts alone call get_text_embeddings().")
        texts = self.get_text_embeddings(input_ids, attention_mask, inputs_embeds, pos_ids).float()
        motions = self.get_motion_embeddings(motion_values, motion_attention_mask).float()
        if len(texts) != len(motions):
            raise ValueError(f"There are {len(texts)} texts but {len(motions)} motions; give a motion for each text.")
        labels = torch.arange(len(texts), device=texts.device) if labels is None else labels
        matched_loss, mismatched_loss, distances = contrastive_losses(texts, motions, labels, self.config.margin)
        return MotionTextMatcherOutput(
            loss=matched_loss + mismatched_loss,
            matched_loss=matched_loss,
            mismatched_loss=mismatched_loss,
            text_embeddings=texts,
            motion_embeddings=motions,
            distances=distances,
        )


def contrastive_losses(texts: Tensor, motions: Tensor, labels: Tensor, margin: float) -> tuple[Tensor, Tensor, Tensor]:
    """The two losses of [`MotionTextMatcher`], and the distances, of embeddings (batch, embedding_size)."""
    # by differences: the faster product of matrices is inexact where the distance is small
    distances = torch.cdist(texts, motions, compute_mode="donot_use_mm_for_euclid_dist")  # (batch, batch)
    mismatched = labels[:, None] != labels
    matched_loss = (texts - motions).square().sum(-1).mean()
    shortfall = (margin - distances).clamp(min=0) * mismatched
    mismatched_loss = shortfall.square().sum() / mismatched.sum().clamp(min=1)
    return matched_loss, mismatched_loss, distances


def _mask(lengths: Tensor, size: int) -> Tensor:
    """(batch,) -> (batch, size) bool, True before each length."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def _lengths(attention_mask: Tensor | None, inputs: Tensor, what: str) -> Tensor:
    """Lengths (batch,) of padded inputs (batch, length, size)."""
    shape = inputs.shape[:2]
    if attention_mask is None:
        return torch.full(shape[:1], shape[1], device=inputs.device)
    if attention_mask.shape != shape:
        raise ValueError(f"The attention mask is {tuple(attention_mask.shape)}, the {what} is {tuple(shape)}.")
    lengths = attention_mask.sum(1)
    if not torch.equal(attention_mask.bool(), _mask(lengths, shape[1])):
        raise ValueError(f"The {what} must be padded behind its end: use padding_side='right'.")
    return lengths


__all__ = ["MotionTextMatcher", "MotionTextMatcherOutput", "MotionTextMatcherPreTrainedModel", "contrastive_losses"]
