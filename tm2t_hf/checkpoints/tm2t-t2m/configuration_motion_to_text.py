# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Configuration of `MotionToTextModel`: sizes of the transformer, its two vocabularies, the motion VQ it carries."""

import math
from typing import Literal

from huggingface_hub.dataclasses import strict
from transformers import MarianConfig
from transformers.configuration_utils import PreTrainedConfig, SubConfigSpec

from .configuration_base import SPECIAL_IDS, derived_field
from .configuration_motion_vq import MotionVQConfig, MotionVQInsideMixin


@strict
class MotionToTextConfig(MotionVQInsideMixin, MarianConfig):
    """Configuration of a `MotionToTextModel`.

    The defaults are the sizes of TM2T (Guo et al., ECCV 2022) on HumanML3D. The source vocabulary is the motion
    vocabulary of `codebook_size` codes (see `vocabulary.py`). The target vocabulary is the
    text tokenizer's: `vocab_size`, `pad_token_id`, `bos_token_id`, `eos_token_id` and `decoder_start_token_id` all
    refer to text. Whatever else `MarianConfig` has keeps its meaning.

    Args:
        vq_config: configuration (or its dict) of the motion VQ that the model carries to take motion features; None
            for a model that takes motion ids only.
        codebook_size: K. Follows from `vq_config` where that is given; 1024, the paper's, otherwise.
        frozen_storage_dtype: type in which `save_pretrained` stores the motion VQ, which no training of this model
            changes. It is float32 again once loaded.
        vocab_size: number of entries of the text vocabulary.
        d_model: width of the transformer.
        encoder_layers, decoder_layers: number of layers.
        encoder_attention_heads, decoder_attention_heads: number of attention heads; each must divide `d_model`.
        encoder_ffn_dim, decoder_ffn_dim: inner width of the feed-forward blocks.
        max_position_embeddings: the most tokens, `<bom>` and `<eom>` included, that a motion or a caption can have.
        dropout: dropout of each block's output.
        attention_dropout: dropout of the attention weights.
        activation_dropout: dropout inside the feed-forward blocks.
        embedding_dropout: dropout of the embeddings, positions added (the paper's code has none).
        token_dropout: share of motion tokens hidden in training, their embedding set to zero: a model that has seen
            gaps depends less on single tokens (the paper's code has none).
        label_smoothing: share of probability taken from the right token and spread evenly over all *other* tokens, as
            in the paper's code; `torch` spreads it over all tokens, so its value is V / (V - 1) times this one.
        loss_reduction: "mean" over the tokens of the labels, or their "sum" (the paper's code).
        layer_norm_eps: epsilon of the layer norms.
        pad_token_id, bos_token_id, eos_token_id, decoder_start_token_id: special ids of the text vocabulary.
        read_offsets: first frames of the readings of `motion_values`, each from 0 to `unit_length - 1`. Codes depend
            on where the first token begins; with `[0, 2]` the clip is encoded once from its first frame and once from
            its third, and the decoder attends to both. `[0]`, the paper's, is one reading.
        read_residuals: also read of `motion_values` what their codes leave out, the residuals of
            `MotionVQModel.encode`, which are projected and added to the codes' embeddings. Motion ids and
            distributions are read without. The paper's model does not have it.
        residual_dropout: share of the motions whose residuals are hidden in training, so that codes alone are
            understood as well, such as those of generated motion.

    Raises:
        StrictDataclassError: naming the field that has the wrong type or does not fit the others.
    """

    model_type = "tm2t-m2t"
    sub_configs_defaults = {"vq_config": SubConfigSpec(config_class=MotionVQConfig, optional=True)}
    derived_fields = ("decoder_vocab_size",)

    vq_config: PreTrainedConfig | dict | None = None
    codebook_size: int | None = None
    frozen_storage_dtype: Literal["float32", "float16"] = "float32"
    vocab_size: int = 2000
    d_model: int = 512
    encoder_layers: int = 4
    decoder_layers: int = 4
    encoder_attention_heads: int = 8
    decoder_attention_heads: int = 8
    encoder_ffn_dim: int = 2048
    decoder_ffn_dim: int = 2048
    max_position_embeddings: int = 100
    activation_function: str = "relu"
    scale_embedding: bool = True
    dropout: float | int = 0.1
    attention_dropout: float | int = 0.1
    activation_dropout: float | int = 0.0
    embedding_dropout: float | int = 0.0
    token_dropout: float | int = 0.0
    label_smoothing: float | int = 0.0
    loss_reduction: Literal["mean", "sum"] = "mean"
    layer_norm_eps: float = 1e-6
    pad_token_id: int | None = 0
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    decoder_start_token_id: int = 1
    forced_eos_token_id: int | list[int] | None = None
    share_encoder_decoder_embeddings: bool = False
    read_offsets: list[int] | tuple[int, ...] = (0,)
    read_residuals: bool = False
    residual_dropout: float | int = 0.3

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        self.read_offsets = list(self.read_offsets)  # as it comes back from JSON

    # Marian's name for the target vocabulary; here `vocab_size` is the target's, as generate() expects.
    decoder_vocab_size = derived_field("decoder_vocab_size", "vocab_size", lambda config: config.vocab_size)

    def validate_architecture(self):
        """Checks between fields; part of the validation by `@strict`."""
        sizes = ("vocab_size", "d_model", "max_position_embeddings", "encoder_ffn_dim", "decoder_ffn_dim")
        for name in sizes:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("encoder_layers", "decoder_layers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 < self.layer_norm_eps < math.inf:
            raise ValueError(f"layer_norm_eps must be positive and finite, got {self.layer_norm_eps}")
        for side in ("encoder", "decoder"):
            heads = getattr(self, f"{side}_attention_heads")
            if heads < 1 or self.d_model % heads:
                raise ValueError(f"{side}_attention_heads={heads} does not divide d_model={self.d_model}")
        shares = ("attention_dropout", "activation_dropout", "embedding_dropout", "token_dropout", "residual_dropout")
        for name in ("dropout", *shares):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}")
        if not 0 <= self.label_smoothing <= 1 - 1 / self.vocab_size:
            raise ValueError(
                f"label_smoothing must be at least 0 and at most 1 - 1 / vocab_size, got {self.label_smoothing}"
            )
        for name in (*SPECIAL_IDS, "forced_eos_token_id"):
            value = getattr(self, name)
            if value is None and name == "forced_eos_token_id":
                continue
            for index in value if isinstance(value, list) else [value]:
                if index is None or not 0 <= index < self.vocab_size:
                    raise ValueError(
                        f"{name} must be an id of the text vocabulary (0 to {self.vocab_size - 1}), got {index}"
                    )
        if self.read_residuals and self.vq_config is None:
            raise ValueError("read_residuals needs a vq_config: residuals are a motion VQ's")
        if self.share_encoder_decoder_embeddings:
            raise ValueError("share_encoder_decoder_embeddings must be False: motion and text share no vocabulary")

    def validate_read_offsets(self):
        """Part of the validation by `@strict`; the model calls it too, as offsets may be changed at any time."""
        unit_length = 1 if self.vq_config is None else self.vq_config.unit_length
        offsets = self.read_offsets
        if not offsets or len(set(offsets)) < len(offsets) or not 0 <= min(offsets) <= max(offsets) < unit_length:
            raise ValueError(
                f"read_offsets must hold distinct frames from 0 to {unit_length - 1}, the last of a token"
                f"{' (0 without a vq_config)' if self.vq_config is None else ''}, got {offsets}"
            )


__all__ = ["MotionToTextConfig"]
