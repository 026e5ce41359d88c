# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Every Python block of the README, of docs/ and of the model cards runs by itself, as in a new session."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from huggingface_hub import HfApi
from transformers import Pipeline

from tm2t_hf.pipelines import CHECKPOINTS
from tm2t_hf.toy import make_toy_clip, make_toy_dataset

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
DOCUMENTS += sorted(CHECKPOINTS.glob("*/README.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What needs `import tm2t_hf` in the block itself: in this process, another test has imported it already.
REGISTERED = re.compile(r"\bAuto[A-Z]\w+\.from_pretrained|\bpipeline\(")

BLOCKS = [
    pytest.param(block, id=f"{document.relative_to(ROOT)}-{number}")
    for document in DOCUMENTS
    for number, block in enumerate(BLOCK.findall(document.read_text(encoding="utf-8")), 1)
]


@pytest.fixture(scope="module")
def quickstart_folder(tmp_path_factory) -> Path:
    """What a reader has: the folders of `make quickstart`, recordings, a data folder, a trained model."""
    folder = tmp_path_factory.mktemp("documents")
    for checkpoint in CHECKPOINTS.iterdir():
        (folder / checkpoint.name).symlink_to(checkpoint)
    joints, _ = make_toy_clip("wave-left", np.random.default_rng(0))
    for name in ("wave", "motion", "recording"):
        np.save(folder / f"{name}.npy", joints)
    make_toy_dataset(folder / "my_data", num_clips=20)
    (folder / "runs").mkdir()
    (folder / "runs" / "tm2t-t2m").symlink_to(CHECKPOINTS / "tm2t-t2m")
    # what the examples push, they load again
    (folder / "your-name").mkdir()
    shutil.copytree(CHECKPOINTS / "tm2t-t2m", folder / "your-name" / "tm2t-t2m")
    return folder


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_run_by_themselves(block, quickstart_folder, monkeypatch):
    if REGISTERED.search(block) and "trust_remote_code=True" not in block:
        assert re.search(r"^(import|from) tm2t_hf", block, re.MULTILINE), "nothing in this block imports tm2t_hf"
    monkeypatch.chdir(quickstart_folder)

    def save_here(self, repo_id, **kwargs):
        self.save_pretrained(repo_id)

    monkeypatch.setattr(Pipeline, "push_to_hub", save_here)
    monkeypatch.setattr(HfApi, "upload_folder", lambda *args, **kwargs: None)
    exec(compile(block, "block", "exec"), {"__name__": "__main__"})


def test_blocks_were_found():
    assert len(BLOCKS) > 10
