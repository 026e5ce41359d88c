# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What `make quickstart` shows: prompts to moving figures and back to sentences, with the checkpoints that ship."""

import re
import shutil
import sys
from os import PathLike
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm
from transformers import pipeline, set_seed

from .bodies import body_parts
from .files import written_beside
from .formats import save_motion
from .formats.page import PageMotion, save_page
from .motion import bone_offsets, retarget
from .pipelines import shipped_checkpoint
from .skeletons import Skeleton

PROMPTS = (
    "a person walks forward",
    "an old person walks forward slowly",
    "a person runs forward energetically",
    "a person waves the left hand",
    "a person bows politely",
    "he jogs a little and stops",
    "the man kicks with his right foot",
    "someone lifts both arms above their head",
)

BY_CHILD = ", performed by a child"  # another body than the model ever made, described all the same

TITLE = "A sentence, its motion, and the motion described again"


def quickstart(
    output_dir: str | PathLike = "quickstart", checkpoint_dir: str | PathLike = ".", seed: int = 0
) -> list[tuple[str, str, Path]]:
    """Generate a motion for each prompt, draw it, describe it, and print where to look.

    Args:
        output_dir: gets a GIF and a `.npy` of joints per prompt, and `index.html`, a page that plays them all.
        checkpoint_dir: gets the folders `tm2t-vq`, `tm2t-m2t` and `tm2t-t2m`, those that are not there yet, so that
            `AutoModel.from_pretrained("tm2t-t2m")` works there.
        seed: of the samples.

    Returns:
        (prompt, description of the motion made from it, its GIF) for each prompt.

    Raises:
        FileNotFoundError: when the installed package holds no checkpoints.
    """
    models = {name: shipped_checkpoint(name) for name in ("tm2t-vq", "tm2t-m2t", "tm2t-t2m")}
    for name, shipped in models.items():
        copy_checkpoint(shipped, Path(checkpoint_dir) / name)
    output_dir = Path(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)

    set_seed(seed)
    animate = pipeline("text-to-motion", model=str(models["tm2t-t2m"]))
    motions = animate(list(PROMPTS), batch_size=len(PROMPTS), do_sample=True, min_seconds=1, return_codes=True)
    on_child = as_child(motions[0]["joints"], animate.processor.feature_extractor.skeleton)
    describe = pipeline("motion-to-text", model=str(models["tm2t-m2t"]))
    to_describe = [motion["motion"] for motion in motions] + [on_child]
    *captions, caption_of_child = (
        best["generated_text"] for best, *_ in describe(to_describe, batch_size=len(to_describe))
    )
    shown = []
    for prompt, motion, caption in zip(PROMPTS, tqdm(motions, desc="Drawing", unit="motion"), captions, strict=True):
        for suffix in (".npy", ".gif"):
            path = output_dir / (re.sub(r"\W+", "-", prompt) + suffix)
            save_motion(motion["joints"], path, motion["fps"], prompt)
        shown.append((prompt, caption, path.with_suffix(".gif")))

    unit_length = animate.model.config.vq_config.unit_length
    pages = [
        PageMotion(motion["joints"], motion["fps"], prompt, caption, motion["codes"], unit_length)
        for (prompt, caption, _), motion in zip(shown, motions, strict=True)
    ]
    pages.append(PageMotion(on_child, motions[0]["fps"], PROMPTS[0] + BY_CHILD, caption_of_child))
    save_page(pages, output_dir / "index.html", TITLE)
    width = max(len(page.caption) for page in pages)
    print(f"\n{'prompt':{width}}   the motion, described again")
    for page in pages:
        print(f"{page.caption:{width}}   {page.note}")
    print(
        f"\nThe motions are in {output_dir}/: open {output_dir / 'index.html'} in a browser to see them all.\n"
        f"The models are in tm2t-vq, tm2t-m2t and tm2t-t2m. Your own sentence, and your own motion:\n"
        f'    tm2t-hf generate "a person waves the left hand" --output wave.gif wave.npy\n'
        f"    tm2t-hf caption wave.npy"
    )
    return shown


def as_child(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """The motion `(frames, joints, 3)` on a body two thirds as tall, with short legs."""
    offsets = np.array(bone_offsets(joints, skeleton)) * 2 / 3
    offsets[body_parts(skeleton)["legs"]] *= 0.85
    return retarget(joints, skeleton, offsets)


def copy_checkpoint(source: Path, target: Path) -> None:
    """Copy a checkpoint folder unless `target` is there already: it may be a model of the user's own."""
    if target.exists():
        print(f"{target} already exists and is left unchanged; the shipped models make the motions.", file=sys.stderr)
        return
    with written_beside(target) as part:
        shutil.copytree(source, part)
