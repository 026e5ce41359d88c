# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""One split of a data folder as a `datasets.Dataset`: whole clips and parts of clips, mirrored, at several speeds."""

import hashlib
import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from datasets import Array2D, Dataset, Features, IterableDataset, List, Value, config
from datasets.exceptions import DatasetGenerationError

from ..files import load_array, load_offsets
from ..skeletons import HUMANML3D, Skeleton
from .cache import rebuilt_if_broken
from .captions import CaptionLine, mirror_caption, read_captions
from .folder import read_split
from .hub import data_folder, fetch_small_files, is_on_hub, stream_folders
from .variation import BodyVariation, varied_motion

logger = logging.getLogger(__name__)

# Part of every cache key: raise it when the same folder has to give other rows than before.
CACHE_VERSION = 3


class _Row(NamedTuple):
    """What one row of the dataset is made of: frames start:end of a feature file, mirrored, at another speed, ..."""

    id: str
    clip: str
    path: str
    start: int
    end: int
    mirrored: bool
    captions: list[str]
    tokens: list[str]
    sources: list[str]
    speed: float = 1.0
    body: int = 0  # 0 as recorded, 1, 2, ... further bodies


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
    streaming: bool = False,
    revision: str | None = None,
) -> Dataset | IterableDataset:
    """Load one split of a folder in the HumanML3D layout, or of a data set on the Hub (`hub.push_data`).

    A row is a clip with its whole-clip captions, or the part of a clip that a tagged caption names (captions with the
    same tags share a row); the part is a row of its own and leaves the clip as it is. Rows are built once and
    memory-mapped from the `datasets` cache, whose key covers the files' names, sizes and times.

    Args:
        data_dir: the folder, or the id of a data set on the Hub, which is downloaded once.
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
        streaming: read rows when they are asked for, without a cache, and clip after clip from the Hub: first what is
            made of the first few clips, then of the next. Not possible with `repeats`.
        revision: branch, tag or commit of a data set on the Hub.

    Returns:
        Dataset, or an IterableDataset when streaming, with the columns `id` (str; a part is `<clip>@<start>-<end>` in
        seconds), `features` (frames, feature_size) float32, not normalized, a frame shorter where mirrored or of
        another speed, `captions` (list of str), `tokens` (the caption's `lemma/POS` string, list of str) and `sources`
        (the sub-folder that each caption is from, list of str). `features` comes as a numpy array.

    Raises:
        FileNotFoundError: the split file, a feature file, a text file or a folder of further texts is missing.
        ValueError: an argument out of range, wrong feature size, NaN or infinite features, a malformed text file, or
            no row within the limits.
    """
    repeats = dict(repeats or {})
    _check_arguments(min_frames, max_frames, speeds, repeats)
    if streaming and repeats:
        raise ValueError("streaming=True cannot repeat clips, as it does not know all of them; leave repeats out.")
    options = (split, skeleton, min_frames, max_frames, mirror, speeds, bodies, further_texts)
    if streaming and is_on_hub(data_dir):
        return _streamed(_generate_streamed_rows, skeleton, (str(data_dir), revision, options))
    data_dir = data_folder(data_dir, revision)
    clips = read_split(data_dir, split)
    for folder in further_texts:
        if not (data_dir / folder).is_dir():
            raise FileNotFoundError(f"further_texts names {folder}, but {data_dir} has no such folder.")
    rows, dropped = _rows_of_clips(data_dir, clips, set(clips), *options[1:6], further_texts)
    fingerprint = hashlib.sha256(repr((CACHE_VERSION, skeleton, min_frames, max_frames)).encode())
    for path in {row.path: None for row in rows}:
        stat = Path(path).stat()
        fingerprint.update(repr((str(Path(path).resolve()), stat.st_size, stat.st_mtime_ns)).encode())
    rows = _repeated(rows, repeats)
    bodies = bodies or BodyVariation()
    rows += _with_bodies(rows, bodies)
    logger.info(
        "%s/%s.txt: %d clips, %d rows, %d dropped for their length (limits %d to %d frames).",
        data_dir, split, len(clips), len(rows), dropped, min_frames, max_frames,
    )  # fmt: skip
    if not rows:
        raise ValueError(f"No clip of {data_dir / split}.txt is {min_frames} to {max_frames} frames long.")
    offsets = load_offsets(data_dir, skeleton)
    fingerprint.update(repr((rows, bodies, None if offsets is None else offsets.tolist())).encode())

    variants = _Opaque((skeleton, bodies, offsets))
    if streaming:
        return _streamed(_generate_rows, skeleton, rows, variants)
    name = fingerprint.hexdigest()[:32]

    def build() -> Dataset:
        return Dataset.from_generator(
            _generate_rows,
            features=_columns(skeleton),
            gen_kwargs={"rows": _Opaque(rows), "variants": variants},
            fingerprint=name,
            cache_dir=str(cache_dir),
        )

    cache_dir = Path(config.HF_DATASETS_CACHE) / "tm2t_hf" / name
    try:
        dataset = rebuilt_if_broken(build, cache_dir)
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, (ValueError, FileNotFoundError)):
            raise error.__cause__ from None
        raise
    return dataset.with_format("numpy", columns=["features"], output_all_columns=True)


def _columns(skeleton: Skeleton) -> Features:
    return Features(
        {
            "id": Value("string"),
            "features": Array2D((None, skeleton.feature_size), "float32"),
            "captions": List(Value("string")),
            "tokens": List(Value("string")),
            "sources": List(Value("string")),
        }
    )


def _streamed(generate, skeleton: Skeleton, rows: Any, variants: "_Opaque | None" = None) -> IterableDataset:
    dataset = IterableDataset.from_generator(
        generate, features=_columns(skeleton), gen_kwargs={"rows": _Opaque(rows), "variants": variants}
    )
    return dataset.with_format("numpy")


def _rows_of_clips(
    data_dir: Path,
    clips: Sequence[str],
    known: set[str],
    skeleton: Skeleton,
    min_frames: int,
    max_frames: int,
    mirror: bool,
    speeds: Sequence[float],
    further_texts: Sequence[str],
) -> tuple[list[_Row], int]:
    """The rows that clips give at each speed, and the number of those dropped for their length.

    `known` are the ids of all clips of the split, some of which may be mirror images of others.
    """
    rows, dropped = [], 0
    for clip in clips:
        path = data_dir / "new_joint_vecs" / f"{clip}.npy"
        num_frames = _count_frames(clip, path, skeleton, data_dir)
        for row in _rows_of_clip(clip, path, num_frames, _lines_of_clip(clip, data_dir, further_texts), skeleton.fps):
            if min_frames <= row.end - row.start <= max_frames:
                rows.append(row)
            else:
                dropped += 1
    if mirror:
        rows += [_mirror_row(row) for row in rows if not _has_mirror_image(row.clip, known)]
    rows = [
        row if speed == 1 else row._replace(id=f"{row.id}*{speed:g}", speed=float(speed))
        for speed in speeds
        for row in rows
    ]
    return rows, dropped


def _with_bodies(rows: list[_Row], bodies: BodyVariation) -> list[_Row]:
    return [row._replace(id=f"{row.id}~{body}", body=body) for body in range(1, bodies.copies + 1) for row in rows]


def _check_arguments(min_frames: int, max_frames: int, speeds: Sequence[float], repeats: Mapping[str, int]):
    if not 1 <= min_frames <= max_frames:
        raise ValueError(f"min_frames is {min_frames} and max_frames {max_frames}, but 1 <= min_frames <= max_frames.")
    if not all(isinstance(times, int) and times >= 1 for times in repeats.values()):
        raise ValueError(f"repeats must give whole numbers from 1 on; got {dict(repeats)}.")
    if not len(speeds) or not all(0 < speed < float("inf") for speed in speeds):
        raise ValueError(f"speeds must be above 0 (1 is as recorded); got {list(speeds)}.")


def _count_frames(clip: str, path: Path, skeleton: Skeleton, data_dir: Path) -> int:
    """Length of a feature file, read from its header alone."""
    if not path.is_file():
        raise FileNotFoundError(
            f"The clip {clip} has no features: {path} is missing; make it from new_joints with "
            f"`tm2t-hf prepare {data_dir}`."
        )
    shape = load_array(path).shape
    if len(shape) != 2 or shape[1] != skeleton.feature_size:
        raise ValueError(f"{path} has shape {shape}, but {skeleton.name} needs (frames, {skeleton.feature_size}).")
    return shape[0]


def _lines_of_clip(clip: str, data_dir: Path, further_texts: Sequence[str]) -> list[tuple[str, CaptionLine]]:
    """The captions of a clip, each with the sub-folder that it is from."""
    lines = [("texts", line) for line in read_captions(data_dir / "texts" / f"{clip}.txt")]
    for folder in further_texts:
        path = data_dir / folder / f"{clip}.txt"
        if path.is_file():
            lines += [(folder, line) for line in read_captions(path)]
    return lines


def _rows_of_clip(
    clip: str, path: Path, num_frames: int, lines: list[tuple[str, CaptionLine]], fps: float
) -> list[_Row]:
    rows: dict[tuple[float, float], _Row] = {}
    for source, line in lines:
        tags = (line.start, line.end)
        if tags not in rows:
            if line.whole_clip:
                row_id, start, end = clip, 0, num_frames
            else:
                row_id = f"{clip}@{line.start:g}-{line.end:g}"
                start, end = (min(max(int(tag * fps), 0), num_frames) for tag in tags)
            rows[tags] = _Row(row_id, clip, str(path), start, end, False, [], [], [])
        rows[tags].captions.append(line.caption)
        rows[tags].tokens.append(line.tokens)
        rows[tags].sources.append(source)
    return list(rows.values())


def _mirror_row(row: _Row) -> _Row:
    return row._replace(
        id=_mirrored_id(row.id),
        mirrored=True,
        captions=[mirror_caption(caption) for caption in row.captions],
        tokens=[mirror_caption(tokens) for tokens in row.tokens],
    )


def _repeated(rows: list[_Row], repeats: Mapping[str, int]) -> list[_Row]:
    """The rows, and further ones of the clips whose names match: as many as the largest matching number says."""
    unmatched = dict(repeats)
    further = []
    for row in rows:
        matching = [pattern for pattern in repeats if fnmatchcase(row.clip, pattern)]
        for pattern in matching:
            unmatched.pop(pattern, None)
        times = max((repeats[pattern] for pattern in matching), default=1)
        further += [row._replace(id=f"{row.id}#{time}") for time in range(2, times + 1)]
    if unmatched:
        raise ValueError(f"repeats names {', '.join(unmatched)}, which no clip's id matches.")
    return rows + further


def _has_mirror_image(clip: str, clips: set[str]) -> bool:
    folder, slash, name = clip.rpartition("/")
    return _mirrored_id(clip) in clips or (name.startswith("M") and folder + slash + name[1:] in clips)


def _mirrored_id(clip: str) -> str:
    folder, slash, name = clip.rpartition("/")
    return f"{folder}{slash}M{name}"


@dataclass(frozen=True)
class _Opaque:
    """Keeps `from_generator` from looking into (and splitting) an argument: lists there mean shards."""

    value: Any


def _generate_streamed_rows(rows: _Opaque, variants: None):
    """Rows of a data set on the Hub: `rows` holds its id, its revision and the arguments of `load_motion_dataset`."""
    name, revision, (split, skeleton, min_frames, max_frames, mirror, speeds, bodies, further_texts) = rows.value
    bodies = bodies or BodyVariation()
    small_files = fetch_small_files(name, revision)
    known, offsets = set(read_split(small_files, split)), load_offsets(small_files, skeleton)
    variants = _Opaque((skeleton, bodies, offsets))
    for folder, clips in stream_folders(name, split, revision):
        rows_of_clips, _ = _rows_of_clips(
            folder, clips, known, skeleton, min_frames, max_frames, mirror, speeds, further_texts
        )
        yield from _generate_rows(_Opaque(rows_of_clips + _with_bodies(rows_of_clips, bodies)), variants)


def _generate_rows(rows: _Opaque, variants: _Opaque):
    skeleton, bodies, offsets = variants.value
    for row in rows.value:
        with np.errstate(over="ignore"):  # to infinite values, which are refused
            features = load_array(row.path)[row.start : row.end].astype(np.float32)
        if not np.isfinite(features).all():
            raise ValueError(f"{row.path} holds NaN or infinite features.")
        if row.mirrored or row.speed != 1 or row.body:
            body = bodies if row.body else None
            rng = np.random.default_rng(zlib.crc32(row.id.encode()))
            features = varied_motion(features, skeleton, row.mirrored, row.speed, body, rng, offsets)
        yield {
            "id": row.id,
            "features": features,
            "captions": row.captions,
            "tokens": row.tokens,
            "sources": row.sources,
        }
