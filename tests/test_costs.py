# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What is done at every step and what once, counted in operators: no operator comes once per step without need."""

from collections import Counter

import pytest
import torch
from test_modeling_text_to_motion import tiny_model, tiny_text
from torch.profiler import ProfilerActivity, profile

from tm2t_hf import MotionToTextConfig, MotionToTextModel
from tm2t_hf.alignment import inverse_alignment_loss

PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "mkl::_mkl_linear", "mkldnn::_linear_pointwise")
LIBRARIES = ("aten::", "mkl::", "mkldnn::")


def operators(work) -> Counter:
    """How often each operator ran."""
    with profile(activities=[ProfilerActivity.CPU]) as record:
        work()
    return Counter(event.name for event in record.events() if event.name.startswith(LIBRARIES))


def per_step(work, steps=(8, 12, 16)) -> Counter:
    """How many of each operator a further step of `work(steps)` needs."""
    work(steps[0])  # what is done once per process
    counts = [operators(lambda number=number: work(number)) for number in steps]
    growth = [later - earlier for earlier, later in zip(counts, counts[1:], strict=False)]
    assert growth[0] == growth[1], "the number of operators does not grow by as many with every step"
    return Counter({name: number / (steps[1] - steps[0]) for name, number in growth[0].items()})


def products(growth: Counter) -> float:
    return sum(growth[name] for name in PRODUCTS)


@pytest.fixture
def t2m():
    model = tiny_model(attention="early")
    with torch.no_grad():
        model.lm_head.weight[model.config.eos_token_id] = -9.0
        model.decoder.gru.bias_ih_l0.zero_()
    return model


@pytest.fixture
def m2t(t2m):
    sizes = dict.fromkeys(("d_model", "encoder_ffn_dim", "decoder_ffn_dim"), 16)
    sizes |= dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
    sizes |= {"encoder_layers": 1, "decoder_layers": 2}
    codes = t2m.config.codebook_size
    return MotionToTextModel(MotionToTextConfig(codebook_size=codes, vocab_size=20, **sizes)).eval()


def test_a_step_of_teacher_forcing(t2m):
    ids, mask = tiny_text([5, 2])

    def work(tokens):
        t2m.zero_grad()
        t2m(ids, mask, labels=torch.ones(2, tokens, dtype=torch.long)).loss.backward()

    growth = per_step(work)
    # input and state to gates, scores and values; and their gradients towards what they read
    assert products(growth) == 8
    assert growth["aten::embedding"] == growth["aten::embedding_dense_backward"] == growth["aten::index_add_"] == 0
    assert growth["aten::native_layer_norm"] == growth["aten::native_layer_norm_backward"] == 1


def test_a_word_of_the_text(t2m):
    def work(words):
        t2m.zero_grad()
        t2m(*tiny_text([words, words]), labels=torch.ones(2, 3, dtype=torch.long)).loss.backward()

    growth = per_step(work)
    # each direction: the state to gates, and its gradient
    assert products(growth) == 4
    # no tensor of all words is filled or added up at every word
    assert growth["aten::zeros"] == growth["aten::new_zeros"] == growth["aten::slice_backward"] == 0


def test_a_step_of_the_alignment(t2m, m2t):
    ids, mask = tiny_text([5, 2])
    captions = torch.tensor([[5, 6, 7, 2], [8, 2, -100, -100]])

    with torch.no_grad():
        t2m.lm_head.weight[t2m.config.eos_token_id] = 0  # never the likeliest

    def work(tokens):
        t2m.zero_grad()
        output = inverse_alignment_loss(t2m, m2t, captions, ids, mask, max_tokens=tokens)
        assert output.samples.lengths.tolist() == [tokens, tokens]
        output.loss.backward()

    growth = per_step(work)
    # as above, and the logits to draw from
    assert products(growth) == 9
    assert growth["aten::embedding_dense_backward"] == growth["aten::index_add_"] == 0
    # noise is drawn once; the softmax is the attention's
    assert growth["aten::exponential_"] == growth["aten::uniform_"] == growth["aten::softmax"] - 1 == 0


def test_a_token_of_sampling(t2m):
    ids, mask = tiny_text([5, 2])

    def work(tokens):
        lengths = {"min_new_tokens": tokens, "max_new_tokens": tokens}
        t2m.generate(ids, attention_mask=mask, do_sample=True, top_k=5, **lengths)

    growth = per_step(work)
    # gates, scores, values, logits
    assert products(growth) == 5
    assert growth["aten::_local_scalar_dense"] == 1, "one look at the result per token: whether all have ended"


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this torch is built without MKL")
def test_weights_are_packed_once():
    model = tiny_model(attention="early", motion_hidden_size=256)
    ids, mask = tiny_text([5, 2] * 8)

    def work(tokens):
        lengths = {"min_new_tokens": tokens, "max_new_tokens": tokens}
        model.generate(ids, attention_mask=mask, do_sample=True, top_k=5, **lengths)

    growth = per_step(work)
    assert products(growth) == 5 and growth["mkl::_mkl_linear"] == 2  # input and state to gates
    assert growth["mkl::_mkl_reorder_linear_weight"] == 0


def test_a_token_of_a_beam_search(m2t):
    motion = torch.tensor([[m2t.config.bom_id, 2, 3, 4], [m2t.config.bom_id, 2, 1, 0]])

    def work(tokens):
        m2t.generate(motion, num_beams=2, min_new_tokens=tokens, max_new_tokens=tokens)

    growth = per_step(work)
    # each layer: query, key and value at once, three further projections of the two attentions, two of the inner layer
    assert products(growth) - growth["aten::bmm"] == 2 * 6 + 1
    # keys and values are written once, and stay where they are whichever beams go on
    assert growth["aten::index_select"] - growth["aten::embedding"] == 0
    assert growth["aten::cat"] < 4 and growth["aten::topk"] == 2


def test_a_token_of_a_beam_search_that_returns_more(m2t):
    motion = torch.tensor([[m2t.config.bom_id, 2, 3, 4], [m2t.config.bom_id, 2, 1, 0]])

    def work(tokens):
        lengths = {"min_new_tokens": tokens, "max_new_tokens": tokens}
        m2t.generate(motion, num_beams=2, return_dict_in_generate=True, **lengths)

    growth = per_step(work)
    # each layer: four projections of its own attention, two of that to the motion, two of the inner layer
    assert products(growth) - growth["aten::bmm"] == 2 * 8 + 1
    # of keys and values, the caption's alone follow the beams
    assert growth["aten::index_select"] - growth["aten::embedding"] == 2 * 2
