# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What is settled before anything is imported: no network, caches, paths. The fixtures are in common_fixtures.py."""

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

# Before torch is imported: a process forked from one with threads would wait for them forever. And the models are so
# small that threads of one operation would only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"

# as when a script there is run
sys.path.insert(0, str(EXAMPLES))
# helpers that the tests of the scripts use as well
sys.path.insert(0, str(ROOT / "tests" / "training"))

# What is imported and collected stays until the end: no search for garbage goes through it, neither now nor later.
gc.disable()


def pytest_configure(config):
    """Load the fixtures, whose imports take seconds, but where other processes run the tests."""
    if config.getoption("dist", "no") == "no":
        config.pluginmanager.import_plugin("common_fixtures")


def pytest_collection_finish():
    gc.freeze()
    gc.enable()
