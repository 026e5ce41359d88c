# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motion to text, shown the same motions on other bodies, measured less well, and amid moments of standing still."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from tm2t_hf import Skeleton
from tm2t_hf.bodies import body_parts
from tm2t_hf.files import load_array
from tm2t_hf.motion import bone_offsets, retarget


@dataclass(frozen=True)
class Performance:
    """How somebody else performs a motion, or how else it is recorded.

    Args:
        scale: of the whole figure and its path.
        parts: scale of the bones of some `bodies.body_parts`, before the figure is scaled.
        jitter: standard deviation in meters of noise in every joint of every frame.
        still_seconds: time that the figure stands still before and after the motion.
    """

    scale: float = 1.0
    parts: dict[str, float] = field(default_factory=dict)
    jitter: float = 0.0
    still_seconds: float = 0.0


# The performer of the Bandai-Namco data is a figure of 1.3 m: 1.28 times as tall is an adult.
ADULT = 1.28
PERFORMANCES = {
    "as recorded": Performance(),
    **{f"{scale:g} times as tall": Performance(scale) for scale in (0.8, 0.9, 1.1, ADULT, 1.3)},
    "legs 20 % longer": Performance(parts={"legs": 1.2}),
    "legs 20 % shorter": Performance(parts={"legs": 0.8}),
    "arms 20 % longer": Performance(parts={"arms": 1.2}),
    "arms 20 % shorter": Performance(parts={"arms": 0.8}),
    "shoulders 20 % broader": Performance(parts={"shoulders": 1.2}),
    "spine 20 % longer": Performance(parts={"spine": 1.2}),
    "adult with long legs": Performance(ADULT, {"legs": 1.2}),
    "adult with short legs": Performance(ADULT, {"legs": 0.8}),
    "5 mm of noise": Performance(jitter=0.005),
    "10 mm of noise": Performance(jitter=0.01),
    "a second still before and after": Performance(still_seconds=1.0),
}


def performed(joints: np.ndarray, how: Performance, skeleton: Skeleton, rng: np.random.Generator) -> np.ndarray:
    """Joints (frames, joints, 3) in meters -> the same motion, performed as `how` says; the noise is drawn."""
    if how.parts:
        offsets = bone_offsets(joints, skeleton)
        for part, scale in how.parts.items():
            offsets[body_parts(skeleton)[part]] *= scale
        joints = retarget(joints, skeleton, offsets)
    joints = joints * how.scale
    still = round(how.still_seconds * skeleton.fps)
    joints = np.pad(joints, ((still, still), (0, 0), (0, 0)), mode="edge")
    return joints + rng.normal(scale=how.jitter, size=joints.shape) if how.jitter else joints


def load_original_joints(folder: str, clip_ids: list[str], skeleton: Skeleton) -> list[np.ndarray]:
    """Joints (frames, joints, 3) of clips before they were retargeted; a clip that is missing ends the program."""
    paths = [Path(folder) / "new_joints" / f"{clip_id}.npy" for clip_id in clip_ids]
    if missing := [path for path in paths if not path.is_file()]:
        raise SystemExit(f"--bodies {folder}: {missing[0]} is missing; give the folder before it was retargeted.")
    joints = [load_array(path) for path in tqdm(paths, desc="original joints", leave=False)]
    for path, motion in zip(paths, joints, strict=True):
        if problem := skeleton.problem_with(motion):
            raise SystemExit(f"--bodies {folder}: {path} {problem}.")
    return joints
