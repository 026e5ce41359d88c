# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Check a folder in the HumanML3D layout and report every problem at once."""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..files import load_array, load_statistics
from ..formats.reading import SMPL_JOINTS
from ..plausibility import UNUSUAL, doubts_about, doubts_about_features, problems_of, problems_of_features
from ..skeletons import HUMANML3D, Skeleton
from .captions import CaptionLine, read_captions
from .folder import SPLITS, clips_in, read_split

# In some clips of a data set people lie down or stand on their hands; in more of them than this, the axes are wrong.
USUAL_SHARE = 0.1
TOO_SHORT = "has 1 frame, but features need two frames or more"


def check(data_dir: str | Path, skeleton: Skeleton = HUMANML3D, unit_length: int = 4) -> list[str]:
    """Every problem of a folder in the HumanML3D layout, one sentence per problem; empty when it is fine.

    Looks at split files, texts, joints, features and statistics, and at whether the motions look like a body
    (`tm2t_hf.plausibility`). Clips with the same problem share a sentence.

    Args:
        data_dir: the folder.
        skeleton: what the joints and features should be.
        unit_length: frames of a motion token; shorter clips are of no use.
    """
    folder = Path(data_dir)
    if not folder.is_dir():
        return [f"There is no data folder {folder}."]
    problems, splits = _check_splits(folder)
    found: dict[str, list[str]] = defaultdict(list)
    named = set().union(*splits.values())
    joints, features = (set(clips_in(folder / name)) for name in ("new_joints", "new_joint_vecs"))
    has_texts = (folder / "texts").is_dir()
    if not features:
        problems.append(f"There are no features in new_joint_vecs: make them with `tm2t-hf prepare {folder}`.")
    if not features and not joints:
        problems.append("There are no joints in new_joints to make features from either.")
    if not has_texts:
        problems.append("The folder texts is missing.")
    clips = sorted(named | joints)
    for clip in tqdm(clips, desc="Checking", unit="clip"):
        frames = motion = None
        if joints:
            motion = _check_joints(folder / "new_joints" / f"{clip}.npy", clip, skeleton, found)
        if features and clip in named:
            # Of joints that do not look like a body, the features do not either.
            judged = motion is not None or clip not in joints
            frames = _check_features(
                folder / "new_joint_vecs" / f"{clip}.npy", clip, skeleton, unit_length, found, judged
            )
        # HumanML3D itself keeps joints recovered from the features, which are as long as these.
        if frames is not None and motion is not None and motion - frames not in (0, 1):
            found["Features of another length than the joints"].append(clip)
        if has_texts and clip in named:
            seconds = None if frames is None else frames / skeleton.fps
            _check_texts(folder / "texts" / f"{clip}.txt", clip, seconds, found)
    for problem, names in found.items():
        if UNUSUAL not in problem or len(names) > USUAL_SHARE * len(clips):
            problems.append(f"{problem}: {_listed(names)}.")
    if features:
        try:
            load_statistics(folder, skeleton)
        except (FileNotFoundError, ValueError) as error:
            problems.append(str(error))
    return problems


def load_joints(path: Path, skeleton: Skeleton, smpl_order: bool = False) -> np.ndarray:
    """Joints (frames, joints, 3) float32 of which features can be made.

    Args:
        path: the file.
        skeleton: what the joints should be.
        smpl_order: of the joints of SMPL (24), SMPL-H (52) or SMPL-X, take the first 22, which are HumanML3D's.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an array of numbers, cannot be a motion of the skeleton, or is too short. Both name it.
    """
    joints = _as_float32(load_array(path))
    if smpl_order and joints.ndim == 3 and joints.shape[1] in SMPL_JOINTS:
        joints = joints[:, : skeleton.num_joints]
    problems = problems_of(joints, skeleton)
    if not problems and len(joints) < 2:
        problems = [TOO_SHORT]
    if problems:
        raise ValueError(f"{path} {problems[0]}.")
    return joints


def _as_float32(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # to infinite values, which are refused
        return array.astype(np.float32)


def _check_splits(folder: Path) -> tuple[list[str], dict[str, list[str]]]:
    problems, splits = [], {}
    present = sorted(path.stem for path in folder.glob("*.txt"))
    for split in sorted({*SPLITS, *present}):
        try:
            splits[split] = read_split(folder, split)
        except (FileNotFoundError, ValueError) as error:
            problems.append(str(error))
    named = [split for split in SPLITS if split in splits]
    for position, first in enumerate(named):
        for second in named[position + 1 :]:
            if shared := sorted(set(splits[first]) & set(splits[second])):
                count = "1 clip is" if len(shared) == 1 else f"{len(shared)} clips are"
                problems.append(f"{count} in both {first}.txt and {second}.txt: {_listed(shared)}.")
    return problems, splits


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _load(path: Path, clip: str, kind: str, found: dict[str, list[str]]) -> np.ndarray | None:
    try:
        return _as_float32(load_array(path))
    except FileNotFoundError:
        found[f"No file in {kind} for clips of the split files"].append(clip)
    except ValueError:
        found[f"Not a readable .npy file of numbers in {kind}"].append(clip)
    return None


def _check_features(
    path: Path, clip: str, skeleton: Skeleton, unit_length: int, found: dict[str, list[str]], judged: bool
) -> int | None:
    """The number of frames, if the file has the shape of features. `judged`: also say whether it looks like a body."""
    features = _load(path, clip, "new_joint_vecs", found)
    if features is None:
        return None
    if features.ndim != 2 or features.shape[1] != skeleton.feature_size:
        needed = f"{skeleton.name} needs (frames, {skeleton.feature_size})"
        found[f"Features of shape {_shape(features)}, but {needed}"].append(clip)
        return None
    if not np.isfinite(features).all():
        found["NaN or infinite features"].append(clip)
    elif len(features) < unit_length:
        found[f"Shorter than one motion token ({unit_length} frames)"].append(clip)
    elif judged:
        for problem in problems_of_features(features, skeleton) or doubts_about_features(features, skeleton):
            found[f"A file of new_joint_vecs {_shared(problem)}"].append(clip)
    return len(features)


def _check_joints(path: Path, clip: str, skeleton: Skeleton, found: dict[str, list[str]]) -> int | None:
    """The number of frames, if nothing is wrong."""
    joints = _load(path, clip, "new_joints", found)
    if joints is None:
        return None
    problems = problems_of(joints, skeleton)
    if not problems and len(joints) < 2:
        problems = [TOO_SHORT]
    problems = problems or doubts_about(joints, skeleton)
    for problem in problems:
        found[f"A file of new_joints {_shared(problem).replace(str(joints.shape), _shape(joints))}"].append(clip)
    return None if problems else len(joints)


def _shape(array: np.ndarray) -> str:
    """The shape with the number of frames, which differs from clip to clip, left open."""
    return f"({', '.join(['frames', *map(str, array.shape[1:])])})"


def _shared(problem: str) -> str:
    """A problem in words that all clips with it share: without the frame, the measure and the names of joints."""
    return re.sub(
        r", first in frame \d+| \((about [^()]*|(?!frames)[a-z]+_?[a-z0-9]*(,| and ) ?[^()]*)\)", "", problem
    )


def _check_texts(path: Path, clip: str, seconds: float | None, found: dict[str, list[str]]):
    try:
        lines = read_captions(path)
    except FileNotFoundError:
        found["No text file"].append(clip)
        return
    except ValueError as error:
        found["A text file that cannot be used"].append(f"{clip} ({str(error).rstrip('.')})")
        return
    if any(_has_bad_range(line, seconds) for line in lines):
        found["A caption whose start and end tags name no part of the clip"].append(clip)


def _has_bad_range(line: CaptionLine, seconds: float | None) -> bool:
    if line.whole_clip:
        return False
    return line.start < 0 or line.end <= line.start or (seconds is not None and line.start >= seconds)
