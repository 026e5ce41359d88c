# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Checkpoints under faults: kills at any file operation, hostile and damaged files, other arguments, a full disk."""

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from forked import killed_at
from mutations import MUTATIONS, mutated, payloads
from small_run import Interrupted, Run, assert_equal, contents, digest, kept
from torch.utils._pytree import tree_leaves
from transformers import AutoConfig

from tm2t_hf import MotionVQConfig, MotionVQModel, train_text_tokenizer
from tm2t_hf.skeletons import HUMANML3D, SKELETONS
from tm2t_hf.training import TrainingError, check_same_codes, check_same_skeleton
from tm2t_hf.training.checkpoints import (
    Parts,
    Progress,
    check_same_processor,
    random_states,
    recover,
    settle,
)
from tm2t_hf.training.loop import resume
from tm2t_hf.training.updates import make_optimizer

# Every n-th kill is tried; 1 tries them all.
STRIDE = int(os.environ.get("TM2T_KILL_STRIDE", "16"))


@pytest.fixture(autouse=True)
def fresh_accelerator(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


# ------------------------------------------------------------------------------------------------------------- kills


def test_a_kill_at_any_file_operation_loses_nothing(tmp_path):
    """The first checkpoint is the best, the second as well, the third not; one within an epoch comes between them."""
    options = {"epochs": 3, "rows": 6, "checkpointing_steps": 3, "validation": [3.0, 2.0, 2.5]}
    Run(tmp_path / "straight", **options).fit()
    expected = contents(tmp_path / "straight")
    total = killed_at(0, tmp_path / "count", lambda: Run(tmp_path / "count", **options).fit())
    assert total > 100
    for operation in range(1, total + 1, STRIDE):
        folder = tmp_path / str(operation)
        assert killed_at(operation, folder, lambda folder=folder: Run(folder, **options).fit()) is None
        card = folder / "README.md"
        assert not card.exists() or card.read_text() == digest(folder / "weights.pt"), operation
        # where one checkpoint was whole, there is one to resume
        exists = any((folder / name / "state").is_dir() for name in ("last", "checkpoint.ready/last"))
        AcceleratorState._reset_state(True)
        try:
            run = Run(folder, **options, resume_from_checkpoint="latest" if exists else "")
            done = json.loads((folder / "last" / "state" / "loop.json").read_text())["epoch"] if exists else 0
            run.validation = options["validation"][done:]
            run.fit()
        except Exception as error:
            raise AssertionError(f"killed at file operation {operation} of {total}") from error
        assert contents(folder) == expected, operation
        assert {path.name for path in folder.iterdir()} == {path.name for path in (tmp_path / "straight").iterdir()}
        shutil.rmtree(folder)


@pytest.mark.parametrize("limit", [1, 2, 3, 0])
def test_earlier_checkpoints_are_kept_up_to_the_limit(tmp_path, limit):
    """The best of two validations is that of the second epoch."""
    options = {"rows": 9, "batch_size": 3, "validate_every": 2, "checkpointing_steps": 2}
    options["checkpoints_total_limit"] = limit
    Run(tmp_path, validation=[1.0, 2.0], **options).fit()
    folders = sorted(tmp_path.glob("checkpoint*"))
    assert [folder.name for folder in folders] == {
        1: [],
        2: ["checkpoint-3-1"],
        3: ["checkpoint-2-2", "checkpoint-3-1"],
        0: [f"checkpoint-{name}" for name in ("0-2", "1-1", "2-0", "2-2", "3-1")],
    }[limit]
    straight = contents(tmp_path)
    for folder in folders:  # what comes after it is done again
        validation = [1.0, 2.0] if folder.name < "checkpoint-2" else [2.0]
        Run(tmp_path, validation=validation, resume_from_checkpoint=str(folder), **options).fit()
        again = contents(tmp_path)
        names = straight.keys() & again.keys()
        assert {name for name in names if straight[name] != again[name]} == set()
        assert {name for name in straight if "checkpoint" not in name} <= names
        assert len(list(tmp_path.glob("checkpoint*"))) == len(folders) + (limit == 0)  # what was last before


@pytest.mark.parametrize("operation", [2, 3, 4, 5, 7])
def test_a_kill_while_earlier_checkpoints_are_moved(tmp_path, operation):
    options = {"epochs": 3, "rows": 6, "checkpoints_total_limit": 2}
    Run(tmp_path / "straight", **options).fit()
    total = killed_at(0, tmp_path / "count", lambda: Run(tmp_path / "count", **options).fit())
    folder = tmp_path / "killed"
    assert killed_at(total - operation, folder, lambda: Run(folder, **options).fit()) is None
    AcceleratorState._reset_state(True)
    Run(folder, resume_from_checkpoint="latest", **options).fit()
    assert contents(folder) == contents(tmp_path / "straight")


@pytest.mark.parametrize("kind", ["last", "best"])
def test_a_save_that_fails_leaves_the_earlier_checkpoint_whole(tmp_path, kind):
    validation = [4.0, 3.0, 2.0, 1.0]
    Run(tmp_path / "straight", validation=validation).fit()
    with pytest.raises(Interrupted):
        Run(tmp_path / "parts", validation=validation, interrupt_saving=(4, kind)).fit()
    assert kept(tmp_path / "parts")[1]["epoch"] == kept(tmp_path / "parts" / "last")[1]["epoch"] == 3
    Run(tmp_path / "parts", validation=validation[3:], resume_from_checkpoint="latest").fit()
    assert contents(tmp_path / "straight") == contents(tmp_path / "parts")


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed"),
        Exception("No space left on device (os error 28)"),  # as tokenizers raises it
    ],
)
def test_a_full_disk(tmp_path, monkeypatch, error):
    Run(tmp_path, epochs=1, lr_schedule="constant").fit()
    before = contents(tmp_path)

    def full(*arguments, **options):
        raise error

    run = Run(tmp_path, epochs=2, lr_schedule="constant", resume_from_checkpoint="latest")
    monkeypatch.setattr("tm2t_hf.training.checkpoints.torch.save", full)
    with pytest.raises(
        TrainingError, match="The checkpoint could not be written to .*; .*last keeps the last good ch"
    ):
        run.fit()
    assert contents(tmp_path) == before


def test_a_first_checkpoint_that_cannot_be_written(tmp_path):
    def full(model, folder, scores):
        raise OSError(28, "No space left on device")

    run = Run(tmp_path)
    run.save = full
    with pytest.raises(TrainingError, match="No space left on device.; there is no checkpoint yet"):
        run.fit()


def test_a_mistake_in_saving_keeps_its_traceback(tmp_path):
    run = Run(tmp_path)
    run.save = lambda model, folder, scores: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run.fit()


def test_what_was_found_out_about_the_old_weights_goes_with_them(tmp_path):
    """At the end a run calibrates its model; resumed for longer, it gets other weights."""
    options = {"lr_schedule": "constant"}
    Run(tmp_path, validation=[3.0], epochs=1, **options).fit()
    files = [tmp_path / name for name in ("coverage.safetensors", "actions.json")]
    for epochs, loss, stays in ((2, 4.0, True), (3, 2.0, False)):
        for file in files:
            file.touch()
        Run(tmp_path, validation=[loss], epochs=epochs, resume_from_checkpoint="latest", **options).fit()
        assert [file.exists() for file in files] == [stays] * 2


def test_recovering_may_be_repeated(tmp_path):
    (tmp_path / ".actions.json.0123abcd.part").touch()  # of a run that was killed while it wrote it
    for _ in range(2):
        recover(tmp_path)
    assert not list(tmp_path.iterdir())


def test_files_have_the_permissions_of_ordinary_ones(tmp_path, vq_model):
    folder = tmp_path / "model"
    vq_model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o600)
    settle(folder)
    (tmp_path / "ordinary").touch()
    expected = (tmp_path / "ordinary").stat().st_mode
    assert {path.stat().st_mode for path in folder.iterdir()} == {expected}


# ----------------------------------------------------------------------------------------------------- hostile files


def checkpoint_files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "last" / "state").iterdir())


@pytest.fixture
def trained(tmp_path):
    Run(tmp_path / "run", epochs=2, lr_schedule="constant").fit()
    return tmp_path / "run"


@pytest.fixture
def without_sums(trained):
    """As earlier checkpoints are; and a hostile hand would write the sums that it needs."""
    (trained / "last" / "state" / "SHA256SUMS").unlink()
    return trained


RESUMED = {"epochs": 3, "lr_schedule": "constant", "resume_from_checkpoint": "latest"}


def test_nothing_of_a_checkpoint_runs_code(without_sums, tmp_path):
    witness, pickles = payloads(tmp_path)
    for file in [*checkpoint_files(without_sums), without_sums / "last" / "train_config.json"]:
        whole = file.read_bytes()
        for payload in pickles:
            file.write_bytes(payload)
            with pytest.raises(ValueError, match=f"{file.name} is damaged or was not written by") as information:
                Run(without_sums, **RESUMED).fit()
            assert "\n" not in str(information.value)
            assert not witness.exists()
        file.write_bytes(whole)
    # what a user of accelerate's checkpoints could have been given is not even read
    (without_sums / "last" / "state" / "custom_checkpoint_0.pkl").write_bytes(pickles[0])
    Run(without_sums, **RESUMED).fit()
    assert not witness.exists()


def test_damaged_files_are_named(without_sums):
    for file in checkpoint_files(without_sums):
        whole = file.read_bytes()
        for damaged in (b"", whole[: len(whole) // 2], b"{}", b"[1]", b"\xff" * 100):
            file.write_bytes(damaged)
            with pytest.raises(ValueError, match=f"{file.name} (is damaged|does not fit)") as information:
                run = Run(without_sums, **RESUMED)
                run.fit()
                pytest.fail(f"{file} with {damaged[:10]}")
            assert "\n" not in str(information.value)
            assert str(information.value).count(str(file)) == 1, information.value
        file.unlink()
        with pytest.raises(FileNotFoundError, match=f"{file.name} is missing|nothing to resume"):
            Run(without_sums, **RESUMED).fit()
        file.write_bytes(whole)


def test_a_damaged_checkpoint_is_not_the_only_one(tmp_path):
    options = {"epochs": 3, "checkpoints_total_limit": 3}
    Run(tmp_path, **options).fit()
    straight = contents(tmp_path)
    (tmp_path / "last" / "state" / "training.pt").write_bytes(b"")
    way_out = f"resume an earlier one, --resume_from_checkpoint {tmp_path / 'checkpoint-2-0'}, or begin anew"
    with pytest.raises(ValueError, match=f"training.pt is damaged .*; {way_out}"):
        Run(tmp_path, resume_from_checkpoint="latest", **options).fit()
    shutil.rmtree(tmp_path / "last")
    with pytest.raises(
        FileNotFoundError, match=f"give an earlier one, .* {tmp_path / 'checkpoint-2-0'}, or leave out"
    ):
        Run(tmp_path, resume_from_checkpoint="latest", **options).fit()
    Run(tmp_path, resume_from_checkpoint=str(tmp_path / "checkpoint-2-0"), **options).fit()
    assert contents(tmp_path) == straight


def resumed_states(run: Run, parts: Parts) -> list:
    """Everything that resuming restores."""
    progress, _ = resume(parts, run.arguments, Progress(num_rows=10, global_batch_size=4))
    leaves = tree_leaves([asdict(progress), parts.state_dict(), random_states()])
    return [leaf.tolist() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]


@pytest.mark.filterwarnings("ignore")
def test_mutated_files_end_in_an_exact_resume_or_one_sentence(trained):
    run = Run(trained, **RESUMED)
    optimizer = make_optimizer(run.arguments, run.model, {})
    parts = Parts(run.accelerator, run.model, {"model": run.model, "optimizer": optimizer})
    expected, refused = resumed_states(run, parts), 0
    for file in [*checkpoint_files(trained), trained / "last" / "train_config.json"]:
        whole = file.read_bytes()
        for seed in range(MUTATIONS):
            file.write_bytes(mutated(whole, np.random.default_rng(seed)))
            try:
                found = resumed_states(run, parts)
            except ValueError as error:
                refused += 1
                message = str(error)
                assert "\n" not in message, (file.name, seed, message)
                assert file.name in message or "last was trained with --" in message, (file.name, seed, message)
            else:
                assert found == expected, (file.name, seed)
        file.write_bytes(whole)
    run.accelerator.output_lock.release()
    assert refused > MUTATIONS


@pytest.mark.parametrize(
    "content",
    [
        {"epoch": -1},
        {"epoch": 1.5},
        {"step": "2"},
        {"best": "low"},
        {"best": float("nan")},
        {"sums": {"error": [1]}},
        {"unknown": 1},
    ],
)
def test_impossible_progress(without_sums, content):
    path = without_sums / "last" / "state" / "loop.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | content))
    with pytest.raises(ValueError, match=r"loop.json is damaged"):
        Run(without_sums, **RESUMED).fit()


# --------------------------------------------------------------------------------------------------- other arguments


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": 1}, "last was trained with --seed 0, not --seed 1; resume with the arguments"),
        ({"learning_rate": 0.01}, "was trained with --learning_rate 0.05, not --learning_rate 0.01"),
        ({"lr_schedule": "cosine", "warmup_steps": 3}, '--lr_schedule "constant", --warmup_steps 0, not'),
        ({"model_config": {"hidden_size": 3}}, '--model_config {}, not --model_config {"hidden_size": 3}'),
        ({"weight_decay": 0.1}, "--weight_decay 0.0, not --weight_decay 0.1"),
    ],
)
def test_arguments_that_make_another_training_are_refused(trained, changed, message):
    with pytest.raises(ValueError, match=message):
        Run(trained, **RESUMED | changed).fit()


@pytest.mark.parametrize("changed", [{"batch_size": 5}, {"mixed_precision": "bf16"}])
def test_arguments_that_change_the_result_are_reported(trained, changed, caplog):
    AcceleratorState._reset_state(True)
    Run(trained, **RESUMED | changed).fit()
    (name,) = changed
    assert f"Resuming with --{name}" in caplog.text and "was trained with --" in caplog.text


def test_arguments_that_change_nothing_are_free(trained, caplog):
    Run(trained, **RESUMED | {"license": "mit", "validate_every": 2, "checkpointing_steps": 7}).fit()
    assert "Resuming with" not in caplog.text


def test_other_data_is_reported(trained, caplog):
    Run(trained, **RESUMED).fit()
    assert "rows" not in caplog.text
    Run(trained, **RESUMED | {"epochs": 4}, rows=9).fit()
    assert "last was trained on 10 rows, and now there are 9" in caplog.text


def test_frozen_weights_that_are_those_of_another_model(trained):
    run = Run(trained, **RESUMED)
    run.model.frozen.bias.data += 1
    with pytest.raises(ValueError, match="does not fit this training .the frozen frozen.bias is that of another mod"):
        run.fit()


def test_a_processor_made_from_other_data(tmp_path, processor, feature_extractor):
    processor.save_pretrained(tmp_path)
    AutoConfig.for_model("tm2t-m2t").save_pretrained(tmp_path)
    check_same_processor(tmp_path, processor)
    with pytest.raises(ValueError, match="was trained with another vocabulary than the data"):
        processor.tokenizer = train_text_tokenizer(["someone crawls under the table"] * 5, 300)
        check_same_processor(tmp_path, processor)
    feature_extractor.save_pretrained(tmp_path / "vq")
    AutoConfig.for_model("tm2t-vq").save_pretrained(tmp_path / "vq")
    check_same_processor(tmp_path / "vq", feature_extractor)
    feature_extractor.std = feature_extractor.std * 2
    with pytest.raises(ValueError, match="was trained with another std than the data"):
        check_same_processor(tmp_path / "vq", feature_extractor)


@pytest.mark.parametrize("changed", [{"batch_size": 5}, {"rows": 9}])
def test_other_batches_cannot_be_resumed_within_an_epoch(tmp_path, changed):
    with pytest.raises(Interrupted):
        Run(tmp_path, interrupt=(0, 2), checkpointing_steps=1).fit()
    with pytest.raises(ValueError, match="stopped within an epoch of 10 rows in batches of 4 over all processes"):
        Run(tmp_path, resume_from_checkpoint="latest", **changed).fit()


def test_the_arguments_lie_next_to_the_weights(trained):
    for folder in (trained, trained / "last"):
        config = json.loads((folder / "train_config.json").read_text())
        assert (config["learning_rate"], config["num_processes"]) == (0.05, 1)


@pytest.mark.parametrize("wanted", ["latest", "elsewhere"])
def test_nothing_to_resume(tmp_path, monkeypatch, wanted):
    monkeypatch.chdir(tmp_path)
    where = {"latest": "out/last", "elsewhere": "elsewhere"}[wanted]
    with pytest.raises(FileNotFoundError, match=f"nothing to resume in {where}; leave out --resume_from_checkpoint"):
        Run("out", resume_from_checkpoint=wanted).fit()


# ---------------------------------------------------------------------------------------------------- earlier stages


def test_check_same_codes(vq_model, m2t_model, vq_config):
    check_same_codes(vq_model, m2t_model, "m2t")
    other_size = MotionVQModel(MotionVQConfig(hidden_size=16, codebook_size=8))
    with pytest.raises(ValueError, match="m2t was trained on the 32 codes of another motion VQ .* which has 8"):
        check_same_codes(other_size, m2t_model, "m2t")
    other_codes = MotionVQModel(vq_config)
    with pytest.raises(ValueError, match="m2t was trained on the 32 codes of another motion VQ"):
        check_same_codes(other_codes, m2t_model, "m2t")
    m2t_model.vq = None  # then only the number of codes can be told
    check_same_codes(other_codes, m2t_model, "m2t")


def test_check_same_skeleton(vq_model):
    check_same_skeleton(vq_model, HUMANML3D, "tm2t-vq")
    with pytest.raises(ValueError, match="tm2t-vq was trained on motion of another skeleton: it has 263 features"):
        check_same_skeleton(vq_model, SKELETONS["kit"], "tm2t-vq")


def test_the_state_is_that_of_the_model(trained):
    weights = torch.load(trained / "last" / "state" / "training.pt", weights_only=True)["model"]
    assert_equal(weights, kept(trained / "last")[0])
