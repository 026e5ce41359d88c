# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
r"""Join the three data sets that the shipped models are trained on into one training folder.

    python examples/cmu/build.py --data_dir cmu --output_dir cmu_training
    python examples/shipped/build.py --bandai_namco bandai_namco --cmu cmu_training --deepmimic deepmimic \
        --output_dir joined
    tm2t-hf prepare joined

`bandai_namco` is what `examples/bandai_namco/build.py` makes; its splits stay as they are, so that `val.txt` and
`test.txt` remain the benchmark. Captioned CMU clips of HumanML3D's training split and all DeepMimic clips are added to
`train.txt`, without captions in `MISLEADING`; the other CMU clips are in `cmu_dev.txt` alone. Ids say where a clip
comes from: `bn1_...`, `cmu_...`, `deepmimic_...`. `--body` adds a clip that belongs to no split, whose proportions
every other one can be given:

    tm2t-hf prepare joined --retarget_to 012314 --output_dir prepared

The motions have licenses of their own: CC BY-NC 4.0 (bandai_namco, `deepmimic_sie_*`), MIT (the other DeepMimic
clips), and CMU's, which allows everything but selling the data. What is trained on all of them is CC BY-NC 4.0.
"""

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from transformers import HfArgumentParser

from tm2t_hf.data import read_split
from tm2t_hf.data.captions import read_captions
from tm2t_hf.data.recordings import caption_line
from tm2t_hf.files import written_beside

logger = logging.getLogger("build")

CMU_DEV = "cmu_dev"  # the split file of the CMU clips that are not for training
DEEPMIMIC = "deepmimic_"  # takes the place of "dm_" in the ids of DeepMimic clips
# Captions of plain walking that say something else: with so few clips of CMU, a model would write them of everybody.
MISLEADING = {
    "the person walks forward at a steady pace while moving most of their left hand side of their body compared to "
    "their right",
    "a person walks forward diagonally.",
    "a man walks from side to side",
    "walks forward with a wide gait. person seems confident and aggressive",
    "the sim walks down the plane.",
    "a person takes purposeful strides forward.",
    "simply moving forward on the floor.",
}


@dataclass
class Arguments:
    """What to read and where to write."""

    bandai_namco: str = field(metadata={"help": "Folder that examples/bandai_namco/build.py made."})
    cmu: str = field(metadata={"help": "Folder that examples/cmu/build.py made."})
    deepmimic: str = field(metadata={"help": "Folder with new_joints, texts and all.txt of the DeepMimic clips."})
    output_dir: str = field(metadata={"help": "The training folder to make."})
    body: str | None = field(default=None, metadata={"help": "Joints of a clip whose body others can be given."})


def main(args: list[str] | None = None):
    """Make the training folder."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = HfArgumentParser(Arguments).parse_args_into_dataclasses(args)[0]
    bandai_namco, cmu, deepmimic = map(Path, (arguments.bandai_namco, arguments.cmu, arguments.deepmimic))
    output = Path(arguments.output_dir)
    if output.exists() and any(output.iterdir()):
        raise SystemExit(f"{output} is not empty; give a new folder.")

    splits = {split: read_split(bandai_namco, split) for split in ("train", "val", "test")}
    cmu_train = read_split(cmu, "train")
    splits[CMU_DEV] = [clip for clip in read_split(cmu, "all") if clip not in cmu_train]
    new_names = {clip: DEEPMIMIC + clip.removeprefix("dm_") for clip in read_split(deepmimic, "all")}
    sources = [(bandai_namco, clip, clip) for split in ("train", "val", "test") for clip in splits[split]]
    sources += [(cmu, clip, clip) for clip in cmu_train + splits[CMU_DEV]]
    sources += [(deepmimic, clip, name) for clip, name in new_names.items()]
    splits["train"] += cmu_train + list(new_names.values())
    splits["train_val"] = splits["train"] + splits["val"]
    splits["all"] = splits["train_val"] + splits["test"] + splits[CMU_DEV]

    with written_beside(output) as part:
        for folder in ("new_joints", "texts"):
            (part / folder).mkdir(parents=True)
        for source, clip, name in sources:
            shutil.copyfile(source / "new_joints" / f"{clip}.npy", part / "new_joints" / f"{name}.npy")
            (part / "texts" / f"{name}.txt").write_text(tagged_captions(source, clip), encoding="utf-8")
        for split, clips in splits.items():
            (part / f"{split}.txt").write_text("".join(f"{clip}\n" for clip in sorted(clips)), encoding="utf-8")
        if arguments.body:
            shutil.copy(arguments.body, part / "new_joints")
    logger.info(f"{output}: {', '.join(f'{len(clips)} {split}' for split, clips in splits.items())}.")


def tagged_captions(source: Path, clip: str) -> str:
    """The clip's text file without misleading captions, with lemmas and parts of speech where it has none."""
    lines = [line for line in read_captions(source / "texts" / f"{clip}.txt") if line.caption not in MISLEADING]
    if not all(line.whole_clip for line in lines):
        raise ValueError(f"{source / 'texts' / clip}.txt has a caption of a part of the clip.")
    tagged = (f"{line.caption}#{line.tokens}#0.0#0.0" if line.tokens else caption_line(line.caption) for line in lines)
    return "".join(f"{line}\n" for line in tagged)


if __name__ == "__main__":
    main()
