# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motion-text data: a folder in the HumanML3D layout, as a `datasets.Dataset`, and collators that make its batches.

The layout (Guo et al. 2022; HumanML3D and KIT-ML fit as they are):

    new_joint_vecs/<id>.npy   features (frames, feature_size)
    new_joints/<id>.npy       joints (frames, joints, 3) in meters, y up
    texts/<id>.txt            one caption per line: caption#lemma/POS ...#start#end (seconds; 0.0#0.0 = whole clip)
    train.txt, val.txt, ...   one id per line
    Mean.npy, Std.npy         (feature_size,)
"""

from ..files import load_statistics
from .captions import CaptionLine, mirror_caption, read_captions
from .check import check
from .codes import tokenize_motions
from .collators import (
    CaptionFeatures,
    TranslationCollator,
    VQCollator,
    crop_tokens,
    crop_window,
    draw_caption,
    row_generator,
)
from .dataset import CACHE_VERSION, load_motion_dataset
from .folder import SPLITS, read_split
from .hub import push_data
from .motion_column import MotionColumn
from .prepare import prepare
from .recordings import ImportedRecordings, import_recordings
from .sharding import write_shards
from .shards import statistics_folder
from .variation import BodyVariation, varied_motion

__all__ = [
    "BodyVariation",
    "CACHE_VERSION",
    "SPLITS",
    "CaptionFeatures",
    "CaptionLine",
    "ImportedRecordings",
    "MotionColumn",
    "TranslationCollator",
    "VQCollator",
    "check",
    "crop_tokens",
    "crop_window",
    "draw_caption",
    "import_recordings",
    "load_motion_dataset",
    "load_statistics",
    "mirror_caption",
    "push_data",
    "prepare",
    "read_captions",
    "read_split",
    "row_generator",
    "statistics_folder",
    "tokenize_motions",
    "varied_motion",
    "write_shards",
]
