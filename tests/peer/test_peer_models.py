# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`ModelTesterMixin`, `ConfigTester` and the generation tests on the five models."""

import copy
import tempfile
import unittest

import torch

from tm2t_hf import (
    MotionTextMatcher,
    MotionTextMatcherConfig,
    MotionToTextConfig,
    MotionToTextModel,
    MotionVQConfig,
    MotionVQModel,
    TextToMotionConfig,
    TextToMotionModel,
    TextToMotionTransformer,
    TextToMotionTransformerConfig,
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

    def test_tuple_and_dict_outputs_agree(self):
        """What `test_model_outputs_equivalence` asks, for models without hidden states too."""
        for model_class in self.all_model_classes:
            config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
            model = model_class(config).eval()
            with torch.no_grad():
                as_dict = model(**inputs, return_dict=True)
                as_tuple = model(**inputs, return_dict=False)
            self.assertIsInstance(as_tuple, tuple)
            self.assertEqual(len(as_tuple), len(as_dict))
            for value, other in zip(as_tuple, as_dict.values(), strict=True):
                if isinstance(value, torch.Tensor):
                    torch.testing.assert_close(value, other)


class _Seq2SeqTest(_ModelTest, GenerationTesterMixin):
    """What the translation models share."""

    is_encoder_decoder = True

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        inputs = super()._prepare_for_class(inputs_dict, model_class)
        if return_labels:  # transformers adds them to the inputs of its own classes only
            inputs["labels"] = inputs["decoder_input_ids"].clone()
        return inputs


class _TextTableTest:
    """`resize_token_embeddings` of a model whose text table is not counted by `config.vocab_size` alone."""

    text_size_name = None  # of the configuration
    text_input_name = None  # of forward

    def test_resize_text_table(self):
        """The new size is the table's and the configuration's; new ids can be read, and what is saved loads."""
        for model_class in self.all_model_classes:
            config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
            model = model_class(copy.deepcopy(config)).eval()
            other_shapes = {name: p.shape for name, p in model.named_parameters() if p.shape[0] != 37}
            size = getattr(config, self.text_size_name) + 5
            model.resize_token_embeddings(size)
            self.assertEqual(getattr(model.config, self.text_size_name), size)
            shapes = {name: p.shape for name, p in model.named_parameters()}
            self.assertEqual({name: shapes[name] for name in other_shapes}, other_shapes)
            inputs[self.text_input_name][:, -1] = size - 1
            with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
                expected = model(**inputs)
                model.save_pretrained(folder)
                actual = model_class.from_pretrained(folder)(**inputs)
            name = "logits" if "logits" in expected else "text_embeddings"
            torch.testing.assert_close(actual[name], expected[name])


NO_LAYERS = "the model is no row of layers of one width, whose hidden states it could return"
NO_LAYERS_SKIPPED = {
    "test_hidden_states_output": NO_LAYERS,
    "test_retain_grad_hidden_states_attentions": NO_LAYERS,
    "test_model_outputs_equivalence": f"{NO_LAYERS}; see test_tuple_and_dict_outputs_agree",
}
OTHER_VOCABULARY = "the text's size is config.text_vocab_size, not config.vocab_size; see test_resize_text_table"
WORD_FEATURES = "gives the features of each word as a tensor, what inputs_embeds may hold, not an output as CLIP's"
NO_MOVING_AVERAGES = "the keys are the moving averages of a motion VQ, which one that learns by gradient lacks"
MOVING_AVERAGES = "code_uses and code_sums are not saved; they restart from the loaded codebook (MotionVQQuantizer)"


@skipping(
    {
        "test_model_get_set_embeddings": "the model reads features: it embeds no tokens",
        "test_can_use_safetensors": MOVING_AVERAGES,
        "test_load_save_without_tied_weights": MOVING_AVERAGES,
    }
)
class MotionVQModelTest(_ModelTest, unittest.TestCase):
    model_tester_class = testers.MotionVQModelTester
    config_class = MotionVQConfig
    config_fields = {"hidden_size": 8, "codebook_size": 16}
    common_properties = ("hidden_size", "codebook_size")
    all_model_classes = (MotionVQModel,)
    has_attentions = False
    test_resize_embeddings = False  # its table is a codebook, no vocabulary


@skipping({"test_save_load_keys_to_ignore_on_save": NO_MOVING_AVERAGES})
class PaperMotionVQModelTest(MotionVQModelTest):
    """The codebook learned by gradient, without moving averages."""

    def setUp(self):
        self.model_tester = testers.MotionVQModelTester(self, codebook_update="gradient")

    def test_codebook_is_initialized(self):
        """Uniform between -1 / K and 1 / K; the common tests only compare two ways to make a model."""
        config = self.model_tester.get_config()
        for model in (MotionVQModel(config), MotionVQModel.from_pretrained(None, config=config, state_dict={})):
            self.assertLessEqual(model.quantizer.embedding.weight.abs().max(), 1 / config.codebook_size)

    # what its state leaves no reason to skip
    test_can_use_safetensors = common.ModelTesterMixin.test_can_use_safetensors
    test_load_save_without_tied_weights = common.ModelTesterMixin.test_load_save_without_tied_weights


@skipping(
    {
        "test_save_load_keys_to_ignore_on_save": f"{NO_MOVING_AVERAGES}, and Marian's tables of positions",
        "test_resize_tokens_embeddings": "resizes the text's table, not the input's; see test_resize_text_table",
    }
)
class MotionToTextModelTest(_TextTableTest, _Seq2SeqTest, unittest.TestCase):
    model_tester_class = testers.MotionToTextModelTester
    config_class = MotionToTextConfig
    config_fields = {"d_model": 16, "vocab_size": 37}
    common_properties = ("hidden_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
    all_model_classes = (MotionToTextModel,)
    text_size_name = "vocab_size"
    text_input_name = "decoder_input_ids"


@skipping(
    {
        "test_get_text_features_*": WORD_FEATURES,
        "test_model_base_model_prefix": "no base model: encoder, decoder and head are the model's own",
        "test_model_forward_default_config_values": "sets pad_token_id, which follows from the codebook",
        "test_resize_*embeddings*": OTHER_VOCABULARY,
        "test_save_load_keys_to_ignore_on_save": NO_MOVING_AVERAGES,
    }
)
class TextToMotionModelTest(_TextTableTest, _Seq2SeqTest, unittest.TestCase):
    model_tester_class = testers.TextToMotionModelTester
    config_class = TextToMotionConfig
    config_fields = {"motion_hidden_size": 16, "text_vocab_size": 37}
    common_properties = ("vocab_size",)
    all_model_classes = (TextToMotionModel,)
    has_attentions = False  # one head whose weights are (tokens, words): not the shapes that these tests expect
    text_size_name = "text_vocab_size"
    text_input_name = "input_ids"

    def test_halves_of_layers_are_initialized(self):
        """`attention.output` and `mix` are halves of a layer from twice the size, which is drawn as a whole."""
        model = TextToMotionModel(TextToMotionConfig(text_hidden_size=128, motion_hidden_size=256))
        for layer in (model.encoder.attention.output, model.decoder.mix):
            self.assertAlmostEqual(layer.weight.std().item(), (2 / 3 * 2 / 512) ** 0.5, delta=0.002)


@skipping(
    {
        "test_get_text_features_*": WORD_FEATURES,
        "test_model_base_model_prefix": "no base model: encoder, decoder and head are the model's own",
        "test_model_forward_default_config_values": "sets pad_token_id, which follows from the codebook",
        "test_resize_*embeddings*": OTHER_VOCABULARY,
        "test_save_load_keys_to_ignore_on_save": NO_MOVING_AVERAGES,
    }
)
class TextToMotionTransformerTest(_TextTableTest, _Seq2SeqTest, unittest.TestCase):
    model_tester_class = testers.TextToMotionTransformerTester
    config_class = TextToMotionTransformerConfig
    config_fields = {"d_model": 16, "text_vocab_size": 37}
    common_properties = ("hidden_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
    all_model_classes = (TextToMotionTransformer,)
    text_size_name = "text_vocab_size"
    text_input_name = "input_ids"


@skipping({**NO_LAYERS_SKIPPED, "test_resize_tokens_embeddings": OTHER_VOCABULARY})
class MotionTextMatcherTest(_TextTableTest, _ModelTest, unittest.TestCase):
    model_tester_class = testers.MotionTextMatcherTester
    config_class = MotionTextMatcherConfig
    config_fields = {"embedding_size": 8, "text_vocab_size": 37}
    all_model_classes = (MotionTextMatcher,)
    has_attentions = False
    text_size_name = "text_vocab_size"
    text_input_name = "input_ids"
