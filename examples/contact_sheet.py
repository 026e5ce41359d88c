# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
r"""Draw what text to motion makes of a list of prompts: a PNG with a row of poses per prompt, to look through.

    python examples/contact_sheet.py --model tm2t-t2m --prompts examples/shipped/dev/asks.json --output sheets/asks.png

`--prompts` is a JSON list of sentences, or of objects with a `sentence`; or a text file with one sentence per line.
More prompts than fit on a sheet give further sheets: `asks_2.png`, and so on.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm.auto import tqdm
from transformers import HfArgumentParser, pipeline, set_seed

from tm2t_hf.files import written_beside
from tm2t_hf.formats.gif import draw_motion

MARGIN = 22  # pixels above the poses of a prompt, for its words
INK, PAPER = (30, 30, 30), (255, 255, 255)


@dataclass
class Arguments:
    """What to draw."""

    prompts: str = field(metadata={"help": "JSON list of sentences, or a text file with one per line."})
    output: str = field(metadata={"help": "The PNG to write."})
    model: str | None = field(default=None, metadata={"help": "Folder or Hub id; by default what the package ships."})
    samples: int = field(default=1, metadata={"help": "Motions per prompt, a row each."})
    poses: int = field(default=10, metadata={"help": "Poses per motion, at equal intervals from first to last frame."})
    size: int = field(default=150, metadata={"help": "Width and height of a pose in pixels."})
    rows: int = field(default=12, metadata={"help": "Motions per sheet."})
    seed: int = field(default=0, metadata={"help": "Seed of the first prompt; each has its own."})


def main(args: list[str] | None = None):
    """Make the motions and draw the sheets."""
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses(args)
    prompts = read_prompts(Path(arguments.prompts))
    animate = pipeline("text-to-motion", model=arguments.model)
    strips = []
    for index, prompt in enumerate(tqdm(prompts, desc="prompts")):
        set_seed(arguments.seed + index)
        motions = animate(prompt, num_return_sequences=arguments.samples)
        for motion in motions if isinstance(motions, list) else [motions]:
            strips.append(draw_strip(prompt, motion["joints"], motion["fps"], arguments.poses, arguments.size))
    output = Path(arguments.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(strips), arguments.rows), 1):
        path = output if number == 1 else output.with_name(f"{output.stem}_{number}{output.suffix}")
        with written_beside(path) as part:
            stacked(strips[start : start + arguments.rows]).save(part, format="png")
        print(path)


def read_prompts(path: Path) -> list[str]:
    """The sentences of a JSON list or of the lines of a text file."""
    text = path.read_text(encoding="utf-8")
    rows = json.loads(text) if path.suffix == ".json" else text.splitlines()
    prompts = [row["sentence"] if isinstance(row, dict) else row.strip() for row in rows]
    if not any(prompts):
        raise SystemExit(f"{path} has no prompt in it.")
    return [prompt for prompt in prompts if prompt]


def draw_strip(prompt: str, joints: np.ndarray, fps: float, poses: int, size: int) -> Image.Image:
    """A prompt above the poses of its motion, joints (frames, joints, 3)."""
    strip = Image.new("RGB", (poses * size, size + MARGIN), PAPER)
    seconds = len(joints) / fps
    words = f"{prompt}   ({seconds:.1f} s)" if len(joints) else f"{prompt}   (no motion)"
    ImageDraw.Draw(strip).text((6, 3), words, fill=INK, font=ImageFont.load_default(14))
    if len(joints):
        chosen = np.linspace(0, len(joints) - 1, poses).round().astype(int)
        for column, pose in enumerate(draw_motion(joints[chosen], max(poses - 1, 1) / seconds, size=size)):
            strip.paste(pose, (column * size, MARGIN))
    return strip


def stacked(strips: list[Image.Image]) -> Image.Image:
    """Strips of one width, one below the other."""
    sheet = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)), PAPER)
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return sheet


if __name__ == "__main__":
    main()
