# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Rebuild the training folder of the shipped models from the Bandai Namco Research motion datasets.

    git clone https://github.com/BandaiNamcoResearchInc/Bandai-Namco-Research-Motiondataset
    python examples/bandai_namco/build.py --raw_dir Bandai-Namco-Research-Motiondataset --output_dir bandai_namco
    tm2t-hf prepare bandai_namco

Makes `new_joints` (22 joints, meters, y up, 20 fps), `texts` and the split files; `tm2t-hf prepare` adds features and
statistics. Motions longer than 196 frames are cut into equal parts `_s0`, `_s1`, …; those below 24 frames are left
out. Every clip has three captions, made of a subject, an action and an ending that says the style: `captions.json`
has them by label, with the lemma and part of speech of every word. Which ones a clip got, and its split, was drawn at
random once: `clips.tsv` keeps the draw.

The datasets (Kobayashi et al. 2023, arXiv 2306.08861) are under CC BY-NC 4.0, and so is what is made of them.
"""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm
from transformers import HfArgumentParser

from tm2t_hf.formats.reading import read_motion

logger = logging.getLogger("build")

HERE = Path(__file__).parent
FILE_NAME = re.compile(r"dataset-(\d)_([a-z-]+)_([a-z-]+)_(\d+)")
RAW_FPS = 1 / 0.0333333  # the frame time of every file, as it is written there
FPS = 20.0
SHORTEST, LONGEST = 24, 196  # frames
GRID = 8192  # positions are multiples of 1/8192 m, 0.12 mm, which packs well
SPLITS = {"train": ("train",), "val": ("val",), "test": ("test",), "train_val": ("train", "val")}
SPLITS["all"] = ("train", "val", "test")
# Words that are nouns only after another one; captions.json has them as verbs.
NOUNS = {("heavy", "steps"): "step/NOUN", ("of", "kicks"): "kick/NOUN"}


@dataclass
class Arguments:
    """What to read and where to write."""

    raw_dir: str = field(metadata={"help": "The checkout; its BVH files are found in any folder of it."})
    output_dir: str = field(metadata={"help": "The training folder to make."})


@dataclass(frozen=True)
class Clip:
    """A row of clips.tsv."""

    split: str
    captions: tuple[tuple[int, int, int], ...]  # numbers of subject, action and ending in captions.json


def main(args: list[str] | None = None):
    """Make the training folder."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = HfArgumentParser(Arguments).parse_args_into_dataclasses(args)[0]
    raw, output = Path(arguments.raw_dir), Path(arguments.output_dir)
    files = sorted(path for path in raw.rglob("*.bvh") if FILE_NAME.fullmatch(path.stem))
    if not files:
        raise SystemExit(f"{raw} has no files named like dataset-1_bow_active_001.bvh.")
    grammar = json.loads((HERE / "captions.json").read_text(encoding="utf-8"))
    clips = read_clips(HERE / "clips.tsv")
    for folder in ("new_joints", "texts"):
        (output / folder).mkdir(parents=True, exist_ok=True)

    made, left_out = [], []
    for path in tqdm(files, desc="Motions", unit="file"):
        parts = [(name, joints) for name, joints in read_parts(path) if name in clips]
        left_out += [] if parts else [path.name]
        for name, joints in parts:
            np.save(output / "new_joints" / f"{name}.npy", joints, allow_pickle=False)
            text = "".join(f"{line}\n" for line in caption_lines(name, clips[name], grammar))
            (output / "texts" / f"{name}.txt").write_text(text, encoding="utf-8")
            made.append(name)
    for name, splits in SPLITS.items():
        ids = sorted(clip for clip in made if clips[clip].split in splits)
        (output / f"{name}.txt").write_text("".join(f"{clip}\n" for clip in ids), encoding="utf-8")
    logger.info(f"{len(made)} of {len(clips)} clips made in {output} from {len(files)} files.")
    if left_out:
        logger.info(f"{len(left_out)} files are no part of the training folder: {', '.join(left_out[:5])} …")


def read_clips(path: Path) -> dict[str, Clip]:
    """Id -> clip; a line is the id, the split, and `subject.action.ending` three times, separated by tabs."""
    clips = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, split, *captions = line.split("\t")
        clips[name] = Clip(split, tuple(tuple(map(int, caption.split("."))) for caption in captions))
    return clips


def read_parts(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The clips of one file: id, and joints (frames, 22, 3)."""
    data_set, action, style, number = FILE_NAME.fullmatch(path.stem).groups()
    name = f"bn{data_set}_{action}_{style}_{number}"
    joints = np.round(read_motion(path, fps=FPS, source_fps=RAW_FPS) * GRID) / GRID
    if len(joints) < SHORTEST:
        return
    count = -(-len(joints) // LONGEST)
    bounds = [part * len(joints) // count for part in range(count + 1)]
    for part, (start, end) in enumerate(zip(bounds, bounds[1:], strict=False)):
        yield (f"{name}_s{part}" if count > 1 else name), joints[start:end]


def caption_lines(name: str, clip: Clip, grammar: dict) -> list[str]:
    """The lines of the clip's text file, `caption#lemma/POS …#0.0#0.0`."""
    _, action, style, *_ = name.split("_")
    style = grammar["styles"][style]
    lines = []
    for subject, phrase, ending in clip.captions:
        parts = style["subjects"][subject], grammar["actions"][action][phrase], style["endings"][ending]
        words = " ".join(parts).split()
        before = [""] + words
        tokens = [NOUNS.get(pair, grammar["lemmas"][pair[1]]) for pair in zip(before, words, strict=False)]
        lines.append(f"{' '.join(words)}#{' '.join(tokens)}#0.0#0.0")
    return lines


if __name__ == "__main__":
    main()
