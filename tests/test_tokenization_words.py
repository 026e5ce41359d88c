# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The word-level text side of converted models: lemmas and tags, ids, part-of-speech classes, saving, bad input."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, DataCollatorWithPadding

from tm2t_hf import WordTokenizer
from tm2t_hf.data import read_captions
from tm2t_hf.tokenization_words import POS_CLASSES, tag_words

WORDS = ["sos", "eos", "unk", "a", "person", "walk", "drunk", "forward", "leg", "left", "be", "with", "slowly"]
SOS, EOS, UNK, PAD = 0, 1, 2, 13

# What spaCy made of captions of HumanML3D, from the examples that its authors and others print.
TAGGED = {
    "a man kicks something or someone with his left leg.": "a/DET man/NOUN kick/VERB something/PRON or/CCONJ "
    "someone/PRON with/ADP his/DET left/ADJ leg/NOUN",
    "the standing person kicks with their left foot before going back to their original stance.": "the/DET stand/VERB "
    "person/NOUN kick/VERB with/ADP their/DET left/ADJ foot/NOUN before/ADP go/VERB back/ADV to/ADP their/DET "
    "original/ADJ stance/NOUN",
    "he is flying kick with his left leg": "he/PRON is/AUX fly/VERB kick/NOUN with/ADP his/DET left/ADJ leg/NOUN",
    "a person is walking in place at a slow pace.": "a/DET person/NOUN is/AUX walk/VERB in/ADP place/NOUN at/ADP "
    "a/DET slow/ADJ pace/NOUN",
}


@pytest.fixture
def tokenizer() -> WordTokenizer:
    return WordTokenizer.from_words({word: index for index, word in enumerate(WORDS)})


@pytest.fixture
def with_pos() -> WordTokenizer:
    return WordTokenizer.from_words({word: index for index, word in enumerate(WORDS)}, return_pos_ids=True)


# ---- lemmas and tags ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("caption", "tagged"), TAGGED.items())
def test_captions_of_humanml3d(caption, tagged):
    assert " ".join(f"{word}/{tag}" for word, tag in tag_words(caption)) == tagged
    assert tag_words(tagged) == tag_words(caption), "tokens are taken as they are"


@pytest.mark.parametrize(
    ("caption", "lemmas"),
    [
        ("the person's feet don't move", "the person foot do move"),
        ("He turns 180 degrees, counter-clockwise!", "he turn degree counterclockwise"),
        ("someone leaves on the left and left again", "someone leave on the left and left again"),
        ("they have raised their arms", "they have raise their arm"),
        ("it has two hands", "it have two hand"),
        ("walks to sit, goes to the railing", "walk to sit go to the railing"),
        ("a tired man stands bent over", "a tired man stand bent over"),
        ("gesticulates quirklessly at the zorbles", "gesticulate quirklessly at the zorble"),
        ("...", ""),
    ],
)
def test_lemmas(caption, lemmas):
    assert " ".join(word for word, _ in tag_words(caption)) == lemmas


def test_lemmas_of_bandai_namco(data_dir):
    """Captions there hold tokens made with other means; of the words nearly all get the same lemma."""
    equal = total = 0
    for path in sorted((data_dir / "bandai_namco" / "texts").glob("*.txt"))[::40]:
        for line in read_captions(path):
            theirs, ours = tag_words(line.tokens), tag_words(line.caption)
            assert len(theirs) == len(ours), line.caption
            equal += sum(a[0] == b[0] for a, b in zip(theirs, ours, strict=True))
            total += len(ours)
    assert total > 1000 and equal / total > 0.99


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_words_of_letters(text):
    for word, tag in tag_words(text):
        assert word and tag.isalpha()
        assert "/" in text or word.isalpha()


def test_plain_captions_need_lemminflect_and_tagged_ones_do_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "lemminflect", None)
    assert tag_words("a/DET person/NOUN") == [("a", "DET"), ("person", "NOUN")]
    with pytest.raises(ImportError, match="pip install lemminflect`, or give captions of `lemma/POS` tokens"):
        tag_words("a person walks")


# ---- ids ------------------------------------------------------------------------------------------------------------


def test_ids(tokenizer):
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (SOS, EOS, UNK)
    assert tokenizer.pad_token_id == PAD and len(tokenizer) == 14
    batch = tokenizer(["A person walks forward.", "left leg"], padding=True, return_tensors="pt")
    assert batch["input_ids"].tolist() == [[SOS, 3, 4, 5, 7, EOS], [SOS, 9, 8, EOS, PAD, PAD]]
    assert batch["attention_mask"].tolist() == [[1] * 6, [1, 1, 1, 1, 0, 0]]
    assert sorted(batch) == ["attention_mask", "input_ids"]
    one = tokenizer("a person walks")
    assert one["input_ids"] == [SOS, 3, 4, 5, EOS]
    assert tokenizer("a person walks", return_tensors="pt")["input_ids"].shape == (1, 5)


def test_no_word_is_split_at_a_special_one(tokenizer):
    assert tokenizer("a drunk person")["input_ids"] == [SOS, 3, 6, 4, EOS]
    assert tokenizer("sos a unk person eos <pad>")["input_ids"] == [SOS, UNK, 3, UNK, 4, UNK, UNK, EOS]


def test_decoding(tokenizer):
    ids = tokenizer("a person walks with zest")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a person walk with"
    assert tokenizer.batch_decode([[SOS, 3, 4, EOS, PAD]], skip_special_tokens=True) == ["a person"]


def test_captions_are_cut_as_the_original_cuts_them(tokenizer):
    ids = tokenizer("forward " * 30)["input_ids"]
    assert ids == [SOS, *[7] * 20, EOS]
    words = {word: index for index, word in enumerate(WORDS)}
    assert WordTokenizer.from_words(words, max_words=3)("a person walks slowly")["input_ids"] == [SOS, 3, 4, 5, EOS]


# ---- parts of speech ------------------------------------------------------------------------------------------------


def test_pos_ids(with_pos):
    """Lists of words win over tags; special, unknown and otherwise tagged words are OTHER."""
    batch = with_pos(["a person is walking slowly", "left/ADJ zest/NOUN and/CCONJ be/VERB"], padding=True)
    names = [[POS_CLASSES[index] for index in row] for row in batch["pos_ids"]]
    assert names[0] == ["OTHER", "DET", "NOUN", "OTHER", "Act_VIP", "Desc_VIP", "OTHER"]
    assert names[1] == ["OTHER", "Loc_VIP", "OTHER", "OTHER", "VERB", "OTHER", "OTHER"]
    assert [len(row) for row in batch["pos_ids"]] == [len(row) for row in batch["input_ids"]]
    tensors = with_pos("a person", return_tensors="pt")
    assert tensors["pos_ids"].tolist() == [[14, 2, 1, 14]] and tensors["pos_ids"].dtype == torch.int64


def test_classes_are_in_the_order_of_the_original():
    assert len(POS_CLASSES) == 15
    assert [POS_CLASSES.index(name) for name in ("VERB", "AUX", "ADV", "Loc_VIP", "Desc_VIP", "OTHER")] == [
        *(0, 5, 8, 9, 13, 14)
    ]


# ---- as every tokenizer ---------------------------------------------------------------------------------------------


def test_every_container_gives_every_caption(with_pos):
    captions = ["a person walks slowly", "a drunk leg", "..."]
    expected = dict(with_pos(captions, padding=True))
    for several in (tuple(captions), np.array(captions), pd.Series(captions), iter(captions)):
        assert dict(with_pos(several, padding=True)) == expected
    assert dict(with_pos({"text": captions}, padding=True)) == expected
    assert with_pos("...")["input_ids"] == [SOS, EOS]
    for bad in ({"caption": "a person"}, [], 3, [3], None):
        with pytest.raises(ValueError):
            with_pos(bad)


def test_pos_ids_are_padded(with_pos):
    captions = ["a person walks slowly", "a leg"]
    expected = with_pos(captions, padding=True, return_tensors="pt")
    rows = [with_pos(caption) for caption in captions]
    padded = with_pos.pad(rows, return_tensors="pt")
    assert set(padded) == set(expected) == {"input_ids", "attention_mask", "pos_ids"}
    assert all(torch.equal(padded[name], expected[name]) for name in expected)
    left = with_pos.pad(rows, padding_side="left", return_tensors="pt")
    also_left = with_pos(captions, padding=True, padding_side="left", return_tensors="pt")
    assert left["pos_ids"][1].tolist() == [14, 14, *rows[1]["pos_ids"]]
    assert all(torch.equal(left[name], also_left[name]) for name in expected)
    batch = DataCollatorWithPadding(with_pos, padding="max_length", max_length=9)(rows)
    assert batch["pos_ids"].shape == batch["input_ids"].shape == (2, 9)


def test_the_padding_side_is_heard(tokenizer, tmp_path):
    left = WordTokenizer(tokenizer.get_vocab(), padding_side="left")
    left.save_pretrained(tmp_path)
    for each in (left, AutoTokenizer.from_pretrained(tmp_path)):
        assert each(["a person walks", "a leg"], padding=True)["input_ids"][1] == [PAD, SOS, 3, 8, EOS]


def test_words_and_pairs(with_pos):
    one = with_pos("a person walks slowly")
    assert dict(with_pos(["a", "person", "walks", "slowly"], is_split_into_words=True)) == dict(one)
    assert dict(with_pos([["a", "person", "walks", "slowly"]], is_split_into_words=True)) == dict(
        with_pos(["a person walks slowly"])
    )
    two = with_pos("left leg")
    pair = with_pos("a person walks slowly", "left leg")
    for name in ("input_ids", "pos_ids"):
        assert pair[name] == one[name] + two[name][1:]
    assert dict(with_pos(["a person walks slowly"], ["left leg"])) == {name: [row] for name, row in pair.items()}
    assert dict(with_pos([("a person walks slowly", "left leg")])) == {name: [row] for name, row in pair.items()}
    assert pair.sequence_ids() == [None, 0, 0, 0, 0, None, 1, 1, None]
    with pytest.raises(ValueError, match="text has 2 captions, but text_pair has 1"):
        with_pos(["a leg", "a leg"], ["left leg"])


def test_overflowing_tokens_keep_their_classes(with_pos):
    whole = with_pos("a person walks slowly forward")
    parts = with_pos(
        ["a leg", "a person walks slowly forward"], truncation=True, max_length=5, return_overflowing_tokens=True
    )
    assert parts["overflow_to_sample_mapping"] == [0, 1, 1]
    assert parts["pos_ids"][1][1:-1] + parts["pos_ids"][2][1:-1] == whole["pos_ids"][1:-1]


def test_offsets_are_refused_because_lemmas_have_none(tokenizer):
    with pytest.raises(ValueError, match="lemmas, which have no place among the characters"):
        tokenizer("a person walks", return_offsets_mapping=True)
    encoded = tokenizer("a person walks")
    assert encoded.tokens() == ["<sos>", "a", "person", "walk", "<eos>"]
    for method in (encoded.char_to_token, encoded.char_to_word, encoded.token_to_chars, encoded.word_to_chars):
        with pytest.raises(ValueError, match="lemmas, which have no place among the characters"):
            method(0)


@pytest.mark.parametrize("name", ["bos_token", "eos_token", "unk_token", "pad_token"])
def test_the_special_tokens_keep_their_names(tokenizer, name):
    with pytest.raises(ValueError, match=f"{name}='<s>' is not possible: it is '<"):
        WordTokenizer(tokenizer.get_vocab(), **{name: "<s>"})


# ---- saving and bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fixture", ["tokenizer", "with_pos"])
def test_saved_and_loaded(request, tmp_path, fixture):
    tokenizer = request.getfixturevalue(fixture)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert type(again) is WordTokenizer
    captions = ["a person walks slowly", "a drunk leg"]
    assert dict(again(captions, padding=True)) == dict(tokenizer(captions, padding=True))
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.model_input_names == tokenizer.model_input_names


def test_vocabularies_that_are_none():
    with pytest.raises(ValueError, match="indices of the word vocabulary are not 0, 1, 2"):
        WordTokenizer.from_words({"sos": 0, "eos": 1, "unk": 3})
    with pytest.raises(ValueError, match="has no 'eos', which stands for <eos>"):
        WordTokenizer.from_words({"sos": 0, "unk": 1})
