# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Scores of labels and captions, and how those of several replications are summed up."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tm2t_hf.metrics import confidence_interval

NOTHING = ("none", "none")  # action and style of a motion without a frame


def replication_seed(seed: int, replication: int) -> int:
    """Far apart for any two pairs: seed 1 must not begin with the second replication of seed 0."""
    return int(np.random.SeedSequence((seed, replication)).generate_state(1)[0])


def words_of(caption: str) -> str:
    """What captions are compared in: words of letters, digits and apostrophes, in lower case."""
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", caption.lower()))


def shares(found: Sequence, labels: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Share of right actions, of right styles, and of both at once."""
    right = np.array(
        [[pair[0] == wanted[0], pair[1] == wanted[1]] for pair, wanted in zip(found, labels, strict=True)]
    )
    return {"action": right[:, 0].mean(), "style": right[:, 1].mean(), "both": right.all(1).mean()}


def mistakes(replications: Sequence, labels: Sequence[tuple[str, str]]) -> dict[str, int]:
    """`{"walk -> run": how often}`, the most frequent first, for actions and for styles."""
    counts = Counter()
    for verdicts in replications:
        for verdict, wanted in zip(verdicts, labels, strict=True):
            counts.update(f"{w} -> {v}" for w, v in zip(wanted, verdict, strict=True) if v != w)
    return dict(counts.most_common())


def summarize(replications: list[dict[str, float]]) -> dict[str, float | list[float]]:
    """Scores of one replication as they are; of several as [mean, half width of the 95 % interval]."""
    if len(replications) == 1:
        return {name: float(value) for name, value in replications[0].items()}
    means, widths = confidence_interval([list(scores.values()) for scores in replications])
    return {name: [float(m), float(w)] for name, m, w in zip(replications[0], means, widths, strict=True)}
