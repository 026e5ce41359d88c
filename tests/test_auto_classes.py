# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Checkpoints that carry their code: complete where tm2t_hf is missing, and unread where it is there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from common_fixtures import copy_of_saved
from conftest import ROOT
from hub_server import Hub
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForSeq2SeqLM,
    AutoProcessor,
    AutoTokenizer,
    pipeline,
)
from transformers.dynamic_module_utils import get_imports, get_relative_imports

from tm2t_hf import (
    MotionTextMatcher,
    MotionTextMatcherConfig,
    MotionTextMatcherProcessor,
    WordTokenizer,
)
from tm2t_hf.auto_classes import auto_classes
from tm2t_hf.hub import HubFolder
from tm2t_hf.pipelines import CHECKPOINTS

WORDS = {word: index for index, word in enumerate(["sos", "eos", "unk", "a", "person", "wave"])}
ON_ENCODER = "tm2t-t2m-on-encoder"
CLASSES = auto_classes() | {ON_ENCODER: auto_classes()["tm2t-t2m"]}


@pytest.fixture
def folders(
    saved_once,
    tmp_path,
    vq_model,
    m2t_model,
    t2m_model,
    t2m_on_encoder,
    t2m_transformer_on_encoder,
    feature_extractor,
    processor,
) -> dict[str, Path]:
    """Type of model -> folder with a tiny one and its processor; the GRU both with and without a text encoder."""
    t2m_transformer_on_encoder.config.text_encoder_config._name_or_path = str(tmp_path)
    small = dict.fromkeys(("movement_hidden_size", "movement_size", "text_hidden_size", "motion_hidden_size"), 8)
    matcher = MotionTextMatcher(MotionTextMatcherConfig(text_vocab_size=7, pos_size=15, embedding_size=4, **small))
    words = WordTokenizer.from_words(WORDS, return_pos_ids=True)
    matcher_processor = MotionTextMatcherProcessor(feature_extractor, words)
    models = {model.config.model_type: model for model in (vq_model, m2t_model, t2m_model, t2m_transformer_on_encoder)}
    models |= {ON_ENCODER: t2m_on_encoder, "tm2t-matcher": matcher}
    processors = {"tm2t-vq": feature_extractor, "tm2t-matcher": matcher_processor}
    parts = {name: (model, processors.get(name, processor)) for name, model in models.items()}
    copied = copy_of_saved(parts, saved_once / "types", tmp_path / "models")
    return {name: copied / name for name in models}


def code_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")}


def run_without_package(names: dict[str, dict[str, str]], folder: Path, hub: Hub) -> dict:
    """What tests/without_package.py reports of these models."""
    script = Path(__file__).with_name("without_package.py")
    environment = {"HF_HOME": str(folder / "home"), "PYTHONPATH": "", "HF_ENDPOINT": hub.url}
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(names), str(folder / "again"), str(folder / "report.json")],
        cwd=folder, env=os.environ | environment | {"HF_HUB_DISABLE_XET": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_every_type_and_both_pipelines_work_without_the_package(hub, folders, tmp_path):
    """From a folder, and some from the Hub; in one process, which takes long to start."""
    uploads = {name: HubFolder(folders[name], name) for name in ("tm2t-m2t", ON_ENCODER)}
    for upload in uploads.values():
        upload.upload("Done")
    names = {"folders": {name: str(folder) for name, folder in folders.items()}}
    names["hub"] = {name: upload.repo_id for name, upload in uploads.items()}
    report = run_without_package(names, tmp_path, hub)
    assert report["package"] == "cannot be imported"
    assert_as_in_the_package(report["folders"], folders, tmp_path / "again" / "folders")

    for model_type in uploads:
        folder, again = folders[model_type], tmp_path / "again" / "hub" / model_type
        assert report["hub"][model_type]["weights"] == report["folders"][model_type]["weights"]
        from_hub = "transformers_modules.your_hyphen_name."
        assert all(name.startswith(from_hub) for name in report["hub"][model_type]["classes"])
        assert code_in(again) == code_in(folder)
        for path in again.rglob("*.json"):
            for trace in (names["hub"][model_type], "_name_or_path", "_commit_hash", "--"):
                assert trace not in path.read_text(encoding="utf-8"), path.name


def assert_as_in_the_package(report: dict, folders: dict[str, Path], again: Path):
    for model_type, folder in folders.items():
        classes = CLASSES[model_type]
        assert all(name.startswith("transformers_modules.") for name in report[model_type]["classes"])
        found = {name.rpartition(".")[2] for name in report[model_type]["classes"]}
        assert found >= {named.__name__ for named in classes.values()}
        model = AutoModel.from_pretrained(folder)
        weights = sum(float(parameter.detach().double().sum()) for parameter in model.parameters())
        assert report[model_type]["weights"] == pytest.approx(weights, rel=1e-12)
        # saved again, it still has its code
        assert code_in(again / model_type) == code_in(folder)
        for path in folder.rglob("*config.json"):
            saved = json.loads((again / model_type / path.relative_to(folder)).read_text())
            before = json.loads(path.read_text())
            saved.pop("text_encoder_config", None), before.pop("text_encoder_config", None)  # learns its dtype
            assert saved == before
    for task in ("animate", "describe"):
        assert code_in(again / task) == code_in(folders["tm2t-m2t"])

    for model_type in ("tm2t-t2m", ON_ENCODER, "tm2t-t2m-transformer"):
        animate = pipeline("text-to-motion", model=str(folders[model_type]))
        options = {"do_sample": False, "min_new_tokens": 3, "max_new_tokens": 3, "return_codes": True}
        assert animate("a person walks forward", **options)["codes"].tolist() == report[model_type]["codes"]
    describe = pipeline("motion-to-text", model=str(again / "describe"))
    joints = torch.linspace(0, 1, 24 * 22 * 3).reshape(24, 22, 3).cumsum(0) / 10
    assert describe(joints, max_new_tokens=4)[0]["generated_text"] == report["caption"]


def test_with_the_package_none_of_it_runs(folders):
    for folder in folders.values():
        for path in folder.rglob("*.py"):
            path.write_text("raise AssertionError('the code of the checkpoint has been run')\n")
    for model_type, folder in folders.items():
        classes = CLASSES[model_type]
        for auto_class in (AutoConfig, AutoModel, AutoModelForSeq2SeqLM, AutoProcessor, AutoFeatureExtractor):
            if auto_class.__name__ in classes:
                for trust in (True, False, None):
                    loaded = auto_class.from_pretrained(folder, trust_remote_code=trust)
                    assert type(loaded) is classes[auto_class.__name__]
    matcher = AutoTokenizer.from_pretrained(folders["tm2t-matcher"], trust_remote_code=True)
    assert type(matcher) is WordTokenizer
    for task, model_type in (("text-to-motion", "tm2t-t2m"), ("motion-to-text", "tm2t-m2t")):
        for trust in (True, None):
            assert pipeline(task, model=str(folders[model_type]), trust_remote_code=trust).task == task


@pytest.mark.parametrize("model_type", CLASSES)
def test_the_code_is_complete_and_that_of_the_package(folders, model_type):
    code = {name: content for name, content in code_in(folders[model_type]).items() if "/" not in name}
    assert code.keys() >= {f"{named.__module__.split('.')[1]}.py" for named in CLASSES[model_type].values()}
    for name, content in code.items():
        assert content == (ROOT / "tm2t_hf" / name).read_bytes()
        assert {f"{module}.py" for module in get_relative_imports(folders[model_type] / name)} <= code.keys()
        assert "tm2t_hf" not in get_imports(folders[model_type] / name)


@pytest.mark.parametrize("model_type", CLASSES)
def test_no_traces_of_the_machine(folders, model_type, tmp_path):
    again = tmp_path / "again"
    AutoModel.from_pretrained(folders[model_type]).save_pretrained(again)
    AutoProcessor.from_pretrained(folders[model_type]).save_pretrained(again)
    for path in again.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        for trace in (str(tmp_path), "_name_or_path", "is_local", "local_files_only"):
            assert trace not in text, path.name
    config = json.loads((again / "config.json").read_text())
    for name, inside in config.items():
        assert not (name.endswith("_config") and {"auto_map", "custom_pipelines"} & set(inside or ()))


def test_a_configuration_in_the_package_holds_no_entries_about_the_code(folders, t2m_model):
    saved = AutoConfig.from_pretrained(folders["tm2t-t2m"])
    assert "auto_map" in saved.to_dict() and list(saved.to_dict()["custom_pipelines"]) == ["text-to-motion"]
    for config in (saved, t2m_model.config):  # pipeline() would demand trust for the code that they name
        assert not hasattr(config, "auto_map") and not hasattr(config, "custom_pipelines")
    assert "custom_pipelines" not in AutoConfig.from_pretrained(folders["tm2t-vq"]).to_dict()


@pytest.mark.parametrize("folder", sorted(CHECKPOINTS.iterdir()), ids=lambda folder: folder.name)
def test_shipped_checkpoints_carry_the_code_of_this_version(folder):
    assert "auto_map" in json.loads((folder / "config.json").read_text()), f"run `tm2t-hf update {folder}`"
    for name, content in code_in(folder).items():
        current = (ROOT / "tm2t_hf" / Path(name).name).read_bytes()
        assert content == current, f"run `tm2t-hf update {folder}`"
