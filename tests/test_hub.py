# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Models through the Hub, a local one that can also fail: push, load, interrupted connections."""

import pickle
import shutil
import threading
from functools import partial
from pathlib import Path

import pytest
import torch
from hub_server import TOKEN
from huggingface_hub import HfApi, hf_hub_download
from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM, AutoProcessor, pipeline

from tm2t_hf import TextToMotionModel, TM2TProcessor
from tm2t_hf.coverage import COVERAGE_FILE
from tm2t_hf.hub import HubFolder
from tm2t_hf.loading import load_processor, load_whole
from tm2t_hf.pipelines import shipped_checkpoint

NAME = "your-name/tm2t-t2m"


@pytest.fixture
def folder(tmp_path, t2m_model, processor):
    """A training folder."""
    folder = tmp_path / "tm2t-t2m"
    t2m_model.save_pretrained(folder)
    processor.save_pretrained(folder)
    for name in (
        *("train_config.json", ".lock", "logs/tm2t/events.out", "samples/20/wave.gif"),
        *("last/model.safetensors", "checkpoint.ready/model.safetensors", "checkpoint-3-20/model.safetensors"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("of this machine")
    return folder


def weights_of(model) -> dict[str, torch.Tensor]:
    return dict(model.named_parameters())


def assert_same(model, other):
    for name, tensor in weights_of(other).items():
        assert torch.equal(weights_of(model)[name], tensor)


# ---- uploads


def test_a_folder_without_what_is_of_this_machine(hub, folder, t2m_model):
    uploads = HubFolder(folder)
    assert uploads.repo_id == NAME
    assert uploads.upload("Done").startswith(f"{hub.url}/{NAME}/commit/")
    files = hub.model(NAME).files
    assert {"config.json", "model.safetensors", "motion_tokenizer/tokenizer.json", "pipelines.py"} <= set(files)
    local = ("last", "checkpoint", ".lock", "train_", "logs", "samples")
    assert not [name for name in files if name.startswith(local)]
    assert_same(TextToMotionModel.from_pretrained(NAME), t2m_model)
    assert not list(folder.glob(".upload*"))


@pytest.mark.parametrize("name", ["t2m_transformer", "t2m_on_encoder", "t2m_transformer_on_encoder"])
def test_every_kind_of_text_to_motion(hub, tmp_path, name, processor, request):
    model = request.getfixturevalue(name)
    model.save_pretrained(tmp_path / "tm2t-t2m")
    processor.save_pretrained(tmp_path / "tm2t-t2m")
    HubFolder(tmp_path / "tm2t-t2m").upload("Done")
    assert_same(load_whole(AutoModelForSeq2SeqLM, NAME), model)
    animate = pipeline("text-to-motion", model=NAME)
    motion = animate("a person walks forward", min_new_tokens=3, max_new_tokens=3, do_sample=False)
    assert motion["motion"].shape == (12, 263)
    animate.push_to_hub("your-name/again")
    assert hub.model("your-name/again").files["model.safetensors"] == hub.model(NAME).files["model.safetensors"]


def test_private_and_on_a_branch(hub, folder, monkeypatch):
    HubFolder(folder, "mine", private=True, revision="trial").upload("Done")
    repository = hub.model("your-name/mine")
    assert repository.private and "config.json" not in repository.files
    assert "config.json" in repository.commits[repository.branches["trial"]]
    load_whole(AutoModel, "your-name/mine", revision="trial")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(FileNotFoundError, match="There is no model your-name/mine.*private.*hf auth login"):
        load_whole(AutoModel, "your-name/mine", revision="trial", force_download=True)


def test_no_token(hub, folder, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ValueError, match="^your-name/mine cannot be uploaded: .* log in with `hf auth login`"):
        HubFolder(folder, "your-name/mine")
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    with pytest.raises(ValueError, match="could not be uploaded to your-name/mine: the token does not allow it"):
        HubFolder(folder, "your-name/mine")


def test_no_id_of_a_repository(hub, folder):
    with pytest.raises(ValueError, match="the id of a repository is owner/name"):
        HubFolder(folder, "a/b/c")


@pytest.mark.parametrize("step", ["preupload", "commit"])
def test_a_connection_that_drops_in_an_upload(hub, folder, step, t2m_model):
    uploads = HubFolder(folder, revision="trial")
    before = dict(hub.model(NAME).commits)
    hub.drop = lambda method, path: 5000 if f"/{step}/" in path else None
    again = f"to try again, `tm2t-hf push .* {NAME} --revision trial`"
    with pytest.raises(ValueError, match=f"could not be uploaded to {NAME}: .*; {again}"):
        uploads.upload("Done")
    assert hub.model(NAME).commits == before
    hub.drop = lambda method, path: None
    uploads.upload("Done")
    assert_same(AutoModelForSeq2SeqLM.from_pretrained(NAME, revision="trial"), t2m_model)


def test_in_the_background_it_uploads_what_was_there(hub, folder, caplog):
    uploads, go_on = HubFolder(folder), threading.Event()
    (folder / "README.md").write_text("first")
    hub.drop = lambda method, path: go_on.wait(120) and None if "/commit/" in path else None
    assert uploads.upload_in_background("First")
    (folder / "second.md").write_text("second")  # as checkpoints do, which never change a file
    (folder / "second.md").replace(folder / "README.md")
    assert not uploads.upload_in_background("Second")
    go_on.set()
    uploads.wait()
    assert hub.model(NAME).files["README.md"] == b"first"
    uploads.upload("Third")
    assert hub.model(NAME).files["README.md"] == b"second"

    hub.drop = lambda method, path: 100 if "/commit/" in path else None
    (folder / "README.md").write_text("third")
    assert uploads.upload_in_background("Fourth")
    uploads.wait()
    assert "could not be uploaded" in caplog.text and hub.model(NAME).files["README.md"] == b"second"


def test_two_pushes_at_once(hub, folder, tmp_path, m2t_model, t2m_model, processor):
    threads = [
        threading.Thread(target=each.push_to_hub, args=(NAME,)) for each in (t2m_model, processor, t2m_model.config)
    ]
    threads.append(threading.Thread(target=HubFolder(folder).upload, args=("Done",)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_same(TextToMotionModel.from_pretrained(NAME), t2m_model)
    TM2TProcessor.from_pretrained(NAME)


# ---- push_to_hub and from_pretrained


def test_push_models_processors_and_pipelines(hub, t2m_model, processor):
    t2m_model.push_to_hub(NAME)
    processor.push_to_hub(NAME)
    assert pipeline("text-to-motion", model=NAME)("a person walks forward", max_new_tokens=3, min_new_tokens=3)
    pipeline("text-to-motion", model=t2m_model, processor=processor).push_to_hub("your-name/whole")
    assert hub.model("your-name/whole").files.keys() == hub.model(NAME).files.keys()
    processor.push_to_hub("your-name/processor")
    assert "tokenization_motion.py" in hub.model("your-name/processor").files


def test_saving_can_push_too(hub, tmp_path, t2m_model, processor):
    t2m_model.save_pretrained(tmp_path / "saved", push_to_hub=True, repo_id=NAME)
    processor.save_pretrained(str(tmp_path / "saved"), push_to_hub=True, repo_id=NAME)
    assert {"pipelines.py", "processor_config.json", "model.safetensors"} <= set(hub.model(NAME).files)
    load_processor(TM2TProcessor, NAME)


def test_revisions(hub, folder, t2m_model):
    HubFolder(folder).upload("First")
    first = hub.model(NAME).branches["main"]
    old = t2m_model.decoder.mix.bias.detach().clone()
    with torch.no_grad():
        t2m_model.decoder.mix.bias += 1
    t2m_model.push_to_hub(NAME)
    for load in (AutoModel.from_pretrained, lambda *name, **options: load_whole(AutoModel, *name, **options)):
        assert torch.equal(load(NAME, revision=first).decoder.mix.bias, old)
        assert torch.equal(load(NAME).decoder.mix.bias, old + 1)
    assert torch.equal(pipeline("text-to-motion", model=NAME, revision=first).model.decoder.mix.bias, old)
    with pytest.raises(FileNotFoundError, match="There is no revision nowhere of the model"):
        load_whole(AutoModel, NAME, revision="nowhere")


def test_offline_from_the_cache(hub, folder, monkeypatch, t2m_model):
    HubFolder(folder).upload("Done")
    load_whole(AutoModel, NAME)
    load_processor(TM2TProcessor, NAME)
    hub.requests.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert_same(load_whole(AutoModel, NAME), t2m_model)
    load_processor(TM2TProcessor, NAME)
    assert not hub.requests
    with pytest.raises(FileNotFoundError, match="no model your-name/never-seen"):
        load_whole(AutoModel, "your-name/never-seen")
    tokenizer = hf_hub_download(NAME, "tokenizer.json")  # of the cache
    Path(tokenizer).unlink()
    with pytest.raises((OSError, ValueError)) as error:  # that the Hub has none is not known
        TM2TProcessor.from_pretrained(NAME)
    assert "has no" not in str(error.value)


def test_dtype_and_device_map(hub, folder):
    HubFolder(folder).upload("Done")
    model = load_whole(AutoModelForSeq2SeqLM, NAME, dtype=torch.bfloat16, device_map="cpu")
    assert model.dtype == torch.bfloat16 and model.vq.dtype == torch.bfloat16
    assert AutoModel.from_pretrained(NAME, dtype="float16", device_map={"": "cpu"}).dtype == torch.float16


def test_sharded_weights(hub, tmp_path, t2m_model, processor):
    t2m_model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 1
    HubFolder(tmp_path / "shards", NAME).upload("Done")
    assert_same(load_whole(AutoModel, NAME), t2m_model)
    assert_same(load_whole(AutoModel, tmp_path / "shards"), t2m_model)
    next((tmp_path / "shards").glob("model-00002-*")).unlink()
    with pytest.raises((FileNotFoundError, ValueError), match="model-00002-of-.*is missing"):
        load_whole(AutoModel, tmp_path / "shards")


def test_a_connection_that_drops_in_a_download(hub, folder, t2m_model):
    HubFolder(folder).upload("Done")
    hub.drop = lambda method, path: 3000 if method == "GET" and path.endswith("model.safetensors") else None
    with pytest.raises(ValueError, match=f"{NAME} could not be loaded: peer closed connection"):
        load_whole(AutoModel, NAME)
    hub.drop = lambda method, path: None
    assert_same(load_whole(AutoModel, NAME), t2m_model)


def test_broken_files_on_the_hub(hub, folder):
    HubFolder(folder).upload("Done")
    files, weights = hub.model(NAME).files, hub.model(NAME).files["model.safetensors"]
    api = HfApi(endpoint=hub.url)
    for content, message in (
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "pointer of Git LFS"),
        (weights[: len(weights) // 2], "not a whole safetensors file"),
    ):
        api.upload_file(path_or_fileobj=content, path_in_repo="model.safetensors", repo_id=NAME)
        for load in (AutoModel.from_pretrained, partial(load_whole, AutoModel)):
            with pytest.raises(ValueError, match=message) as error:
                load(NAME)
            assert "\n" not in str(error.value) and NAME in str(error.value)
    assert set(files) == set(hub.model(NAME).files)


def test_a_pipeline_finds_all_files_where_its_model_was(hub, folder, tmp_path, monkeypatch):
    """With a token that is only passed, and in another cache: the coverage too, without which no score is given."""
    shutil.copy(shipped_checkpoint("tm2t-t2m") / COVERAGE_FILE, folder)
    HubFolder(folder, "mine", private=True, revision="trial").upload("Done")
    monkeypatch.delenv("HF_TOKEN")
    options = {"revision": "trial", "token": TOKEN, "model_kwargs": {"cache_dir": str(tmp_path / "cache")}}
    animate = pipeline("text-to-motion", model="your-name/mine", **options)
    assert animate.coverage is not None and TOKEN.encode() not in pickle.dumps(animate.model)


@pytest.mark.parametrize("load", [AutoProcessor.from_pretrained, partial(load_processor, AutoProcessor)])
def test_a_damaged_processor_on_the_hub(hub, folder, load):
    HubFolder(folder).upload("Done")
    whole = hub.model(NAME).files
    for file in ("tokenizer.json", "motion_tokenizer/tokenizer_config.json"):
        hub.model(NAME).commit("main", whole | {file: whole[file][:100]})
        with pytest.raises(ValueError, match=f"{NAME}/{file} is not JSON"):
            load(NAME)
        hub.model(NAME).commit("main", whole | {file: b"version https://git-lfs.github.com/spec/v1"})
        with pytest.raises(ValueError, match=f"{NAME}/{file} is a pointer of Git LFS"):
            load(NAME)
    hub.model(NAME).commit("main", {file: content for file, content in whole.items() if file != "tokenizer.json"})
    with pytest.raises((FileNotFoundError, ValueError), match=f"{NAME} has no tokenizer.json, which its processor"):
        load(NAME)


def test_a_model_without_a_configuration_on_the_hub(hub, folder):
    (folder / "config.json").unlink()
    HubFolder(folder).upload("Done")
    with pytest.raises(FileNotFoundError, match=f"no model in {NAME}: the repository has no config.json"):
        load_whole(AutoModel, NAME)


def test_configurations(hub, t2m_model):
    t2m_model.config.push_to_hub(NAME)
    assert AutoConfig.from_pretrained(NAME).to_diff_dict() == t2m_model.config.to_diff_dict()


def test_processors(hub, processor):
    processor.push_to_hub(NAME)
    assert type(AutoProcessor.from_pretrained(NAME)) is TM2TProcessor
