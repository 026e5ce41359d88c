# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Continuing motions by `generate()`: from a cache, from prefixes of unequal length; what is refused."""

import copy
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_modeling_text_to_motion import ATTENTIONS, BOM, EOM, PAD, tiny_model, tiny_text
from transformers import DynamicCache, GenerationConfig

from tm2t_hf import TextToMotionModel

STEPS = 8


def endless(seed=0, **fields):
    """A tiny model whose motions never end by themselves."""
    model = tiny_model(seed, **fields)
    model.generation_config.suppress_tokens = [BOM, BOM + 1, PAD]
    return model


@settings(max_examples=20, deadline=None)
@given(
    attention=st.sampled_from(ATTENTIONS),
    num_layers=st.integers(1, 3),
    beams=st.integers(1, 3),
    seen=st.integers(1, STEPS - 1),
    seed=st.integers(0, 9),
)
def test_continued_from_its_cache_is_the_run_in_one_go(attention, num_layers, beams, seen, seed):
    model = endless(seed, attention=attention, num_layers=num_layers)
    ids, mask = tiny_text([5, 2, 7], seed)
    text = {"input_ids": ids, "attention_mask": mask}
    start = model.generate(**text, max_new_tokens=seen, return_dict_in_generate=True)
    before = copy.deepcopy(start.past_key_values)
    details = {"return_dict_in_generate": True, "output_logits": True, "num_beams": beams}
    given = {"decoder_input_ids": start.sequences, "max_new_tokens": STEPS - seen}
    from_ids = model.generate(**text, **given, **details)
    from_cache = model.generate(**text, **given, **details, past_key_values=start.past_key_values)
    assert torch.equal(from_cache.sequences, from_ids.sequences)
    torch.testing.assert_close(torch.stack(from_cache.logits), torch.stack(from_ids.logits), atol=1e-5, rtol=1e-5)
    if beams == 1:
        assert torch.equal(from_cache.sequences, model.generate(**text, max_new_tokens=STEPS))
    uncached = model.generate(**text, **given, num_beams=beams, past_key_values=before, use_cache=False)
    assert torch.equal(uncached, from_ids.sequences)
    assert before.seen == seen


def test_a_cache_of_other_motions_is_refused():
    model = endless()
    ids, mask = tiny_text([5, 2])
    text = {"input_ids": ids, "attention_mask": mask}
    start = model.generate(**text, max_new_tokens=3, return_dict_in_generate=True)
    motion, cache = start.sequences, start.past_key_values
    assert torch.equal(cache.ids, motion[:, :-1])
    other = motion.clone()
    other[1, 2] = (other[1, 2] + 1) % BOM
    for prefix in (other, other[:, 1:], motion.flip(0)):
        with pytest.raises(ValueError, match="The cache has seen other motions than `decoder_input_ids` begin with"):
            model.generate(**text, decoder_input_ids=prefix, past_key_values=copy.deepcopy(cache), max_new_tokens=2)
    # the last id was not read: another may take its place
    other = motion.clone()
    other[:, -1] = 0
    expected = model.generate(**text, decoder_input_ids=other, max_new_tokens=2)
    for prefix in (other, other[:, 1:]):  # <bom> may be left to generate()
        again = model.generate(
            **text, decoder_input_ids=prefix, past_key_values=copy.deepcopy(cache), max_new_tokens=2
        )
        assert torch.equal(again, expected)


def test_a_cache_of_embeddings_knows_no_ids():
    model = endless()
    ids, mask = tiny_text([5, 2])
    motion = torch.tensor([[BOM, 3, 4], [BOM, 1, 2]])
    embeddings = model.decoder.embed_tokens(motion)
    cache = model(ids, mask, decoder_inputs_embeds=embeddings).past_key_values
    assert cache.ids is None and cache.seen == 3
    cache = model(ids, mask, motion, past_key_values=cache).past_key_values
    assert cache.ids is None and cache.seen == 6
    cache.reset()
    assert torch.equal(model(ids, mask, motion, past_key_values=cache).past_key_values.ids, motion)
    cache.batch_repeat_interleave(2)
    cache.reorder_cache(torch.tensor([3, 0]))
    assert torch.equal(cache.ids, motion[[1, 0]])


def test_samples_continued_from_a_cache():
    model = endless()
    ids, mask = tiny_text([5, 2])
    start = model.generate(ids, attention_mask=mask, max_new_tokens=3, return_dict_in_generate=True)

    def sampled(**cache):
        torch.manual_seed(0)
        given = {"decoder_input_ids": start.sequences, "do_sample": True, "num_return_sequences": 3}
        return model.generate(ids, attention_mask=mask, max_new_tokens=5, **given, **cache)

    expected = sampled()
    for _ in range(2):  # the second time from a copy that is still where it was
        assert torch.equal(sampled(past_key_values=copy.deepcopy(start.past_key_values)), expected)


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    attention=st.sampled_from(ATTENTIONS),
    num_layers=st.integers(1, 2),
    beams=st.integers(1, 2),
    left=st.booleans(),
    with_mask=st.booleans(),
)
def test_prefixes_of_unequal_length(lengths, attention, num_layers, beams, left, with_mask):
    """In a batch each continues as it does alone, on whichever side the padding is."""
    model = endless(attention=attention, num_layers=num_layers)
    ids, mask = tiny_text([4] * len(lengths))
    codes = torch.randint(0, 12, (len(lengths), 5), generator=torch.Generator().manual_seed(0))
    rows = [torch.cat([torch.tensor([BOM]), row[: n - 1]]) for row, n in zip(codes, lengths, strict=True)]
    side = {"padding_side": "left" if left else "right", "batch_first": True}
    prefixes = torch.nn.utils.rnn.pad_sequence(rows, padding_value=PAD, **side)
    given = {"decoder_input_ids": prefixes}
    if with_mask:
        given["decoder_attention_mask"] = torch.nn.utils.rnn.pad_sequence(list(map(torch.ones_like, rows)), **side)
    together = model.generate(ids, attention_mask=mask, num_beams=beams, max_new_tokens=STEPS, **given)
    for i, row in enumerate(rows):
        alone = model.generate(ids[i : i + 1], decoder_input_ids=row[None], num_beams=beams, max_new_tokens=STEPS)
        assert together[i, -STEPS:].tolist() == alone[0, -STEPS:].tolist()


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_sample": True},
        {"do_sample": True, "top_k": 5, "eom_by_argmax": True},
        {"do_sample": True, "num_return_sequences": 2, "min_new_tokens": 4},
        {"do_sample": True, "pad_token_id": 3},
        {"decoder_input_ids": torch.tensor([[BOM, 3, 4], [PAD, BOM, 1], [BOM, 1, PAD]])},
    ],
)
def test_the_short_way_gives_the_same_ids(attention, options):
    """`return_dict_in_generate` takes the loop of transformers, which else is not needed."""
    model = tiny_model(3, attention=attention)
    with torch.no_grad():
        model.lm_head.weight[EOM] = 1.01 * model.lm_head.weight[4]  # often the likeliest
    ids, mask = tiny_text([5, 2, 7])
    found = []
    for loop in ({}, {"return_dict_in_generate": True}):
        torch.manual_seed(5)
        found.append(model.generate(ids, attention_mask=mask, max_new_tokens=12, **options, **loop))
    assert torch.equal(found[0], found[1].sequences)
    assert (found[0] == EOM).any(), "no motion ends before the others"


def test_numbers_that_are_none_end_in_an_error():
    model = tiny_model()
    with torch.no_grad():
        model.lm_head.weight[3] = torch.nan
    ids, _ = tiny_text([5, 2])
    for do_sample in (False, True):
        with pytest.raises(ValueError, match="gives NaN or infinite logits: check its weights, or load it in float32"):
            model.generate(ids, do_sample=do_sample)


def test_text_padding_is_found_without_a_mask():
    """By the id of the text's padding, where `generate()` would look for that of the motion."""
    model = endless()
    ids, mask = tiny_text([2, 7])
    expected = model.generate(ids, attention_mask=mask, max_new_tokens=STEPS)
    assert torch.equal(model.generate(ids, max_new_tokens=STEPS), expected)
    assert torch.equal(model.generate(input_ids=ids, max_new_tokens=STEPS), expected)


def test_states_and_attention_of_every_step():
    model = endless(num_layers=2)
    ids, mask = tiny_text([5, 2])
    output = model.generate(
        ids, attention_mask=mask, max_new_tokens=4, output_hidden_states=True, output_attentions=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    assert [states.shape[-1] for states in output.encoder_hidden_states] == [10, 12]
    assert [[tuple(layer.shape) for layer in step] for step in output.decoder_hidden_states] == [[(2, 1, 8)] * 3] * 4
    assert [tuple(step[0].shape) for step in output.cross_attentions] == [(2, 1, 1, 5)] * 4


# ---- refused --------------------------------------------------------------------------------------------------------


def test_what_there_is_to_animate():
    model = tiny_model()
    ids, mask = tiny_text([5, 2])
    words = model.encoder.embed_tokens(ids)
    for text in ({}, {"attention_mask": mask}, {"input_ids": ids, "inputs_embeds": words}):
        with pytest.raises(ValueError, match="Give the text to animate as `input_ids`, `inputs_embeds` or"):
            model.generate(**text)
    with pytest.raises(ValueError, match="must be what the encoder of a TextToMotionModel returns"):
        model.generate(encoder_outputs=(words,))


def test_left_padded_text_in_every_form():
    model = tiny_model()
    ids, mask = tiny_text([5, 2])
    forms = {"encoder_outputs": model.encoder(ids, mask)}
    ids, mask, motion = ids.flip(1), mask.flip(1), torch.full((2, 1), BOM)
    forms |= {"input_ids": ids, "inputs_embeds": model.encoder.embed_tokens(ids)}
    for name, text in forms.items():
        with pytest.raises(ValueError, match="text must be padded on the right side only"):
            model(**{name: text}, attention_mask=mask, decoder_input_ids=motion)
        with pytest.raises(ValueError, match="text must be padded on the right side only"):
            model.generate(**{name: text}, attention_mask=mask)


def test_guidance_is_refused():
    model = tiny_model()
    ids, _ = tiny_text([5, 2])
    with pytest.raises(ValueError, match="is not possible: these models are not trained"):
        model.generate(ids, guidance_scale=2)
    model.generation_config.guidance_scale = 1.5
    with pytest.raises(ValueError, match="is not possible: these models are not trained"):
        model.generate(ids)
    assert len(model.generate(ids, guidance_scale=1)) == 2


@pytest.mark.parametrize(
    ("motion", "mask"),
    [
        ([[BOM, 3], [3, 4]], None),
        ([[PAD, BOM], [PAD, BOM]], None),
        ([[3, BOM], [PAD, BOM]], None),
        ([[BOM, 3], [BOM, 4]], [[1, 1], [0, 1]]),
        ([[BOM, 3], [BOM, 4]], [[1, 1], [0, 0]]),
    ],
)
def test_motions_to_continue_begin_with_bom(motion, mask):
    ids, _ = tiny_text([5, 2])
    masks = {} if mask is None else {"decoder_attention_mask": torch.tensor(mask)}
    with pytest.raises(ValueError, match="must begin with <bom>"):
        tiny_model().generate(ids, decoder_input_ids=torch.tensor(motion), **masks)


def test_bom_is_put_before_bare_codes():
    model = endless()
    ids, _ = tiny_text([5, 2])
    codes = torch.tensor([[3, 4], [5, 6]])
    with_bom = torch.cat([torch.full((2, 1), BOM), codes], dim=1)
    expected = model.generate(ids, decoder_input_ids=with_bom, max_new_tokens=4)
    assert torch.equal(model.generate(ids, decoder_input_ids=codes, max_new_tokens=4), expected)


def test_caches_that_do_not_fit():
    model = endless()
    ids, _ = tiny_text([5, 2])
    output = model.generate(ids, max_new_tokens=4, return_dict_in_generate=True)
    cache, motion = output.past_key_values, output.sequences
    with pytest.raises(ValueError, match="seen 4 tokens, but there are only 4: .* copy a cache"):
        model.generate(ids, decoder_input_ids=motion[:, :4], past_key_values=cache)
    with pytest.raises(ValueError, match="Give the motion that the cache belongs to"):
        model.generate(ids, past_key_values=cache)
    beams = model.generate(ids, num_beams=2, max_new_tokens=4, return_dict_in_generate=True)
    with pytest.raises(ValueError, match="holds 4 motions, but there are 2 texts"):
        model.generate(ids, decoder_input_ids=motion, past_key_values=beams.past_key_values)
    with pytest.raises(ValueError, match="must be a RecurrentCache, .* got a DynamicCache"):
        model.generate(ids, past_key_values=DynamicCache())
    with pytest.raises(ValueError, match=r"`decoder_attention_mask` is \(2, 2\), `decoder_input_ids` \(2, 5\)"):
        model.generate(ids, decoder_input_ids=motion, decoder_attention_mask=torch.ones(2, 2))


def test_a_motion_to_continue_has_not_ended(t2m_model):
    bom, eom = t2m_model.config.bos_token_id, t2m_model.config.eos_token_id
    with pytest.raises(ValueError, match="must not hold <eom>"):
        t2m_model.generate(torch.tensor([[1, 5, 2]]), decoder_input_ids=torch.tensor([[bom, 3, eom]]))


@pytest.mark.parametrize("seconds", ["3", True, [1]])
def test_seconds_that_are_no_number(t2m_model, seconds):
    with pytest.raises(ValueError, match="`max_seconds` must be a positive number of seconds"):
        t2m_model.generate(torch.tensor([[1, 5, 2]]), max_seconds=seconds)


@pytest.mark.parametrize("number", [np.float32, np.float64, np.int64, Fraction])
def test_seconds_are_numbers_of_any_type(number):
    assert endless().generate(tiny_text([3])[0], max_seconds=number(1)).shape[1] == 1 + 5


@pytest.mark.parametrize("unit_length", [2, 4, 8])
def test_a_new_model_makes_ten_seconds_at_most_whatever_its_tokens_last(unit_length):
    model = endless()
    config = copy.deepcopy(model.config)
    config.vq_config.unit_length = unit_length
    assert type(model)(config).generation_config.max_new_tokens * config.vq_config.seconds_per_token == 10


@pytest.mark.parametrize("of_model", [False, True])
def test_seconds_of_a_generation_config(of_model, tmp_path, caplog):
    model, ids = endless(), tiny_text([3])[0]

    def tokens(asked, **given):
        if not of_model:
            return model.generate(ids, GenerationConfig(**asked), **given).shape[1] - 1
        changed = copy.deepcopy(model)
        for name, value in asked.items():
            setattr(changed.generation_config, name, value)
        changed.save_pretrained(tmp_path)
        return type(model).from_pretrained(tmp_path).generate(ids, **given).shape[1] - 1

    assert tokens({"max_seconds": 1}) == 5
    assert tokens({"max_seconds": 1, "max_new_tokens": 50}) == 5
    assert "generation-related" not in caplog.text
    # what the call says comes first, in whichever unit
    assert tokens({"max_seconds": 1}, max_seconds=2) == 10
    assert tokens({"max_seconds": 1}, max_new_tokens=7) == 7
    assert tokens({"max_seconds": 1}, max_length=7) == 6
    with pytest.raises(ValueError, match="`min_seconds` asks for 10 motion tokens, but at most 5"):
        tokens({"min_seconds": 2}, max_seconds=1)
    with pytest.raises(ValueError, match="`max_seconds` must be a positive number of seconds, got 'long'"):
        tokens({"max_seconds": "long"})
    model.generation_config.suppress_tokens = [i for i in range(BOM + 3) if i != EOM]  # ends as soon as it may
    assert tokens({"min_seconds": 2}) == 11
    assert tokens({"min_seconds": 2}, min_new_tokens=3) == 4


def test_a_generation_config_comes_before_that_of_the_model():
    model, ids = endless(), tiny_text([3])[0]
    model.generation_config.max_seconds = 1
    for asked, length in (({"max_new_tokens": 7}, 8), ({"max_length": 7}, 7), ({"max_seconds": 2}, 11), ({}, 6)):
        given = GenerationConfig(**asked)
        assert model.generate(ids, given).shape[1] == length
        assert given.max_new_tokens == asked.get("max_new_tokens")  # the caller's is left as it was


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32])
def test_ids_of_any_integer_type(t2m_model, dtype):
    ids = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(t2m_model.decode_motion(ids.to(dtype)), t2m_model.decode_motion(ids))


@pytest.mark.parametrize("do_sample", [False, True])
def test_a_subclass_with_logits_of_its_own_is_asked(do_sample):
    class Louder(TextToMotionModel):
        def forward(self, *args, **kwargs):
            output = super().forward(*args, **kwargs)
            output.logits[..., 7] += 100
            return output

    ids, mask = tiny_text([5, 2])
    model = Louder(tiny_model().config).eval()
    assert (model.generate(ids, attention_mask=mask, do_sample=do_sample, max_new_tokens=4)[:, 1:] == 7).all()


def watch(model, name: str) -> list:
    """What a hook on a part of the model is called with."""
    calls = []
    model.get_submodule(name).register_forward_hook(lambda module, inputs, output: calls.append(inputs))
    return calls


@pytest.mark.parametrize(
    "name", ["", "decoder.gru", "decoder.embed_tokens", "encoder.attention", "lm_head", "dropout"]
)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_hooks_see_every_token_of_generate(name, attention):
    model = endless(attention=attention)
    ids, mask = tiny_text([5, 2])
    calls = watch(model, name)
    model.generate(ids, attention_mask=mask, max_new_tokens=STEPS)
    assert len(calls) == STEPS
    if name in ("decoder.embed_tokens", "lm_head"):
        assert all(inputs[0].shape[:2] == (2, 1) for inputs in calls)


def test_a_hook_may_change_what_the_gru_gives():
    model = endless(attention="early")
    ids, mask = tiny_text([5, 2])
    model.decoder.gru.register_forward_hook(lambda module, inputs, output: (tuple(-x for x in output[0]), output[1]))
    options = {"attention_mask": mask, "max_new_tokens": STEPS}
    found = model.generate(ids, **options)
    assert torch.equal(found, model.generate(ids, **options, return_dict_in_generate=True).sequences)


def test_ids_may_be_forbidden_by_the_head():
    model = endless()
    ids, mask = tiny_text([5, 2])
    model.lm_head.register_forward_hook(
        lambda module, inputs, output: output.index_fill(-1, torch.tensor(5), -torch.inf)
    )
    assert not (model.generate(ids, attention_mask=mask, do_sample=True, max_new_tokens=STEPS) == 5).any()


def test_dropout_of_the_head_in_train_mode():
    model = endless(dropout=0.5).train()
    ids, mask = tiny_text([5, 2])
    found = []
    for more in ({}, {"return_dict_in_generate": True}):
        torch.manual_seed(0)
        found.append(model.generate(ids, attention_mask=mask, max_new_tokens=STEPS, **more))
    assert torch.equal(found[0], found[1].sequences)
