# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The parts of the text-to-motion model: the state between steps, skipped tokens, layers that are replaced."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_modeling_text_to_motion import ATTENTIONS, BOM, tiny_model, tiny_text
from torch import nn

from tm2t_hf import TextToMotionConfig
from tm2t_hf.layers_text_to_motion import MotionDecoder, RecurrentCache, TextAttention


def motions(rows, tokens=6):
    motion = torch.randint(0, 12, (rows, tokens), generator=torch.Generator().manual_seed(1))
    motion[:, 0] = BOM
    return motion


@pytest.fixture(params=[(attention, layers) for attention in ATTENTIONS for layers in (1, 2)], ids=str)
def model(request):
    attention, layers = request.param
    return tiny_model(attention=attention, num_layers=layers)


# ---- the cache ------------------------------------------------------------------------------------------------------

CHANGES = {
    "reorder": (lambda cache: cache.reorder_cache(torch.tensor([2, 0, 0])), [2, 0, 0]),
    "select": (lambda cache: cache.batch_select_indices(torch.tensor([1])), [1]),
    "select by mask": (lambda cache: cache.batch_select_indices(torch.tensor([True, False, True])), [0, 2]),
    "repeat": (lambda cache: cache.batch_repeat_interleave(2), [0, 0, 1, 1, 2, 2]),
    "crop nothing": (lambda cache: cache.crop(0), [0, 1, 2]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_rows_of_a_cache(model, change):
    change, rows = CHANGES[change]
    ids, mask = tiny_text([5, 2, 7])
    motion = motions(3)
    cache = model(ids, mask, motion[:, :4]).past_key_values
    change(cache)
    step = model(ids[rows], mask[rows], motion[rows, 4:], past_key_values=cache)
    expected = model(ids[rows], mask[rows], motion[rows]).logits[:, 4:]
    torch.testing.assert_close(step.logits, expected, atol=1e-5, rtol=1e-5)


def test_a_cache_moves_along_and_copies_stay(model):
    ids, mask = tiny_text([5, 2])
    motion, cache = motions(2), RecurrentCache()
    expected = model(ids, mask, motion).logits
    pieces = [model(ids, mask, motion[:, :3], past_key_values=cache).logits]
    kept = copy.deepcopy(cache)
    pieces += [model(ids, mask, motion[:, i : i + 1], past_key_values=cache).logits for i in range(3, 6)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected, atol=1e-5, rtol=1e-5)
    assert (cache.seen, kept.seen) == (6, 3)
    rest = model(ids, mask, motion[:, 3:], past_key_values=kept, use_cache=False)
    assert rest.past_key_values is None and kept.seen == 3
    torch.testing.assert_close(rest.logits, expected[:, 3:], atol=1e-5, rtol=1e-5)
    cache.reset()
    assert cache.get_seq_length() == 0
    again = model(ids, mask, motion, past_key_values=cache)
    torch.testing.assert_close(again.logits, expected)
    assert again.past_key_values is cache and repr(cache) == f"RecurrentCache(seen=6, state=({len(cache)}, 2, 8))"


def test_a_cache_belongs_to_its_texts(model):
    """To generate(), too: the texts may stand in another batch, but not in another order."""
    ids, mask = tiny_text([5, 2, 7])
    motion = motions(3)
    cache = model(ids, mask, motion[:, :4]).past_key_values
    other = ids.clone()
    other[1, 1] = (ids[1, 1] + 1) % 20 + 1
    for wrong in ((other, mask), (ids[[1, 0, 2]], mask[[1, 0, 2]])):
        with pytest.raises(ValueError, match="`past_key_values` comes from another text or motion"):
            model(*wrong, motion[:, 4:], past_key_values=copy.deepcopy(cache))
        with pytest.raises(ValueError, match="`past_key_values` comes from another text or motion"):
            model.generate(
                wrong[0], attention_mask=wrong[1], decoder_input_ids=motion, past_key_values=copy.deepcopy(cache)
            )
    cache.batch_select_indices(torch.tensor([1]))
    model(ids[1:2, :2], mask[1:2, :2], motion[1:2, 4:], past_key_values=cache)


def test_gradients_reach_through_a_copied_cache():
    model = tiny_model()
    ids, mask = tiny_text([5, 2])
    cache = copy.deepcopy(model(ids, mask, motions(2)[:, :3]).past_key_values)
    model(ids, mask, motions(2)[:, 3:], past_key_values=cache).logits.sum().backward()
    assert model.decoder.initial_state.weight.grad.abs().sum() > 0


def test_what_a_cache_cannot_do():
    model = tiny_model()
    ids, mask = tiny_text([5, 2])
    cache = model(ids, mask, motions(2)).past_key_values
    for removed in (-1, 3):
        with pytest.raises(ValueError, match="cannot go back to an earlier token"):
            cache.crop(removed)
    with pytest.raises(NotImplementedError, match="no keys and values"):
        cache.update(torch.zeros(1), torch.zeros(1), 0)
    with pytest.raises(ValueError, match="holds 2 motions, but there are 1 texts"):
        model(ids[:1], mask[:1], motions(1), past_key_values=cache)
    with pytest.raises(ValueError, match="got a tuple"):
        model(ids, mask, motions(2), past_key_values=((),))


# ---- tokens that are skipped ----------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    shown=st.lists(st.lists(st.booleans(), min_size=6, max_size=6).filter(any), min_size=1, max_size=3),
    attention=st.sampled_from(ATTENTIONS),
    num_layers=st.integers(1, 2),
    split=st.integers(0, 5),
)
def test_hidden_tokens_are_as_if_not_there(shown, attention, num_layers, split):
    """At the left, at the right, and in the middle; in one call or, with a cache, in two."""
    model = tiny_model(attention=attention, num_layers=num_layers)
    ids, mask = tiny_text([4] * len(shown))
    motion, shown = motions(len(shown)), torch.tensor(shown)
    logits, states = [], None
    if split:
        first = model(ids, mask, motion[:, :split], decoder_attention_mask=shown[:, :split])
        logits, states = [first.logits], first.past_key_values
    last = model(ids, mask, motion[:, split:], decoder_attention_mask=shown, past_key_values=states)
    logits = torch.cat([*logits, last.logits], dim=1)
    for i, row in enumerate(shown):
        alone = model(ids[i : i + 1], mask[i : i + 1], motion[i : i + 1, row])
        torch.testing.assert_close(logits[i, row], alone.logits[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            last.past_key_values.state[:, i], alone.past_key_values.state[:, 0], atol=1e-5, rtol=1e-5
        )


def test_masks_that_do_not_fit():
    model = tiny_model()
    ids, mask = tiny_text([5, 2])
    with pytest.raises(ValueError, match=r"`decoder_attention_mask` is \(2, 5\), but the decoder reads \(2, 6\)\."):
        model(ids, mask, motions(2), decoder_attention_mask=torch.ones(2, 5))
    cache = model(ids, mask, motions(2)).past_key_values
    with pytest.raises(ValueError, match=r"reads \(2, 6\) after 6 tokens"):
        model(ids, mask, motions(2), decoder_attention_mask=torch.ones(2, 7), past_key_values=cache)
    with pytest.raises(ValueError, match="feeds the model's own ids"):
        hidden = torch.tensor([[1] * 6, [1] * 5 + [0]])
        model(ids, mask, motions(2), decoder_attention_mask=hidden, teacher_forcing=False)


# ---- what the model hands out ---------------------------------------------------------------------------------------


def test_hidden_states_and_attention(model):
    ids, mask = tiny_text([5, 2])
    motion, layers = motions(2), model.config.num_layers
    output = model(ids, mask, motion, output_hidden_states=True, output_attentions=True)
    torch.testing.assert_close(output.logits, model(ids, mask, motion).logits, atol=1e-5, rtol=1e-5)
    assert torch.equal(output.decoder_hidden_states[0], model.decoder.embed_tokens(motion))
    assert [tuple(states.shape) for states in output.decoder_hidden_states] == [(2, 6, 8)] * (layers + 1)
    last = torch.stack([states[:, -1] for states in output.decoder_hidden_states[1:]])
    torch.testing.assert_close(last, output.past_key_values.state, atol=1e-5, rtol=1e-5)
    assert torch.equal(output.encoder_hidden_states[-1], output.encoder_last_hidden_state)
    (weights,) = output.cross_attentions
    assert weights.shape == (2, 1, 6, 5) and (weights[1, ..., 2:] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 1, 6))
    cache, steps = None, []  # one token after the other gives the same weights
    for token in motion.unbind(1):
        step = model(ids, mask, token[:, None], past_key_values=cache, output_attentions=True)
        cache = step.past_key_values
        steps.append(step.cross_attentions[0])
    torch.testing.assert_close(torch.cat(steps, dim=2), weights, atol=1e-5, rtol=1e-5)


def test_motion_as_embeddings(model):
    ids, mask = tiny_text([5, 2])
    embeddings = model.decoder.embed_tokens(motions(2))
    expected = model(ids, mask, motions(2)).logits
    torch.testing.assert_close(model(ids, mask, decoder_inputs_embeds=embeddings).logits, expected)
    with pytest.raises(ValueError, match="either as `decoder_input_ids` or as `decoder_inputs_embeds`"):
        model(ids, mask, motions(2), decoder_inputs_embeds=embeddings)
    for wrong in (motions(3), motions(2)[:, :0]):
        with pytest.raises(ValueError, match="must be of 2 motions, one for each text, with at least one token"):
            model(ids, mask, wrong)


# ---- layers that are replaced ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["query", "key", "value", "output"])
def test_every_projection_of_the_attention_is_called(model, part):
    """Adapters and quantized layers take the place of a layer and give its output; its weight means nothing then."""
    ids, mask = tiny_text([5, 2])
    layer = getattr(model.encoder.attention, part)
    with torch.no_grad():
        nn.init.normal_(layer.weight)
        wanted = copy.deepcopy(model)
        getattr(wanted.encoder.attention, part).weight.mul_(3)

    class Adapted(nn.Module):
        out_features = layer.out_features

        def forward(self, inputs):
            return 3 * nn.functional.linear(inputs, layer.weight) + (0 if layer.bias is None else layer.bias)

    setattr(model.encoder.attention, part, Adapted())
    expected = wanted(ids, mask, motions(2)).logits
    torch.testing.assert_close(model(ids, mask, motions(2)).logits, expected, atol=1e-4, rtol=1e-4)


def test_a_hook_on_the_query_is_called(model):
    """Without one, the query's projection is part of the keys."""
    ids, mask = tiny_text([5, 2])
    expected, calls = model(ids, mask, motions(2)).logits, []
    model.encoder.attention.query.register_forward_hook(lambda *_: calls.append(1))
    torch.testing.assert_close(model(ids, mask, motions(2)).logits, expected, atol=1e-5, rtol=1e-5)
    assert calls


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kinds", [{nn.Linear}, None])
def test_dynamic_int8(model, kinds):
    ids, mask = tiny_text([5, 2])
    exact = model(ids, mask, motions(2)).logits
    quantized = torch.ao.quantization.quantize_dynamic(model, kinds, dtype=torch.qint8)
    assert "dynamic" in type(quantized.encoder.attention.query).__module__
    assert (quantized(ids, mask, motions(2)).logits - exact).abs().max() < 0.3 * exact.abs().max()
    assert quantized.generate(ids, attention_mask=mask, num_beams=2).shape[0] == 2


def test_halves_of_a_layer_are_initialized_as_one():
    """Xavier's standard deviation for the whole layer, of twice the input size."""
    model = tiny_model(motion_hidden_size=128, text_hidden_size=128)
    for layer, size in (
        (model.encoder.attention.output, 3 * 128),
        (model.decoder.mix, 3 * 128),
        (model.encoder.attention.query, 2 * 128),
    ):
        assert layer.weight.std().item() == pytest.approx((2 / size) ** 0.5, rel=0.03)


# ---- embeddings that are projected once ----------------------------------------------------------------------------


VOCABULARY = 15  # codes and special ids


def learned(model, teacher_forcing=True):
    """Loss and gradients of 18 motion tokens."""
    model.zero_grad()
    loss = model(*tiny_text([5, 2, 3]), labels=motions(3).roll(-1, 1), teacher_forcing=teacher_forcing).loss
    loss.backward()
    return loss.detach(), [weight.grad for weight in model.parameters() if weight.requires_grad]


@pytest.mark.parametrize("teacher_forcing", [True, False])
def test_embeddings_are_projected_once_for_many_tokens(monkeypatch, teacher_forcing):
    """That of every id, where more ids are read than there are; loss and gradients stay what they are."""
    model = tiny_model(attention="early").train()
    assert model.decoder._projects_all(18) and not model.decoder._projects_all(VOCABULARY)
    found = learned(model, teacher_forcing)
    monkeypatch.setattr(MotionDecoder, "_projects_all", lambda *arguments: False)
    torch.testing.assert_close(found, learned(model, teacher_forcing), atol=1e-6, rtol=1e-5)


class Wrapped(nn.Module):
    """A layer in another one, as adapters have it."""

    def __init__(self, layer):
        super().__init__()
        self.base_layer = layer

    @property
    def weight(self):
        return self.base_layer.weight

    def forward(self, inputs):
        return self.base_layer(inputs)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.train(),
        lambda model: model.decoder.dropout.train(),  # Monte Carlo dropout
        lambda model: setattr(model.decoder, "dropout", nn.Identity()),
        lambda model: setattr(model.decoder.embed_tokens, "padding_idx", 5),
        lambda model: setattr(model.decoder.embed_tokens, "max_norm", 1.0),
        lambda model: setattr(model.decoder.embed_tokens, "sparse", True),
        lambda model: setattr(model.decoder.embed_tokens, "scale_grad_by_freq", True),
        lambda model: setattr(model.decoder, "embed_tokens", Wrapped(model.decoder.embed_tokens)),
        lambda model: setattr(model.decoder, "mix", Wrapped(model.decoder.mix)),
    ],
)
def test_embeddings_that_differ_from_token_to_token(change):
    model = tiny_model(attention="early", dropout=0.5)
    assert model.decoder._projects_all(18)
    change(model)
    assert not model.decoder._projects_all(18)
    learned(model)


@pytest.mark.parametrize("name", ["embed_tokens", "mix", "dropout"])
def test_hooks_see_every_token(name):
    model, seen, passed = tiny_model(attention="early"), [], []
    module = getattr(model.decoder, name)
    forward = module.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    learned(model)
    forward.remove()
    module.register_full_backward_hook(lambda module, inputs, outputs: passed.append(outputs[0].shape))
    learned(model)
    assert seen == passed == [(3, 6, 8)]


def test_embeddings_that_are_returned_have_a_gradient():
    model = tiny_model(attention="early")
    output = model(*tiny_text([5, 2, 3]), decoder_input_ids=motions(3), output_hidden_states=True)
    embeddings = output.decoder_hidden_states[0]
    embeddings.retain_grad()
    output.logits.square().sum().backward()
    assert embeddings.grad.abs().sum() > 0


def test_gradients_of_many_tokens_in_bfloat16():
    """The gradients of all tokens with one id add up: rounded at each of them, most of the sum would be lost."""
    model = tiny_model(attention="early")
    text = tiny_text([5] * 64)
    motion = torch.full((64, 50), 3)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        model.zero_grad()
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            model(*text, decoder_input_ids=motion, labels=motion).loss.backward()
        found.append(model.decoder.mix.weight.grad.clone())
    assert (found[1] - found[0]).norm() < 0.05 * found[0].norm()


@pytest.mark.parametrize("masked", [False, True])
def test_weights_are_joined_for_many_words(monkeypatch, masked):
    """Keys, values and their gradients are the same, whichever product comes first."""
    torch.manual_seed(0)
    attention = TextAttention(TextToMotionConfig(codebook_size=12, text_hidden_size=6, motion_hidden_size=10)).double()
    nn.init.normal_(attention.query.bias)
    nn.init.normal_(attention.value.bias)
    words, few = (torch.randn(2, number, 12, dtype=torch.double, requires_grad=True) for number in (6, 5))
    assert attention._joins(words) and not attention._joins(few)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2]) if masked else None
    results = []
    for joins in (True, False):
        monkeypatch.setattr(attention, "_joins", lambda words, joins=joins: joins)
        projected = attention.project(words, mask)
        loss = sum(
            (values.clamp(min=-99) * torch.arange(6.0)[:, None]).sum() for values in list(projected.values())[:2]
        )
        loss = loss + (projected["key_bias"].clamp(min=-99) * torch.arange(6.0)).sum()
        results.append([*projected.values(), *torch.autograd.grad(loss, [words, *attention.parameters()])])
    torch.testing.assert_close(*results)


def test_layers_that_have_to_be_called_are_not_joined():
    attention, calls = tiny_model().encoder.attention, []
    attention.value.register_forward_hook(lambda *arguments: calls.append(arguments))
    attention.project(torch.randn(20, 5, attention.value.in_features), None)
    assert len(calls) == 1
