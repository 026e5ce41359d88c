# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Models are loaded whole or refused in one sentence that names what is wrong."""

import contextlib
import json
import re
import shutil

import numpy as np
import pytest
import torch
from mutations import payloads
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSeq2SeqLM, AutoProcessor

from tm2t_hf import (
    HUMANML3D,
    KIT,
    MotionFeatureExtractor,
    MotionTokenizer,
    MotionToTextModel,
    MotionVQModel,
    TextToMotionModel,
    TM2TProcessor,
    train_text_tokenizer,
)
from tm2t_hf.actions import Action, read_actions, write_actions
from tm2t_hf.coverage import COVERAGE_FILE, load_coverage
from tm2t_hf.loading import check_fits, load_processor, load_whole
from tm2t_hf.pipelines import CHECKPOINTS

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


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


def test_nothing_of_a_model_runs_code(folder, tmp_path):
    """A pickle in place of each of its files, and as weights in the format that was made for pickles."""
    write_actions(folder, [Action("walk", "a person walks", 1)])
    (folder / COVERAGE_FILE).touch()
    readers = [
        lambda: load_whole(TextToMotionModel, folder),
        lambda: TextToMotionModel.from_pretrained(folder),
        lambda: AutoProcessor.from_pretrained(folder),
        lambda: load_coverage(folder, "text"),
        lambda: read_actions(folder),
    ]
    witness, pickles = payloads(tmp_path)
    files = [*(path for path in folder.rglob("*") if path.is_file()), folder / "pytorch_model.bin"]
    for payload in pickles:
        for file in files:
            replaced = file if file.exists() else folder / "model.safetensors"
            whole = replaced.read_bytes()
            replaced.unlink()
            file.write_bytes(payload)
            for read in readers:
                with contextlib.suppress(Exception):  # what is wrong is said in other tests
                    read()
                assert not witness.exists(), file
            file.unlink()
            replaced.write_bytes(whole)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_truncated_weights(folder, share):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "model.safetensors is not a whole safetensors file (" in refused(TextToMotionModel, folder)


def test_a_pointer_of_git_lfs(folder):
    (folder / "model.safetensors").write_text(POINTER)
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
    assert re.search("model of type tm2t-vq, but one of type (tm2t-[a-z2-]+ or )+tm2t-[a-z2-]+ is needed", message)


@pytest.mark.parametrize("name", ["nowhere", "me/t2n", "./nowhere", "C:\\me\\t2m", "a/b/c", "/no/where", "~/t2m"])
def test_a_typo_in_the_path(name):
    assert re.search("There is no (model|folder) ", refused(AutoModel, name, FileNotFoundError))


def test_a_folder_that_is_no_model(tmp_path):
    assert "There is no model in" in refused(AutoModel, tmp_path, FileNotFoundError)
    for content, message in (
        ("{", "config.json is not JSON (Expecting"),
        ("[]", "config.json is not a JSON object but a list; get the file again"),
        ("{}", "config.json names no model_type"),
        (POINTER, "config.json is a pointer of Git LFS, not JSON; fetch the file with `git lfs pull`"),
    ):
        (tmp_path / "config.json").write_text(content)
        assert message in refused(AutoModel, tmp_path)


def test_processors(folder, tmp_path):
    assert isinstance(load_processor(TM2TProcessor, folder), TM2TProcessor)
    with pytest.raises(FileNotFoundError, match="There is no model nowhere"):
        load_processor(TM2TProcessor, "nowhere")
    for file in ("tokenizer.json", "tokenizer_config.json", "processor_config.json"):
        shutil.copytree(folder, tmp_path / "cut", dirs_exist_ok=True)
        (tmp_path / "cut" / file).unlink()
        with pytest.raises(FileNotFoundError, match=f"cut has no {file}, which its processor needs"):
            load_processor(TM2TProcessor, tmp_path / "cut")
    (tmp_path / "cut" / "processor_config.json").write_text("{")
    with pytest.raises(ValueError, match="cut/processor_config.json is not JSON"):
        load_processor(MotionFeatureExtractor, tmp_path / "cut")


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json", "motion_tokenizer/tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_damaged_files_of_a_processor_are_named(folder, file, content):
    (folder / file).write_bytes(content)
    with pytest.raises(ValueError, match=f"{file} is not (JSON|a JSON object)") as information:
        load_processor(TM2TProcessor, folder)
    assert "\n" not in str(information.value)


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json", "motion_tokenizer/tokenizer.json"])
@pytest.mark.parametrize("processor_class", [TM2TProcessor, AutoProcessor])
def test_from_pretrained_of_a_processor_names_the_damaged_file(folder, file, processor_class):
    whole = (folder / file).read_text()
    for content, message in ((whole[: len(whole) // 2], "is not JSON"), (POINTER, "is a pointer of Git LFS")):
        (folder / file).write_text(content)
        with pytest.raises(ValueError, match=f"t2m/{file} {message}"):
            processor_class.from_pretrained(folder)
    (folder / file).write_text("{}")
    if file.endswith("tokenizer.json"):
        with pytest.raises(ValueError, match=f"t2m could not be loaded .*{file}.*; get the whole folder"):
            processor_class.from_pretrained(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match="t2m has no tokenizer.json, which its processor needs"):
        processor_class.from_pretrained(folder)


def test_what_is_no_fault_of_a_processors_files_stays_as_it_is(tmp_path):
    for name in (tmp_path / "nowhere", tmp_path):
        with pytest.raises((OSError, ValueError)) as error:
            TM2TProcessor.from_pretrained(name)
        assert "which its processor needs" not in str(error.value)


@pytest.mark.parametrize("load", [load_whole, lambda model_class, name: model_class.from_pretrained(name)])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_generation_config_is_refused(folder, content, load):
    (folder / "generation_config.json").write_bytes(content)
    with pytest.raises(ValueError, match="generation_config.json is not (JSON|a JSON object)"):
        load(AutoModel, folder)
    (folder / "generation_config.json").unlink()
    loaded = load(AutoModel, folder)
    assert loaded.generation_config.to_dict() == type(loaded)(loaded.config).generation_config.to_dict()


def test_the_generation_config_of_another_model_is_refused(folder, t2m_model):
    path = folder / "generation_config.json"
    saved = json.loads(path.read_text())
    path.write_text(json.dumps(saved | {"eos_token_id": 7}))
    message = refused(AutoModel, folder)
    assert "has eos_token_id=7, but the model's configuration has eos_token_id=33" in message
    own = load_whole(TextToMotionModel, folder, generation_config=t2m_model.generation_config)
    assert own.generation_config.eos_token_id == 33


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("key", ["decoder.mix.bias", "vq.quantizer.embedding.weight"])
def test_weights_that_are_no_numbers(folder, key, value):
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights[key].view(-1)[3] = value
    save_file(weights, path, {"format": "pt"})
    assert f"holds NaN or infinite weights ({key}" in refused(AutoModel, folder)
    assert load_whole(AutoModel, folder, ignore_mismatched_sizes=True) is not None
    weights[key].view(-1)[3] = 3e38  # large, but a number
    weights[key].view(-1)[2] = 3e38
    save_file(weights, path, {"format": "pt"})
    load_whole(AutoModel, folder)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_that_are_no_numbers_in_half_precision(folder, dtype):
    load_whole(AutoModel, folder, dtype=dtype)
    weights = load_file(folder / "model.safetensors")
    weights["decoder.mix.bias"][0] = 1e6  # beyond float16
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    if dtype == "bfloat16":
        load_whole(AutoModel, folder, dtype=dtype)
    else:
        with pytest.raises(ValueError, match="holds NaN or infinite weights"):
            load_whole(AutoModel, folder, dtype=dtype)


def tables(model):
    """The embedding, and the output layer that may be tied to it."""
    decoder = model.decoder if hasattr(model, "decoder") else model.model.decoder
    return decoder.embed_tokens.weight, model.lm_head.weight


@pytest.mark.parametrize("fixture", ["m2t_model", "t2m_model"])
def test_an_output_layer_of_its_own(fixture, request, tmp_path):
    model = request.getfixturevalue(fixture)
    model.save_pretrained(tmp_path)
    own = type(model).from_pretrained(tmp_path, tie_word_embeddings=False)
    embedding, head = tables(own)
    assert torch.equal(embedding, head) and embedding is not head and head.data_ptr() != embedding.data_ptr()
    assert torch.equal(embedding, tables(model)[0])
    with torch.no_grad():
        head.add_(1)
    own.save_pretrained(tmp_path / "own")
    again = tables(AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "own"))
    assert torch.equal(again[0], embedding) and torch.equal(again[1], head)
    # as adapters are merged: the configuration says that they are apart, but they are one
    model.config.tie_word_embeddings = False
    model.save_pretrained(tmp_path / "merged")
    again = tables(AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "merged"))
    assert torch.equal(again[0], tables(model)[0]) and torch.equal(again[1], again[0])
    # weights that nothing says how to make are still refused
    weights = load_file(tmp_path / "merged" / "model.safetensors")
    for key in [key for key in weights if key.endswith("decoder.embed_tokens.weight") or key == "lm_head.weight"]:
        del weights[key]
    save_file(weights, tmp_path / "merged" / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="lacks weights of its model .*lm_head.weight"):
        type(model).from_pretrained(tmp_path / "merged")


@pytest.mark.parametrize(("fixture", "target"), [("m2t_model", "q_proj"), ("t2m_model", "query")])
def test_a_merged_adapter_is_saved_and_loaded(fixture, target, request, tmp_path):
    peft = pytest.importorskip("peft")
    model = peft.get_peft_model(request.getfixturevalue(fixture), peft.LoraConfig(target_modules=[target]))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    merged = model.merge_and_unload()
    merged.save_pretrained(tmp_path)
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).state_dict()
    for name, weight in merged.named_parameters():
        assert torch.equal(again[name], weight), name


def extractor(**fields) -> MotionFeatureExtractor:
    skeleton = fields.pop("skeleton", HUMANML3D)
    size = skeleton.feature_size
    return MotionFeatureExtractor(skeleton, np.zeros(size), np.ones(size), **fields)


def longer(processor, number: int):
    """The processor's text tokenizer with further entries."""
    processor.tokenizer.add_tokens([f"<word_{index}>" for index in range(number)])
    return processor.tokenizer


@pytest.mark.parametrize("fixture", ["m2t_model", "t2m_model"])
@pytest.mark.parametrize(
    ("part", "make", "message"),
    [
        ("feature_extractor", lambda _: extractor(fps=40), "feature extractor has fps 40.0, but the model has 20"),
        (
            "feature_extractor",
            lambda _: extractor(unit_length=8),
            "feature extractor has unit_length 8, but the model",
        ),
        ("feature_extractor", lambda _: extractor(skeleton=KIT), "feature extractor has feature_size 251, but the"),
        (
            "motion_tokenizer",
            lambda _: MotionTokenizer(8),
            "motion tokenizer has codebook_size 8, but the model has 32",
        ),
        ("tokenizer", lambda processor: longer(processor, 1), "text tokenizer has vocabulary size 301, but the model"),
        (
            "tokenizer",
            lambda _: train_text_tokenizer(["a person walks"], vocab_size=271),
            "text tokenizer has vocabulary size 271, but the model has 300",
        ),
    ],
)
def test_a_processor_that_contradicts_its_model(fixture, part, make, message, request, processor):
    model = request.getfixturevalue(fixture)
    model.config.vq_config.fps = 20
    check_fits(model, processor)
    setattr(processor, part, make(processor))
    with pytest.raises(ValueError, match=f"^The processor does not fit the model: its {message}") as information:
        check_fits(model, processor)
    assert "\n" not in str(information.value)


def test_another_padding_id_contradicts_too(t2m_model, processor):
    processor.tokenizer.pad_token = processor.tokenizer.eos_token
    with pytest.raises(ValueError, match="its text tokenizer has pad_token_id 2, but the model has 0"):
        check_fits(t2m_model, processor)


@pytest.mark.parametrize("name", ["bos", "eos"])
def test_a_caption_that_begins_or_ends_with_another_id_contradicts(m2t_model, processor, name):
    setattr(processor.tokenizer, f"{name}_token", "<unk>")
    with pytest.raises(ValueError, match=f"its text tokenizer has {name}_token_id 3, but the model has"):
        check_fits(m2t_model, processor)


def test_processors_that_fit(vq_model, m2t_model, t2m_model, processor):
    """Older models that do not state their frame rate, tables that were rounded up, models without parts."""
    assert vq_model.config.fps is None
    for model in (vq_model, m2t_model, t2m_model):
        check_fits(model, extractor(fps=30))
    for model in (m2t_model, t2m_model):
        longer(processor, 1)
        model.resize_token_embeddings(len(processor.tokenizer), pad_to_multiple_of=64)
        check_fits(model, processor)
    for model in (m2t_model, t2m_model):
        model.config.vq_config = None
        check_fits(model, processor)


@pytest.mark.parametrize("name", ["tm2t-vq", "tm2t-m2t", "tm2t-t2m", "tm2t-matcher"])
def test_the_shipped_processors_fit(name):
    folder = CHECKPOINTS / name
    processor = load_processor(MotionFeatureExtractor if name == "tm2t-vq" else AutoProcessor, folder)
    check_fits(load_whole(AutoModel, folder), processor)
    if name == "tm2t-vq":
        with pytest.raises(ValueError, match="feature extractor has fps 20.0, but the model has 20.5"):
            check_fits(load_whole(AutoModel, folder, fps=20.5), processor)


def test_a_class_refuses_a_checkpoint_of_another_type(vq_model, m2t_model, t2m_model, tmp_path):
    models = (vq_model, m2t_model, t2m_model)
    for model in models:
        model.save_pretrained(tmp_path / model.config.model_type)
    for model in models:
        for other in models:
            if other is not model:
                found, wanted = other.config.model_type, model.config.model_type
                message = f"is a model of type {found}, but one of type {wanted} is needed"
                with pytest.raises(ValueError, match=message):
                    type(model).from_pretrained(tmp_path / found)
