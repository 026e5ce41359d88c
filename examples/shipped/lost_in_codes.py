# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Clips of Bandai Namco that lose their action in the codes of a motion VQ, and so would teach text to motion wrongly.

    PYTHONPATH=examples python -m shipped.lost_in_codes --data_dir data --vq vq4 > lost.txt

Prints the ids of those whose reconstruction the judge of joints takes for another action. A wave that is too small for
the codes is a raised hand to whoever reads them, whatever the caption says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from bandai_namco.judge import ActionStyleJudge
from bandai_namco.labels import action_and_style_of_clip
from evaluation.arguments import Arguments as EvaluationArguments
from evaluation.clips import joints_of
from evaluation.models import load_checkpoint, reconstruct
from transformers import HfArgumentParser

from tm2t_hf.data import read_split
from tm2t_hf.files import load_array


@dataclass
class Arguments:
    """What to look at."""

    data_dir: str = field(metadata={"help": "The prepared folder."})
    vq: str = field(metadata={"help": "Folder of the motion VQ."})
    split: str = field(default="train", metadata={"help": "The split to look at."})
    batch_size: int = field(default=64, metadata={"help": "Clips at a time."})


def main(args: list[str] | None = None):
    """Print the ids."""
    arguments = HfArgumentParser(Arguments).parse_args_into_dataclasses(args)[0]
    clips = [clip for clip in read_split(arguments.data_dir, arguments.split) if clip.startswith("bn")]
    joints = [load_array(Path(arguments.data_dir) / "new_joints" / f"{clip}.npy") for clip in clips]
    verdicts = ActionStyleJudge.from_folder().judge(rebuild(joints, arguments))
    for clip, (action, _) in zip(clips, verdicts, strict=True):
        if action != action_and_style_of_clip(clip)[0]:
            print(clip)


def rebuild(joints: Sequence[np.ndarray], arguments: Arguments) -> list[np.ndarray]:
    """What the VQ makes of joints (frames, 22, 3), each cut to whole tokens."""
    settings = EvaluationArguments(
        data_dir=arguments.data_dir,
        output_dir="",  # nothing is written
        batch_size=arguments.batch_size,
    )
    vq = load_checkpoint("vq", arguments.vq, settings)
    _, rebuilt = reconstruct(vq, joints, settings)
    return joints_of(rebuilt, vq.extractor.skeleton)


if __name__ == "__main__":
    main()
