# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What lies beside the code: documents, configurations and pinned versions agree with it."""

import re
import sys
from dataclasses import fields

import pytest
import torch
from conftest import ROOT

from tm2t_hf import (
    SKELETONS,
    MotionToTextConfig,
    MotionToTextModel,
    MotionVQConfig,
    MotionVQModel,
    TextToMotionConfig,
    TextToMotionModel,
)
from tm2t_hf.training import parse_arguments
from tm2t_hf.training.arguments import SECTIONS

STAGES = ("vq", "m2t", "t2m")


@pytest.mark.parametrize("document", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))])
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("stage", STAGES)
def test_every_training_argument_is_explained(stage):
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    tables = " ".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    named = set(re.findall(r"`(\w+)`", tables))
    assert not {field.name for field in fields(SECTIONS[stage])} - named


def arguments_of(name, stage, monkeypatch):
    flags = ["--data_dir", "data", "--output_dir", "out", *(["--m2t", "tm2t-m2t"] if stage == "t2m" else [])]
    monkeypatch.setattr(sys, "argv", ["script", str(ROOT / "examples/configs" / f"{name}.json"), *flags])
    return parse_arguments(SECTIONS[stage], stage)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("humanml3d", (41.9, 32.1, 17.0)), ("kit", (41.8, 24.7, 17.0))],
)
def test_configurations_of_the_paper_give_models_of_its_size(name, millions, monkeypatch):
    """Millions of parameters, those of HumanML3D as released: with a vocabulary of 4,200, without word vectors."""
    arguments = {stage: arguments_of(name, stage, monkeypatch) for stage in STAGES}
    skeleton = SKELETONS[arguments["vq"].skeleton]
    with torch.device("meta"):
        data = {"feature_size": skeleton.feature_size, "fps": skeleton.fps}
        vq = MotionVQConfig(**data, **arguments["vq"].model_config)
        m2t = MotionToTextConfig(codebook_size=vq.codebook_size, vocab_size=4200, **arguments["m2t"].model_config)
        t2m = TextToMotionConfig(codebook_size=vq.codebook_size, **arguments["t2m"].model_config)
        models = MotionVQModel(vq), MotionToTextModel(m2t), TextToMotionModel(t2m)
    words = t2m.text_vocab_size * t2m.text_embedding_size
    sizes = [sum(parameter.numel() for parameter in model.parameters()) for model in models]
    sizes[2] -= words
    assert [size / 1e6 for size in sizes] == pytest.approx(millions, abs=0.06)


def test_pins_are_within_what_setup_asks_for():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").replace("-", "_")
    pins = dict(re.findall(r"^(\w+)==([\d.]+)", constraints, re.M))
    floors = dict(re.findall(r'"(\w+)>=([\d.]+)', setup))
    assert len(floors) > 10
    for name, floor in floors.items():
        pin, least = ([int(part) for part in version.split(".")] for version in (pins[name], floor))
        assert pin >= least, f"{name} is pinned below its floor"
