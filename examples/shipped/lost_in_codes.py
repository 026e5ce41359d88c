# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Clips of Bandai Namco that lose their action in the codes of a motion VQ, and so would teach text to motion wrongly.

    PYTHONPATH=examples python -m shipped.lost_in_codes --data_dir data --vq vq3 > lost.txt

Prints the ids of those whose reconstruction the judge of joints takes for another action. A wave that is too small for
the codes is a raised hand to whoever reads them, whatever the caption says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from bandai_namco.judge import ActionStyleJudge
from bandai_namco.labels import action_and_style_of_clip
from evaluation.models import by_length
from transformers import HfArgumentParser

from tm2t_hf import MotionFeatureExtractor, MotionVQModel
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
    rebuilt = rebuild(
        MotionVQModel.from_pretrained(arguments.vq),
        MotionFeatureExtractor.from_pretrained(arguments.vq),
        joints,
        arguments.batch_size,
    )
    verdicts = ActionStyleJudge.from_folder().judge(rebuilt)
    for clip, (action, _) in zip(clips, verdicts, strict=True):
        if action != action_and_style_of_clip(clip)[0]:
            print(clip)


@torch.no_grad()
def rebuild(
    vq: MotionVQModel, extractor: MotionFeatureExtractor, joints: Sequence[np.ndarray], batch_size: int
) -> list[np.ndarray]:
    """What the VQ makes of joints (frames, 22, 3), each cut to whole tokens."""

    def compute(batch):
        encoded = vq.encode(**extractor(batch, padding=True, return_tensors="pt"))
        lengths = encoded.attention_mask.sum(1) * vq.config.unit_length
        made = extractor.post_process(vq.decode(**encoded))
        return [np.asarray(motion)[:length] for motion, length in zip(made, lengths.tolist(), strict=True)]

    return by_length(joints, compute, "VQ reconstruction", batch_size)


if __name__ == "__main__":
    main()
