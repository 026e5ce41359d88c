# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The ablation: what it asks the scripts to do, what it does not ask again, and its table; nothing is trained here."""

import json
import sys
from pathlib import Path

import ablation
import pytest
from conftest import EXAMPLES
from evaluation.arguments import Arguments as EvaluationArguments
from train_m2t import M2TArguments
from train_vq import VQArguments
from transformers import HfArgumentParser

from tm2t_hf import MotionToTextConfig, MotionVQConfig
from tm2t_hf.training import parse_arguments

REPORT = {
    "motions": {
        "VQ reconstruction": {"root_relative_error": [12.34, 0.1], "codebook_used": 0.5, "codebook_perplexity": 99.6}
    },
    "captions": {"motion to text": {"action": [0.9, 0.0], "style": [0.801, 0.0]}},
}


@pytest.fixture
def calls(monkeypatch) -> list[tuple[str, object]]:
    """The scripts that were called, with their arguments; they leave what the ablation looks for."""
    calls = []

    def call(script: str, *flags):
        flags = list(map(str, flags))
        if script == "evaluate_tm2t.py":
            (arguments,) = HfArgumentParser(EvaluationArguments).parse_args_into_dataclasses(flags)
            left, content = Path(arguments.output_dir) / "report.json", REPORT
        else:
            stage = script.removeprefix("train_").removesuffix(".py")
            arguments = parse_arguments({"vq": VQArguments, "m2t": M2TArguments}[stage], stage, flags)
            left, content = Path(arguments.output_dir) / "last" / "state" / "loop.json", {"epoch": arguments.epochs}
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_text(json.dumps(content))
        calls.append((script, arguments))

    monkeypatch.setattr(ablation, "call", call)
    return calls


def run(monkeypatch, folder: Path) -> str:
    flags = ["--data_dir", "data", "--output_dir", str(folder), "--modes", "gradient", "ema_reset", "--vq_epochs", "3"]
    config = str(EXAMPLES / "configs" / "small.json")
    monkeypatch.setattr(sys, "argv", ["ablation.py", config, *flags, "--unit_lengths", "2", "8"])
    ablation.main()
    return (folder / "ablation.md").read_text()


def test_every_combination(calls, tmp_path, monkeypatch):
    table = run(monkeypatch, tmp_path)
    assert [line.split(" | ")[:2] for line in table.splitlines()[2:]] == [
        ["| gradient", "2"], ["| gradient", "8"], ["| ema_reset", "2"], ["| ema_reset", "8"]
    ]  # fmt: skip
    assert all(line.endswith("| 12.3 | 50.0 | 100 | 90.0 | 80.1 |") for line in table.splitlines()[2:])
    assert [script for script, _ in calls] == ["train_vq.py", "train_m2t.py", "evaluate_tm2t.py"] * 4
    assert {arguments.epochs for script, arguments in calls if script == "train_vq.py"} == {3}
    for (_, vq), (_, m2t), (_, evaluation) in zip(calls[::3], calls[1::3], calls[2::3], strict=True):
        config = MotionVQConfig(**vq.model_config)
        assert vq.output_dir == m2t.vq == evaluation.vq and m2t.output_dir == evaluation.m2t
        assert f"{config.codebook_update}-{config.unit_length}" == Path(vq.output_dir).parent.name
        assert m2t.num_offsets <= config.unit_length and vq.window % config.unit_length == 0
        longest = MotionToTextConfig(vq_config=config, **m2t.model_config).max_position_embeddings
        assert longest >= m2t.max_frames // config.unit_length + 2
    # all else is the same
    settings = [{**vars(vq), "output_dir": "", "model_config": {}} for _, vq in calls[::3]]
    assert all(each == settings[0] for each in settings)


def test_what_is_there_is_not_done_again(calls, tmp_path, monkeypatch):
    table = run(monkeypatch, tmp_path)
    calls.clear()
    assert run(monkeypatch, tmp_path) == table and not calls
    progress = tmp_path / "gradient-8" / "tm2t-vq" / "last" / "state" / "loop.json"
    progress.write_text(json.dumps({"epoch": 1}))
    run(monkeypatch, tmp_path)
    ((script, arguments),) = calls
    assert script == "train_vq.py" and arguments.resume_from_checkpoint == "latest"
