# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Which column of a row counts, and what holds several values."""

import numpy as np
import pandas as pd
import pytest
import torch

from tm2t_hf.containers import items_of, unwrap_row


def test_the_first_column_that_is_there_counts():
    assert unwrap_row({"joints": 1, "motion": 2}, ("motion", "joints"), "motion") == 2
    assert unwrap_row({"joints": 1}, ("motion", "joints"), "motion") == 1
    assert unwrap_row({"text": "a person"}, "text", "text") == "a person"
    assert unwrap_row(pd.DataFrame({"joints": [1, 2]}), ("motion", "joints"), "motion").tolist() == [1, 2]
    assert unwrap_row([3], ("motion", "joints"), "motion") == [3]


def test_a_row_without_any_of_them_is_named():
    with pytest.raises(ValueError, match=r"clip\[1\] is a dict that holds 'a', 'b', but no 'motion' or 'joints'"):
        unwrap_row({"a": 1, "b": 2}, ("motion", "joints"), "clip[1]")
    with pytest.raises(ValueError, match="text is a dict that holds nothing, but no 'text'; pass that"):
        unwrap_row({}, "text", "text")


def test_arrays_without_axes_stand_for_their_value():
    for value in ("a person bows", {"text": "a person bows"}):
        array = np.array(value)
        assert array.ndim == 0 and items_of(array) is None
        assert unwrap_row(array, "text", "text") == "a person bows"
    assert items_of(torch.tensor(3.0)) is None
    assert unwrap_row(np.str_("a person"), "text", "text") == "a person"
