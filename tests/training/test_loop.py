# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
import json
import os
import signal
import subprocess
from types import SimpleNamespace

import pytest
import torch
from accelerate.state import AcceleratorState
from forked import in_processes
from small_run import Interrupted, Model, Run, assert_different, assert_equal, contents, kept

from tm2t_hf.training import Moment, TrainingError
from tm2t_hf.training.updates import parameter_groups


@pytest.fixture(autouse=True)
def fresh_accelerator(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


def test_best_and_last(tmp_path):
    run = Run(tmp_path / "run", validation=[3.0, 1.0, 2.0, 4.0]).fit()
    best, best_scores = kept(run.folder)
    last, last_scores = kept(run.folder / "last")
    assert best_scores == {"loss": 1.0, "error": 1.0, "other": 2.0, "epoch": 2.0}
    assert last_scores["epoch"] == 4
    assert_equal(last, run.model.state_dict())
    assert_different(best, last)
    # the best is the model as it was after that epoch
    after_two = Run(tmp_path / "two", validation=[3.0, 1.0, 2.0], interrupt=(2, 6))
    with pytest.raises(Interrupted):
        after_two.fit()
    assert_equal(best, after_two.model.state_dict())
    # nothing half written is left
    whole = {"weights.pt", "nested", "README.md", "train_config.json"}
    assert {path.name for path in run.folder.iterdir()} == whole | {"last", ".lock"}
    assert {path.name for path in (run.folder / "last").iterdir()} == whole | {"state"}


def test_the_loop_trains_what_is_not_frozen(tmp_path):
    run = Run(tmp_path)
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    run.fit()
    changed = {name for name, tensor in run.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if name.startswith("layers")}
    assert run.scores[-1]["loss"] < 0.7 * run.scores[0]["loss"]
    # three batches an epoch, the collator told each one, another order each time
    assert run.epochs == [(epoch, epoch) for epoch in range(4) for _ in range(3)]
    assert len(set(run.orders)) == 12
    # one update a batch: cosine from the peak to nothing
    assert run.lrs[0] == 0.05 and run.lrs == sorted(run.lrs, reverse=True)
    assert run.accelerator._optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


def test_parts_with_a_learning_rate_of_their_own():
    model = Model()
    groups = parameter_groups(model, {"layers.2": 1e-5, "nothing": 1.0})
    assert [group.get("lr") for group in groups] == [None, 1e-5]
    assert [[id(p) for p in group["params"]] for group in groups] == [
        [id(p) for p in model.layers[place].parameters()] for place in (0, 2)
    ]


def test_a_batch_may_be_worth_several_updates(tmp_path):
    once, twice = Run(tmp_path / "once", epochs=1).fit(), Run(tmp_path / "twice", epochs=1, updates=2).fit()
    assert once.lrs == twice.lrs[::2]
    assert_different(once.model.state_dict(), twice.model.state_dict())
    steps = [next(iter(run.accelerator._optimizers[0].state.values()))["step"] for run in (once, twice)]
    assert steps == [3, 6]


def test_validation_every_other_epoch_and_at_the_end(tmp_path):
    run = Run(tmp_path, epochs=5, validate_every=2, validation=[3.0, 2.0, 9.0]).fit()
    assert run.saved == [(2, "last"), (2, "best"), (4, "last"), (4, "best"), (5, "last")]
    assert kept(tmp_path)[1]["epoch"] == 4


@pytest.mark.parametrize("max_grad_norm", [0.0, 1e-3])
def test_gradients_are_clipped(tmp_path, max_grad_norm):
    run = Run(tmp_path, epochs=1, max_grad_norm=max_grad_norm)
    norms = []
    step = torch.optim.AdamW.step

    def recorded(optimizer, *arguments, **options):
        gradients = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        norms.append(torch.cat(gradients).norm().item())
        return step(optimizer, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", recorded)
        run.fit()
    assert len(norms) == 3
    assert all(norm == pytest.approx(1e-3, rel=1e-3) if max_grad_norm else norm > 2e-3 for norm in norms)


@pytest.mark.parametrize(("patience", "last"), [(0, 6), (1, 3), (2, 6), (9, 6)])
def test_early_stopping(tmp_path, patience, last):
    options = {"epochs": 6, "lr_schedule": "constant", "early_stopping_patience": patience}
    validation = [3.0, 2.0, 2.0, 1.0, 1.5, 1.1]
    run = Run(tmp_path, validation=validation, **options).fit()
    assert kept(run.folder / "last")[1]["epoch"] == last
    assert kept(run.folder)[1]["epoch"] == (4 if last == 6 else 2)


def test_what_is_found_out_at_the_end_is_done_under_the_lock_and_before_the_upload(tmp_path):
    run, found = Run(tmp_path, epochs=1), []
    run.accelerator.uploads = SimpleNamespace(
        upload_in_background=lambda message: None, upload=lambda message: found.append(message)
    )
    run.finish = lambda folder: found.append((folder, run.accelerator.output_lock.is_locked))
    run.fit()
    assert found == [(tmp_path, True), "End of training"]


def test_draws_of_a_row_are_the_same_in_any_company():
    whole = Moment(2, 5, range(4)).uniform(7, 9)
    assert whole.shape == (4, 9) and whole.min() >= 0 and whole.max() < 1
    assert torch.equal(Moment(2, 5, range(1, 3)).uniform(7, 6), whole[1:3, :6])
    others = [Moment(2, 6, range(4)).uniform(7, 9), Moment(2, 5, range(4)).uniform(7, 9, kind=1)]
    assert len({tuple(row.tolist()) for each in (whole, *others) for row in each}) == 12


def test_early_stopping_counts_over_a_resume(tmp_path, caplog):
    options = {"lr_schedule": "constant", "early_stopping_patience": 2}
    Run(tmp_path, validation=[1.0, 2.0], epochs=2, **options).fit()
    options["resume_from_checkpoint"] = "latest"
    run = Run(tmp_path, validation=[3.0, 0.5], epochs=9, **options).fit()
    assert run.saved == [(3, "last")]
    with caplog.at_level("INFO"):
        again = Run(tmp_path, epochs=9, **options).fit()
    assert not again.epochs and "Stopped early: no better validation loss in the last 2." in caplog.messages
    options["early_stopping_patience"] = 3
    assert Run(tmp_path, validation=[0.5] * 9, epochs=4, **options).fit().saved == [(4, "last"), (4, "best")]


# --------------------------------------------------------------------------------------------- what makes it cheaper


def test_workers_change_nothing(tmp_path):
    straight = Run(tmp_path / "straight").fit()
    workers = Run(tmp_path / "workers", num_workers=2).fit()
    assert workers.orders == straight.orders
    assert contents(workers.folder) == contents(straight.folder)


@pytest.mark.parametrize("option", ["fused_optimizer", "compile"])
def test_cheaper_ways_give_the_same(tmp_path, monkeypatch, option):
    # tracing is what depends on the model; generating machine code takes a minute
    compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **options: compile(function, backend="eager", **options))
    plain = {"dropout": 0.0, "fused_optimizer": False}
    straight = Run(tmp_path / "straight", **plain).fit()
    cheaper = Run(tmp_path / "cheaper", **plain | {option: True})
    before = list(cheaper.model.state_dict())
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    cheaper.fit()
    assert bool(torch._dynamo.utils.counters["stats"]["unique_graphs"]) == (option == "compile")
    assert cheaper.accelerator._optimizers[0].param_groups[0]["fused"] == (option == "fused_optimizer" or None)
    assert list(cheaper.model.state_dict()) == before
    for name, tensor in straight.model.state_dict().items():
        torch.testing.assert_close(cheaper.model.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)


def test_what_has_no_layers_to_compute_again(tmp_path):
    with pytest.raises(ValueError, match="Model has no gradient checkpointing, only transformers have; leave out"):
        Run(tmp_path, gradient_checkpointing=True).fit()


def test_a_device_without_fused_kernels(tmp_path, monkeypatch):
    plain = torch.optim.AdamW

    def refuse(*arguments, fused=None, **options):
        if fused:
            raise RuntimeError("`fused=True` requires all the params to be on another device")
        return plain(*arguments, **options)

    run = Run(tmp_path)
    assert run.arguments.fused_optimizer
    monkeypatch.setattr(torch.optim, "AdamW", refuse)
    run.fit()
    assert not run.accelerator._optimizers[0].param_groups[0]["fused"]


# -------------------------------------------------------------------------------------------------------- not finite


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(tmp_path):
    Run(tmp_path, epochs=1, lr_schedule="constant").fit()
    before = contents(tmp_path)
    run = Run(tmp_path, resume_from_checkpoint="latest", epochs=2, lr_schedule="constant")

    def poison(epoch, step):
        if step == 1:
            next(run.model.parameters()).data.fill_(float("inf"))

    run.before_batch = poison
    with pytest.raises(TrainingError, match="The error became (nan|inf) in epoch 2, batch 2: training stopped, and "):
        run.fit()
    assert contents(tmp_path) == before


def test_a_validation_loss_that_is_not_finite(tmp_path):
    with pytest.raises(TrainingError, match="validation loss became nan in epoch 2.*last keeps the last good checkp"):
        Run(tmp_path, validation=[3.0, float("nan")]).fit()
    assert kept(tmp_path / "last")[1]["epoch"] == 1


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    run = Run(tmp_path, validation=[3.0, 1.0])

    def poison(epoch, step):
        if epoch == 1 and step == 2:
            run.model.layers[0].weight.register_hook(lambda gradient: gradient * float("nan"))

    run.before_batch = poison
    with pytest.raises(TrainingError, match="Weights have become NaN or infinite: training stopped, and .*last keeps"):
        run.fit()
    assert kept(tmp_path / "last")[1]["epoch"] == 1
    assert not (tmp_path / "checkpoint.writing").exists()


# ------------------------------------------------------------------------------------------------------------ resume


@pytest.mark.parametrize("validate_every", [1, 2])
def test_a_resumed_run_is_the_run_that_was_never_interrupted(tmp_path, validate_every):
    options = {"validate_every": validate_every, "warmup_steps": 2}
    straight = Run(tmp_path / "straight", **options).fit()
    # interrupted in the middle of the third epoch, whose first batches are done again
    with pytest.raises(Interrupted):
        Run(tmp_path / "parts", interrupt=(2, 7), **options).fit()
    torch.manual_seed(123)  # the seed is not what makes them equal
    resumed = Run(tmp_path / "parts", resume_from_checkpoint="latest", **options).fit()
    assert [epoch for epoch, _ in resumed.epochs] == [2] * 3 + [3] * 3
    assert resumed.orders == straight.orders[6:]
    assert resumed.lrs == straight.lrs[6:]
    assert contents(straight.folder) == contents(resumed.folder)


@pytest.mark.parametrize("interrupted", [(0, 2), (1, 5), (3, 11)])
def test_resuming_in_the_middle_of_an_epoch(tmp_path, interrupted):
    """Data order, dropout, schedule, the losses that are logged, and the best so far."""
    straight = Run(tmp_path / "straight").fit()
    with pytest.raises(Interrupted):
        Run(tmp_path / "parts", interrupt=interrupted, checkpointing_steps=1).fit()
    resumed = Run(tmp_path / "parts", resume_from_checkpoint="latest", checkpointing_steps=2).fit()
    assert resumed.orders == straight.orders[interrupted[1] :]
    assert contents(straight.folder) == contents(resumed.folder)


def test_checkpoints_by_steps_change_nothing(tmp_path):
    straight = Run(tmp_path / "a", validate_every=4).fit()
    often = Run(tmp_path / "b", validate_every=4, checkpointing_steps=2).fit()
    assert_equal(straight.model.state_dict(), often.model.state_dict())
    assert [epoch for epoch, _ in often.saved] == [0.667, 1.333, 2.0, 2.667, 3.333, 4.0, 4.0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("moment", [(1, 1), (2, 2)], ids=["within an epoch", "in its last batch"])
def test_signals_save_and_stop(tmp_path, number, code, moment):
    straight = Run(tmp_path / "straight").fit()

    def stopped():
        def strike(epoch, step):
            if (epoch, step) == moment:
                os.kill(os.getpid(), number)

        Run(tmp_path / "parts", before_batch=strike).fit()

    assert in_processes(stopped) == [code]
    resumed = Run(tmp_path / "parts", resume_from_checkpoint="latest").fit()
    # the batch in which the signal came was finished
    assert resumed.orders == straight.orders[moment[0] * 3 + moment[1] + 1 :]
    assert contents(straight.folder) == contents(resumed.folder)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_workers_too_saves_and_stops(tmp_path, number, code):
    """As `timeout`, a terminal and some schedulers send it: to all processes of a group."""
    straight = Run(tmp_path / "straight", rows=40, epochs=2).fit()

    def stopped():
        os.setpgrp()

        def strike(epoch, step):
            if (epoch, step) == (1, 0):
                command = ["kill", f"-{number}", "--", f"-{os.getpgrp()}"]
                subprocess.run(command, start_new_session=True, check=True)

        Run(tmp_path / "parts", rows=40, epochs=2, num_workers=2, before_batch=strike).fit()

    assert in_processes(stopped) == [code]
    progress = json.loads((tmp_path / "parts" / "last" / "state" / "loop.json").read_text())
    assert (progress["epoch"], progress["step"]) == (1, 1)
    Run(tmp_path / "parts", rows=40, epochs=2, resume_from_checkpoint="latest").fit()
    assert contents(straight.folder) == contents(tmp_path / "parts")


def test_a_signal_to_one_of_two_processes_stops_both(tmp_path):
    straight = in_processes(lambda: Run(tmp_path / "straight", batch_size=2).fit().scores[-1:], 2)

    def stopped():
        def strike(epoch, step):
            if (epoch, step) == (1, 0) and run.accelerator.process_index == 1:
                os.kill(os.getpid(), signal.SIGTERM)

        run = Run(tmp_path / "parts", batch_size=2, before_batch=strike)
        run.fit()

    assert in_processes(stopped, 2) == [143, 143]
    resumed = in_processes(
        lambda: Run(tmp_path / "parts", batch_size=2, resume_from_checkpoint="latest").fit().scores[-1:], 2
    )
    assert resumed == straight
    assert contents(tmp_path / "straight") == contents(tmp_path / "parts")


def test_a_second_interrupt_stops_at_once(tmp_path):
    def strike(epoch, step):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)  # pytest in the background of a shell ignores it
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path, before_batch=strike).fit()
    assert signal.getsignal(signal.SIGINT) is before


def test_two_halves_are_a_whole(tmp_path):
    straight = Run(tmp_path / "straight", lr_schedule="constant").fit()
    Run(tmp_path / "parts", lr_schedule="constant", epochs=2).fit()
    resumed = Run(tmp_path / "parts", lr_schedule="constant", resume_from_checkpoint="latest").fit()
    assert_equal(resumed.model.state_dict(), straight.model.state_dict())


@pytest.mark.parametrize(
    ("epoch", "batches", "message"),
    [(2, 6, "Resuming after epoch 2."), (1, 5, "Resuming after epoch 1, batch 2 of epoch 2.")],
)
def test_the_log_says_where_a_run_resumes(tmp_path, caplog, epoch, batches, message):
    options = {"checkpointing_steps": 1}
    with pytest.raises(Interrupted):
        Run(tmp_path, interrupt=(epoch, batches), **options).fit()
    with caplog.at_level("INFO"):
        Run(tmp_path, resume_from_checkpoint="latest", **options).fit()
    assert message in caplog.messages


def test_a_run_that_has_ended_says_so_when_it_is_resumed(tmp_path, caplog):
    Run(tmp_path, epochs=2).fit()
    Run(tmp_path, epochs=2, resume_from_checkpoint="latest").fit()
    assert "All 2 epochs are done; to train on, raise --epochs." in caplog.messages


def test_the_best_is_remembered_over_a_resume(tmp_path):
    Run(tmp_path, validation=[3.0, 1.0], epochs=2, lr_schedule="constant").fit()
    run = Run(tmp_path, validation=[2.0, 4.0], resume_from_checkpoint="latest", lr_schedule="constant").fit()
    assert run.saved == [(3, "last"), (4, "last")]
    assert kept(tmp_path)[1]["epoch"] == 2


def test_resuming_from_another_folder(tmp_path):
    Run(tmp_path / "a", epochs=2, lr_schedule="constant").fit()
    for number, source in enumerate((tmp_path / "a", tmp_path / "a" / "last")):
        run = Run(tmp_path / f"b{number}", resume_from_checkpoint=str(source), lr_schedule="constant").fit()
        assert [epoch for epoch, _ in run.epochs] == [2] * 3 + [3] * 3
        # the best of the first epochs lies in the other folder, so the best of the others is kept here
        assert run.saved[0] == (3, "last") and run.saved[1] == (3, "best")


def test_on_another_number_of_processes(tmp_path, caplog):
    """The same batches of all processes together: it goes on exactly (without dropout), and says so."""
    options = {"dropout": 0.0, "rows": 12}
    straight = Run(tmp_path / "straight", **options).fit()
    with pytest.raises(Interrupted):
        Run(tmp_path / "parts", interrupt=(1, 4), checkpointing_steps=1, **options).fit()
    resume = {"resume_from_checkpoint": "latest", "batch_size": 2}
    (weights, _) = in_processes(lambda: Run(tmp_path / "parts", **resume, **options).fit().model.state_dict(), 2)
    for name, tensor in straight.model.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-4, atol=1e-6)
