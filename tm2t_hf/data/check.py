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
from ..motion import feature_groups, feature_statistics, joints_to_features
from ..plausibility import UNUSUAL, doubts_about, doubts_about_features, problems_of, problems_of_features
from ..skeletons import HUMANML3D, Skeleton
from .captions import CaptionLine, read_captions
from .folder import SPLITS, clips_in, read_split

# In some clips of a data set people lie down or stand on their hands; in more of them than this, the axes are wrong.
USUAL_SHARE = 0.1
TOO_SHORT = "has 1 frame, but features need two frames or more"
COMPARED = 50  # clips whose features are compared with their joints, unless all are
# Mean absolute difference, in meters where it is one. The joints that HumanML3D keeps give its features within a
# thirtieth of this, and any other motion gives other ones.
TOLERANCES = {"positions": 0.005, "rotations": 0.02, "velocities": 0.002}
STATISTICS_FROM = 200  # clips of the train split that Mean.npy and Std.npy are compared with
# Statistics may come from a larger set, or weigh some features by 5. Those of HumanML3D and of other motion capture
# differ by a factor of 1.5 in the typical group of features, and in the mean by half a standard deviation at most.
LARGEST_RATIO = 20.0  # over most features; of a single one, which may hardly move in a small set:
LARGEST_RATIO_OF_ONE = 1e4
LARGEST_SHIFT = 4.0  # standard deviations


def check(
    data_dir: str | Path, skeleton: Skeleton = HUMANML3D, unit_length: int = 4, thorough: bool = False
) -> list[str]:
    """Every problem of a folder in the HumanML3D layout, one sentence per problem; empty when it is fine.

    Looks at split files, texts, joints, features and statistics, at whether the motions look like a body
    (`tm2t_hf.plausibility`), whether features belong to the joints, and statistics to the features. Clips with the
    same problem share a sentence.

    Args:
        data_dir: the folder.
        skeleton: what the joints and features should be.
        unit_length: frames of a motion token; shorter clips are of no use.
        thorough: compare the features of all clips with their joints, not those of 50 spread over the set.
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
    with_both, of_train = [], []
    in_train = set(splits.get("train", ()))
    for clip in tqdm(clips, desc="Checking", unit="clip"):
        frames = motion = None
        looks_right = True
        if joints:
            motion, looks_right = _check_joints(folder / "new_joints" / f"{clip}.npy", clip, skeleton, found)
        if features and clip in named:
            # Of joints that do not look like a body, the features do not either.
            judged = looks_right or clip not in joints
            frames = _check_features(
                folder / "new_joint_vecs" / f"{clip}.npy", clip, skeleton, unit_length, found, judged
            )
        # HumanML3D itself keeps joints recovered from the features, which are as long as these.
        if frames is not None and motion is not None and motion - frames not in (0, 1):
            found["Features of another length than the joints"].append(clip)
        elif frames is not None and motion is not None:
            with_both.append(clip)
        if frames is not None and clip in in_train:
            of_train.append(clip)
        if has_texts and clip in named:
            seconds = None if frames is None else frames / skeleton.fps
            _check_texts(folder / "texts" / f"{clip}.txt", clip, seconds, found)
    _compare_with_joints(folder, with_both if thorough else _spread(with_both, COMPARED), skeleton, found)
    for problem, names in found.items():
        if UNUSUAL not in problem or len(names) > USUAL_SHARE * len(clips):
            problems.append(f"{problem}: {_listed(names)}.")
    if features:
        try:
            mean, std = load_statistics(folder, skeleton)
            problems += _compare_statistics(folder, mean, std, _spread(of_train, STATISTICS_FROM), skeleton)
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
    joints = first_joints(load_array(path), skeleton, smpl_order)
    problems = problems_of(joints, skeleton)
    if not problems and len(joints) < 2:
        problems = [TOO_SHORT]
    if problems:
        raise ValueError(f"{path} {problems[0]}.")
    return joints


def first_joints(joints: np.ndarray, skeleton: Skeleton, smpl_order: bool) -> np.ndarray:
    """Joints as float32; with `smpl_order` the skeleton's part of those of SMPL, SMPL-H or SMPL-X."""
    joints = _as_float32(joints)
    if smpl_order and joints.ndim == 3 and joints.shape[1] in SMPL_JOINTS:
        joints = joints[:, : skeleton.num_joints]
    return joints


def _is_finite(array: np.ndarray) -> bool:
    return bool(np.isfinite(array).all())


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
    if not _is_finite(features):
        found["NaN or infinite features"].append(clip)
    elif len(features) < unit_length:
        found[f"Shorter than one motion token ({unit_length} frames)"].append(clip)
    elif judged:
        for problem in problems_of_features(features, skeleton) or doubts_about_features(features, skeleton):
            found[f"A file of new_joint_vecs {_shared(problem)}"].append(clip)
    return len(features)


def _check_joints(path: Path, clip: str, skeleton: Skeleton, found: dict[str, list[str]]) -> tuple[int | None, bool]:
    """The number of frames, None if features cannot be made of them; and whether they look like a body."""
    joints = _load(path, clip, "new_joints", found)
    if joints is None:
        return None, False
    problems = problems_of(joints, skeleton)
    if not problems and len(joints) < 2:
        problems = [TOO_SHORT]
    doubts = [] if problems else doubts_about(joints, skeleton)
    for problem in problems or doubts:
        found[f"A file of new_joints {_shared(problem).replace(str(joints.shape), _shape(joints))}"].append(clip)
    return None if problems else len(joints), not (problems or doubts)


def _spread(clips: list[str], count: int) -> list[str]:
    """At most so many of the clips, evenly spread."""
    if len(clips) <= count:
        return clips
    return [clips[index] for index in np.linspace(0, len(clips) - 1, count).round().astype(int)]


def _compare_with_joints(folder: Path, clips: list[str], skeleton: Skeleton, found: dict[str, list[str]]) -> None:
    """Find the clips whose features were made from other joints, as when a file of new_joints is replaced."""
    groups = feature_groups(skeleton)
    for clip in clips:
        joints, features = (
            _as_float32(load_array(folder / name / f"{clip}.npy")) for name in ("new_joints", "new_joint_vecs")
        )
        if not _is_finite(features):
            continue  # a problem of its own
        made = joints_to_features(joints, skeleton)
        frames = min(len(made), len(features))
        difference = np.abs(made[:frames] - features[:frames])  # (frames, features)
        for name, tolerance in TOLERANCES.items():
            unit = 1.0 if name == "rotations" else skeleton.metres_per_unit
            if difference[:, groups[name]].mean() * unit > tolerance:
                found[
                    "Features that were not made from the joints in new_joints; if the joints are right, delete these "
                    f"files of new_joint_vecs and run `tm2t-hf prepare {folder}`"
                ].append(clip)
                break


def _compare_statistics(
    folder: Path, mean: np.ndarray, std: np.ndarray, clips: list[str], skeleton: Skeleton
) -> list[str]:
    """Why `Mean.npy` and `Std.npy` cannot be those of features like these."""
    features = [_as_float32(load_array(folder / "new_joint_vecs" / f"{clip}.npy")) for clip in clips]
    frames = np.concatenate([np.empty((0, skeleton.feature_size)), *(each for each in features if _is_finite(each))])
    groups = {name: group for name, group in feature_groups(skeleton).items() if np.ptp(frames[:, group]) > 0}
    if not groups:
        return []
    usual_mean, usual_std = feature_statistics([frames], skeleton)
    problems = []
    ratio = float(np.median([std[group].mean() / usual_std[group].mean() for group in groups.values()]))
    if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        problems.append(f"{folder / 'Std.npy'} is {ratio:.2g} times the standard deviation of the training features")
    else:
        ratios = std / usual_std
        if not 1 / LARGEST_RATIO_OF_ONE <= ratios.min() <= ratios.max() <= LARGEST_RATIO_OF_ONE:
            worst = int(np.abs(np.log(ratios)).argmax())
            problems.append(
                f"{folder / 'Std.npy'} is {ratios[worst]:.2g} times the standard deviation of the training features "
                f"in column {worst}"
            )
    scale = np.maximum(std, usual_std)
    shifts = {name: (np.abs(mean - usual_mean) / scale)[group].mean() for name, group in groups.items()}
    name = max(shifts, key=shifts.__getitem__)
    if shifts[name] > LARGEST_SHIFT:
        problems.append(
            f"{folder / 'Mean.npy'} is not the mean of the training features: {name.replace('_', ' ')} is "
            f"{shifts[name]:.2g} standard deviations off"
        )
    return [f"{problem}; delete Mean.npy and Std.npy, and run `tm2t-hf prepare {folder}`." for problem in problems]


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
