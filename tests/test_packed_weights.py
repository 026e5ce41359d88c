# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Packed weights give what the weights give, and are used where they may be, and nowhere else."""

import copy
import threading

import pytest
import torch
from test_modeling_motion_to_text import motion_ids
from test_modeling_motion_to_text import tiny_model as tiny_m2t
from test_modeling_text_to_motion import tiny_model as tiny_t2m
from test_modeling_text_to_motion import tiny_text
from torch import nn
from torch.nn import functional as F

from tm2t_hf import packed_weights
from tm2t_hf.packed_weights import PackedWeight, is_plain, packed
from tm2t_hf.stepwise import StepwiseProduct

needs_mkl = pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this torch is built without MKL")
needs_bfloat16 = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()),
    reason="this processor has no bfloat16",
)
SIZE, OUT, ROWS = 300, 260, 16  # large enough to be packed


@pytest.fixture
def weight():
    return torch.randn(OUT, SIZE, generator=torch.Generator().manual_seed(0))


def assert_close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


# ---- one weight -----------------------------------------------------------------------------------------------------


@needs_mkl
@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1), (ROWS + 1,), (2, ROWS, 3), (1,)])
@pytest.mark.parametrize("bias", [None, torch.randn(OUT)])
def test_values(weight, shape, bias):
    """Also of other rows than those that it was packed for."""
    product = PackedWeight(weight, bias, ROWS, 50)
    assert product.packed is not None
    inputs = torch.randn(*shape, SIZE)
    assert_close(product(inputs), F.linear(inputs, weight, bias))


@needs_bfloat16
@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1), (ROWS + 1,), (2, ROWS, 3), (1,)])
@pytest.mark.parametrize("bias", [None, torch.randn(OUT).bfloat16()])
@pytest.mark.parametrize("autocast", [False, True])
def test_values_in_bfloat16(weight, shape, bias, autocast):
    weight, inputs = weight.bfloat16(), torch.randn(*shape, SIZE).bfloat16()
    product = PackedWeight(weight, bias, ROWS, 50)
    assert product.packed is not None
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = product(inputs)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, F.linear(inputs, weight, bias))


@needs_mkl
def test_inputs_and_weights_that_do_not_lie_in_order(weight):
    product = PackedWeight(weight.t().contiguous().t(), None, ROWS, 50)
    inputs = torch.randn(SIZE, ROWS).t()
    assert product.packed is not None
    assert_close(product(inputs), F.linear(inputs, weight))


@pytest.mark.parametrize(
    ("change", "rows", "uses"),
    [
        (lambda weight: weight, 2, 50),
        (lambda weight: weight, 1000, 50),
        (lambda weight: weight, ROWS, 1),
        (lambda weight: weight[:20], ROWS, 50),
        (lambda weight: weight.half(), ROWS, 50),
        (lambda weight: weight.double(), ROWS, 50),
        (lambda weight: weight.to("meta"), ROWS, 50),
        (nn.Parameter, ROWS, 50),
    ],
)
def test_what_is_not_packed(weight, change, rows, uses):
    weight = change(weight)
    product = PackedWeight(weight, None, rows, uses)
    assert product.packed is None
    inputs = torch.randn(rows, SIZE, dtype=weight.dtype, device=weight.device)
    assert product(inputs).shape == (rows, len(weight))


def test_a_machine_without_mkl(weight, monkeypatch):
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    product, inputs = PackedWeight(weight, None, ROWS, 50), torch.randn(ROWS, SIZE)
    assert product.packed is None and torch.equal(product(inputs), F.linear(inputs, weight))


@needs_mkl
def test_inputs_get_their_gradient(weight):
    product, inputs = PackedWeight(weight, None, ROWS, 50), torch.randn(ROWS, SIZE, requires_grad=True)
    product(inputs).sum().backward()
    assert_close(inputs.grad, weight.sum(0).expand(ROWS, -1))


@needs_mkl
def test_autocast_multiplies_in_its_own_type(weight):
    product, inputs = PackedWeight(weight, None, ROWS, 50), torch.randn(ROWS, SIZE)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(product(inputs), F.linear(inputs, weight))


@needs_mkl
def test_gradients_of_products_in_steps():
    """A weight that learns is packed for the products of its steps, and gets the gradient of autograd."""
    weight = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(0)) / SIZE**0.5
    bias, first = torch.randn(SIZE), torch.randn(ROWS, SIZE)

    def run(multiply):
        inputs, results = first, []
        for _ in range(5):
            inputs = multiply(inputs).tanh()
            results.append(inputs)
        return torch.stack(results).square().sum()

    arguments = [weight.requires_grad_(), bias.requires_grad_(), first.requires_grad_()]
    product = StepwiseProduct(weight.t(), bias, 5, ROWS)
    assert product.multiply.packed is not None
    found = torch.autograd.grad(run(product), arguments)
    expected = torch.autograd.grad(run(lambda inputs: F.linear(inputs, weight, bias)), arguments)
    assert_close(found, expected)


# ---- layers of a model ----------------------------------------------------------------------------------------------


class Watched(nn.Linear):
    """A linear layer that is something else, too."""


@needs_mkl
@torch.no_grad()
def test_layers_are_packed_for_a_while():
    layers = nn.Sequential(nn.Linear(SIZE, SIZE), nn.Linear(SIZE, 4), Watched(SIZE, SIZE), nn.Linear(SIZE, SIZE))
    layers[3].register_forward_hook(lambda *arguments: None)
    inputs = torch.randn(ROWS, SIZE)
    before = layers[0](inputs)
    with pytest.raises(RuntimeError, match="stop"), packed(layers, rows=ROWS, uses=50):
        assert [isinstance(vars(layer).get("forward"), PackedWeight) for layer in layers] == [True, *[False] * 3]
        assert_close(layers[0](inputs), before)
        raise RuntimeError("stop")
    assert all(is_plain(layer) for layer in layers[:2])
    assert torch.equal(layers[0](inputs), before)


@needs_mkl
@torch.no_grad()
def test_layers_that_two_threads_use():
    layer, inputs, packings, end = nn.Linear(SIZE, SIZE), torch.randn(ROWS, SIZE), [], threading.Event()

    def other():
        with packed(layer, rows=2 * ROWS, uses=50):
            packings.append(vars(layer).get("forward"))
            end.wait(10)

    before = layer(inputs)
    with packed(layer, rows=ROWS, uses=50):
        thread = threading.Thread(target=other)
        thread.start()
        assert_close(layer(inputs), before)
    assert torch.equal(layer(inputs), before)
    end.set()
    thread.join()
    assert packings[0].rows == ROWS, "the first packing stays until its owner is done"
    assert is_plain(layer)


@needs_mkl
def test_layers_that_learn_are_not_packed():
    layer = nn.Linear(SIZE, SIZE)
    with packed(layer, rows=ROWS, uses=50):
        layer(torch.randn(ROWS, SIZE)).sum().backward()
    assert layer.weight.grad.abs().sum() > 0


# ---- models ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch):
    """What was packed."""
    found, start = [], PackedWeight.__init__

    def count(self, *arguments):
        start(self, *arguments)
        if self.packed is not None:
            found.append(self)

    monkeypatch.setattr(PackedWeight, "__init__", count)
    return found


def without_packing(monkeypatch):
    monkeypatch.setattr(packed_weights, "_can_be_packed", lambda weight: False)


@needs_mkl
@pytest.mark.parametrize("attention", ["early", "late"])
@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=needs_bfloat16)])
def test_motions_are_the_same(monkeypatch, counted, attention, dtype):
    model = tiny_t2m(attention=attention, motion_hidden_size=256).to(dtype)
    ids, mask = tiny_text([5, 2] * 8)
    options = {"attention_mask": mask, "do_sample": True, "max_new_tokens": 8, "min_new_tokens": 8}
    torch.manual_seed(0)
    found = model.generate(ids, **options)
    assert len(counted) == 2, "input and state of the GRU (the vocabulary is too small)"
    without_packing(monkeypatch)
    torch.manual_seed(0)
    assert torch.equal(found, model.generate(ids, **options))


@needs_mkl
@pytest.mark.parametrize("num_beams", [1, 2])
def test_captions_are_the_same(monkeypatch, counted, num_beams):
    model = tiny_m2t(d_model=256, decoder_attention_heads=4, encoder_attention_heads=4)
    ids = motion_ids([[3, 1, 4], [9, 2]] * 8)
    options = {"num_beams": num_beams, "max_new_tokens": 8, "output_logits": True, "return_dict_in_generate": True}
    found = model.generate(ids, **options)
    layers = [layer for layer in model.model.decoder.modules() if is_plain(layer)]
    large = [layer for layer in layers if layer.weight.numel() >= packed_weights.LEAST_WEIGHTS]
    assert len(counted) == len(large) > 0
    without_packing(monkeypatch)
    expected = model.generate(ids, **options)
    assert torch.equal(found.sequences, expected.sequences)
    assert_close(torch.stack(found.logits), torch.stack(expected.logits))


@needs_mkl
@pytest.mark.parametrize("attention", ["early", "late"])
@pytest.mark.parametrize("teacher_forcing", [True, False])
def test_the_model_learns_the_same(monkeypatch, counted, attention, teacher_forcing):
    model = tiny_t2m(attention=attention, motion_hidden_size=256).train()
    ids, mask = tiny_text([5, 2] * 8)
    labels = torch.randint(0, 12, (16, 6), generator=torch.Generator().manual_seed(0))
    found = []
    for _ in range(2):
        model.zero_grad()
        loss = model(ids, mask, labels=labels, teacher_forcing=teacher_forcing).loss
        loss.backward()
        found.append((loss.detach(), [weight.grad for weight in model.parameters() if weight.requires_grad]))
        without_packing(monkeypatch)
    assert bool(counted) == (attention == "early" or not teacher_forcing)  # else torch's own GRU runs
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


@needs_mkl
def test_a_model_goes_on_learning_after_it_generated():
    """Nothing of a packing stays, so that new weights count, and the model can be copied and saved."""
    model = tiny_m2t(d_model=256, decoder_attention_heads=4, encoder_attention_heads=4)
    ids = motion_ids([[3, 1, 4], [9, 2]] * 8)
    model.generate(ids, max_new_tokens=8)
    with torch.no_grad():
        for weight in model.model.decoder.parameters():
            weight.mul_(-1)
    fresh = copy.deepcopy(model)
    assert not any("forward" in vars(module) for module in model.modules())
    assert torch.equal(model.generate(ids, max_new_tokens=8), fresh.generate(ids, max_new_tokens=8))
