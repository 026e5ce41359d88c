# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Data sets that are too large for a file per clip: shards of many clips, in a folder or on the Hub.

<split>-00000.parquet   columns `id`, `features` (the bytes of a .npy file), `captions`, `tokens`, `sources`
<split>-00000.tar       or, in the webdataset layout, `<id>.npy` and `<id>.txt`, as in the HumanML3D layout
Mean.npy, Std.npy, ...  as in that layout
"""

import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, IterableDataset
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from ..files import in_one_line, load_offsets
from ..skeletons import Skeleton
from .cache import cache_folder, cached
from .captions import parse_captions
from .motion_column import MotionColumn, columns_with
from .rows import Row, Variants, rows_of_clip

PART = re.compile(r"@[^/@]*-[^/@]*$")  # of a row's id: which part of the clip it is
STATISTICS = ("Mean.npy", "Std.npy", "Offsets.npy")
# `datasets` reads several files at once, in threads. numpy parses headers with `ast`, which in Python 3.11 counts its
# depth over all threads: another one in between ends in "SystemError: AST constructor recursion depth mismatch".
ONE_HEADER_AT_A_TIME = threading.Lock()
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "features": pa.binary(),
        "captions": pa.list_(pa.string()),
        "tokens": pa.list_(pa.string()),
        "sources": pa.list_(pa.string()),
    }
)


class Shards(NamedTuple):
    """The shards of one split: paths or URLs, their sizes and times (or the commit), and the folder or Hub id."""

    files: list[str]
    state: str
    data_dir: str


def find_shards(data_dir: str | Path, split: str) -> Shards | None:
    """The shards of a split in a folder or in a data set of the Hub; None for a folder that has none.

    Raises:
        FileNotFoundError: there is no such folder and no such data set, or the data set has no such revision or no
            shards of this split.
    """
    pattern = re.compile(rf"(?:.*/)?{re.escape(split)}-[^/]*\.(?:parquet|tar)")
    on_hub = hub_data_set(data_dir)
    if on_hub is None:
        paths = [path for path in sorted(Path(data_dir).glob("*")) if pattern.fullmatch(path.name)]
        state = repr([(path.stat().st_size, path.stat().st_mtime_ns) for path in paths])
        return Shards([str(path.resolve()) for path in paths], state, str(data_dir)) if paths else None
    try:
        info = HfApi().dataset_info(on_hub.repo_id, revision=on_hub.revision)
    except RevisionNotFoundError as error:
        raise FileNotFoundError(_no_revision(on_hub)) from error
    except Exception as error:  # no network, offline mode, no such data set, no permission, ...
        raise FileNotFoundError(
            f"There is no data folder {data_dir}, and the Hub gave no data set of this name ({_why_not(error)})."
        ) from error
    names = sorted(file.rfilename for file in info.siblings or () if pattern.fullmatch(file.rfilename))
    if not names:
        raise FileNotFoundError(f"The data set {data_dir} of the Hub has no {split}-*.parquet and no {split}-*.tar.")
    return Shards([f"hf://datasets/{on_hub.repo_id}@{info.sha}/{name}" for name in names], info.sha, str(data_dir))


class HubDataSet(NamedTuple):
    """A data set of the Hub, `owner/name`, at a branch, tag or commit; None is its main branch."""

    repo_id: str
    revision: str | None


def hub_data_set(data_dir: str | Path) -> HubDataSet | None:
    """The data set that `owner/name` or `owner/name@revision` names; None for a folder, or where `owner/` is one."""
    found = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", str(data_dir))
    if found is None or Path(str(data_dir).partition("/")[0]).is_dir():
        return None
    return HubDataSet(*found.groups())


def statistics_folder(data_dir: str | Path) -> Path:
    """The folder with `Mean.npy` and so on of a data folder; those of the Hub are downloaded.

    Raises:
        FileNotFoundError: the Hub does not give them.
    """
    on_hub = hub_data_set(data_dir)
    if on_hub is None:
        return Path(data_dir)
    try:
        return Path(snapshot_download(**on_hub._asdict(), repo_type="dataset", allow_patterns=list(STATISTICS)))
    except RevisionNotFoundError as error:
        raise FileNotFoundError(_no_revision(on_hub)) from error
    except Exception as error:  # whatever the network leads to
        raise FileNotFoundError(
            f"The Hub gave no statistics of the data set {data_dir} ({_why_not(error)})."
        ) from error


def _no_revision(data_set: HubDataSet) -> str:
    return f"There is no revision {data_set.revision} of the data set {data_set.repo_id} on the Hub."


def _why_not(error: Exception) -> str:
    """Why the Hub gave nothing, without a stop at its end."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].removesuffix(".")
    private = "; if it is private, log in with `hf auth login`" if isinstance(error, RepositoryNotFoundError) else ""
    return reason + private


def load_shards(
    shards: Shards, skeleton: Skeleton, limits: range, variants: Variants, streaming: bool
) -> Dataset | IterableDataset:
    """The rows of shards within the limits, and their variants, as `load_motion_dataset` gives them.

    Unlike in a folder, each variant follows what it varies, and clips whose mirror image is in the split, too, are
    mirrored all the same: a stream does not know what comes.
    """
    offsets = load_offsets(statistics_folder(shards.data_dir), skeleton)
    columns = columns_with(MotionColumn.of(skeleton, variants.bodies, offsets))
    reader = ShardReader(skeleton, limits, variants)
    fingerprint = hashlib.sha256(repr((shards, skeleton, limits, variants)).encode()).hexdigest()[:32]
    if not streaming:
        dataset = cached(cache_folder() / f"{fingerprint}.arrow", columns, lambda: reader.rows(shards.files))
        if not len(dataset):
            raise ValueError(f"No clip of {shards.data_dir} is {limits[0]} to {limits[-1]} frames long.")
        return dataset
    # every file of the list can go to another process or worker
    stream = IterableDataset.from_generator(reader.rows, columns, gen_kwargs={"files": shards.files})
    stream._fingerprint = fingerprint
    return stream


@dataclass
class ShardReader:
    """Reads shards one after the other, holding a few clips in memory at a time."""

    skeleton: Skeleton
    limits: range
    variants: Variants

    def rows(self, files: list[str]) -> Iterator[dict]:
        """The rows in some shards, and their variants, as `datasets` stores them.

        Raises:
            ValueError: a shard is damaged, holds something else than motions of the skeleton, or could not be
                downloaded; the message names it.
        """
        for file in files:
            read = self._parquet if file.endswith(".parquet") else self._tar
            try:
                with fsspec.open(file, "rb") as opened:
                    for rows in read(opened):
                        kept = [row for row in rows if row.end in self.limits]
                        for row in self.variants.of(lambda kept=kept: iter(kept), set()):
                            yield row.example()
            except (pa.ArrowException, tarfile.TarError, KeyError, TypeError, ValueError, EOFError) as error:
                raise _damaged(file, error) from error
            except Exception as error:
                # what pyarrow raises for damaged pages; an error of the disk has a number, one of the network a type
                if type(error) is OSError and error.errno is None:
                    raise _damaged(file, error) from error
                if not file.startswith("hf://"):
                    raise
                raise ValueError(f"{file} could not be downloaded ({_why_not(error)}); try again.") from error

    def _parquet(self, opened) -> Iterator[list[Row]]:
        for batch in pq.ParquetFile(opened).iter_batches(batch_size=32, columns=SCHEMA.names):
            for values in batch.cast(SCHEMA).to_pylist():
                features = self._features(values["features"], values["id"])
                texts = [values[name] for name in ("captions", "tokens", "sources")]
                if not texts[0] or len({len(text) for text in texts}) > 1:
                    raise ValueError(f"{values['id']} has {len(texts[0])} captions, or not as many tokens and sources")
                clip = PART.sub("", values["id"])
                row = Row(values["id"], clip, None, 0, len(features), *texts)
                yield [row._replace(values=features.tobytes())]

    def _tar(self, opened) -> Iterator[list[Row]]:
        parts: dict[str, bytes] = {}
        clip = None
        with tarfile.open(fileobj=opened, mode="r|*") as archive:
            for member in archive:
                name, _, suffix = member.name.rpartition(".")
                if not member.isfile() or suffix not in ("npy", "txt"):
                    continue
                if name != clip:  # the files of a clip follow each other
                    clip, parts = name, {}
                parts[suffix] = archive.extractfile(member).read()
                if len(parts) == 2:
                    yield self._rows_of_clip(clip, parts["npy"], parts["txt"].decode("utf-8-sig"))

    def _rows_of_clip(self, clip: str, content: bytes, text: str) -> list[Row]:
        features = self._features(content, clip)
        lines = [("texts", line) for line in parse_captions(text, clip, f"{clip}.txt")]
        rows = rows_of_clip(clip, None, len(features), lines, self.skeleton)
        cut = [features[row.start : row.end] for row in rows]
        return [
            row._replace(start=0, end=len(part), values=part.tobytes()) for row, part in zip(rows, cut, strict=True)
        ]

    def _features(self, content: bytes, clip: str) -> np.ndarray:
        """Float32 features (frames, feature_size) from the bytes of a `.npy` file."""
        try:
            with ONE_HEADER_AT_A_TIME:
                features = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
        except Exception as error:  # a damaged header can raise anything
            raise ValueError(in_one_line(error)) from error
        if features.dtype.kind not in "fiu":
            raise ValueError(f"the features of {clip} are {features.dtype}, not real numbers")
        if features.ndim != 2 or features.shape[1] != self.skeleton.feature_size:
            wanted = f"{self.skeleton.name} needs (frames, {self.skeleton.feature_size})"
            raise ValueError(f"the features of {clip} have shape {features.shape}, but {wanted}")
        features = np.ascontiguousarray(features, dtype=np.float32)
        if not np.isfinite(features).all():
            raise ValueError(f"the features of {clip} are NaN or infinite")
        return features


def _damaged(file: str, reason: Exception) -> ValueError:
    return ValueError(f"{file} is not a whole shard of motions ({in_one_line(reason)}).")


__all__ = ["SCHEMA", "STATISTICS", "HubDataSet", "find_shards", "hub_data_set", "load_shards", "statistics_folder"]
