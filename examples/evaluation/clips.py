# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The clips of a split of a data folder, and the folder in `examples/` that knows what they show."""

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tm2t_hf import MotionFeatureExtractor, Skeleton, features_to_joints
from tm2t_hf.data import load_motion_dataset
from tm2t_hf.metrics import GROUP_SIZE

from .arguments import Arguments
from .models import Checkpoint
from .scores import words_of

EXAMPLES = Path(__file__).parents[1]


@dataclass
class Data:
    """One split; every list has one item per clip."""

    skeleton: Skeleton
    ids: list[str]
    features: list[np.ndarray]
    joints: list[np.ndarray]
    captions: list[list[str]]
    tokens: list[list[str]]
    labels: list[tuple[str, str]] | None

    def prompts(self, checkpoint: Checkpoint) -> list[str]:
        """The first caption of every clip."""
        return [texts[0] for texts in (self.tokens if checkpoint.knows_lemmas_only else self.captions)]

    def references(self, m2t: Checkpoint | None) -> list[list[str]]:
        """All captions of every clip, in the words that the motion-to-text model can write."""
        if m2t and m2t.knows_lemmas_only:
            return [[" ".join(re.findall(r"(\S+)/[A-Z]+", tokens)) for tokens in texts] for texts in self.tokens]
        return [list(map(words_of, texts)) for texts in self.captions]


def load_data(args: Arguments, extractor: MotionFeatureExtractor, grouped: bool) -> Data:
    """One split of the data folder, in full."""
    skeleton = extractor.skeleton
    rows = load_motion_dataset(args.data_dir, args.split, skeleton)
    if grouped and len(rows) < GROUP_SIZE:
        raise SystemExit(
            f"The {args.split} split has {len(rows)} clips, and a matcher asks in groups of {GROUP_SIZE}: leave out "
            "--matcher, or give a larger split."
        )
    features = [row["features"] for row in rows]
    labels = None
    if args.labels:
        try:
            labels = list(map(module_of(args.labels, "labels").action_and_style_of_clip, rows["id"]))
        except ValueError as error:
            raise SystemExit(f"--labels {args.labels} does not fit {args.data_dir}: {error}") from error
    return Data(
        skeleton,
        rows["id"][:],
        features,
        joints_of(features, skeleton),
        rows["captions"][:],
        rows["tokens"][:],
        labels,
    )


def joints_of(features: Sequence, skeleton: Skeleton) -> list[np.ndarray]:
    """Joints (frames, joints, 3) float32 in meters of features (frames, features), not normalized; maybe no frame."""
    joints = []
    for motion in features:
        motion = torch.as_tensor(motion)
        empty = motion.new_zeros(0, skeleton.num_joints, 3)
        found = features_to_joints(motion, skeleton.num_joints) if len(motion) else empty
        joints.append((found * skeleton.metres_per_unit).numpy())
    return joints


def module_of(data_set: str, name: str):
    """`labels` or `judge` of a folder in `examples/`."""
    try:
        return importlib.import_module(f"{data_set}.{name}")
    except ModuleNotFoundError as error:
        raise SystemExit(f"--labels {data_set}: there is no {EXAMPLES / data_set / name}.py.") from error
