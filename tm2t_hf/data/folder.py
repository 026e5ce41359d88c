# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What a data folder in the HumanML3D layout holds, by name."""

from pathlib import Path

SPLITS = ("train", "val", "test")


def read_split(data_dir: str | Path, split: str) -> list[str]:
    """The clip ids of `<split>.txt`, in file order.

    Raises:
        FileNotFoundError: no such folder or split file.
        ValueError: the split file names no clip, or one twice.
    """
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise FileNotFoundError(f"There is no data folder {data_dir}.")
    path = data_dir / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(sorted(file.name for file in data_dir.glob("*.txt"))) or "none"
        raise FileNotFoundError(f"{data_dir} has no split file {split}.txt (split files there: {there}).")
    ids = path.read_text(encoding="utf-8").split()
    if not ids:
        raise ValueError(f"The split file {path} names no clip.")
    if len(set(ids)) < len(ids):
        twice = next(clip for clip in ids if ids.count(clip) > 1)
        raise ValueError(f"The split file {path} names the clip {twice} more than once.")
    return ids
