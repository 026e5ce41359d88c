# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The commands for motion files: convert, render, compare."""

from argparse import Namespace
from pathlib import Path

from ..formats import MOTION_SUFFIXES, PageMotion, save_motion, save_page
from ..metrics import joint_error
from .common import add_reading, add_skeleton, check_outputs, each_of, numbered, quality, rate, read_file, skeleton_of

PICTURES = (".gif", ".mp4", ".html")


def add_commands(add) -> None:
    """Add the commands; `add(name, run, help)` returns the parser of one."""
    command = add("convert", convert, "write a motion file in another format")
    command.add_argument("source", help=".bvh, .npz or .npy file of joints, or .npy file of features")
    command.add_argument("output", help=f"file to write: {', '.join(MOTION_SUFFIXES)}")
    command.add_argument("--fps", type=rate, help="frames per second of the output; the file's own if left out")
    add_skeleton(command)
    add_reading(command)

    command = add("render", render, "draw motions")
    command.add_argument("motion", nargs="+", help=".bvh, .npz or .npy file of joints, or .npy file of features")
    command.add_argument(
        "--output",
        nargs="+",
        default=["motion.gif"],
        metavar="FILE",
        help=".gif and .mp4: several motions are numbered; .html: one page with all of them next to each other",
    )
    command.add_argument("--title", help="text to show; the name of the file if left out")
    command.add_argument("--fps", type=rate, help="frames per second of the output; the files' own if left out")
    add_skeleton(command)
    add_reading(command)

    command = add("compare", compare, "measure how two motions differ")
    command.add_argument("first", help=".bvh, .npz or .npy file of joints, or .npy file of features")
    command.add_argument("second", help="another one")
    command.add_argument("--output", metavar="FILE.html", help="page to write that shows both next to each other")
    add_skeleton(command)
    add_reading(command, "--fps")


def convert(arguments: Namespace) -> int:
    """Write one motion file in another format."""
    (output,) = check_outputs([arguments.output])
    skeleton = skeleton_of(arguments)
    motion = read_file(arguments.source, arguments, skeleton, arguments.fps)
    save_motion(motion.joints, output, motion.fps, Path(arguments.source).stem, skeleton)
    print(f"{output}: {len(motion.joints) / motion.fps:.1f} s")
    return 0


def render(arguments: Namespace) -> int:
    """Draw motions; 2 when one could not be read."""
    outputs = check_outputs(arguments.output, PICTURES)
    skeleton = skeleton_of(arguments)
    motions = dict(each_of(arguments.motion, lambda path: read_file(path, arguments, skeleton, arguments.fps)))
    titles = {path: arguments.title or Path(path).stem for path in motions}
    for output in outputs if motions else ():
        if output.suffix.lower() == ".html" and len(motions) > 1:
            shown = [
                PageMotion(motion.joints, motion.fps, titles[path], skeleton=skeleton)
                for path, motion in motions.items()
            ]
            save_page(shown, output, arguments.title or "Motions")
            print(f"{output}: {len(motions)} motions")
            continue
        for number, (path, motion) in enumerate(motions.items(), 1):
            drawn = numbered(output, number, len(motions))
            save_motion(motion.joints, drawn, motion.fps, titles[path], skeleton)
            print(f"{drawn}: {len(motion.joints) / motion.fps:.1f} s")
    return 0 if len(motions) == len(set(arguments.motion)) else 2


def compare(arguments: Namespace) -> int:
    """Print a table of what shows in two motions and of how far apart they are over the frames that both have."""
    outputs = check_outputs([arguments.output], [".html"]) if arguments.output else []
    skeleton = skeleton_of(arguments)
    paths = (arguments.first, arguments.second)
    first, second = (read_file(path, arguments, skeleton, skeleton.fps).joints for path in paths)
    columns = [
        {"length (s)": f"{len(joints) / skeleton.fps:.2f}", **quality(joints, skeleton, skeleton.fps)}
        for joints in (first, second)
    ]
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
    for output in outputs:
        shown = [
            PageMotion(joints, skeleton.fps, Path(path).name, skeleton=skeleton)
            for path, joints in zip(paths, (first, second), strict=True)
        ]
        save_page(shown, output, "Two motions")
    return 0
