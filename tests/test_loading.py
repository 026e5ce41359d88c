# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Models are loaded whole or refused in one sentence that names what is wrong."""

import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSeq2SeqLM

from tm2t_hf import (
    MotionFeatureExtractor,
    MotionToTextModel,
    MotionVQModel,
    TextToMotionModel,
    TM2TProcessor,
)
from tm2t_hf.loading import load_processor, load_whole


@pytest.fixture
def folder(tmp_path, t2m_model, processor):
    """A whole text-to-motion model."""
    t2m_model.save_pretrained(tmp_path / "t2m")
    processor.save_pretrained(tmp_path / "t2m")
    return tmp_path / "t2m"


def refused(model_class, name, error=ValueError) -> str:
    with pytest.raises(error) as information:
        load_whole(model_class, name)
    message = str(information.value)
    assert "\n" not in message and str(name) in message
    return message


@pytest.mark.parametrize("model_class", [TextToMotionModel, AutoModelForSeq2SeqLM, AutoModel])
def test_a_whole_model(folder, t2m_model, model_class):
    model = load_whole(model_class, folder)
    for name, tensor in t2m_model.named_parameters():
        assert torch.equal(model.state_dict()[name], tensor)
    assert load_whole(model_class, str(folder), dropout=0.25).config.dropout == 0.25


@pytest.mark.parametrize("fixture", ["vq_model", "m2t_model"])
def test_what_is_never_saved_is_not_missing(fixture, request, tmp_path):
    model = request.getfixturevalue(fixture)
    model.save_pretrained(tmp_path)
    load_whole(type(model), tmp_path)


@pytest.mark.parametrize("rename", [None, "decoder.grru"])
def test_weights_that_are_missing_or_named_otherwise(folder, rename):
    path = folder / "model.safetensors"
    weights = load_file(path)
    changed = {}
    for name, tensor in weights.items():
        if not name.startswith("decoder.gru"):
            changed[name] = tensor
        elif rename:
            changed[name.replace("decoder.gru", rename)] = tensor
    save_file(changed, path, {"format": "pt"})
    message = refused(TextToMotionModel, folder)
    assert "lacks weights of its model (decoder.gru.bias_hh_l0, " in message
    assert ("unknown ones (decoder.grru.bias_hh_l0" in message) == bool(rename)


def test_weights_of_another_shape(folder):
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["decoder.mix.bias"] = torch.zeros(3)
    save_file(weights, path, {"format": "pt"})
    refused(TextToMotionModel, folder)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_truncated_weights(folder, share):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "model.safetensors is not a whole safetensors file (" in refused(TextToMotionModel, folder)


def test_a_pointer_of_git_lfs(folder):
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "pointer of Git LFS, not the weights; fetch them with `git lfs pull`" in refused(AutoModel, folder)


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    assert "has no model.safetensors" in refused(AutoModel, folder, FileNotFoundError)


@pytest.mark.parametrize(
    ("model_class", "needed"),
    [(MotionVQModel, "tm2t-vq"), (MotionToTextModel, "tm2t-m2t")],
)
def test_a_model_of_another_type(folder, model_class, needed):
    assert f"is a model of type tm2t-t2m, but one of type {needed} is needed" in refused(model_class, folder)


def test_a_motion_vq_where_a_translation_is_needed(tmp_path, vq_model):
    vq_model.save_pretrained(tmp_path)
    message = refused(AutoModelForSeq2SeqLM, tmp_path)
    assert re.search("model of type tm2t-vq, but one of type tm2t-(m2t or tm2t-t2m|t2m or tm2t-m2t) is need", message)


@pytest.mark.parametrize("name", ["nowhere", "me/t2n", "./nowhere", "C:\\me\\t2m", "a/b/c", "/no/where", "~/t2m"])
def test_a_typo_in_the_path(name):
    assert re.search("There is no (model|folder) ", refused(AutoModel, name, FileNotFoundError))


def test_a_folder_that_is_no_model(tmp_path):
    assert "There is no model in" in refused(AutoModel, tmp_path, FileNotFoundError)
    (tmp_path / "config.json").write_text("{")
    assert "config.json is not the JSON of a configuration" in refused(AutoModel, tmp_path)


def test_processors(folder, tmp_path):
    assert isinstance(load_processor(TM2TProcessor, folder), TM2TProcessor)
    with pytest.raises(FileNotFoundError, match="There is no model nowhere"):
        load_processor(TM2TProcessor, "nowhere")
    for file in ("tokenizer.json", "processor_config.json"):
        shutil.copytree(folder, tmp_path / "cut", dirs_exist_ok=True)
        (tmp_path / "cut" / file).unlink()
        with pytest.raises(FileNotFoundError, match=f"cut has no {file}, which its processor needs"):
            load_processor(TM2TProcessor, tmp_path / "cut")
    (tmp_path / "cut" / "processor_config.json").write_text("{")
    with pytest.raises(ValueError, match="The processor of .*cut could not be loaded"):
        load_processor(MotionFeatureExtractor, tmp_path / "cut")
