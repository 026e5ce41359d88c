# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Packed weights give what the weights give, and are used where they may be, and nowhere else."""

import pytest
import torch
from test_modeling_text_to_motion import tiny_model as tiny_t2m
from test_modeling_text_to_motion import tiny_text
from torch import nn
from torch.nn import functional as F

from tm2t_hf import packed_weights
from tm2t_hf.packed_weights import PackedWeight, is_plain
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


@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="no bfloat16 products on this processor")
@pytest.mark.parametrize("rows", [1, 2, 12])
def test_bfloat16_is_packed_from_one_row_on(weight, rows):
    weight = weight.bfloat16()
    product, inputs = PackedWeight(weight, None, rows, 50), torch.randn(rows, 1, SIZE).bfloat16()
    assert product.packed is not None
    torch.testing.assert_close(product(inputs).float(), F.linear(inputs.float(), weight.float()), atol=0.5, rtol=0.02)


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


@needs_mkl
@pytest.mark.parametrize("learning", ["weight", "bias"])
def test_what_learns_gets_its_gradient(weight, learning):
    """Whether it was to learn from the start, or since then."""
    for since in (False, True):
        parts = {"weight": weight.clone(), "bias": torch.zeros(OUT)}
        if not since:
            parts[learning].requires_grad_()
        product = PackedWeight(parts["weight"], parts["bias"], ROWS, 50)
        assert (product.packed is not None) == since
        parts[learning].requires_grad_()
        product(torch.randn(ROWS, SIZE)).sum().backward()
        assert parts[learning].grad.abs().sum() > 0


@needs_mkl
def test_transforms_and_traces_see_the_product_itself(weight):
    def multiply(inputs):
        return PackedWeight(weight, None, ROWS, 50)(inputs)

    inputs = torch.randn(3, ROWS, SIZE)
    expected = F.linear(inputs, weight)
    traced = torch.jit.trace(multiply, inputs[0])
    assert "mkl" not in str(traced.graph)
    assert_close(traced(inputs[1]), expected[1])
    assert_close(torch.func.vmap(multiply)(inputs), expected)


@pytest.mark.parametrize(
    "watch",
    [
        lambda layer: layer.register_forward_hook(lambda *arguments: None),
        lambda layer: layer.register_forward_pre_hook(lambda *arguments: None),
        lambda layer: layer.register_full_backward_hook(lambda *arguments: None),
        lambda layer: layer.register_full_backward_pre_hook(lambda *arguments: None),
        lambda layer: setattr(layer, "forward", lambda inputs: inputs),
    ],
)
def test_layers_that_are_more_than_their_weights(watch):
    layer = nn.Linear(4, 4)
    assert is_plain(layer) and not is_plain(layer, nn.Embedding)
    watch(layer)
    assert not is_plain(layer)


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
def test_second_derivatives_through_a_frozen_model(monkeypatch, counted):
    """Steps of packed weights are differentiable once, so frozen weights are packed without gradients only."""
    model = tiny_t2m(attention="early", motion_hidden_size=256).requires_grad_(False)
    _, mask = tiny_text([5, 2] * 8)
    words = torch.randn(*mask.shape, 10, generator=torch.Generator().manual_seed(0), requires_grad=True)
    motion = torch.randint(0, 12, (16, 6), generator=torch.Generator().manual_seed(0))

    def product():
        logits = model(inputs_embeds=words, attention_mask=mask, decoder_input_ids=motion).logits
        (first,) = torch.autograd.grad(logits.square().mean(), words, create_graph=True)
        return torch.autograd.grad(first.square().sum(), words)[0]

    found = product()
    assert not counted
    without_packing(monkeypatch)
    assert torch.equal(found, product())


def test_a_head_with_a_bias():
    model = tiny_t2m(attention="early")
    model.lm_head = nn.Linear(8, model.config.vocab_size)
    with torch.no_grad():
        model.lm_head.bias[7] = 1e4
    ids, mask = tiny_text([5, 2])
    found = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=4)
    assert (found[:, 1:] == 7).all()


@needs_mkl
@pytest.mark.parametrize("teacher_forcing", [True, False])
def test_biases_that_learn_alone(teacher_forcing):
    """As in BitFit (Ben Zaken et al., 2022)."""
    model = tiny_t2m(attention="early", motion_hidden_size=256).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.split(".")[-1].startswith("bias"))
    ids, mask = tiny_text([5, 2] * 8)
    model(ids, mask, labels=torch.ones(16, 6, dtype=torch.long), teacher_forcing=teacher_forcing).loss.backward()
    learned = {name: bias.grad for name, bias in model.decoder.named_parameters() if bias.requires_grad}
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in learned.values())
