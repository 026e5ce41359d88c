# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Tiny random models, a Hub, and the folders with reference data where they are on this machine."""

import copy
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import huggingface_hub
import numpy as np
import pytest
import torch
import transformers
from conftest import ROOT
from hub_server import TOKEN, Hub
from hypothesis import HealthCheck, settings
from transformers import BertConfig, PreTrainedConfig, PreTrainedModel

from tm2t_hf import (
    HUMANML3D,
    MotionFeatureExtractor,
    MotionTokenizer,
    MotionToTextConfig,
    MotionToTextModel,
    MotionVQConfig,
    MotionVQModel,
    TextToMotionConfig,
    TextToMotionModel,
    TextToMotionTransformer,
    TextToMotionTransformerConfig,
    TM2TProcessor,
    train_text_tokenizer,
)

# an example may take long on a machine that is busy, as it is with a process of tests on each core
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

SHARED = Path(os.environ.get("TM2T_SHARED", ROOT.parent / "shared"))
CAPTIONS = [
    "a person walks forward",
    "someone waves the left hand",
    "the person kicks with the right leg",
    "an old man turns left slowly",
]
TRANSFORMER = {  # the sizes of tiny ones
    "d_model": 16,
    **dict.fromkeys(("encoder_layers", "decoder_layers"), 1),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 32),
}


def shared_folder(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(
            f"the reference data is not on this machine: {folder} (TM2T_SHARED names the folder that holds {name}/)"
        )
    return folder


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Tensors computed with the original implementation."""
    return shared_folder("golden")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real motion capture and captions."""
    return shared_folder("data")


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[Hub]:
    """A Hub of one's own, which this process is logged in to, with an empty cache."""
    with Hub() as hub:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        settings = {
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_OFFLINE": False,
            "HF_HUB_CACHE": str(tmp_path / "hub_cache"),
            "HF_HUB_DISABLE_XET": True,
        }
        for name, value in settings.items():
            monkeypatch.setattr(huggingface_hub.constants, name, value)
        monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", hub.url)
        monkeypatch.setattr(transformers.utils.hub, "_hf_api", None)
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.utils._http.time, "sleep", lambda seconds: None)  # before another attempt
        yield hub


@pytest.fixture(autouse=True)
def seeded():
    """Every test begins with the same random numbers."""
    torch.manual_seed(0)
    np.random.seed(0)


# what `tiny` has made so far, by how it was made
MADE: dict[tuple, PreTrainedModel] = {}


def tiny(make: Callable, config: PreTrainedConfig, vq: MotionVQModel | None = None) -> PreTrainedModel:
    """A copy of the model that `make(config)` gives, around this motion VQ; its weights are always the same.

    The model itself is made once and kept, as that takes ten times as long as a copy.
    """
    key = (make, config.to_json_string(use_diff=False), config._attn_implementation)
    if key not in MADE:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            MADE[key] = make(copy.deepcopy(config)).eval()
    model = MADE[key]
    # what `deepcopy` is to put in the place of these, instead of copying them
    replaced = {} if vq is None else {id(model.vq): vq, id(model.config.vq_config): vq.config}
    return copy.deepcopy(model, replaced)


@pytest.fixture
def vq_config() -> MotionVQConfig:
    """Of a tiny motion VQ."""
    return MotionVQConfig(hidden_size=16, codebook_size=32, num_decoder_blocks=1)


@pytest.fixture
def vq_model(vq_config) -> MotionVQModel:
    """A tiny motion VQ with 32 codes."""
    return tiny(vq_with_codes, vq_config)


def vq_with_codes(config: MotionVQConfig) -> MotionVQModel:
    model = MotionVQModel(config)
    # untrained codes lie so close to zero that all latents would choose the same one
    torch.nn.init.normal_(model.quantizer.embedding.weight)
    return model


@functools.cache
def trained_once():
    return train_text_tokenizer(CAPTIONS, vocab_size=300)


@pytest.fixture
def text_tokenizer():
    """Trained on `CAPTIONS`."""
    return copy.deepcopy(trained_once())


@pytest.fixture
def feature_extractor() -> MotionFeatureExtractor:
    """That of HumanML3D, without normalization."""
    size = HUMANML3D.feature_size
    return MotionFeatureExtractor(skeleton=HUMANML3D, mean=np.zeros(size), std=np.ones(size))


@pytest.fixture
def processor(feature_extractor, text_tokenizer, vq_config) -> TM2TProcessor:
    """The three parts together."""
    return TM2TProcessor(
        feature_extractor=feature_extractor,
        tokenizer=text_tokenizer,
        motion_tokenizer=MotionTokenizer(codebook_size=vq_config.codebook_size),
    )


@pytest.fixture
def m2t_model(vq_model, text_tokenizer) -> MotionToTextModel:
    """Tiny motion to text around `vq_model`."""
    config = MotionToTextConfig(vq_config=vq_model.config, vocab_size=len(text_tokenizer), **TRANSFORMER)
    return tiny(MotionToTextModel, config, vq_model)


@pytest.fixture
def t2m_model(vq_model, text_tokenizer) -> TextToMotionModel:
    """Tiny text to motion, by GRUs, around `vq_model`."""
    config = TextToMotionConfig(
        vq_config=vq_model.config,
        text_vocab_size=len(text_tokenizer),
        text_embedding_size=12,
        text_hidden_size=8,
        motion_hidden_size=16,
    )
    return tiny(TextToMotionModel, config, vq_model)


def copy_of_saved(parts: dict[str, tuple], saved: Path, copy: Path) -> Path:
    """A folder with a folder for each of these models and processors, which are saved once, by the first test."""
    if not saved.exists():
        for name, (model, processor) in parts.items():
            model.save_pretrained(saved / name)
            processor.save_pretrained(saved / name)
    return shutil.copytree(saved, copy)


@pytest.fixture(scope="session")
def saved_once(tmp_path_factory) -> Path:
    """A folder for what is saved once and then copied."""
    return tmp_path_factory.mktemp("saved")


@pytest.fixture
def checkpoints(saved_once, processor, vq_model, t2m_model, m2t_model, tmp_path_factory) -> Path:
    """A folder of tiny checkpoints laid out as the package's own; it is this test's, to change as it likes."""
    models = {"tm2t-vq": vq_model, "tm2t-m2t": m2t_model, "tm2t-t2m": t2m_model}
    parts = {name: (model, processor) for name, model in models.items()}
    return copy_of_saved(parts, saved_once / "stages", tmp_path_factory.mktemp("checkpoints") / "all")


@pytest.fixture
def text_encoder_config(text_tokenizer) -> BertConfig:
    """Of a pretrained text encoder, for the text-to-motion models that have one inside."""
    sizes = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return BertConfig(vocab_size=len(text_tokenizer), pad_token_id=text_tokenizer.pad_token_id, **sizes)


@pytest.fixture
def t2m_on_encoder(vq_model, text_encoder_config) -> TextToMotionModel:
    """`t2m_model` with a pretrained text encoder inside."""
    config = TextToMotionConfig(
        vq_config=vq_model.config,
        text_encoder_config=text_encoder_config,
        text_hidden_size=8,
        motion_hidden_size=16,
    )
    return tiny(TextToMotionModel, config, vq_model)


@pytest.fixture
def t2m_transformer(vq_model, text_tokenizer) -> TextToMotionTransformer:
    """Tiny text to motion, by a transformer, around `vq_model`."""
    return tiny_t2m_transformer(vq_model, text_vocab_size=len(text_tokenizer))


@pytest.fixture
def t2m_transformer_on_encoder(vq_model, text_encoder_config) -> TextToMotionTransformer:
    """`t2m_transformer` with a pretrained text encoder inside."""
    return tiny_t2m_transformer(vq_model, text_encoder_config=text_encoder_config)


def tiny_t2m_transformer(vq_model, **fields) -> TextToMotionTransformer:
    config = TextToMotionTransformerConfig(vq_config=vq_model.config, **TRANSFORMER, **fields)
    return tiny(TextToMotionTransformer, config, vq_model)
