# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the commands share: models, files in and files out."""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoModelForSeq2SeqLM, Pipeline, pipeline

from tm2t_hf_cli import complain

from ..formats import ImportedMotion, PageMotion, import_motion, save_motion, save_npz, save_page
from ..formats.gif import floor_height
from ..loading import load_processor, load_whole
from ..metrics import acceleration, foot_sliding
from ..metrics.joints import CONTACT_HEIGHT
from ..processing_tm2t import TM2TProcessor
from ..skeletons import Skeleton, load_skeleton
from ..tokenization_motion import MotionTokenizer


def load_pipeline(task: str, name: str, flag: str = "--model") -> Pipeline:
    """The pipeline of a model's folder or Hub id, which was given by `flag`, whole.

    Raises:
        ValueError: there is no such model, or it is of another type, damaged or not whole; one sentence.
    """
    try:
        model = load_whole(AutoModelForSeq2SeqLM, name)
        return pipeline(task, model=model, processor=load_processor(TM2TProcessor, name))
    except (ValueError, OSError) as error:
        raise ValueError(f"{flag} {name}: {error}") from error


def each_of(paths: Sequence[str], use: Callable[[str], Any]) -> Iterator[tuple[int, str, Any]]:
    """The number from 1 on of each file, the file, and what `use` makes of it; bad ones are reported and left out."""
    for number, path in enumerate(paths, 1):
        try:
            result = use(path)
        except (ValueError, OSError) as error:
            complain(error if path in str(error) else f"{path}: {error}")
            continue
        yield number, path, result


def skeleton_of(arguments: Namespace) -> Skeleton:
    """The skeleton that the arguments name."""
    return load_skeleton(arguments.skeleton)


def read_file(path: str, arguments: Namespace, skeleton: Skeleton, fps: float | None) -> ImportedMotion:
    """A motion file, read as the arguments `--unit`, `--up` and so on say."""
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


def on_floor(joints: np.ndarray) -> np.ndarray:
    """The motion with its floor at y = 0, where feet are looked for that stand; recordings have it anywhere.

    Where it is there already, but for the unevenness of feet, as models make it, it stays.
    """
    floor = floor_height(joints)
    return joints if abs(floor) < CONTACT_HEIGHT else joints - np.float32([0, floor, 0])


def quality(joints: np.ndarray, skeleton: Skeleton, fps: float) -> dict[str, str]:
    """What shows in an animation (frames, joints, 3) at any frame rate, by name and unit."""
    return {
        "foot sliding (m/s)": f"{foot_sliding(on_floor(joints), replace(skeleton, fps=fps)):.3f}",
        "acceleration (m/s²)": f"{acceleration(joints, fps):.2f}",
    }


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
        outputs: the files to write.
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
