# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Makes the common tests of transformers' source distribution importable, as the package `transformers_tests`.

The distribution holds the common tests, but not all that they import: the modules in `_stand_ins` and the files in
`_add_fixtures` take the place of what it leaves out. Nothing in the tests themselves is changed.
"""

import importlib
import inspect
import json
import os
import sys
import tempfile
import unittest
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest
import transformers

import tm2t_hf

CACHE = Path(__file__).resolve().parents[2] / ".peer"
TESTS = CACHE / f"transformers-{transformers.__version__}" / "tests"
RUN_SKIPPED = os.environ.get("PEER_RUN_SKIPPED") == "1"  # to see whether a table of skips is still right

# What `ConfigTester` sets on every configuration that holds no other.
COMMON_CONFIG_FIELDS = {
    "return_dict": False,
    "output_hidden_states": True,
    "output_attentions": True,
    "dtype": "float16",
    "chunk_size_feed_forward": 5,
    "architectures": ["MotionVQModel"],
    "id2label": {0: "label"},
    "label2id": {"label": "0"},
    "problem_type": "regression",
}


class _Library:
    """`transformers` as the pipeline tests look classes up in it, with the classes of tm2t_hf added."""

    def __getattr__(self, name: str):
        return getattr(tm2t_hf if hasattr(tm2t_hf, name) else transformers, name)


def load(name: str) -> ModuleType:
    """Import a module of the common tests, such as `test_modeling_common`.

    Skips the module that calls it where the distribution is not there.
    """
    if not TESTS.is_dir():
        pytest.skip(
            f"the tests of transformers {transformers.__version__} are not in {CACHE.name}/: run `make test-peer`",
            allow_module_level=True,
        )
    if "transformers_tests" not in sys.modules:
        sys.path.append(str(CACHE / "lib"))  # parameterized
        _add_package()
    # These modules would import transformers a second time, from the source tree around them.
    with mock.patch("transformers.utils.direct_transformers_import", lambda *_, **__: _Library()):
        return importlib.import_module(f"transformers_tests.{name}")


def _add_package():
    package = ModuleType("transformers_tests")
    package.__path__ = [str(TESTS)]
    sys.modules[package.__name__] = package
    for name, members in _stand_ins().items():
        module = ModuleType(name)
        vars(module).update(members)
        sys.modules[name] = module
    _add_fixtures()


def _stand_ins() -> dict[str, dict]:
    """Modules that the distribution leaves out -> what the common tests import from them."""
    from .export import ExportTesterMixin
    from .generation import GenerationTesterMixin

    return {
        "transformers_tests.exporters": {},
        "transformers_tests.exporters.test_export": {"ExportTesterMixin": ExportTesterMixin},
        "transformers_tests.generation": {},
        "transformers_tests.generation.test_utils": {"GenerationTesterMixin": GenerationTesterMixin},
        "transformers_tests.utils": {},
        "transformers_tests.utils.test_configuration_utils": {"config_common_kwargs": COMMON_CONFIG_FIELDS},
        # names of files on the Hub, which no test here reads
        "fetch_hub_objects_for_ci": {"url_to_local_path": lambda url: url},
    }


def _add_fixtures():
    """Files that the distribution leaves out."""
    sample = TESTS / "fixtures" / "sample_text.txt"
    sample.parent.mkdir(exist_ok=True)
    sample.write_text("A person walks forward.\n\nSomeone waves the left hand.\n", encoding="utf-8")
    # The pipeline tests read small models from a folder laid out like this one; see test_peer_pipelines.py.
    os.environ["TRANSFORMERS_TINY_MODEL_PATH"] = folder = tempfile.mkdtemp(prefix="tm2t_hf_peer_")
    summary = Path(folder) / "reports" / "tiny_model_summary.json"
    summary.parent.mkdir()
    parts = {"tokenizer_classes": ["PreTrainedTokenizerFast"], "processor_classes": ["MotionFeatureExtractor"]}
    summary.write_text(json.dumps({"MotionToTextModel": parts, "TextToMotionModel": parts}), encoding="utf-8")


def skipping(reasons: dict[str, str]):
    """Class decorator: skip tests by name, or by a pattern such as `test_sdpa_*`, each with its reason.

    Raises:
        AttributeError: for a name that is no test of the class, so that the table never outlives a test.
    """

    def decorate(cls: type[unittest.TestCase]) -> type[unittest.TestCase]:
        tests = [name for name in dir(cls) if name.startswith("test_") and callable(getattr(cls, name))]
        for pattern, reason in reasons.items():
            names = [name for name in tests if fnmatchcase(name, pattern)]
            if not names:
                raise AttributeError(f"{cls.__name__} has no test {pattern}: take it out of the table of skips")
            for name in names if not RUN_SKIPPED else ():
                setattr(cls, name, unittest.skip(reason)(inspect.getattr_static(cls, name)))
        return cls

    return decorate
