# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`ModelTesterMixin`, `ConfigTester` and the generation tests on the four models."""

import unittest

from tm2t_hf import (
    MotionTextMatcher,
    MotionTextMatcherConfig,
    MotionToTextConfig,
    MotionToTextModel,
    MotionVQConfig,
    MotionVQModel,
    TextToMotionConfig,
    TextToMotionModel,
)

from . import testers
from .suite import load, skipping

common = load("test_modeling_common")
ConfigTester = load("test_configuration_common").ConfigTester
GenerationTesterMixin = common.GenerationTesterMixin


class _ModelTest(common.ModelTesterMixin):
    """What the tests of all models share.

    Attributes:
        model_tester_class: makes configuration and inputs. config_class, config_fields: for `ConfigTester`.
    """

    model_tester_class = None
    config_class = None
    config_fields: dict = {}
    common_properties: tuple[str, ...] = ()

    def setUp(self):
        self.model_tester = self.model_tester_class(self)

    def test_config(self):
        """The common tests of configurations."""
        ConfigTester(
            self,
            config_class=self.config_class,
            has_text_modality=False,
            common_properties=list(self.common_properties),
            **self.config_fields,
        ).run_common_tests()


class _Seq2SeqTest(_ModelTest, GenerationTesterMixin):
    """What the two translation models share."""

    is_encoder_decoder = True

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        inputs = super()._prepare_for_class(inputs_dict, model_class)
        if return_labels:  # transformers adds them to the inputs of its own classes only
            inputs["labels"] = inputs["decoder_input_ids"].clone()
        return inputs


@skipping({})
class MotionVQModelTest(_ModelTest, unittest.TestCase):
    model_tester_class = testers.MotionVQModelTester
    config_class = MotionVQConfig
    config_fields = {"hidden_size": 8, "codebook_size": 16}
    common_properties = ("hidden_size", "codebook_size")
    all_model_classes = (MotionVQModel,)
    has_attentions = False
    test_resize_embeddings = False  # its table is a codebook, no vocabulary


@skipping({})
class MotionToTextModelTest(_Seq2SeqTest, unittest.TestCase):
    model_tester_class = testers.MotionToTextModelTester
    config_class = MotionToTextConfig
    config_fields = {"d_model": 16, "vocab_size": 37}
    common_properties = ("hidden_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
    all_model_classes = (MotionToTextModel,)


@skipping(
    {
        "test_model_base_model_prefix": "encoder and decoder make no base model",
        "test_resize_tokens_embeddings": "what is resized is the text's table; see test_modeling_text_to_motion.py",
        "test_resize_embeddings_untied": "what is resized is the text's table; see test_modeling_text_to_motion.py",
    }
)
class TextToMotionModelTest(_Seq2SeqTest, unittest.TestCase):
    model_tester_class = testers.TextToMotionModelTester
    config_class = TextToMotionConfig
    config_fields = {"motion_hidden_size": 16, "text_vocab_size": 37}
    common_properties = ("hidden_size", "num_hidden_layers", "vocab_size")
    all_model_classes = (TextToMotionModel,)
    has_attentions = False


@skipping(
    {
        "test_*hidden_states*": "the matcher returns embeddings only",
        "test_model_outputs_equivalence": "the matcher returns embeddings only; see test_modeling_matcher.py",
        "test_resize_tokens_embeddings": "asks for model.vocab_size; see test_modeling_matcher.py",
    }
)
class MotionTextMatcherTest(_ModelTest, unittest.TestCase):
    model_tester_class = testers.MotionTextMatcherTester
    config_class = MotionTextMatcherConfig
    config_fields = {"embedding_size": 8, "text_vocab_size": 37}
    all_model_classes = (MotionTextMatcher,)
    has_attentions = False
