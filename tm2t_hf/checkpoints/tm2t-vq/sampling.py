# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What a loop over sampled tokens does besides the model, in few operators.

Of a single motion, the arithmetic of a token takes no longer than some calls of operators. So in the loop, what
transformers prepares for any model gives way to what does the same, bit by bit, in fewer calls.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor
from transformers.generation import LogitsProcessorList, StoppingCriteriaList
from transformers.generation.logits_process import (
    MinLengthLogitsProcessor,
    MinNewTokensLengthLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TopKLogitsWarper,
)
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria

from .packed_weights import is_traced

# Takes the ids so far (batch, tokens) and the next token's scores (batch, vocabulary); returns the scores to draw by.
Process = Callable[[Tensor, Tensor], Tensor]


def is_among(ids: Iterable[int], logits: Tensor) -> Tensor:
    """(vocabulary,) bool, True at these ids of logits (..., vocabulary)."""
    places = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    for index in ids:  # one by one: a list of places would have to be copied to the device
        places[index] = True
    return places


def kth_largest(logits: Tensor, k: int) -> Tensor:
    """The k-th largest of logits (..., vocabulary) -> (..., 1), without a gradient."""
    logits, place = logits.detach(), logits.shape[-1] - k
    if logits.device.type != "cpu" or logits.dtype != torch.float32 or is_traced():
        return logits.topk(k, sorted=False).values.amin(-1, keepdim=True)
    return torch.from_numpy(np.partition(logits.numpy(), place)[..., place : place + 1])


class Drawable:
    """Which ids may be drawn: takes logits (..., vocabulary) and gives them with -inf at all others.

    Args:
        never: ids that may not.
        top_k: how many of the likeliest ids may, those that may not included; None for all. Where the k likeliest may
            not, the likeliest of the others may.
        like: logits; tells size and device.
    """

    def __init__(self, never: list[int], top_k: int | None, like: Tensor):
        self.is_never = is_among(never, like)
        self.top_k = None if top_k is None or top_k >= like.shape[-1] else top_k
        self.may_be_none = self.top_k is not None and self.top_k <= len(never)

    def __call__(self, logits: Tensor) -> Tensor:
        """Logits with -inf at the other ids."""
        return logits.masked_fill(self.hidden(logits), -torch.inf)

    def hidden(self, logits: Tensor) -> Tensor:
        """True at the other ids."""
        hidden = self.is_never
        if self.top_k is not None:
            least = kth_largest(logits, self.top_k)
            if self.may_be_none:
                others = logits.detach().masked_fill(self.is_never, -torch.inf)
                least = torch.minimum(least, others.amax(-1, keepdim=True))
            hidden = hidden | (logits < least)
        return hidden


def exponential_like(values: Tensor) -> Tensor:
    """The draws of `torch.empty(values.shape).exponential_()`, bit by bit, in less than half of its time on a CPU."""
    if values.device.type != "cpu" or values.dtype != torch.float32:
        return torch.empty_like(values, requires_grad=False).exponential_()
    return torch.rand(values.shape, dtype=torch.float64, device="cpu").neg_().log1p_().neg_().float()


def draw(scores: Tensor) -> Tensor:
    """Ids (batch,) by the softmax of scores (batch, vocabulary).

    The draws are those of `torch.multinomial`, which looks at its input twice, and so waits for the device.
    """
    probs = scores.softmax(-1)
    return (probs / exponential_like(probs)).argmax(-1)


def short_processes(processors: LogitsProcessorList) -> list[Process]:
    """The same processes, to be called one by one: the list inspects the signature of each at every token."""
    return [SHORTER[type(one)](one) if type(one) in SHORTER else one for one in processors]


def _suppressing(processor: SuppressTokensLogitsProcessor) -> Process:
    return _without(processor.suppress_tokens)


def _min_length(processor: MinLengthLogitsProcessor) -> Process:
    return _without(processor.eos_token_id, processor.min_length)


def _min_new_tokens(processor: MinNewTokensLengthLogitsProcessor) -> Process:
    return _without(processor.eos_token_id, processor.prompt_length_to_skip + processor.min_new_tokens)


def _without(never: Tensor, length: float = math.inf) -> Process:
    """Hides ids from rows that are shorter than this."""
    ids, masks = never.flatten().tolist(), []

    def hide(input_ids: Tensor, scores: Tensor) -> Tensor:
        if input_ids.shape[1] >= length:
            return scores
        if not masks:
            vocabulary = range(scores.shape[-1])
            masks.append(is_among([index for index in ids if index in vocabulary], scores))
        return scores.masked_fill(masks[0], -torch.inf)

    return hide


def _keeping_top_k(processor: TopKLogitsWarper) -> Process:
    def keep(input_ids: Tensor, scores: Tensor) -> Tensor:
        least = kth_largest(scores, min(processor.top_k, scores.shape[-1]))
        return scores.masked_fill(scores < least, processor.filter_value)

    return keep


SHORTER = {
    MinLengthLogitsProcessor: _min_length,
    MinNewTokensLengthLogitsProcessor: _min_new_tokens,
    SuppressTokensLogitsProcessor: _suppressing,
    TopKLogitsWarper: _keeping_top_k,
}


def usual_endings(criteria: StoppingCriteriaList) -> tuple[int | None, list[int], StoppingCriteriaList]:
    """The length at which all rows end, the ids with which one ends, and what else ends them."""
    max_length, last_ids, others = None, [], StoppingCriteriaList()
    for criterion in criteria:
        if type(criterion) is MaxLengthCriteria and not _warns(criterion):
            max_length = criterion.max_length if max_length is None else min(max_length, criterion.max_length)
        elif type(criterion) is EosTokenCriteria:
            last_ids += criterion.eos_token_id.flatten().tolist()
        else:
            others.append(criterion)
    return max_length, last_ids, others


def _warns(criterion: MaxLengthCriteria) -> bool:
    """Whether it may warn of rows longer than the model has positions for."""
    most = criterion.max_position_embeddings
    return most is not None and most < criterion.max_length


class Endings:
    """Which rows of a batch go on.

    Args:
        criteria: say which have ended.
        running: (batch,) bool, the rows that go on.
    """

    def __init__(self, criteria: StoppingCriteriaList, running: Tensor):
        self.running = running
        self.max_length, self.last_ids, self.others = usual_endings(criteria)

    def all_after(self, input_ids: Tensor) -> bool:
        """Whether no row goes on after its last id of input_ids (batch, tokens)."""
        for index in self.last_ids:
            self.running = self.running & (input_ids[:, -1] != index)
        if self.others:
            self.running = self.running & ~self.others(input_ids, None)
        is_longest = self.max_length is not None and input_ids.shape[1] >= self.max_length
        return is_longest or not self.running.any()


__all__ = [
    "Drawable",
    "Endings",
    "draw",
    "exponential_like",
    "is_among",
    "kth_largest",
    "short_processes",
    "usual_endings",
]
