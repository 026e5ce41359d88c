# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Arrays as the scores take them."""

from collections.abc import Iterable

import numpy as np
import torch

Array = np.ndarray | torch.Tensor


def as_array(values: Array) -> np.ndarray:
    """An array, a tensor on any device or nested lists as float64; NaN stands for what a masked array hides."""
    values = values.detach().cpu() if isinstance(values, torch.Tensor) else values
    return np.ma.filled(np.ma.asarray(values, np.float64), np.nan)


def check_pairs(first: np.ndarray, second: np.ndarray, first_name: str, second_name: str) -> None:
    """Raise a ValueError unless two arrays have the same shape."""
    if first.shape != second.shape:
        raise ValueError(f"`{first_name}` {first.shape} and `{second_name}` {second.shape} must have the same shape.")


def mean(values: Iterable[float]) -> float:
    """Mean of an iterable of numbers."""
    values = list(values)
    return sum(values) / len(values)
