# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The commands for data folders: prepare, check, toy."""

from argparse import Namespace

from ..data import check
from ..data.prepare import make_features
from ..toy import make_toy_dataset
from .common import add_skeleton, count, rate, skeleton_of


def add_commands(add) -> None:
    """Add the commands; `add(name, run, help)` returns the parser of one."""
    command = add("prepare", prepare_folder, "make features and statistics from the joints of a data folder")
    command.add_argument("data_dir", help="folder in the HumanML3D layout, with new_joints, texts and split files")
    command.add_argument("--output_dir", help="where to write; the folder itself if left out")
    command.add_argument("--retarget_to", metavar="CLIP", help="give every clip the bone lengths of this one")
    command.add_argument("--fps", type=rate, help="frames per second of the joints, if not the skeleton's own")
    command.add_argument("--overwrite", action="store_true", help="make every file again")
    add_skeleton(command)

    command = add("check", check_folder, "report every problem of a data folder")
    command.add_argument("data_dir", help="folder in the HumanML3D layout")
    add_skeleton(command)

    command = add("toy", toy, "make a small data set to try training on")
    command.add_argument("output_dir", help="folder to make")
    command.add_argument("--num_clips", type=count, default=300, help="number of clips")
    command.add_argument("--seed", type=int, default=0, help="another seed gives other clips")


def prepare_folder(arguments: Namespace) -> int:
    """Make features and statistics, then check the folder; 1 when there is something wrong with it."""
    folder = make_features(
        arguments.data_dir,
        arguments.output_dir,
        skeleton_of(arguments),
        arguments.retarget_to,
        overwrite=arguments.overwrite,
        fps=arguments.fps,
    )
    if problems := check(folder, skeleton_of(arguments)):
        print("\n".join(problems))
        print(f"{folder} has its features, but look at these problems before training.")
        return 1
    print(f"{folder} is ready for training.")
    return 0


def check_folder(arguments: Namespace) -> int:
    """Print every problem of a folder; 1 when there is one."""
    problems = check(arguments.data_dir, skeleton_of(arguments))
    print("\n".join(problems) if problems else f"{arguments.data_dir} is fine.")
    return 1 if problems else 0


def toy(arguments: Namespace) -> int:
    """Make the toy set."""
    folder = make_toy_dataset(arguments.output_dir, arguments.num_clips, arguments.seed)
    print(f"{folder} is ready for training.")
    return 0
