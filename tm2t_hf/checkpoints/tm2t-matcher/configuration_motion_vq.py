# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Configuration of the motion VQ-VAE, the first stage of TM2T."""

import math

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig
from transformers.utils import logging

from .configuration_base import SPECIAL_IDS, OverridesFirstMixin, derived_field
from .vocabulary import MotionVocabularyMixin

logger = logging.get_logger(__name__)

USUAL_FPS = 20.0  # of HumanML3D


@strict
class MotionVQConfig(MotionVocabularyMixin, OverridesFirstMixin, PreTrainedConfig):
    """Configuration of [`MotionVQModel`].

    The defaults of the sizes are those of the released TM2T models; the default codebook learning is one that cannot
    collapse (the paper's is `"gradient"`).

    Args:
        feature_size: features of a frame; `12 * joints - 1` in the HumanML3D representation.
        contact_size: the last features (foot contacts) that only the decoder makes; 0 shows them to the encoder too.
        hidden_size: width of all convolutions and of the codebook vectors.
        unit_length: frames of one motion token: 2, 4, 8, ... (each doubling is one strided convolution).
        codebook_size: number K of codes. The motion vocabulary is these, then `<bom>`, `<eom>` and `<pad>`.
        num_encoder_blocks: residual blocks after each strided convolution.
        num_decoder_blocks: residual blocks before the upsampling.
        dilation_growth_rate: the i-th residual block of a row is dilated by this to the power i; 1 is the paper.
        codebook_update: `"gradient"` (the paper), `"ema"` (moving averages) or `"ema_reset"` (and codes that fall out
            of use are restarted at latents of the batch).
        commitment_weight: beta of the paper.
        ema_decay: decay of the moving averages.
        reset_threshold: codes chosen less often, on moving average, than this share of an even use are restarted.
        position_loss_weight: weight of an additional L1 on the joint positions alone; 0 is the paper.
        drift_loss_weight: weight of an L1 on the root's velocities summed over time, which is what makes a decoded
            figure drift from its path; 0 is the paper.
        fps: frames per second, so that lengths can be given in seconds; None, where it is not known, counts as 20.

    Raises:
        StrictDataclassError: naming the field that has the wrong type or does not fit the others.
    """

    model_type = "tm2t-vq"
    # what `Trainer.predict` does not collect: all but the motion and its codes
    keys_to_ignore_at_inference = ["quantized", "perplexity", "hidden_states"] + [
        f"{part}_loss" for part in ("reconstruction", "codebook", "commitment", "position", "drift")
    ]

    feature_size: int = 263
    contact_size: int = 4
    hidden_size: int = 1024
    unit_length: int = 4
    codebook_size: int = 1024
    num_encoder_blocks: int = 1
    num_decoder_blocks: int = 3
    dilation_growth_rate: int = 1
    codebook_update: str = "ema_reset"
    commitment_weight: float | int = 1.0
    ema_decay: float = 0.99
    reset_threshold: float | int = 0.1
    position_loss_weight: float | int = 0.0
    drift_loss_weight: float | int = 0.0
    fps: float | int | None = None

    def validate_architecture(self):
        """Checks that hold across fields."""
        for name in ("feature_size", "hidden_size", "dilation_growth_rate", *(() if self.fps is None else ("fps",))):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be positive; got {getattr(self, name)}.")
        weights = ("commitment_weight", "reset_threshold", "position_loss_weight", "drift_loss_weight")
        for name in ("num_encoder_blocks", "num_decoder_blocks", *weights):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must not be negative; got {getattr(self, name)}.")
        if self.unit_length < 2 or self.unit_length & (self.unit_length - 1):
            raise ValueError(f"`unit_length` must be a power of two from 2 on; got {self.unit_length}.")
        if not 0 <= self.contact_size < self.feature_size:
            raise ValueError(
                f"`contact_size` ({self.contact_size}) must leave the encoder some of the "
                f"{self.feature_size} features."
            )
        if self.codebook_update not in ("gradient", "ema", "ema_reset"):
            raise ValueError(
                f"`codebook_update` must be 'gradient', 'ema' or 'ema_reset'; got {self.codebook_update!r}."
            )
        if not 0 < self.ema_decay < 1:
            raise ValueError(f"`ema_decay` must lie between 0 and 1; got {self.ema_decay}.")
        if (self.position_loss_weight or self.drift_loss_weight) and (self.feature_size + 1) % 12:
            raise ValueError(
                "`position_loss_weight` and `drift_loss_weight` need the HumanML3D representation, whose "
                f"`feature_size` is 12 * joints - 1; got {self.feature_size}."
            )

    @property
    def num_joints(self) -> int:
        """Joints behind the features, when they are the HumanML3D representation."""
        return (self.feature_size + 1) // 12

    @property
    def seconds_per_token(self) -> float:
        """Seconds of motion that one token stands for."""
        return self.unit_length / (USUAL_FPS if self.fps is None else self.fps)


class MotionVQInsideMixin(MotionVocabularyMixin, OverridesFirstMixin):
    """A configuration with a `vq_config`, or None, and a `codebook_size` K that must be its own."""

    vq_config: MotionVQConfig | None
    codebook_size: int | None

    def __setattr__(self, name, value):
        if name == "vq_config" and isinstance(value, dict):
            value = MotionVQConfig(**value)
        super().__setattr__(name, value)

    def __post_init__(self, **kwargs):
        if self.codebook_size is None:
            self.codebook_size = 1024 if self.vq_config is None else self.vq_config.codebook_size
        super().__post_init__(**kwargs)

    @classmethod
    def merged(cls, saved: dict, overrides: dict) -> dict:
        """As in the base class; a dictionary for `vq_config` changes the saved one, and takes K along."""
        new = overrides.get("vq_config")
        if new is not None:
            saved = {name: value for name, value in saved.items() if name != "codebook_size"}
            if isinstance(new, dict):
                overrides = overrides | {"vq_config": (saved.get("vq_config") or {}) | new}
        return super().merged(saved, overrides)

    def validate_vq_config(self):
        """Part of the validation by `@strict`: the codes are those of the motion VQ inside."""
        if self.vq_config is not None and self.vq_config.codebook_size != self.codebook_size:
            raise ValueError(
                f"codebook_size is {self.codebook_size}, but the motion VQ of vq_config has "
                f"{self.vq_config.codebook_size} codes; leave codebook_size out, or give the VQ that the model was "
                "trained with"
            )


def _special_id(source: str) -> property:
    """A special id, which is that of the motion vocabulary whatever it is set to; `source` is its name there."""

    def get(self):
        return getattr(self, source)

    def keep(self, given):
        # `Trainer` assigns the special ids of the tokenizer in its `processing_class`, which is the text's.
        if given not in (None, get(self)):
            logger.warning_once(
                f"The special ids of a {self.model_type} model are those of its codebook, {self.bom_id} to "
                f"{self.pad_id}, and stay so: other ids that its configuration is given do not count."
            )

    return property(get, keep, doc=f"`{source}`, under the name that generate() looks for.")


class MotionTargetMixin(MotionVQInsideMixin):
    """A configuration whose target vocabulary is that of motion, under the names that generate() looks for."""

    derived_fields = ("vocab_size", *SPECIAL_IDS)

    vocab_size = derived_field("vocab_size", "codebook_size", lambda config: config.motion_vocab_size)
    bos_token_id = decoder_start_token_id = _special_id("bom_id")
    eos_token_id = _special_id("eom_id")
    pad_token_id = _special_id("pad_id")

    def __post_init__(self, **kwargs):
        given = {name: kwargs.pop(name) for name in SPECIAL_IDS if name in kwargs}
        super().__post_init__(**kwargs)
        for name, value in given.items():
            if value not in (None, getattr(self, name)):
                raise ValueError(
                    f"{name} of a {self.model_type} configuration follows from codebook_size and is "
                    f"{getattr(self, name)}, not {value}; leave it out."
                )


__all__ = ["MotionTargetMixin", "MotionVQConfig", "MotionVQInsideMixin"]
