# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Captions of clips: the text files of the HumanML3D layout, and left and right swapped."""

import math
import re
from pathlib import Path
from typing import NamedTuple

from ..files import read_text


class CaptionLine(NamedTuple):
    """One line of `texts/<id>.txt`. `start` and `end` are seconds; both 0.0 mean the whole clip."""

    caption: str
    tokens: str
    start: float
    end: float

    @property
    def whole_clip(self) -> bool:
        """Whether the caption is one of the whole clip."""
        return self.start == 0.0 and self.end == 0.0


def read_captions(path: str | Path) -> list[CaptionLine]:
    """Read the caption lines of one clip: `caption#tokens#start#end`, or a plain caption of the whole clip.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not UTF-8, a line with `#` is not `caption#tokens#start#end`, a caption has no words, a
            tag is infinite, or there is no line at all. Both name the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"The clip {path.stem} has no text: {path} is missing.")
    return parse_captions(read_text(path), path.stem, path)


def parse_captions(text: str, clip: str, path: str | Path) -> list[CaptionLine]:
    """The caption lines of a clip from the text of its file `path`, as `read_captions` gives them."""
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if "#" not in line:
            line = f"{line}##0.0#0.0"
        parts = [part.strip() for part in line.rsplit("#", 3)]
        try:
            caption, tokens, start, end = parts[0], parts[1], float(parts[2]), float(parts[3])
        except (IndexError, ValueError):
            raise ValueError(
                f"{path}, line {number}: expected 'caption#lemma/POS ...#start#end', got {line!r}."
            ) from None
        if not any(map(str.isalnum, caption)):
            raise ValueError(f"{path}, line {number}: the caption {caption!r} has no words.")
        if math.isinf(start) or math.isinf(end):
            raise ValueError(f"{path}, line {number}: start and end are seconds, not infinite; got {line!r}.")
        # HumanML3D writes "nan" where a caption belongs to the whole clip.
        lines.append(CaptionLine(caption, tokens, *(0.0 if math.isnan(tag) else tag for tag in (start, end))))
    if not lines:
        raise ValueError(f"The clip {clip} has no caption: {path} is empty.")
    return lines


_SIDES = re.compile(
    r"(?<![a-z])(?:"
    r"(?P<side>left|right)(?=(?:s|wards?|most|(?:hand|foot|arm|leg|side)(?:s|ed|er)?)?(?![a-z]))"
    r"|(?P<counter>(?:counter|anti)(?:/[A-Z]+)?[- ]?clockwise)(?![a-z])"
    r"|(?P<clockwise>clockwise)(?![a-z])"
    r")",
    re.IGNORECASE,
)


def mirror_caption(caption: str) -> str:
    """Swap left and right (also leftward, right-handed, ...) and clockwise and counterclockwise, keeping the case.

    Works on plain captions and on `lemma/POS` strings. Twice gives the caption back, but for the spellings
    "counter-clockwise" and "anticlockwise", which come back as "counterclockwise".
    """

    def swap(match: re.Match) -> str:
        if match["side"]:
            mirrored = "right" if match["side"].lower() == "left" else "left"
        else:
            mirrored = "clockwise" if match["counter"] else "counterclockwise"
        found = match.group()
        return mirrored.upper() if found.isupper() else mirrored.capitalize() if found[0].isupper() else mirrored

    return _SIDES.sub(swap, caption)
