# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the configurations share: overrides that reach every field, fields that follow from others, a text encoder."""

import dataclasses
from collections.abc import Callable
from typing import Literal

from transformers import CONFIG_MAPPING, PreTrainedConfig


class OverridesFirstMixin:
    """A configuration whose saved values are overridden before it is built.

    `from_pretrained(folder, name=value)` of the base class assigns overrides to a finished configuration, so whatever
    was derived from the old values would stay, and nothing would check the new combination.

    Attributes:
        derived_fields: names that follow from other fields; a saved value of theirs is not read.
    """

    derived_fields: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, config_dict: dict, **kwargs):
        """Build a configuration from a dictionary, `kwargs` that are fields taking precedence."""
        fields = {field.name for field in dataclasses.fields(cls)} | set(cls.attribute_map)
        fields -= {"dtype", "output_attentions"}  # have rules of their own in the base class
        overrides = {cls.attribute_map.get(name, name): kwargs.pop(name) for name in fields & set(kwargs)}
        saved = {name: value for name, value in config_dict.items() if name not in cls.derived_fields}
        return super().from_dict(cls.merged(saved, overrides), **kwargs)

    @classmethod
    def merged(cls, saved: dict, overrides: dict) -> dict:
        """The arguments of a configuration: `saved` ones, replaced by `overrides`."""
        return saved | overrides


def derived_field(name: str, source: str, value: Callable) -> property:
    """A field that follows from another one, and refuses to be anything else.

    Args:
        name: of the field.
        source: what it follows from, for the error.
        value: the configuration -> the field's value.
    """

    def get(self):
        return value(self)

    def refuse_others(self, given):
        if given is not None and given != value(self):
            raise ValueError(
                f"{name} of a {self.model_type} configuration follows from {source} and is {value(self)}, not {given}"
            )

    return property(get, refuse_others, doc=f"Follows from {source}.")


class TextEncoderInsideMixin:
    """A configuration with a `text_encoder_config`, or None, whose text ids are then those of that encoder."""

    text_encoder_config: PreTrainedConfig | None
    freeze_text_encoder: bool
    frozen_storage_dtype: Literal["float32", "float16"]

    def __setattr__(self, name, value):
        if name == "text_encoder_config" and isinstance(value, dict):
            model_type = value.get("model_type", "bert")
            if model_type not in CONFIG_MAPPING:
                raise ValueError(f"`text_encoder_config` is of the type {model_type!r}, which transformers lacks.")
            value = CONFIG_MAPPING[model_type](**value)
        super().__setattr__(name, value)

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.text_encoder_config is not None:
            self.text_vocab_size = self.text_encoder_config.vocab_size
            self.text_pad_id = self.text_encoder_config.pad_token_id or 0


__all__ = ["OverridesFirstMixin", "TextEncoderInsideMixin", "derived_field"]
