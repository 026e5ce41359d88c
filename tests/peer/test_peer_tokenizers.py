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


class MotionTokenizerReadingEnglish(MotionTokenizer):
    """Takes every other word for `<motion_0>`: the sentences of the common tests become motions."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._tokenizer.model.unk_token = "<motion_0>"


@skipping({})
class TextTokenizerTest(_TokenizerTest, unittest.TestCase):
    tokenizer_class = rust_tokenizer_class = PreTrainedTokenizerFast
    make = staticmethod(testers.text_tokenizer)


@skipping({})
class MotionTokenizerTest(_TokenizerTest, unittest.TestCase):
    tokenizer_class = rust_tokenizer_class = MotionTokenizerReadingEnglish
    make = staticmethod(lambda: MotionTokenizer(codebook_size=29))

    def get_clean_sequence(self, tokenizer, with_prefix_space=False, max_length=20, min_length=5):
        text = " ".join(f"<motion_{code}>" for code in range(max_length or 20))
        return " " * with_prefix_space + text, tokenizer.encode(text, add_special_tokens=False)


@skipping({})
class WordTokenizerTest(_TokenizerTest, unittest.TestCase):
    tokenizer_class = rust_tokenizer_class = WordTokenizer
    make = staticmethod(testers.word_tokenizer)
