# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The commands for data folders: prepare, check, toy."""

from argparse import Namespace

from ..data import ImportedRecordings, check, import_recordings
from ..data.prepare import make_features
from ..skeletons import Skeleton
from ..toy import make_toy_dataset
from .common import skeleton_of


def prepare_folder(arguments: Namespace) -> int:
    """Make features and statistics, then check the folder; 1 when there is something wrong with it."""
    skeleton = skeleton_of(arguments)
    imported = _import_recordings(arguments, skeleton)
    folder = make_features(
        arguments.data_dir,
        arguments.output_dir,
        skeleton,
        arguments.retarget_to,
        overwrite=arguments.overwrite and not imported,
        fps=None if imported else arguments.source_fps,
        smpl_order=arguments.smpl and not imported,
    )
    problems = check(folder, skeleton)
    if problems:
        print("\n".join(problems))
        print(f"{folder} has its features, but look at these problems before training.")
    else:
        print(f"{folder} is ready for training.")
    if imported:
        number = len(imported.clips)
        print(f"{number} clip{'s' * (number != 1)} made, {imported.left_out} left out.")
    return 1 if problems else 0


def _import_recordings(arguments: Namespace, skeleton: Skeleton) -> ImportedRecordings | None:
    """Make the data folder of recordings where the command says so."""
    if not arguments.from_bvh:
        return None
    return import_recordings(
        arguments.from_bvh,
        arguments.captions,
        arguments.data_dir,
        skeleton,
        joint_map=arguments.joint_map,
        unit=arguments.unit,
        up=arguments.up,
        fps=arguments.source_fps,
        smpl_order=arguments.smpl,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
    )


def check_folder(arguments: Namespace) -> int:
    """Print every problem of a folder; 1 when there is one."""
    problems = check(arguments.data_dir, skeleton_of(arguments), thorough=arguments.thorough)
    print("\n".join(problems) if problems else f"{arguments.data_dir} is fine.")
    return 1 if problems else 0


def toy(arguments: Namespace) -> int:
    """Make the toy set."""
    folder = make_toy_dataset(arguments.output_dir, arguments.num_clips, arguments.seed)
    print(f"{folder} is ready for training.")
    return 0
