# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What a text-to-motion model can do, with a sentence for each: the file `actions.json` of a checkpoint."""

import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from transformers.utils import cached_file

from .files import read_text, written_beside

ACTIONS_FILE = "actions.json"


class Action(NamedTuple):
    """One thing that a model can do.

    Attributes:
        action: its name.
        prompt: a sentence that makes the model do it.
        clips: the number of training clips that show it.
    """

    action: str
    prompt: str
    clips: int


def write_actions(folder: str | PathLike, actions: Sequence[Action]) -> None:
    """Write `actions.json` into the folder of a checkpoint, a line per action."""
    lines = ",\n".join("  " + json.dumps(action._asdict(), ensure_ascii=False) for action in actions)
    with written_beside(Path(folder) / ACTIONS_FILE) as part:
        part.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def read_actions(name: str | PathLike, **place: Any) -> list[Action]:
    """What a checkpoint says that its model can do.

    Args:
        name: its folder or Hub id.
        place: where it is on the Hub or in its cache, as in `from_pretrained`: `revision`, `token`, `cache_dir`, ...

    Raises:
        ValueError: it does not say so, or its file is damaged; one sentence that names it.
    """
    folder = Path(name, place.get("subfolder") or "")
    try:
        path = folder / ACTIONS_FILE if Path(name).is_dir() else Path(cached_file(str(name), ACTIONS_FILE, **place))
    except OSError as error:
        raise ValueError(f"{name} is neither a folder nor a model on the Hub with {ACTIONS_FILE}.") from error
    if not path.is_file():
        raise ValueError(
            f"{name} has no {ACTIONS_FILE}, so what it can do is not known: give a text-to-motion model that has one."
        )
    try:
        rows = json.loads(read_text(path))
        if not rows:
            raise ValueError
        return [Action(str(row["action"]), str(row["prompt"]), int(row["clips"])) for row in rows]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is not a list of objects with action, prompt and clips.") from error


__all__ = ["ACTIONS_FILE", "Action", "read_actions", "write_actions"]
