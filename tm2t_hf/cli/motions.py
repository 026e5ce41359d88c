# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The commands for motion files: convert, render, compare."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from ..formats import PageMotion, save_page
from ..metrics import joint_error
from .common import each_of, on_floor, quality, read_file, save_motions, skeleton_of


def convert(arguments: Namespace) -> int:
    """Write one motion file in another format."""
    skeleton = skeleton_of(arguments)
    motion = read_file(arguments.source, arguments, skeleton, arguments.fps)
    shown = PageMotion(motion.joints, motion.fps, Path(arguments.source).stem, skeleton=skeleton)
    save_motions([(1, shown)], 1, arguments.output)
    return 0


def render(arguments: Namespace) -> int:
    """Draw motions; 2 when one could not be read."""
    skeleton = skeleton_of(arguments)
    drawn = []

    def motions() -> Iterator[tuple[int, PageMotion]]:
        for number, path, motion in each_of(
            arguments.motion, lambda path: read_file(path, arguments, skeleton, arguments.fps)
        ):
            drawn.append(path)
            title = arguments.title or Path(path).stem
            yield number, PageMotion(motion.joints, motion.fps, title, skeleton=skeleton)

    save_motions(motions(), len(arguments.motion), arguments.output)
    return 0 if len(drawn) == len(arguments.motion) else 2


def compare(arguments: Namespace) -> int:
    """Print a table of what shows in two motions and of how far apart they are over the frames that both have."""
    skeleton = skeleton_of(arguments)
    paths = (arguments.first, arguments.second)
    first, second = (on_floor(read_file(path, arguments, skeleton, skeleton.fps).joints) for path in paths)
    lengths = [{"length (s)": f"{len(joints) / skeleton.fps:.2f}"} for joints in (first, second)]
    scores = [quality(joints, skeleton, skeleton.fps) for joints in (first, second)]
    columns = [length | score for length, score in zip(lengths, scores, strict=True)]
    frames = min(len(first), len(second))
    errors = {
        "joint error (mm)": joint_error(first[:frames], second[:frames]),
        "joint error, root-relative (mm)": joint_error(first[:frames], second[:frames], root_relative=True),
    }
    width = max(12, *(len(Path(path).name) for path in paths))
    print(f"{'':32} {Path(paths[0]).name:>{width}} {Path(paths[1]).name:>{width}}")
    for name in columns[0]:
        print(f"{name:32} {columns[0][name]:>{width}} {columns[1][name]:>{width}}")
    for name, error in errors.items():
        print(f"{name:32} {1000 * error:>{2 * width + 1}.1f}")
    for output in arguments.output:
        shown = [
            PageMotion(joints, skeleton.fps, Path(path).name, skeleton=skeleton)
            for path, joints in zip(paths, (first, second), strict=True)
        ]
        save_page(shown, output, "Two motions")
    return 0
