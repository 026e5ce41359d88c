# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""A column of motions in a `datasets.Dataset` that holds where each one is; the features are read when asked for."""

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from datasets import Features, List, Value
from datasets.features.features import register_feature

from ..files import load_array
from ..skeletons import Skeleton
from .variation import BodyVariation, varied_motion

MOTION_TYPE = "TM2TMotion"


@dataclass
class MotionColumn:
    """What a column of motions holds, as `datasets.Audio` is for sound: see `datasets.Features`.

    A value is stored as frames `start` to `end` of the feature file `path`, or as its `values` themselves, and how it
    differs from them: `mirrored`, at another `speed`, by another `body` that is drawn from `seed`. It is read as a
    float32 array (frames, feature_size), not normalized.

    Args:
        skeleton: what the features belong to, as `Skeleton.to_dict` gives it.
        bodies: the fields of the `BodyVariation` that other bodies are drawn from.
        offsets: (joints, 3) of the body that the data set was retargeted to, as nested lists.
        decode: whether to give arrays; otherwise dicts, as they are stored.
        id: unused; other features have it.
    """

    skeleton: dict
    bodies: dict | None = None
    offsets: list | None = None
    decode: bool = True
    id: str | None = field(default=None, repr=False)
    _type: str = field(default=MOTION_TYPE, init=False, repr=False)

    dtype: ClassVar[str] = "dict"
    pa_type: ClassVar[pa.DataType] = pa.struct(
        {
            "path": pa.string(),
            "start": pa.int32(),
            "end": pa.int32(),
            "mirrored": pa.bool_(),
            "speed": pa.float64(),
            "body": pa.int32(),
            "seed": pa.int64(),
            "values": pa.binary(),
        }
    )

    @classmethod
    def of(cls, skeleton: Skeleton, bodies: BodyVariation, offsets: np.ndarray | None) -> "MotionColumn":
        """The column of motions of a skeleton."""
        return cls(skeleton.to_dict(), dict(vars(bodies)), None if offsets is None else offsets.tolist())

    @cached_property
    def _parts(self) -> tuple[Skeleton, BodyVariation | None, np.ndarray | None]:
        bodies = None if self.bodies is None else BodyVariation(**self.bodies)
        return Skeleton.from_dict(self.skeleton), bodies, None if self.offsets is None else np.array(self.offsets)

    @property
    def feature_size(self) -> int:
        """Features of a frame."""
        return self._parts[0].feature_size

    def __call__(self) -> pa.DataType:
        """The type of what is stored."""
        return self.pa_type

    def encode_example(self, value: dict) -> dict:
        """What to store: all fields are needed."""
        return value

    def cast_storage(self, storage: pa.Array) -> pa.Array:
        """What is stored, in this type."""
        return storage.cast(self.pa_type)

    def decode_example(self, value: dict, token_per_repo_id: Any = None) -> np.ndarray:
        """The features (frames, feature_size) of one value.

        Raises:
            FileNotFoundError: the feature file is gone.
            ValueError: it is not a whole array of numbers any more.
        """
        skeleton, bodies, offsets = self._parts
        if value["values"] is not None:
            features = np.frombuffer(value["values"], dtype=np.float32).reshape(-1, skeleton.feature_size).copy()
        else:
            features = load_array(value["path"])[value["start"] : value["end"]].astype(np.float32)
        if not (value["mirrored"] or value["speed"] != 1 or value["body"]):
            return features
        body = bodies if value["body"] else None
        rng = np.random.default_rng(value["seed"])
        return varied_motion(features, skeleton, value["mirrored"], value["speed"], body, rng, offsets)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # that registering is experimental
    register_feature(MotionColumn, MOTION_TYPE)


def columns_with(column: MotionColumn) -> Features:
    """The columns of a data set of motions and captions."""
    texts = {name: List(Value("string")) for name in ("captions", "tokens", "sources")}
    return Features({"id": Value("string"), "features": column, **texts})


__all__ = ["MotionColumn", "columns_with"]
