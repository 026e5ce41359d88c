# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motions to codes: a data set read by a motion VQ, once, and cached."""

import hashlib
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, List, Value

from .cache import rebuilt_if_broken
from .dataset import CACHE_VERSION


def tokenize_motions(
    dataset: Dataset,
    vq_model: torch.nn.Module,
    feature_extractor: Any,
    batch_size: int = 64,
    num_offsets: int = 1,
) -> Dataset:
    """Compute the motion codes of every row, once per data and VQ: the result is cached by their fingerprints.

    Args:
        dataset: what `load_motion_dataset` gives.
        vq_model: a `MotionVQModel`; used in eval mode, on the device where it is.
        feature_extractor: a `MotionFeatureExtractor` (its mean and std normalize the features).
        batch_size: clips encoded at once; encoding is masked, so it does not change the codes.
        num_offsets: code sequences per clip, starting at frame 0, 1, ... (at most `unit_length`, beyond which they
            repeat); training picks one at random, as the original does with its five token files per clip.

    Returns:
        Dataset with the columns `id`, `captions`, `tokens`, `sources` and `codes` (a list of code sequences, the first
        from frame 0), row by row as in `dataset`. The features are left out; join by row where both are needed.
    """
    unit_length = vq_model.config.unit_length
    if not 1 <= num_offsets <= unit_length:
        raise ValueError(f"num_offsets is {num_offsets}, but has to be between 1 and unit_length {unit_length}.")
    fingerprint = hashlib.sha256(repr((CACHE_VERSION, dataset._fingerprint, num_offsets)).encode())
    statistics = np.array([feature_extractor.mean, feature_extractor.std])
    fingerprint.update(statistics.tobytes() + vq_model.config.to_json_string().encode())
    for name, tensor in vq_model.state_dict().items():
        fingerprint.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())

    def encode(batch: dict) -> dict:
        motions, readings = [], []
        for features in batch["features"]:
            normalized = torch.from_numpy(feature_extractor.normalize(features))
            # A very short clip has no whole token left at the later offsets.
            from_offsets = [normalized[offset:] for offset in range(num_offsets)][: len(features) - unit_length + 1]
            motions += from_offsets
            readings.append(len(from_offsets))
        motion_values = torch.nn.utils.rnn.pad_sequence(motions, batch_first=True)  # (clips * offsets, frames, F)
        lengths = torch.tensor([len(motion) for motion in motions])
        mask = (torch.arange(motion_values.shape[1]) < lengths[:, None]).long()
        device = next(vq_model.parameters()).device
        encoded = vq_model.encode(motion_values.to(device), attention_mask=mask.to(device))
        counts = encoded.attention_mask.sum(-1).tolist()
        sequences = iter([row[:count].tolist() for row, count in zip(encoded.codes, counts, strict=True)])
        return {"codes": [list(islice(sequences, number)) for number in readings]}

    fingerprint = fingerprint.hexdigest()[:32]
    folders = [Path(file["filename"]).parent for file in dataset.cache_files]
    cache = folders[0] / f"codes-{fingerprint}.arrow" if folders else None  # none for a data set made in memory

    def build() -> Dataset:
        return dataset.map(
            encode,
            batched=True,
            batch_size=max(1, batch_size // num_offsets),
            remove_columns=["features"],
            features=Features(columns | {"codes": List(List(Value("int32")))}),
            new_fingerprint=fingerprint,
            cache_file_name=None if cache is None else str(cache),
            desc="Motion tokens",
        )

    columns = {name: dataset.features[name] for name in dataset.features if name != "features"}
    was_training = vq_model.training
    vq_model.eval()
    try:
        with torch.no_grad():
            codes = build() if cache is None else rebuilt_if_broken(build, cache)
            return codes.with_format(None)
    finally:
        vq_model.train(was_training)
