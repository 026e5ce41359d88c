# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Check a folder in the HumanML3D layout and report every problem at once."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..files import load_array, load_statistics
from ..skeletons import HUMANML3D, Skeleton
from .captions import CaptionLine, read_captions
from .folder import SPLITS, read_split
from .prepare import motion_problem


def check(data_dir: str | Path, skeleton: Skeleton = HUMANML3D, unit_length: int = 4) -> list[str]:
    """Everything that is wrong with a folder in the HumanML3D layout, a sentence a problem; empty when it is fine.

    Looks at split files, texts, joints, features and statistics. Clips with the same problem share a sentence.
    """
    folder = Path(data_dir)
    if not folder.is_dir():
        return [f"There is no data folder {folder}."]
    problems, splits = _check_splits(folder)
    found: dict[str, list[str]] = defaultdict(list)
    scales: list[np.ndarray] = []
    clips = sorted(set().union(*splits.values()))
    has_joints, has_features = (any((folder / name).glob("*.npy")) for name in ("new_joints", "new_joint_vecs"))
    if not has_features:
        problems.append(f"There are no features in new_joint_vecs: make them with `tm2t-hf prepare {folder}`.")
    if not has_features and not has_joints:
        problems.append("There are no joints in new_joints to make features from either.")
    if not (folder / "texts").is_dir():
        problems.append("The folder texts is missing.")
    for clip in tqdm(clips, desc="Checking", unit="clip"):
        frames = None
        if has_features:
            frames = _check_features(folder / "new_joint_vecs" / f"{clip}.npy", skeleton, unit_length, found)
        if has_joints:
            _check_joints(folder / "new_joints" / f"{clip}.npy", skeleton, frames, found, scales)
        if (folder / "texts").is_dir():
            _check_texts(folder / "texts" / f"{clip}.txt", None if frames is None else frames / skeleton.fps, found)
    for problem, names in found.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        problems.append(f"{problem}: {', '.join(names[:3])}{more}.")
    problems += _check_scale(scales, skeleton)
    if has_features:
        try:
            load_statistics(folder, skeleton)
        except (FileNotFoundError, ValueError) as error:
            problems.append(str(error))
    return problems


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
                problems.append(
                    f"{len(shared)} clips are both in {first}.txt and {second}.txt, the first is {shared[0]}."
                )
    return problems, splits


def _load_array(path: Path, found: dict[str, list[str]]) -> np.ndarray | None:
    try:
        return load_array(path)
    except FileNotFoundError:
        found[f"No file in {path.parent.name} for clips of the split files"].append(path.stem)
    except ValueError:
        found[f"Not a readable .npy file of numbers in {path.parent.name}"].append(path.stem)
    return None


def _check_features(path: Path, skeleton: Skeleton, unit_length: int, found: dict[str, list[str]]) -> int | None:
    features = _load_array(path, found)
    if features is None:
        return None
    if features.ndim != 2 or features.shape[1] != skeleton.feature_size:
        needed = f"{skeleton.name} needs (frames, {skeleton.feature_size})"
        found[f"Features of shape {_shape(features)}, but {needed}"].append(path.stem)
        return None
    if not np.isfinite(features).all():
        found["NaN or infinite features"].append(path.stem)
    if len(features) < unit_length:
        found[f"Shorter than one motion token ({unit_length} frames)"].append(path.stem)
    return len(features)


def _check_joints(
    path: Path, skeleton: Skeleton, frames: int | None, found: dict[str, list[str]], scales: list[np.ndarray]
):
    joints = _load_array(path, found)
    if joints is None:
        return
    if joints.ndim != 3 or joints.shape[1:] != (skeleton.num_joints, 3):
        needed = f"{skeleton.name} needs (frames, {skeleton.num_joints}, 3)"
        found[f"Joints of shape {_shape(joints)}, but {needed}"].append(path.stem)
    elif problem := motion_problem(joints, skeleton):
        found[f"A file of new_joints {problem}"].append(path.stem)
    else:
        scales.append(np.ptp(joints.mean(axis=0), axis=0))
        # HumanML3D itself keeps joints recovered from the features, which are as long as these.
        if frames is not None and len(joints) - frames not in (0, 1):
            found["Features of another length than the joints"].append(path.stem)


def _shape(array: np.ndarray) -> str:
    """The shape with the number of frames, which differs from clip to clip, left open."""
    return f"({', '.join(['frames', *map(str, array.shape[1:])])})"


def _check_texts(path: Path, seconds: float | None, found: dict[str, list[str]]):
    try:
        lines = read_captions(path)
    except FileNotFoundError:
        found["No text file"].append(path.stem)
        return
    except UnicodeDecodeError:
        found["A text file that is not UTF-8"].append(path.stem)
        return
    except ValueError as error:
        found["A text file that cannot be used"].append(f"{path.stem} ({str(error).rstrip('.')})")
        return
    if any(_has_bad_range(line, seconds) for line in lines):
        found["A caption whose start and end tags name no part of the clip"].append(path.stem)


def _has_bad_range(line: CaptionLine, seconds: float | None) -> bool:
    if line.whole_clip:
        return False
    return line.start < 0 or line.end <= line.start or (seconds is not None and line.start >= seconds)


def _check_scale(scales: list[np.ndarray], skeleton: Skeleton) -> list[str]:
    """Bodies that lie down, or are no body's size. Judged over all clips: in one clip a person may really lie."""
    if not scales:
        return []
    extent = np.median(scales, axis=0) * skeleton.metres_per_unit
    problems = []
    if extent.argmax() != 1:
        problems.append(
            f"The bodies are longest along {'xyz'[extent.argmax()]}, not y: the joints do not seem to be y up."
        )
    if not 0.5 < extent.max() < 3:
        problems.append(
            f"The bodies are {extent.max():.3g} m tall: joints of {skeleton.name} are in units of "
            f"{skeleton.metres_per_unit:g} m."
        )
    return problems
