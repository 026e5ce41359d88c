# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What trackers are told, and that a training does not depend on it."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.tracking import GeneralTracker
from PIL import Image
from small_run import Run, assert_equal

from tm2t_hf.toy import make_toy_clip
from tm2t_hf.training import Sample
from tm2t_hf.training.reports import SENDERS


@pytest.fixture(autouse=True)
def fresh_accelerator(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


class Tracker(GeneralTracker):
    name = "trackio"
    requires_logging_directory = False

    def __init__(self):
        self.run, self.values, self.config = self, [], None

    @property
    def tracker(self):
        return self

    def store_init_configuration(self, values):
        self.config = values

    def log(self, values, step):
        self.values.append((step, values))

    def finish(self):
        self.values.append("finished")


@pytest.fixture
def tracker(monkeypatch):
    """The place of a tracker, with a module of its name that can be imported."""
    tracker = Tracker()
    module = ModuleType("trackio")
    module.Video = lambda path, caption, format: (path, caption, format)
    module.__spec__ = SimpleNamespace(name="trackio")
    monkeypatch.setitem(sys.modules, "trackio", module)

    def init_trackers(self, project, config):
        self.trackers = [tracker]
        tracker.store_init_configuration(config)

    monkeypatch.setattr(Accelerator, "init_trackers", init_trackers)
    monkeypatch.setattr("accelerate.accelerator.filter_trackers", lambda *arguments, **options: [])
    return tracker


def test_losses_and_samples(tmp_path, tracker):
    straight = Run(tmp_path / "straight", epochs=3, validate_every=2, lr_schedule="constant").fit()
    joints, _ = make_toy_clip("bow", np.random.default_rng(0))

    def samples(model):
        assert not model.training and not torch.is_grad_enabled()
        torch.rand(3)  # as sampling draws
        yield Sample("clip 1", "a person bows", joints[:6])
        yield Sample("clip 2", "words")

    run = Run(tmp_path / "run", epochs=3, validate_every=2, lr_schedule="constant", report_to="trackio")
    run.samples = samples
    run.fit()
    assert_equal(run.model.state_dict(), straight.model.state_dict())
    assert tracker.config["learning_rate"] == 0.05 and tracker.config["model_config"] == "{}"
    *values, last = tracker.values
    assert last == "finished"
    steps = [(step, sorted(names)) for step, names in values]
    train = ["train/error", "train/half", "train/learning_rate", "train/loss"]
    validation = ["validation/error", "validation/loss", "validation/other"]
    shown = [["samples/clip 1"], ["samples/clip 2"]]
    assert steps == [
        (3, train),
        *((6, names) for names in (train, validation, *shown)),
        *((9, names) for names in (train, validation, *shown)),
    ]
    path, caption, kind = values[3][1]["samples/clip 1"]
    assert (caption, kind, values[4][1]["samples/clip 2"]) == ("a person bows", "gif", "words")
    assert Image.open(path).n_frames == 6 and Image.open(path).size == (240, 240)
    assert (tmp_path / "run" / "samples" / "000009" / "clip 2.txt").read_text() == "words\n"


def test_a_tracker_that_is_not_installed(tmp_path):
    if "wandb" in sys.modules:
        pytest.skip("wandb is installed")
    with pytest.raises(ValueError, match="--report_to wandb needs a package that is not .*`pip install wandb`"):
        Run(tmp_path, report_to="wandb")


def test_what_tensorboard_shows(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    gif = tmp_path / "a.gif"
    gif.write_bytes(b"GIF89a")
    writer = SummaryWriter(tmp_path / "logs")
    SENDERS["tensorboard"](writer, "samples/clip 1", "a person bows", gif, 7)
    writer.close()
    events = EventAccumulator(str(tmp_path / "logs")).Reload()
    (image,) = events.Images("samples/clip 1")
    assert (image.step, image.encoded_image_string) == (7, b"GIF89a")
