# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Losses over several processes, and the loaders that split the data."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from forked import in_processes
from hypothesis import given, settings
from hypothesis import strategies as st
from small_run import Run, kept

from tm2t_hf import HUMANML3D, MotionVQConfig, MotionVQModel
from tm2t_hf.motion import joints_to_features
from tm2t_hf.toy import make_toy_clip
from tm2t_hf.training import LoopArguments, Loss, Means, foot_sliding, gather_rows, validate
from tm2t_hf.training.loaders import TrainingBatches, ValidationBatches, validation_loader
from tm2t_hf.training.losses import minimized, sums_over_processes

ARGUMENTS = LoopArguments(data_dir="", output_dir="")


def test_means_weigh_by_what_a_loss_averages_over():
    means = Means()
    assert means.values() == {}
    for value, count in ((1.0, 1), (4.0, 3)):
        losses = {
            "motion": Loss(torch.tensor(value), count),
            "words": Loss(torch.tensor(value * count), count, 2.0, "sum"),
        }
        means.add(losses, [[loss.total, loss.count] for loss in losses.values()])
    assert means.values() == {"loss": pytest.approx(3 * 3.25), "motion": 3.25, "words": 3.25}


def test_a_mean_over_nothing_counts_nothing():
    assert Loss(torch.tensor(float("nan")), 0).total == 0.0


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 9), st.integers(1, 4), st.integers(0, 3), st.booleans(), st.integers(1, 4),
    st.booleans(),
)  # fmt: skip
def test_training_batches_are_those_of_one_process(rows, size, world, epoch, drop_last, accumulated, by_length):
    lengths = [row * 7 % 11 for row in range(rows)] if by_length else None

    def batches(rank, world, accumulated):
        """The sampler, and its rows by batch, then by part."""
        sampler = TrainingBatches(rows, size * 4, 5, rank, world, drop_last, accumulated, lengths)
        sampler.epoch = epoch
        parts = iter(sampler)
        return sampler, [[next(parts) for _ in sampler.parts(batch)] for batch in range(len(sampler))]

    _, whole = batches(0, 1, 1)
    whole = [part for (part,) in whole]
    assert sorted(sum(whole, [])) == sorted(set(sum(whole, [])))
    if not drop_last:
        assert len(sum(whole, [])) == rows
    samplers, parts = zip(*(batches(rank, world, accumulated) for rank in range(world)), strict=True)
    for number, batch in enumerate(whole):
        assert all(part for process in parts for part in process[number])
        (number_of_parts,) = {len(process[number]) for process in parts}
        assert number_of_parts == accumulated or number_of_parts == max(len(batch), world) // world < accumulated
        together = [row for process in parts for part in process[number] for row in part]
        assert together[: len(batch)] == batch
        # filled up only where there are fewer rows than processes
        assert len(together) == max(len(batch), world)
        places = [place for sampler in samplers for part in sampler.parts(number) for place in part]
        assert places == list(range(len(together)))
    for sampler, part in zip(samplers, parts, strict=True):
        assert len(sampler) == len(part) == len(whole)
        sampler.start = len(whole) // 2
        assert list(sampler) == sum(part[sampler.start :], [])


def test_rows_of_a_batch_have_similar_lengths():
    lengths = np.random.default_rng(0).integers(10, 50, 1003).tolist()

    def batches(epoch, lengths):
        sampler = TrainingBatches(1003, 8, seed=1, lengths=lengths)
        sampler.epoch = epoch
        return list(sampler)

    def padding(batches):
        padded = sum(max(lengths[row] for row in batch) * len(batch) for batch in batches)
        return padded / sum(lengths) - 1

    first, second = batches(0, lengths), batches(1, lengths)
    assert padding(batches(0, None)) > 0.4 and padding(first) < 0.03
    assert sorted(sum(first, [])) == list(range(1003)) and [len(batch) for batch in first] == [8] * 125 + [3]
    # another company in each epoch, and short batches do not come before long ones
    assert not {frozenset(batch) for batch in first} & {frozenset(batch) for batch in second}
    means = [np.mean([lengths[row] for row in batch]) for batch in first]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.2


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_validation_batches_are_whole_and_counted_once(world):
    parts = [list(ValidationBatches(11, 3, rank, world)) for rank in range(world)]
    assert sorted(sum(parts, [])) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]
    assert sum(len(list(ValidationBatches(11, 3, rank, world, drop_last=True))) for rank in range(world)) == 3


@pytest.mark.parametrize("world", [1, 2, 3])
def test_validation_is_the_same_on_any_number_of_processes(world):
    """Values 0 to 134 in batches of 32: 67, and not what padding to whole batches on each process would make."""

    def mean():
        accelerator = Accelerator()
        rows = [torch.tensor([float(n)] * (1 + n % 3)) for n in range(135)]

        def collator(rows):
            return {"values": torch.cat(rows), "clips": torch.tensor([row[0] for row in rows])}

        def compute(model, batch):
            assert not model.training and not torch.is_grad_enabled()
            values, clips = batch["values"], batch["clips"]
            return {"frames": Loss(values.mean(), len(values)), "clips": Loss(clips.mean(), len(clips), weight=0)}

        loader = validation_loader(accelerator, ARGUMENTS, rows, collator, 32)
        return validate(accelerator, torch.nn.Dropout(0.5).train(), loader, compute)

    expected = sum(n * (1 + n % 3) for n in range(135)) / sum(1 + n % 3 for n in range(135))
    for scores in in_processes(mean, world):
        assert scores["clips"] == pytest.approx(67.0, rel=1e-6)
        assert scores["frames"] == scores["loss"] == pytest.approx(expected, rel=1e-6)


def test_fewer_validation_batches_than_processes():
    def scores():
        accelerator = Accelerator()
        loader = validation_loader(
            accelerator, ARGUMENTS, [torch.tensor(3.0)], lambda rows: {"x": torch.stack(rows)}, 4
        )
        return validate(
            accelerator, torch.nn.Identity(), loader, lambda model, batch: {"loss": Loss(batch["x"].mean(), 1)}
        )

    assert in_processes(scores, 2) == [{"loss": 3.0}] * 2


def test_gathered_rows_carry_the_gradient_of_the_whole():
    def gradient():
        accelerator = Accelerator()
        rank, world = accelerator.process_index, accelerator.num_processes
        rows = torch.arange(5.0).reshape(5, 1)[rank::world].clone().requires_grad_()
        whole = gather_rows(accelerator, rows)
        whole.square().sum().backward()
        return whole.flatten().tolist(), (rows.grad / world).flatten().tolist()

    assert in_processes(gradient, 1) == [([0, 1, 2, 3, 4], [0, 2, 4, 6, 8])]
    # each of the two computes the same loss, and their gradients are averaged afterwards
    assert in_processes(gradient, 2) == [([0, 2, 4, 1, 3], [0, 4, 8]), ([0, 2, 4, 1, 3], [2, 6])]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_what_is_minimized_averages_to_the_whole(reduction):
    values = [[1.0], [2.0, 5.0, 6.0]]

    def own():
        accelerator = Accelerator()
        mine = torch.tensor(values[accelerator.process_index])
        losses = {"loss": Loss(getattr(mine, reduction)(), len(mine), reduction=reduction)}
        sums = sums_over_processes(accelerator, losses)
        counts = {"loss": sums[0][1]}
        return float(minimized(accelerator, losses, counts)), sums

    results = in_processes(own, 2)
    assert sum(value for value, _ in results) / 2 == pytest.approx(3.5 if reduction == "mean" else 14.0)
    assert all(sums[0] == pytest.approx([14.0, 4.0]) for _, sums in results)


@pytest.mark.parametrize("world", [2, 3])
def test_several_processes_train_as_one(tmp_path, world):
    """Rows of different lengths, a last batch of unequal parts; also what is logged and the best of all epochs."""

    def train(world):
        folder = tmp_path / f"{world}"
        run = Run(folder, dropout=0.0, rows=16, batch_size=6 // world).fit()
        return run.model.state_dict(), run.scores

    ((weights, scores),) = in_processes(lambda: train(1))
    results = in_processes(lambda: train(world), world)
    for name, tensor in weights.items():
        for others, _ in results:
            torch.testing.assert_close(others[name], tensor, rtol=1e-5, atol=1e-6)
    for own, other in zip(scores, results[0][1], strict=True):
        assert own == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize(("world", "accumulated"), [(1, 2), (1, 3), (2, 3)])
def test_accumulated_gradients_are_those_of_the_large_batch(tmp_path, world, accumulated):
    """Parts with different numbers of frames, a smaller last batch, and two updates by each batch."""

    def train(folder, **options):
        run = Run(folder, dropout=0.0, rows=16, epochs=3, updates=2, **options).fit()
        return run.model.state_dict(), run.scores, run.epochs

    ((weights, scores, _),) = in_processes(lambda: train(tmp_path / "whole", batch_size=6))
    size = 6 // world // accumulated
    options = {"batch_size": size, "gradient_accumulation_steps": accumulated}
    for others, other_scores, epochs in in_processes(lambda: train(tmp_path / "parts", **options), world):
        # the last batch has four rows
        assert len(epochs) == 3 * (2 * accumulated + min(accumulated, 4 // world))
        for name, tensor in weights.items():
            torch.testing.assert_close(others[name], tensor, rtol=1e-5, atol=1e-6)
        for own, other in zip(scores, other_scores, strict=False):
            assert own == pytest.approx(other, rel=1e-5)


def test_sharded_training_is_that_of_ddp(tmp_path):
    """FSDP2 over gloo: weights, scores, what is saved, and a resumed run."""

    def train(folder, **options):
        options = {"epochs": 3, "lr_schedule": "constant"} | options
        run = Run(folder, dropout=0.0, rows=16, batch_size=3, **options).fit()
        return run.scores

    plain = in_processes(lambda: train(tmp_path / "plain"), 2)
    sharded = in_processes(lambda: train(tmp_path / "sharded", fsdp=True), 2)
    for own, other in zip(plain[0], sharded[0], strict=True):
        assert own == pytest.approx(other, rel=1e-5)
    in_processes(lambda: train(tmp_path / "parts", fsdp=True, epochs=2), 2)
    in_processes(lambda: train(tmp_path / "parts", fsdp=True, resume_from_checkpoint="latest"), 2)
    (weights, scores), *others = (kept(tmp_path / name / "last") for name in ("plain", "sharded", "parts"))
    for other_weights, other_scores in others:
        assert other_scores == pytest.approx(scores, rel=1e-5)
        for name, tensor in weights.items():
            torch.testing.assert_close(other_weights[name], tensor, rtol=1e-5, atol=1e-6)


def test_accumulating_needs_to_know_what_losses_average_over(tmp_path):
    run = Run(tmp_path, gradient_accumulation_steps=2)
    run.counts = lambda batch: {"half": 1}
    with pytest.raises(ValueError, match="needs to know beforehand what error averages over"):
        run.fit()


def test_the_codebook_of_accumulated_batches_is_that_of_the_large_one():
    """Padded clips, moving averages, and restarts that are drawn from the latents of all parts."""
    config = MotionVQConfig(hidden_size=8, codebook_size=24, num_decoder_blocks=1, reset_threshold=0.5)
    values = torch.randn(6, 24, 263, generator=torch.Generator().manual_seed(1)).cumsum(1)
    mask = (torch.arange(24) < torch.tensor([24, 8, 12, 4, 20, 16])[:, None]).long()

    def codebooks(*parts):
        torch.manual_seed(0)
        model = MotionVQModel(config).train()
        books = []
        for _ in range(5):
            for part in parts:
                model.quantizer.accumulating = part is not parts[-1]
                before = model.quantizer.embedding.weight.clone()
                model(values[part], mask[part])
                assert torch.equal(before, model.quantizer.embedding.weight) == model.quantizer.accumulating
            books.append(model.quantizer.embedding.weight.clone())
        return books

    (whole,) = in_processes(lambda: codebooks(slice(0, 6)))
    (in_parts,) = in_processes(lambda: codebooks(slice(0, 1), slice(1, 4), slice(4, 6)))
    for book, expected in zip(in_parts, whole, strict=True):
        torch.testing.assert_close(book, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(whole[0], whole[-1], atol=1e-3)


def test_the_codebook_of_several_processes_is_that_of_one():
    """Padded clips, moving averages, and restarts that are drawn from the latents of all processes."""
    config = MotionVQConfig(hidden_size=8, codebook_size=24, num_decoder_blocks=1, reset_threshold=0.5)
    values = torch.randn(6, 24, 263, generator=torch.Generator().manual_seed(1)).cumsum(1)
    lengths = torch.tensor([24, 8, 12, 4, 20, 16])
    mask = (torch.arange(24) < lengths[:, None]).long()

    def codebooks():
        accelerator = Accelerator()
        torch.manual_seed(0)
        model = MotionVQModel(config).train()
        part = slice(None, 4) if accelerator.process_index == 0 else slice(4, None)
        part = part if accelerator.num_processes > 1 else slice(None)
        books = []
        for _ in range(5):
            model(values[part], mask[part])
            books.append(model.quantizer.embedding.weight.clone())
        return books

    (one,) = in_processes(codebooks)
    for books in in_processes(codebooks, 2):
        for book, expected in zip(books, one, strict=True):
            torch.testing.assert_close(book, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(one[0], one[-1], atol=1e-3)


def test_feet_that_slide_while_the_real_ones_stand():
    joints, _ = make_toy_clip("walk", np.random.default_rng(0))
    real = torch.from_numpy(joints_to_features(joints, HUMANML3D)).float()[None]
    mask = torch.ones(real.shape[:2], dtype=torch.bool)
    speed, contacts = foot_sliding(real, real, mask, HUMANML3D)
    assert contacts == (real[:, :-1, -4:] > 0.5).sum()
    assert speed < 0.3

    sliding = real.clone().requires_grad_()
    faster = sliding + torch.zeros(263).index_fill(0, torch.tensor([2]), 0.05)  # 1 m/s forwards
    speed_of_faster, _ = foot_sliding(faster, real, mask, HUMANML3D)
    assert abs(speed_of_faster - 1) < 0.3
    speed_of_faster.backward()
    assert sliding.grad.isfinite().all() and sliding.grad[..., :3].abs().sum() > 0

    mask[:, 10:] = False  # padding does not count
    speed, contacts = foot_sliding(real, real, mask, HUMANML3D)
    assert contacts == (real[:, :9, -4:] > 0.5).sum()
    nobody = torch.zeros_like(mask)
    assert foot_sliding(real, real, nobody, HUMANML3D) == (0, 0)
