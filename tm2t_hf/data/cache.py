# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Cached data sets: written whole, made again where a file is broken, and cleaned of what killed processes left."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow
from datasets import Dataset, Features, config
from datasets.arrow_writer import ArrowWriter

from ..files import written_beside

logger = logging.getLogger(__name__)

LEFT_OVER_AFTER = 24 * 3600  # seconds; nothing else removes the temporary files of a killed process


def cache_folder() -> Path:
    """Where this package keeps its data sets: a part of the cache of `datasets`."""
    return Path(config.HF_DATASETS_CACHE) / "tm2t_hf"


def cached(path: Path, features: Features, rows: Callable[[], Iterable[dict]]) -> Dataset:
    """The data set in the Arrow file `path`, which is written from `rows()` unless it is there; mapped into memory.

    Args:
        path: of the file, whose name without the suffix becomes the fingerprint of the data set.
        features: of the columns.
        rows: gives the rows, one after the other.
    """

    def build() -> Dataset:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with written_beside(path) as part, ArrowWriter(path=str(part), features=features) as writer:
                    for row in _apart(rows()):
                        writer.write(row)
                    writer.finalize()
            except _RowsError as error:
                raise error.__cause__ from None
        dataset = Dataset.from_file(str(path))
        if dataset.features != features:
            raise ValueError(f"it holds {', '.join(dataset.features)}")
        dataset._fingerprint = path.stem
        return dataset

    return rebuilt_if_broken(build, path)


class _RowsError(Exception):
    """Making the rows failed, rather than writing them."""


def _apart(rows: Iterable[dict]) -> Iterator[dict]:
    try:
        yield from rows
    except OSError as error:
        raise _RowsError from error


def rebuilt_if_broken(build: Callable[[], Dataset], cache: Path) -> Dataset:
    """What `build` gives; if its cache turns out to be broken, the cache is removed and `build` is called again.

    Args:
        build: makes the data set, or reads it from `cache`.
        cache: the file or folder that holds nothing else than this data set.
    """
    remove_leftovers(cache if cache.is_dir() else cache.parent)
    try:
        return build()
    except (pyarrow.ArrowException, json.JSONDecodeError, OSError, KeyError, TypeError, ValueError) as error:
        if not cache.exists():  # the error is one of making the rows
            raise
        logger.warning("The cache %s is broken (%s) and is made again.", cache, error)
    shutil.rmtree(cache) if cache.is_dir() else cache.unlink()
    return build()


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that no running process can still be writing."""
    for pattern in ("tmp*", ".*.part"):
        for path in folder.glob(pattern):
            try:
                if path.is_file() and time.time() - path.stat().st_mtime > LEFT_OVER_AFTER:
                    path.unlink()
            except OSError:
                continue  # somebody else's, or somebody else was faster


__all__ = ["cache_folder", "cached", "rebuilt_if_broken", "remove_leftovers"]
