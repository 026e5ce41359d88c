# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The environment of the tests, before anything else is imported. The fixtures are in common_fixtures.py."""

import atexit
import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

# Before anything of Hugging Face is imported: no network, and a cache that is neither the user's own nor shared with
# the other processes that run tests.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="tm2t_hf_tests_")
os.environ["HF_DATASETS_CACHE"] = os.path.join(os.environ["HF_HOME"], "datasets")
atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)

# Before torch is imported: a process that is forked from one with threads can wait for them forever. Tests run side by
# side instead, a process on each core.
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"

# as when a script there is run
sys.path.insert(0, str(EXAMPLES))
# helpers that the tests of the scripts use as well
sys.path.insert(0, str(ROOT / "tests" / "training"))


def pytest_collectstart(collector):
    """Load the fixtures where tests are collected: a process that hands them to others need not wait for imports."""
    gc.disable()
    collector.config.pluginmanager.import_plugin("common_fixtures")  # the first time


def pytest_collection_finish():
    """Keep the million objects of imported modules, which stay anyway, out of all later garbage collections."""
    gc.freeze()
    gc.enable()
