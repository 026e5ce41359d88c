# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Cached data sets: a file that a killed process or a full disk has broken is made again."""

import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow
from datasets import Dataset

logger = logging.getLogger(__name__)

LEFT_OVER_AFTER = 24 * 3600  # seconds; `datasets` never removes the temporary files of a killed process


def rebuilt_if_broken(build: Callable[[], Dataset], cache: Path) -> Dataset:
    """What `build` gives; if its cache turns out to be broken, the cache is removed and `build` is called again.

    Args:
        build: makes the data set, or reads it from `cache`.
        cache: the file or folder that holds nothing else than this data set.
    """
    remove_leftovers(cache if cache.is_dir() else cache.parent)
    try:
        return build()
    except (pyarrow.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        if not cache.exists():  # the error is one of making the rows
            raise
        logger.warning("The cache %s is broken (%s) and is made again.", cache, error)
    shutil.rmtree(cache) if cache.is_dir() else cache.unlink()
    return build()


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that no running process can still be writing."""
    for path in folder.rglob("tmp*"):
        try:
            if path.is_file() and time.time() - path.stat().st_mtime > LEFT_OVER_AFTER:
                path.unlink()
        except OSError:
            continue  # somebody else's, or somebody else was faster
