# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What a run reports to TensorBoard, Weights & Biases or Trackio: losses, and samples of what the model makes."""

import html
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import ProjectConfiguration

from ..skeletons import load_skeleton
from .arguments import LoopArguments
from .fsdp import gathered

logger = logging.getLogger(__name__)

PROJECT = "tm2t_hf"
NUM_SAMPLES = 3
GIF_SIZE = 240


class Sample(NamedTuple):
    """Something that a model made at a validation: a text, and the motion that belongs to it if there is one.

    Args:
        name: the same at each validation, such as "clip 1".
        text: a caption, or what is known of the motion.
        joints: (frames, joints, 3) in meters, y up.
    """

    name: str
    text: str
    joints: np.ndarray | None = None


def tracking(arguments: LoopArguments) -> dict[str, Any]:
    """What `Accelerator` has to know of `--report_to`.

    Raises:
        ValueError: the package is not installed.
    """
    if arguments.report_to == "none":
        return {}
    if find_spec(arguments.report_to) is None:
        raise ValueError(
            f"--report_to {arguments.report_to} needs a package that is not installed: `pip install "
            f"{arguments.report_to}`."
        )
    folders = ProjectConfiguration(project_dir=arguments.output_dir, logging_dir=f"{arguments.output_dir}/logs")
    return {"log_with": arguments.report_to, "project_config": folders}


class Reports:
    """Within the context, what it is told goes to the tracker; nowhere with `--report_to none`.

    Nothing of a training depends on it: draws of samples leave the random generators as they were.

    Args:
        accelerator: from `start`.
        arguments: of the script.
        samples: `(model)` gives samples; called at each validation, in eval mode without gradients.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        arguments: LoopArguments,
        samples: Callable[[torch.nn.Module], Iterable[Sample]] | None,
    ):
        self.accelerator, self.arguments, self.samples = accelerator, arguments, samples
        self.skeleton = load_skeleton(arguments.skeleton)
        self.active = arguments.report_to != "none"

    def __enter__(self) -> "Reports":
        if self.active:
            plain = {
                name: value if isinstance(value, bool | int | float | str) else str(value)
                for name, value in asdict(self.arguments).items()
            }
            self.accelerator.init_trackers(PROJECT, config=plain)
        return self

    def __exit__(self, *exception):
        if self.active:
            for tracker in self.accelerator.trackers:
                tracker.finish()

    def losses(self, kind: str, values: dict[str, float], step: int) -> None:
        """Report values by name, after so many updates."""
        if self.active:
            self.accelerator.log({f"{kind}/{name}": value for name, value in values.items()}, step=step)

    @torch.no_grad()
    def show(self, model: torch.nn.Module, step: int) -> None:
        """Report what the model makes; the files are in `output_dir/samples/<step>`, too."""
        if not self.active or self.samples is None:
            return
        bare = self.accelerator.unwrap_model(model)
        was_training = bare.training
        bare.eval()
        devices = [self.accelerator.device] if self.accelerator.device.type == "cuda" else []
        with gathered(bare), torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.arguments.seed)
            samples = list(self.samples(bare)) if self.accelerator.is_main_process else []
        bare.train(was_training)
        if samples:
            self._send(samples, step)

    def _send(self, samples: list[Sample], step: int) -> None:
        folder = Path(self.arguments.output_dir) / "samples" / f"{step:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        for sample in samples:
            gif = self._written(sample, folder)
            for tracker in self.accelerator.trackers:
                SENDERS[tracker.name](tracker.tracker, f"samples/{sample.name}", sample.text, gif, step)

    def _written(self, sample: Sample, folder: Path) -> Path | None:
        """Write a sample's files; its GIF, if it has a motion."""
        from ..formats.gif import save_gif  # needs Pillow, which training does not

        (folder / f"{sample.name}.txt").write_text(sample.text + "\n", encoding="utf-8")
        if sample.joints is None or not len(sample.joints):
            return None
        path = folder / f"{sample.name}.gif"
        save_gif(sample.joints, path, self.skeleton.fps, sample.text, self.skeleton, size=GIF_SIZE)
        return path


def send_to_tensorboard(writer: Any, name: str, text: str, gif: Path | None, step: int) -> None:
    """A text, and an animated image as TensorBoard shows it: its own encoder of videos needs another package."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    writer.add_text(name, text, step)
    if gif is not None:
        image = Summary.Image(height=GIF_SIZE, width=GIF_SIZE, colorspace=3, encoded_image_string=gif.read_bytes())
        writer._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), step)


def send_to_wandb(run: Any, name: str, text: str, gif: Path | None, step: int) -> None:
    """A text as HTML, a motion as a video with its caption."""
    import wandb

    shown = wandb.Html(html.escape(text)) if gif is None else wandb.Video(str(gif), caption=text, format="gif")
    run.log({name: shown}, step=step)


def send_to_trackio(run: Any, name: str, text: str, gif: Path | None, step: int) -> None:
    """A text as it is, a motion as a video with its caption."""
    import trackio

    run.log({name: text if gif is None else trackio.Video(str(gif), caption=text, format="gif")}, step=step)


SENDERS = {"tensorboard": send_to_tensorboard, "wandb": send_to_wandb, "trackio": send_to_trackio}

__all__ = ["NUM_SAMPLES", "Reports", "Sample", "tracking"]
