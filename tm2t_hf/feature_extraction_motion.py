# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motion in (features, joints or files) -> normalized `motion_values` for the models, and back to joints."""

import dataclasses
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from transformers import BatchFeature, SequenceFeatureExtractor
from transformers.utils import PaddingStrategy, TensorType, logging

from .bodies import ADULT, METRES_PER_UNIT, body_height, check_body, find_unit
from .containers import is_row, items_of, unwrap_row
from .files import load_array, load_offsets, load_statistics
from .motion import (
    bias_std,
    check_statistics,
    features_to_joints,
    joints_to_features,
    resample,
    retarget,
    unmasked,
)
from .plausibility import doubts_about, doubts_about_bones, doubts_about_features, problems_of, problems_of_features
from .skeletons import HUMANML3D, SKELETONS, Skeleton

logger = logging.get_logger(__name__)

Unit = Literal["m", "cm", "mm"]
METERS_PER_UNIT = dict(zip(get_args(Unit), (1.0, 0.01, 0.001), strict=True))
MOTION_COLUMNS = ("motion", "joints")  # of rows; what the pipeline "text-to-motion" returns has both
METERS_TALL = (0.5, 3.0)  # joints of a body so tall are taken to be in meters unless their unit is given
TALLEST_METERS = 10.0  # nobody is that tall: such joints are in centimeters or millimeters
SLOWEST_FPS, FASTEST_FPS = 1.0, 1000.0  # what cameras and motion capture deliver; it also bounds what resampling makes


class MotionFeatureExtractor(SequenceFeatureExtractor):
    """Turns motions into what the models read, and what the models write back into joints.

    It owns everything that gives the numbers their meaning: the skeleton, the frame rate, and the mean and standard
    deviation the models were trained with. They are saved with the processor; no separate statistics file is needed.

    All frames are returned. A motion VQ encodes whole tokens of `unit_length` frames: up to `unit_length - 1` frames
    at the end of a motion do not reach it and have no influence on its codes.

    Args:
        skeleton: a `Skeleton`, its `to_dict()`, or the name of a known one ("humanml3d" or "kit").
        mean: one number per feature, `skeleton.feature_size` in all.
        std: one number above 0 per feature.
        fps: frames per second that the models work at; the skeleton's by default.
        unit_length: frames per motion token; shorter motions are refused.
        offsets: (joints, 3) bone vectors, as `bone_offsets` returns them, of the body that the data set was retargeted
            to: joints are retargeted to it too. None takes joints as they are.
        kwargs: arguments of the base class. `padding_side` can only be `"right"`: the models encode a motion from its
            first frame on.

    Attributes:
        skeleton: the `Skeleton`.

    Raises:
        ValueError: if mean, std or offsets do not fit the skeleton, or for an unknown skeleton, frame rate or
            `unit_length`.
    """

    model_input_names = ["motion_values", "attention_mask"]
    _auto_class = "AutoFeatureExtractor"  # saved with its code, see auto_classes.py

    def __init__(
        self,
        skeleton: Skeleton | dict[str, Any] | str,
        mean: Sequence[float],
        std: Sequence[float],
        fps: float | None = None,
        unit_length: int = 4,
        offsets: Sequence[Sequence[float]] | None = None,
        **kwargs,
    ):
        self.skeleton = _to_skeleton(skeleton)
        check_statistics(mean, std, self.skeleton)
        self.mean = [float(value) for value in mean]
        self.std = [float(value) for value in std]
        fps = self.skeleton.fps if fps is None else fps
        check_fps(fps)
        self.fps = float(fps)
        if not isinstance(unit_length, int) or isinstance(unit_length, bool) or unit_length < 1:
            raise ValueError(f"unit_length={unit_length!r} must be a number of frames: 4, or what the motion VQ has.")
        self.unit_length = unit_length
        self.offsets = None if offsets is None else check_body(offsets, self.skeleton).tolist()
        # What the base class stores under these names follows from the arguments above; a saved copy of it is ignored.
        kwargs.update(feature_size=self.skeleton.feature_size, sampling_rate=self.fps, padding_value=0.0)
        kwargs.pop("auto_map", None)  # of the file that it was loaded from; saving writes it again
        super().__init__(**kwargs)

    @property
    def padding_side(self) -> str:
        """Always "right"."""
        return "right"

    @padding_side.setter
    def padding_side(self, side: str):
        if side != "right":
            raise ValueError(
                f"padding_side={side!r} is not possible: the models encode a motion from its first frame on, so "
                "padding belongs after its end ('right')."
            )

    @classmethod
    def from_data_dir(
        cls, data_dir: str | PathLike, skeleton: Skeleton = HUMANML3D, feat_bias: float = 5.0, **kwargs
    ) -> "MotionFeatureExtractor":
        """Take mean, std and offsets from a folder in the HumanML3D layout.

        `Mean.npy` and `Std.npy` must be there; `Offsets.npy` is in folders whose motions were retargeted to one body.

        Args:
            data_dir: the folder, as `tm2t-hf prepare` leaves it.
            skeleton: what its motions belong to.
            feat_bias: the std of the features of root and feet is divided by it, as in the original training code, so
                that models give these features more weight.
            kwargs: further arguments of the class.

        Raises:
            FileNotFoundError: if the folder has no such file.
            ValueError: if they do not fit the skeleton.
        """
        mean, std = load_statistics(data_dir, skeleton)
        kwargs.setdefault("offsets", load_offsets(data_dir, skeleton))
        return cls(skeleton, mean, bias_std(std, skeleton, feat_bias), **kwargs)

    def __call__(
        self,
        motions,
        fps: float | None = None,
        unit: Unit | None = None,
        padding: bool | str | PaddingStrategy = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | TensorType | None = None,
    ) -> BatchFeature:
        """Check, resample, extract features, normalize, pad.

        Args:
            motions: one motion or several. A motion is one of: features (frames, features), not normalized; joints
                (frames, joints, 3), y up; each as an array, a tensor or nested lists; or the path of a file: `.npy`
                with either, or `.bvh` or `.npz` of any tool (`formats.read_motion`). Several are anything that holds
                motions in an order: a list, a tuple, an array with one more axis, a column of a data set, a generator.
                Rows with a `"motion"` or, where that is missing, `"joints"` (and, optionally, its `"fps"`) stand for
                that motion. Joints give one frame of features less than they have frames.
            fps: frames per second of `motions` if other than the extractor's: they are resampled. Files that say
                their own (`.bvh`, `.npz`) need it only where they are wrong.
            unit: unit of joints: `"m"`, `"cm"` or `"mm"` (the `new_joints` of KIT-ML). None takes them to be in
                meters where that makes them a person's height, and otherwise in the unit that does, which is found
                from the lengths of the bones. Features have no other unit than the skeleton's.
            padding: True pads to the longest motion; False returns lists of arrays of different lengths.
            max_length: as in every feature extractor, in frames.
            truncation: likewise.
            pad_to_multiple_of: likewise.
            return_tensors: likewise.

        Returns:
            `motion_values` (batch, frames, features) float32, normalized, padded with 0; `attention_mask`
            (batch, frames), 1 on real frames. A single motion is a batch of one.

        Raises:
            ValueError: for a motion that does not fit: the message names it and says what to pass. A motion that can
                be used but does not look like a human body is reported as a warning.
            FileNotFoundError: for a path without a file.
            ImportError: for a `.bvh` or `.npz` file where this class runs without its package.
        """
        check_fps(fps)
        check_unit(unit)
        values = [
            self.normalize(self._features(motion, name, fps if fps is not None else own_fps, unit)).astype(np.float32)
            for name, motion, own_fps in self._named_motions(motions)
        ]
        options = {
            "max_length": max_length,
            "truncation": truncation,
            "pad_to_multiple_of": pad_to_multiple_of,
            "return_tensors": return_tensors,
        }
        if padding in (False, PaddingStrategy.DO_NOT_PAD) and return_tensors is None:
            # The base class makes an array of objects of motions of different lengths, which datasets cannot store.
            rows = [self.pad({"motion_values": [clip]}, padding=False, **options) for clip in values]
            return BatchFeature({name: [row[name][0] for row in rows] for name in self.model_input_names})
        return self.pad({"motion_values": values}, padding=padding, **options)

    def list_motions(self, motions) -> list | None:
        """The motions, paths or rows that `motions` holds; None if it is a single motion, path or row itself.

        Raises:
            ValueError: for a container of no motions.
        """
        motions = unwrap_row(motions, MOTION_COLUMNS, "motion")
        of_numbers = isinstance(motions, torch.Tensor) or (
            isinstance(motions, np.ndarray) and (motions.ndim == 0 or motions.dtype.kind not in "OUT")
        )
        # Joints (frames, joints, 3) and features (frames, features) are one motion; another axis makes a batch.
        if of_numbers and motions.ndim != 4 and not (motions.ndim == 3 and motions.shape[-1] == self.feature_size):
            return None
        items = items_of(motions)
        if items is None:
            return None
        if not items:
            raise ValueError("motion is an empty list; pass at least one motion.")
        shape = _shape_of(items[0])
        is_frame = shape is not None and (len(shape) < 2 or len(shape) == 2 and shape[-1] == 3)
        return None if is_frame else items

    def normalize(self, features):
        """Features (..., features) in meters, radians, ... -> model units; a tensor stays a tensor."""
        mean, std = self._statistics(features)
        normalized = (features - mean) / std
        return normalized if isinstance(features, torch.Tensor) else normalized.astype(features.dtype)

    def denormalize(self, motion_values):
        """Model units -> features (..., features) in meters, radians, ...; a tensor stays a tensor."""
        mean, std = self._statistics(motion_values)
        features = motion_values * std + mean
        return features if isinstance(motion_values, torch.Tensor) else features.astype(motion_values.dtype)

    def _statistics(self, values) -> tuple:
        """Mean and std (features,) of the kind of `values`; for arrays in double precision."""
        if isinstance(values, torch.Tensor):
            return values.new_tensor(self.mean), values.new_tensor(self.std)
        return np.asarray(self.mean), np.asarray(self.std)

    def post_process(self, motion_values, attention_mask=None) -> list[np.ndarray]:
        """What a model writes -> joints.

        Args:
            motion_values: normalized, one motion (frames, features), a batch (batch, frames, features), or a list of
                motions of different lengths, as `decode_motion` returns.
            attention_mask: (batch, frames), 1 on real frames; the others are cut off.

        Returns:
            One array (frames, joints, 3) float32 per motion, in meters, y up.

        Raises:
            ValueError: for another shape or number of features, or a mask of another number of frames.
        """
        joints = []
        for index, values in enumerate(_separate(motion_values)):
            values = torch.as_tensor(values).detach().cpu().float()
            if values.ndim != 2:
                raise ValueError(
                    f"motion_values[{index}] has the shape {tuple(values.shape)}; give motions (frames, features)."
                )
            if values.shape[-1] != self.feature_size:
                raise ValueError(
                    f"motion_values has {values.shape[-1]} features a frame, but this extractor has "
                    f"{self.feature_size}; use the processor saved with the model."
                )
            if attention_mask is not None:
                if len(attention_mask[index]) != len(values):
                    raise ValueError(
                        f"attention_mask has {len(attention_mask[index])} frames, but motion_values {len(values)}; "
                        "pass the mask of these motions, over frames."
                    )
                values = values[torch.as_tensor(attention_mask[index]).bool().cpu()]
            joints.append(self.to_joints(self.denormalize(values)).numpy())
        return joints

    def to_joints(self, features: torch.Tensor) -> torch.Tensor:
        """Features (..., frames, features), not normalized -> joints (..., frames, joints, 3) in meters, y up."""
        if features.shape[-2] == 0:  # a model may end a motion at once
            return features.new_zeros(*features.shape[:-1], self.skeleton.num_joints, 3)
        return features_to_joints(features, self.skeleton.num_joints) * self.skeleton.metres_per_unit

    def save_pretrained(self, save_directory: str | PathLike, push_to_hub: bool = False, **kwargs):
        """As in the base class; the entry about the code in the folder is written and not kept."""
        saved = super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)
        vars(self).pop("auto_map", None)
        return saved

    def to_dict(self) -> dict[str, Any]:
        """As it is saved; a known skeleton by its name, any other in full."""
        known = SKELETONS.get(self.skeleton.name) == self.skeleton
        skeleton = self.skeleton.name if known else self.skeleton.to_dict()
        return super().to_dict() | {"skeleton": skeleton, "padding_side": self.padding_side}

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(skeleton={self.skeleton.name!r}, feature_size={self.feature_size}, "
            f"fps={self.fps:g}, unit_length={self.unit_length})"
        )

    def _named_motions(self, motions) -> list[tuple[str, Any, float | None]]:
        """One motion or several -> [(the name to use in messages, the motion, its own frame rate if it has one)]."""
        several = self.list_motions(motions)
        if several is None:
            named, rates = [("motion", motions)], [_own_fps(motions)]
        else:
            named = [(f"motion[{index}]", motion) for index, motion in enumerate(several)]
            of_columns = _own_fps(motions)  # one for all, or one per motion
            rates = [_own_fps(motion) for motion in several]
            if of_columns is not None:
                rates = np.broadcast_to(of_columns, len(several)).tolist()
        found = []
        for (name, motion), fps in zip(named, rates, strict=True):
            check_fps(fps, f"{name}['fps']")
            motion = unwrap_row(motion, MOTION_COLUMNS, name)
            found.append((fspath(motion) if isinstance(motion, (str, PathLike)) else name, motion, fps))
        return found

    def _features(self, motion, name: str, fps: float | None, unit: Unit | None) -> np.ndarray:
        """One motion of any form -> features (frames, features) float64, checked and at the extractor's fps."""
        skeleton = self.skeleton
        if isinstance(motion, (str, PathLike)):
            if Path(motion).suffix.lower() == ".npy":
                motion = load_array(motion)
            else:  # joints in meters, at the extractor's fps
                motion, fps, unit = _read_joints(motion, skeleton, self.fps, fps, unit), None, "m"
        motion = _as_numbers(motion, name)
        is_joints = motion.ndim == 3 and motion.shape[1:] == (skeleton.num_joints, 3)
        if not is_joints and (motion.ndim != 2 or motion.shape[1] != self.feature_size):
            raise ValueError(f"{name} has shape {motion.shape}; {self._what_fits(motion)}.")
        finite = np.isfinite(motion).all(axis=tuple(range(1, motion.ndim)))  # (frames,)
        if not finite.all():
            raise ValueError(
                f"{name} holds NaN or infinite values, first in frame {int(finite.argmin())}; "
                "repair or cut those frames."
            )
        resampled = fps is not None and fps != self.fps and len(motion) > 1
        if not resampled:
            _check_length(motion, name, self.unit_length + is_joints)
        if is_joints:
            motion = motion * (self._find_meters(motion, name) if unit is None else METERS_PER_UNIT[unit])
            self._check_joints(motion, name, unit or "m")
            motion = motion / skeleton.metres_per_unit
            if self.offsets is not None and len(motion):
                motion = retarget(motion, skeleton, self.offsets)
        elif unit not in (None, "m"):
            raise ValueError(f"unit={unit!r} is for joints, but {name} holds features; leave it out.")
        elif len(motion):
            _report(name, problems_of_features(motion, skeleton), lambda: doubts_about_features(motion, skeleton))
        if resampled:
            if not is_joints:  # velocities depend on the frame rate, so features are resampled by way of their joints
                motion = features_to_joints(motion, skeleton.num_joints)
            motion = resample(motion, fps, self.fps)
            is_joints = True
            _check_length(motion, name, self.unit_length + 1, f" at {self.fps:g} fps")
        return joints_to_features(motion, skeleton) if is_joints else motion

    def _find_meters(self, joints: np.ndarray, name: str) -> float:
        """Length in meters of the unit of joints (frames, joints, 3), in which their body is a person's."""
        shortest, tallest = METERS_TALL
        if not len(joints) or shortest <= (height := body_height(joints, self.skeleton)) <= tallest:
            return 1.0
        if problems_of(joints, self.skeleton) or doubts_about_bones(joints, self.skeleton):
            return 1.0  # what is no body has no height; the checks that follow report it
        try:
            found = find_unit(joints, self.skeleton)
        except ValueError:
            logger.warning(
                f"{name} is {height:.3g} units tall, a person's height in no unit that is known; the body is taken to "
                f"be {ADULT} m tall: pass joints in meters if it is not."
            )
            return ADULT / height
        if found.doubt:
            logger.warning(f"{name}: {found.doubt}.")
        return METRES_PER_UNIT[found.value]

    def _what_fits(self, motion: np.ndarray) -> str:
        """What to pass instead of an array of another shape."""
        joints = self.skeleton.num_joints
        fits = (
            f"this model's skeleton ({self.skeleton.name}) takes joints (frames, {joints}, 3) in meters or features "
            f"(frames, {self.feature_size})"
        )
        if self.skeleton == HUMANML3D and motion.ndim == 3 and motion.shape[1] in (24, 52) and motion.shape[2] == 3:
            fits += f"; if these are joints of SMPL or SMPL-H, take the first {joints}: motion[:, :{joints}]"
        return fits

    def _check_joints(self, joints: np.ndarray, name: str, unit: Unit) -> None:
        """Refuse what cannot be joints (frames, joints, 3) in meters, and warn of what hardly can."""
        if not len(joints):
            return
        height = np.ptp(joints[..., 1], axis=1).max()
        if height > TALLEST_METERS:
            smaller = [other for other, size in METERS_PER_UNIT.items() if size < METERS_PER_UNIT[unit]]
            fix = (
                f"pass unit={' or unit='.join(map(repr, smaller))}" if smaller else "they are in none of m, cm and mm"
            )
            raise ValueError(
                f"{name} shows a figure {height:,.0f} m tall, taking unit={unit!r} for its joints; if they are in "
                f"another unit, {fix} (KIT-ML's new_joints are in 'mm')."
            )
        in_meters = dataclasses.replace(self.skeleton, metres_per_unit=1.0)
        _report(name, problems_of(joints, in_meters), lambda: doubts_about(joints, in_meters))


def _read_joints(
    path: str | PathLike, skeleton: Skeleton, fps: float, source_fps: float | None, unit: Unit | None
) -> np.ndarray:
    """A `.bvh` or `.npz` file -> joints (frames, joints, 3) in meters, y up, at `fps`."""
    try:  # absolute and here, because the Hub loads this file without the packages of tm2t_hf
        from tm2t_hf.formats import read_motion
    except ImportError as error:
        raise ImportError(
            f"{fspath(path)} cannot be read without the package tm2t_hf; install it, or pass joints as an array or "
            "as a .npy file."
        ) from error
    known_unit = None if unit is None else METERS_PER_UNIT[unit]
    return read_motion(path, skeleton, fps, unit=known_unit, source_fps=source_fps)


def _to_skeleton(skeleton: Skeleton | dict[str, Any] | str) -> Skeleton:
    if isinstance(skeleton, str):
        if skeleton not in SKELETONS:
            raise ValueError(
                f"skeleton {skeleton!r} is unknown; the names are {', '.join(SKELETONS)}. Pass another one as a "
                "Skeleton or its to_dict()."
            )
        return SKELETONS[skeleton]
    return Skeleton.from_dict(skeleton) if isinstance(skeleton, dict) else skeleton


def check_unit(unit: str | None) -> None:
    """Refuse what is no unit of joints; None is "find it".

    Raises:
        ValueError: for another unit than those of `METERS_PER_UNIT`.
    """
    if unit is not None and (not isinstance(unit, str) or unit not in METERS_PER_UNIT):
        raise ValueError(f"unit={unit!r} must be one of {', '.join(map(repr, METERS_PER_UNIT))}.")


def check_fps(fps: float | None, argument: str = "fps") -> None:
    """Refuse what is no frame rate of motions; None is "the model's own".

    Args:
        fps: frames per second.
        argument: its name, for the error.

    Raises:
        ValueError: for anything but a number from `SLOWEST_FPS` to `FASTEST_FPS`.
    """
    if fps is None:
        return
    is_number = isinstance(fps, (int, float, np.number)) and not isinstance(fps, bool)  # True is not 1 fps
    if not (is_number and SLOWEST_FPS <= fps <= FASTEST_FPS):
        raise ValueError(
            f"{argument}={fps!r} must be a number from {SLOWEST_FPS:g} to {FASTEST_FPS:g}: the frames per second, the "
            "same for all motions."
        )


def _check_length(motion: np.ndarray, name: str, shortest: int, at_fps: str = "") -> None:
    if len(motion) < shortest:
        raise ValueError(
            f"{name} has {len(motion)} frames{at_fps}, which is shorter than one motion token; pass {shortest} frames "
            "or more."
        )


def _own_fps(row):
    """The `"fps"` of a row or of columns; None if there is none."""
    return row["fps"] if is_row(row) and "fps" in row else None


def _report(name: str, problems: list[str], doubts) -> None:
    """Raise for the first problem, or warn of the doubts that `doubts()` returns."""
    if problems:
        raise ValueError(f"{name} {problems[0]}.")
    for doubt in doubts():
        logger.warning(f"{name} {doubt}.")


def _is_nested(motion) -> bool:
    """Whether `motion` is a list or tuple, or an array of objects, as data sets of uneven lengths have them."""
    if isinstance(motion, np.ndarray):
        return motion.dtype == object and motion.ndim > 0
    return isinstance(motion, (list, tuple))


def _shape_of(motion) -> tuple[int, ...] | None:
    """Shape of an array or of nested lists, by their first items; None for paths, rows and other objects."""
    shape = []
    while _is_nested(motion):
        shape.append(len(motion))
        if len(motion) == 0:
            return tuple(shape)
        motion = motion[0]
    if isinstance(motion, (int, float, complex)):
        return tuple(shape)
    array_shape = None if isinstance(motion, str) else getattr(motion, "shape", None)  # strings of numpy have one
    return None if array_shape is None else (*shape, *array_shape)


def _to_arrays(motion):
    """Tensors in any nesting -> arrays, in which NaN stands for what a masked array hides."""
    if isinstance(motion, torch.Tensor):
        motion = motion.detach().cpu()
        return (motion.float() if motion.dtype == torch.bfloat16 else motion).numpy()
    if isinstance(motion, np.ma.MaskedArray):
        return unmasked(motion)
    if _is_nested(motion) and len(motion) and not isinstance(motion[0], (int, float)):
        return [_to_arrays(part) for part in motion]
    return motion


def _as_numbers(motion, name: str) -> np.ndarray:
    """Array, tensor or nested list -> float64 array."""
    motion = _to_arrays(motion)
    try:
        array = np.asarray(motion)
    except ValueError:
        array = None  # nested lists of different lengths
    if array is None or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{name} is not an array of numbers; pass joints (frames, joints, 3) in meters or features "
            "(frames, features)."
        )
    return array.astype(np.float64)


def _separate(motion_values) -> Sequence:
    """The motions in an array of one or several, a list of motions, or a list of one motion's frames."""
    if not isinstance(motion_values, (list, tuple)):
        if not hasattr(motion_values, "ndim"):
            raise ValueError(f"motion_values is {type(motion_values).__name__}; give motions (frames, features).")
        return [motion_values] if motion_values.ndim == 2 else motion_values
    if motion_values and np.ndim(motion_values[0]) == 1:
        return [torch.stack([torch.as_tensor(frame) for frame in motion_values])]
    return motion_values


__all__ = ["MotionFeatureExtractor", "check_fps", "check_unit"]
