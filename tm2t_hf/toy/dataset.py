# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The toy set as a data folder: clips of every action, their captions and splits."""

from pathlib import Path

import numpy as np

from ..data.prepare import make_features
from ..files import written_beside
from ..skeletons import HUMANML3D
from .actions import ACTIONS, FPS, LEXICON, PACES, SIDED_ACTIONS, SPEEDS, SUBJECTS, Manner
from .body import SIDES, rotation


def make_toy_dataset(output_dir: str | Path, num_clips: int = 300, seed: int = 0) -> Path:
    """Make a small motion-text set in the HumanML3D layout, ready for training.

    22 joints, 20 fps, clips of 1.5 to 7 seconds, three captions each; every action in turn, so that there are
    nearly as many clips of each. A tenth of the clips are `val`, another tenth `test`. The clip ids name the action.

    Args:
        output_dir: folder to make; it must not exist, or be empty.
        num_clips: at least 10.
        seed: the same seed gives the same files.

    Returns:
        The folder, with `new_joints`, `new_joint_vecs`, `texts`, split files, `Mean.npy` and `Std.npy`.

    Raises:
        FileExistsError: there is something in the folder already.
        ValueError: fewer than 10 clips.
    """
    output_dir = Path(output_dir)
    if num_clips < 10:
        raise ValueError(f"A toy set needs at least 10 clips to have three splits; num_clips is {num_clips}.")
    if output_dir.exists() and any(output_dir.iterdir()):
        raise FileExistsError(f"{output_dir} is not empty: give the toy set a folder of its own, or remove that one.")
    with written_beside(output_dir) as part:
        for folder in ("new_joints", "texts"):
            (part / folder).mkdir(parents=True)
        actions = _all_actions()
        clips = []
        for number in range(num_clips):
            rng = np.random.default_rng((seed, number))
            action = list(actions)[number % len(actions)]
            clip = f"toy_{action}_{number:04d}"
            joints, captions = make_toy_clip(action, rng)
            np.save(part / "new_joints" / f"{clip}.npy", joints)
            lines = (f"{caption}#{tag_words(caption)}#0.0#0.0\n" for caption in captions)
            (part / "texts" / f"{clip}.txt").write_text("".join(lines), encoding="utf-8")
            clips.append(clip)
        order = np.random.default_rng(seed).permutation(num_clips)
        tenth = num_clips // 10
        splits = {"val": order[:tenth], "test": order[tenth : 2 * tenth], "train": order[2 * tenth :], "all": order}
        for split, members in splits.items():
            (part / f"{split}.txt").write_text("".join(f"{clips[member]}\n" for member in sorted(members)))
        make_features(part, skeleton=HUMANML3D)
    return output_dir


def make_toy_clip(action: str, rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """One clip of an action: joints (frames, 22, 3) float32 in meters, y up, and three captions.

    Pace, size, length and heading are drawn from `rng`. Raises ValueError for an unknown action.
    """
    actions = _all_actions()
    if action not in actions:
        raise ValueError(f"There is no toy action {action!r}; there are {', '.join(actions)}.")
    perform, seconds, phrases = actions[action]
    pace = str(rng.choice(list(SPEEDS)))
    speed = rng.uniform(*SPEEDS[pace])
    # A faster action takes less time, but never so little that the envelope of the movement gets jerky.
    frames = round(FPS * seconds * rng.uniform(0.9, 1.2) / speed**0.7)
    joints = perform(Manner(frames, speed, rng.uniform(0.85, 1.1), rng)).joints()
    heading = rotation(np.zeros(1), rng.uniform(-np.pi, np.pi))[0]
    if action == "stand":
        pace = "normal"
    captions = []
    for phrase in rng.permutation(phrases):
        words = (str(rng.choice(SUBJECTS)), str(phrase), str(rng.choice(PACES[pace])))
        captions.append(" ".join(word for word in words if word))
    return (joints @ heading.T).astype(np.float32), captions


def tag_words(caption: str) -> str:
    """The `lemma/POS` string of a toy caption, as the caption files of HumanML3D have it."""
    return " ".join(LEXICON[word] for word in caption.split())


def _all_actions() -> dict:
    """ACTIONS and both sides of SIDED_ACTIONS: name -> (manner -> performance, seconds, phrases)."""
    actions = dict(ACTIONS)
    for name, (perform, seconds, phrases) in SIDED_ACTIONS.items():
        for sign, side in zip((1, -1), SIDES, strict=True):
            said = tuple(phrase.format(side=side) for phrase in phrases)
            actions[f"{name}-{side}"] = (
                lambda manner, sign=sign, perform=perform: perform(manner, sign),
                seconds,
                said,
            )
    return actions
