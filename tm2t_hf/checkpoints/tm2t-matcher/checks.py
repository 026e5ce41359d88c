# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Checks of single arguments, whatever they are for."""

from numbers import Integral


def check_switch(name: str, value: bool | None):
    """Refuse the value of the argument `name` unless it is True, False or None.

    Raises:
        ValueError: for anything else; most of it would count as True.
    """
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} must be True or False.")


def check_count(name: str, value: int | None, least: int = 1):
    """Refuse the value of the argument `name` unless it is a whole number of at least `least`, or None.

    Raises:
        ValueError: for anything else.
    """
    if value is not None and (not isinstance(value, Integral) or isinstance(value, bool) or value < least):
        raise ValueError(f"{name}={value!r} must be a whole number of at least {least}.")


__all__ = ["check_count", "check_switch"]
