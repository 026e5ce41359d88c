# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""How a training script starts and ends: the lock of the output folder, errors, exit codes."""

import os
import signal
import time

import pytest
import torch
from accelerate.state import AcceleratorState
from forked import FORK, in_processes

from tm2t_hf.training import LoopArguments, TrainingError, run, start
from tm2t_hf.training.script import lock_folder, mixed_precision_of


@pytest.fixture(autouse=True)
def fresh_accelerator(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


def test_a_second_run_into_a_folder_is_refused(tmp_path):
    lock = lock_folder(tmp_path / "out")
    with pytest.raises(
        ValueError, match=rf"Another run is training into --output_dir .*out \(process {os.getpid()} on"
    ):
        start(LoopArguments(data_dir="", output_dir=str(tmp_path / "out")))
    lock.release()
    lock_folder(tmp_path / "out").release()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    ready = FORK.Event()

    def hold():
        lock = lock_folder(tmp_path)  # noqa: F841 to keep it
        ready.set()
        time.sleep(600)

    process = FORK.Process(target=hold)
    process.start()
    assert ready.wait(120)
    with pytest.raises(ValueError, match=f"process {process.pid} on"):
        lock_folder(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    lock_folder(tmp_path).release()


def test_a_folder_has_one_lock_by_whatever_path(tmp_path):
    lock = lock_folder(tmp_path / "out")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for _ in range(2):  # a refused run leaves the name of the holder
        with pytest.raises(ValueError, match=rf"Another run is training into .*link \(process {os.getpid()} on"):
            lock_folder(tmp_path / "link")
    lock.release()


def test_all_processes_learn_that_the_folder_is_taken(tmp_path):
    lock = lock_folder(tmp_path)

    def refused():
        try:
            start(LoopArguments(data_dir="", output_dir=str(tmp_path)))
        except ValueError as error:
            return str(error)

    results = in_processes(refused, 2)
    assert all("Another run is training" in result for result in results)
    lock.release()


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(ValueError, match=f"--output_dir {folder} cannot be written to: (Not a dir|File exists)"):
            start(LoopArguments(data_dir="", output_dir=str(folder)))


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "last/state/loop.json"])
def test_a_finished_model_is_not_replaced_unasked(tmp_path, file):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    with pytest.raises(ValueError, match=r"already holds a model .*--resume_from_checkpoint.*--overwrite_output_dir"):
        start(LoopArguments(data_dir="", output_dir=str(tmp_path)))
    for asked in ({"overwrite_output_dir": True}, {"resume_from_checkpoint": "latest"}):
        accelerator = start(LoopArguments(data_dir="", output_dir=str(tmp_path), **asked))
        accelerator.output_lock.release()


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("--epochs must\nbe 1"), 2, "train.py: --epochs must be 1\n"),
        (FileNotFoundError("no data"), 2, "train.py: no data\n"),
        (TrainingError("The loss became nan."), 1, "train.py: The loss became nan.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_one_line_and_an_exit_code(monkeypatch, capsys, error, code, line):
    def main():
        raise error

    monkeypatch.setattr("sys.argv", ["examples/train.py"])
    with pytest.raises(SystemExit) as information:
        run(main)
    assert information.value.code == code
    assert capsys.readouterr().err == line


class BrokenRows:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise ValueError("clip.npy holds NaN or infinite features (ValueError: nan).")


def test_an_error_of_a_worker_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["examples/train.py"])
    loader = torch.utils.data.DataLoader(BrokenRows(), num_workers=1)
    with pytest.raises(SystemExit):
        run(lambda: next(iter(loader)))
    assert capsys.readouterr().err == "train.py: clip.npy holds NaN or infinite features (ValueError: nan).\n"


def test_a_mistake_in_the_code_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)


@pytest.mark.parametrize(("supported", "mode"), [(True, "bf16"), (False, "no")])
def test_mixed_precision_that_the_device_is_fast_in(tmp_path, monkeypatch, supported, mode):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    found = [
        mixed_precision_of(LoopArguments(data_dir="", output_dir=str(tmp_path), mixed_precision=asked))
        for asked in ("auto", "no", "fp16")
    ]
    assert found == [mode, "no", "fp16"]
