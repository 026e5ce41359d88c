# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The matcher's processor: that of the translation models without motion tokens."""

import numpy as np
import pytest
import torch
from transformers import AutoProcessor

from tm2t_hf import MotionTextMatcherConfig, MotionTextMatcherProcessor, TM2TProcessor, WordTokenizer


@pytest.fixture
def matcher_processor(feature_extractor, text_tokenizer) -> MotionTextMatcherProcessor:
    return MotionTextMatcherProcessor(feature_extractor, text_tokenizer)


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    return {"text": ["a person waves", "someone walks"], "motion": [rng.normal(size=(n, 263)) for n in (20, 12)]}


def test_it_returns_what_the_translation_processor_returns(matcher_processor, processor, inputs):
    batch, expected = (each(**inputs, return_tensors="pt") for each in (matcher_processor, processor))
    assert set(batch) == set(expected) == set(matcher_processor.model_input_names)
    assert all(torch.equal(batch[name], expected[name]) for name in expected)


def test_it_has_two_parts(matcher_processor):
    assert matcher_processor.get_attributes() == ["feature_extractor", "tokenizer"]
    assert not isinstance(matcher_processor, TM2TProcessor) and not hasattr(matcher_processor, "motion_tokenizer")
    assert len(repr(matcher_processor).splitlines()) == 4
    with pytest.raises(TypeError, match="motion_tokenizer"):
        MotionTextMatcherProcessor(
            matcher_processor.feature_extractor, matcher_processor.tokenizer, motion_tokenizer=3
        )


def test_saves_and_loads(matcher_processor, inputs, tmp_path):
    MotionTextMatcherConfig().save_pretrained(tmp_path)
    matcher_processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert type(loaded) is MotionTextMatcherProcessor
    batch, expected = (each(**inputs, return_tensors="pt") for each in (loaded, matcher_processor))
    assert all(torch.equal(batch[name], expected[name]) for name in expected)


def test_word_classes_come_with_the_words(feature_extractor, inputs):
    words = ["sos", "eos", "unk", "a", "person", "wave", "someone", "walk"]
    tokenizer = WordTokenizer.from_words({word: index for index, word in enumerate(words)}, return_pos_ids=True)
    batch = MotionTextMatcherProcessor(feature_extractor, tokenizer)(**inputs, return_tensors="pt")
    assert batch["pos_ids"].shape == batch["input_ids"].shape
