# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Scores of codes: how much of a codebook is in use."""

from collections.abc import Iterable, Sequence

import numpy as np


def codebook_scores(codes: Iterable[Sequence[int]], codebook_size: int) -> dict[str, float]:
    """Use of a codebook by a list of code sequences: `codebook_used`, a share, and `codebook_perplexity`, in codes."""
    flat = np.concatenate([np.asarray(sequence).ravel() for sequence in codes]).astype(np.int64)
    if not len(flat) or flat.min() < 0 or flat.max() >= codebook_size:
        raise ValueError(f"the codes of a codebook of {codebook_size} are 0 to {codebook_size - 1}, and at least one.")
    share = np.bincount(flat, minlength=codebook_size) / len(flat)
    used = share[share > 0]
    perplexity = float(np.exp(-(used * np.log(used)).sum()))
    return {"codebook_used": len(used) / codebook_size, "codebook_perplexity": perplexity}
