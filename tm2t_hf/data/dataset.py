# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""One split of a data folder as a `datasets.Dataset`: whole clips and parts of clips, mirrored, at several speeds."""

import hashlib
import json
import logging
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import numpy as np
from datasets import Dataset, Features, IterableDataset, Value
from tqdm.auto import tqdm

from ..files import load_array, load_offsets, written_beside
from ..skeletons import HUMANML3D, Skeleton
from .cache import cache_folder, cached
from .folder import read_split
from .motion_column import MotionColumn, columns_with
from .rows import Row, Variants, check_further_texts, lines_of_clip, rows_of_clip
from .shards import find_shards, load_shards
from .variation import BodyVariation

logger = logging.getLogger(__name__)

# Part of every cache key: raise it when the same folder has to give other rows than before.
CACHE_VERSION = 4
STREAMED_PARTS = 64  # into which the index of a folder is divided, for processes and workers to share


def load_motion_dataset(
    data_dir: str | Path,
    split: str,
    skeleton: Skeleton = HUMANML3D,
    min_frames: int = 20,
    max_frames: int = 199,
    mirror: bool = False,
    speeds: Sequence[float] = (1.0,),
    repeats: Mapping[str, int] | None = None,
    bodies: BodyVariation | None = None,
    further_texts: Sequence[str] = (),
    store_variants: bool = False,
    streaming: bool = False,
) -> Dataset | IterableDataset:
    """Load one split of a folder in the HumanML3D layout, or of shards.

    A row is a clip with its whole-clip captions, or the part of a clip that a tagged caption names (captions with the
    same tags share a row); the part is a row of its own and leaves the clip as it is.

    The rows are an index, made once and memory-mapped from the `datasets` cache, whose key covers the files' names,
    sizes and times. Features are read, and mirrored and so on, when a row is asked for.

    Args:
        data_dir: the folder; or one with the shards `<split>-*.parquet` that `write_shards` makes, or `<split>-*.tar`
            in the webdataset layout; or the id of such a data set on the Hub, `owner/name`, or `owner/name@revision`
            for a branch, tag or commit.
        split: name of the split file without `.txt`.
        skeleton: what the features belong to.
        min_frames: shorter rows are dropped, and their number is logged. The original takes 40 for HumanML3D and 24
            for KIT-ML.
        max_frames: longer rows are dropped likewise.
        mirror: also add every row mirrored left to right, motion and words, with "M" before the clip's name in the id
            (`s1/Mwalk` for `s1/walk`). For training splits only. Clips whose mirror image is already in the split (as
            in HumanML3D) are not mirrored again.
        speeds: every row at each of these speeds, with the id followed by `*<speed>` where it is not 1. For training
            splits only: slightly slower and faster performances are other token sequences of the same movement.
        repeats: how many times to repeat clips whose ids match a pattern: `{"dance_*": 4}`. The further rows have ids
            followed by `#2`, `#3`, ..., so their crops and captions are drawn apart. For training splits only: rare
            kinds of motion would otherwise be learned last.
        bodies: further copies of every row as if others had performed it, with ids followed by `~1`, `~2`, ... For
            training splits only.
        further_texts: sub-folders of the data folder with further captions, such as `texts_people`, laid out as
            `texts`. They follow a clip's own captions; a clip need not have any.
        store_variants: keep the features of mirrored, faster and other variants in the cache, rather than making them
            anew each time, which takes a few hundredths of a second per clip.
        streaming: give a `datasets.IterableDataset`, which needs no more memory and no more time to start for a
            thousand times the clips. Variants of a clip then follow it directly, so shuffle it.

    Returns:
        Dataset with the columns `id` (str; a part is `<clip>@<start>-<end>` in seconds), `features` (frames,
        feature_size) float32, not normalized, a frame shorter where mirrored or of another speed, `captions` (list of
        str), `tokens` (the caption's `lemma/POS` string, list of str) and `sources` (the sub-folder that each caption
        is from, list of str). `features` comes as a numpy array: see `MotionColumn`.

    Raises:
        FileNotFoundError: the split file, a feature file, a text file or a folder of further texts is missing.
        ValueError: an argument out of range, wrong feature size, NaN or infinite features, a malformed text file, or
            no row within the limits.
    """
    if not 1 <= min_frames <= max_frames:
        raise ValueError(f"min_frames is {min_frames} and max_frames {max_frames}, but 1 <= min_frames <= max_frames.")
    limits = range(min_frames, max_frames + 1)
    variants = Variants(mirror, speeds, dict(repeats or {}), bodies or BodyVariation())
    shards = find_shards(data_dir, split)
    if shards is not None:
        if further_texts:
            raise ValueError(
                f"further_texts names folders, but {data_dir} holds shards, which have all their captions."
            )
        return load_shards(shards, skeleton, limits, variants, streaming)
    folder = _Folder(Path(data_dir), split, skeleton, limits, tuple(further_texts))
    dataset = folder.load(variants, store_variants)
    if not streaming:
        return dataset
    stream = dataset.to_iterable_dataset(num_shards=min(STREAMED_PARTS, len(dataset)))
    stream._fingerprint = dataset._fingerprint
    return stream


class _Folder:
    """A split of a folder in the HumanML3D layout, whose rows are indexed in the cache."""

    def __init__(self, data_dir: Path, split: str, skeleton: Skeleton, limits: range, further_texts: tuple[str, ...]):
        self.data_dir, self.split, self.skeleton, self.limits = data_dir, split, skeleton, limits
        self.clips = read_split(data_dir, split)
        check_further_texts(data_dir, further_texts, "further_texts")
        self.further_texts = further_texts
        self.offsets = load_offsets(data_dir, skeleton)

    def load(self, variants: Variants, store_variants: bool) -> Dataset:
        """The rows and their variants."""
        for pattern in variants.repeats:
            if not any(fnmatchcase(clip, pattern) for clip in self.clips):
                raise ValueError(f"repeats names {pattern}, which no clip's id matches.")
        column = MotionColumn.of(self.skeleton, variants.bodies, self.offsets)
        plain = MotionColumn.of(self.skeleton, BodyVariation(), self.offsets)  # the index is that of all variants
        fingerprint = hashlib.sha256(repr((CACHE_VERSION, self.skeleton, self.limits, self.further_texts)).encode())
        fingerprint.update("\n".join([str(self.data_dir.resolve()), *self.clips]).encode() + self._state_of_files())
        fingerprint.update(b"" if self.offsets is None else self.offsets.tobytes())
        index = cache_folder() / f"{fingerprint.hexdigest()[:32]}.arrow"
        dataset = cached(index, Features(columns_with(plain) | {"clip": Value("string")}), lambda: self._rows(index))
        if len(dataset) == 0:
            (first, last) = self.limits[0], self.limits[-1]
            raise ValueError(f"No clip of {self.data_dir / self.split}.txt is {first} to {last} frames long.")
        if variants.any:
            fingerprint.update(repr((variants, store_variants)).encode())
            path = cache_folder() / f"{fingerprint.hexdigest()[:32]}.arrow"
            rows = partial(self._varied, dataset, variants, column if store_variants else None)
            varied = cached(path, columns_with(column), rows)
        else:
            varied = dataset.remove_columns("clip")
            varied._fingerprint = dataset._fingerprint
        self._log(index, len(varied))
        return varied

    def _state_of_files(self) -> bytes:
        """Sizes and times of all files, fast: there may be a million."""
        places = [("new_joint_vecs", "npy"), ("texts", "txt"), *((folder, "txt") for folder in self.further_texts)]
        state = array("q")
        for folder, suffix in places:
            folder = os.path.join(self.data_dir, folder)
            for clip in self.clips:
                try:
                    found = os.stat(f"{folder}/{clip}.{suffix}")
                except OSError:  # further texts may be missing; the index names what may not
                    state.extend((-1, -1))
                else:
                    state.extend((found.st_size, found.st_mtime_ns))
        return state.tobytes()

    def _rows(self, index: Path) -> Iterator[dict]:
        """The rows within the limits, read from the files; writes down how many are not."""
        dropped = 0
        for clip in tqdm(self.clips, desc="Clips", unit="clip", delay=3):
            path = self.data_dir / "new_joint_vecs" / f"{clip}.npy"
            features = _checked_features(clip, path, self.skeleton, self.data_dir)
            lines = lines_of_clip(clip, self.data_dir, self.further_texts)
            for row in rows_of_clip(clip, path.resolve(), len(features), lines, self.skeleton):
                if row.end - row.start in self.limits:
                    yield row.example() | {"clip": clip}
                else:
                    dropped += 1
        with written_beside(index.with_suffix(".json")) as part:
            part.write_text(json.dumps({"dropped": dropped}), encoding="utf-8")

    def _varied(self, dataset: Dataset, variants: Variants, stored: MotionColumn | None) -> Iterator[dict]:
        """The rows and their variants; those that are stored have their features with them."""

        def rows() -> Iterator[Row]:
            for batch in dataset.with_format("arrow").iter(batch_size=1000):
                for example in batch.to_pylist():
                    yield Row.of_example(example.pop("clip"), example)

        for row in tqdm(variants.of(rows, set(self.clips)), desc="Variants of clips", unit="row", delay=3):
            example = row.example()
            motion = example["features"]
            if stored is not None and (row.mirrored or row.speed != 1 or row.body):
                values = stored.decode_example(motion).tobytes()
                example["features"] = motion | {"mirrored": False, "speed": 1.0, "body": 0, "values": values}
            yield example

    def _log(self, index: Path, num_rows: int) -> None:
        try:
            dropped = json.loads(index.with_suffix(".json").read_text(encoding="utf-8"))["dropped"]
        except (OSError, ValueError, KeyError, TypeError):
            dropped = "an unknown number"
        logger.info(
            "%s/%s.txt: %d clips, %d rows, %s dropped for their length (limits %d to %d frames).",
            self.data_dir, self.split, len(self.clips), num_rows, dropped, self.limits[0], self.limits[-1],
        )  # fmt: skip


def _checked_features(clip: str, path: Path, skeleton: Skeleton, data_dir: Path) -> np.ndarray:
    """The features (frames, feature_size) in a file, mapped into memory."""
    if not path.is_file():
        raise FileNotFoundError(
            f"The clip {clip} has no features: {path} is missing; make it from new_joints with "
            f"`tm2t-hf prepare {data_dir}`."
        )
    features = load_array(path)
    if features.ndim != 2 or features.shape[1] != skeleton.feature_size:
        raise ValueError(
            f"{path} has shape {features.shape}, but {skeleton.name} needs (frames, {skeleton.feature_size})."
        )
    with np.errstate(over="ignore"):  # to infinite values, which are refused
        finite = np.isfinite(features.astype(np.float32)).all()
    if not finite:
        raise ValueError(f"{path} holds NaN or infinite features.")
    return features
