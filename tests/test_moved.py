# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Old module names."""

import importlib
import sys

import pytest

from tm2t_hf._moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_a_module_that_has_moved_keeps_its_old_name(old, monkeypatch):
    monkeypatch.delitem(sys.modules, old, raising=False)
    new = importlib.import_module(MOVED[old])
    with pytest.warns(FutureWarning, match=f"{old} has moved; import from {MOVED[old]}"):
        module = importlib.import_module(old)
    assert {name for name in vars(new) if not name.startswith("__")} <= set(vars(module))


def test_what_the_old_modules_were_used_for():
    sys.modules.pop("tm2t_hf.visualization", None)
    with pytest.warns(FutureWarning):
        from tm2t_hf.visualization import save_gif, save_motion
    assert callable(save_gif) and callable(save_motion)
