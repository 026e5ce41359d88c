# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Products and embeddings in steps have the values and the gradients that autograd gives by itself."""

import pytest
import torch
from test_modeling_text_to_motion import ATTENTIONS, BOM, tiny_model, tiny_text
from torch.nn import functional as F

from tm2t_hf import layers_text_to_motion
from tm2t_hf.stepwise import (
    StepwiseEmbedding,
    StepwiseGRU,
    StepwiseProduct,
    StepwiseRowProduct,
    gru_step,
    with_gradients,
)

STEPS, BATCH, SIZE, OUT = 3, 2, 4, 5


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("of_each_row", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("taken", [1, STEPS])
def test_gradients_of_a_product(of_each_row, has_bias, taken):
    """Each step reads what the one before it gave; not all steps need to be taken."""
    rows = (BATCH,) if of_each_row else ()

    def run(inputs, matrix, *bias):
        bias = bias[0] if bias else None
        if of_each_row:
            product = StepwiseRowProduct(matrix, bias, STEPS)
        else:
            product = StepwiseProduct(matrix, bias, STEPS, BATCH)
        outputs = [product(inputs)]
        for _ in range(taken - 1):
            outputs.append(product(outputs[-1].tanh()))
        return torch.stack(outputs)

    def plain(inputs, matrix, *bias):
        outputs = []
        for _ in range(taken):
            product = torch.einsum("bi,bio->bo" if of_each_row else "bi,io->bo", inputs, matrix)
            outputs.append(product + bias[0] if bias else product)
            inputs = outputs[-1].tanh()
        return torch.stack(outputs)

    arguments = [numbers(BATCH, SIZE), numbers(*rows, SIZE, SIZE), *([numbers(*rows, SIZE)] if has_bias else [])]
    torch.testing.assert_close(run(*arguments), plain(*arguments))
    assert torch.autograd.gradcheck(run, arguments)


def test_a_matrix_that_is_not_square():
    matrix, inputs = numbers(SIZE, OUT), numbers(BATCH, SIZE)
    assert torch.autograd.gradcheck(lambda x, m: StepwiseProduct(m, None, 1, BATCH)(x), [inputs, matrix])


def test_a_product_of_fewer_rows_at_each_step():
    arguments = [numbers(3, SIZE), numbers(SIZE, SIZE), numbers(SIZE)]

    def run(inputs, matrix, bias):
        product = StepwiseProduct(matrix, bias, 3, [3, 2, 2])
        outputs = [product(inputs)]
        outputs.append(product(outputs[-1][:2].tanh()))
        return torch.cat([*outputs, product(outputs[-1].tanh())])

    assert torch.autograd.gradcheck(run, arguments)


@pytest.mark.parametrize("taken", [1, STEPS])
def test_the_steps_of_a_gru(taken):
    """Inputs depend on the states, and not all steps need to be taken."""
    cell = torch.nn.GRUCell(SIZE, SIZE).double()
    arguments = [numbers(BATCH, SIZE), numbers(BATCH, SIZE), *cell.parameters()]

    def run(inputs, state, of_input, of_state, input_bias, state_bias):
        move, states = StepwiseGRU(of_state.t(), state_bias, STEPS, BATCH), [state]
        for _ in range(taken):
            states.append(move(F.linear(inputs * states[-1], of_input, input_bias), states[-1]))
        return torch.stack(states)

    expected = [arguments[1]]
    for _ in range(taken):
        expected.append(cell(arguments[0] * expected[-1], expected[-1]))
    torch.testing.assert_close(run(*arguments), torch.stack(expected))
    assert torch.autograd.gradcheck(run, arguments)


def test_a_step_of_a_gru_without_gradients():
    cell, inputs, state = torch.nn.GRUCell(SIZE, SIZE).double(), numbers(BATCH, SIZE), numbers(BATCH, SIZE)
    parts = F.linear(inputs, cell.weight_ih, cell.bias_ih), F.linear(state, cell.weight_hh, cell.bias_hh)
    torch.testing.assert_close(gru_step(*parts, state), cell(inputs, state))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_gru_under_autocast_keeps_the_type_of_its_state(dtype):
    matrix, of_input = numbers(SIZE, 3 * SIZE).float(), torch.randn(BATCH, 3 * SIZE, dtype=dtype, requires_grad=True)
    state = torch.randn(BATCH, SIZE, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        moved = StepwiseGRU(matrix, None, 1, BATCH)(of_input, state)
    assert moved.dtype == torch.float32
    gradients = torch.autograd.grad(moved.sum(), [matrix, of_input, state])
    assert [gradient.dtype for gradient in gradients] == [torch.float32, dtype, torch.float32]
    expected = torch.autograd.grad(gru_step(of_input.float(), state @ matrix, state).sum(), [matrix, of_input, state])
    for own, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(own.float(), other.float(), atol=0.05, rtol=0.05)


def test_gradients_of_an_embedding():
    table, ids = numbers(6, SIZE), torch.tensor([[1, 1], [5, 0], [1, 2]])

    def run(table):
        embed = StepwiseEmbedding(table, STEPS, BATCH)
        return torch.stack([embed(row) for row in ids])

    assert torch.equal(run(table), F.embedding(ids, table))
    assert torch.autograd.gradcheck(run, [table])


def test_gradients_may_be_asked_for_twice():
    """What a step leaves behind is not counted again by another backward pass, or by one that the matrix is not in."""
    matrix, inputs = numbers(SIZE, SIZE), numbers(BATCH, SIZE)
    product = StepwiseProduct(matrix, None, STEPS, BATCH)
    output = product(product(inputs)).sum()
    torch.autograd.grad(output, inputs, retain_graph=True)
    first, second = (torch.autograd.grad(output, matrix, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    torch.testing.assert_close(first, torch.autograd.grad((inputs @ matrix @ matrix).sum(), matrix)[0])


def test_autocast_multiplies_in_its_own_type():
    matrix, inputs = torch.randn(SIZE, OUT, requires_grad=True), torch.randn(BATCH, SIZE)
    with torch.autocast("cpu", torch.bfloat16):
        product = StepwiseProduct(matrix, None, 1, BATCH)(inputs)
        assert product.dtype == torch.bfloat16 and torch.equal(product, inputs @ matrix)
    product.float().sum().backward()
    assert matrix.grad.dtype == torch.float32


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("teacher_forcing", [True, False])
def test_the_model_learns_as_by_plain_autograd(monkeypatch, attention, num_layers, teacher_forcing):
    model = tiny_model(attention=attention, num_layers=num_layers)
    ids, mask = tiny_text([5, 2])
    labels = torch.tensor([[3, 4, 5, 1, BOM + 1], [1, 2, BOM + 1, -100, -100]])
    found = []
    for learns in (layers_text_to_motion.learns_in_steps, lambda *weights: False):
        monkeypatch.setattr(layers_text_to_motion, "learns_in_steps", learns)
        model.zero_grad()
        loss = model(ids, mask, labels=labels, teacher_forcing=teacher_forcing).loss
        loss.backward()
        found.append((loss.detach(), [weight.grad for weight in model.parameters() if weight.requires_grad]))
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-5)
    assert all(gradient.abs().sum() > 0 for gradient in found[0][1])


def test_gradients_of_a_product_that_is_known():
    inputs, weight = numbers(2, 3, SIZE), numbers(OUT, SIZE)

    def run(inputs, weight):
        return with_gradients((inputs @ weight.t()).detach(), inputs, weight, None)

    torch.testing.assert_close(run(inputs, weight), F.linear(inputs, weight))
    product = (inputs @ weight.t()).sin().sum()
    expected = torch.autograd.grad(product, [inputs, weight])
    found = torch.autograd.grad(run(inputs, weight).sin().sum(), [inputs, weight])
    torch.testing.assert_close(found, expected)
