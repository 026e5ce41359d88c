# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the commands share: kinds of arguments, models, files in and files out."""

import argparse
import math
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoModelForSeq2SeqLM, Pipeline, pipeline

from ..body_size import METRES_PER_UNIT
from ..feature_extraction_motion import FASTEST_FPS, SLOWEST_FPS
from ..formats import MOTION_SUFFIXES, ImportedMotion, PageMotion, import_motion, save_motion, save_npz, save_page
from ..formats.axes import TURNS
from ..loading import load_processor, load_whole
from ..metrics import acceleration, foot_sliding
from ..processing_tm2t import TM2TProcessor
from ..skeletons import SKELETONS, Skeleton, load_skeleton
from ..tokenization_motion import MotionTokenizer

SHORT_UNITS = {"m": "meters", "cm": "centimeters", "mm": "millimeters", "in": "inches", "ft": "feet"}


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


def complain(error: Exception | str) -> None:
    """Print one line about an error on stderr."""
    print(f"tm2t-hf: {' '.join(str(error).split())}", file=sys.stderr)


def each_of(paths: Sequence[str], use: Callable[[str], Any]) -> Iterator[tuple[int, str, Any]]:
    """The number from 1 on of each file, the file, and what `use` makes of it; bad ones are reported and left out."""
    for number, path in enumerate(paths, 1):
        try:
            result = use(path)
        except (ValueError, OSError) as error:
            complain(error if path in str(error) else f"{path}: {error}")
            continue
        yield number, path, result


def add_skeleton(command: ArgumentParser) -> None:
    """The argument for the skeleton of the joints."""
    command.add_argument(
        "--skeleton",
        default="humanml3d",
        help=f"skeleton of the joints: {', '.join(SKELETONS)}, or a JSON file of your own",
    )


def add_reading(command: ArgumentParser, fps: str = "--source_fps") -> None:
    """The arguments that say how to read motions where their files do not.

    Args:
        command: gets the arguments.
        fps: name of the one for the frame rate of the files.
    """
    group = command.add_argument_group("how to read the files, where they do not tell")
    group.add_argument(fps, dest="source_fps", type=rate, metavar="FPS", help="frames per second of the files")
    group.add_argument("--joint_map", metavar="JSON", help="file with the joints of a .bvh file of unknown names")
    group.add_argument("--unit", type=unit, help=f"of the joints: {', '.join(SHORT_UNITS)} or its length in meters")
    group.add_argument("--up", choices=list(TURNS), help="axis that points up")
    group.add_argument("--smpl", action="store_true", help="take the first 22 joints of SMPL (24) or SMPL-H (52)")


def skeleton_of(arguments: Namespace) -> Skeleton:
    """The skeleton that the arguments name."""
    return load_skeleton(arguments.skeleton)


def read_file(path: str, arguments: Namespace, skeleton: Skeleton, fps: float | None) -> ImportedMotion:
    """A motion file, read as the arguments of `add_reading` say."""
    # an array does not say its rate; it is not the one that is wanted, but most likely the skeleton's
    source_fps = arguments.source_fps or (skeleton.fps if Path(path).suffix.lower() == ".npy" else None)
    return import_motion(
        path, skeleton, fps, arguments.joint_map, arguments.unit, arguments.up, source_fps, smpl_order=arguments.smpl
    )


def input_of_model(path: str, arguments: Namespace, skeleton: Skeleton, fps: float) -> Any:
    """A motion file as the processors take it: its path, unless arguments say how to read it."""
    if arguments.joint_map or arguments.unit or arguments.up or arguments.smpl:
        return {"motion": read_file(path, arguments, skeleton, fps).joints}
    return {"motion": path} | ({"fps": arguments.source_fps} if arguments.source_fps else {})


def quality(joints: np.ndarray, skeleton: Skeleton, fps: float) -> dict[str, str]:
    """What shows in an animation (frames, joints, 3) at the skeleton's frame rate, by name and unit."""
    return {
        "foot sliding (m/s)": f"{foot_sliding(joints, skeleton):.3f}",
        "acceleration (m/s²)": f"{acceleration(joints, fps):.2f}",
    }


def check_outputs(paths: Sequence[str], suffixes: Sequence[str] = MOTION_SUFFIXES) -> list[Path]:
    """The files to write.

    Raises:
        ValueError: one has another suffix.
        FileNotFoundError: the folder of one does not exist.
    """
    outputs = [Path(path) for path in paths]
    for path in outputs:
        if path.suffix.lower() not in suffixes:
            raise ValueError(f"--output {path} must end in {' or '.join(suffixes)}.")
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"--output {path} lies in a folder that does not exist; make it first.")
    return outputs


def save_motions(
    motions: Iterable[tuple[int, PageMotion]],
    count: int,
    outputs: Sequence[Path],
    motion_tokenizer: MotionTokenizer | None = None,
) -> None:
    """Write motions and print the name and the length of each file.

    Of several, each gets a file of its own (`walk.gif` -> `walk-2.gif`), but all of them share one page.

    Args:
        motions: each with its number, from 1 on.
        count: how many there should be; some may have failed.
        outputs: as `check_outputs` returns them.
        motion_tokenizer: tells the ids of the motions' codes, which `.npz` files hold.
    """
    pages = [path for path in outputs if path.suffix.lower() == ".html"]
    shown = []
    for number, motion in motions:
        for output in (path for path in outputs if path not in pages):
            path = output.with_stem(f"{output.stem}-{number}") if count > 1 else output
            if path.suffix.lower() == ".npz" and motion_tokenizer is not None and motion.codes is not None:
                ids = motion_tokenizer.codes_to_ids(motion.codes)
                save_npz(motion.joints, path, motion.fps, motion.caption, motion.skeleton, ids)
            else:
                save_motion(motion.joints, path, motion.fps, motion.caption, motion.skeleton)
            seconds = f"{path}: {len(motion.joints) / motion.fps:.1f} s"
            print(f"{seconds}: {motion.caption}" if count > 1 else seconds)
        if pages:
            shown.append(motion)
    for path in pages if shown else ():
        save_page(shown, path)
        seconds = len(shown[0].joints) / shown[0].fps
        print(f"{path}: {seconds:.1f} s" if count == 1 else f"{path}: {len(shown)} motions")


def count(text: str) -> int:
    """A number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a number above 0")
    return number


def rate(text: str) -> float:
    """Frames per second."""
    number = float(text)
    if not SLOWEST_FPS <= number <= FASTEST_FPS:  # a motion at 0.001 frames per second becomes hours of it
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 1000 frames per second")
    return number


def unit(text: str) -> float:
    """The name of a unit, or its length in meters -> meters."""
    try:
        meters = METRES_PER_UNIT.get(SHORT_UNITS.get(text, text)) or float(text)
    except ValueError:
        meters = math.nan
    if not 0 < meters < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is none of {', '.join(SHORT_UNITS)} and no length in meters")
    return meters
