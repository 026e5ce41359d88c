# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The short beam search finds what that of transformers finds, and leaves to it what it does not do."""

import threading

import pytest
import test_modeling_motion_to_text as m2t
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache, EncoderDecoderCache, StoppingCriteria

from tm2t_hf import MotionToTextModel
from tm2t_hf.beam_steps import BeamSteps
from tm2t_hf.beams import ShortBeamsMixin

STEPS = 12


@pytest.fixture
def taken(monkeypatch):
    """Whether each short search that began found something."""
    answers, search = [], ShortBeamsMixin._search_by_steps

    def ask(self, *args, **kwargs):
        found = search(self, *args, **kwargs)
        answers.append(found is not None)
        return found

    monkeypatch.setattr(ShortBeamsMixin, "_search_by_steps", ask)
    return answers


def motions() -> torch.Tensor:
    return m2t.motion_ids([[3, 1, 4, 1, 5], [9, 2], [6]])


def lively_model(seed: int = 0, scale: float = 2.5):
    """A tiny model whose captions differ and end at different lengths."""
    torch.manual_seed(seed)
    model = MotionToTextModel(m2t.tiny_config(vq_config=None)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    return model


def by_transformers(model, *args, **kwargs) -> torch.Tensor:
    """What the search of transformers finds; whoever asks for more than ids gets it from there."""
    return model.generate(*args, **kwargs, return_dict_in_generate=True).sequences


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 99),
    scale=st.sampled_from([1.0, 2.5]),
    num_beams=st.integers(2, 6),
    data=st.data(),
    early_stopping=st.sampled_from([False, True, "never"]),
    length_penalty=st.sampled_from([-1.0, 0.0, 0.7, 1.0, 2.0]),
    more=st.sampled_from(
        [
            {},
            {"min_new_tokens": 4},
            {"no_repeat_ngram_size": 2},
            {"repetition_penalty": 1.5},
            {"eos_token_id": [2, 5, 7]},
            {"eos_token_id": None},
            {"suppress_tokens": [4, 6]},
            {"pad_token_id": 3},
        ]
    ),
)
def test_captions_are_those_of_transformers(seed, scale, num_beams, data, early_stopping, length_penalty, more):
    model = lively_model(seed, scale).double()  # else rounding decides between beams that are as good
    options = {
        "num_beams": num_beams,
        "num_return_sequences": data.draw(st.integers(1, num_beams)),
        "early_stopping": early_stopping,
        "length_penalty": length_penalty,
        "max_new_tokens": data.draw(st.integers(1, STEPS)),
    } | more
    options["min_new_tokens"] = min(options.get("min_new_tokens", 0), options["max_new_tokens"])
    assert torch.equal(model.generate(motions(), **options), by_transformers(model, motions(), **options))


def test_it_is_taken_where_nothing_but_ids_is_asked_for(taken):
    model = lively_model()
    for options in ({}, {"max_length": 18}, {"length_penalty": 0.5}, {"num_return_sequences": 3}):
        model.generate(motions(), num_beams=3, **options)
    assert taken == [True] * 4


class EndAfterThree(StoppingCriteria):
    def __call__(self, input_ids, scores, **kwargs):
        return torch.full((len(input_ids),), input_ids.shape[1] > 3)


@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": True, "top_k": 5},
        {"use_cache": False},
        {"cache_implementation": "static"},
        {"decoder_input_ids": torch.tensor([[1, 7]] * 3)},
        {"stopping_criteria": [EndAfterThree()]},
        {"output_scores": True, "return_dict_in_generate": True},
    ],
)
def test_what_it_does_not_do_is_left_to_transformers(taken, options):
    lively_model().generate(motions(), num_beams=3, max_new_tokens=5, **options)
    assert not taken


def test_a_cache_of_the_caller_is_filled(taken):
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    lively_model().generate(motions(), num_beams=3, min_new_tokens=5, max_new_tokens=5, past_key_values=cache)
    assert not taken and cache.get_seq_length() == 5


@pytest.mark.parametrize(
    "part", ["", "model", "model.decoder", "model.decoder.layers.1", "model.decoder.layers.0.self_attn"]
)
def test_hooks_are_called(taken, part):
    model, calls = lively_model(), []
    model.get_submodule(part).register_forward_hook(lambda *arguments: calls.append(arguments))
    model.generate(motions(), num_beams=2, min_new_tokens=5, max_new_tokens=5)
    assert len(calls) == 5 and not taken


@pytest.mark.parametrize("part", ["lm_head", "model.decoder.layers.1.fc1", "model.decoder.layers.0.self_attn.k_proj"])
def test_hooks_of_what_is_multiplied_are_called(taken, part):
    model, calls = lively_model(), []
    expected = model.generate(motions(), num_beams=2, min_new_tokens=5, max_new_tokens=5)
    model.get_submodule(part).register_forward_hook(lambda *arguments: calls.append(arguments))
    found = model.generate(motions(), num_beams=2, min_new_tokens=5, max_new_tokens=5)
    assert len(calls) == 5 and all(taken) and torch.equal(found, expected)


def test_a_subclass_with_logits_of_its_own_is_asked(taken):
    class Louder(MotionToTextModel):
        def forward(self, *args, **kwargs):
            output = super().forward(*args, **kwargs)
            output.logits[..., 7] += 100
            return output

    model = Louder(m2t.tiny_config(vq_config=None)).eval()
    found = model.generate(motions(), num_beams=2, min_new_tokens=4, max_new_tokens=4)
    assert (found[:, 1:] == 7).all() and not taken


def test_too_few_ids_to_choose_among(taken):
    """Then transformers fills up with beams that there are not."""
    model = lively_model()
    allowed = {"prefix_allowed_tokens_fn": lambda row, ids: [7, 8]}
    options = {"num_beams": 4, "max_new_tokens": 4, **allowed}
    assert torch.equal(model.generate(motions(), **options), by_transformers(model, motions(), **options))
    assert taken == [False]


@pytest.mark.parametrize("length_penalty", [-8.0, -12.0, -400.0])
def test_scores_beyond_all_bounds(length_penalty):
    options = {"num_beams": 3, "max_new_tokens": 10, "length_penalty": length_penalty}
    model = lively_model(5)
    assert torch.equal(model.generate(motions(), **options), by_transformers(model, motions(), **options))


def test_hooks_see_tokens():
    """One of each row, as they would by calls of the model."""
    model = lively_model()

    def forbid(module, inputs, output):
        output = output.clone()
        output[:, -1, 5] -= 1e4
        return output

    model.lm_head.register_forward_hook(forbid)
    model.model.decoder.embed_tokens.register_forward_hook(lambda module, inputs, output: output[:, :1] * 1.0)
    found = model.generate(motions(), num_beams=3, max_new_tokens=6)
    assert (
        torch.equal(found, by_transformers(model, motions(), num_beams=3, max_new_tokens=6)) and not (found == 5).any()
    )


@pytest.mark.parametrize("name", ["forward", "prepare_inputs_for_generation"])
def test_methods_that_are_replaced_are_called(taken, name):
    model, calls = lively_model(), []
    method = getattr(model, name)

    def watched(*args, **kwargs):
        calls.append(name)
        return method(*args, **kwargs)

    setattr(model, name, watched)
    model.generate(motions(), num_beams=2, min_new_tokens=4, max_new_tokens=4)
    assert len(calls) == 4 and not taken


def test_weights_that_change_count_at_once():
    model = lively_model()
    before = model.generate(motions(), num_beams=2, max_new_tokens=STEPS)
    other = lively_model(seed=5)
    model.load_state_dict(other.state_dict())
    after = model.generate(motions(), num_beams=2, max_new_tokens=STEPS)
    assert not torch.equal(after, before)
    assert torch.equal(after, other.generate(motions(), num_beams=2, max_new_tokens=STEPS))


class Adapter(torch.nn.Module):
    """A layer and what was learned on top of it, as adapters are put in its place."""

    def __init__(self, layer: torch.nn.Linear):
        super().__init__()
        self.layer, self.bias = layer, layer.bias
        self.more = torch.nn.Linear(layer.in_features, layer.out_features)

    def forward(self, inputs):
        return self.layer(inputs) + self.more(inputs)


def test_adapters_are_called():
    model = lively_model()
    options = {"num_beams": 2, "max_new_tokens": STEPS}
    before = model.generate(motions(), **options)
    for layer in model.model.decoder.layers:
        layer.self_attn.v_proj, layer.fc1 = Adapter(layer.self_attn.v_proj), Adapter(layer.fc1)
    found = model.generate(motions(), **options)
    assert torch.equal(found, by_transformers(model, motions(), **options))
    assert not torch.equal(found, before)


@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision(autocast):
    model = lively_model()
    model = model if autocast else model.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        read = model.generate(motions(), num_beams=2, max_new_tokens=STEPS)
    assert len(read) == 3 and read.shape[1] <= STEPS + 1


def test_threads_do_not_disturb_each_other():
    models = [lively_model(seed) for seed in range(2)]
    options = {"num_beams": 3, "min_new_tokens": STEPS, "max_new_tokens": STEPS}
    expected = [model.generate(motions(), **options) for model in models]
    found = {}

    def work(place: int):
        found[place] = [models[place % 2].generate(motions(), **options) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(one, expected[place % 2]) for place, all_found in found.items() for one in all_found)


def test_more_tokens_than_there_is_room_for_at_first(monkeypatch):
    monkeypatch.setattr("tm2t_hf.beam_steps.FIRST_STEPS", 3)
    model = lively_model()
    options = {"num_beams": 3, "min_new_tokens": STEPS, "max_new_tokens": STEPS}
    assert torch.equal(model.generate(motions(), **options), by_transformers(model, motions(), **options))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99), beams=st.integers(1, 4), steps=st.integers(1, 6))
@torch.no_grad()
def test_steps_are_the_decoder(seed, beams, steps):
    """Each beam is read as the decoder reads all its tokens at once, wherever they came from."""
    model = lively_model(seed, 1.0)
    decoder = model.model.decoder
    encoded, mask = torch.randn(2, 5, model.config.d_model), torch.tensor([[1] * 5, [1, 1, 1, 0, 0]])
    read = BeamSteps(decoder, encoded, mask, beams, steps)
    ids, origins = torch.randint(model.config.vocab_size, (2, beams, 1)), None
    for _ in range(steps):
        found = read(ids[..., -1], origins)
        source, hidden = encoded.repeat_interleave(beams, 0), mask.repeat_interleave(beams, 0)
        whole = decoder(
            ids.flatten(0, 1), encoder_hidden_states=source, encoder_attention_mask=hidden, use_cache=False
        )
        torch.testing.assert_close(found, whole.last_hidden_state[:, -1:], atol=1e-4, rtol=1e-4)
        origins = torch.randint(beams, (2, beams))
        ids = torch.cat([ids.gather(1, origins[..., None].expand_as(ids)), torch.randint(20, (2, beams, 1))], dim=-1)
