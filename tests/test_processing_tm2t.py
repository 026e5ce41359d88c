# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The processor: what each call returns, that models take it, saving, bad input."""

import numpy as np
import pytest
import torch
from transformers import AutoProcessor

from tm2t_hf.feature_extraction_motion import MotionFeatureExtractor
from tm2t_hf.processing_tm2t import TM2TProcessor
from tm2t_hf.tokenization_motion import MotionTokenizer


@pytest.fixture(scope="module")
def motions():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(frames, 263)) for frames in (20, 12)]


def test_text_alone_is_what_a_tokenizer_returns(processor):
    batch = processor(text=["a person waves", "someone walks fast"], return_tensors="pt")
    assert set(batch) == {"input_ids", "attention_mask"}
    expected = processor.tokenizer(["a person waves", "someone walks fast"], padding=True, return_tensors="pt")
    assert torch.equal(batch["input_ids"], expected["input_ids"])
    assert processor(text="a person waves")["input_ids"] == [processor.tokenizer("a person waves")["input_ids"]]


def test_motion_alone_is_what_the_feature_extractor_returns(processor, motions):
    batch = processor(motion=motions, return_tensors="pt")
    assert set(batch) == {"motion_values", "attention_mask"}
    expected = processor.feature_extractor(motions, return_tensors="pt")
    assert torch.equal(batch["motion_values"], expected["motion_values"])
    assert batch["attention_mask"].sum(dim=1).tolist() == [20, 12]


def test_both_keep_their_masks_apart(processor, motions):
    batch = processor(text=["a person waves", "someone walks fast"], motion=motions, return_tensors="pt")
    assert set(batch) == {"input_ids", "attention_mask", "motion_values", "motion_attention_mask"}
    assert batch["attention_mask"].shape == batch["input_ids"].shape
    assert batch["motion_attention_mask"].sum(dim=1).tolist() == [20, 12]
    assert set(batch) == set(processor.model_input_names)


def test_labels_are_the_caption_after_bos_and_train_a_model(processor, motions, m2t_model):
    captions = ["a person waves", "someone walks"]
    batch = processor(motion=motions, text_target=captions, return_tensors="pt")
    for labels, caption in zip(batch["labels"].tolist(), captions, strict=True):
        ids = [index for index in labels if index != -100]
        assert [processor.tokenizer.bos_token_id, *ids] == processor.tokenizer(caption)["input_ids"]
    assert torch.isfinite(m2t_model(**batch).loss)


def test_models_take_what_it_returns(processor, motions, vq_model, m2t_model, t2m_model):
    motion = processor(motion=motions, return_tensors="pt")
    assert vq_model.encode(**motion).codes.shape == (2, 5)
    assert len(m2t_model.generate(**motion, max_new_tokens=3)) == 2
    text = processor(text="a person waves", return_tensors="pt")
    sequences = t2m_model.generate(**text, min_new_tokens=2, max_new_tokens=2)
    (joints,) = processor.post_process(t2m_model.decode_motion(sequences))
    assert joints.shape == (8, 22, 3)
    assert processor.motion_tokenizer.ids_to_codes(sequences[0]) == sequences[0, 1:].tolist()


def test_decodes_text(processor):
    ids = processor(text=["a person waves"])["input_ids"]
    assert processor.batch_decode(ids, skip_special_tokens=True) == ["a person waves"]


def test_saves_and_loads_all_three(processor, motions, t2m_model, tmp_path):
    t2m_model.config.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    for loaded in (TM2TProcessor.from_pretrained(tmp_path), AutoProcessor.from_pretrained(tmp_path)):
        assert isinstance(loaded, TM2TProcessor)
        assert isinstance(loaded.feature_extractor, MotionFeatureExtractor)
        assert isinstance(loaded.motion_tokenizer, MotionTokenizer)
        assert loaded.feature_extractor.to_dict() == processor.feature_extractor.to_dict()
        assert loaded.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
        assert loaded.motion_tokenizer.get_vocab() == processor.motion_tokenizer.get_vocab()
        before, after = (p(text="someone walks", motion=motions[0]) for p in (processor, loaded))
        assert before["input_ids"] == after["input_ids"]
        np.testing.assert_array_equal(before["motion_values"], after["motion_values"])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "there is nothing to process; pass text=, motion= or both"),
        ({"text_target": "a person"}, "there is nothing to process"),
        ({"text": ""}, r"text\[0\] has no words"),
        ({"text": ["a person", 3]}, r"text\[1\] is int, not a string"),
        ({"text": 3}, "text is int, not a string"),
        ({"text": "a person", "text_target": "a person"}, "text= and text_target= are both given"),
        ({"text": ["a", "b"], "motion": np.zeros((9, 263))}, "2 in text= and 1 in motion="),
        ({"motion": np.zeros((9, 263)), "text_target": ["a", "b"]}, "1 in motion= and 2 in text_target="),
        ({"motion": np.zeros((9, 5))}, r"motion has shape \(9, 5\)"),
    ],
)
def test_bad_input_is_named(processor, inputs, message):
    with pytest.raises(ValueError, match=message):
        processor(**inputs)
