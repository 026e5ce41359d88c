# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What a sampling loop does besides the model is, bit by bit, what transformers and torch do."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    MaxLengthCriteria,
    MaxTimeCriteria,
    MinLengthLogitsProcessor,
    MinNewTokensLengthLogitsProcessor,
    StoppingCriteriaList,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
)
from transformers.generation.stopping_criteria import EosTokenCriteria

from tm2t_hf.sampling import Drawable, Endings, draw, exponential_like, kth_largest, short_processes, usual_endings

VOCABULARY = 9


def rough_scores(seed: int, *shape: int) -> torch.Tensor:
    """Scores some of which are equal, or -inf."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-3, 4, shape, generator=generator).float()
    return scores.masked_fill(torch.rand(shape, generator=generator) < 0.2, -torch.inf)


@given(seed=st.integers(0, 999), batch=st.integers(1, 3), k=st.integers(1, VOCABULARY))
def test_kth_largest(seed, batch, k):
    scores = rough_scores(seed, batch, 2, VOCABULARY)
    expected = scores.topk(k).values[..., -1:]
    assert torch.equal(kth_largest(scores, k), expected)
    assert torch.equal(kth_largest(scores.double(), k), expected.double())
    assert torch.equal(kth_largest(scores.mT.contiguous().mT, k), expected)
    assert not kth_largest(scores.requires_grad_(), k).requires_grad


@given(seed=st.integers(0, 999), k=st.integers(1, VOCABULARY + 2), never=st.lists(st.integers(0, 8), max_size=4))
def test_drawable(seed, k, never):
    scores = rough_scores(seed, 4, VOCABULARY)
    found = Drawable(never, k, scores)(scores)
    for row, kept in zip(scores, found, strict=True):
        least = row.topk(min(k, VOCABULARY)).values[-1]
        others = row.clone()
        others[never] = -torch.inf
        expected = others.masked_fill(others < torch.minimum(least, others.max()), -torch.inf)
        assert torch.equal(kept, expected)


@settings(deadline=None)
@given(seed=st.integers(0, 999), batch=st.integers(1, 4))
def test_draws_are_those_of_multinomial(seed, batch):
    scores = rough_scores(seed, batch, VOCABULARY).clamp(min=-9)
    torch.manual_seed(seed)
    expected = torch.multinomial(scores.softmax(-1), 1).squeeze(1)
    torch.manual_seed(seed)
    assert torch.equal(draw(scores), expected)


@pytest.mark.parametrize("shape", [(1, 7), (32, 1027), (3, 0)])
def test_exponential_numbers_are_those_of_torch(shape):
    """Bit by bit, and they leave the generator where torch's own do."""
    torch.manual_seed(0)
    expected, state = torch.empty(shape).exponential_(), torch.get_rng_state()
    torch.manual_seed(0)
    values = torch.zeros(shape)
    with torch.device("meta"):  # the default of new tensors
        assert torch.equal(exponential_like(values), expected)
    assert torch.equal(torch.get_rng_state(), state)


PROCESSORS = [
    lambda: SuppressTokensLogitsProcessor([1, 4]),
    lambda: SuppressTokensLogitsProcessor([1, 400]),
    lambda: TopKLogitsWarper(3),
    lambda: TopKLogitsWarper(100),
    lambda: TopKLogitsWarper(2, filter_value=-5.0, min_tokens_to_keep=4),
    lambda: MinLengthLogitsProcessor(3, 2),
    lambda: MinLengthLogitsProcessor(0, 2),
    lambda: MinNewTokensLengthLogitsProcessor(1, 2, [2, 3]),
    lambda: MinNewTokensLengthLogitsProcessor(0, 0, [2, 3]),
    lambda: TemperatureLogitsWarper(0.5),
]


@pytest.mark.parametrize("new_processor", PROCESSORS)
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_short_processes_give_the_same(new_processor, length):
    processor = new_processor()
    (process,) = short_processes(LogitsProcessorList([processor]))
    ids = torch.zeros(4, length, dtype=torch.long)
    for seed in range(20):
        scores = rough_scores(seed, 4, VOCABULARY)
        before = scores.clone()
        assert torch.equal(process(ids, scores), processor(ids, scores))
        assert torch.equal(scores, before)


def test_a_processor_of_a_class_of_its_own_is_called():
    class Mine(TopKLogitsWarper):
        def __call__(self, input_ids, scores):
            return scores + 1

    (process,) = short_processes(LogitsProcessorList([Mine(2)]))
    assert torch.equal(process(None, torch.zeros(1, 3)), torch.ones(1, 3))


@given(
    ids=st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=6, max_size=6),
    max_length=st.integers(1, 8),
    last_ids=st.lists(st.integers(0, 4), min_size=1, max_size=2),
    timed=st.booleans(),
)
def test_endings_are_those_of_transformers(ids, max_length, last_ids, timed):
    criteria = StoppingCriteriaList([MaxLengthCriteria(max_length), EosTokenCriteria(torch.tensor(last_ids))])
    criteria += [MaxTimeCriteria(1e9)] * timed
    ids, running = torch.tensor(ids).t(), torch.ones(3, dtype=torch.bool)
    endings = Endings(criteria, running)
    for length in range(1, 7):
        running = running & ~criteria(ids[:, :length], None)
        is_over = endings.all_after(ids[:, :length])
        assert is_over == (not running.any())
        if is_over:
            break
        assert torch.equal(endings.running, running)


def test_what_is_not_usual_about_endings():
    warning = MaxLengthCriteria(30, max_position_embeddings=20)
    mine = MaxTimeCriteria(3.0)
    length, last_ids, others = usual_endings([MaxLengthCriteria(9), MaxLengthCriteria(7), warning, mine])
    assert length == 7 and last_ids == [] and list(others) == [warning, mine]
