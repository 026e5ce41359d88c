# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motion in (features, joints or .npy files) -> normalised `motion_values` for the models, and back to joints."""

from collections.abc import Sequence
from os import PathLike, fspath
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, SequenceFeatureExtractor
from transformers.utils import PaddingStrategy, TensorType

from .files import load_array, load_statistics
from .motion import bias_std, check_statistics, features_to_joints, joints_to_features, resample, retarget
from .skeletons import HUMANML3D, Skeleton

# Nobody is ten metres tall: such joints are in centimetres or millimetres.
TALLEST_METRES = 10.0


class MotionFeatureExtractor(SequenceFeatureExtractor):
    """Turns motions into what the models read, and what the models write back into joints.

    It owns everything that gives the numbers their meaning: the skeleton, the frame rate, and the mean and standard
    deviation the models were trained with. They are saved with the processor; no separate statistics file is needed.

    All frames are kept. A motion VQ reads whole tokens of `unit_length` frames and drops an incomplete one at the end.

    Args:
        skeleton: a `Skeleton` or its `to_dict()`.
        mean: one number a feature, `skeleton.feature_size` in all.
        std: likewise, each above 0.
        fps: frames a second that the models work at; the skeleton's by default.
        unit_length: frames a motion token covers; shorter motions are refused.
        offsets: (joints, 3) bone vectors, as `bone_offsets` gives them, of the body that the data set was retargeted
            to: joints are retargeted to it too. None takes joints as they are.

    Raises:
        ValueError: when mean and std do not fit the skeleton.
    """

    model_input_names = ["motion_values", "attention_mask"]

    def __init__(
        self,
        skeleton: Skeleton | dict[str, Any],
        mean: Sequence[float],
        std: Sequence[float],
        fps: float | None = None,
        unit_length: int = 4,
        offsets: Sequence[Sequence[float]] | None = None,
        **kwargs,
    ):
        if isinstance(skeleton, dict):
            skeleton = Skeleton.from_dict(skeleton)
        check_statistics(mean, std, skeleton)
        self.skeleton = skeleton.to_dict()
        self.mean = [float(value) for value in mean]
        self.std = [float(value) for value in std]
        self.fps = float(skeleton.fps if fps is None else fps)
        self.unit_length = unit_length
        if offsets is not None and np.shape(offsets) != (skeleton.num_joints, 3):
            raise ValueError(
                f"offsets has shape {np.shape(offsets)}, but skeleton {skeleton.name} takes "
                f"({skeleton.num_joints}, 3) bone vectors."
            )
        self.offsets = None if offsets is None else np.asarray(offsets, dtype=np.float64).tolist()
        # What the base class stores under these names follows from the arguments above; a saved copy of it is ignored.
        kwargs.update(feature_size=skeleton.feature_size, sampling_rate=self.fps, padding_value=0.0)
        super().__init__(**kwargs)

    @classmethod
    def from_data_dir(
        cls, data_dir: str | PathLike, skeleton: Skeleton = HUMANML3D, feat_bias: float = 5.0, **kwargs
    ) -> "MotionFeatureExtractor":
        """Take mean and std from `Mean.npy` and `Std.npy` of a folder in the HumanML3D layout.

        Args:
            data_dir: the folder, made ready by `tm2t-hf prepare`.
            skeleton: what its motions belong to.
            feat_bias: the std of the root's and the feet's features is divided by it, as the original does before
                training, so that models weigh these features more.
            kwargs: further arguments of the class.

        Raises:
            FileNotFoundError: when the folder has no such file.
            ValueError: when they do not fit the skeleton.
        """
        mean, std = load_statistics(data_dir, skeleton)
        return cls(skeleton, mean, bias_std(std, skeleton, feat_bias), **kwargs)

    def __call__(
        self,
        motions,
        fps: float | None = None,
        padding: bool | str | PaddingStrategy = True,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | TensorType | None = None,
    ) -> BatchFeature:
        """Check, resample, extract features, normalise, pad.

        Args:
            motions: one motion or a list of them, each one of: features (frames, features) unnormalised; joints
                (frames, joints, 3) in metres, y up; the path of a `.npy` file with either. Arrays, tensors or nested
                lists. Joints give one frame of features less than they have frames.
            fps: frames a second of `motions`, where it is not the extractor's own: they are resampled.
            padding, max_length, truncation, pad_to_multiple_of, return_tensors: as in every feature extractor, in
                frames.

        Returns:
            `motion_values` (batch, frames, features) float32, normalised, padded with 0; `attention_mask`
            (batch, frames), 1 on real frames. A single motion is a batch of one.

        Raises:
            ValueError: for a motion that does not fit: the message names it and says what to pass.
            FileNotFoundError: for a path where there is no file.
        """
        if fps is not None and not fps > 0:
            raise ValueError(f"fps={fps} must be above 0: the frames a second of the motions passed.")
        features = [self._features(motion, name, fps) for name, motion in self._named_motions(motions)]
        values = [self.normalize(clip).astype(np.float32) for clip in features]
        return self.pad(
            {"motion_values": values},
            padding=padding,
            max_length=max_length,
            truncation=truncation,
            pad_to_multiple_of=pad_to_multiple_of,
            return_tensors=return_tensors,
        )

    def normalize(self, features):
        """Features (..., features) in metres, radians, ... -> model units; a tensor stays a tensor."""
        mean, std = self._statistics(features)
        normalized = (features - mean) / std
        return normalized if isinstance(features, torch.Tensor) else normalized.astype(features.dtype)

    def denormalize(self, motion_values):
        """Model units -> features (..., features) in metres, radians, ...; a tensor stays a tensor."""
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
            motion_values: normalised, one motion (frames, features), a batch (batch, frames, features), or a list of
                motions of different lengths, as `decode_motion` returns.
            attention_mask: (batch, frames), 1 on real frames; the others are cut off.

        Returns:
            One array (frames, joints, 3) float32 a motion, in metres, y up.
        """
        if not isinstance(motion_values, (list, tuple)) and motion_values.ndim == 2:
            motion_values = [motion_values]
        skeleton = Skeleton.from_dict(self.skeleton)
        joints = []
        for index, values in enumerate(motion_values):
            values = torch.as_tensor(values).detach().cpu().float()
            if values.shape[-1] != self.feature_size:
                raise ValueError(
                    f"motion_values has {values.shape[-1]} features a frame, but this extractor has "
                    f"{self.feature_size}; use the processor saved with the model."
                )
            if attention_mask is not None:
                values = values[torch.as_tensor(attention_mask[index]).bool().cpu()]
            if len(values) == 0:  # a model may end a motion at once
                joints.append(np.zeros((0, skeleton.num_joints, 3), dtype=np.float32))
                continue
            positions = features_to_joints(self.denormalize(values), skeleton.num_joints)
            joints.append((positions * skeleton.metres_per_unit).numpy())
        return joints

    def _named_motions(self, motions) -> list[tuple[str, Any]]:
        """One motion, a batch or a list of motions -> [(the name to use in messages, the motion)]."""
        if isinstance(motions, (str, PathLike)):
            return [(fspath(motions), motions)]
        if isinstance(motions, (list, tuple)):
            if not motions:
                raise ValueError("motion is an empty list; pass at least one motion.")
            if not isinstance(motions[0], (list, tuple)) and np.ndim(motions[0]) == 1:  # a list of frames
                return [("motion", motions)]
            if isinstance(motions[0], (list, tuple)):
                motions = _as_numbers(motions, "motion")
            else:
                return [
                    (fspath(motion) if isinstance(motion, (str, PathLike)) else f"motion[{index}]", motion)
                    for index, motion in enumerate(motions)
                ]
        # Joints (frames, joints, 3) and features (frames, features) are one motion; an axis more makes a batch.
        shape = np.shape(motions)
        if len(shape) == 4 or len(shape) == 3 and shape[-1] == self.feature_size:
            return [(f"motion[{index}]", motion) for index, motion in enumerate(motions)]
        return [("motion", motions)]

    def _features(self, motion, name: str, fps: float | None) -> np.ndarray:
        """One motion of any form -> features (frames, features) float64, checked and at the extractor's fps."""
        skeleton = Skeleton.from_dict(self.skeleton)
        motion = load_array(motion) if isinstance(motion, (str, PathLike)) else motion
        motion = _as_numbers(motion, name)
        is_joints = motion.ndim == 3 and motion.shape[1:] == (skeleton.num_joints, 3)
        if not is_joints and (motion.ndim != 2 or motion.shape[1] != self.feature_size):
            raise ValueError(
                f"{name} has shape {motion.shape}; this model's skeleton ({skeleton.name}) takes joints "
                f"(frames, {skeleton.num_joints}, 3) in metres or features (frames, {self.feature_size})."
            )
        finite = np.isfinite(motion).all(axis=tuple(range(1, motion.ndim)))  # (frames,)
        if not finite.all():
            raise ValueError(
                f"{name} holds NaN or infinite values, first in frame {int(finite.argmin())}; "
                "repair or cut those frames."
            )
        if is_joints:
            if len(motion) and np.ptp(motion[..., 1], axis=1).max() > TALLEST_METRES:
                raise ValueError(
                    f"{name} shows a figure over {TALLEST_METRES:.0f} m tall; joints are in metres, so "
                    "divide centimetres by 100 and millimetres by 1000."
                )
            motion = motion / skeleton.metres_per_unit
            if self.offsets is not None and len(motion):
                motion = retarget(motion, skeleton, self.offsets)
        shortest = self.unit_length + is_joints
        if fps is not None and fps != self.fps and len(motion) > 1:
            if not is_joints:  # velocities depend on the frame rate, so features are resampled by way of their joints
                motion = features_to_joints(motion, skeleton.num_joints)
            motion = resample(motion, fps, self.fps)
            shortest = self.unit_length + 1
            is_joints = True
        if len(motion) < shortest:
            at_fps = "" if fps in (None, self.fps) else f" at {self.fps:g} fps"
            raise ValueError(
                f"{name} has {len(motion)} frames{at_fps}, which is shorter than one motion token; "
                f"pass {shortest} frames or more."
            )
        return joints_to_features(motion, skeleton) if is_joints else motion


def _as_numbers(motion, name: str) -> np.ndarray:
    """Array, tensor or nested list -> float64 array."""
    if isinstance(motion, torch.Tensor):
        motion = motion.detach().cpu().numpy()
    try:
        array = np.asarray(motion)
    except ValueError:
        array = None  # nested lists of uneven lengths
    if array is None or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{name} is not an array of numbers; pass joints (frames, joints, 3) in metres or features "
            "(frames, features)."
        )
    return array.astype(np.float64)
