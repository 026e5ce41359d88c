# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Dropout that does not wait for random numbers.

On a CPU, torch takes a random number of 64 bits for every value, one after the other: a tenth of a training step of
motion to text. Here one such number decides on four values.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .packed_weights import is_traced

LANES, LEVELS = 4, 2**16  # values per random number, and how finely a share is divided


def dropout(values: Tensor, share: float) -> Tensor:
    """Set a share of the values to zero, each independently, and scale the others such that their mean stays.

    The random numbers are those of torch's generator. On a CPU, in eager mode, the share is rounded to a multiple of
    1 / 65536; elsewhere, and for values in float64, it is torch's dropout.

    Args:
        values: of any shape.
        share: from 0 to 1.
    """
    dropped = round(share * LEVELS)
    in_torch = values.device.type != "cpu" or is_traced() or values.dtype == torch.float64
    if in_torch or not 0 < dropped < LEVELS:
        return F.dropout(values, share)
    return values * _factors(values, dropped)


def _factors(values: Tensor, dropped: int) -> Tensor:
    """What each value is multiplied by: 0 in `dropped` of 65536 cases, else what keeps the mean."""
    words = torch.randint(-(2**63), 2**63 - 1, (-(-values.numel() // LANES),), dtype=torch.int64, device="cpu")
    lanes = words.view(torch.int16)[: values.numel()].view(values.shape)
    kept = torch.ge(lanes, dropped - LEVELS // 2, out=torch.empty_like(values, requires_grad=False))
    return kept.mul_(LEVELS / (LEVELS - dropped))


__all__ = ["dropout"]
