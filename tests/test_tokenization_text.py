# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The text tokenizer: special ids, exact decoding, determinism, bad captions."""

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from tm2t_hf.tokenization_text import check_captions, list_captions, train_text_tokenizer

CAPTIONS = [
    "a person waves the left hand",
    "someone walks forward slowly, like an old man",
    "the drunk man's walk: unk and unknown",
    "a person kicks with the right leg",
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_text_tokenizer(CAPTIONS, vocab_size=320)


def test_special_tokens_have_the_first_four_ids(tokenizer):
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3]) == ["<pad>", "<bos>", "<eos>", "<unk>"]
    ids = (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id)
    assert ids == (0, 1, 2, 3)


def test_a_caption_is_framed_and_a_batch_padded_on_the_right(tokenizer):
    batch = tokenizer(CAPTIONS[:2], padding=True)
    for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
        assert ids[0] == 1 and ids[sum(mask) - 1] == 2
        assert ids[sum(mask) :] == [0] * (len(ids) - sum(mask))


@pytest.mark.parametrize("caption", CAPTIONS)
def test_decoding_gives_the_caption_back(tokenizer, caption):
    assert tokenizer.decode(tokenizer(caption)["input_ids"], skip_special_tokens=True) == caption


def test_case_spaces_and_the_last_full_stop_make_no_difference(tokenizer):
    assert tokenizer("  A person  waves the LEFT hand. ")["input_ids"] == tokenizer(CAPTIONS[0])["input_ids"]


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=40))
def test_any_text_survives_but_for_its_normalization(tokenizer, text):
    if any(token in text for token in tokenizer.all_special_tokens):
        return
    normalized = tokenizer.backend_tokenizer.normalizer.normalize_str(text)
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == normalized
    assert tokenizer.unk_token_id not in ids


def test_training_is_deterministic_and_the_size_kept(tokenizer):
    again = train_text_tokenizer(iter(CAPTIONS), vocab_size=320)
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
    assert len(tokenizer) == 320


def test_saves_and_loads(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded(CAPTIONS)["input_ids"] == tokenizer(CAPTIONS)["input_ids"]
    assert loaded.decode(loaded(CAPTIONS[2])["input_ids"], skip_special_tokens=True) == CAPTIONS[2]
    assert (loaded.pad_token_id, loaded.bos_token_id, loaded.eos_token_id) == (0, 1, 2)


def test_every_container_gives_every_caption():
    data = Dataset.from_dict({"text": CAPTIONS})
    for captions in (
        CAPTIONS,
        tuple(CAPTIONS),
        iter(CAPTIONS),
        dict.fromkeys(CAPTIONS).keys(),
        np.array(CAPTIONS),
        np.array(CAPTIONS, dtype=object),
        pd.Series(CAPTIONS, index=range(5, 9)),
        pd.DataFrame({"name": range(4), "text": CAPTIONS}),
        data,
        data["text"],
        data.with_format("numpy")["text"],
        data[:],
        data.to_iterable_dataset(),
        [{"text": caption} for caption in CAPTIONS],
        ({"text": caption, "name": "x"} for caption in CAPTIONS),
    ):
        assert list(map(str, check_captions(captions))) == CAPTIONS, type(captions)
    assert check_captions({"text": CAPTIONS[0]}) == check_captions(CAPTIONS[0]) == CAPTIONS[:1]
    assert list_captions(("a person", "...")) == ["a person", "..."]


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ("", r"captions\[0\] has no words"),
        (["a person", " ."], r"captions\[1\] has no words"),
        (["a person", None], r"captions\[1\] is NoneType, not a string"),
        (3, "captions is int, not a string"),
        ([], "captions is an empty list"),
        (iter(()), "captions is an empty list"),
        (b"a person", "captions is bytes, not a string"),
        ({"a person", "a man"}, "captions is a set, which has no order"),
        ({}, "captions is a dict that holds nothing, but no 'text'"),
        ({"caption": "a person"}, "captions is a dict that holds 'caption', but no 'text'"),
        (pd.DataFrame({"caption": ["a person"]}), "captions is a DataFrame that holds 'caption', but no 'text'"),
        ([{"caption": "a person"}], r"captions\[0\] is a dict that holds 'caption', but no 'text'"),
        ([["a person", "a man"], ["someone"]], r"captions\[0\] is list, not a string"),
        ({"text": [["a person"]]}, r"captions\[0\] is list, not a string"),
        (np.array([["a person"]]), r"captions\[0\] is ndarray, not a string"),
        (np.arange(3), r"captions\[0\] is int, not a string"),
    ],
)
def test_bad_captions_are_named(captions, message):
    with pytest.raises(ValueError, match=message):
        check_captions(captions, "captions")
    with pytest.raises(ValueError, match=message):
        train_text_tokenizer(captions)


def test_a_vocabulary_without_room_for_the_bytes_is_refused():
    with pytest.raises(ValueError, match="vocab_size=100 leaves no room"):
        train_text_tokenizer(CAPTIONS, vocab_size=100)


def test_a_byte_order_mark_is_no_part_of_a_caption():
    assert check_captions("\ufeffa person bows") == check_captions(["a person bows"]) == ["a person bows"]


def test_half_a_character_is_refused():
    with pytest.raises(ValueError, match=r"text\[1\] is not text that can be encoded"):
        check_captions(["a person bows", "a person \ud83d bows"])
