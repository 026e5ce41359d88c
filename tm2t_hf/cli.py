# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The command `tm2t-hf`: generate and caption motions, prepare and check data, make a toy set, run the quickstart."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from transformers import AutoModelForSeq2SeqLM, Pipeline, pipeline, set_seed
from transformers.utils import logging

from .data import ImportedRecordings, check, import_recordings
from .data.prepare import make_features
from .formats import MOTION_SUFFIXES, save_motion
from .formats.axes_and_units import METRES_PER_UNIT, TURNS
from .loading import load_processor, load_whole
from .pipelines import shipped_checkpoint
from .processing_tm2t import TM2TProcessor
from .quickstart import quickstart
from .skeletons import SKELETONS, Skeleton, load_skeleton
from .toy import make_toy_dataset


def generate(arguments: argparse.Namespace) -> int:
    """Write motions for a sentence in the format that each output's suffix names."""
    outputs = [Path(path) for path in arguments.output]
    for path in outputs:
        if path.suffix.lower() not in MOTION_SUFFIXES:
            raise ValueError(f"--output {path} must end in {' or '.join(MOTION_SUFFIXES)}: a picture or the joints.")
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"--output {path} lies in a folder that does not exist; make it first.")
    animate = load_pipeline("text-to-motion", arguments.model or str(shipped_checkpoint("tm2t-t2m")))
    set_seed(arguments.seed)
    names = ("min_seconds", "max_seconds", "top_k", "temperature")
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    motions = animate(
        [arguments.text] * arguments.num_samples,
        batch_size=arguments.num_samples,
        do_sample=not arguments.greedy,
        **options,
    )
    if not all(len(motion["joints"]) for motion in motions):
        raise ValueError("The model ended a motion at once; pass --min_seconds 1 or another --seed.")
    skeleton = animate.processor.feature_extractor.skeleton
    for number, motion in enumerate(motions, 1):
        for path in outputs:
            if len(motions) > 1:
                path = path.with_stem(f"{path.stem}-{number}")
            save_motion(motion["joints"], path, motion["fps"], arguments.text, skeleton)
            print(f"{path}: {len(motion['joints']) / motion['fps']:.1f} s")
    return 0


def caption(arguments: argparse.Namespace) -> int:
    """Print captions, one per line, after the file's name if there are several; 2 when a file could not be read."""
    describe = load_pipeline("motion-to-text", arguments.model or str(shipped_checkpoint("tm2t-m2t")))
    options = {"num_beams": arguments.num_beams, "num_return_sequences": arguments.num_captions}
    status = 0
    for path in arguments.motion:
        try:
            captions = describe(path, fps=arguments.fps, **options)
        except (ValueError, OSError) as error:  # the other files may be fine
            _complain(error)
            status = 2
            continue
        for sentence in captions:
            print(f"{path}: {sentence['generated_text']}" if len(arguments.motion) > 1 else sentence["generated_text"])
    return status


def prepare_folder(arguments: argparse.Namespace) -> int:
    """Make features and statistics, then check the folder; 1 when there is something wrong with it."""
    skeleton = load_skeleton(arguments.skeleton)
    imported = _import_recordings(arguments, skeleton)  # at the skeleton's frame rate, in a folder without features
    folder = make_features(
        arguments.data_dir,
        arguments.output_dir,
        skeleton,
        arguments.retarget_to,
        overwrite=arguments.overwrite and not imported,
        fps=None if imported else arguments.fps,
        smpl_order=arguments.smpl and not imported,
    )
    problems = check(folder, skeleton)
    if problems:
        print("\n".join(problems))
        print(f"{folder} has its features, but look at these problems before training.")
    else:
        print(f"{folder} is ready for training.")
    if imported:
        count = len(imported.clips)
        print(f"{count} clip{'s' * (count != 1)} made, {imported.left_out} left out.")
    return 1 if problems else 0


def _import_recordings(arguments: argparse.Namespace, skeleton: Skeleton) -> ImportedRecordings | None:
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
        fps=arguments.fps,
        smpl_order=arguments.smpl,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
    )


def check_folder(arguments: argparse.Namespace) -> int:
    """Print every problem of a folder; 1 when there is one."""
    problems = check(arguments.data_dir, load_skeleton(arguments.skeleton))
    print("\n".join(problems) if problems else f"{arguments.data_dir} is fine.")
    return 1 if problems else 0


def toy(arguments: argparse.Namespace) -> int:
    """Make the toy set."""
    folder = make_toy_dataset(arguments.output_dir, arguments.num_clips, arguments.seed)
    print(f"{folder} is ready for training.")
    return 0


def run_quickstart(arguments: argparse.Namespace) -> int:
    """Make, draw and describe a handful of motions."""
    quickstart(arguments.output_dir, seed=arguments.seed)
    return 0


def load_pipeline(task: str, name: str) -> Pipeline:
    """The pipeline of a model's folder or Hub id, whole.

    Raises:
        ValueError: there is no such model, or it is of another type, damaged or not whole; one sentence.
    """
    try:
        model = load_whole(AutoModelForSeq2SeqLM, name)
        return pipeline(task, model=model, processor=load_processor(TM2TProcessor, name))
    except (ValueError, OSError) as error:
        raise ValueError(f"--model {name}: {error}") from error


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="tm2t-hf", description="Text to human motion and back.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, run, help: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=help, description=help, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        command.set_defaults(run=run)
        return command

    def add_skeleton(command: argparse.ArgumentParser):
        command.add_argument(
            "--skeleton",
            default="humanml3d",
            help=f"what the joints are: {', '.join(SKELETONS)}, or a JSON file of your own Skeleton",
        )

    command = add("generate", generate, "make a motion from a sentence")
    command.add_argument("text", help="what the figure should do")
    command.add_argument(
        "--output",
        nargs="+",
        default=["motion.gif"],
        metavar="FILE",
        help="files to write: .gif, and .npy for the joints (frames, joints, 3) in meters",
    )
    command.add_argument("--model", help="folder or Hub id of a text-to-motion model; the shipped one if left out")
    command.add_argument("--num_samples", type=_count, default=1, help="motions to make; their files are numbered")
    command.add_argument("--seed", type=int, default=0, help="another seed gives another motion")
    command.add_argument("--min_seconds", type=float, help="shortest motion")
    command.add_argument("--max_seconds", type=float, help="longest motion")
    command.add_argument("--top_k", type=_count, help="draw from the k likeliest tokens")
    command.add_argument("--temperature", type=float, help="below 1: more typical motions; above 1: more varied ones")
    command.add_argument("--greedy", action="store_true", help="take the likeliest token at each step, draw nothing")

    command = add("caption", caption, "describe motions in a sentence")
    command.add_argument("motion", nargs="+", help=".npy file of joints (frames, joints, 3) in meters, or of features")
    command.add_argument("--model", help="folder or Hub id of a motion-to-text model; the shipped one if left out")
    command.add_argument("--fps", type=_rate, help="frames per second of the motions, if not the model's own")
    command.add_argument("--num_beams", type=_count, default=2, help="width of the beam search")
    command.add_argument("--num_captions", type=_count, default=1, help="captions per motion, at most num_beams")

    command = add("prepare", prepare_folder, "make a data folder ready for training, from joints or recordings")
    command.add_argument(
        "data_dir",
        help="folder in the HumanML3D layout with new_joints, texts and split files; with --from_bvh, the one to make",
    )
    command.add_argument("--output_dir", help="where to write; the folder itself if left out")
    command.add_argument("--retarget_to", metavar="CLIP", help="give every clip the bone lengths of this one")
    command.add_argument(
        "--fps", type=_rate, help="frames per second of the joints, if not the skeleton's own or the files'"
    )
    command.add_argument("--smpl", action="store_true", help="take the first 22 joints of SMPL (24) or SMPL-H (52)")
    command.add_argument("--overwrite", action="store_true", help="make every file again")
    add_skeleton(command)
    command = command.add_argument_group("from recordings")
    command.add_argument("--from_bvh", metavar="DIR", help="folder with recordings: .bvh, .npz, .npy")
    command.add_argument("--captions", metavar="FILE", help=".jsonl or .csv: file, caption(s), start, end, split")
    command.add_argument("--joint_map", metavar="FILE", help="JSON: joint of the skeleton -> its name in the files")
    command.add_argument(
        "--unit", type=_unit, help=f"its length in meters, or one of {', '.join(METRES_PER_UNIT)}; found if left out"
    )
    command.add_argument("--up", choices=TURNS, help="axis that points up in the files; found if left out")
    command.add_argument("--seed", type=int, default=0, help="another seed draws other splits")

    command = add("check", check_folder, "report every problem of a data folder")
    command.add_argument("data_dir", help="folder in the HumanML3D layout")
    add_skeleton(command)

    command = add("toy", toy, "make a small data set to try training on")
    command.add_argument("output_dir", help="folder to make")
    command.add_argument("--num_clips", type=_count, default=300, help="number of clips")
    command.add_argument("--seed", type=int, default=0, help="another seed gives other clips")

    command = add("quickstart", run_quickstart, "make, draw and describe a handful of motions")
    command.add_argument("--output_dir", default="quickstart", help="where to write the motions")
    command.add_argument("--seed", type=int, default=0, help="another seed gives other motions")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a number above 0")
    return number


def _rate(text: str) -> float:
    number = float(text)
    if not 1 <= number <= 1000:  # a motion at 0.001 frames per second becomes hours of it
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 1000 frames per second")
    return number


def _unit(text: str) -> float | str:
    try:
        return text if text in METRES_PER_UNIT else float(text)
    except ValueError:
        known = ", ".join(METRES_PER_UNIT)
        raise argparse.ArgumentTypeError(f"{text} is neither a number of meters nor one of {known}") from None


def _complain(error: Exception) -> None:
    print(f"tm2t-hf: {' '.join(str(error).split())}", file=sys.stderr)


def main(command: Sequence[str] | None = None) -> int:
    """Run a command line; what the user can fix is reported in one sentence, with exit status 2."""
    arguments = build_parser().parse_args(command)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("tm2t-hf: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough; Python must not complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, ImportError) as error:
        _complain(error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
