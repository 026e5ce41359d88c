# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The command `tm2t-hf`: its arguments, and what is said about them.

It lies outside the package, whose import takes seconds: help and wrong command lines need none of it. What the
commands do is in `tm2t_hf.cli`. Results go to stdout, everything else to stderr; the exit status says how it went.

0: done; 1: a data folder has problems; 2: something that the user can fix, in one sentence, or a wrong command line;
130: interrupted.
"""

import argparse
import math
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

# What the library has as well; a test compares.
SKELETONS = ("humanml3d", "kit")
MOTION_SUFFIXES = (".gif", ".mp4", ".html", ".bvh", ".glb", ".npy", ".npz", ".csv")
AXES = ("y", "z", "x", "-y", "-z", "-x")
METERS_PER_UNIT = {"meters": 1.0, "centimeters": 0.01, "millimeters": 0.001, "inches": 0.0254, "feet": 0.3048}
SLOWEST_FPS, FASTEST_FPS = 1.0, 1000.0
SHORTEST_FIGURE, TALLEST_FIGURE = 0.3, 3.0

SHORT_UNITS = {"m": "meters", "cm": "centimeters", "mm": "millimeters", "in": "inches", "ft": "feet"}
PICTURES = (".gif", ".mp4", ".html")
MOTION_FILES = ".bvh, .npz or .npy file of joints, or .npy file of features"
NO_SENTENCE = 'There is no sentence; give one, such as "a person walks", or --prompts FILE.'


def console() -> None:
    """Run the command line of this process and exit."""
    signal.signal(signal.SIGINT, _exit_at_once)
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done, and Python would report where its shutdown stopped
    sys.exit(status)


def main(command: Sequence[str] | None = None) -> int:
    """Run a command line; what the user can fix is reported in one sentence, with exit status 2.

    Args:
        command: the command line; that of this process by default.

    Returns:
        The exit status.

    Raises:
        SystemExit: for `--help`, and for a command line that cannot be understood.
    """
    try:
        arguments = build_parser().parse_args(command)
        arguments.check(arguments)
        from tm2t_hf.cli import load_command

        run = load_command(arguments.run)
        if signal.getsignal(signal.SIGINT) is _exit_at_once:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # so that half-written files are removed
        status = run(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("tm2t-hf: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough; Python must not complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, ImportError) as error:
        complain(error)
        return 2


def complain(error: Exception | str) -> None:
    """Print one line about an error on stderr."""
    print(f"tm2t-hf: {' '.join(str(error).split())}", file=sys.stderr)


def _exit_at_once(number: int, frame) -> None:
    """End the process: an exception amid the imports of large libraries may get lost, and nothing is begun yet."""
    os.write(sys.stderr.fileno(), b"tm2t-hf: interrupted.\n")
    os._exit(130)


# --------------------------------------------------------------------------------------------------------- arguments


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, but not those that only mean "left out"."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default not in (None, False, "", ()) else action.help


def build_parser() -> ArgumentParser:
    """The parser of all commands.

    It sets `run`, the module of `tm2t_hf.cli` and the function in it that carry a command out, and `check`, which
    looks at its arguments before.
    """
    parser = ArgumentParser(prog="tm2t-hf", description="Text to human motion and back.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(run: str, help: str, check: Callable[[Namespace], None] = lambda arguments: None, name: str | None = None):
        name = name or run.partition(".")[2]
        command = commands.add_parser(name, help=help, description=help, formatter_class=_HelpFormatter)
        command.set_defaults(run=run, check=check)
        return command

    _add_model_commands(add)
    _add_motion_commands(add)
    _add_folder_commands(add)
    _add_hub_commands(add)
    return parser


def _add_model_commands(add) -> None:
    command = add("models.generate", "make motions from sentences", check_generate)
    command.add_argument("text", nargs="*", help="what the figure should do; - reads standard input, one per line")
    command.add_argument("--prompts", metavar="FILE", help="text file with more sentences, one per line")
    _add_output(command, "several motions are numbered, or share one .html page")
    command.add_argument("--model", help="folder or Hub id of a text-to-motion model; the shipped one if left out")
    command.add_argument("--num_samples", type=count, default=1, help="motions per sentence")
    command.add_argument("--seed", type=int, default=0, help="another seed gives another motion")
    command.add_argument("--chain", action="store_true", help="make one continuous motion of all sentences")
    command.add_argument("--prefix", metavar="FILE", help="motion to go on from; it becomes the beginning")
    command.add_argument("--clean", action="store_true", help="smooth the motion and keep feet from sliding")
    command.add_argument("--fps", type=rate, help="frames per second of the output; the model's if left out")
    command.add_argument("--height", type=float, metavar="METERS", help="of the figure; the model's if left out")
    command.add_argument("--min_seconds", type=float, help="shortest motion, or part of a chain")
    command.add_argument("--max_seconds", type=float, help="longest motion, or part of a chain")
    command.add_argument("--top_k", type=count, help="draw from the k likeliest tokens")
    command.add_argument("--temperature", type=float, help="below 1: more typical motions; above 1: more varied ones")
    command.add_argument("--greedy", action="store_true", help="take the likeliest token at each step, do not sample")
    _add_reading(command)

    command = add("models.caption", "describe motions in a sentence")
    command.add_argument("motion", nargs="+", help=MOTION_FILES)
    command.add_argument("--model", help="folder or Hub id of a motion-to-text model; the shipped one if left out")
    command.add_argument("--num_beams", type=count, default=2, help="width of the beam search")
    command.add_argument("--num_captions", type=count, default=1, help="captions per motion, at most num_beams")
    _add_reading(command, "--fps")

    command = add("models.tokens", "show motions as motion tokens, or motion tokens as a motion", check_tokens)
    command.add_argument("motion", nargs="*", help=MOTION_FILES)
    command.add_argument(
        "--decode", metavar="TOKENS", help='such as "<bom> <motion_17> <eom>"; - reads standard input'
    )
    _add_output(command, "for --decode only")
    command.add_argument("--model", help="folder or Hub id of a model with a motion VQ; the shipped VQ if left out")
    _add_reading(command, "--fps")

    command = add("models.actions", "list what a model can do, with a sentence for each")
    command.add_argument("--model", help="folder or Hub id of a text-to-motion model; the shipped one if left out")

    command = add("models.run_quickstart", "make, draw and describe a handful of motions", name="quickstart")
    command.add_argument("--output_dir", default="quickstart", help="where to write the motions")
    command.add_argument("--seed", type=int, default=0, help="another seed gives other motions")


def _add_motion_commands(add) -> None:
    command = add("motions.convert", "write a motion file in another format", check_convert)
    command.add_argument("source", help=MOTION_FILES)
    command.add_argument("output", help=f"file to write: {', '.join(MOTION_SUFFIXES)}")
    command.add_argument("--fps", type=rate, help="frames per second of the output; the file's own if left out")
    _add_skeleton(command)
    _add_reading(command)

    command = add("motions.render", "draw motions", check_render)
    command.add_argument("motion", nargs="+", help=MOTION_FILES)
    command.add_argument(
        "--output",
        nargs="+",
        default=["motion.gif"],
        metavar="FILE",
        help=".gif and .mp4: several motions are numbered; .html: one page with all of them next to each other",
    )
    command.add_argument("--title", help="text to show; the name of the file if left out")
    command.add_argument("--fps", type=rate, help="frames per second of the output; the files' own if left out")
    _add_skeleton(command)
    _add_reading(command)

    command = add("motions.compare", "measure how two motions differ", check_compare)
    command.add_argument("first", help=MOTION_FILES)
    command.add_argument("second", help="another one")
    command.add_argument("--output", metavar="FILE.html", help="page to write that shows both next to each other")
    _add_skeleton(command)
    _add_reading(command, "--fps")


def _add_folder_commands(add) -> None:
    help = "make a data folder ready for training, from joints or recordings"
    command = add("folders.prepare_folder", help, check_prepare, name="prepare")
    command.add_argument(
        "data_dir",
        help="folder in the HumanML3D layout with new_joints, texts and split files; with --from_bvh, the one to make",
    )
    command.add_argument("--output_dir", help="where to write; the folder itself if left out")
    body = "give every clip the bone lengths of this body: a clip, or humanml3d, the one that all of HumanML3D has"
    command.add_argument("--retarget_to", metavar="BODY", help=body)
    command.add_argument("--overwrite", action="store_true", help="make every file again")
    _add_skeleton(command)
    group = command.add_argument_group("from recordings")
    group.add_argument("--from_bvh", metavar="DIR", help="folder with recordings: .bvh, .npz, .npy")
    group.add_argument("--captions", metavar="FILE", help=".jsonl or .csv: file, caption(s), start, end, split")
    group.add_argument("--seed", type=int, default=0, help="another seed draws other splits")
    _add_reading(command, "--fps")

    command = add("folders.check_folder", "report every problem of a data folder", name="check")
    command.add_argument("data_dir", help="folder in the HumanML3D layout")
    command.add_argument(
        "--thorough", action="store_true", help="compare the features of all clips with their joints, not those of 50"
    )
    _add_skeleton(command)

    command = add("folders.toy", "make a small data set to try training on")
    command.add_argument("output_dir", help="folder to make")
    command.add_argument("--num_clips", type=count, default=300, help="number of clips")
    command.add_argument("--seed", type=int, default=0, help="another seed gives other clips")


def _add_hub_commands(add) -> None:
    command = add("hub.push", "upload a trained model")
    command.add_argument("model_dir", help="folder that training, save_pretrained or convert_original.py made")
    _add_repository(command, "model")

    command = add("hub.push_data_folder", "upload a prepared data folder", name="push-data")
    command.add_argument("data_dir", help="folder in the HumanML3D layout, as `tm2t-hf prepare` leaves it")
    _add_repository(command, "data set")
    command.add_argument("--license", default="other", help="of the data, as the Hub names it, such as cc-by-nc-4.0")
    command.add_argument("--further_texts", nargs="+", default=(), metavar="DIR", help="folders of captions")
    _add_skeleton(command)

    command = add("hub.update", "save models again with the code and configuration of this version")
    command.add_argument("model_dir", nargs="+", help="folder of a model; its weights stay as they are")

    command = add("hub.demo", "show the demo in a browser, on this machine alone")
    command.add_argument(
        "--text_to_motion", default="", help="folder or Hub id of a model; the shipped one if left out"
    )
    command.add_argument(
        "--motion_to_text", default="", help="folder or Hub id of a model; the shipped one if left out"
    )
    command.add_argument("--port", type=port, default=7860, help="port on the loopback device")


def _add_repository(command: ArgumentParser, what: str) -> None:
    command.add_argument("repo_id", nargs="?", default="", help=f"{what} on the Hub: owner/name; by default as here")
    command.add_argument("--private", action="store_true", help="if it is new, make it private")
    command.add_argument("--revision", default="", help="branch to upload to; the main one if left out")


def _add_output(command: ArgumentParser, note: str) -> None:
    formats = ", ".join(MOTION_SUFFIXES)
    command.add_argument(
        "--output", nargs="+", default=["motion.gif"], metavar="FILE", help=f"files to write: {formats}; {note}"
    )


def _add_skeleton(command: ArgumentParser) -> None:
    command.add_argument(
        "--skeleton",
        default="humanml3d",
        help=f"skeleton of the joints: {', '.join(SKELETONS)}, or a JSON file of your own",
    )


def _add_reading(command: ArgumentParser, fps: str = "--source_fps") -> None:
    """The arguments that say how to read motions where their files do not; `fps` names that of their frame rate."""
    group = command.add_argument_group("how to read the files, where they do not tell")
    group.add_argument(fps, dest="source_fps", type=rate, metavar="FPS", help="frames per second of the files")
    group.add_argument("--joint_map", metavar="JSON", help="file with the joints of a .bvh file of unknown names")
    group.add_argument(
        "--unit", type=unit, help=f"of the joints: {', '.join(METERS_PER_UNIT)} or its length in meters"
    )
    group.add_argument("--up", choices=AXES, help="axis that points up")
    group.add_argument("--smpl", action="store_true", help="take the first 22 joints of SMPL (24) or SMPL-H (52)")


def count(text: str) -> int:
    """A number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a number above 0")
    return number


def port(text: str) -> int:
    """A number that a port can have."""
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is not a port, from 1 to 65535")
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
        meters = METERS_PER_UNIT.get(SHORT_UNITS.get(text, text)) or float(text)
    except ValueError:
        meters = math.nan
    if not 0 < meters < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is none of {', '.join(SHORT_UNITS)} and no length in meters")
    return meters


# ------------------------------------------------------------------------------- checks of arguments, before any work


def check_generate(arguments: Namespace) -> None:
    """Raise a ValueError naming the flags where those of sampling contradict each other or are out of range."""
    arguments.output = check_outputs(arguments.output)
    if not arguments.text and not arguments.prompts:
        raise ValueError(NO_SENTENCE)
    if arguments.greedy:
        for name in ("temperature", "top_k"):
            if getattr(arguments, name) is not None:
                raise ValueError(f"--{name} is for sampling: leave it out, or leave out --greedy.")
    if arguments.temperature is not None and not 0 < arguments.temperature < math.inf:
        raise ValueError(
            f"--temperature must be above 0; got {arguments.temperature:g}. For the likeliest token at each step, "
            "pass --greedy."
        )
    if arguments.height is not None and not SHORTEST_FIGURE <= arguments.height <= TALLEST_FIGURE:
        raise ValueError(
            f"--height must be from {SHORTEST_FIGURE:g} to {TALLEST_FIGURE:g} meters; got {arguments.height:g}."
        )
    for name in ("min_seconds", "max_seconds"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"--{name} must be a number of seconds above 0; got {value:g}.")


def check_tokens(arguments: Namespace) -> None:
    """Raise a ValueError unless there are either motions or tokens."""
    if bool(arguments.motion) == (arguments.decode is not None):
        raise ValueError("Give motion files to show as tokens, or --decode with tokens to make a motion of.")
    arguments.output = check_outputs(arguments.output)


def check_convert(arguments: Namespace) -> None:
    """Raise an error unless the output can be written."""
    arguments.output = check_outputs([arguments.output])


def check_render(arguments: Namespace) -> None:
    """Raise an error unless the outputs are drawings that can be written."""
    arguments.output = check_outputs(arguments.output, PICTURES)


def check_compare(arguments: Namespace) -> None:
    """Raise an error unless the output is a page that can be written."""
    arguments.output = check_outputs([arguments.output] if arguments.output else [], [".html"])


def check_prepare(arguments: Namespace) -> None:
    """Raise a ValueError for arguments of recordings without recordings, and for those that do not go with them."""
    if not arguments.from_bvh:
        for name in ("captions", "joint_map", "unit", "up"):
            if getattr(arguments, name) is not None:
                raise ValueError(f"--{name} is for recordings: name their folder with --from_bvh.")
        return
    if arguments.captions is None:
        raise ValueError("--from_bvh needs --captions, a .jsonl or .csv file that names the recordings.")
    for name in ("output_dir", "retarget_to"):
        if getattr(arguments, name) is not None:
            raise ValueError(f"--{name} does not go with --from_bvh: run `tm2t-hf prepare` on the new folder again.")


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


if __name__ == "__main__":
    console()
