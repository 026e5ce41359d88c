# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Ids that the models are given, wherever `generate()` takes some."""

import pytest
import torch

BAD = [
    ([[1, 5]], "must be a tensor of shape .batch, tokens., got a list"),
    (torch.tensor([1, 5]), "must have the shape .batch, tokens., got .2,.; for one motion, pass"),
    (torch.tensor([[1.0, 5.0]]), "must hold integers, got torch.float32"),
    (torch.tensor([[1, -5]]), "holds -5, but the vocabulary has ids 0 to "),
    (torch.tensor([[1, 5000]]), "holds 5000, but the vocabulary has ids 0 to "),
    (torch.zeros(0, 2, dtype=torch.long), "must hold at least one row of ids"),
]


@pytest.mark.parametrize("fixture", ["t2m_model", "t2m_transformer", "m2t_model"])
@pytest.mark.parametrize(("ids", "message"), BAD)
def test_ids_that_are_none_are_refused(fixture, ids, message, request):
    model = request.getfixturevalue(fixture)
    with pytest.raises(ValueError, match=f"^`input_ids` {message}"):
        model.generate(ids)
    good = torch.tensor([[32, 3, 33]] if fixture == "m2t_model" else [[1, 5, 2]])
    with pytest.raises(ValueError, match=f"^`decoder_input_ids` {message}"):
        model.generate(good, decoder_input_ids=ids)


def test_a_motion_without_its_beginning_is_mentioned(m2t_model, caplog):
    m2t_model.generate(torch.tensor([[32, 3, 33]]), max_new_tokens=2)
    assert "<bom>" not in caplog.text
    m2t_model.generate(torch.tensor([[3, 4, 5]]), max_new_tokens=2)
    assert "`input_ids` does not begin with <bom>, as in training: make it by `codes_to_ids`" in caplog.text
