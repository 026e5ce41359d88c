# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Configuration of `TextToMotionTransformer`: its text side, the sizes of the transformer, the motion VQ inside it."""

import math
from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import PreTrainedConfig, SubConfigSpec

from .configuration_base import TextEncoderInsideMixin
from .configuration_motion_vq import MotionTargetMixin, MotionVQConfig


@strict
class TextToMotionTransformerConfig(TextEncoderInsideMixin, MotionTargetMixin, PreTrainedConfig):
    """Sizes and behavior of a `TextToMotionTransformer`: the transformer of TM2T in the direction of motion.

    The target vocabulary is the motion vocabulary of `codebook_size` codes (see `vocabulary.py`). The text side is
    either an embedding of its own, of `text_vocab_size` ids, or a pretrained text encoder; `encoder_layers` layers
    follow in both cases.

    Args:
        vq_config: configuration of the `MotionVQModel` that turns motion tokens into features; None leaves it out.
        codebook_size: number of motion codes K; None takes it from `vq_config` (or 1024 without one).
        text_encoder_config: configuration of a pretrained text encoder, any that `AutoModelForTextEncoding` knows;
            None for a text embedding of the model's own.
        freeze_text_encoder: keep the pretrained text encoder as it is, in training too.
        frozen_storage_dtype: type in which `save_pretrained` stores the parts that no training changes: the motion VQ
            and a frozen text encoder. They are float32 again once loaded.
        text_vocab_size: number of text ids; that of `text_encoder_config` where it is given.
        text_pad_id: text id that is padding; that of `text_encoder_config` where it is given.
        d_model: width of the transformer.
        encoder_layers: layers over the text, which may be none over a pretrained text encoder.
        decoder_layers: layers over the motion.
        encoder_attention_heads, decoder_attention_heads: number of attention heads; each must divide `d_model`.
        encoder_ffn_dim, decoder_ffn_dim: inner width of the feed-forward blocks.
        max_position_embeddings: the most tokens that a caption or a motion can have, special tokens included.
        activation_function: of the feed-forward blocks.
        dropout: dropout of each block's output, and of the features of a pretrained text encoder.
        attention_dropout: dropout of the attention weights.
        activation_dropout: dropout inside the feed-forward blocks.
        embedding_dropout: dropout of the embeddings, positions added.
        loss_reduction: "mean" over the tokens of the labels, or their "sum" (the paper's code).
        label_smoothing: probability that the loss moves from the right id evenly to all others (as the paper's code).
        layer_norm_eps: epsilon of the layer norms.
        use_cache: keep keys and values between the steps of `generate()`.

    Raises:
        StrictDataclassError: naming the field that has the wrong type or does not fit the others.
    """

    model_type = "tm2t-t2m-transformer"
    attribute_map = {
        "hidden_size": "d_model",
        "num_attention_heads": "encoder_attention_heads",
        "num_hidden_layers": "encoder_layers",
    }
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
    text_vocab_size: int = 2000
    text_pad_id: int = 0
    d_model: int = 512
    encoder_layers: int = 4
    decoder_layers: int = 4
    encoder_attention_heads: int = 8
    decoder_attention_heads: int = 8
    encoder_ffn_dim: int = 2048
    decoder_ffn_dim: int = 2048
    max_position_embeddings: int = 128
    activation_function: str = "relu"
    dropout: float | int = 0.1
    attention_dropout: float | int = 0.1
    activation_dropout: float | int = 0.0
    embedding_dropout: float | int = 0.0
    loss_reduction: Literal["mean", "sum"] = "mean"
    label_smoothing: float | int = 0.0
    layer_norm_eps: float = 1e-6
    use_cache: bool = True
    tie_word_embeddings: bool = True
    is_encoder_decoder: bool = True

    # What the Marian classes read, beyond the fields above.
    scale_embedding = True
    encoder_layerdrop = decoder_layerdrop = 0.0

    @property
    def decoder_vocab_size(self) -> int:
        """Marian's name of the target vocabulary's size."""
        return self.motion_vocab_size

    @property
    def text_embedding_size(self) -> int:
        """Width of what `inputs_embeds` holds: features of the pretrained text encoder, or embeddings."""
        return self.d_model if self.text_encoder_config is None else self.text_encoder_config.hidden_size

    def validate_architecture(self):
        """Part of the validation by `@strict`: relations between the fields."""
        sizes = ("text_vocab_size", "d_model", "max_position_embeddings", "encoder_ffn_dim", "decoder_ffn_dim")
        for name in (*sizes, "decoder_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if self.encoder_layers < 0:
            raise ValueError(f"`encoder_layers` must not be negative, got {self.encoder_layers}.")
        for side in ("encoder", "decoder"):
            heads = getattr(self, f"{side}_attention_heads")
            if heads < 1 or self.d_model % heads:
                raise ValueError(f"`{side}_attention_heads` {heads} does not divide `d_model` {self.d_model}.")
        if not 0 <= self.text_pad_id < self.text_vocab_size:
            raise ValueError(
                f"`text_pad_id` {self.text_pad_id} is outside the text vocabulary of {self.text_vocab_size} ids."
            )
        for name in ("dropout", "attention_dropout", "activation_dropout", "embedding_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be in [0, 1), got {getattr(self, name)}.")
        if not 0 <= self.label_smoothing <= 1 - 1 / max(self.vocab_size, 1):
            raise ValueError(
                f"`label_smoothing` must be at least 0 and at most 1 - 1 / vocab_size, got {self.label_smoothing}."
            )
        if not 0 < self.layer_norm_eps < math.inf:
            raise ValueError(f"`layer_norm_eps` must be positive and finite, got {self.layer_norm_eps}.")


__all__ = ["TextToMotionTransformerConfig"]
