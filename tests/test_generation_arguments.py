# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Arguments of `generate()` that are none, wherever they are given."""

import json
import logging

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

MODELS = ["m2t_model", "t2m_model", "t2m_transformer"]
BAD = [
    ("num_beams", 0, "a whole number of at least 1"),
    ("num_beams", "2", "a whole number of at least 1"),
    ("num_return_sequences", 0, "a whole number of at least 1"),
    ("num_return_sequences", -1, "a whole number of at least 1"),
    ("max_new_tokens", 2.5, "a whole number of at least 1"),
    ("max_new_tokens", True, "a whole number of at least 1"),
    ("max_length", "5", "a whole number of at least 1"),
    ("top_k", -1, "a whole number of at least 0"),
    ("temperature", "1", "a number from 0 to inf"),
    ("temperature", float("nan"), "a number from 0 to inf"),
    ("top_p", 2, "a number from 0 to 1"),
    ("length_penalty", "1", "a number from -inf to inf"),
    ("do_sample", "no", "True or False"),
    ("do_sample", 1, "True or False"),
]


@pytest.fixture(params=MODELS)
def model_and_ids(request):
    """A model of each kind, and what it reads."""
    model = request.getfixturevalue(request.param)
    ids = [32, 3, 4, 33] if request.param == "m2t_model" else [1, 7, 8, 2]
    return model, torch.tensor([ids])


@pytest.mark.parametrize(("name", "value", "wanted"), BAD)
def test_values_that_are_none_are_refused(t2m_model, name, value, wanted):
    with pytest.raises(ValueError, match=f"^{name}={value!r} must be {wanted}\\.$"):
        t2m_model.generate(torch.tensor([[1, 7, 8, 2]]), **{name: value})


def test_every_model_looks_at_arguments_and_at_its_generation_config(model_and_ids, tmp_path):
    model, ids = model_and_ids
    with pytest.raises(ValueError, match=r"^num_beams='2' must be"):
        model.generate(ids, num_beams="2", max_new_tokens=2)
    assert len(model.generate(ids, num_beams=2, num_return_sequences=2, max_new_tokens=2, top_k=None)) == 2
    model.generation_config.num_beams = 0
    with pytest.raises(ValueError, match=r"^num_beams=0 must be a whole number of at least 1\.$"):
        model.generate(ids, max_new_tokens=2)
    model.generation_config.num_beams = 1
    model.save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").write_text(json.dumps({"num_beams": -1}))
    with pytest.raises(ValueError, match=r"generation_config.json: num_beams=-1 must be a whole number of at least 1"):
        AutoModelForSeq2SeqLM.from_pretrained(tmp_path)


def test_a_number_of_new_tokens_replaces_the_models_own_limit(model_and_ids, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="transformers")  # whatever a test before it chose
    model, ids = model_and_ids
    model.generation_config.eos_token_id = None
    model.generation_config.max_length = 20
    assert model.generate(ids, max_new_tokens=4).shape == (1, 5)
    assert "seem to have been set" not in caplog.text
    model.generate(ids, max_new_tokens=4, max_length=6)
    assert "seem to have been set" in caplog.text
