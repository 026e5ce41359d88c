# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the configurations share: overrides that reach every field, derived fields, a text encoder, remote code."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from transformers import CONFIG_MAPPING, PreTrainedConfig

from .auto_classes import IS_PACKAGE, entries_for_remote_code

# Of a translation model's target vocabulary, under the names that generate() looks for.
SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
REMOTE_CODE_ENTRIES = ("auto_map", "custom_pipelines")


class CarriesCodeMixin:
    """A configuration that is saved with the code of its model, for processes where tm2t_hf is not installed.

    In the package itself, the entries about that code are written but never held: whatever reads them would ask the
    user to trust, and then run, the copy in the checkpoint.
    """

    _auto_class = "AutoConfig"  # save_pretrained copies this module, and what it imports, next to config.json

    def __setattr__(self, name: str, value: Any):
        if not (IS_PACKAGE and name in REMOTE_CODE_ENTRIES):
            super().__setattr__(name, value)

    def to_dict(self) -> dict[str, Any]:
        """As in the base class, with the entries about remote code, and without any about configurations inside."""
        output = super().to_dict()
        for name in self.sub_configs:
            for entry in (*REMOTE_CODE_ENTRIES, "_name_or_path"):  # of the machine it was made on
                (output.get(name) or {}).pop(entry, None)
        if IS_PACKAGE:
            return output | entries_for_remote_code(self.model_type)
        for pipeline in output.get("custom_pipelines", {}).values():  # pipeline() puts classes in the place of names
            pipeline["pt"] = [getattr(model, "__name__", model) for model in pipeline["pt"]]
        return output


class OverridesFirstMixin(CarriesCodeMixin):
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


__all__ = ["SPECIAL_IDS", "CarriesCodeMixin", "OverridesFirstMixin", "TextEncoderInsideMixin", "derived_field"]
