# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The commands for data folders: prepare, check, toy."""

from argparse import Namespace

from ..data import ImportedRecordings, check, import_recordings
from ..data.prepare import make_features
from ..skeletons import Skeleton
from ..toy import make_toy_dataset
from .common import add_reading, add_skeleton, count, skeleton_of


def add_commands(add) -> None:
    """Add the commands; `add(name, run, help)` returns the parser of one."""
    command = add("prepare", prepare_folder, "make a data folder ready for training, from joints or recordings")
    command.add_argument(
        "data_dir",
        help="folder in the HumanML3D layout with new_joints, texts and split files; with --from_bvh, the one to make",
    )
    command.add_argument("--output_dir", help="where to write; the folder itself if left out")
    command.add_argument(
        "--retarget_to",
        metavar="BODY",
        help="give every clip the bone lengths of this body: a clip, or humanml3d, the one that all of HumanML3D has",
    )
    command.add_argument("--overwrite", action="store_true", help="make every file again")
    add_skeleton(command)
    group = command.add_argument_group("from recordings")
    group.add_argument("--from_bvh", metavar="DIR", help="folder with recordings: .bvh, .npz, .npy")
    group.add_argument("--captions", metavar="FILE", help=".jsonl or .csv: file, caption(s), start, end, split")
    group.add_argument("--seed", type=int, default=0, help="another seed draws other splits")
    add_reading(command, "--fps")

    command = add("check", check_folder, "report every problem of a data folder")
    command.add_argument("data_dir", help="folder in the HumanML3D layout")
    add_skeleton(command)

    command = add("toy", toy, "make a small data set to try training on")
    command.add_argument("output_dir", help="folder to make")
    command.add_argument("--num_clips", type=count, default=300, help="number of clips")
    command.add_argument("--seed", type=int, default=0, help="another seed gives other clips")


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
        for name in ("captions", "joint_map", "unit", "up"):
            if getattr(arguments, name) is not None:
                raise ValueError(f"--{name} is for recordings: name their folder with --from_bvh.")
        return None
    if arguments.captions is None:
        raise ValueError("--from_bvh needs --captions, a .jsonl or .csv file that names the recordings.")
    for name in ("output_dir", "retarget_to"):
        if getattr(arguments, name) is not None:
            raise ValueError(f"--{name} does not go with --from_bvh: run `tm2t-hf prepare` on the new folder again.")
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
    problems = check(arguments.data_dir, skeleton_of(arguments))
    print("\n".join(problems) if problems else f"{arguments.data_dir} is fine.")
    return 1 if problems else 0


def toy(arguments: Namespace) -> int:
    """Make the toy set."""
    folder = make_toy_dataset(arguments.output_dir, arguments.num_clips, arguments.seed)
    print(f"{folder} is ready for training.")
    return 0
