# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Prepared data folders on the Hub: one row of a parquet file per clip, and the small files of the folder as they are.

A row holds `id`, `features` (frames, feature_size), `joints` (frames, joints, 3) where the folder has them, and the
content of the clip's text files by sub-folder: `texts`, `texts_people`, ... So `datasets.load_dataset` reads it, and
`data_folder` makes the folder again, bit by bit.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import config, load_dataset
from huggingface_hub import DatasetCard, DatasetCardData, snapshot_download
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from ..files import OFFSETS, load_array, read_text, written_beside
from ..hub import HubFolder
from ..skeletons import HUMANML3D, Skeleton
from .folder import SPLITS, read_split

CARD = Path(__file__).with_name("data_card_template.md")
SHARD_BYTES = 300_000_000  # of arrays per parquet file, before its compression
ROWS_TOGETHER = 32  # what streaming reads at once
ARRAYS = {"features": "new_joint_vecs", "joints": "new_joints"}


def push_data(
    data_dir: str | PathLike,
    repo_id: str,
    *,
    private: bool = False,
    revision: str = "",
    license: str = "other",
    skeleton: Skeleton = HUMANML3D,
) -> str:
    """Upload a prepared data folder with its splits, statistics, further captions and a card.

    Args:
        data_dir: the folder, as `prepare` leaves it.
        repo_id: data set on the Hub, `owner/name`; it is made if it does not exist.
        private: whether a new data set is private.
        revision: branch to upload to; the main one by default.
        license: of the data, an identifier of the Hub such as "cc-by-nc-4.0".
        skeleton: what the features belong to.

    Returns:
        The address of the commit.

    Raises:
        FileNotFoundError: the folder, its split files, a feature file or a text file is missing.
        ValueError: a file is damaged, or the Hub does not take the upload.
    """
    data_dir = Path(data_dir)
    splits = {split: read_split(data_dir, split) for split in SPLITS if (data_dir / f"{split}.txt").is_file()}
    if not splits:
        raise FileNotFoundError(
            f"{data_dir} has none of the split files {', '.join(f'{each}.txt' for each in SPLITS)}."
        )
    with tempfile.TemporaryDirectory() as folder:
        upload = HubFolder(folder, repo_id, private, revision, repo_type="dataset")
        upload.retry = f"to try again, `tm2t-hf push-data {data_dir} {repo_id}`"
        for split, clips in splits.items():
            write_split(data_dir, split, clips, Path(folder) / "data")
        statistics = [data_dir / name for name in ("Mean.npy", "Std.npy", OFFSETS)]
        for path in (*data_dir.glob("*.txt"), *(path for path in statistics if path.is_file())):
            shutil.copyfile(path, Path(folder) / path.name)
        card = data_card(upload.repo_id, splits, license, skeleton)
        card.save(Path(folder) / "README.md")
        return upload.upload(f"Upload {data_dir.resolve().name}")


def data_card(repo_id: str, splits: dict[str, list[str]], license: str, skeleton: Skeleton) -> DatasetCard:
    """The card of a data set."""
    files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits]
    data = DatasetCardData(
        license=license,
        language="en",
        pretty_name=repo_id.rpartition("/")[2],
        tags=["tm2t", "human-motion", "text-to-motion", "motion-to-text"],
        configs=[{"config_name": "default", "data_files": files}],
    )
    return DatasetCard.from_template(
        data,
        template_path=str(CARD),
        repo_id=repo_id,
        skeleton=skeleton,
        first_split=next(iter(splits)),
        splits=[(split, len(clips)) for split, clips in splits.items()],
    )


def write_split(data_dir: Path, split: str, clips: Sequence[str], folder: Path) -> None:
    """Write the clips of a split as parquet files `<split>-00000.parquet`, ... in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = sorted(path.name for path in data_dir.glob("texts*") if path.is_dir())
    has_joints = (data_dir / ARRAYS["joints"]).is_dir()
    schema = pa.schema(
        [("id", pa.string()), ("features", pa.list_(pa.list_(pa.float32())))]
        + ([("joints", pa.list_(pa.list_(pa.list_(pa.float32()))))] if has_joints else [])
        + [(name, pa.string()) for name in texts]
    )
    writer, size, number = None, 0, 0
    try:
        for clip in clips:
            row = _row_of_clip(data_dir, clip, texts, has_joints)
            if writer is None or size > SHARD_BYTES:
                if writer is not None:
                    writer.close()
                writer = pq.ParquetWriter(folder / f"{split}-{number:05}.parquet", schema, compression="zstd")
                size, number = 0, number + 1
            size += sum(row[name].nbytes for name in ARRAYS if name in row)
            columns = {name: [value.tolist() if name in ARRAYS else value] for name, value in row.items()}
            writer.write_table(pa.table(columns, schema))
    finally:
        if writer is not None:
            writer.close()


def _row_of_clip(data_dir: Path, clip: str, texts: Sequence[str], has_joints: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"id": clip}
    for name, folder in ARRAYS.items():
        if name == "features" or has_joints:
            array = load_array(data_dir / folder / f"{clip}.npy")
            if not np.isfinite(array).all():
                raise ValueError(f"{data_dir / folder / clip}.npy holds NaN or infinite values.")
            row[name] = array.astype(np.float32)
    for folder in texts:
        path = data_dir / folder / f"{clip}.txt"
        row[folder] = read_text(path) if folder == "texts" or path.is_file() else None
    return row


# ----------------------------------------------------------------------------------------------------------- downloads


def is_on_hub(data_dir: str | PathLike) -> bool:
    """Whether a data folder is rather the id of a data set on the Hub: `owner/name`, and no folder here."""
    name = str(data_dir)
    if Path(name).exists() or name.count("/") != 1:
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def data_folder(data_dir: str | PathLike, revision: str | None = None) -> Path:
    """The data folder itself, or the one that `push_data` uploaded, made again in the cache of `datasets`.

    Args:
        data_dir: a folder, or the id of a data set on the Hub.
        revision: branch, tag or commit of a data set on the Hub.

    Raises:
        FileNotFoundError: there is no such data set within reach, and none in the cache.
    """
    if not is_on_hub(data_dir):
        return Path(data_dir)
    repo_id = str(data_dir)
    snapshot = _snapshot(repo_id, revision)
    if (snapshot / ARRAYS["features"]).is_dir():  # a folder that was uploaded as it is
        return snapshot
    name = hashlib.sha256(f"{repo_id} {snapshot.name}".encode()).hexdigest()[:32]
    folder = Path(config.HF_DATASETS_CACHE) / "tm2t_hf" / "folders" / name
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(folder) as part:
            part.mkdir()
            for path in sorted(snapshot.glob("data/*.parquet")):
                for batch in pq.ParquetFile(path).iter_batches(ROWS_TOGETHER):
                    write_rows(part, batch.to_pylist())
            for path in (*snapshot.glob("*.npy"), *snapshot.glob("*.txt")):
                shutil.copyfile(path, part / path.name)
    return folder


def stream_folders(repo_id: str, split: str, revision: str | None = None) -> Iterator[tuple[Path, list[str]]]:
    """Small data folders with the clips of a split, a few at a time, each there until the next one is asked for.

    Yields:
        A folder, and the ids of its clips.
    """
    rows = load_dataset(repo_id, split=split, revision=revision, streaming=True)
    for batch in rows.iter(ROWS_TOGETHER):
        with tempfile.TemporaryDirectory() as folder:
            write_rows(Path(folder), [dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True)])
            yield Path(folder), batch["id"]


def fetch_small_files(repo_id: str, revision: str | None = None) -> Path:
    """A folder with the split files and statistics of a data set, without its clips."""
    return _snapshot(repo_id, revision, allow_patterns=["*.txt", "*.npy"])


def write_rows(folder: Path, rows: Sequence[dict]) -> None:
    """Write clips into a data folder; what is missing of it is made.

    Raises:
        ValueError: for an id that leads out of the folder.
    """
    for row in rows:
        clip = row["id"]
        if "\\" in clip or clip.startswith("/") or {"", ".", ".."} & set(clip.split("/")):
            raise ValueError(f"the data set names the clip {clip!r}; ids are names such as s1/walk.")
        for name, value in row.items():
            if name == "id" or value is None:
                continue
            path = folder / ARRAYS.get(name, name) / f"{clip}.{'npy' if name in ARRAYS else 'txt'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if name in ARRAYS:
                np.save(path, np.array(value, dtype=np.float32))
            elif name.startswith("texts") and "/" not in name:
                path.write_text(value, encoding="utf-8")


def _snapshot(repo_id: str, revision: str | None, **patterns) -> Path:
    try:
        return Path(snapshot_download(repo_id, repo_type="dataset", revision=revision, **patterns))
    except Exception as error:  # whatever the network leads to
        reason = " ".join(str(error).split())
        raise FileNotFoundError(
            f"There is no data set {repo_id}: it is neither a folder nor a data set of the Hub within reach; if it is "
            f"private there, log in with `hf auth login` ({reason.partition('. ')[0]})."
        ) from error


__all__ = ["data_folder", "is_on_hub", "push_data"]
