# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`--push_to_hub`: what a training uploads, when, and what becomes of it without the Hub."""

import json
import re
import runpy
import sys

import numpy as np
import pytest
import small_run
from accelerate.state import AcceleratorState
from conftest import EXAMPLES
from huggingface_hub import ModelCard

from tm2t_hf import MotionVQModel
from tm2t_hf.toy import make_toy_clip, make_toy_dataset
from tm2t_hf.training import TrainingError, start
from tm2t_hf.training.arguments import LoopArguments


@pytest.fixture(autouse=True)
def fresh_accelerator(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


def test_the_best_model_is_uploaded_as_it_gets_better(hub, tmp_path):
    options = {"push_to_hub": True, "hub_model_id": "mine", "hub_private_repo": True, "hub_revision": "trial"}
    small_run.Run(tmp_path / "out", validation=[3.0, 2.0, 4.0, 1.0], **options).fit()
    repository = hub.model("your-name/mine")
    assert repository.private and set(repository.files) == {".gitattributes"}
    last = repository.commits[repository.branches["trial"]]
    assert set(last) == {".gitattributes", "README.md", "nested/scores.json", "weights.pt"}
    assert json.loads(last["nested/scores.json"])["error"] == 1.0
    assert last["weights.pt"] == (tmp_path / "out" / "weights.pt").read_bytes()
    for files in list(repository.commits.values())[1:]:  # whole at any time: the card belongs to the weights
        if "README.md" in files:
            (tmp_path / "weights.pt").write_bytes(files["weights.pt"])
            assert small_run.digest(tmp_path / "weights.pt") == files["README.md"].decode()


def test_without_a_token_the_training_does_not_begin(hub, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    arguments = LoopArguments(data_dir="", output_dir=str(tmp_path / "out"), push_to_hub=True)
    with pytest.raises(ValueError, match="there is no token for the Hub; log in with `hf auth login`"):
        start(arguments)


def test_a_dead_connection_stops_no_training_but_is_reported_at_its_end(hub, tmp_path, caplog):
    run = small_run.Run(tmp_path / "out", push_to_hub=True)
    hub.drop = lambda method, path: 10 if "/commit/" in path else None
    with pytest.raises(TrainingError, match="could not be uploaded to your-name/out: .* The model itself is whole in"):
        run.fit()
    assert "The training goes on" in caplog.text and run.epochs[-1][0] == 3
    assert set(hub.model("your-name/out").files) == {".gitattributes"}
    assert not list((tmp_path / "out").glob(".upload*"))


def test_a_training_script(hub, tmp_path, monkeypatch):
    """Its upload is complete: the card's own example runs on it."""
    monkeypatch.chdir(tmp_path)
    make_toy_dataset(tmp_path / "toy", num_clips=12)
    model_config = {"hidden_size": 8, "codebook_size": 8, "num_decoder_blocks": 1}
    flags = ["--data_dir", "toy", "--output_dir", "out", "--epochs", "1", "--batch_size", "4", "--window", "32"]
    flags += ["--model_config", json.dumps(model_config), "--license", "mit"]
    flags += ["--push_to_hub", "true", "--hub_model_id", "your-name/vq", "--hub_revision", "trial"]
    monkeypatch.setattr(sys, "argv", [str(EXAMPLES / "train_vq.py"), *flags])
    runpy.run_path(str(EXAMPLES / "train_vq.py"))["main"]()
    files = hub.model("your-name/vq").commits[hub.model("your-name/vq").branches["trial"]]
    card = ModelCard(files["README.md"].decode())
    card.validate()
    assert card.data.license == "mit" and card.data.library_name == "transformers"
    assert "train_config.json" not in files and "modeling_motion_vq.py" in files
    (code,) = re.findall(r"```python\n(.*?)```", card.text, flags=re.DOTALL)
    assert '"your-name/vq", revision="trial"' in code
    joints, _ = make_toy_clip("wave-left", np.random.default_rng(0))
    np.save("motion.npy", joints)
    exec(code, found := {})
    assert found["joints"].shape[1:] == (22, 3)
    assert MotionVQModel.from_pretrained("your-name/vq", revision="trial").config.codebook_size == 8
