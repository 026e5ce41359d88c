# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The text-motion matcher of Guo et al. (CVPR 2022): sentences and motions in one space, near where they match.

R-precision, FID and the other metrics of text-to-motion models are computed with its embeddings.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_matcher import MotionTextMatcherConfig
from .loading import WholeWeightsMixin
from .padding import before, lengths_of, text_lengths
from .recurrent import BidirectionalGRU, WordVectorsMixin, look_up_words, new_word_vectors

LEAKY_SLOPE = 0.2


@dataclass
class MotionTextMatcherOutput(ModelOutput):
    """Output of [`MotionTextMatcher`].

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
            hidden = hidden * before(lengths, hidden.shape[-1]).unsqueeze(1)
        return self.output(hidden.transpose(1, 2))


class SequenceEncoder(nn.Module):
    """(batch, length, input_size) -> (batch, embedding_size): a bidirectional GRU, a network on its last states."""

    def __init__(self, input_size: int, hidden_size: int, embedding_size: int):
        super().__init__()
        self.input_projection = nn.Linear(input_size, hidden_size)
        self.initial_state = nn.Parameter(torch.empty(2, 1, hidden_size))
        self.gru = BidirectionalGRU(hidden_size, hidden_size)
        self.hidden = nn.Linear(2 * hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.output = nn.Linear(hidden_size, embedding_size)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        _, last = self.gru(self.input_projection(inputs), lengths, self.initial_state)  # (batch, 2 * hidden_size)
        return self.output(F.leaky_relu(self.norm(self.hidden(last)), LEAKY_SLOPE))


class MotionTextMatcherPreTrainedModel(WholeWeightsMixin, WordVectorsMixin, PreTrainedModel):
    """Loads, saves and initializes the matcher."""

    config: MotionTextMatcherConfig
    base_model_prefix = "matcher"
    main_input_name = "input_ids"
    _no_split_modules = ["SequenceEncoder", "MovementEncoder"]  # what runs as a whole on one device
    _supports_sdpa = True  # there is no attention, so any implementation will do

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
    """Embeds sentences and motions in one space.

    `get_text_embeddings` and `get_motion_embeddings` give the embeddings, `forward` also the contrastive loss.
    Neither the order of a batch nor its padding changes an embedding.
    """

    def __init__(self, config: MotionTextMatcherConfig):
        super().__init__(config)
        self.embed_tokens = new_word_vectors(config)
        self.pos_projection = nn.Linear(config.pos_size, config.text_embedding_size) if config.pos_size else None
        self.text_encoder = SequenceEncoder(config.text_embedding_size, config.text_hidden_size, config.embedding_size)
        self.movement_encoder = MovementEncoder(config)
        self.motion_encoder = SequenceEncoder(config.movement_size, config.motion_hidden_size, config.embedding_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Embedding | None:
        """The table of word vectors; None for a model that is fed word vectors."""
        return self.embed_tokens

    def set_input_embeddings(self, value: nn.Embedding):
        """Replace the table of word vectors."""
        self.embed_tokens = value

    def get_text_embeddings(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        pos_ids: Tensor | None = None,
    ) -> Tensor:
        """Embeddings of a batch of texts.

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
        vectors = look_up_words(self.embed_tokens, config, input_ids, inputs_embeds).to(self.dtype)
        if attention_mask is None and input_ids is not None:
            attention_mask = input_ids != config.text_pad_id
        if (pos_ids is None) != (self.pos_projection is None):
            raise ValueError(
                "This model does not know parts of speech: leave out `pos_ids`."
                if self.pos_projection is None
                else f"This model needs parts of speech: give `pos_ids`, classes from 0 to {config.pos_size - 1}."
            )
        lengths = text_lengths(vectors, attention_mask)
        if pos_ids is not None:
            one_hots = F.one_hot(pos_ids, config.pos_size).to(vectors.dtype)  # (batch, words, pos_size)
            vectors = vectors + self.pos_projection(one_hots)
        return self.text_encoder(vectors, lengths)

    def get_motion_embeddings(self, motion_values: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Embeddings of a batch of motions; frames beyond the last whole movement count as context only.

        Args:
            motion_values: `(batch, frames, features)`, normalized.
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
        lengths = lengths_of(motion_values, attention_mask, "motion")
        if not torch.compiler.is_exporting() and lengths.min() < config.unit_length:
            raise ValueError(
                f"The motion of row {int(lengths.argmin())} has {int(lengths.min())} frames, fewer than one movement "
                f"({config.unit_length} frames); give longer motions."
            )
        seen = motion_values[..., : config.feature_size - config.contact_size].to(self.dtype)
        seen = seen * before(lengths, seen.shape[1]).unsqueeze(-1)
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
        group_ids: Tensor | None = None,
        return_loss: bool = True,
    ) -> MotionTextMatcherOutput:
        """Embed texts and their motions, and compute the contrastive loss on their distances.

        The loss (Hadsell et al., 2006) is d² where text and motion belong together, max(0, margin - d)² where they do
        not. The original draws one wrong motion for each text of a batch; here all of them count, which is what that
        draw is on average.

        Args:
            input_ids: the texts; see `get_text_embeddings` for all four of its arguments.
            attention_mask: of the texts.
            inputs_embeds: the texts as word vectors.
            pos_ids: parts of speech of the words.
            motion_values: their motions, row by row; see `get_motion_embeddings`.
            motion_attention_mask: of the motions.
            group_ids: `(batch,)` int64; texts and motions of the same group never count as mismatched. By default
                every row is a group of its own. (`Trainer` would take the name "labels" for something to predict.)
            return_loss: compute the losses; without them `loss`, `matched_loss` and `mismatched_loss` are None.

        Raises:
            ValueError: for a text or a motion that is missing or does not fit, or `group_ids` of another shape.
        """
        if motion_values is None:
            raise ValueError("Give the texts' motions as `motion_values`; for texts alone call get_text_embeddings().")
        texts = self.get_text_embeddings(input_ids, attention_mask, inputs_embeds, pos_ids).float()
        motions = self.get_motion_embeddings(motion_values, motion_attention_mask).float()
        if texts.shape[0] != motions.shape[0]:
            raise ValueError(f"There are {len(texts)} texts but {len(motions)} motions; give a motion for each text.")
        losses = {}
        if return_loss:
            group_ids = torch.arange(texts.shape[0], device=texts.device) if group_ids is None else group_ids
            matched, mismatched, distances = contrastive_losses(texts, motions, group_ids, self.config.margin)
            losses = {"loss": matched + mismatched, "matched_loss": matched, "mismatched_loss": mismatched}
        else:
            distances = pairwise_distances(texts, motions)
        return MotionTextMatcherOutput(text_embeddings=texts, motion_embeddings=motions, distances=distances, **losses)


def pairwise_distances(texts: Tensor, motions: Tensor) -> Tensor:
    """(texts, motions) Euclidean distances of embeddings (batch, embedding_size)."""
    # by differences: the faster product of matrices is inexact where the distance is small
    return torch.cdist(texts, motions, compute_mode="donot_use_mm_for_euclid_dist")


def contrastive_losses(
    texts: Tensor, motions: Tensor, group_ids: Tensor, margin: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The matched and the mismatched loss of [`MotionTextMatcher`] for embeddings (batch, embedding_size).

    Args:
        texts: (batch, embedding_size).
        motions: (batch, embedding_size), row by row those of the texts.
        group_ids: (batch,) int64; texts and motions of the same group never count as mismatched.
        margin: distance asked of mismatched pairs.

    Returns:
        The two losses, and the distances (batch, batch).

    Raises:
        ValueError: if `group_ids` has another shape.
    """
    if group_ids.shape != texts.shape[:1]:
        raise ValueError(f"`group_ids` must have the shape ({len(texts)},); got {tuple(group_ids.shape)}.")
    distances = pairwise_distances(texts, motions)
    mismatched = group_ids[:, None] != group_ids  # (batch, batch)
    shortfall = (margin - distances).clamp(min=0) * mismatched
    mismatched_loss = shortfall.square().sum() / mismatched.sum().clamp(min=1)
    return (texts - motions).square().sum(-1).mean(), mismatched_loss, distances


__all__ = ["MotionTextMatcher", "MotionTextMatcherOutput", "MotionTextMatcherPreTrainedModel", "contrastive_losses"]
