# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Prepare a folder in the HumanML3D layout: features and statistics from joints."""

import hashlib
import json
import logging
import shutil
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..bodies import BODIES, known_offsets
from ..feature_extraction_motion import check_fps
from ..files import OFFSETS, load_array, load_offsets, read_text, save_array, written_beside
from ..motion import bone_offsets, feature_statistics, joints_to_features, resample, retarget
from ..skeletons import HUMANML3D, SKELETONS, Skeleton
from .check import check, first_joints, load_joints
from .folder import clips_in, read_split

logger = logging.getLogger(__name__)

STATISTICS = ("Mean.npy", "Std.npy")
RECORD = "prepared.json"  # how the features were made, and which statistics are ours
JOINTS_RECORD = "prepared_joints.json"  # a digest of the joints that the features of each clip belong to


def prepare(
    data_dir: str | Path,
    output_dir: str | Path | None = None,
    skeleton: Skeleton = HUMANML3D,
    retarget_to: str | None = None,
    train_split: str = "train",
    overwrite: bool = False,
    fps: float | None = None,
    smpl_order: bool = False,
) -> Path:
    """Make `new_joint_vecs`, `Mean.npy` and `Std.npy` from `new_joints`, then `check` the folder.

    An interrupted run continues where it stopped: finished files are kept. Features and statistics that came with the
    data are kept as well, until the joints of their clip change (`prepared_joints.json` knows those of the last run).
    Statistics that `prepare` made itself (`prepared.json` says which) are made again when features were added or the
    train split has changed.

    Args:
        data_dir: folder in the HumanML3D layout with `new_joints`, `texts` and split files.
        output_dir: where the prepared folder is made, complete with texts, split files and joints; by default
            `data_dir` itself.
        skeleton: skeleton of the joints.
        retarget_to: the body that every clip gets: the id of a clip, or "humanml3d" for the one that all of HumanML3D
            has; needs an `output_dir`, because the joints there are the retargeted ones. `Offsets.npy` keeps the
            body's bone vectors, so that the extractors of models trained on the folder retarget to it as well.
        train_split: the split whose clips make the statistics.
        overwrite: make every file again, also those that came with the data.
        fps: frames per second of the joints, if not the skeleton's: they are resampled; needs an `output_dir`.
        smpl_order: the files hold the joints of SMPL (24), SMPL-H (52) or SMPL-X, of which the first 22, HumanML3D's,
            are taken; needs an `output_dir`.

    Returns:
        The prepared folder. What `check` finds in it is logged as warnings, one per problem.

    Raises:
        FileNotFoundError: no joints, or no split file.
        ValueError: joints of another shape, NaN or infinite joints, bones without length, a motion too short for a
            feature, or a folder that was prepared with other arguments.
    """
    folder = make_features(data_dir, output_dir, skeleton, retarget_to, train_split, overwrite, fps, smpl_order)
    for problem in check(folder, skeleton):
        logger.warning(problem)
    return folder


def make_features(
    data_dir: str | Path,
    output_dir: str | Path | None = None,
    skeleton: Skeleton = HUMANML3D,
    retarget_to: str | None = None,
    train_split: str = "train",
    overwrite: bool = False,
    fps: float | None = None,
    smpl_order: bool = False,
) -> Path:
    """As `prepare`, without the check at the end."""
    source = Path(data_dir)
    target = Path(output_dir) if output_dir is not None else source
    elsewhere = target.resolve() != source.resolve()
    check_fps(fps)
    if fps == skeleton.fps:
        fps = None
    if smpl_order and skeleton.joint_names != HUMANML3D.joint_names:
        raise ValueError(f"The first joints of SMPL are those of humanml3d, not of {skeleton.name}.")
    changes = {"Retargeting": retarget_to is not None, "Resampling": fps is not None, "Leaving joints out": smpl_order}
    for verb, asked in changes.items():
        if asked and not elsewhere:
            raise ValueError(f"{verb} changes the joints: give an output_dir next to the data folder.")
    clips = clips_in(source / "new_joints")
    if not clips:
        raise FileNotFoundError(f"{source} has no joints: no .npy file in {source / 'new_joints'}.")
    train = read_split(source, train_split)
    if missing := sorted(set(train) - set(clips)):
        raise FileNotFoundError(
            f"{source / 'new_joints' / missing[0]}.npy is missing, but {train_split}.txt names it."
        )
    offsets = None if retarget_to is None else _offsets_of(retarget_to, source, clips, skeleton, smpl_order)
    body = load_offsets(source, skeleton) if offsets is None else offsets

    target.mkdir(parents=True, exist_ok=True)
    options = {"skeleton": _record_of(skeleton), "fps": fps or skeleton.fps, "retarget_to": retarget_to}
    _check_options(target, options, overwrite)
    if elsewhere:
        _copy_texts(source, target, overwrite)
    if body is not None and elsewhere:
        save_array(target / OFFSETS, body)
    own_statistics = overwrite or _are_own_statistics(target)
    files = {clip: source / "new_joints" / f"{clip}.npy" for clip in clips}
    digests = {clip: _digest_of_joints(path, skeleton, smpl_order, offsets) for clip, path in files.items()}
    _remove_stale_features(target, digests)
    for clip in tqdm(clips, desc="Motion features", unit="clip"):
        features_path = target / "new_joint_vecs" / f"{clip}.npy"
        if features_path.exists() and not overwrite:
            continue
        joints = load_joints(files[clip], skeleton, smpl_order)
        if fps is not None:
            joints = resample(joints, fps, skeleton.fps)
        if offsets is not None:
            joints = retarget(joints, skeleton, offsets)
        _write_record(target, _read_record(target) | options)
        if own_statistics:  # from here on they are stale, also for a run after this one is killed
            (target / STATISTICS[1]).unlink(missing_ok=True)
        if elsewhere:
            _save(target / "new_joints" / f"{clip}.npy", joints)
        _save(features_path, joints_to_features(joints, skeleton))
    _make_statistics(target, train, skeleton, options)
    return target


def _offsets_of(body: str, source: Path, clips: list[str], skeleton: Skeleton, smpl_order: bool):
    """Bone vectors (joints, 3), in the skeleton's units, of a clip or of a known body."""
    if body in clips:
        return bone_offsets(load_joints(source / "new_joints" / f"{body}.npy", skeleton, smpl_order), skeleton)
    offsets = known_offsets(body, skeleton)
    if offsets is None:
        raise FileNotFoundError(
            f"retarget_to is {body}, but {source / 'new_joints' / body}.npy is missing; give the id of a clip"
            + (f", or one of {', '.join(BODIES)}." if skeleton == HUMANML3D else ".")
        )
    return offsets / skeleton.metres_per_unit


def _save(path: Path, array):
    path.parent.mkdir(parents=True, exist_ok=True)  # ids may name sub-folders
    save_array(path, array)


def _remove_stale_features(target: Path, digests: dict[str, str | None]):
    """Remove the features whose joints have changed since the last run, so that they are made again.

    The record is written after that and before any features are made. Wherever a run is killed, features that are
    there belong to the joints in the record.
    """
    before = _read_record(target, JOINTS_RECORD)
    changed = [clip for clip, digest in digests.items() if before.get(clip, digest) != digest]
    stale = [path for path in (target / "new_joint_vecs" / f"{clip}.npy" for clip in changed) if path.exists()]
    if stale:
        more = f" and {len(stale) - 1} more" if len(stale) > 1 else ""
        logger.warning("%s%s belong to joints that have changed since, and are made again.", stale[0], more)
    for path in stale:
        path.unlink()
    if digests != before:
        _write_record(target, digests, JOINTS_RECORD)


def _digest_of_joints(path: Path, skeleton: Skeleton, smpl_order: bool, offsets) -> str | None:
    """A digest of the numbers that features are made of; None for a file that cannot be read."""
    try:
        joints = first_joints(load_array(path), skeleton, smpl_order)
    except ValueError:
        return None  # said by name when features are made of it, and by `check`
    body = b"" if offsets is None else np.asarray(offsets, dtype=np.float32).tobytes()
    return hashlib.sha256(f"{joints.shape}".encode() + joints.tobytes() + body).hexdigest()[:32]


def _record_of(skeleton: Skeleton) -> str:
    """The name of a known skeleton; of any other also a digest, because its file may change and keep the name."""
    if SKELETONS.get(skeleton.name) == skeleton:
        return skeleton.name
    return f"{skeleton.name} {hashlib.sha256(repr(skeleton).encode()).hexdigest()[:8]}"


def _read_record(folder: Path, name: str = RECORD) -> dict:
    """What an earlier run noted; nothing if there was none."""
    try:
        record = json.loads(read_text(folder / name))
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write_record(folder: Path, record: dict, name: str = RECORD):
    with written_beside(folder / name) as part:
        part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _check_options(folder: Path, options: dict, overwrite: bool):
    """Features made in different ways must not mix."""
    record = _read_record(folder)
    for name, value in options.items():
        if name in record and record[name] != value and not overwrite:
            raise ValueError(
                f"{folder} was prepared with {name} {record[name]}, now it is {value}: pass overwrite to make every "
                "file again, or give another output_dir."
            )


def _are_own_statistics(folder: Path) -> bool:
    """Whether `prepare` made the statistics in a folder, so that it may replace them."""
    paths = [folder / name for name in STATISTICS]
    return all(path.is_file() for path in paths) and _digest(paths) == _read_record(folder).get("statistics")


def _make_statistics(folder: Path, train: list[str], skeleton: Skeleton, options: dict):
    """Mean and standard deviation of the train split, unless they came with the data or are up to date."""
    split = hashlib.sha256("\n".join(sorted(train)).encode()).hexdigest()
    paths = [folder / name for name in STATISTICS]
    if all(path.exists() for path in paths):
        if not _are_own_statistics(folder):
            logger.info("%s came with the data and are kept.", " and ".join(map(str, paths)))
            return
        if _read_record(folder).get("train_split") == split:
            return
    files = (folder / "new_joint_vecs" / f"{clip}.npy" for clip in train)
    mean, std = feature_statistics(map(load_array, files), skeleton)
    # The standard deviation comes last: without it, the next run makes everything from here on again.
    paths[1].unlink(missing_ok=True)
    save_array(paths[0], mean)
    with written_beside(paths[1]) as part:
        save_array(part, std)
        _write_record(folder, options | {"train_split": split, "statistics": _digest([paths[0], part])})


def _digest(paths: list[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _copy_texts(source: Path, target: Path, overwrite: bool):
    """Copy `texts`, folders of further captions (`texts_people`) and the plain files, but not the statistics."""
    own = {RECORD, JOINTS_RECORD}
    plain = [path for path in source.iterdir() if path.is_file() and path.suffix != ".npy" and path.name not in own]
    for path in [*plain, *source.glob("texts*/**/*.txt")]:
        copy = target / path.relative_to(source)
        if overwrite or not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            with written_beside(copy) as part:
                shutil.copyfile(path, part)
