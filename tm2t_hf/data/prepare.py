# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Prepare a folder in the HumanML3D layout: features and statistics from joints."""

import shutil
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..files import load_array, save_array, written_beside
from ..motion import bone_offsets, feature_statistics, joints_to_features, retarget
from ..skeletons import HUMANML3D, Skeleton
from .folder import read_split


def prepare(
    data_dir: str | Path,
    output_dir: str | Path | None = None,
    skeleton: Skeleton = HUMANML3D,
    retarget_to: str | None = None,
    train_split: str = "train",
    overwrite: bool = False,
) -> Path:
    """Make `new_joint_vecs`, `Mean.npy` and `Std.npy` from `new_joints`.

    An interrupted run goes on where it stopped: finished files are kept. The statistics are those of the train split,
    and are written when they are missing or when features were made.

    Args:
        data_dir: folder in the HumanML3D layout with `new_joints`, `texts` and split files.
        output_dir: where the prepared folder is made, complete with texts, split files and joints; by default
            `data_dir` itself.
        skeleton: what the joints are.
        retarget_to: id of a clip whose bone lengths every clip gets (the original takes one clip of HumanML3D); needs
            an `output_dir`, because the joints there are the retargeted ones.
        train_split: the split whose clips make the statistics.
        overwrite: make every file again.

    Returns:
        The prepared folder.

    Raises:
        FileNotFoundError: no joints, or no split file.
        ValueError: joints of another shape, NaN or infinite joints, or a motion too short for a feature.
    """
    source = Path(data_dir)
    target = Path(output_dir) if output_dir is not None else source
    elsewhere = target.resolve() != source.resolve()
    clips = sorted(path.stem for path in (source / "new_joints").glob("*.npy"))
    if not clips:
        raise FileNotFoundError(f"{source} has no joints: no .npy file in {source / 'new_joints'}.")
    train = read_split(source, train_split)
    if missing := sorted(set(train) - set(clips)):
        raise FileNotFoundError(
            f"{source / 'new_joints' / missing[0]}.npy is missing, but {train_split}.txt names it."
        )
    if retarget_to is not None and not elsewhere:
        raise ValueError("Retargeting changes the joints: give an output_dir beside the data folder.")

    offsets = None
    if retarget_to is not None:
        offsets = bone_offsets(_load_joints(source / "new_joints" / f"{retarget_to}.npy", skeleton), skeleton)
    if elsewhere:
        _copy_texts(source, target, overwrite)
    (target / "new_joint_vecs").mkdir(exist_ok=True)
    made = 0
    for clip in tqdm(clips, desc="Motion features", unit="clip"):
        features_path = target / "new_joint_vecs" / f"{clip}.npy"
        if features_path.exists() and not overwrite:
            continue
        joints = _load_joints(source / "new_joints" / f"{clip}.npy", skeleton)
        if offsets is not None:
            joints = retarget(joints, skeleton, offsets)
        if elsewhere:
            (target / "new_joints").mkdir(exist_ok=True)
            save_array(target / "new_joints" / f"{clip}.npy", joints)
        save_array(features_path, joints_to_features(joints, skeleton))
        made += 1

    if made or overwrite or not all((target / name).exists() for name in ("Mean.npy", "Std.npy")):
        files = (target / "new_joint_vecs" / f"{clip}.npy" for clip in train)
        mean, std = feature_statistics(map(load_array, files), skeleton)
        save_array(target / "Mean.npy", mean)
        save_array(target / "Std.npy", std)
    return target


def _load_joints(path: Path, skeleton: Skeleton) -> np.ndarray:
    joints = load_array(path)
    if problem := motion_problem(joints, skeleton):
        raise ValueError(f"{path} {problem}.")
    return joints.astype(np.float32)


def motion_problem(joints: np.ndarray, skeleton: Skeleton) -> str | None:
    """Why features cannot be made from `joints`, as `Skeleton.problem_with` puts it, or None."""
    if problem := skeleton.problem_with(joints):
        return problem
    return f"has {len(joints)} frame, but features need two frames or more" if len(joints) < 2 else None


def _copy_texts(source: Path, target: Path, overwrite: bool):
    """Copy the captions and the plain files of the folder (split files, licence), but not its statistics."""
    (target / "texts").mkdir(parents=True, exist_ok=True)
    plain = [path for path in source.iterdir() if path.is_file() and path.suffix != ".npy"]
    for path in [*plain, *(source / "texts").glob("*.txt")]:
        copy = target / path.relative_to(source)
        if overwrite or not copy.exists():
            with written_beside(copy) as part:
                shutil.copyfile(path, part)
