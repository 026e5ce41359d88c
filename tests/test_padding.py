# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Lengths of padded rows, and what is refused where there are values to look at."""

import pytest
import torch

from tm2t_hf.padding import lengths_of, padded_lengths, refuse_unless, text_lengths

MASK = torch.tensor([[1, 1, 1], [1, 0, 0], [0, 0, 0]])


def test_lengths():
    inputs = torch.zeros(3, 3, 5)
    assert padded_lengths(None, inputs.shape[:2], "motion") is None
    assert padded_lengths(MASK, inputs.shape[:2], "motion").tolist() == [3, 1, 0]
    assert lengths_of(inputs, None, "motion").tolist() == [3, 3, 3]
    assert text_lengths(inputs[:2], MASK[:2].bool()).tolist() == [3, 1]
    with pytest.raises(ValueError, match="A text of the batch is empty"):
        text_lengths(inputs, MASK)


@pytest.mark.parametrize("row", [[0, 1, 1], [1, 0, 1], [0, 1, 0]])
def test_padding_that_is_not_behind(row):
    with pytest.raises(ValueError, match="motion must be padded on the right side only"):
        padded_lengths(torch.tensor([row]), (1, 3), "motion")
    with pytest.raises(ValueError, match=r"attention_mask has the shape \(1, 3\), but motion \(1, 4\)"):
        padded_lengths(torch.tensor([row]), (1, 4), "motion")


def test_without_numbers_nothing_is_refused():
    refuse_unless(torch.zeros(2, dtype=torch.bool, device="meta"), "never")
    with pytest.raises(ValueError, match="^now$"):
        refuse_unless(torch.zeros(2, dtype=torch.bool), "now")
