# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Models and processors loaded whole or not at all: what is missing, damaged or of another type is refused by name."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import validate_repo_id
from safetensors import SafetensorError, safe_open
from transformers import CONFIG_MAPPING, PreTrainedConfig, PreTrainedModel

from .files import read_text

# The first bytes of the small text file that Git puts in the place of a large one that it has not fetched.
LFS_POINTER = b"version https://git-lfs"
# Arguments of `from_pretrained` that say where on the Hub, or in its cache, a file is.
HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "revision", "token")


class WholeWeightsMixin:
    """Makes `from_pretrained` of a model class refuse a checkpoint that lacks some of the model's weights."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, output_loading_info: bool = False, **kwargs):
        """`PreTrainedModel.from_pretrained`, for whole checkpoints only.

        Args:
            pretrained_model_name_or_path: a folder or the id of a model on the Hub.
            args: as there.
            output_loading_info: also return the report of the loading, and then refuse nothing.
            kwargs: as there; with `ignore_mismatched_sizes=True` nothing is refused either.

        Raises:
            ValueError: the checkpoint lacks weights, which would silently be random.
        """
        model, report = super().from_pretrained(
            pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs
        )
        if output_loading_info:
            return model, report
        missing = sorted(report["missing_keys"])
        if missing and pretrained_model_name_or_path is not None and not kwargs.get("ignore_mismatched_sizes"):
            unknown = sorted(report["unexpected_keys"])
            instead = f" and holds unknown ones ({_listed(unknown)})" if unknown else ""
            raise ValueError(
                f"{pretrained_model_name_or_path} lacks weights of its model ({_listed(missing)}){instead}; they "
                "would silently be random: get the whole file, or the version of this package that it was made with."
            )
        return model


def model_folder(name: str | PathLike, **hub_arguments) -> Path:
    """The folder of a model, which is fetched if `name` is an id on the Hub.

    Args:
        name: a folder, or the id of a model on the Hub.
        hub_arguments: as in `from_pretrained`: `revision`, `token`, `cache_dir`, ...

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: its config.json is damaged.
    """
    name = str(name)
    _read_config(name, hub_arguments)
    return Path(name) if Path(name).is_dir() else Path(snapshot_download(name, **hub_arguments))


def load_whole(model_class: type, name: str | PathLike, **kwargs) -> PreTrainedModel:
    """Load a pretrained model, and say in one sentence what is wrong with its name or its folder.

    Args:
        model_class: a model class of this package, or an Auto class that knows its models.
        name: a folder, or the id of a model on the Hub.
        kwargs: passed on to `from_pretrained`: fields of the configuration to change, `dtype`, `device_map`,
            `revision`, `token`, ...

    Raises:
        FileNotFoundError: there is no such model, or its folder lacks a file.
        ValueError: a model of another type, a damaged file, or weights that are missing or have another shape. Each is
            one sentence that names the model.
    """
    name = str(name)
    config = _read_config(name, _hub_arguments(kwargs))
    _check_type(model_class, name, config.get("model_type"))
    if Path(name).is_dir():
        _check_weights(Path(name))
    try:
        return model_class.from_pretrained(name, **kwargs)
    except Exception as error:  # damaged files and broken connections raise anything
        if isinstance(error, ValueError) and str(error).startswith(name):
            raise
        if not Path(name).is_dir():
            _check_fetched_weights(name, _hub_arguments(kwargs))
        raise ValueError(f"{name} could not be loaded: {_first_line(error.__cause__ or error)}") from error


def load_processor(processor_class: type, name: str | PathLike, **kwargs) -> Any:
    """Load a processor, tokenizer or feature extractor, and say in one sentence what its folder lacks.

    Raises:
        FileNotFoundError: there is no such folder or Hub id, or one of its files is missing.
        ValueError: its files are damaged. Each names the folder.
    """
    name = str(name)
    _read_config(name, _hub_arguments(kwargs))
    if Path(name).is_dir() and "Processor" in processor_class.__name__:
        for file in ("processor_config.json", "tokenizer.json"):
            if not (Path(name) / file).is_file():
                raise FileNotFoundError(f"{name} has no {file}, which its processor needs; get the whole folder.")
    try:
        return processor_class.from_pretrained(name, **kwargs)
    except (OSError, TypeError, KeyError, ValueError, ImportError) as error:
        raise ValueError(f"The processor of {name} could not be loaded: {_first_line(error)}") from error


def _hub_arguments(kwargs: dict) -> dict:
    return {argument: kwargs[argument] for argument in HUB_ARGUMENTS if argument in kwargs}


def _read_config(name: str, hub_arguments: dict) -> dict:
    if not Path(name).is_dir():
        try:
            validate_repo_id(name)
        except HFValidationError:
            raise FileNotFoundError(f"There is no folder {name}.") from None
    elif not (Path(name) / "config.json").is_file():
        raise FileNotFoundError(f"There is no model in {name}: the folder has no config.json.")
    try:
        config = PreTrainedConfig.get_config_dict(name, **hub_arguments)[0]
        if not isinstance(config, dict):
            raise OSError("it holds no JSON object")
        return config
    except (OSError, AttributeError, TypeError) as error:
        if Path(name).is_dir():
            raise ValueError(f"{Path(name) / 'config.json'} is not the JSON of a configuration.") from error
        raise FileNotFoundError(_why_not_on_the_hub(name, hub_arguments, error)) from error


def _why_not_on_the_hub(name: str, hub_arguments: dict, error: BaseException) -> str:
    """One sentence about a model of the Hub whose config.json could not be read."""
    causes = [error]
    while causes[-1] is not None:
        causes.append(causes[-1].__cause__ or causes[-1].__context__)
    if any(isinstance(cause, RevisionNotFoundError) for cause in causes):
        return f"There is no revision {hub_arguments.get('revision')} of the model {name} on the Hub."
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return (
            f"There is no model {name}: it is neither a folder with a config.json nor a model of the Hub; if it is "
            "private there, log in with `hf auth login`, or pass token=."
        )
    return f"There is no model {name}: it is neither a folder with a config.json nor a model of the Hub within reach."


def _check_type(model_class: type, name: str, found: str | None):
    if getattr(model_class, "config_class", None) is not None:
        needed = [model_class.config_class.model_type]
        fits = found in needed
    else:  # an Auto class; types that are not known here bring their own code
        mapping = model_class._model_mapping
        needed = [config.model_type for config in mapping._extra_content if config.model_type.startswith("tm2t-")]
        fits = found is not None and (found not in CONFIG_MAPPING or CONFIG_MAPPING[found] in mapping)
    if not fits:
        raise ValueError(
            f"{name} is a model of type {found}, but one of type {' or '.join(needed)} is needed in its place."
        )


def _check_fetched_weights(name: str, hub_arguments: dict):
    """Refuse weights in the cache of the Hub that are not whole, as the repository `name` has them."""
    try:
        folder = snapshot_download(name, **hub_arguments | {"local_files_only": True, "force_download": False})
        _check_weights(Path(folder))
    except OSError:
        return  # they have not been fetched, and the caller knows why
    except ValueError as error:
        raise ValueError(f"{name} cannot be loaded: {str(error).replace(folder, 'its', 1)}") from error


def _check_weights(folder: Path):
    """Refuse a folder without weights, and files of weights that are missing or not whole."""
    files = sorted(folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            files = sorted({folder / name for name in json.loads(read_text(index))["weight_map"].values()})
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ValueError(f"{index} is not the index of sharded weights; get it again.") from error
    if not files:
        raise FileNotFoundError(f"{folder} has no model.safetensors; get the whole folder.")
    for path in files:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing, which {index.name} names; get the whole folder.")
        try:
            with open(path, "rb") as file:
                is_pointer = file.read(len(LFS_POINTER)) == LFS_POINTER
            if is_pointer:
                raise ValueError(f"{path} is a pointer of Git LFS, not the weights; fetch them with `git lfs pull`.")
            with safe_open(path, "pt"):
                pass  # the header is checked against the length of the file
        except (OSError, SafetensorError) as error:
            raise ValueError(
                f"{path} is not a whole safetensors file ({_first_line(error)}); get it again."
            ) from error


def _listed(names: list[str], most: int = 4) -> str:
    further = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + further


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


__all__ = ["WholeWeightsMixin", "load_processor", "load_whole", "model_folder"]
