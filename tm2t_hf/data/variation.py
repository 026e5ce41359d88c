# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Variants of a clip for training: mirrored, faster, by somebody else, measured less well, standing still."""

from dataclasses import dataclass

import numpy as np

from ..bodies import MOST_VARIATION, varied_offsets
from ..motion import bone_offsets, features_to_joints, joints_to_features, mirror_joints, resample, retarget
from ..skeletons import Skeleton

MOST_JITTER = 0.1  # meters


@dataclass(frozen=True)
class BodyVariation:
    """Further copies of every clip, each as if somebody else had performed it; all draws are uniform.

    Args:
        copies: how many further copies.
        proportions: legs, arms, shoulders and spine become longer or shorter by up to this share, and each bone's rest
            direction is turned a little (`bodies.varied_offsets`).
        jitter: up to how many meters the joints are off, as standard deviation of noise in every frame.
        still_frames: up to how many frames the figure stands still before and after the clip, half of the time each.

    Raises:
        ValueError: for a value out of range.
    """

    copies: int = 0
    proportions: float = 0.2
    jitter: float = 0.0
    still_frames: int = 0

    def __post_init__(self):
        for name, most in (("copies", np.inf), ("proportions", MOST_VARIATION), ("jitter", MOST_JITTER)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} of a body variation must be from 0 to {most:g}; got {getattr(self, name)}.")
        if self.still_frames < 0:
            raise ValueError(f"still_frames of a body variation must not be negative; got {self.still_frames}.")


def varied_motion(
    features: np.ndarray,
    skeleton: Skeleton,
    mirror: bool = False,
    speed: float = 1.0,
    body: BodyVariation | None = None,
    rng: np.random.Generator | None = None,
    offsets: np.ndarray | None = None,
) -> np.ndarray:
    """A variant of a clip.

    Goes through the joints, so that rotations, velocities and contacts are those of the variant.

    Args:
        features: unnormalized, (frames, feature_size).
        skeleton: what they belong to.
        mirror: left to right.
        speed: 2 is twice as fast.
        body: also by another body, which `rng` draws.
        rng: the random source; only for `body`.
        offsets: (joints, 3) of the body that the data set was retargeted to, if it was: the variant is retargeted to
            it again, as an extractor with these offsets does with any motion.

    Returns:
        (frames - 1, feature_size) float32, or as many frames as the speed and the still frames make of it.
    """
    joints = features_to_joints(features.astype(np.float64), skeleton.num_joints)
    joints = mirror_joints(joints, skeleton) if mirror else joints
    joints = resample(joints, speed, 1.0)
    if body is not None:
        other = varied_offsets(bone_offsets(joints, skeleton), skeleton, rng, body.proportions)
        joints = retarget(joints, skeleton, other)
        if body.still_frames:
            before, after = rng.integers(body.still_frames + 1, size=2) * rng.integers(2, size=2)
            joints = np.pad(joints, ((before, after), (0, 0), (0, 0)), mode="edge")
        if body.jitter:
            deviation = rng.uniform(0, body.jitter) / skeleton.metres_per_unit
            joints = joints + rng.normal(scale=deviation, size=joints.shape)
    if offsets is not None:
        joints = retarget(joints, skeleton, offsets)
    return joints_to_features(joints, skeleton).astype(np.float32)


__all__ = ["BodyVariation", "varied_motion"]
