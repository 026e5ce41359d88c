# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""How often to repeat the training clips of the shipped models, so that rare actions are learned as safely as others.

    PYTHONPATH=examples python -m shipped.repeats --data_dir joined > repeats.json

Prints a JSON object for `repeats` of a training configuration, from patterns of clip ids to times, and a table of the
rows by action. With it an action is drawn in proportion to its number of clips to the power `--power`: at 1 nothing is
repeated, at 0 all actions have the same number of rows.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from bandai_namco.labels import mirror_action
from shipped.labels import NOTHING_SHOWN, label_of_clip
from transformers import HfArgumentParser

from tm2t_hf.data import read_split


@dataclass
class Arguments:
    """What to repeat."""

    data_dir: str = field(metadata={"help": "The folder that build.py made."})
    power: float = field(default=0.4, metadata={"help": "Share of an action: its number of clips to this power."})
    most: int = field(default=40, metadata={"help": "No clip is repeated more often."})
    split: str = field(default="train", metadata={"help": "The split to repeat clips of."})

    def __post_init__(self):
        """Refuse what makes no sense."""
        if not 0 <= self.power <= 1 or self.most < 1:
            raise ValueError(f"power must be 0 to 1 and most at least 1, not {self.power} and {self.most}.")


def main(args: list[str] | None = None):
    """Print the repeats to stdout and the rows by action to stderr."""
    arguments = HfArgumentParser(Arguments).parse_args_into_dataclasses(args)[0]
    actions = {clip: label_of_clip(clip).action for clip in read_split(arguments.data_dir, arguments.split)}
    repeats = repeats_of(actions, arguments.power, arguments.most)
    print(json.dumps(repeats, indent=2))
    clips = Counter(actions.values())
    rows = Counter()
    for clip, action in actions.items():
        rows[action] += max((times for pattern, times in repeats.items() if fnmatchcase(clip, pattern)), default=1)
    for action, count in clips.most_common():
        print(f"{action:24}{count:5} clips {rows[action]:6} rows", file=sys.stderr)
    print(f"{'':24}{len(actions):5} clips {rows.total():6} rows", file=sys.stderr)


def repeats_of(actions: Mapping[str, str], power: float, most: int) -> dict[str, int]:
    """Pattern of clip ids -> how often such clips are repeated, where that is more than once.

    Args:
        actions: clip id -> action.
        power: rows of an action are in proportion to its number of clips to this power.
        most: the largest number of repeats.
    """
    counts = Counter(actions.values())
    # mirrored clips are trained on as well, so left and right are equally frequent
    both_sides = {
        action: (counts[action] + (counts[mirror_action(action)] or counts[action])) / 2 for action in counts
    }
    largest = max(both_sides.values())
    repeats = {}
    for action, count in both_sides.items():
        times = min(round((largest / count) ** (1 - power)), most)
        if times > 1:
            clips = [clip for clip, of_clip in actions.items() if of_clip == action and clip not in NOTHING_SHOWN]
            repeats |= dict.fromkeys(_patterns(clips), times)
    return dict(sorted(repeats.items()))


def _patterns(clips: list[str]) -> list[str]:
    """Ids of Bandai Namco's clips shortened to data set and action, `bn1_bow_*`; the others as they are."""
    patterns = {}
    for clip in clips:
        short = re.sub(r"^(bn\d_[a-z-]+_).*", r"\1*", clip)
        patterns[clip if any(fnmatchcase(other, short) for other in NOTHING_SHOWN) else short] = None
    return list(patterns)


if __name__ == "__main__":
    main()
