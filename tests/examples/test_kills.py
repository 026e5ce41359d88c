# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The training scripts, killed before any of their file operations or at any time: all resume, byte for byte."""

import json
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES
from forked import killed_after, killed_at
from small_run import contents
from test_examples import TINY

from tm2t_hf.toy import make_toy_dataset
from tm2t_hf.training import STAGES

# Every n-th file operation of each script is tried, 1 tries them all; and so many kills at any time.
STRIDE = int(os.environ.get("TM2T_KILL_STRIDE", "1200"))
KILLS = int(os.environ.get("TM2T_KILLS", "1"))


def script(folder: Path, stage: str, output_dir: Path) -> Callable[[], None]:
    """What runs a training script into a folder, from its last checkpoint on if there is one."""
    flags = ("--m2t", "tm2t-m2t") if stage == "t2m" else ()
    checkpoints = [output_dir / name / "state" for name in ("last", "checkpoint.ready/last")]
    if any(checkpoint.is_dir() for checkpoint in checkpoints):
        flags += ("--resume_from_checkpoint", "latest")

    def run():
        os.chdir(folder)
        sys.argv = [f"train_{stage}.py", "tiny.json", "--output_dir", str(output_dir), *flags]
        runpy.run_path(str(EXAMPLES / sys.argv[0]), run_name="__main__")

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A toy set, and the stages trained on it without an interruption."""
    folder = tmp_path_factory.mktemp("kills")
    make_toy_dataset(folder / "toy", num_clips=12)
    (folder / "tiny.json").write_text(json.dumps(TINY | {"data_dir": "toy"}))
    for stage in STAGES:
        assert killed_after(0, script(folder, stage, folder / f"tm2t-{stage}"))
    return folder


@pytest.fixture(params=STAGES)
def stage(request) -> str:
    return request.param


def test_a_kill_at_any_file_operation_of_a_script_loses_nothing(folder, tmp_path, stage):
    expected = contents(folder / f"tm2t-{stage}")

    def killed(operation: int) -> tuple[Path, int | None]:
        output_dir = tmp_path / str(operation) / f"tm2t-{stage}"
        return output_dir, killed_at(operation, output_dir, script(folder, stage, output_dir))

    output_dir, total = killed(0)
    assert total > 100 and contents(output_dir) == expected
    # begins early enough for the script with the fewest operations
    for operation in range(min(STRIDE, 100), total + 1, STRIDE):
        output_dir, ended = killed(operation)
        assert ended is None
        assert killed_after(0, script(folder, stage, output_dir)), (operation, total)
        assert contents(output_dir) == expected, (operation, total)


def test_a_script_that_is_killed_again_and_again(folder, tmp_path, stage):
    expected = contents(folder / f"tm2t-{stage}")
    straight = killed_after(0, script(folder, stage, tmp_path / "straight" / f"tm2t-{stage}"))
    rng, kills, runs = np.random.default_rng(0), 0, 0
    while kills < KILLS:
        output_dir = tmp_path / str(runs) / f"tm2t-{stage}"
        if killed_after(straight * rng.uniform(0.1, 1), script(folder, stage, output_dir)) is None:
            kills += 1
        else:  # it has come to its end, so there is nothing more to lose
            assert contents(output_dir) == expected, (kills, runs)
            runs += 1
    output_dir = tmp_path / str(runs) / f"tm2t-{stage}"
    killed_after(0, script(folder, stage, output_dir))
    assert contents(output_dir) == expected, (kills, runs)
