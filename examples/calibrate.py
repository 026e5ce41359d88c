# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Find out what a trained model can do, and where its knowledge ends, with more than its training script knows.

    python examples/calibrate.py tm2t-t2m --data_dir DATA --further_texts texts_people --known known.txt
    python examples/calibrate.py tm2t-m2t --data_dir DATA --unknown_motions OTHER_DATA

Writes `coverage.safetensors`, which the scores of the pipelines and their warnings come from, and, for a
text-to-motion model, `actions.json` and the list of actions in its card. The training scripts do the same with the
data that they have; files of requests and labels of clips make it better.
"""

import argparse
import importlib
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from transformers import AutoModelForSeq2SeqLM
from transformers.utils import logging as transformers_logging

from tm2t_hf.data import read_captions, read_split
from tm2t_hf.data.rows import check_further_texts
from tm2t_hf.files import load_array
from tm2t_hf.loading import load_whole
from tm2t_hf.training import calibrate_motions, calibrate_requests, run
from tm2t_hf.training.coverage import UNKNOWN_REQUESTS, read_lines


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Find out where the knowledge of a trained model ends.")
    parser.add_argument("model", help="folder of a text-to-motion or motion-to-text model")
    parser.add_argument("--data_dir", required=True, help="the folder that it was trained on, prepared")
    group = parser.add_argument_group("text to motion")
    group.add_argument("--further_texts", nargs="*", default=[], help="further folders of captions that it learned")
    group.add_argument(
        "--labels", help="package in examples/ whose labels.py has label_of_clip(id) -> (action, style, ...)"
    )
    group.add_argument("--known", nargs="*", default=[], help="text files of requests that it should know")
    group.add_argument("--unknown", nargs="*", default=[UNKNOWN_REQUESTS], help="those that it cannot know")
    group.add_argument("--others", nargs="*", default=[], help="sentences about what it did not learn")
    group = parser.add_argument_group("motion to text")
    group.add_argument("--known_splits", nargs="*", default=["val"], help="splits of motions that it should know")
    group.add_argument("--unknown_motions", nargs="*", default=[], help="data folders of motions that it cannot know")
    return parser.parse_args()


def captions_of(data_dir: Path, clip: str, folders: list[str]) -> list[str]:
    """All captions of a clip; not every clip has some in every folder."""
    paths = [data_dir / folder / f"{clip}.txt" for folder in folders]
    return [line.caption for path in paths if path.is_file() for line in read_captions(path)]


def labeling(package: str) -> Callable[[str], tuple]:
    """The function `label_of_clip` of a package in examples/.

    Raises:
        ValueError: there is no such package, or it has no such function.
    """
    try:
        return importlib.import_module(f"{package}.labels").label_of_clip
    except (ModuleNotFoundError, AttributeError):
        raise ValueError(f"--labels {package}: there is no examples/{package}/labels.py with label_of_clip.") from None


def joints_of(data_dir: str | Path, split: str) -> list[np.ndarray]:
    """The joints of the clips of a split."""
    return [
        np.array(load_array(Path(data_dir) / "new_joints" / f"{clip}.npy")) for clip in read_split(data_dir, split)
    ]


def main():
    """Calibrate one model."""
    arguments = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    transformers_logging.set_verbosity_error()
    data_dir = Path(arguments.data_dir)
    if load_whole(AutoModelForSeq2SeqLM, arguments.model).config.model_type == "tm2t-m2t":
        known = [each for split in arguments.known_splits for each in joints_of(data_dir, split)]
        unknown = [each for folder in arguments.unknown_motions for each in joints_of(folder, "all")]
        calibrate_motions(arguments.model, known, unknown or None)
        return
    check_further_texts(data_dir, arguments.further_texts, "--further_texts")
    clips = read_split(data_dir, "train")
    captions = [captions_of(data_dir, clip, ["texts", *arguments.further_texts]) for clip in clips]
    labels = plain = None
    if arguments.labels:
        labels, styles, *_ = zip(*map(labeling(arguments.labels), clips), strict=True)
        plain = [style == "normal" for style in styles]
    requests = {
        name: [line for path in getattr(arguments, name) for line in read_lines(path)]
        for name in ("known", "unknown", "others")
    }
    calibrate_requests(arguments.model, captions, labels, plain, **requests)


if __name__ == "__main__":
    run(main)
