# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Configuration of the text-to-motion model: a bidirectional GRU over words, an attentive GRU over motion tokens."""

import math
from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import PreTrainedConfig, SubConfigSpec

from .configuration_base import TextEncoderInsideMixin
from .configuration_motion_vq import MotionTargetMixin, MotionVQConfig


@strict
class TextToMotionConfig(TextEncoderInsideMixin, MotionTargetMixin, PreTrainedConfig):
    """Sizes and behavior of `TextToMotionModel`. The defaults are the sizes of TM2T (Guo et al., ECCV 2022).

    Args:
        vq_config: configuration of the `MotionVQModel` that turns motion tokens into features; None leaves it out.
        codebook_size: number of motion codes K; None takes it from `vq_config` (or 1024 without one). The motion
            vocabulary has K + 3 ids: the codes, `<bom>` = K, `<eom>` = K + 1, `<pad>` = K + 2.
        text_encoder_config: configuration of a pretrained text encoder whose features stand for word vectors, any that
            `AutoModelForTextEncoding` knows; None for a word embedding of the model's own.
        freeze_text_encoder: keep the pretrained text encoder as it is, in training too.
        frozen_storage_dtype: type in which `save_pretrained` stores the parts that no training changes: the motion VQ
            and a frozen text encoder. They are float32 again once loaded.
        text_vocab_size: number of rows of the word embedding; None for a model without one, which takes word vectors
            through `inputs_embeds`. That of `text_encoder_config` where it is given, as the next two.
        text_pad_id: text id that is padding; it marks the padding where no `attention_mask` is given.
        text_embedding_size: width of a word vector.
        text_hidden_size: width of each direction of the text GRU.
        motion_hidden_size, num_layers: width and number of layers of the motion GRU.
        attention: "early" attends to the text before the GRU (the released models), "late" after it.
        flip_backward_states: flip the backward half of the word states a second time, as the original code does.
        mask_padding: keep attention away from padded words; the original does not, so that there a caption's motion
            depends on the longest caption of its batch.
        dropout: dropout of word vectors, motion embeddings and the states the logits are read off.
        train_text_embedding: False freezes the word embedding (pretrained word vectors).
        initializer_range: standard deviation of freshly initialized embeddings (the paper: 1).
        loss_reduction: how the cross entropy is reduced; the paper: "sum".
        label_smoothing: probability that the loss moves from the right id evenly to all others (as the paper's code).
        use_cache: keep the recurrent state between the steps of `generate()`.

    Raises:
        StrictDataclassClassValidationError: for sizes below one, a codebook size that is not that of
            `vq_config`, probabilities outside [0, 1), or a `text_pad_id` outside the text vocabulary.
    """

    model_type = "tm2t-t2m"
    attribute_map = {"hidden_size": "motion_hidden_size", "num_hidden_layers": "num_layers"}
    sub_configs_defaults = {
        "vq_config": SubConfigSpec(config_class=MotionVQConfig, optional=True),
        "text_encoder_config": SubConfigSpec(config_class=AutoConfig, model_type="bert", optional=True),
    }
    keys_to_ignore_at_inference = ["past_key_values"]

    vq_config: PreTrainedConfig | dict | None = None
    codebook_size: int | None = None
    text_encoder_config: PreTrainedConfig | dict | None = None
    freeze_text_encoder: bool = True
    frozen_storage_dtype: Literal["float32", "float16"] = "float32"
    text_vocab_size: int | None = 4200
    text_pad_id: int = 0
    text_embedding_size: int = 300
    text_hidden_size: int = 512
    motion_hidden_size: int = 1024
    num_layers: int = 1
    attention: Literal["early", "late"] = "early"
    flip_backward_states: bool = False
    mask_padding: bool = True
    dropout: float | int = 0.0
    train_text_embedding: bool = True
    initializer_range: float | int = 1.0
    loss_reduction: Literal["mean", "sum"] = "mean"
    label_smoothing: float | int = 0.0
    use_cache: bool = True
    tie_word_embeddings: bool = True
    is_encoder_decoder: bool = True

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.text_encoder_config is not None:
            self.text_embedding_size = self.text_encoder_config.hidden_size

    def validate_architecture(self):
        """Part of the validation by `@strict`: relations between the fields."""
        for name in ("text_embedding_size", "text_hidden_size", "motion_hidden_size", "num_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if self.text_vocab_size is not None and not 0 <= self.text_pad_id < self.text_vocab_size:
            raise ValueError(
                f"`text_pad_id` {self.text_pad_id} is outside the text vocabulary of {self.text_vocab_size} ids."
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1), got {self.dropout}.")
        if not 0 <= self.label_smoothing <= 1 - 1 / max(self.vocab_size, 1):
            raise ValueError(
                f"`label_smoothing` must be at least 0 and at most 1 - 1 / vocab_size, got {self.label_smoothing}."
            )
        if not 0 < self.initializer_range < math.inf:
            raise ValueError(f"`initializer_range` must be positive and finite, got {self.initializer_range}.")


__all__ = ["TextToMotionConfig"]
