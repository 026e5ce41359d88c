# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""How the arguments of a training script are read: defaults, then a JSON file, then flags."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import Field, fields
from typing import Any, Literal, get_args, get_origin

from transformers import HfArgumentParser

from ..files import read_text
from .arguments import EXAMPLE, SECTIONS, check_model_config, unknown_name


def parse_arguments(arguments_class: type, section: str, args: Sequence[str] | None = None):
    """Command line to a dataclass: `script.py [config.json] [--flag value ...]`, flags winning over the file.

    The JSON file holds values that all scripts share, and one object per script, e.g.
    `{"seed": 1, "vq": {"epochs": 50, "model_config": {"hidden_size": 192}}, "m2t": {...}}`. Its values become the
    defaults of the parser; `--model_config` replaces the file's as a whole. The objects of other
    scripts are checked as well, so that a run of hours does not come before the next script refuses the file.

    Args:
        arguments_class: a subclass of `LoopArguments`.
        section: the script's object in the file, one of `SECTIONS`.
        args: the command line after the script's name; that of this process by default.

    Raises:
        FileNotFoundError: there is no such JSON file.
        ValueError: an unknown flag, key or section, a value of the wrong type, or a missing required one.
        SystemExit: after `--help`.
    """
    args = list(sys.argv[1:] if args is None else args)
    parser = _Parser(arguments_class, description=arguments_class.__doc__, allow_abbrev=False)
    if args and args[0].endswith(".json"):
        parser.set_defaults_from(_values_of(args.pop(0), arguments_class, section))
    arguments, unknown = parser.parse_args_into_dataclasses(args, return_remaining_strings=True)
    if unknown:
        raise ValueError(unknown_name("argument", unknown[0].split("=")[0], parser._option_string_actions))
    return arguments


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """One spelling per argument, the type for its value, and no default where it is empty."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=34, width=119)

    def _format_action_invocation(self, action):
        if not action.option_strings:
            return super()._format_action_invocation(action)
        return " ".join([action.option_strings[0], self._format_value(action)]).strip()

    def _format_value(self, action) -> str:
        if action.choices:
            return "{" + ",".join(map(str, action.choices)) + "}"
        return "" if action.nargs == 0 else getattr(action.type, "__name__", "").removeprefix("string_to_").upper()

    def _format_usage(self, usage, actions, groups, prefix):
        return f"usage: {self._prog} [config.json] [--flag value ...]\n\n"

    def _get_help_string(self, action):
        return action.help if action.default in ("", None, {}) or action.required else super()._get_help_string(action)


class _Parser(HfArgumentParser):
    """Errors are raised rather than printed with the usage; a dict is given as JSON."""

    def __init__(self, arguments_class: type, **kwargs):
        super().__init__(arguments_class, formatter_class=_HelpFormatter, **kwargs)
        self.register("type", dict, _json_object)

    def error(self, message: str):
        raise ValueError(message)

    def set_defaults_from(self, values: dict) -> None:
        self.set_defaults(**values)
        for action in self._actions:
            if action.dest in values:
                action.required = False


def _values_of(path: str, arguments_class: type, section: str) -> dict:
    """The values that a JSON file gives to one script, by field, checked against the fields' types."""
    content = _parse_json(read_text(path), path)
    keys = _by_key(arguments_class)
    shared, own = {}, {}
    for key, value in content.items():
        if key not in SECTIONS or (key in keys and not isinstance(value, dict)):
            shared |= _checked_values({key: value}, arguments_class, path, further=SECTIONS)
        elif not isinstance(value, dict):
            raise ValueError(f"{key} in {path} must be an object with the values of one script; got {value!r}.")
        elif key == section:
            own = _checked_values(value, arguments_class, f"{key} of {path}")
        else:
            others = _checked_values(value, SECTIONS[key], f"{key} of {path}")
            where = f"model_config in {key} of {path}"
            check_model_config(SECTIONS[key], SECTIONS[key].config_classes, others.get("model_config", {}), where)
    return shared | own


def _checked_values(values: dict, arguments_class: type, where: str, further: Iterable[str] = ()) -> dict:
    """Values by field, in the fields' types; `further` are keys that might have been meant as well."""
    keys = _by_key(arguments_class)
    for key in values:
        if key not in keys:
            raise ValueError(unknown_name("key", key, (*keys, *further), where))
    return {keys[key].name: _checked(value, keys[key], f"{key} in {where}") for key, value in values.items()}


def _by_key(arguments_class: type) -> dict[str, Field]:
    """The fields of a dataclass by the keys that a JSON file may use for them: names and aliases."""
    keys = {each.name: each for each in fields(arguments_class)}
    for each in list(keys.values()):
        keys |= {alias.removeprefix("--"): each for alias in each.metadata.get("aliases", ())}
    return keys


def _checked(value: Any, of: Field, where: str) -> Any:
    """A value of a JSON file, in the type of its field."""
    wanted, origin = of.type, get_origin(of.type)
    if origin is Literal:
        if value in get_args(wanted):
            return value
        raise ValueError(f"{where} must be one of {', '.join(map(str, get_args(wanted)))}; got {value!r}.")
    if origin is list:
        (item,) = get_args(wanted)
        if isinstance(value, list) and value:
            return [_checked_as(each, item, where) for each in value]
        raise ValueError(f"{where} must be a list of {item.__name__} values; got {value!r}.")
    if wanted is str and isinstance(value, bool) and "nargs" in of.metadata:
        return str(value)
    return _checked_as(value, wanted, where)


def _checked_as(value: Any, wanted: type, where: str) -> Any:
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ValueError(f"{where} must be of type {wanted.__name__}; got {value!r}.")
    return value


def _json_object(text: str) -> dict:
    try:
        return _parse_json(text, "the value")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parse_json(text: str, source: str) -> dict:
    try:
        value = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, source))
    except json.JSONDecodeError as error:
        raise ValueError(f"{source} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise ValueError(f"{source} must be a JSON object, such as {EXAMPLE}; got {text.strip()[:60]}.")
    return value


def _unique(pairs: list[tuple[str, Any]], source: str) -> dict:
    """A JSON object, of which Python would take the last of two values of a key."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{source} gives {next(key for key in keys if keys.count(key) > 1)} twice; leave one out.")
    return values


__all__ = ["parse_arguments"]
