# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What holds for the configurations of all models: overrides reach everything, contradictions are refused."""

import json
import math

import pytest
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModel

from tm2t_hf import (
    MotionTextMatcherConfig,
    MotionToTextConfig,
    MotionToTextModel,
    MotionVQConfig,
    MotionVQModel,
    TextToMotionConfig,
    TextToMotionTransformerConfig,
)
from tm2t_hf.vocabulary import MAX_CODEBOOK_SIZE

VQ = {"hidden_size": 8, "codebook_size": 32, "feature_size": 23, "num_decoder_blocks": 1}
SMALL = {
    "tm2t-vq": VQ,
    "tm2t-m2t": {"vq_config": VQ, "vocab_size": 40, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1},
    "tm2t-t2m": {
        "vq_config": VQ, "text_vocab_size": 40, "text_embedding_size": 8, "text_hidden_size": 8,
        "motion_hidden_size": 8,
    },
    "tm2t-t2m-transformer": {
        "vq_config": VQ, "text_vocab_size": 40, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
    },
    "tm2t-matcher": {"text_vocab_size": 40, "movement_hidden_size": 8, "movement_size": 8, "embedding_size": 8},
}  # fmt: skip
TRANSLATIONS = ["tm2t-m2t", "tm2t-t2m", "tm2t-t2m-transformer"]
SPECIAL = ("bos_token_id", "decoder_start_token_id", "eos_token_id", "pad_token_id")


def make(model_type: str, **fields):
    return AutoConfig.for_model(model_type, **SMALL[model_type] | fields)


@pytest.fixture
def saved(tmp_path):
    """A function that saves the configuration of a model type, and returns its folder."""

    def save(model_type):
        make(model_type).save_pretrained(tmp_path / model_type)
        return tmp_path / model_type

    return save


def test_the_text_vocabulary_can_be_overridden(saved):
    config = AutoConfig.from_pretrained(saved("tm2t-m2t"), vocab_size=70)
    assert config.vocab_size == config.decoder_vocab_size == 70
    model = MotionToTextModel(config)
    assert model.lm_head.out_features == model.model.decoder.embed_tokens.num_embeddings == 70


def test_files_that_hold_derived_values_can_be_overridden_too(saved):
    """As this package wrote them once."""
    for model_type, old, overrides, derived in (
        ("tm2t-m2t", {"decoder_vocab_size": 40}, {"vocab_size": 70}, {"decoder_vocab_size": 70}),
        (
            "tm2t-t2m",
            dict.fromkeys(SPECIAL, 32) | {"eos_token_id": 33, "pad_token_id": 34},
            {"codebook_size": 10, "vq_config": None},
            dict.fromkeys(SPECIAL, 10) | {"eos_token_id": 11, "pad_token_id": 12, "vocab_size": 13},
        ),
    ):
        folder = saved(model_type)
        content = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(content | old))
        assert AutoConfig.from_pretrained(folder).to_diff_dict() == make(model_type).to_diff_dict()
        config = AutoConfig.from_pretrained(folder, **overrides)
        assert {name: getattr(config, name) for name in derived} == derived


@pytest.mark.parametrize("model_type", TRANSLATIONS)
def test_another_codebook(saved, model_type):
    folder = saved(model_type)
    config = AutoConfig.from_pretrained(folder, codebook_size=10, vq_config=None)
    assert config.vq_config is None
    assert (config.codebook_size, config.bom_id, config.motion_vocab_size) == (10, 10, 13)
    for new in (MotionVQConfig(**VQ | {"codebook_size": 7}), {"codebook_size": 7}):
        config = AutoConfig.from_pretrained(folder, vq_config=new)
        assert config.codebook_size == config.vq_config.codebook_size == 7
        assert config.vq_config.hidden_size == 8, "what a dict does not name stays"
    assert AutoConfig.from_pretrained(folder, vq_config=None).codebook_size == 32
    with pytest.raises(StrictDataclassError, match="codebook_size is 10, but the motion VQ of vq_config has 32 codes"):
        AutoConfig.from_pretrained(folder, codebook_size=10)
    model = AutoModel.from_config(AutoConfig.from_pretrained(folder, codebook_size=10, vq_config=None))
    assert model.config.motion_vocab_size == 13


@pytest.mark.parametrize("model_type", TRANSLATIONS)
def test_changes_after_construction(model_type, tmp_path):
    config = make(model_type)
    config.vq_config = VQ | {"codebook_size": 16}
    assert isinstance(config.vq_config, MotionVQConfig)
    with pytest.raises(StrictDataclassError, match="codebook_size is 32, but .* 16 codes"):
        config.save_pretrained(tmp_path)
    config.codebook_size = 16
    config.save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).bom_id == 16


def test_a_contradiction_is_refused_before_a_model_is_built():
    config = make("tm2t-m2t")
    config.codebook_size = 16
    with pytest.raises(ValueError, match="codebook_size is 16, but .* 32 codes"):
        MotionToTextModel(config)
    config = make("tm2t-m2t")
    config.vocab_size = 2
    with pytest.raises(ValueError, match="eos_token_id must be an id of the text vocabulary"):
        MotionToTextModel(config)
    config = make("tm2t-vq")
    config.unit_length = 6
    with pytest.raises(ValueError, match="`unit_length` must be a power of two"):
        MotionVQModel(config)


def test_derived_fields_follow_and_cannot_be_set():
    text = make("tm2t-m2t")
    text.vocab_size = 50
    assert text.decoder_vocab_size == 50
    motion = make("tm2t-t2m", vq_config=None, codebook_size=32)
    motion.codebook_size = 10
    assert [getattr(motion, name) for name in SPECIAL] == [10, 10, 11, 12] and motion.vocab_size == 13
    with pytest.raises(
        ValueError, match="decoder_vocab_size of a tm2t-m2t .* follows from vocab_size and is 50, not 60"
    ):
        text.decoder_vocab_size = 60
    with pytest.raises(ValueError, match="vocab_size of a tm2t-t2m .* follows from codebook_size and is 13, not 2"):
        motion.vocab_size = 2
    for name in (*SPECIAL, "vocab_size"):
        with pytest.raises(ValueError, match=f"{name} of a tm2t-t2m .* follows from codebook_size and is 3"):
            make("tm2t-t2m", **{name: 2})


@pytest.mark.parametrize(
    ("model_type", "overrides", "message"),
    [
        ("tm2t-vq", {"unit_length": 6}, "`unit_length` must be a power of two"),
        ("tm2t-vq", {"contact_size": 23}, "`contact_size`"),
        ("tm2t-m2t", {"d_model": 12}, "encoder_attention_heads=8 does not divide d_model=12"),
        ("tm2t-m2t", {"num_attention_heads": 5}, "encoder_attention_heads=5 does not divide d_model=16"),
        ("tm2t-m2t", {"vocab_size": 2}, "eos_token_id must be an id"),
        ("tm2t-t2m", {"text_vocab_size": 5, "text_pad_id": 7}, "`text_pad_id` 7 is outside"),
        ("tm2t-t2m-transformer", {"d_model": 12}, "`encoder_attention_heads` 8 does not divide `d_model` 12"),
        ("tm2t-t2m-transformer", {"text_vocab_size": 5, "text_pad_id": 7}, "`text_pad_id` 7 is outside"),
        ("tm2t-matcher", {"text_vocab_size": 5, "text_pad_id": 7}, "`text_pad_id` 7 is outside"),
        ("tm2t-matcher", {"contact_size": 263}, "`contact_size`"),
    ],
)
def test_overrides_that_do_not_fit_are_refused(saved, model_type, overrides, message):
    with pytest.raises(StrictDataclassError, match=message):
        AutoConfig.from_pretrained(saved(model_type), **overrides)


@pytest.mark.parametrize("model_type", SMALL)
def test_overrides_that_fit_are_those_of_construction(saved, model_type):
    overrides = {
        "tm2t-vq": {"unit_length": 8, "codebook_size": 5},
        "tm2t-m2t": {"hidden_size": 24, "vocab_size": 99},  # hidden_size is another name of d_model
        "tm2t-t2m": {"num_layers": 3, "text_vocab_size": None},
        "tm2t-t2m-transformer": {"hidden_size": 24, "text_vocab_size": 50},
        "tm2t-matcher": {"pos_size": 15},
    }[model_type]
    config, unused = AutoConfig.from_pretrained(
        saved(model_type), **overrides, nobody_knows_this=1, return_unused_kwargs=True
    )
    assert unused == {"nobody_knows_this": 1}
    made = make(model_type, **{{"hidden_size": "d_model"}.get(name, name): value for name, value in overrides.items()})
    left_out = {"transformers_version", "_name_or_path"}
    first, second = ({k: v for k, v in c.to_dict().items() if k not in left_out} for c in (config, made))
    assert first == second


@pytest.mark.parametrize("size", [0, -3, 10**9])
@pytest.mark.parametrize(
    "config_class", [MotionVQConfig, MotionToTextConfig, TextToMotionConfig, TextToMotionTransformerConfig]
)
def test_a_codebook_of_a_sensible_size(config_class, size):
    with pytest.raises(StrictDataclassError, match=f"codebook_size must be from 1 to {MAX_CODEBOOK_SIZE:,} codes"):
        config_class(codebook_size=size)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
@pytest.mark.parametrize(
    ("config_class", "name"),
    [
        (MotionVQConfig, "fps"),
        (MotionVQConfig, "commitment_weight"),
        (MotionVQConfig, "reset_threshold"),
        (MotionVQConfig, "position_loss_weight"),
        (MotionVQConfig, "ema_decay"),
        (MotionToTextConfig, "dropout"),
        (MotionToTextConfig, "layer_norm_eps"),
        (MotionToTextConfig, "label_smoothing"),
        (TextToMotionConfig, "initializer_range"),
        (TextToMotionConfig, "dropout"),
        (TextToMotionConfig, "label_smoothing"),
        (TextToMotionTransformerConfig, "dropout"),
        (TextToMotionTransformerConfig, "label_smoothing"),
        (TextToMotionTransformerConfig, "layer_norm_eps"),
        (MotionTextMatcherConfig, "margin"),
        (MotionTextMatcherConfig, "initializer_range"),
        (MotionTextMatcherConfig, "dropout"),
    ],
)
def test_numbers_that_are_none(config_class, name, value):
    with pytest.raises(StrictDataclassError, match=name):
        config_class(**{name: value})
