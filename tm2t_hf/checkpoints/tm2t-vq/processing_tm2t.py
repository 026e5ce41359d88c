# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The processor of the translation models: captions and motions in, captions and joints out."""

from typing import TypedDict

import numpy as np
from huggingface_hub.dataclasses import validate_typed_dict
from transformers import BatchFeature, ProcessorMixin
from transformers.processing_utils import ProcessingKwargs, Unpack
from transformers.utils import PaddingStrategy, TensorType

from .checks import check_count
from .feature_extraction_motion import check_fps, check_unit
from .loading import WholeProcessorMixin
from .tokenization_motion import MotionTokenizer
from .tokenization_text import check_captions

# What transformers keeps of the way that a tokenizer was loaded, and would save with it.
LOADING_ARGUMENTS = ("is_local", "local_files_only", "dtype", "trust_remote_code")


class CaptionKwargs(TypedDict, total=False):
    """Arguments for captions, as in every tokenizer; lengths are in text tokens.

    Attributes:
        add_special_tokens: False leaves `<bos>` and `<eos>` out of `input_ids`; `labels` always need them.
        padding: True (the default) pads to the longest caption.
        truncation: True cuts captions to `max_length`.
        max_length: longest caption.
        pad_to_multiple_of: the padded length is a multiple of it.
        return_special_tokens_mask: return it too.
        return_offsets_mapping: return it too.
        return_length: return it too.
        return_tensors: `"pt"` or `"np"`; lists if left out.
    """

    add_special_tokens: bool | None
    padding: bool | str | PaddingStrategy | None
    truncation: bool | str | None
    max_length: int | None
    pad_to_multiple_of: int | None
    return_special_tokens_mask: bool | None
    return_offsets_mapping: bool | None
    return_length: bool | None
    return_tensors: str | TensorType | None


class MotionKwargs(TypedDict, total=False):
    """Arguments for motions, see `MotionFeatureExtractor.__call__`. Motions are never cut.

    Attributes:
        fps: frames per second of the motions if other than the model's.
        unit: unit of joints: `"m"`, `"cm"` or `"mm"`; found from the height of the body if left out.
        padding: True (the default) pads to the longest motion.
        pad_to_multiple_of: the padded number of frames is a multiple of it.
        return_tensors: `"pt"` or `"np"`; lists or arrays if left out.
    """

    fps: float | int | np.number | None
    unit: str | None
    padding: bool | str | PaddingStrategy | None
    pad_to_multiple_of: int | None
    return_tensors: str | TensorType | None


class TM2TProcessorKwargs(ProcessingKwargs, total=False):
    """Arguments of a call: each by itself, or in `text_kwargs` and `motion_kwargs` for one side only."""

    text_kwargs: CaptionKwargs
    audio_kwargs: MotionKwargs  # as transformers calls the arguments of a feature extractor; `motion_kwargs` in a call


class CaptionMotionProcessor(WholeProcessorMixin, ProcessorMixin):
    """What all processors of captions and motions share; subclasses say which parts they have."""

    valid_processor_kwargs = TM2TProcessorKwargs
    _auto_class = "AutoProcessor"  # saved with its code, see auto_classes.py
    text_kwargs = {"padding": True}  # the default; that of motions is the feature extractor's

    def __call__(
        self, text=None, motion=None, text_target=None, **kwargs: Unpack[TM2TProcessorKwargs]
    ) -> BatchFeature:
        """Prepare captions and motions for a model.

        Args:
            text: one caption or several, see `list_captions`.
            motion: one motion or several, see `MotionFeatureExtractor.__call__`.
            text_target: the captions to learn, one or several. `labels` are what the decoder has to predict: the
                caption after `<bos>`, with its `<eos>`, padded on the right with -100.
            kwargs: arguments of `CaptionKwargs` and `MotionKwargs`, such as `return_tensors="pt"` or `fps=30`; those
                that both have apply to captions and motions alike. `text_kwargs={...}` and `motion_kwargs={...}` are
                for one side. `padding="max_length"` concerns captions; motions are padded to the longest.

        Returns:
            See the table of `TM2TProcessor`.

        Raises:
            ValueError: if there is nothing to process, for captions that are empty or not strings, for captions and
                motions of unequal number, for motions that do not fit, for a frame rate or unit that is none, for
                a `padding_side`, and for an argument of captions or motions where there are none.
            TypeError: for an unknown argument.
            StrictDataclassFieldValidationError: for an argument of the wrong type.
        """
        if text is None and motion is None:
            raise ValueError("there is nothing to process; pass text=, motion= or both.")
        if text is not None and text_target is not None:
            raise ValueError("text= and text_target= are both given; a model reads the one and learns the other.")
        text_kwargs, motion_kwargs, return_tensors = self._arguments(kwargs)
        if text is None and text_target is None:
            _refuse_unused(kwargs, CaptionKwargs, MotionKwargs, "captions")
        if motion is None:
            _refuse_unused(kwargs, MotionKwargs, CaptionKwargs, "motions")
        if text_target is not None and text_kwargs.get("add_special_tokens") is False:
            raise ValueError("add_special_tokens=False leaves no <eos> for the labels to end with; leave it out.")

        data, counts = {}, {}
        if text is not None:
            data = self._tokenize(check_captions(text), **text_kwargs)
            counts["text"] = len(data["input_ids"])
        if motion is not None:
            motions = self.feature_extractor(motion, **motion_kwargs)
            data["motion_values"] = motions["motion_values"]
            data["attention_mask" if text is None else "motion_attention_mask"] = motions["attention_mask"]
            counts["motion"] = len(motions["motion_values"])
        if text_target is not None:
            target = self._tokenize(check_captions(text_target, "text_target"), **text_kwargs)
            data["labels"] = [
                [index if real else -100 for index, real in zip(ids[1:], mask[1:], strict=True)]
                for ids, mask in zip(target["input_ids"], target["attention_mask"], strict=True)
            ]
            counts["text_target"] = len(data["labels"])
        if len(set(counts.values())) > 1:
            numbers = " and ".join(f"{count} in {name}=" for name, count in counts.items())
            raise ValueError(f"the numbers of captions and motions differ: {numbers}; pass one of each for a pair.")
        return BatchFeature(data, tensor_type=return_tensors)

    def _arguments(self, given: dict) -> tuple[dict, dict, str | TensorType | None]:
        """Arguments of a call -> those of the tokenizer, those of the feature extractor, and the kind of tensors."""
        sides = {"text_kwargs": CaptionKwargs.__annotations__, "motion_kwargs": MotionKwargs.__annotations__}
        for kwargs in (given, *(given.get(side, {}) for side in (*sides, "common_kwargs"))):
            _check_values(kwargs)
        _check_names(given, {*sides, *sides["text_kwargs"], *sides["motion_kwargs"], "common_kwargs"}, "The processor")
        for side, names in sides.items():
            _check_names(given.get(side, {}), names, side)
        given = {"audio_kwargs" if name == "motion_kwargs" else name: value for name, value in given.items()}
        merged = self._merge_kwargs(tokenizer_init_kwargs=self.tokenizer.init_kwargs, **given)
        text_kwargs, motion_kwargs = merged["text_kwargs"], merged["audio_kwargs"]
        validate_typed_dict(CaptionKwargs, text_kwargs)
        validate_typed_dict(MotionKwargs, motion_kwargs)
        if motion_kwargs.get("padding") in ("max_length", PaddingStrategy.MAX_LENGTH):
            motion_kwargs["padding"] = True  # max_length is a number of text tokens
        kinds = [kwargs.pop("return_tensors", None) for kwargs in (text_kwargs, motion_kwargs)]
        return text_kwargs, motion_kwargs, kinds[0] or kinds[1]

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs):
        """As in the base class, without the arguments that its tokenizers were loaded with."""
        for name in self.get_attributes():
            for argument in LOADING_ARGUMENTS if name.endswith("tokenizer") else ():
                getattr(self, name).init_kwargs.pop(argument, None)
        saved = super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)
        for part in (self, *(getattr(self, name) for name in self.get_attributes())):
            vars(part).pop("auto_map", None)  # of the files; saving again writes it again
        return saved

    def _tokenize(self, captions: list[str], **kwargs) -> dict:
        # on the right, whatever the tokenizer's default: labels begin after the first id, and so do the models
        return dict(
            self.tokenizer(
                captions, padding_side="right", return_attention_mask=True, return_token_type_ids=False, **kwargs
            )
        )

    def post_process(self, motion_values, attention_mask=None):
        """Model output -> a list of joints (frames, joints, 3) in meters, as `MotionFeatureExtractor.post_process`."""
        return self.feature_extractor.post_process(motion_values, attention_mask)

    @property
    def model_input_names(self) -> list[str]:
        """Everything that a call may return, except `labels`."""
        return ["input_ids", "attention_mask", "motion_values", "motion_attention_mask"]

    def __repr__(self) -> str:
        parts = {name: getattr(self, name) for name in self.get_attributes()}
        shown = {
            name: f"{type(part).__name__}({len(part)} ids)" if name.endswith("tokenizer") else repr(part)
            for name, part in parts.items()
        }
        lines = [f"  {name}={part}," for name, part in shown.items()]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


def _check_values(given: dict) -> None:
    """Refuse values with one sentence where the check of types that follows would answer with several lines."""
    check_fps(given.get("fps"))
    if "unit" in given:
        check_unit(given["unit"])
    for name in ("max_length", "pad_to_multiple_of"):
        check_count(name, given.get(name))
    if "padding_side" in given:
        raise ValueError(
            f"padding_side={given['padding_side']!r} is not an argument: these models need padding on the right, "
            "which is what the processor does; leave it out."
        )


def _refuse_unused(given: dict, own: type, others: type, what: str) -> None:
    """Refuse an argument that only `what` have, of which there are none; `own` and `others` are the two sides'."""
    for name in own.__annotations__:
        if given.get(name) is not None and name not in others.__annotations__:
            hint = "; processor.feature_extractor cuts motions" if name in ("max_length", "truncation") else ""
            raise ValueError(f"{name}={given[name]!r} is an argument for {what}, of which there are none{hint}.")


def _check_names(given: dict, known, owner: str) -> None:
    for name in given:
        if name not in known:
            raise TypeError(f"{owner} has no argument {name!r}; it has {', '.join(sorted(known))}.")


class TM2TProcessor(CaptionMotionProcessor):
    """Bundles what stands between people and the models; saved and loaded as one.

    | call | returns | for |
    |---|---|---|
    | `processor(text=...)` | `input_ids`, `attention_mask` | `TextToMotionModel`, `TextToMotionTransformer` |
    | `processor(motion=...)` | `motion_values`, `attention_mask` | `MotionToTextModel`, `MotionVQModel` |
    | `processor(motion=..., text_target=...)` | likewise, and `labels` | training `MotionToTextModel` |
    | `processor(text=..., motion=...)` | all four, the motion's mask as `motion_attention_mask` | models of both |

    Args:
        feature_extractor: a `MotionFeatureExtractor`.
        tokenizer: the text tokenizer.
        motion_tokenizer: a `MotionTokenizer`, saved in the folder `motion_tokenizer/`.

    Raises:
        ValueError: for another kind of motion tokenizer.
    """

    def __init__(self, feature_extractor, tokenizer, motion_tokenizer: MotionTokenizer):
        # transformers takes the text tokenizer if it finds no other
        if not hasattr(motion_tokenizer, "codebook_size"):
            raise ValueError(
                f"motion_tokenizer is a {type(motion_tokenizer).__name__}, not a MotionTokenizer; a saved processor "
                "keeps it in motion_tokenizer/."
            )
        super().__init__(feature_extractor, tokenizer, motion_tokenizer)

    def decode(self, token_ids, *args, **kwargs) -> str | list[str]:
        """Text ids -> a caption; motion ids -> their tokens, such as `"<bom> <motion_17> <motion_4> <eom>"`.

        Motion ids, as `generate()` of a text-to-motion model returns them, are known by the `<bom>` in front, or by
        ids that the text vocabulary does not have. Say which they are with `processor.tokenizer.decode` or
        `processor.motion_tokenizer.decode` where both could be meant: text ids without `<bos>` might begin with the
        same number as `<bom>`.

        Args:
            token_ids: one sequence of ids, or several, as in every tokenizer.
            args: as in every tokenizer.
            kwargs: as in every tokenizer, such as `skip_special_tokens=True`.
        """
        return self._tokenizer_of(token_ids).decode(token_ids, *args, **kwargs)

    def batch_decode(self, sequences, *args, **kwargs) -> list[str]:
        """As `decode`, for several sequences, which are all text ids or all motion ids."""
        return self._tokenizer_of(sequences).batch_decode(sequences, *args, **kwargs)

    def _tokenizer_of(self, ids):
        """The tokenizer whose ids these are: one sequence of them or several."""
        rows = _to_lists(ids)
        if not isinstance(rows, list):  # a single id, as tokenizers take it
            rows = [rows]
        rows = [row for row in (rows if rows and isinstance(rows[0], list) else [rows]) if row]
        motion, every_id = self.motion_tokenizer, [index for row in rows for index in row]
        if every_id and all(row[0] == motion.bos_token_id >= len(self.tokenizer) for row in rows):
            return motion  # which refuses ids that it does not have
        if not every_id or not 0 <= min(every_id) <= max(every_id) < len(motion):
            return self.tokenizer
        if max(every_id) >= len(self.tokenizer):  # the table of a text model may be larger than its tokenizer
            is_motion = any(row[0] != self.tokenizer.bos_token_id for row in rows)
        else:
            is_motion = all(self._reads_as_motion(row) for row in rows)
        return motion if is_motion else self.tokenizer

    def _reads_as_motion(self, row: list[int]) -> bool:
        """Whether a sequence is `<bom>`, codes and perhaps `<eom>`, with `<pad>` before or after it."""
        motion = self.motion_tokenizer
        first, *codes = [index for index in row if index != motion.pad_token_id] or [motion.pad_token_id]
        if codes and codes[-1] == motion.eos_token_id:
            codes.pop()
        return first == motion.bos_token_id and all(code < motion.codebook_size for code in codes)


def _to_lists(ids) -> list:
    """A sequence of ids or several, as tensors, arrays or any nesting of them -> lists of int."""
    if hasattr(ids, "tolist"):
        ids = ids.tolist()
    return [_to_lists(part) for part in ids] if isinstance(ids, (list, tuple)) else ids


__all__ = ["CaptionKwargs", "CaptionMotionProcessor", "MotionKwargs", "TM2TProcessor", "TM2TProcessorKwargs"]
