# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The table of architectures: what it asks the scripts to do, and what it makes of their results."""

import json
import shutil
import sys
from pathlib import Path

import architectures
import pytest
from conftest import EXAMPLES
from evaluation.arguments import Arguments as EvaluationArguments
from train_t2m import T2MArguments
from transformers import HfArgumentParser

from tm2t_hf.pipelines import shipped_checkpoint
from tm2t_hf.training import parse_arguments

REPORT = {
    "judge": {"text to motion": {"action": [0.95, 0.01], "style": [0.9, 0.01]}},
    "people": {"text to motion": {"action": [0.85, 0.02], "action_by_action": [0.8, 0.02]}},
}


@pytest.fixture
def calls(monkeypatch) -> list:
    """The arguments of the scripts that were called, which train nothing but leave what is looked for."""
    calls = []

    def call(script: str, *flags):
        flags = list(map(str, flags))
        if script == "evaluate_tm2t.py":
            (arguments,) = HfArgumentParser(EvaluationArguments).parse_args_into_dataclasses(flags)
            left, content = Path(arguments.output_dir) / "report.json", REPORT
        else:
            assert script == "train_t2m.py"
            arguments = parse_arguments(T2MArguments, "t2m", flags)
            shutil.copytree(shipped_checkpoint("tm2t-t2m"), arguments.output_dir, dirs_exist_ok=True)
            left = Path(arguments.output_dir) / "last" / "state" / "loop.json"
            content = {"epoch": arguments.epochs}
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_text(json.dumps(content))
        calls.append(arguments)

    monkeypatch.setattr(architectures, "call", call)
    monkeypatch.setattr(architectures, "seconds_for", lambda animate, count: count / 100)
    return calls


def run(monkeypatch, folder: Path, *only: str) -> list[list[str]]:
    """The rows of the table."""
    flags = ["--data_dir", "data", "--vq", "my-vq", "--text_encoder", "bert", "--people", "people.json"]
    flags += ["--further_texts", "texts_people", "--epochs", "3", "--output_dir", str(folder), "--only", *only]
    monkeypatch.setattr(sys, "argv", ["architectures.py", str(EXAMPLES / "configs" / "small.json"), *flags])
    architectures.main()
    return [line.strip("| ").split(" | ") for line in (folder / "architectures.md").read_text().splitlines()[2:]]


def test_every_architecture(calls, tmp_path, monkeypatch):
    rows = run(monkeypatch, tmp_path, "gru", "transformer-tuned")
    assert [row[:2] for row in rows] == [
        ["GRU, word vectors from nothing", "templates"],
        ["GRU, word vectors from nothing", "and people's"],
        ["transformer, text encoder fine-tuned", "templates"],
        ["transformer, text encoder fine-tuned", "and people's"],
    ]
    assert all(row[-6:] == ["95.0", "90.0", "85.0", "80.0", "10", "320"] for row in rows)
    trained, evaluated = calls[::2], calls[1::2]
    assert [each.architecture for each in trained] == ["gru", "gru", "transformer", "transformer"]
    assert [each.text_encoder for each in trained] == ["", "", "bert", "bert"]
    assert [each.freeze_text_encoder for each in trained] == [True, True, False, False]
    assert [each.further_texts for each in trained] == [[], ["texts_people"]] * 2
    assert [each.even_sources for each in trained] == [False, True] * 2
    assert trained[3].model_config["encoder_layers"] == architectures.TRANSFORMER["encoder_layers"] - 1
    assert all(each.vq == "my-vq" and each.epochs == 3 for each in trained)
    assert [each.t2m for each in evaluated] == [each.output_dir for each in trained]


def test_what_is_there_is_not_done_again(calls, tmp_path, monkeypatch):
    rows = run(monkeypatch, tmp_path, "gru")
    calls.clear()
    assert run(monkeypatch, tmp_path, "gru") == rows and not calls
    folder = tmp_path / "gru-people"
    took = json.loads((folder / "training.json").read_text())["cpu_seconds"]
    (folder / "tm2t-t2m" / "last" / "state" / "loop.json").write_text(json.dumps({"epoch": 1}))
    run(monkeypatch, tmp_path, "gru")
    (arguments,) = calls
    assert arguments.resume_from_checkpoint == "latest"
    assert json.loads((folder / "training.json").read_text())["cpu_seconds"] >= took


def test_an_unknown_architecture(calls, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="--only lstm is unknown; choose from gru, gru-frozen"):
        run(monkeypatch, tmp_path, "lstm")
