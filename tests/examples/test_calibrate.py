# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Calibration from the command line: a file for each model, and one sentence for what the user can mend."""

import re
import sys

import calibrate
import pytest

from tm2t_hf.coverage import TextCoverage, load_coverage
from tm2t_hf.toy import make_toy_dataset
from tm2t_hf.training import run


@pytest.fixture
def command(checkpoints, tmp_path, monkeypatch):
    """Runs the script with flags, on a toy set and the tiny models."""
    make_toy_dataset(tmp_path / "toy", num_clips=12)
    monkeypatch.chdir(tmp_path)

    def command(model: str, *flags: str):
        path = checkpoints / model if (checkpoints / model).is_dir() else model
        monkeypatch.setattr(sys, "argv", ["calibrate.py", str(path), "--data_dir", "toy", *flags])
        run(calibrate.main)
        return path

    return command


def test_a_text_to_motion_model(command, tmp_path):
    (tmp_path / "known.txt").write_text("\n".join(f"somebody walks {number} steps" for number in range(40)))
    folder = command("tm2t-t2m", "--known", "known.txt")
    assert load_coverage(folder, TextCoverage.kind) is not None and (folder / "actions.json").is_file()


@pytest.mark.parametrize(
    ("model", "flags", "message"),
    [
        ("nothing", [], "There is no model nothing"),
        ("tm2t-vq", [], "is a model of type tm2t-vq"),
        ("tm2t-t2m", ["--data_dir", "nowhere"], "nowhere"),
        ("tm2t-t2m", ["--further_texts", "nope"], "--further_texts names nope, but toy has no such folder"),
        ("tm2t-t2m", ["--labels", "nope"], "--labels nope: there is no examples/nope/labels.py"),
        ("tm2t-t2m", ["--labels", "bandai_namco"], "--labels bandai_namco: there is no .*with label_of_clip"),
        ("tm2t-t2m", ["--known", "nope.txt"], "nope.txt is missing"),
        ("tm2t-m2t", ["--known_splits", "nope"], "nope"),
    ],
)
def test_mistakes_are_one_sentence(command, capsys, model, flags, message):
    with pytest.raises(SystemExit) as stopped:
        command(model, *flags)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said and re.search(message, said.splitlines()[-1])
