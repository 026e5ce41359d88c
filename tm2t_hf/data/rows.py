# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The rows of a data set: clips and parts of clips with their captions, and the variants of these."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from ..skeletons import Skeleton
from .captions import CaptionLine, mirror_caption, read_captions
from .variation import BodyVariation

SLOWEST, FASTEST = 0.5, 2.0  # speeds of a clip, as shares of the recorded one
MOTION = ("path", "start", "end", "mirrored", "speed", "body", "values")
TEXTS = ("captions", "tokens", "sources")


class Row(NamedTuple):
    """One row: frames start:end of a feature file, or `values` themselves, mirrored, at another speed, ..."""

    id: str
    clip: str
    path: str | None
    start: int
    end: int
    captions: list[str]
    tokens: list[str]
    sources: list[str]
    mirrored: bool = False
    speed: float = 1.0
    body: int = 0  # 0 as recorded, 1, 2, ... further bodies
    values: bytes | None = None

    def example(self) -> dict:
        """The row as `datasets` stores it."""
        motion = {name: getattr(self, name) for name in MOTION} | {"seed": zlib.crc32(self.id.encode())}
        return {"id": self.id, "features": motion, **{name: getattr(self, name) for name in TEXTS}}

    @classmethod
    def of_example(cls, clip: str, example: dict) -> "Row":
        """The inverse of `example`."""
        motion = {name: example["features"][name] for name in MOTION}
        return cls(id=example["id"], clip=clip, **motion, **{name: example[name] for name in TEXTS})


def check_speeds(speeds: Sequence[float], argument: str):
    """Raise a ValueError that names `argument` unless these are speeds that clips can have."""
    if not 0 < len(set(speeds)) == len(speeds) or not all(SLOWEST <= speed <= FASTEST for speed in speeds):
        raise ValueError(
            f"{argument} must be distinct and from {SLOWEST:g} to {FASTEST:g} (1 is as recorded), beyond which people "
            f"do not move so; got {list(speeds)}."
        )


@dataclass
class Variants:
    """Which variants of its rows a data set holds; the arguments of `load_motion_dataset`.

    Raises:
        ValueError: for one that is out of range.
    """

    mirror: bool = False
    speeds: Sequence[float] = (1.0,)
    repeats: Mapping[str, int] = field(default_factory=dict)
    bodies: BodyVariation = field(default_factory=BodyVariation)

    def __post_init__(self):
        if not all(isinstance(times, int) and times >= 1 for times in self.repeats.values()):
            raise ValueError(f"repeats must give whole numbers from 1 on; got {dict(self.repeats)}.")
        check_speeds(self.speeds, "speeds")

    @property
    def any(self) -> bool:
        """Whether there are others than the rows themselves."""
        return bool(self.mirror or list(self.speeds) != [1] or self.repeats or self.bodies.copies)

    def of(self, rows: Callable[[], Iterator[Row]], clips: set[str]) -> Iterator[Row]:
        """All variants of the rows, which are read once for each kind of them: first the rows themselves.

        Args:
            rows: gives them, each time from the first on.
            clips: the ids of the split, among which a clip may have its mirror image already.
        """
        yield from self._repeated(rows, clips)
        for body in range(1, self.bodies.copies + 1):
            for row in self._repeated(rows, clips):
                yield row._replace(id=f"{row.id}~{body}", body=body)

    def _mirrored_and_faster(self, rows: Callable[[], Iterator[Row]], clips: set[str]) -> Iterator[Row]:
        for speed in self.speeds:
            for mirrored in (False, True)[: 1 + self.mirror]:
                for row in rows():
                    if mirrored and has_mirror_image(row.clip, clips):
                        continue
                    row = mirror_row(row) if mirrored else row
                    yield row if speed == 1 else row._replace(id=f"{row.id}*{speed:g}", speed=float(speed))

    def _repeated(self, rows: Callable[[], Iterator[Row]], clips: set[str]) -> Iterator[Row]:
        """Further rows of the clips whose names match come last: as many as the largest matching number says."""
        yield from self._mirrored_and_faster(rows, clips)
        for row in self._mirrored_and_faster(rows, clips) if self.repeats else ():
            times = [times for pattern, times in self.repeats.items() if fnmatchcase(row.clip, pattern)]
            for time in range(2, max(times, default=1) + 1):
                yield row._replace(id=f"{row.id}#{time}")


def check_further_texts(data_dir: Path, folders: Sequence[str], argument: str):
    """Raise a FileNotFoundError that names `argument` unless the data folder has all these folders of captions."""
    for folder in folders:
        if not (data_dir / folder).is_dir():
            raise FileNotFoundError(f"{argument} names {folder}, but {data_dir} has no such folder.")


def lines_of_clip(clip: str, data_dir: Path, further_texts: Sequence[str]) -> list[tuple[str, CaptionLine]]:
    """The captions of a clip, each with the sub-folder that it is from."""
    lines = [("texts", line) for line in read_captions(data_dir / "texts" / f"{clip}.txt")]
    for folder in further_texts:
        path = data_dir / folder / f"{clip}.txt"
        if path.is_file():
            lines += [(folder, line) for line in read_captions(path)]
    return lines


def rows_of_clip(
    clip: str, path: Path | None, num_frames: int, lines: list[tuple[str, CaptionLine]], skeleton: Skeleton
) -> list[Row]:
    """A row for the whole clip, and one for each part of it that captions name."""
    rows: dict[tuple[float, float], Row] = {}
    for source, line in lines:
        tags = (line.start, line.end)
        if tags not in rows:
            if line.whole_clip:
                row_id, start, end = clip, 0, num_frames
            else:
                row_id = f"{clip}@{line.start:g}-{line.end:g}"
                start, end = (min(max(int(tag * skeleton.fps), 0), num_frames) for tag in tags)
            rows[tags] = Row(row_id, clip, None if path is None else str(path), start, end, [], [], [])
        rows[tags].captions.append(line.caption)
        rows[tags].tokens.append(line.tokens)
        rows[tags].sources.append(source)
    return list(rows.values())


def mirror_row(row: Row) -> Row:
    """The row mirrored left to right, motion and words."""
    return row._replace(
        id=mirrored_id(row.id),
        mirrored=True,
        captions=[mirror_caption(caption) for caption in row.captions],
        tokens=[mirror_caption(tokens) for tokens in row.tokens],
    )


def has_mirror_image(clip: str, clips: set[str]) -> bool:
    """Whether a clip's mirror image is among the clips, as in HumanML3D."""
    folder, slash, name = clip.rpartition("/")
    return mirrored_id(clip) in clips or (name.startswith("M") and folder + slash + name[1:] in clips)


def mirrored_id(clip: str) -> str:
    """`s1/walk` -> `s1/Mwalk`."""
    folder, slash, name = clip.rpartition("/")
    return f"{folder}{slash}M{name}"


__all__ = ["Row", "Variants", "check_further_texts", "check_speeds", "lines_of_clip", "rows_of_clip"]
