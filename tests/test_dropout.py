# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Our dropout drops the share that it is told, each value by itself, and Marian's layers are else as they were."""

import pytest
import test_modeling_motion_to_text as m2t
import test_modeling_text_to_motion_transformer as t2m
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.fx.experimental.proxy_tensor import make_fx

from tm2t_hf import layers_transformer
from tm2t_hf.dropout import dropout


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_share_and_mean(share, dtype):
    torch.manual_seed(0)
    dropped = dropout(torch.ones(1000, 1000, dtype=dtype), share).float()
    deviation = (share * (1 - share) / 1e6) ** 0.5
    assert abs((dropped == 0).float().mean() - share) < 5 * deviation + 1e-5
    assert dropped.unique().tolist() == [0, pytest.approx(1 / (1 - share), rel=0.01)]


def test_values_are_dropped_independently():
    torch.manual_seed(0)
    kept = (dropout(torch.ones(4000, 64), 0.5) > 0).float() - 0.5
    correlations = kept.T @ kept / len(kept) * 4 - torch.eye(64)
    assert correlations.abs().max() < 0.08  # 5 deviations
    shifted = (kept.flatten()[:-1] * kept.flatten()[1:]).mean() * 4
    assert abs(shifted) < 0.01


@settings(max_examples=30, deadline=None)
@given(shape=st.lists(st.integers(0, 5), max_size=4), seed=st.integers(0, 99), share=st.sampled_from([0.0, 0.3, 1.0]))
def test_any_shape_and_repeated_by_the_seed(shape, seed, share):
    values = torch.randn(shape).requires_grad_()
    torch.manual_seed(seed)
    first = dropout(values, share)
    torch.manual_seed(seed)
    assert first.shape == values.shape and torch.equal(first, dropout(values, share))
    first.sum().backward()
    scale = 0.0 if share == 1 else 1 / (1 - share)
    torch.testing.assert_close(values.grad, (first != 0).float() * scale, atol=1e-4, rtol=1e-4)


def test_shares_that_are_none_are_refused():
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1"):
        dropout(torch.ones(3), 1.5)


def test_other_orders_in_memory():
    values = torch.randn(6, 5, 4).permute(2, 0, 1)
    dropped = dropout(values, 0.5)
    assert torch.equal(dropped[dropped != 0], (values * 2)[dropped != 0])


def m2t_model():
    model = m2t.tiny_model()
    with torch.no_grad():  # else rounding grows from layer to layer
        for parameter in model.parameters():
            parameter.mul_(0.4)
    return model


def m2t_run(model):
    ids = m2t.motion_ids([[3, 1, 4, 1, 5], [9, 2]])
    return model(input_ids=ids, labels=torch.tensor([[5, 6, 7, 2], [8, 2, -100, -100]]))


def t2m_run(model):
    ids, mask = t2m.tiny_text([5, 2])
    return model(ids, mask, labels=torch.tensor([[3, 4, 5, 13], [7, 13, -100, -100]]))


MODELS = [(m2t_model, m2t_run), (t2m.tiny_model, t2m_run)]


@pytest.mark.parametrize(("new_model", "run"), MODELS)
@pytest.mark.parametrize("autocast", [False, True])
def test_layers_without_dropout_are_those_of_marian(monkeypatch, new_model, run, autocast):
    monkeypatch.setattr(layers_transformer, "dropout", lambda values, share: values)
    found = []
    for training in (False, True):  # in eval mode, they are Marian's
        model = new_model().train(training)
        for module in model.modules():
            if isinstance(module, layers_transformer.TransformerAttention):
                module.dropout = 0.5
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = run(model)
        output.loss.backward()
        gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
        found.append((output.logits.float(), gradients))
    found[1][1].pop("model.encoder.residual_projection.weight", None)  # in training, it always has a gradient
    tolerance = {"atol": 0.05, "rtol": 0.1} if autocast else {"atol": 1e-5, "rtol": 1e-4}
    torch.testing.assert_close(*found, **tolerance)


@pytest.mark.parametrize(("new_model", "run"), MODELS)
def test_training_drops_and_eval_does_not(new_model, run):
    model = new_model()
    assert torch.equal(run(model).logits, run(model).logits)
    model.train()
    torch.manual_seed(0)
    first = run(model).logits
    second = run(model).logits
    torch.manual_seed(0)
    again = run(model).logits
    assert torch.equal(first, again) and not torch.allclose(first, second)


@pytest.mark.parametrize("part", ["attention_dropout", "dropout", "activation_dropout"])
def test_each_dropout_of_the_configuration_counts(part):
    shares = dict.fromkeys(("attention_dropout", "dropout", "activation_dropout"), 0.0)
    model = m2t.tiny_model(**shares | {part: 0.4}).train()
    assert not torch.allclose(m2t_run(model).logits, m2t_run(model).logits)
    model = m2t.tiny_model(**shares).train()
    assert torch.equal(m2t_run(model).logits, m2t_run(model).logits)


def test_checkpointed_layers_drop_the_same_again():
    """Gradients of layers that are computed a second time are those of one pass."""
    found = []
    for checkpointing in (False, True):
        model = m2t.tiny_model(dropout=0.3, attention_dropout=0.3).train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        torch.manual_seed(0)
        m2t_run(model).loss.backward()
        found.append({name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None})
    torch.testing.assert_close(*found)


def test_what_sees_nothing_gets_nothing():
    """As in torch's attention."""
    model = m2t_model()
    attention = model.model.encoder.layers[0].self_attn
    hidden, mask = torch.randn(2, 3, model.config.d_model), torch.ones(2, 1, 3, 3, dtype=torch.bool)
    mask[1, :, 2] = False
    found = []
    for training in (False, True):
        attention.train(training).dropout = 1e-9  # which rounds to none
        found.append(attention(hidden, attention_mask=mask)[0])
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


def test_tracing():
    traced = make_fx(lambda values: dropout(values, 0.5))(torch.ones(4, 8))
    assert (traced(torch.ones(40, 80)[:4, :8]) == 0).any()
