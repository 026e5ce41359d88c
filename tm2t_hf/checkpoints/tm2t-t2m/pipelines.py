# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`pipeline("text-to-motion")` and `pipeline("motion-to-text")`."""

import contextlib
import copy
import math
from dataclasses import dataclass
from numbers import Real
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import AutoModel, Pipeline, PreTrainedModel
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.utils import logging

from .actions import read_actions, write_actions
from .bodies import body_height
from .chaining import captions_of_chain, generate_chain
from .checks import check_count, check_switch
from .cleanup import clean_motion
from .containers import is_stream, unwrap_row
from .coverage import (
    MotionCoverage,
    Request,
    TextCoverage,
    caption_likelihoods,
    embed_texts,
    load_coverage,
    motion_facts,
)
from .feature_extraction_motion import MOTION_COLUMNS, check_fps
from .generation_arguments import check_generation_arguments
from .generation_text_to_motion import replaced_lengths
from .loading import check_fits, load_processor, place_of
from .motion import feature_groups, joints_to_features, resample
from .padding import before
from .processing_tm2t import TM2TProcessor
from .tokenization_text import check_captions
from .vocabulary import ids_to_codes

logger = logging.get_logger(__name__)

SHORTEST_FIGURE, TALLEST_FIGURE = 0.3, 3.0  # meters, that `height=` can ask for
MOST_SHOWN = 100  # characters of a caption in a message
CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"  # the small models that ship with the package


class _MotionPipeline(Pipeline):
    """What the two pipelines share: a translation model with its `TM2TProcessor`, and generate() arguments.

    Attributes:
        coverage: what the model learned, as its checkpoint says in `coverage.safetensors`; None if it does not.
    """

    _load_processor = None  # None is "if possible": what is wrong is said here, after the type of the model is checked
    _load_tokenizer = False
    _load_feature_extractor = False
    _load_image_processor = False
    _load_video_processor = False
    _pipeline_calls_generate = True

    model_types: tuple[str, ...] = ()  # the checkpoints that the pipeline can use
    kind_of_coverage = ""

    def __init__(self, *args, **kwargs):
        _check_loader(kwargs)
        check_generation_arguments(kwargs)
        super().__init__(*args, **kwargs)
        model_type = self.model.config.model_type
        if model_type not in self.model_types:
            others = [task for task, other in PIPELINES.items() if model_type in other.model_types]
            hint = f"; use it with pipeline({others[0]!r})" if others else ""
            raise ValueError(
                f"{type(self).__name__} needs a checkpoint of type {' or '.join(self.model_types)}, but "
                f"{self.model.name_or_path or 'the model'} is of type {model_type}{hint}."
            )
        if self.processor is None:
            raise ValueError(_why_no_processor(self.model))
        for name in ("tokenizer", "feature_extractor"):
            given = kwargs.get(name)
            if given is not None and given is not getattr(self.processor, name, None):
                raise ValueError(
                    f"{name}= is not used by this pipeline: put it into a processor, and pass that as processor=."
                )
        check_fits(self.model, self.processor)
        name = self.model.name_or_path
        self.coverage = load_coverage(name, self.kind_of_coverage, **place_of(self.model)) if name else None

    def __call__(self, inputs, **kwargs):
        """See the subclasses.

        Raises:
            ValueError: for a `batch_size` or `num_workers` that is none, or a processor that no longer fits.
        """
        _check_loader(kwargs)
        check_fits(self.model, self.processor)  # both may have been changed since
        self.tokenizer = copy.copy(self.processor.tokenizer)
        self.tokenizer.padding_side = "right"  # batches are padded as the processor pads, whatever its default
        return super().__call__(inputs, **kwargs)

    def _sanitize_parameters(self, generate_kwargs=None, **kwargs):
        """Arguments of preprocess, forward and postprocess; what `generate()` does not know, it refuses."""
        generate_kwargs = {} if generate_kwargs is None else generate_kwargs
        if not isinstance(generate_kwargs, dict):
            raise ValueError(f"generate_kwargs={generate_kwargs!r} must be a dict of arguments of generate().")
        if twice := kwargs.keys() & generate_kwargs.keys():
            raise ValueError(f"{min(twice)} is given twice: by itself, and in generate_kwargs; leave one out.")
        kwargs |= generate_kwargs
        check_generation_arguments(kwargs)
        if kwargs.get("return_dict_in_generate"):
            raise ValueError(
                "return_dict_in_generate=True is for model.generate(): a pipeline returns what it makes of the ids."
            )
        return {}, kwargs, {}

    def _generate(self, model_inputs, generate_kwargs) -> torch.Tensor:
        """Ids (batch * samples, tokens)."""
        return self.model.generate(**model_inputs, **self._prepare_generate_kwargs(generate_kwargs))

    def save_pretrained(self, save_directory: str | PathLike, **kwargs):
        """Save model, processor and coverage, so that `pipeline(task, save_directory)` has all it needs."""
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory)
        if self.coverage is not None:
            self.coverage.save(save_directory)


class TextToMotionPipeline(_MotionPipeline):
    """Motion from a caption, by a text-to-motion model and the motion VQ inside it.

    ```python
    from transformers import pipeline
    import tm2t_hf

    animate = pipeline("text-to-motion")  # the checkpoint that ships with tm2t_hf; or model=<folder or Hub id>
    motion = animate("a person waves the left hand", do_sample=True)
    motion["joints"].shape  # (frames, 22, 3)
    ```
    """

    model_types = ("tm2t-t2m", "tm2t-t2m-transformer")
    kind_of_coverage = TextCoverage.kind

    def __call__(self, text_inputs, **kwargs):
        """Generate motions.

        Args:
            text_inputs: a caption, or anything that holds captions in an order: a list, a tuple, an array, a column of
                a data set or data frame. Rows with a `"text"` stand for that text. Generators, streamed data sets and
                data sets of torch are read while motions are generated.
            chain: make one continuous motion of several captions: each goes on from where the one before it ended.
            prefix: a motion to go on from, as "motion-to-text" takes it: features, joints, a file, or what this
                pipeline returned. It is encoded by the model's motion VQ and becomes the beginning of the result.
            clean: smooth the joints and keep the feet that touch the floor from sliding (`cleanup.clean_motion`). The
                features under `"motion"` stay as the model made them.
            return_codes: also return `"codes"`, the (tokens,) int64 codes that `"motion"` was decoded from.
            output_fps: frames per second of the result, if other than the model's: joints are resampled, and features
                computed from them, one frame less.
            height: of the figure in meters, from 0.3 to 3, as if it stood upright (`bodies.body_height`): its
                joints and its path are scaled. The features stay those of the model's own body.
            batch_size: how many captions are generated at once; 1 by default.
            kwargs: arguments of `generate()`, such as `do_sample`, `top_k`, `num_beams`, `num_return_sequences`,
                `min_seconds`, `max_seconds`; also as one dict `generate_kwargs`. A length, in seconds or tokens,
                replaces the one that the pipeline was made with in either. `transformers.set_seed` makes samples
                repeatable.

        Returns:
            For one caption `{"motion": (frames, features) float32, not normalized, "joints": (frames, joints, 3)
            float32, meters, y up, "fps": float, "score": float}`; with `num_return_sequences` above 1 a list of such
            dicts. For several captions a list with what each gives, and for a stream an iterator. A model that ends at
            once gives 0 frames, and a warning names the caption. With `chain` or `prefix` there is one dict, which
            also holds `"parts"`: a list of `{"text": str, "start": int, "end": int, "score": float}` in frames of
            `"joints"`; the text and the score of the prefix are None, and the score of the whole is the lowest.

            The score, from 0 to 1, says how well the caption is covered by what the model learned; a warning names the
            closest caption that it learned where the score lies below `coverage.threshold`. It is None, and nothing is
            warned of, for a checkpoint without `coverage.safetensors`.

        Raises:
            ValueError: for a caption that is empty or not a string, and for arguments that exclude each other.
        """
        kwargs |= replaced_lengths(kwargs)
        chain, prefix = (kwargs.get(name, self._preprocess_params.get(name)) for name in ("chain", "prefix"))
        if chain or prefix is not None:
            return super().__call__(captions_of_chain(text_inputs, chain), **kwargs)
        if isinstance(text_inputs, Dataset):
            return super().__call__(text_inputs, **kwargs)
        if is_stream(text_inputs):
            return super().__call__((caption for caption in text_inputs), **kwargs)
        caption = unwrap_row(text_inputs, "text", "text")
        if not isinstance(caption, str):
            caption = check_captions(caption)
        return super().__call__(caption, **kwargs)

    def _sanitize_parameters(
        self, chain=None, prefix=None, clean=None, output_fps=None, height=None, return_codes=None, **kwargs
    ):
        _, forward, _ = super()._sanitize_parameters(**kwargs)
        if "fps" in forward:
            raise ValueError(f"fps={forward['fps']!r} is unknown here; pass output_fps= for another frame rate.")
        for name, value in (("chain", chain), ("clean", clean), ("return_codes", return_codes)):
            check_switch(name, value)
        check_fps(output_fps, "output_fps")
        if height is not None and not (
            isinstance(height, Real) and height is not True and SHORTEST_FIGURE <= height <= TALLEST_FIGURE
        ):
            raise ValueError(
                f"height={height!r} must be a number of meters from {SHORTEST_FIGURE} to {TALLEST_FIGURE:g}."
            )
        if (chain or prefix is not None) and forward.get("num_return_sequences") not in (None, 1):
            raise ValueError("A chain is one motion: leave num_return_sequences out and call again for another.")
        if (chain or prefix is not None) and forward.get("decoder_input_ids") is not None:
            raise ValueError(
                "decoder_input_ids would begin a motion that has a beginning: leave chain and prefix out."
            )
        preprocess = {"chain": chain, "prefix": prefix}
        postprocess = {"clean": clean, "output_fps": output_fps, "height": height, "return_codes": return_codes}
        given = [
            {name: value for name, value in side.items() if value is not None} for side in (preprocess, postprocess)
        ]
        return given[0], forward, given[1]

    def preprocess(self, text, chain=False, prefix=None):
        """A caption, or the captions of a chain -> what the model reads."""
        if isinstance(text, tuple):  # one continuous motion
            prompts = [{**self.processor(text=caption, return_tensors="pt")} for caption in text]
            return {
                "prompts": prompts,
                "prefix": None if prefix is None else self._prefix_inputs(prefix),
                "texts": text,
            }
        captions = check_captions(text)
        if (count := len(captions)) != 1:
            raise ValueError(f"an item of the captions holds {count} captions; pass one caption per item.")
        return {**self.processor(text=captions, return_tensors="pt"), "caption": captions[0]}

    def _prefix_inputs(self, prefix) -> dict:
        inputs = self.processor(motion=prefix, return_tensors="pt")
        if (count := len(inputs["motion_values"])) != 1:
            raise ValueError(f"prefix holds {count} motions; pass the one to go on from.")
        return {**inputs}

    def _forward(self, model_inputs, **generate_kwargs):
        if "prompts" in model_inputs:
            return self._forward_chain(model_inputs, generate_kwargs)
        captions = _column(model_inputs.pop("caption"))
        text, requests = self._covered(model_inputs)
        ids = self._generate(text, generate_kwargs)
        motions = self.model.decode_motion(ids)
        codes = pad_sequence(ids_to_codes(ids, self.model.config), batch_first=True)
        lengths = torch.tensor([len(motion) for motion in motions])
        values = pad_sequence([motion.float() for motion in motions], batch_first=True).cpu()
        features, joints = self._features_and_joints(values)
        return {  # a first axis for the captions: transformers cuts batches along it
            "codes": codes.unflatten(0, (len(captions), -1)),  # (batch, samples, tokens)
            "features": features.unflatten(0, (len(captions), -1)),  # (batch, samples, frames, features)
            "joints": joints.unflatten(0, (len(captions), -1)),  # (batch, samples, frames, joints, 3)
            "lengths": lengths.unflatten(0, (len(captions), -1)),  # (batch, samples)
            "captions": captions,  # (batch, 1)
            "scores": torch.tensor([request.score for request in requests]),  # (batch,)
            "nearest": np.array([[request.nearest] for request in requests]),  # (batch, 1)
        }

    def judge(self, text: str) -> Request:
        """How well a sentence is covered by what the model learned, without making its motion.

        Args:
            text: the sentence.

        Returns:
            Its score, NaN where that is not known, and the caption that comes closest to it.
        """
        inputs = self._ensure_tensor_on_device(self.preprocess(text), self.device)
        with torch.no_grad():
            return self._covered(inputs)[1][0]

    def save_pretrained(self, save_directory: str | PathLike, **kwargs):
        """Save model, processor, coverage and `actions.json`, so that `pipeline(task, save_directory)` has all."""
        super().save_pretrained(save_directory, **kwargs)
        if name := self.model.name_or_path:
            with contextlib.suppress(ValueError):  # its checkpoint names no actions
                write_actions(save_directory, read_actions(name, **place_of(self.model)))

    def _covered(self, model_inputs) -> tuple[dict, list[Request]]:
        """What generate() reads, and how it is covered: NaN where that is not known.

        The text features that both need are computed once.
        """
        ids, mask = model_inputs["input_ids"], model_inputs["attention_mask"]
        if self.coverage is None:
            return {"input_ids": ids, "attention_mask": mask}, [Request(math.nan, "")] * len(ids)
        features = self.model.get_text_features(ids, mask)  # (batch, words, size)
        texts = self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
        requests = self.coverage.judge(texts, embed_texts(features, mask).cpu())
        return {"inputs_embeds": features, "attention_mask": mask}, requests

    def _forward_chain(self, model_inputs, generate_kwargs):
        prefix, texts = model_inputs["prefix"], list(model_inputs["texts"])
        if prefix is not None:
            prefix = self.model.vq.encode(**prefix).codes[0]  # (tokens,)
            texts.insert(0, None)
        options = self._prepare_generate_kwargs(generate_kwargs)
        prompts, requests = zip(*map(self._covered, model_inputs["prompts"]), strict=True)
        chain = generate_chain(self.model, prompts, prefix, **options)
        return {
            "chain": chain.motion.float(),
            "codes": chain.codes,
            "ends": chain.ends,
            "texts": texts,
            "requests": [request for (request,) in requests],
        }

    def postprocess(self, model_outputs, return_codes=False, **options):
        """What the model wrote for one caption or chain -> motions."""
        if "chain" in model_outputs:
            features, joints = self._features_and_joints(model_outputs["chain"])
            motion = self._finished(features, joints, model_outputs["codes"] if return_codes else None, **options)
            scale, frames = motion["fps"] / self.processor.feature_extractor.fps, len(motion["joints"])
            ends = [min(round(end * scale), frames) for end in model_outputs["ends"]]
            starts = [0, *ends[:-1]]
            ends[-1] = frames  # resampling ends with the last instant inside the motion
            texts, requests = model_outputs["texts"], model_outputs["requests"]
            of_captions = iter(requests)
            scores = [None if text is None else self._score(text, *next(of_captions)) for text in texts]
            known = [score for score in scores if score is not None]
            parts = [
                {"text": text, "start": start, "end": end, "score": score}
                for text, start, end, score in zip(texts, starts, ends, scores, strict=True)
            ]
            return motion | {"score": min(known, default=None), "parts": parts}
        caption = model_outputs["captions"][0, 0]
        score = self._score(caption, float(model_outputs["scores"][0]), str(model_outputs["nearest"][0, 0]))
        samples = []
        samples_of = (model_outputs[name][0] for name in ("features", "joints", "codes", "lengths"))
        for features, joints, codes, length in zip(*samples_of, strict=True):
            if length == 0:
                logger.warning(
                    f"The motion for {_shown(caption)} has 0 frames: the model ended at once; pass min_seconds."
                )
            codes = codes[: length // self.model.config.vq_config.unit_length] if return_codes else None
            own = features[:length].clone(), joints[:length].clone()  # a view would keep the whole batch in memory
            samples.append(self._finished(*own, codes, **options) | {"score": score})
        return samples[0] if len(samples) == 1 else samples

    def _score(self, caption: str, score: float, nearest: str) -> float | None:
        """The score of a caption, None for NaN; warns of a low one."""
        if math.isnan(score):
            return None
        if score < self.coverage.threshold:
            logger.warning(
                f"{_shown(caption)} is unlike what this model learned (score {score:.2f}); the closest that it knows "
                f"is {nearest!r}."
            )
        return score

    def _features_and_joints(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalized features (..., frames, features) -> features, and joints (..., frames, joints, 3) in meters."""
        extractor = self.processor.feature_extractor
        features = extractor.denormalize(values)
        return features, extractor.to_joints(features)

    def _finished(
        self,
        features: torch.Tensor,
        joints: torch.Tensor,
        codes: torch.Tensor | None,
        clean: bool = False,
        output_fps: float | None = None,
        height: float | None = None,
    ) -> dict:
        """Features (frames, features) and joints -> features, joints and frame rate, as asked for, and the codes."""
        extractor = self.processor.feature_extractor
        fps = extractor.fps
        if clean and len(joints):
            joints = torch.from_numpy(clean_motion(joints.numpy(), extractor.skeleton, fps))
        if output_fps not in (None, fps) and len(joints) > 1:
            joints, fps = resample(joints, fps, output_fps), float(output_fps)
            # features hold velocities per frame, so those at another rate are other features
            features = features[:0]
            if len(joints) > 1:
                features = joints_to_features(joints / extractor.skeleton.metres_per_unit, extractor.skeleton)
        if height is not None and len(joints):
            joints = joints * (height / body_height(joints.numpy(), extractor.skeleton))
        motion = {"motion": features.numpy(), "joints": joints.numpy(), "fps": fps}
        return motion if codes is None else motion | {"codes": codes.cpu().numpy()}


@dataclass
class _NamedMotion:
    """One of several motions, and what messages call it."""

    name: str
    motion: Any


class MotionToTextPipeline(_MotionPipeline):
    """A caption for a motion, by a `MotionToTextModel` and the motion VQ inside it.

    ```python
    from transformers import pipeline
    import tm2t_hf

    describe = pipeline("motion-to-text")
    describe("wave.npy")  # [{"generated_text": "a person waves the left hand"}]
    ```
    """

    model_types = ("tm2t-m2t",)
    kind_of_coverage = MotionCoverage.kind

    def __call__(self, motions, **kwargs):
        """Describe motions.

        Args:
            motions: a motion, or anything that holds motions in an order. A motion is one of: features
                (frames, features), not normalized; joints (frames, joints, 3), y up; the path of a `.npy` file with
                either, or of a `.bvh` or `.npz` file of any tool; what the pipeline "text-to-motion" returns, or any
                row with `"motion"` or `"joints"`.
                Generators, streamed data sets and data sets of torch are read while captions are generated.
            fps: frames per second of the motions if other than the model's: they are resampled.
            unit: unit of joints: `"m"`, `"cm"` or `"mm"` (the `new_joints` of KIT-ML); found from the height of the
                body if left out.
            batch_size: how many motions are described at once; 1 by default.
            kwargs: arguments of `generate()`, such as `num_beams`, `num_return_sequences`, `do_sample`; also as one
                dict `generate_kwargs`.

        Returns:
            `[{"generated_text": str, "score": float}, ...]`, one dict per returned sequence; for several motions a
            list of such lists, and for a stream an iterator over them. The score, from 0 to 1, says how well the
            motion is covered by what the model learned: how well its motion VQ rebuilds it, and how likely the caption
            is. Where it lies below `coverage.threshold`, there is a warning. It is None, and nothing is warned of, for
            a checkpoint without `coverage.safetensors`.

        Raises:
            ValueError: for a motion that does not fit, see `MotionFeatureExtractor`.
            FileNotFoundError: for a path where there is no file.
        """
        if isinstance(motions, Dataset):
            return super().__call__(motions, **kwargs)
        if is_stream(motions):
            return super().__call__((motion for motion in motions), **kwargs)
        several = self.processor.feature_extractor.list_motions(motions)
        if several is None:  # in a list, since transformers takes nested lists for several
            return super().__call__([motions], **kwargs)[0]
        for index, motion in enumerate(several):
            _refuse_none(motion, f"motion[{index}]")
        named = [_NamedMotion(f"motion[{index}]", motion) for index, motion in enumerate(several)]
        return super().__call__(named, **kwargs)

    def _sanitize_parameters(self, fps=None, unit=None, **kwargs):
        _, forward, postprocess = super()._sanitize_parameters(**kwargs)
        given = {"fps": fps, "unit": unit}
        return {name: value for name, value in given.items() if value is not None}, forward, postprocess

    def preprocess(self, motion, **motion_kwargs):
        """A motion -> what the model reads."""
        name = "The motion"
        if isinstance(motion, _NamedMotion):
            name, motion = motion.name, motion.motion
        _refuse_none(motion, "motion")
        inputs = self.processor(motion=motion, return_tensors="pt", motion_kwargs=motion_kwargs)
        if (count := len(inputs["motion_values"])) != 1:
            raise ValueError(f"an item of the motions holds {count} motions; pass one motion per item.")
        motion = unwrap_row(motion, MOTION_COLUMNS, "motion")
        return {**inputs, "name": fspath(motion) if isinstance(motion, (str, PathLike)) else name}

    def _forward(self, model_inputs, **generate_kwargs):
        names = model_inputs.pop("name")
        batch = len(model_inputs["motion_values"])
        read = self.model.read_motion(**model_inputs)
        ids = self._generate(read, generate_kwargs)
        captions = self.processor.batch_decode(ids, skip_special_tokens=True)
        scores = [math.nan] * len(ids)
        if self.coverage is not None:
            scores = self.coverage.scores(self._facts(model_inputs, read, ids).cpu())
        return {  # arrays, as transformers cuts batches along a first axis
            "captions": np.array(captions).reshape(batch, -1),  # (batch, samples)
            "scores": np.array(scores).reshape(batch, -1),  # (batch, samples)
            "names": _column(names),  # (batch, 1)
        }

    def facts_of(self, motion, caption: str | None = None, **motion_kwargs) -> torch.Tensor:
        """The facts (1, 4) about a motion and a caption, by default the model's, see `coverage.motion_facts`."""
        inputs = self._ensure_tensor_on_device(self.preprocess(motion, **motion_kwargs), self.device)
        del inputs["name"]
        with torch.no_grad():
            read = self.model.read_motion(**inputs)
            if caption is None:
                ids = self._generate(read, {})
            else:
                ids = self.processor.tokenizer(caption, return_tensors="pt")["input_ids"].to(self.device)
            return self._facts(inputs, read, ids).cpu()

    def _facts(self, model_inputs, read: dict[str, torch.Tensor], ids: torch.Tensor) -> torch.Tensor:
        """Motions, what was read of them and written about them (batch * samples, words) -> (batch * samples, 4)."""
        values, mask = model_inputs["motion_values"], model_inputs["attention_mask"]
        unit_length, extractor = self.model.config.vq_config.unit_length, self.processor.feature_extractor
        offsets = self.model.config.read_offsets
        codes = read["input_ids"][:, offsets.index(0)] if 0 in offsets else self.model.encode_motion(values, mask)[0]
        codes = pad_sequence(ids_to_codes(codes, self.model.config), batch_first=True)  # (batch, tokens)
        token_mask = before(mask.sum(1) // unit_length, codes.shape[1])
        reconstruction = self.model.vq.decode(codes, token_mask)

        repeats = len(ids) // len(values)
        inputs = {name: tensor.repeat_interleave(repeats, dim=0) for name, tensor in read.items()}
        logits = self.model(**inputs, decoder_input_ids=ids[:, :-1], use_cache=False).logits

        return motion_facts(
            values.repeat_interleave(repeats, dim=0),
            reconstruction.repeat_interleave(repeats, dim=0),
            token_mask.repeat_interleave(unit_length, dim=1).repeat_interleave(repeats, dim=0),
            values.new_tensor(extractor.std),
            feature_groups(extractor.skeleton)["positions"],
            caption_likelihoods(logits, ids[:, 1:], self.model.config),
        )

    def postprocess(self, model_outputs):
        """What the model wrote for one motion -> captions."""
        captions, scores = model_outputs["captions"][0], model_outputs["scores"][0].tolist()
        if self.coverage is not None and scores[0] < self.coverage.threshold:
            logger.warning(
                f"{model_outputs['names'][0, 0]} is unlike the motions that this model learned "
                f"(score {scores[0]:.2f}), so its caption may be wrong: {str(captions[0])!r}."
            )
        return [
            {"generated_text": str(caption), "score": None if math.isnan(score) else score}
            for caption, score in zip(captions, scores, strict=True)
        ]


def _check_loader(kwargs: dict) -> None:
    """Refuse numbers of the loader of transformers that are none."""
    check_count("batch_size", kwargs.get("batch_size"))
    check_count("num_workers", kwargs.get("num_workers"), 0)


def _column(texts: str | list[str]) -> np.ndarray:
    """The texts of a batch, or the one of an input by itself, as an array (batch, 1)."""
    return np.array([texts] if isinstance(texts, str) else texts, dtype=object).reshape(-1, 1)


def _shown(caption: str) -> str:
    """A caption in quotes, shortened for a message."""
    return repr(caption if len(caption) <= MOST_SHOWN else f"{caption[: MOST_SHOWN - 3]}...")


def _refuse_none(motion, name: str) -> None:
    """Refuse a motion, or a row whose motion, is None, which a processor takes for "left out"."""
    if unwrap_row(motion, MOTION_COLUMNS, name) is None:
        raise ValueError(f"{name} is None; pass a motion: joints, features or the path of a file.")


def _why_no_processor(model: PreTrainedModel) -> str:
    """Why a pipeline has no processor for a model that was loaded from a folder or from the Hub, or made."""
    name = model.name_or_path
    if not name:
        return (
            "A model object comes without its processor; pass processor=TM2TProcessor.from_pretrained"
            "(<the model's folder>) too."
        )
    try:
        load_processor(TM2TProcessor, name, **place_of(model))
    except (FileNotFoundError, ValueError) as error:
        return str(error)
    return f"A model object comes without its processor; pass processor=TM2TProcessor.from_pretrained({name!r}) too."


def shipped_checkpoint(name: str) -> Path:
    """Folder of a checkpoint that ships with the package: "tm2t-vq", "tm2t-m2t" or "tm2t-t2m".

    Raises:
        FileNotFoundError: when this installation holds none.
    """
    folder = CHECKPOINTS / name
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"This installation has no checkpoint {folder}; name a model of your own, or install tm2t_hf again."
        )
    return folder


PIPELINES = {"text-to-motion": TextToMotionPipeline, "motion-to-text": MotionToTextPipeline}


def register_pipelines() -> None:
    """Make both tasks known to `transformers.pipeline`, with the shipped checkpoints as their default models."""
    for task, pipeline_class, folder, kind in (
        ("text-to-motion", TextToMotionPipeline, "tm2t-t2m", "text"),
        ("motion-to-text", MotionToTextPipeline, "tm2t-m2t", "multimodal"),
    ):
        # AutoModel, not AutoModelForSeq2SeqLM: a folder of another model type then loads, and the pipeline says what
        # it needs.
        PIPELINE_REGISTRY.register_pipeline(
            task, pipeline_class, pt_model=AutoModel, default={"model": (str(CHECKPOINTS / folder), "main")}, type=kind
        )
