# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The motion tokenizer: codes, ids and text are three forms of one thing."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoTokenizer

from tm2t_hf.pipelines import shipped_checkpoint
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


def test_a_folder_without_a_motion_tokenizer_gives_that_of_its_model(vq_model, m2t_model, t2m_model, tmp_path):
    for name, model in (("vq", vq_model), ("m2t", m2t_model), ("t2m", t2m_model)):
        model.save_pretrained(tmp_path / name)
    for name in ("vq", "m2t", "t2m"):
        loaded = MotionTokenizer.from_pretrained(tmp_path / name)
        assert (len(loaded), loaded.bos_token_id, loaded.codebook_size) == (35, 32, 32)
    loaded = AutoTokenizer.from_pretrained(tmp_path / "vq")
    assert isinstance(loaded, MotionTokenizer) and loaded.bos_token_id == 32


def test_the_folder_of_a_translation_model_gives_its_motion_tokenizer(m2t_model, processor, tmp_path):
    processor.motion_tokenizer.model_max_length = 77
    m2t_model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = MotionTokenizer.from_pretrained(tmp_path)
    assert (loaded.codebook_size, loaded.model_max_length) == (32, 77)
    assert len(MotionTokenizer.from_pretrained(tmp_path, subfolder="motion_tokenizer")) == 35
    assert len(AutoTokenizer.from_pretrained(tmp_path)) == len(processor.tokenizer)


def test_shipped_models_give_their_motion_tokenizer():
    for name in ("tm2t-vq", "tm2t-m2t", "tm2t-t2m"):
        folder = shipped_checkpoint(name)
        codebook_size = AutoConfig.from_pretrained(folder).codebook_size
        assert MotionTokenizer.from_pretrained(folder).bos_token_id == codebook_size
    assert AutoTokenizer.from_pretrained(shipped_checkpoint("tm2t-vq")).bos_token_id == 1024


def test_a_folder_without_either_is_named(text_tokenizer, tmp_path):
    text_tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "tm2t-matcher"}')
    with pytest.raises(ValueError, match=f"{tmp_path} holds no motion tokenizer: neither there nor in motion_tok"):
        MotionTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("size", [0, -3, 10**9, 8.0, None, "8", True])
def test_sizes_that_are_none_are_refused(size, tmp_path):
    with pytest.raises(ValueError, match="codebook_size=.* must be an integer from 1 to 262,144"):
        MotionTokenizer(size)
    TOKENIZER.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"codebook_size": size}))
    with pytest.raises(ValueError, match="codebook_size=.* must be an integer from 1 to 262,144"):
        MotionTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["bos_token", "eos_token", "pad_token", "unk_token"])
def test_the_special_tokens_keep_their_names(name):
    with pytest.raises(ValueError, match=f"{name}='<s>' is not possible"):
        MotionTokenizer(8, **{name: "<s>"})
    assert len(MotionTokenizer(8, bos_token="<bom>")) == 11


@pytest.mark.parametrize(
    "text",
    [
        "<bom> <motion_32>",
        ["<bom>", "<bom> <motion_32>"],
        [["<bom>", "<motion_32>"]],
    ],
)
def test_a_word_that_is_no_motion_token_is_named_wherever_it_is_read(text):
    with pytest.raises(ValueError, match="'<motion_32>', which is no motion token .* <motion_0> to <motion_31>"):
        TOKENIZER(text, is_split_into_words=isinstance(text[0], list))
    if isinstance(text, str):
        for read in (TOKENIZER.tokenize, TOKENIZER.encode, lambda text: TOKENIZER("<bom>", text)):
            with pytest.raises(ValueError, match="'<motion_32>', which is no motion token"):
                read(text)


def test_what_is_no_motion_token_is_named():
    with pytest.raises(ValueError, match="'wave', which is no motion token .* <motion_0> to <motion_31>"):
        TOKENIZER.text_to_codes("<bom> wave <eom>")
    with pytest.raises(ValueError, match="codes holds 32, but the codebook has codes 0 to 31"):
        TOKENIZER.codes_to_ids([1, 32])


@pytest.mark.parametrize("ids", [[99], [3, 11], [-1], 99])
def test_foreign_ids_are_refused(ids):
    tokenizer = MotionTokenizer(8)
    message = "but this motion vocabulary has ids 0 to 10; use the tokenizer saved with the motion VQ"
    for read in (tokenizer.decode, tokenizer.convert_ids_to_tokens):
        with pytest.raises(ValueError, match=message):
            read(ids)
    if isinstance(ids, list):
        for read in (lambda: tokenizer.batch_decode([[3], ids]), lambda: tokenizer.ids_to_codes(ids)):
            with pytest.raises(ValueError, match=message):
                read()
    assert tokenizer.decode([8, 3, 9]) == "<bom> <motion_3> <eom>" and tokenizer.decode(3) == "<motion_3>"
    assert tokenizer.convert_ids_to_tokens([10, 0]) == ["<pad>", "<motion_0>"]


def test_the_vocabulary_does_not_grow(tmp_path):
    tokenizer = MotionTokenizer(8)
    for add in (
        lambda: tokenizer.add_tokens(["<motion_8>"]),
        lambda: tokenizer.add_tokens("jump", special_tokens=True),
        lambda: tokenizer.add_special_tokens({"mask_token": "<mask>"}),
    ):
        with pytest.raises(ValueError, match="cannot be added: a motion vocabulary is the codes of its codebook"):
            add()
    assert len(tokenizer) == 11
    tokenizer.save_pretrained(tmp_path)
    assert len(MotionTokenizer.from_pretrained(tmp_path)) == 11


def test_codes_and_ids_are_whole_numbers():
    tokenizer = MotionTokenizer(codebook_size=8)
    assert tokenizer.codes_to_ids(np.array([1, 2])) == tokenizer.codes_to_ids(torch.tensor([1.0, 2.0])) == [8, 1, 2, 9]
    with pytest.raises(ValueError, match="codes must hold whole numbers"):
        tokenizer.codes_to_ids([1.7])
    for other in (True, float("nan"), "1", np.True_):
        with pytest.raises(ValueError, match="codes must hold whole numbers"):
            tokenizer.codes_to_ids([other])
    with pytest.raises(ValueError, match="ids must hold whole numbers"):
        tokenizer.ids_to_codes([3.9])
