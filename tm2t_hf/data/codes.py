# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motions to codes: a data set read by a motion VQ, once, and cached."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, IterableDataset, List, Value
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from .cache import cache_folder, cached
from .dataset import CACHE_VERSION


def tokenize_motions(
    dataset: Dataset | IterableDataset,
    vq_model: torch.nn.Module,
    feature_extractor: Any,
    batch_size: int = 64,
    num_offsets: int = 1,
    num_workers: int = 0,
    residuals: bool = False,
) -> Dataset:
    """Compute the motion codes of every row, once per data and VQ: the result is cached by their fingerprints.

    Args:
        dataset: what `load_motion_dataset` gives, a stream as well: codes take a thousandth of the features' space.
        vq_model: a `MotionVQModel`; used in eval mode, on the device where it is.
        feature_extractor: a `MotionFeatureExtractor` (its mean and std normalize the features).
        batch_size: clips encoded at once; encoding is masked, so it does not change the codes.
        num_offsets: code sequences per clip, starting at frame 0, 1, ... (at most `unit_length`, beyond which they
            repeat); training picks one at random, as the original does with its five token files per clip.
        num_workers: processes that read the motions, vary and normalize them; this one encodes them. Those of a
            stream share its files, so that its rows come in another order.
        residuals: also keep what the codes leave out, see `MotionVQModel.encode`: they take 2 bytes for each
            of the VQ's hidden values, and a code itself takes 4.

    Returns:
        Dataset with the columns `id`, `captions`, `tokens`, `sources` and `codes` (a list of code sequences, the first
        from frame 0), row by row as in `dataset`. The features are left out; join by row where both are needed. With
        `residuals`, the column of that name has for each code sequence the bytes of float16 (tokens, hidden).
    """
    unit_length = vq_model.config.unit_length
    if not 1 <= num_offsets <= unit_length:
        raise ValueError(f"num_offsets is {num_offsets}, but has to be between 1 and unit_length {unit_length}.")
    order = num_workers if isinstance(dataset, IterableDataset) else 0
    wanted = (CACHE_VERSION, dataset._fingerprint, num_offsets, order) + (("residuals",) if residuals else ())
    fingerprint = hashlib.sha256(repr(wanted).encode())
    statistics = np.array([feature_extractor.mean, feature_extractor.std])
    fingerprint.update(statistics.tobytes() + vq_model.config.to_json_string().encode())
    for name, tensor in vq_model.state_dict().items():
        fingerprint.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())

    columns = {name: feature for name, feature in dataset.features.items() if name != "features"}
    loader = DataLoader(
        dataset,
        batch_size=max(1, batch_size // num_offsets),
        collate_fn=_Readings(feature_extractor, unit_length, num_offsets),
        num_workers=num_workers,
        generator=torch.Generator(),  # otherwise, random numbers would depend on whether the codes are in the cache
    )
    path = cache_folder() / f"codes-{fingerprint.hexdigest()[:32]}.arrow"
    was_training = vq_model.training
    vq_model.eval()
    try:
        columns = Features(columns | {"codes": List(List(Value("int32")))})
        if residuals:
            columns["residuals"] = List(Value("large_binary"))
        batches = tqdm(loader, "Motion tokens", mininterval=5.0)
        return cached(Path(path), columns, lambda: _encoded(batches, vq_model, residuals))
    finally:
        vq_model.train(was_training)


@dataclass
class _Readings:
    """Rows of motions to padded `motion_values`, several readings of each row, and what else the rows hold."""

    feature_extractor: Any
    unit_length: int
    num_offsets: int

    def __call__(self, rows: list[dict]) -> tuple[list[dict], list[int], torch.Tensor, torch.Tensor]:
        motions, counts = [], []
        for row in rows:
            features = row.pop("features")
            normalized = torch.from_numpy(self.feature_extractor.normalize(features))
            # A very short clip has no whole token left at the later offsets.
            offsets = range(self.num_offsets)[: max(0, len(features) - self.unit_length + 1)]
            motions += [normalized[offset:] for offset in offsets]
            counts.append(len(offsets))
        motion_values = torch.nn.utils.rnn.pad_sequence(motions, batch_first=True)  # (rows * offsets, frames, F)
        lengths = torch.tensor([len(motion) for motion in motions])
        mask = (torch.arange(motion_values.shape[1]) < lengths[:, None]).long()
        return rows, counts, motion_values, mask


@torch.no_grad()
def _encoded(batches: Iterator, vq_model: torch.nn.Module, residuals: bool) -> Iterator[dict]:
    """The rows with their codes, and residuals if wanted."""
    device = next(vq_model.parameters()).device
    for rows, counts, motion_values, mask in batches:
        encoded = vq_model.encode(motion_values.to(device), mask.to(device), output_residuals=residuals)
        lengths = encoded.attention_mask.sum(-1).tolist()
        found = {"codes": [row[:length].tolist() for row, length in zip(encoded.codes, lengths, strict=True)]}
        if residuals:
            most = torch.finfo(torch.float16).max
            rest = encoded.residuals.clamp(-most, most).half().cpu().numpy()  # (rows * offsets, tokens, hidden)
            found["residuals"] = [row[:length].tobytes() for row, length in zip(rest, lengths, strict=True)]
        end = 0
        for row, count in zip(rows, counts, strict=True):
            start, end = end, end + count
            yield row | {name: sequences[start:end] for name, sequences in found.items()}
