# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`tm2t-hf push`, `push-data` and `update`."""

import json
import socket

import pytest
from conftest import ROOT
from transformers import AutoModel

from tm2t_hf.cli import main
from tm2t_hf.data import load_motion_dataset
from tm2t_hf.toy import make_toy_dataset


@pytest.fixture
def folder(tmp_path, m2t_model, processor):
    m2t_model.save_pretrained(tmp_path / "m2t")
    processor.save_pretrained(tmp_path / "m2t")
    return tmp_path / "m2t"


def test_push(hub, folder, capsys):
    assert main(["push", str(folder), "your-name/mine", "--private"]) == 0
    assert capsys.readouterr().out.startswith(f"{hub.url}/your-name/mine/commit/")
    assert hub.model("your-name/mine").private
    AutoModel.from_pretrained("your-name/mine")
    (folder / "model.safetensors").write_bytes(b"cut")
    assert main(["push", str(folder), "your-name/broken"]) == 2
    assert "is not a whole safetensors file" in capsys.readouterr().err
    assert ("model", "your-name/broken") not in hub.repositories


def test_push_data(hub, tmp_path, capsys):
    make_toy_dataset(tmp_path / "toy", num_clips=12)
    assert main(["push-data", str(tmp_path / "toy"), "--license", "mit"]) == 0
    assert len(load_motion_dataset("your-name/toy", "val"))
    assert main(["push-data", str(tmp_path / "toy"), "--license", "CC BY"]) == 2
    assert '"license" must be an identifier' in capsys.readouterr().err
    assert main(["push-data", str(tmp_path / "nowhere")]) == 2
    assert "There is no data folder" in capsys.readouterr().err


def test_a_demo_that_cannot_start(capsys):
    pytest.importorskip("gradio")
    assert main(["demo", "--text_to_motion", "nobody/nothing"]) == 2
    assert "--text_to_motion nobody/nothing: There is no model nobody/nothing" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["demo", "--port", "99999"])
    assert "99999 is not a port" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        assert main(["demo", "--port", str(number)]) == 2
    assert f"Port {number} cannot be used here; name another one with --port" in capsys.readouterr().err


def test_update(folder, capsys):
    weights = (folder / "model.safetensors").read_bytes()
    config = json.loads((folder / "config.json").read_text())
    for entry in ("auto_map", "custom_pipelines"):  # as from a version before
        config.pop(entry)
    config["vq_config"]["_name_or_path"] = "/home/me/vq"
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_motion_vq.py").write_text("old")
    (folder / "gone.py").write_text("old")
    (folder / "README.md").write_text("card")
    assert main(["update", str(folder)]) == 0
    config = json.loads((folder / "config.json").read_text())
    assert "AutoModel" in config["auto_map"] and "_name_or_path" not in config["vq_config"]
    assert not (folder / "gone.py").exists() and (folder / "README.md").read_text() == "card"
    new = (folder / "modeling_motion_vq.py").read_bytes()
    assert new == (ROOT / "tm2t_hf" / "modeling_motion_vq.py").read_bytes()
    assert (folder / "model.safetensors").read_bytes() == weights
    assert main(["update", str(folder), str(folder.parent / "nowhere")]) == 2
    assert "There is no" in capsys.readouterr().err


def test_update_of_a_motion_vq(tmp_path, vq_model, feature_extractor):
    for part in (vq_model, feature_extractor):
        part.save_pretrained(tmp_path)
    (tmp_path / "files.py").write_text("old")
    assert main(["update", str(tmp_path)]) == 0
    assert (tmp_path / "files.py").read_bytes() == (ROOT / "tm2t_hf" / "files.py").read_bytes()
