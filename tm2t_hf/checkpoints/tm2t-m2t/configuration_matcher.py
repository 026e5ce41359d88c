# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Configuration of the text-motion matcher, the network that text-to-motion models are evaluated with."""

import math

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from .configuration_base import OverridesFirstMixin


@strict
class MotionTextMatcherConfig(OverridesFirstMixin, PreTrainedConfig):
    """Configuration of [`MotionTextMatcher`].

    The defaults are the sizes of Guo et al. (CVPR 2022), without parts of speech.

    Args:
        feature_size: features of a frame; `12 * joints - 1` in the HumanML3D representation.
        contact_size: the last features (foot contacts), which the matcher does not see.
        unit_length: frames of one movement: 2, 4, 8, ... (each doubling is one strided convolution).
        movement_hidden_size: width of all convolutions but the last.
        movement_size: width of the last convolution, and of a movement.
        padded_frames: every motion is seen as if zeros filled it up to this many frames, so that its end looks as in
            the original's batches (196 there). 0 shows it as it is. Either way no other motion of a batch matters.
        text_vocab_size: number of rows of the word embedding; None for a model without one, which takes word vectors
            through `inputs_embeds`.
        text_pad_id: text id that is padding; it marks the padding where no `attention_mask` is given.
        text_embedding_size: width of a word vector.
        train_text_embedding: False freezes the word embedding (pretrained word vectors).
        initializer_range: standard deviation of a freshly initialized word embedding.
        pos_size: number of part-of-speech classes, whose embedding is added to the word vectors; 0 for none.
        text_hidden_size, motion_hidden_size: width of each direction of the two GRUs.
        embedding_size: width of the space that texts and motions share.
        dropout: dropout in the movement encoder.
        margin: the least distance that the loss demands between a text and a motion that do not belong together.

    Raises:
        StrictDataclassError: naming the field that has the wrong type or does not fit the others.
    """

    model_type = "tm2t-matcher"
    attribute_map = {"vocab_size": "text_vocab_size"}

    feature_size: int = 263
    contact_size: int = 4
    unit_length: int = 4
    movement_hidden_size: int = 512
    movement_size: int = 512
    padded_frames: int = 0
    text_vocab_size: int | None = 4200
    text_pad_id: int = 0
    text_embedding_size: int = 300
    train_text_embedding: bool = True
    initializer_range: float | int = 1.0
    pos_size: int = 0
    text_hidden_size: int = 512
    motion_hidden_size: int = 1024
    embedding_size: int = 512
    dropout: float | int = 0.2
    margin: float | int = 10.0

    def validate_architecture(self):
        """Checks that hold across fields; part of the validation by `@strict`."""
        sizes = ("feature_size", "movement_hidden_size", "movement_size", "text_embedding_size", "text_hidden_size")
        for name in (*sizes, "motion_hidden_size", "embedding_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        for name in ("initializer_range", "margin"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be positive and finite, got {getattr(self, name)}.")
        for name in ("pos_size", "padded_frames"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must not be negative, got {getattr(self, name)}.")
        if self.unit_length < 2 or self.unit_length & (self.unit_length - 1):
            raise ValueError(f"`unit_length` must be a power of two from 2 on; got {self.unit_length}.")
        if not 0 <= self.contact_size < self.feature_size:
            raise ValueError(
                f"`contact_size` ({self.contact_size}) must leave the matcher some of the "
                f"{self.feature_size} features."
            )
        if self.text_vocab_size is not None and not 0 <= self.text_pad_id < self.text_vocab_size:
            raise ValueError(
                f"`text_pad_id` {self.text_pad_id} is outside the text vocabulary of {self.text_vocab_size} ids."
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1), got {self.dropout}.")


__all__ = ["MotionTextMatcherConfig"]
