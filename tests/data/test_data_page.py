# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The Python blocks of docs/data.md run by themselves, and its picture shows the skeleton as it is."""

import re

import datasets
import pytest
from conftest import ROOT

PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_blocks_run_by_themselves(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    exec(compile(BLOCKS[number], f"docs/data.md, block {number}", "exec"), {})


def test_pictures_are_there():
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / name).is_file()
