# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`TokenizerTesterMixin` and `TokenizersBackendTesterMixin` on the three tokenizers."""

import unittest

from transformers import PreTrainedTokenizerFast

from tm2t_hf import MotionTokenizer, WordTokenizer

from . import testers
from .suite import load, skipping

common = load("test_tokenization_common")


class _TokenizerTest(common.TokenizerTesterMixin, common.TokenizersBackendTesterMixin):
    """What the tests of all tokenizers share; `make` is the tokenizer that they load from a folder."""

    make = None
    test_seq2seq = False  # prepare_seq2seq_batch is gone from transformers

    @classmethod
    def setUpClass(cls):
        cls.from_pretrained_id = testers.folder_with(cls.make())
        super().setUpClass()


OFFSETS = "lemmas have no place among the characters of a caption: asking for it is an error"
FIXED_TOKENS = "the special tokens are ids of the models and keep their names"
FIXED_TOKENS_SKIPPED = {
    "test_add_bos_token_without_bos_token": FIXED_TOKENS,
    "test_added_tokens_serialization": FIXED_TOKENS,
    "test_bos_token_with_add_bos_token_*": FIXED_TOKENS,
    "test_pad_token_initialization": FIXED_TOKENS,
}


class MotionTokenizerReadingEnglish(MotionTokenizer):
    """Takes every other word for `<motion_0>`: the sentences of the common tests become motions."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._tokenizer.model.unk_token = "<motion_0>"


@skipping(
    {
        "test_rust_tokenizer_add_prefix_space_0": "PreTrainedTokenizerFast keeps the pre-tokenizer of tokenizer.json; "
        "captions are learned without a space before the first word",
    }
)
class TextTokenizerTest(_TokenizerTest, unittest.TestCase):
    tokenizer_class = rust_tokenizer_class = PreTrainedTokenizerFast
    make = staticmethod(testers.text_tokenizer)


@skipping(
    {
        **FIXED_TOKENS_SKIPPED,
        **dict.fromkeys(
            ("test_get_vocab", "test_save_and_load_tokenizer", "test_tokenize_special_tokens"),
            "it adds tokens, but the vocabulary is that of the codebook: an error says so",
        ),
        "test_training_new_tokenizer*": "the vocabulary follows from the size of the codebook: nothing is learned",
    }
)
class MotionTokenizerTest(_TokenizerTest, unittest.TestCase):
    tokenizer_class = rust_tokenizer_class = MotionTokenizerReadingEnglish
    make = staticmethod(lambda: MotionTokenizer(codebook_size=29))

    def get_clean_sequence(self, tokenizer, with_prefix_space=False, max_length=20, min_length=5):
        text = " ".join(f"<motion_{code}>" for code in range(max_length or 20))
        return " " * with_prefix_space + text, tokenizer.encode(text, add_special_tokens=False)


@skipping(
    {
        **FIXED_TOKENS_SKIPPED,
        "test_alignment_methods": OFFSETS,
        "test_chat_template_return_assistant_tokens_mask*": OFFSETS,
        "test_maximum_encoding_length_*_input": "captions are cut to max_words, as in the original",
        "test_offsets_mapping": OFFSETS,
        "test_tokenize_special_tokens": "words with other signs than letters are dropped, as in the original",
        "test_training_new_tokenizer*": "the vocabulary is that of the converted model",
    }
)
class WordTokenizerTest(_TokenizerTest, unittest.TestCase):
    tokenizer_class = rust_tokenizer_class = WordTokenizer
    make = staticmethod(testers.word_tokenizer)
