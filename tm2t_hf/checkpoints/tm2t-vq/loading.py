# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Models and processors loaded whole or not at all: what is missing, damaged or of another type is refused by name.

`check_fits` refuses a processor that does not belong to its model.
"""

import json
from os import PathLike
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import CONFIG_MAPPING, AutoProcessor, PreTrainedConfig, PreTrainedModel
from transformers.utils import GENERATION_CONFIG_NAME, cached_file

from .configuration_base import SPECIAL_IDS
from .files import in_one_line
from .generation_arguments import check_generation_arguments

# The first bytes of the small text file that Git puts in the place of a large one that it has not fetched.
LFS_POINTER = b"version https://git-lfs"
# Arguments of `from_pretrained` that say where on the Hub, or in its cache, a file is.
HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "revision", "token")
# What a folder may hold of a processor; a motion tokenizer has files of its own.
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json", "tokenizer*.json", "motion_tokenizer/*.json")
PLACE = (*HUB_ARGUMENTS, "proxies", "subfolder")  # or in a folder
# A table of word vectors may be larger than the tokenizer by rounding up (`resize_token_embeddings`).
PADDED_TO = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# Where each model was loaded from, besides its name. Not in the model, with which a token would be saved.
_PLACES: WeakKeyDictionary[PreTrainedModel, dict[str, Any]] = WeakKeyDictionary()


class WholeWeightsMixin:
    """Makes `from_pretrained` of a model class refuse a checkpoint that is not whole, or damaged.

    An output layer of its own (`tie_word_embeddings=False`) that the checkpoint does not hold begins as a copy of the
    embedding that it was tied to.
    """

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, output_loading_info: bool = False, **kwargs):
        """`PreTrainedModel.from_pretrained`, for whole checkpoints only.

        Args:
            pretrained_model_name_or_path: a folder or the id of a model on the Hub.
            args: as there.
            output_loading_info: also return the report of the loading, and then refuse no weights.
            kwargs: as there; with `ignore_mismatched_sizes=True` no weights are refused either.

        Raises:
            ValueError: a file of weights is not whole; the checkpoint lacks weights, which would silently be random,
                or holds NaN or infinite ones; its generation_config.json is damaged or another model's.
        """
        name, generation = pretrained_model_name_or_path, {}
        place = {key: kwargs[key] for key in PLACE if key in kwargs}
        if name is not None and kwargs.get("config") is None:
            _check_own_type(cls, name, place)
        if name is not None and cls.can_generate() and kwargs.get("generation_config") is None:
            generation = _read_generation_file(name, place)
        try:
            model, report = super().from_pretrained(name, *args, output_loading_info=True, **kwargs)
        except SafetensorError:
            if Path(name).is_dir():
                _check_weights(Path(name, kwargs.get("subfolder", "")))
            else:
                _check_fetched_weights(str(name), _hub_arguments(kwargs))
            raise
        if generation is None:  # transformers takes one that ends after 20 tokens
            model.generation_config = model.new_generation_config()
        else:
            _check_special_ids(generation, model.config, name)
        _PLACES[model] = place
        if output_loading_info:
            return model, report
        if name is not None and not kwargs.get("ignore_mismatched_sizes"):
            _check_missing(report, name)
            check_finite(model, name)
        return model

    def tie_weights(self, missing_keys: set[str] | None = None, recompute_mapping: bool = True):
        """As in every model; `from_pretrained` calls it with the `missing_keys` of the checkpoint."""
        super().tie_weights(missing_keys, recompute_mapping)
        for target, source in (self._tied_weights_keys or {}).items():
            if missing_keys and target in missing_keys and source not in missing_keys:  # so they are not tied
                self.get_parameter_or_buffer(target).data.copy_(self.get_parameter_or_buffer(source))
                missing_keys.remove(target)


def _check_own_type(model_class: type, name: str | PathLike, place: dict):
    """`_check_type` of a model class of this package, wherever the checkpoint is."""
    try:
        found = PreTrainedConfig.get_config_dict(name, **place)[0].get("model_type")
    except (OSError, AttributeError):
        return  # transformers says what is wrong with it
    if found is not None:
        _check_type(model_class, str(name), found)


def _check_missing(report: dict, name: str | PathLike):
    missing, unknown = (sorted(report[f"{kind}_keys"]) for kind in ("missing", "unexpected"))
    if missing:
        instead = f" and holds unknown ones ({_listed(unknown)})" if unknown else ""
        raise ValueError(
            f"{name} lacks weights of its model ({_listed(missing)}){instead}; they "
            "would silently be random: get the whole file, or the version of this package that it was made with."
        )


def place_of(model: PreTrainedModel) -> dict[str, Any]:
    """The arguments with which other files of a model are found: of the commit that it was loaded from, if any."""
    place = {key: value for key, value in _PLACES.get(model, {}).items() if key != "force_download"}
    commit = getattr(model.config, "_commit_hash", None)
    return place | ({"revision": commit} if commit else {})


def check_finite(model: nn.Module, name: str | PathLike):
    """Refuse a model with NaN or infinite weights.

    Args:
        model: the model.
        name: what it was loaded from, for the error.

    Raises:
        ValueError: naming the weights.
    """
    # A frozen embedding is a buffer; the other buffers are not of a file, or may forbid ids by minus infinity.
    frozen = [(key, buffer) for key, buffer in model.named_buffers() if key.endswith(".weight")]
    weights = [*model.named_parameters(), *frozen]
    bad = [key for key, tensor in weights if not (tensor.is_meta or _is_finite(tensor))]
    if bad:
        raise ValueError(
            f"{name} holds NaN or infinite weights ({_listed(bad)}): its training failed, or the file is damaged; use "
            "another checkpoint."
        )


def _is_finite(tensor: torch.Tensor) -> bool:
    # The sum is finite only if all are, and takes no memory; a large sum of finite ones is looked at again.
    if not tensor.is_floating_point() or tensor.element_size() < 2:  # 8 bits know no sum
        return True
    return bool(torch.isfinite(tensor.sum(dtype=torch.float32))) or bool(torch.isfinite(tensor).all())


def _read_generation_file(name: str | PathLike, place: dict) -> dict | None:
    """The content of generation_config.json, whose damage transformers would pass over; None where there is none."""
    quiet = {f"_raise_exceptions_for_{what}": False for what in ("gated_repo", "missing_entries", "connection_errors")}
    try:
        path = cached_file(str(name), GENERATION_CONFIG_NAME, **place, **quiet)
    except (OSError, ValueError):  # no such model, which loading it says
        path = None
    if path is None:
        return None
    content = _read_json(Path(path))
    try:
        check_generation_arguments(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return content


def _check_special_ids(generation: dict, config: PreTrainedConfig, name: str | PathLike):
    """Refuse the generation config of another model, with which motions or captions would end at another id."""
    for field in SPECIAL_IDS:
        given, own = generation.get(field), getattr(config, field, None)
        if given is not None and given != own and not (isinstance(given, list) and own in given):
            raise ValueError(
                f"{GENERATION_CONFIG_NAME} of {name} has {field}={given}, but the model's configuration has "
                f"{field}={own}; correct the wrong one."
            )


def _read_json(path: Path, name: str = "") -> dict:
    """The JSON object in a file, which errors call by `name` or by its path; another content is refused."""
    name, content = name or str(path), path.read_bytes()
    if content.startswith(LFS_POINTER):
        raise ValueError(f"{name} is a pointer of Git LFS, not JSON; fetch the file with `git lfs pull`.")
    try:
        content = json.loads(content.decode("utf-8"))
    except ValueError as error:  # of JSON or of UTF-8
        raise ValueError(f"{name} is not JSON ({in_one_line(error)}); get the file again.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{name} is not a JSON object but a {type(content).__name__}; get the file again.")
    return content


class WholeProcessorMixin:
    """Makes `from_pretrained` of a processor class say which of its files is missing or damaged."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, **kwargs):
        """As in the base class.

        Raises:
            FileNotFoundError: a file that the processor needs is missing.
            ValueError: one of them is damaged.
        """
        try:
            return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        except Exception as error:  # damaged files of tokenizers can lead to anything
            place = {key: kwargs[key] for key in PLACE if key in kwargs}
            _check_processor_files(cls, str(pretrained_model_name_or_path), place)
            if isinstance(error, (AttributeError, LookupError)):
                reason = f"{type(error).__name__}: {in_one_line(error)}"
                raise ValueError(
                    f"The processor of {pretrained_model_name_or_path} could not be loaded ({reason}): "
                    f"{', '.join(_needed_by(cls))} do not belong together, or to this version; get the whole folder."
                ) from error
            raise


def _needed_by(processor_class: type) -> list[str]:
    """Files of a processor, in its folder."""
    tokenizer = ["tokenizer.json", "tokenizer_config.json"]
    files = ["processor_config.json", *tokenizer]
    if "motion_tokenizer" in processor_class.get_attributes():
        files += [f"motion_tokenizer/{file}" for file in tokenizer]
    return files


def _check_processor_files(processor_class: type, name: str, place: dict) -> None:
    """Refuse a processor, in a folder or on the Hub, of which a file is missing or damaged."""
    try:
        found = {file: _fetched(name, file, place) for file in _needed_by(processor_class)}
    except (OSError, ValueError):  # no such model, or not within reach, and the caller knows it
        return
    if not any(found.values()):
        return  # there is no processor at all
    for file, path in found.items():
        if path is not None:
            _read_json(path, f"{name}/{file}")
    if missing := [file for file, path in found.items() if path is None]:
        raise FileNotFoundError(_why_incomplete(name, missing))


def _fetched(name: str, file: str, place: dict) -> Path | None:
    """A file of a folder or of the Hub; None if there is none. Raises an OSError where the Hub cannot say that."""
    if Path(name).is_dir():
        path = Path(name, place.get("subfolder") or "", file)
        return path if path.is_file() else None
    try:
        return Path(hf_hub_download(name, file, **{key: place[key] for key in place if key != "proxies"}))
    except LocalEntryNotFoundError:
        raise
    except EntryNotFoundError:
        return None


def _why_incomplete(name: str, missing: list[str]) -> str:
    return (
        f"{name} has no {', '.join(missing)}, which its processor needs; get the whole folder, or write it there with "
        "processor.save_pretrained."
    )


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
    except (OSError, SafetensorError, RuntimeError, TypeError) as error:
        if not Path(name).is_dir():
            _check_fetched_weights(name, _hub_arguments(kwargs))
        raise ValueError(f"{name} could not be loaded: {in_one_line(error.__cause__ or error)}") from error


def load_processor(processor_class: type, name: str | PathLike, **kwargs) -> Any:
    """Load a processor, tokenizer or feature extractor, and say in one sentence what its folder lacks.

    Raises:
        FileNotFoundError: there is no such folder or Hub id, or one of its files is missing.
        ValueError: its files are damaged. Each names the folder.
    """
    name = str(name)
    config = _read_config(name, _hub_arguments(kwargs))
    if Path(name).is_dir() and "Processor" in processor_class.__name__:
        needed = ["processor_config.json", "tokenizer.json", "tokenizer_config.json", "motion_tokenizer"]
        if config.get("model_type") == "tm2t-matcher":  # which reads and writes no tokens
            needed.remove("motion_tokenizer")
        if config.get("model_type") == "tm2t-vq" and processor_class is AutoProcessor:  # its feature extractor
            needed = ["preprocessor_config.json"]
        if missing := [file for file in needed if not (Path(name) / file).exists()]:
            raise FileNotFoundError(_why_incomplete(name, missing))
    for file in PROCESSOR_FILES:
        for path in Path(name).glob(file):
            _read_json(path)
    try:
        return processor_class.from_pretrained(name, **kwargs)
    except (OSError, TypeError, KeyError, ValueError, ImportError) as error:
        raise ValueError(f"The processor of {name} could not be loaded: {in_one_line(error)}") from error


def check_fits(model: PreTrainedModel, processor: Any):
    """Refuse a processor, or a feature extractor alone, that reads or writes something else than the model.

    Frame rates are compared only if the model states its own, which older motion VQs do not.

    Args:
        model: any model of this package.
        processor: what stands between people and the model.

    Raises:
        ValueError: naming both values of the first contradiction.
    """
    config = model.config
    values = []  # what, the processor's, the model's
    extractor = getattr(processor, "feature_extractor", processor)
    motion = getattr(config, "vq_config", config)  # the motion VQ itself and the matcher read motion too
    for name in ("feature_size", "unit_length", "fps"):
        values.append((f"feature extractor has {name}", getattr(extractor, name), getattr(motion, name, None)))
    if (tokenizer := getattr(processor, "motion_tokenizer", None)) is not None:
        values.append(("motion tokenizer has codebook_size", tokenizer.codebook_size, config.codebook_size))
    if (tokenizer := getattr(processor, "tokenizer", None)) is not None:
        rows, ids = _text_vocabulary(config)
        rounded = {-(-len(tokenizer) // multiple) * multiple for multiple in PADDED_TO}
        values.append(("text tokenizer has vocabulary size", len(tokenizer), None if rows in rounded else rows))
        values += [(f"text tokenizer has {name}", getattr(tokenizer, name), index) for name, index in ids.items()]
    for what, own, of_model in values:
        if of_model is not None and own != of_model:
            raise ValueError(
                f"The processor does not fit the model: its {what} {own}, but the model has {of_model}; use the "
                "processor that was saved with the model."
            )


def _text_vocabulary(config: PreTrainedConfig) -> tuple[int | None, dict[str, int]]:
    """Size of a model's text vocabulary, None if it has none, and the special ids that it knows of it."""
    if not hasattr(config, "text_vocab_size"):
        ids = {name: getattr(config, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
        return config.vocab_size, {name: index for name, index in ids.items() if isinstance(index, int)}
    # of models whose `vocab_size` is that of motion
    return config.text_vocab_size, {} if config.text_vocab_size is None else {"pad_token_id": config.text_pad_id}


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
    else:
        return _read_json(Path(name) / "config.json")
    try:
        path = _fetched(name, "config.json", hub_arguments)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(_why_not_on_the_hub(name, hub_arguments, error)) from error
    if path is None:
        raise FileNotFoundError(f"There is no model in {name}: the repository has no config.json.")
    return _read_json(path, f"{name}/config.json")


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
        if found is None:
            raise ValueError(f"{name}/config.json names no model_type, as that of every model does; get it again.")
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
        raise ValueError(str(error).replace(folder, name, 1)) from error


def _check_weights(folder: Path):
    """Refuse a folder without weights, and files of weights that are missing or not whole."""
    files = sorted(folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            files = sorted(
                {folder / name for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}
            )
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
                f"{path} is not a whole safetensors file ({in_one_line(error)}); get it again."
            ) from error


def _listed(names: list[str], most: int = 4) -> str:
    further = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + further


__all__ = [
    "WholeProcessorMixin",
    "WholeWeightsMixin",
    "check_finite",
    "check_fits",
    "load_processor",
    "load_whole",
    "model_folder",
    "place_of",
]
