# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""A small motion-text set that the package makes itself, for tests and first training runs."""

from .actions import ACTIONS, SIDED_ACTIONS
from .dataset import make_toy_clip, make_toy_dataset, tag_words

__all__ = ["ACTIONS", "SIDED_ACTIONS", "make_toy_clip", "make_toy_dataset", "tag_words"]
