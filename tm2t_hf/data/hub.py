# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Prepared data folders to the Hub, as shards with a card; `load_motion_dataset` takes their ids."""

import tempfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from huggingface_hub import DatasetCard, DatasetCardData

from ..hub import HubFolder, check_token
from ..skeletons import HUMANML3D, Skeleton
from .folder import SPLITS, read_split
from .sharding import write_shards

CARD = Path(__file__).with_name("data_card_template.md")


def push_data(
    data_dir: str | PathLike,
    repo_id: str,
    *,
    private: bool = False,
    revision: str = "",
    license: str = "other",
    skeleton: Skeleton = HUMANML3D,
    further_texts: Sequence[str] = (),
) -> str:
    """Upload a prepared data folder: its splits as shards (`write_shards`), statistics and a card.

    Args:
        data_dir: the folder, as `prepare` leaves it.
        repo_id: data set on the Hub, `owner/name`; it is made if it does not exist.
        private: whether a new data set is private.
        revision: branch to upload to; the main one by default.
        license: of the data, an identifier of the Hub such as "cc-by-nc-4.0".
        skeleton: what the features belong to.
        further_texts: sub-folders with further captions, which the shards then hold as well.

    Returns:
        The address of the commit.

    Raises:
        FileNotFoundError: the folder, its split files, a feature file or a text file is missing.
        ValueError: nobody is logged in, a file is damaged, or the Hub does not take the upload.
    """
    check_token(repo_id)
    data_dir = Path(data_dir)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shards(data_dir, folder, SPLITS, skeleton, further_texts=further_texts)
        upload = HubFolder(folder, repo_id, private, revision, repo_type="dataset")
        upload.command = f"push-data {data_dir}"
        upload.options += f" --license {license}" if license != "other" else ""
        upload.options += f" --skeleton {skeleton.name}" if skeleton != HUMANML3D else ""
        upload.options += f" --further_texts {' '.join(further_texts)}" if further_texts else ""
        splits = {split: read_split(data_dir, split) for split in SPLITS if list(folder.glob(f"{split}-*.parquet"))}
        data_card(upload.repo_id, splits, license, skeleton).save(folder / "README.md")
        return upload.upload(f"Upload {data_dir.resolve().name}")


def data_card(repo_id: str, splits: dict[str, list[str]], license: str, skeleton: Skeleton) -> DatasetCard:
    """The card of a data set."""
    files = [{"split": split, "path": f"{split}-*.parquet"} for split in splits]
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


__all__ = ["push_data"]
