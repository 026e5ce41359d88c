# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the training scripts share: arguments, losses over several processes, one loop, checkpoints, model cards."""

from .arguments import (
    CaptionArguments,
    LoopArguments,
    M2TArguments,
    MatcherArguments,
    T2MArguments,
    VQArguments,
    check_range,
)
from .calibration import calibrate_motions, calibrate_requests
from .checkpoints import TrainingError, check_same_codes, check_same_skeleton
from .discriminator import MotionVQDiscriminator, discriminator_loss, generator_loss
from .loaders import training_loader, validation_loader
from .loop import Moment, fit, validate
from .losses import Loss, Means, foot_sliding, gather_rows
from .model_card import STAGES, write_model_card
from .parsing import parse_arguments
from .reports import NUM_SAMPLES, Sample
from .script import run, start

__all__ = [
    "NUM_SAMPLES",
    "STAGES",
    "CaptionArguments",
    "Loss",
    "LoopArguments",
    "M2TArguments",
    "MatcherArguments",
    "Means",
    "Moment",
    "MotionVQDiscriminator",
    "Sample",
    "T2MArguments",
    "TrainingError",
    "VQArguments",
    "calibrate_motions",
    "calibrate_requests",
    "check_range",
    "check_same_codes",
    "check_same_skeleton",
    "discriminator_loss",
    "fit",
    "foot_sliding",
    "gather_rows",
    "generator_loss",
    "parse_arguments",
    "run",
    "start",
    "training_loader",
    "validate",
    "validation_loader",
    "write_model_card",
]
