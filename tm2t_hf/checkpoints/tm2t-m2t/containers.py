# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What holds several captions or motions: rows, tables, columns, streams."""

from collections.abc import Iterable, Mapping, Sized
from typing import Any


def is_row(value: Any) -> bool:
    """Whether `value` has named columns: a mapping, or a data frame."""
    return isinstance(value, Mapping) or hasattr(value, "columns")


def unwrap_row(value: Any, columns: str | tuple[str, ...], argument: str) -> Any:
    """`value[column]` of a row or data frame, the value in an array without axes; every other value as it is.

    Args:
        value: anything.
        columns: the column, or several in the order of preference: the first that is there counts.
        argument: the name of `value`, for the error.

    Raises:
        ValueError: for a row without any of these columns; names `argument` and the columns that there are.
    """
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # np.array("a person bows")
        value = value.item()
    if not is_row(value):
        return value
    columns = (columns,) if isinstance(columns, str) else columns
    for column in columns:
        if column in value:
            return value[column]
    held = ", ".join(repr(name) for name in value) or "nothing"
    missing = " or ".join(map(repr, columns))
    raise ValueError(f"{argument} is a {type(value).__name__} that holds {held}, but no {missing}; pass that.")


def is_stream(value: Any) -> bool:
    """Whether `value` can be read only one item after the other, as a generator or a streamed data set."""
    return isinstance(value, Iterable) and not isinstance(value, Sized)


def items_of(value: Any) -> list | None:
    """What a container holds, in order; None if `value` is none (texts, bytes and mappings are none)."""
    if isinstance(value, (str, bytes, Mapping)) or getattr(value, "ndim", None) == 0:
        return None
    if isinstance(value, Iterable):
        return list(value)
    if isinstance(value, Sized) and hasattr(value, "__getitem__"):  # as data sets of torch
        return [value[index] for index in range(len(value))]
    return None


__all__ = ["is_row", "is_stream", "items_of", "unwrap_row"]
