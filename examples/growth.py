# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
r"""Draw how time and memory grow with the batch, with the length of a motion, and with the number of clips.

    python examples/growth.py --size small --output docs/images/growth.png

Each line is labeled with its slope on the logarithmic axes, fitted to its larger half: 1 is time in proportion. Below
1, something that does not grow takes a part of the time, as calls of operators do; above 1, there is waste.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import datasets
import matplotlib
import numpy as np
import torch
from benchmark import peak_memory, restart_peak_memory, timed
from benchmarking.works import Setting, m2t_beams, m2t_step, new_vq, t2m_sampling, t2m_step, vq_step
from transformers import HfArgumentParser
from transformers.utils import logging

from tm2t_hf import HUMANML3D, MotionFeatureExtractor
from tm2t_hf.data import load_motion_dataset, tokenize_motions
from tm2t_hf.files import written_beside
from tm2t_hf.toy import make_toy_dataset
from tm2t_hf.training import run
from tm2t_hf.training.arguments import check_range

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

TOY_CLIPS = 20


@dataclass
class Arguments:
    """What the command line takes."""

    output: str = field(metadata={"help": "PNG to write; the figures go next to it, as JSON."})
    device: str = field(
        default="cuda" if torch.cuda.is_available() else "cpu", metadata={"help": "Device of the models."}
    )
    size: Literal["tiny", "small", "paper"] = field(
        default="small", metadata={"help": "Whose sizes: those of the file in examples/configs."}
    )
    largest: int = field(default=64, metadata={"help": "Largest batch, and length of a motion in tokens."})
    most_clips: int = field(default=1280, metadata={"help": "Most clips to tokenize."})

    def __post_init__(self):
        if Path(self.output).suffix != ".png":
            raise ValueError(f"--output {self.output} must end in .png.")
        check_range(self, 4, None, "largest")  # a line needs two points
        check_range(self, 2 * TOY_CLIPS, None, "most_clips")


class Line(NamedTuple):
    """Median seconds, and the peak of memory in gigabytes, at each size."""

    sizes: list[int]
    seconds: list[float]
    memory: list[float]

    @property
    def slope(self) -> float:
        """Of the larger half, on logarithmic axes."""
        first = min(len(self.sizes) // 2, len(self.sizes) - 2)
        return float(np.polyfit(np.log(self.sizes[first:]), np.log(self.seconds[first:]), 1)[0])


def main():
    """Measure and draw."""
    (arguments,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    Path(arguments.output).parent.mkdir(parents=True, exist_ok=True)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    setting = Setting(torch.device(arguments.device), torch.float32, arguments.size)
    sizes = [2**power for power in range(arguments.largest.bit_length()) if 2**power <= arguments.largest]

    def line(prepare: Callable[..., Callable[[], object]], name: str, sizes: Sequence[int] = sizes) -> Line:
        return measure(setting, lambda size: prepare(setting, **{name: size}), sizes)

    with tempfile.TemporaryDirectory() as folder:
        clips = [count for count in (TOY_CLIPS * 2**power for power in range(20)) if count <= arguments.most_clips]
        tokenizing = measure(setting, partial(tokenizing_of, setting, Path(folder)), clips)
    panels = {
        "generation, batch": {
            "text to motion": line(t2m_sampling, "batch"),
            "motion to text": line(m2t_beams, "batch"),
        },
        "generation of one, tokens": {"text to motion": line(t2m_sampling, "tokens", sizes[1:])},
        "training step, batch": {
            "text to motion": line(t2m_step, "batch"),
            "motion to text": line(m2t_step, "batch"),
            "motion VQ": line(vq_step, "batch"),
        },
        "tokenizing, clips": {"motion VQ": tokenizing},
    }
    draw(panels, Path(arguments.output))


def measure(setting: Setting, prepare: Callable[[int], Callable[[], object]], sizes: Sequence[int]) -> Line:
    """Time what `prepare` gives for each size, as the median of three after a first call."""
    seconds, memory = [], []
    for size in sizes:
        work = prepare(size)
        restart_peak_memory(setting.device)
        work()
        memory.append(peak_memory(setting.device) or 0.0)
        seconds.append(sorted(timed(work, setting.device)[0] for _ in range(3))[1])
    return Line(list(sizes), seconds, memory)


def tokenizing_of(setting: Setting, folder: Path, clips: int) -> Callable[[], object]:
    """Codes of many clips, which are a few toy clips over and over, each read from its file."""
    if not (folder / "clips").is_dir():
        make_toy_dataset(folder / "clips", num_clips=TOY_CLIPS)
    datasets.config.HF_DATASETS_CACHE = folder / "cache"
    vq = setting.in_use(new_vq(setting))
    size = HUMANML3D.feature_size
    extractor = MotionFeatureExtractor(HUMANML3D, mean=np.zeros(size), std=np.ones(size))
    # every other clip of the split is there `clips / TOY_CLIPS` times
    dataset = load_motion_dataset(folder / "clips", "train", repeats={"*": clips // TOY_CLIPS})

    def work():
        with torch.no_grad():
            vq.quantizer.embedding.weight[0, 0] += 1  # another VQ, whose codes are not in the cache
        return tokenize_motions(dataset, vq, extractor)

    return work


def draw(panels: dict[str, dict[str, Line]], path: Path) -> None:
    """The panels next to each other, as a PNG, and all figures as JSON."""
    figure, axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 3.6), layout="constrained")
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        for name, line in lines.items():
            axis.loglog(line.sizes, line.seconds, "o-", base=2, label=f"{name}: slope {line.slope:.2f}")
        what, _, unit = title.partition(", ")
        axis.set(title=what, xlabel=unit, ylabel="seconds")
        axis.legend(frameon=False, fontsize=9)
        axis.grid(alpha=0.3)
    (memory,) = panels["tokenizing, clips"].values()
    axis.set_title(f"tokenizing: {memory.memory[0]:.2f} to {memory.memory[-1]:.2f} GB")
    with written_beside(path) as part:
        figure.savefig(part, format="png", dpi=110)
    plt.close(figure)
    figures = {title: {name: line._asdict() for name, line in lines.items()} for title, lines in panels.items()}
    with written_beside(path.with_suffix(".json")) as part:
        part.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
