# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What a data folder in the HumanML3D layout holds, by name."""

from collections import Counter
from pathlib import Path, PurePosixPath

from ..files import read_text

SPLITS = ("train", "val", "test")


def read_split(data_dir: str | Path, split: str) -> list[str]:
    """The clip ids of `<split>.txt`, one per line, in file order.

    An id is the path of a clip's files below `new_joints`, `new_joint_vecs` and `texts`, without the suffix: `000012`,
    `s1/walk`, `long jump`.

    Args:
        data_dir: the folder.
        split: the name of the split file without `.txt`.

    Raises:
        FileNotFoundError: no such folder or split file.
        ValueError: `split` is not a plain name; the split file is not UTF-8, names no clip, names one twice, or names
            a file outside the folder.
    """
    data_dir = Path(data_dir)
    if not split or split in (".", "..") or {"/", "\\"} & set(split):
        raise ValueError(f"split is {split!r}, but has to be the name of a split file in {data_dir}, such as 'train'.")
    if not data_dir.is_dir():
        raise FileNotFoundError(f"There is no data folder {data_dir}.")
    path = data_dir / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(sorted(file.name for file in data_dir.glob("*.txt"))) or "none"
        raise FileNotFoundError(f"{data_dir} has no split file {split}.txt (split files there: {there}).")
    ids = [line.strip() for line in read_text(path).split("\n") if line.strip()]
    if not ids:
        raise ValueError(f"The split file {path} names no clip.")
    for clip in ids:
        if "\\" in clip or clip.startswith("/") or {"", ".", ".."} & set(clip.split("/")):
            raise ValueError(f"The split file {path} names {clip!r}; ids are names below new_joints, such as s1/walk.")
    clip, times = Counter(ids).most_common(1)[0]
    if times > 1:
        raise ValueError(f"The split file {path} names the clip {clip} more than once.")
    return ids


def clips_in(folder: str | Path) -> list[str]:
    """The ids of all `.npy` files in a folder and its sub-folders, sorted."""
    folder = Path(folder)
    return sorted(str(PurePosixPath(path.relative_to(folder).with_suffix(""))) for path in folder.rglob("*.npy"))
