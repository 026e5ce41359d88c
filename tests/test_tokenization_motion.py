# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The motion tokenizer: codes, ids and text are three forms of one thing."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from tm2t_hf.tokenization_motion import MotionTokenizer

CODEBOOK_SIZE = 32
TOKENIZER = MotionTokenizer(codebook_size=CODEBOOK_SIZE)


def test_the_ids_are_those_of_the_models():
    assert len(TOKENIZER) == CODEBOOK_SIZE + 3
    assert (TOKENIZER.bos_token_id, TOKENIZER.eos_token_id, TOKENIZER.pad_token_id) == (32, 33, 34)
    assert TOKENIZER.convert_ids_to_tokens([0, 31, 32, 33, 34]) == [
        "<motion_0>",
        "<motion_31>",
        "<bom>",
        "<eom>",
        "<pad>",
    ]


def test_text_is_not_framed_again_and_batches_are_padded():
    batch = TOKENIZER(["<bom> <motion_17> <motion_4> <eom>", "<bom> <eom>"], padding=True)
    assert batch["input_ids"] == [[32, 17, 4, 33], [32, 33, 34, 34]]
    assert batch["attention_mask"] == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert TOKENIZER.decode([32, 17, 4, 33, 34]) == "<bom> <motion_17> <motion_4> <eom> <pad>"
    assert TOKENIZER.decode([32, 17, 4, 33, 34], skip_special_tokens=True) == "<motion_17> <motion_4>"


@given(codes=st.lists(st.integers(0, CODEBOOK_SIZE - 1)))
def test_codes_survive_ids_and_text(codes):
    ids, text = TOKENIZER.codes_to_ids(codes), TOKENIZER.codes_to_text(codes)
    assert TOKENIZER.ids_to_codes(ids) == codes
    assert TOKENIZER.text_to_codes(text) == codes
    assert TOKENIZER(text)["input_ids"] == ids
    assert TOKENIZER.decode(ids) == text


def test_codes_end_at_the_first_eom_and_tensors_are_welcome():
    assert TOKENIZER.ids_to_codes(torch.tensor([32, 5, 33, 6, 34])) == [5]
    assert TOKENIZER.codes_to_text(torch.tensor([5])) == "<bom> <motion_5> <eom>"


def test_saves_and_loads(tmp_path):
    TOKENIZER.save_pretrained(tmp_path)
    for loaded in (MotionTokenizer.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        assert isinstance(loaded, MotionTokenizer)
        assert loaded.codebook_size == CODEBOOK_SIZE
        assert loaded.get_vocab() == TOKENIZER.get_vocab()
        assert loaded.codes_to_text([3]) == "<bom> <motion_3> <eom>"


def test_what_is_no_motion_token_is_named():
    with pytest.raises(ValueError, match="'wave', which is no motion token .* <motion_0> to <motion_31>"):
        TOKENIZER.text_to_codes("<bom> wave <eom>")
    with pytest.raises(ValueError, match="codes holds 32, but the codebook has codes 0 to 31"):
        TOKENIZER.codes_to_ids([1, 32])
