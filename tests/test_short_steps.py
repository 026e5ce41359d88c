# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Short steps give what Marian's decoder gives, and leave to it what they do not do."""

import pytest
import test_modeling_motion_to_text as m2t
import test_modeling_text_to_motion_transformer as t2m
import torch

from tm2t_hf.short_steps import ShortStepsMixin


@pytest.fixture
def taken(monkeypatch):
    """Whether each short step that was looked for was taken."""
    answers, takes = [], ShortStepsMixin._takes_short_steps

    def ask(self, *arguments):
        answers.append(takes(self, *arguments))
        return answers[-1]

    monkeypatch.setattr(ShortStepsMixin, "_takes_short_steps", ask)
    return answers


def captions(model, **options):
    ids = m2t.motion_ids([[3, 1, 4, 1, 5], [9, 2]])
    return model.generate(
        ids, max_new_tokens=6, min_new_tokens=6, return_dict_in_generate=True, output_logits=True, **options
    )


def motions(model, **options):
    ids, mask = t2m.tiny_text([5, 2])
    options |= {"max_new_tokens": 6, "min_new_tokens": 6, "return_dict_in_generate": True, "output_logits": True}
    return model.generate(ids, attention_mask=mask, **options)


@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize(("new_model", "generate"), [(m2t.tiny_model, captions), (t2m.tiny_model, motions)])
def test_tokens_and_logits_are_those_of_marian(taken, monkeypatch, new_model, generate, num_beams):
    model = new_model()
    short = generate(model, num_beams=num_beams)
    assert taken == [False] + [True] * 5  # the first step projects keys and values of the source
    monkeypatch.setattr(ShortStepsMixin, "_takes_short_steps", lambda *arguments: False)
    long = generate(model, num_beams=num_beams)
    assert torch.equal(short.sequences, long.sequences)
    torch.testing.assert_close(torch.stack(short.logits), torch.stack(long.logits), atol=1e-5, rtol=1e-5)


def test_a_hook_of_a_layer_is_called(taken):
    model, calls = m2t.tiny_model(), []
    model.model.decoder.layers[1].encoder_attn.register_forward_hook(lambda *arguments: calls.append(arguments))
    captions(model)
    assert len(calls) == 6 and not any(taken)


@pytest.mark.parametrize(
    "options", [{"output_attentions": True}, {"output_hidden_states": True}, {"cache_implementation": "static"}]
)
def test_what_short_steps_do_not_give_comes_from_marian(taken, options):
    model = m2t.tiny_model()
    if "output_attentions" in options:
        model.set_attn_implementation("eager")
    output = captions(model, **options)
    assert not any(taken)
    if "output_attentions" in options:
        assert len(output.cross_attentions) == 6
    if "output_hidden_states" in options:
        assert len(output.decoder_hidden_states) == 6


def test_gradients_flow_through_a_single_token(taken):
    model = m2t.tiny_model()
    ids, caption = m2t.motion_ids([[3, 1]]), torch.tensor([[model.config.decoder_start_token_id, 7]])
    first = model(input_ids=ids, decoder_input_ids=caption[:, :1], use_cache=True)
    second = model(input_ids=ids, decoder_input_ids=caption[:, 1:], past_key_values=first.past_key_values)
    second.logits.sum().backward()
    assert model.model.decoder.layers[0].fc1.weight.grad.abs().sum() > 0
    assert not any(taken)
