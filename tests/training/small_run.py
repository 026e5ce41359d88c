# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""One call of `fit` on a small set, with what it was told and did."""

import hashlib
import json
from pathlib import Path

import torch

from tm2t_hf.training import LoopArguments, Loss, fit, start, training_loader, validation_loader


class Model(torch.nn.Module):
    supports_gradient_checkpointing = False

    def __init__(self, dropout: float = 0.5):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(dropout), torch.nn.Linear(8, 1))
        self.frozen = torch.nn.Linear(3, 3).requires_grad_(False)

    def forward(self, values, mask):
        errors = self.layers(self.frozen(values)).square().squeeze(-1)  # (batch, frames)
        return (errors * mask).sum() / mask.sum()


class Collator:
    """Rows (frames, 3) of different lengths, changed by the epoch, as the crops of the real ones are."""

    def __init__(self):
        self.epoch = 0

    def __call__(self, rows):
        values = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        lengths = torch.tensor([len(row) for row in rows])
        mask = torch.arange(values.shape[1]) < lengths[:, None]
        return {"values": values + 0.1 * self.epoch * values.sin(), "mask": mask.float()}


class Interrupted(Exception):  # noqa: N818
    pass


class Run:
    def __init__(
        self, folder, validation=None, interrupt=None, interrupt_saving=None, updates=1, dropout=0.5, rows=10,
        before_batch=lambda epoch, step: None, **options,
    ):  # fmt: skip
        self.folder, self.epochs, self.orders, self.saved, self.lrs, self.scores = Path(folder), [], [], [], [], []
        options = {"epochs": 4, "batch_size": 4, "learning_rate": 0.05, "lr_schedule": "cosine"} | options
        self.arguments = LoopArguments(data_dir="", output_dir=str(folder), **options)
        self.accelerator = start(self.arguments)
        self.model = Model(dropout)
        self.samples = self.finish = None
        self.validation, self.interrupt, self.interrupt_saving = validation, interrupt, interrupt_saving
        self.updates, self.validations, self.before_batch = updates, 0, before_batch
        generator = torch.Generator().manual_seed(9)
        data = [torch.randn(2 + n % 5, 3, generator=generator) for n in range(rows)]
        self.collator = Collator()
        self.train_loader = training_loader(self.accelerator, self.arguments, data, self.collator)
        self.val_loader = validation_loader(self.accelerator, self.arguments, data[:3], Collator(), 2)

    def training_losses(self, model, batch, moment):
        assert model.training and torch.is_grad_enabled()
        if self.interrupt == (moment.epoch, len(self.epochs)):
            raise Interrupted
        self.before_batch(moment.epoch, moment.step)
        self.epochs.append((moment.epoch, self.collator.epoch))
        self.orders.append(batch["values"].sum().item())
        for _ in range(self.updates):
            value = model(**batch)
            self.lrs.append(self.accelerator._optimizers[0].param_groups[0]["lr"])
            yield {"error": Loss(value, batch["mask"].sum()), "half": Loss(value / 2, weight=0), "nothing": None}

    def validation_losses(self, model, batch):
        assert not model.training and not torch.is_grad_enabled()
        self.validations += 1
        value = model(**batch)
        if self.validation is not None:  # two batches a validation
            value = torch.tensor(self.validation[(self.validations - 1) // 2])
        return {"error": Loss(value, batch["mask"].sum()), "other": Loss(value * 2, weight=0)}

    def counts(self, batch):
        return {"error": batch["mask"].sum()}

    def save(self, model, folder, scores):
        assert isinstance(model, Model)
        self.scores.append(scores)
        torch.save(model.state_dict(), folder / "weights.pt")
        if self.interrupt_saving == (scores["epoch"], folder.name):
            raise Interrupted
        (folder / "nested").mkdir()
        (folder / "nested" / "scores.json").write_text(json.dumps(scores))
        (folder / "README.md").write_text(digest(folder / "weights.pt"))
        self.saved.append((scores["epoch"], folder.name))

    def fit(self):
        try:
            fit(
                self.accelerator, self.arguments, self.model, self.train_loader, self.val_loader,
                self.training_losses, self.validation_losses, self.save,
                counts=self.counts, samples=self.samples, finish=self.finish,
            )  # fmt: skip
        finally:
            if self.accelerator.output_lock:
                self.accelerator.output_lock.release()
        return self


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def kept(folder) -> tuple[dict, dict]:
    """Weights and scores in a folder that `Run.save` has written."""
    weights = torch.load(folder / "weights.pt", weights_only=True)
    return weights, json.loads((folder / "nested" / "scores.json").read_text())


def contents(folder: Path) -> dict[str, str]:
    """Everything in an output folder by its digest, without what tells two equal runs apart."""
    return {
        str(path.relative_to(folder)): digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", "train_config.json")
    }


def assert_equal(weights: dict, others: dict):
    assert weights.keys() == others.keys()
    for name, tensor in weights.items():
        assert torch.equal(tensor, others[name]), name


def assert_different(weights: dict, others: dict):
    assert not all(torch.equal(tensor, others[name]) for name, tensor in weights.items())
