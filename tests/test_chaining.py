# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Several prompts in one motion."""

import pytest
import torch
from transformers import GenerationConfig

from tm2t_hf.chaining import generate_chain


@pytest.fixture
def prompts(processor):
    return [
        dict(processor(text=text, return_tensors="pt")) for text in ("a person walks", "a person waves", "he bows")
    ]


@pytest.fixture
def fed(t2m_model, monkeypatch):
    """What each part of a chain begins with."""
    begun, generate = [], t2m_model.generate

    def spy(*args, **kwargs):
        begun.append(kwargs["decoder_input_ids"][0].tolist())
        return generate(*args, **kwargs)

    monkeypatch.setattr(t2m_model, "generate", spy)
    return begun


def chain_of(model, prompts, **kwargs):
    torch.manual_seed(0)
    return generate_chain(model, prompts, do_sample=True, max_seconds=2, **kwargs)


def test_every_part_begins_with_the_last_token_of_the_one_before(t2m_model, prompts, fed):
    chain = chain_of(t2m_model, prompts)
    unit_length = t2m_model.config.vq_config.unit_length
    assert len(chain.ends) == 3 and chain.ends == sorted(chain.ends) and chain.motion.shape == (chain.ends[-1], 263)
    starts = [0, *chain.ends]
    assert all(20 <= end - start <= 40 for start, end in zip(starts, chain.ends, strict=False))  # 1 to 2 seconds
    assert fed[0] == [t2m_model.config.bom_id]
    assert all(len(begin) == 2 and begin[1] < t2m_model.config.codebook_size for begin in fed[1:])
    # decoded as one motion: the same codes give the same frames
    torch.manual_seed(0)
    codes = []
    for prompt in prompts:
        begin = torch.tensor([[t2m_model.config.bom_id, *codes[-1:]]])
        ids = t2m_model.generate(**prompt, decoder_input_ids=begin, do_sample=True, min_seconds=1, max_seconds=2)
        codes += [code for code in ids[0, begin.shape[1] :].tolist() if code < t2m_model.config.codebook_size]
    assert len(codes) * unit_length == chain.ends[-1]
    torch.testing.assert_close(t2m_model.vq.decode(torch.tensor([codes]))[0], chain.motion)


def test_a_chain_goes_on_from_a_motion(t2m_model, prompts, fed):
    prefix = torch.tensor([3, 1, 4, 1, 5])
    chain = chain_of(t2m_model, prompts[:1], prefix=prefix)
    assert fed == [[t2m_model.config.bom_id, 5]]
    assert len(chain.ends) == 2 and chain.ends[0] == 20
    alone = t2m_model.vq.decode(prefix[None])[0]
    # what lies further from the seam than the decoder's convolutions reach is the prefix itself
    torch.testing.assert_close(chain.motion[:4], alone[:4], atol=0.2, rtol=0)


def test_the_shortest_part_that_a_generation_config_says(t2m_model, prompts):
    t2m_model.generation_config.suppress_tokens = [
        i for i in range(t2m_model.config.vocab_size) if i not in (3, t2m_model.config.eos_token_id)
    ]
    t2m_model.generation_config.min_seconds = 2
    given = GenerationConfig(min_seconds=2)
    for config, options in ((None, {}), (given, {}), (None, {"min_seconds": None})):
        chain = generate_chain(t2m_model, prompts[:2], generation_config=config, max_seconds=2, **options)
        assert chain.ends == [40, 80]
    assert generate_chain(t2m_model, prompts[:1], min_new_tokens=3, max_new_tokens=3).ends == [12]


def test_bad_chains_are_named(t2m_model, prompts):
    with pytest.raises(ValueError, match="A chain needs at least one prompt"):
        generate_chain(t2m_model, [])
    with pytest.raises(ValueError, match="A chain is one motion"):
        generate_chain(t2m_model, prompts, num_return_sequences=2)
