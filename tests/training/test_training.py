# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
import json
import re
import sys
from dataclasses import dataclass, field

import pytest
import torch
from accelerate.state import AcceleratorState
from torch.utils.data import DataLoader

from tm2t_hf import MotionToTextModel, MotionVQConfig, MotionVQModel
from tm2t_hf.training import (
    LoopArguments,
    RunningMeans,
    check_same_codes,
    fit,
    load_trained,
    mean_losses,
    parse_arguments,
    start,
)


@pytest.fixture(autouse=True)
def fresh_accelerator(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


# --------------------------------------------------------------------------------------------------------- arguments


@dataclass
class Arguments(LoopArguments):
    window: int = field(default=64, metadata={"help": "Frames."})
    shift: float = 0.0
    append: bool = True


@pytest.fixture
def parse(tmp_path, monkeypatch):
    """`parse(*flags, json=…)` as the script would."""

    def parse(*flags: str, json_file=None, required=("--data_dir", "data", "--output_dir", "out")):
        command = ["train.py"]
        if json_file is not None:
            path = tmp_path / "config.json"
            path.write_text(json_file if isinstance(json_file, str) else json.dumps(json_file))
            command.append(str(path))
        monkeypatch.setattr(sys, "argv", [*command, *required, *flags])
        return parse_arguments(Arguments, "vq")

    return parse


def test_flags_alone(parse):
    arguments = parse("--epochs", "7", "--mirror", "--shift", "-1.5", "--model_config", '{"hidden_size": 8}')
    assert (arguments.data_dir, arguments.output_dir) == ("data", "out")
    assert (arguments.epochs, arguments.mirror, arguments.shift, arguments.append) == (7, True, -1.5, True)
    assert arguments.model_config == {"hidden_size": 8}
    assert arguments.batch_size == 64  # its default


CONFIG = {
    "seed": 3,
    "epochs": 10,
    "mirror": True,
    "vq": {"epochs": 50, "append": False, "shift": -1e-5, "model_config": {"fps": 12.5, "codebook_update": "ema"}},
    "m2t": {"epochs": 70, "num_offsets": 4},
}


def test_values_of_the_file_its_section_and_flags(parse):
    arguments = parse(json_file=CONFIG)
    assert (arguments.seed, arguments.epochs, arguments.mirror, arguments.append) == (3, 50, True, False)
    assert arguments.shift == -1e-5
    assert arguments.model_config == {"fps": 12.5, "codebook_update": "ema"}
    arguments = parse("--epochs", "2", "--mirror", "false", "--model_config", "{}", json_file=CONFIG)
    assert (arguments.seed, arguments.epochs, arguments.mirror, arguments.model_config) == (3, 2, False, {})


def test_lists(parse):
    assert parse().speeds == [1.0]
    assert parse(json_file={"vq": {"speeds": [1.0, 0.9], "epochs": 2}}).speeds == [1.0, 0.9]
    assert parse("--speeds", "1.1", "1", json_file={"speeds": [1.0, 0.9]}).speeds == [1.1, 1.0]


def test_objects(parse):
    assert parse().repeats == {}
    assert parse(json_file={"vq": {"repeats": {"a_*": 3}}}).repeats == {"a_*": 3}
    assert parse("--repeats", '{"b": 2}', json_file={"vq": {"repeats": {"a_*": 3}}}).repeats == {"b": 2}
    with pytest.raises(ValueError, match="--repeats is not JSON"):
        parse("--repeats", "a_*=3")


def test_a_file_may_hold_everything_required(parse):
    arguments = parse(json_file={"data_dir": "a b", "vq": {"output_dir": "c"}}, required=())
    assert (arguments.data_dir, arguments.output_dir) == ("a b", "c")


@pytest.mark.parametrize("unknown", ["windows", "epoch"])  # the second is a beginning of one that there is
def test_unknown_keys_and_flags(parse, unknown):
    with pytest.raises(ValueError, match=unknown):
        parse(f"--{unknown}", "3")
    with pytest.raises(ValueError, match=unknown):
        parse(json_file={"vq": {unknown: 3}})


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--epochs", "many"), "argument --epochs: invalid int value: 'many'"),
        (("--skeleton", "horse"), "argument --skeleton: invalid choice: 'horse' .*humanml3d.*kit"),
        (("--mixed_precision", "int4"), "argument --mixed_precision.*: invalid choice: 'int4'"),
    ],
)
def test_bad_values(parse, capsys, flags, message):
    with pytest.raises(SystemExit):
        parse(*flags)
    assert re.search(message, capsys.readouterr().err)


def test_required_flags(parse, capsys):
    with pytest.raises(SystemExit):
        parse(required=())
    assert re.search("are required: --data_dir.*--output_dir", capsys.readouterr().err)


def test_what_is_not_json(parse):
    with pytest.raises(ValueError, match=r"config\.json is not JSON: .*line 1"):
        parse(json_file="{seed: 1}")
    with pytest.raises(ValueError, match=r"--model_config is not JSON"):
        parse("--model_config", "hidden_size=8")
    with pytest.raises(ValueError, match=r"--model_config must be a JSON object"):
        parse("--model_config", "8")


# -------------------------------------------------------------------------------------------------------------- loop


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        self.frozen = torch.nn.Linear(3, 3).requires_grad_(False)

    def forward(self, values):
        return self.layers(self.frozen(values)).square().mean()


class Collator:
    """Adds noise that depends on the epoch, as the crops of the real ones do."""

    def __init__(self):
        self.epoch = 0

    def __call__(self, rows):
        values = torch.stack(rows)
        return {"values": values + torch.randn(values.shape, generator=torch.Generator().manual_seed(self.epoch))}


class Interrupted(Exception):
    pass


class Run:
    """One call of `fit` on a small set, with what it was told and did."""

    def __init__(self, folder, validation=None, interrupt=None, interrupt_saving=None, updates=1, **options):
        self.folder, self.epochs, self.orders, self.saved, self.lrs = folder, [], [], [], []
        options = {"epochs": 4, "batch_size": 4, "learning_rate": 0.05, "lr_schedule": "cosine"} | options
        self.arguments = LoopArguments(data_dir="", output_dir=str(folder), **options)
        self.accelerator = start(self.arguments)
        self.model = Model()
        self.validation, self.interrupt, self.interrupt_saving = validation, interrupt, interrupt_saving
        self.updates, self.validations = updates, 0
        rows = list(torch.randn(10, 3, generator=torch.Generator().manual_seed(9)))
        self.collator = Collator()
        size = self.arguments.batch_size
        self.train_loader = DataLoader(rows, batch_size=size, shuffle=True, collate_fn=self.collator)
        self.val_loader = DataLoader(rows[:3], batch_size=size, collate_fn=Collator())

    def training_losses(self, model, batch, epoch):
        assert model.training and torch.is_grad_enabled()
        if self.interrupt == (epoch, len(self.epochs)):
            raise Interrupted
        self.epochs.append((epoch, self.collator.epoch))
        self.orders.append(batch["values"].sum().item())
        self.lrs.append(self.accelerator._schedulers[0].get_last_lr()[0])
        for _ in range(self.updates):
            loss = model(**batch)
            yield {"loss": loss, "half": loss / 2, "nothing": None}

    def validation_losses(self, model, batch):
        assert not model.training and not torch.is_grad_enabled()
        self.validations += 1
        loss = model(**batch) if self.validation is None else torch.tensor(self.validation[self.validations - 1])
        return {"loss": loss, "other": loss * 2}

    def save(self, model, folder, scores):
        assert isinstance(model, Model)
        assert folder.name == self.folder.name  # what a model card would say
        kind = folder.parent.name.removesuffix(".writing")
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), folder / "weights.pt")
        if self.interrupt_saving == (scores["epoch"], kind):
            raise Interrupted
        (folder / "nested").mkdir()
        (folder / "nested" / "scores.json").write_text(json.dumps(scores))
        self.saved.append((scores["epoch"], kind))

    def fit(self):
        fit(
            self.accelerator, self.arguments, self.model, self.train_loader, self.val_loader,
            self.training_losses, self.validation_losses, self.save,
        )  # fmt: skip
        return self


def kept(folder) -> tuple[dict, dict]:
    """Weights and scores in a folder that `Run.save` has written."""
    weights = torch.load(folder / "weights.pt", weights_only=True)
    return weights, json.loads((folder / "nested" / "scores.json").read_text())


def assert_equal(weights: dict, others: dict):
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        assert torch.equal(tensor, others[name]), name


def assert_different(weights: dict, others: dict):
    assert not all(torch.equal(tensor, others[name]) for name, tensor in weights.items())


def test_best_and_last(tmp_path):
    run = Run(tmp_path / "run", validation=[3.0, 1.0, 2.0, float("nan")]).fit()
    best, best_scores = kept(run.folder)
    last, last_scores = kept(run.folder / "last")
    assert best_scores == {"loss": 1.0, "other": 2.0, "epoch": 2}
    assert last_scores["epoch"] == 4
    assert_equal(last, run.model.state_dict())
    assert_different(best, last)
    # the best is the model as it was after that epoch
    after_two = Run(tmp_path / "two", validation=[3.0, 1.0, 2.0], interrupt=(2, 6))
    with pytest.raises(Interrupted):
        after_two.fit()
    assert_equal(best, after_two.model.state_dict())
    # nothing half written is left
    assert {path.name for path in run.folder.iterdir()} == {"weights.pt", "nested", "last"}
    assert {path.name for path in (run.folder / "last").iterdir()} == {"weights.pt", "nested", "state"}


def test_the_loop_trains_what_is_not_frozen(tmp_path):
    run = Run(tmp_path)
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    loss = run.model.eval()(torch.stack(run.val_loader.dataset))
    run.fit()
    changed = {name for name, tensor in run.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if name.startswith("layers")}
    assert run.model.eval()(torch.stack(run.val_loader.dataset)) < loss
    # three batches an epoch, the collator told each one, another order each time
    assert run.epochs == [(epoch, epoch) for epoch in range(4) for _ in range(3)]
    assert len(set(run.orders)) == 12
    # one update a batch: cosine from the peak to nothing
    assert run.lrs[0] == 0.05 and run.lrs == sorted(run.lrs, reverse=True)
    assert run.accelerator._schedulers[0].get_last_lr()[0] == pytest.approx(0, abs=1e-9)


def test_a_batch_may_be_worth_several_updates(tmp_path):
    once, twice = Run(tmp_path / "once", epochs=1).fit(), Run(tmp_path / "twice", epochs=1, updates=2).fit()
    assert once.lrs == twice.lrs
    assert_different(once.model.state_dict(), twice.model.state_dict())
    steps = [next(iter(run.accelerator._optimizers[0].state.values()))["step"] for run in (once, twice)]
    assert steps == [3, 6]


def test_validation_every_other_epoch_and_at_the_end(tmp_path):
    run = Run(tmp_path, epochs=5, validate_every=2, validation=[3.0, 2.0, 9.0]).fit()
    assert run.saved == [(2, "best"), (2, "last"), (4, "best"), (4, "last"), (5, "last")]
    assert kept(tmp_path)[1]["epoch"] == 4


@pytest.mark.parametrize("max_grad_norm", [0.0, 1e-3])
def test_gradients_are_clipped(tmp_path, max_grad_norm):
    """A weight decay that dwarfs the clipped gradient shows in plain sight whether the clipping took place."""
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


# ------------------------------------------------------------------------------------------------------------ resume


@pytest.mark.parametrize("validate_every", [1, 2])
def test_a_resumed_run_is_the_run_that_was_never_interrupted(tmp_path, validate_every):
    options = {"validate_every": validate_every, "warmup_steps": 2}
    straight = Run(tmp_path / "straight", **options).fit()
    # interrupted in the middle of the third epoch, whose first batches are done again
    with pytest.raises(Interrupted):
        Run(tmp_path / "parts", interrupt=(2, 7), **options).fit()
    torch.manual_seed(123)  # the seed is not what makes them equal
    resumed = Run(tmp_path / "parts", resume=True, **options).fit()
    assert [epoch for epoch, _ in resumed.epochs] == [2] * 3 + [3] * 3
    assert resumed.orders == straight.orders[6:]
    assert resumed.lrs == straight.lrs[6:]
    assert_equal(resumed.model.state_dict(), straight.model.state_dict())
    for part in (".", "last"):
        (weights, scores), (others, other_scores) = kept(straight.folder / part), kept(resumed.folder / part)
        assert_equal(weights, others)
        assert scores == other_scores


def test_two_halves_are_a_whole(tmp_path):
    straight = Run(tmp_path / "straight", lr_schedule="constant").fit()
    Run(tmp_path / "parts", lr_schedule="constant", epochs=2).fit()
    resumed = Run(tmp_path / "parts", lr_schedule="constant", resume=True).fit()
    assert_equal(resumed.model.state_dict(), straight.model.state_dict())


def test_the_best_is_remembered_over_a_resume(tmp_path):
    Run(tmp_path, validation=[3.0, 1.0], epochs=2).fit()
    run = Run(tmp_path, validation=[2.0, 4.0], resume=True).fit()
    assert run.saved == [(3, "last"), (4, "last")]
    assert kept(tmp_path)[1]["epoch"] == 2


def test_nothing_to_resume(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"nothing to resume in {tmp_path / 'last'}; leave out --resume"):
        Run(tmp_path, resume=True).fit()


@pytest.mark.parametrize("kind", ["last", "best"])
def test_a_save_that_is_cut_off_leaves_the_earlier_one_whole(tmp_path, kind):
    validation = [4.0, 3.0, 2.0, 1.0]
    straight = Run(tmp_path / "straight", validation=validation).fit()
    with pytest.raises(Interrupted):
        Run(tmp_path / "parts", validation=validation, interrupt_saving=(4, kind)).fit()
    best, last = kept(tmp_path / "parts")[1]["epoch"], kept(tmp_path / "parts" / "last")[1]["epoch"]
    assert (best, last) == ((4, 3) if kind == "last" else (3, 3))
    (tmp_path / "parts" / f"{kind}.writing" / "parts" / "rubbish").touch()
    resumed = Run(tmp_path / "parts", validation=validation[3:], resume=True).fit()
    assert_equal(resumed.model.state_dict(), straight.model.state_dict())
    for part in (".", "last"):
        assert_equal(kept(straight.folder / part)[0], kept(resumed.folder / part)[0])
    assert not list(resumed.folder.rglob("rubbish")) and not list(resumed.folder.glob("*.writing"))


# ------------------------------------------------------------------------------------------------------------- means


def test_mean_losses_weigh_batches_by_their_size():
    accelerator = start(LoopArguments(data_dir="", output_dir=""))
    values = torch.tensor([1.0, 2.0, 3.0, 4.0, 60.0])
    loader = [{"values": values[:2]}, {"values": values[2:4]}, {"values": values[4:]}]
    model = torch.nn.Dropout(0.5).train()

    def compute(model, batch):
        assert not torch.is_grad_enabled()
        return {"loss": model(batch["values"]).mean(), "count": len(batch["values"])}

    means = mean_losses(accelerator, model, loader, compute)
    assert means == {"loss": pytest.approx(14.0), "count": pytest.approx((2 * 2 + 2 * 2 + 1) / 5)}
    assert model.training
    mean_losses(accelerator, model.eval(), loader, compute)
    assert not model.training


def test_running_means():
    means = RunningMeans()
    assert means.values() == {}
    means.add({"loss": torch.tensor(1.0), "aligned": None})
    means.add({"loss": torch.tensor(2.0), "aligned": torch.tensor(5.0)})
    means.add({"loss": torch.tensor(6.0), "aligned": None})
    assert means.values() == {"loss": 3.0, "aligned": 5.0}


# ---------------------------------------------------------------------------------------------------- earlier stages


def test_load_trained(tmp_path, vq_model, m2t_model):
    vq_model.save_pretrained(tmp_path / "vq")
    m2t_model.save_pretrained(tmp_path / "m2t")
    loaded = load_trained(MotionVQModel, str(tmp_path / "vq"))
    assert_equal(dict(loaded.named_parameters()), dict(vq_model.named_parameters()))
    with pytest.raises(ValueError, match=r"m2t is a model of type tm2t-m2t, but one of type tm2t-vq is needed"):
        load_trained(MotionVQModel, str(tmp_path / "m2t"))
    with pytest.raises(ValueError, match=r"vq is a model of type tm2t-vq, but one of type tm2t-m2t is needed"):
        load_trained(MotionToTextModel, str(tmp_path / "vq"))
    with pytest.raises(FileNotFoundError, match="There is no model .*nowhere: it is neither a folder"):
        load_trained(MotionVQModel, str(tmp_path / "nowhere"))


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
