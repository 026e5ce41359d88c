# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Make a training folder of motions of the CMU database that people have captioned.

    python examples/cmu/build.py --data_dir cmu --output_dir cmu_training
    tm2t-hf prepare cmu_training

`--data_dir` holds the BVH files, or `bvh.tar.xz` with them, and `clips.jsonl`: one clip per line with `file`,
`captions`, `start` and `end` in seconds, `humanml3d_id`, `split`, and `mirrored_text` where the captions are those of
the mirrored motion. Clips without captions are left out, and clips of ten seconds are cut to HumanML3D's longest, 196
frames. Writes `new_joints` (22 joints, meters, y up, 20 fps), `texts` and the split files; a clip that cannot be read
is named and left out.

"The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF
EIA-0196217." Captions: HumanML3D (Guo et al., CVPR 2022), MIT.
"""

import json
import logging
import tarfile
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm
from transformers import HfArgumentParser

from tm2t_hf.data.recordings import caption_line
from tm2t_hf.formats import read_motion
from tm2t_hf.motion import HUMANML3D, mirror_joints

logger = logging.getLogger("build")

FPS = HUMANML3D.fps
SPLITS = ("train", "val", "test")
SHORTEST, LONGEST = 24, 196  # frames


@dataclass
class Arguments:
    """What to read and where to write."""

    data_dir: str = field(metadata={"help": "Folder with clips.jsonl and the BVH files or bvh.tar.xz."})
    output_dir: str = field(metadata={"help": "The training folder to make."})


def main(args: list[str] | None = None):
    """Make the training folder."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = HfArgumentParser(Arguments).parse_args_into_dataclasses(args)[0]
    data, output = Path(arguments.data_dir), Path(arguments.output_dir)
    clips = [json.loads(line) for line in (data / "clips.jsonl").read_text(encoding="utf-8").splitlines()]
    clips = [clip for clip in clips if clip.get("captions")]
    for folder in ("new_joints", "texts"):
        (output / folder).mkdir(parents=True, exist_ok=True)

    ids = defaultdict(list)
    with tempfile.TemporaryDirectory() as unpacked:
        if not (data / "bvh").is_dir():
            with tarfile.open(data / "bvh.tar.xz") as archive:
                archive.extractall(unpacked, filter="data")
        motions = data if (data / "bvh").is_dir() else Path(unpacked)
        for clip in tqdm(clips, desc="Motions", unit="clip"):
            try:
                joints = read_clip(motions / clip["file"], clip)
            except (FileNotFoundError, ValueError) as error:
                logger.warning(f"Left out: {error}")
                continue
            name = clip_id(clip)
            np.save(output / "new_joints" / f"{name}.npy", joints, allow_pickle=False)
            text = "".join(f"{caption_line(caption)}\n" for caption in clip["captions"])
            (output / "texts" / f"{name}.txt").write_text(text, encoding="utf-8")
            ids[clip["split"]].append(name)
    ids["train_val"] = ids["train"] + ids["val"]
    ids["all"] = ids["train_val"] + ids["test"]
    for split in (*SPLITS, "train_val", "all"):
        (output / f"{split}.txt").write_text("".join(f"{name}\n" for name in sorted(ids[split])), encoding="utf-8")
    logger.info(f"{len(ids['all'])} of {len(clips)} clips made in {output}.")


def clip_id(clip: dict) -> str:
    """`cmu_05_01_010342`: subject and trial in the CMU database, then the clip's id in HumanML3D."""
    return f"cmu_{Path(clip['file']).stem}_{clip['humanml3d_id']}"


def read_clip(path: Path, clip: dict) -> np.ndarray:
    """Joints (frames, 22, 3) of the part of a file that the captions describe."""
    joints = read_motion(path, HUMANML3D, FPS)
    joints = joints[round(clip["start"] * FPS) : round(clip["end"] * FPS) + 1][:LONGEST]
    if len(joints) < SHORTEST:
        raise ValueError(f"{path} has {len(joints)} frames from {clip['start']} to {clip['end']} s.")
    return mirror_joints(joints, HUMANML3D) if clip["mirrored_text"] else joints


if __name__ == "__main__":
    main()
