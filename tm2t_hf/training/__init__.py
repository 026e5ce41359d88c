# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the training scripts share: their arguments, one epoch loop, checkpoints and the model card."""

from .arguments import LoopArguments, parse_arguments
from .checkpoints import LoopState, check_same_codes, load_trained
from .discriminator import MotionVQDiscriminator, discriminator_loss, generator_loss
from .loop import RunningMeans, fit, mean_losses, start
from .model_card import STAGES, write_model_card

__all__ = [
    "STAGES",
    "LoopArguments",
    "LoopState",
    "MotionVQDiscriminator",
    "RunningMeans",
    "check_same_codes",
    "discriminator_loss",
    "fit",
    "generator_loss",
    "load_trained",
    "mean_losses",
    "parse_arguments",
    "start",
    "write_model_card",
]
