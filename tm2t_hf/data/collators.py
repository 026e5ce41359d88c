# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Rows of a data set to batches: windows and crops, captions and codes drawn for each row."""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


def row_generator(seed: int, epoch: int, row_id: str) -> np.random.Generator:
    """The random source of one row in one epoch.

    It depends on nothing else, so a resumed run, another number of processes or of workers sees the same data.
    """
    return np.random.default_rng((seed, epoch, zlib.crc32(row_id.encode())))


def crop_window(num_frames: int, window: int, unit_length: int, rng: np.random.Generator | None) -> slice:
    """A window of `window` frames at a random start; of a shorter clip, all its whole tokens.

    Without `rng` the window starts at the first frame. Raises ValueError for clips shorter than one token.
    """
    if num_frames < unit_length:
        raise ValueError(f"A clip of {num_frames} frames is shorter than one motion token ({unit_length} frames).")
    length = min(window, num_frames) // unit_length * unit_length
    start = 0 if rng is None else int(rng.integers(num_frames - length + 1))
    return slice(start, start + length)


def crop_tokens(num_frames: int, unit_length: int, rng: np.random.Generator) -> slice:
    """The original's crop: to whole tokens, one time in three one token shorter, at a random start."""
    shorter = unit_length if rng.integers(3) == 0 and num_frames >= 2 * unit_length else 0
    return crop_window(num_frames, num_frames - shorter, unit_length, rng)


def draw_caption(row: dict, rng: np.random.Generator, even_sources: bool = False) -> str:
    """One of a row's captions.

    Args:
        row: of `load_motion_dataset` or `tokenize_motions`.
        rng: the source of the draw.
        even_sources: first draw one of the folders that the captions are from, then one of its captions: a folder with
            many captions then counts no more than one with few.
    """
    captions = row["captions"]
    if even_sources and len(sources := sorted(set(row["sources"]))) > 1:
        chosen = sources[rng.integers(len(sources))]
        captions = [caption for caption, source in zip(captions, row["sources"], strict=True) if source == chosen]
    return captions[rng.integers(len(captions))]


@dataclass
class VQCollator:
    """Rows of `load_motion_dataset` -> normalized `motion_values` (batch, window, feature_size) and `attention_mask`.

    Args:
        feature_extractor: gives mean, std and unit_length.
        window: frames of a training window; shorter clips are padded with zeros and masked. None takes all whole
            tokens of each clip, padded to the longest.
        random: draw the window's start; otherwise it is the first frame. Set `epoch` before each epoch.
        seed, epoch: what the draws depend on, besides the row's id.
    """

    feature_extractor: Any
    window: int | None = 64
    random: bool = True
    seed: int = 0
    epoch: int = 0

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        """One batch."""
        extractor = self.feature_extractor
        crops = []
        for row in rows:
            features = np.asarray(row["features"], dtype=np.float32)
            rng = row_generator(self.seed, self.epoch, row["id"]) if self.random else None
            window = self.window or len(features)
            crops.append(features[crop_window(len(features), window, extractor.unit_length, rng)])
        frames = self.window or max(map(len, crops))
        motion_values = np.zeros((len(crops), frames, extractor.feature_size), dtype=np.float32)
        attention_mask = np.zeros((len(crops), frames), dtype=np.int64)
        for index, crop in enumerate(crops):
            motion_values[index, : len(crop)] = extractor.normalize(crop)
            attention_mask[index, : len(crop)] = 1
        return {"motion_values": torch.from_numpy(motion_values), "attention_mask": torch.from_numpy(attention_mask)}


@dataclass
class TranslationCollator:
    """Rows of `tokenize_motions` -> `input_ids`, `attention_mask`, `labels` for one direction of translation.

    The source is `<bom> codes <eom>` or `<bos> caption <eos>`. Labels are what the decoder has to predict, so they
    hold no `<bom>` or `<bos>` (the decoder starts with it) but end with `<eom>` or `<eos>`, and are padded with -100.
    From motion to text, rows with residuals give `residuals` (batch, tokens, hidden) as well, zero at special ids and
    for rows that have none.

    Args:
        tokenizer: text tokenizer that puts `<bos>` and `<eos>` around a caption.
        motion_tokenizer: a `MotionTokenizer`, which puts `<bom>` and `<eom>` around the codes.
        direction: "m2t" (motion to text) or "t2m" (text to motion).
        random: draw one caption and one code sequence per row, and one time in three leave out the first or the last
            code, as the original does. Otherwise the first caption and the whole first sequence are taken.
        even_sources: with `random`, how a caption is drawn, see `draw_caption`.
        shortest_crop: with `random`, half of the sequences are cropped to a random stretch of at least this share of
            their length, so that an action or a style is known by any part of it; 1 crops nothing.
        max_text_length: captions are cut to this many ids.
        text_features: from text to motion, gives for a list of captions one (words, size) tensor each, as
            `CaptionFeatures` does; the batch then holds `inputs_embeds` (batch, words, size) in place of `input_ids`.
        label_tokenizer: the tokenizer of a motion-to-text model; the batch then also holds `caption_labels`, what
            that model has to say of each motion, as `labels` are.
        seed, epoch: what the draws depend on, besides the row's id. Set `epoch` before each epoch.
    """

    tokenizer: Any
    motion_tokenizer: Any
    direction: str
    random: bool = True
    even_sources: bool = False
    max_text_length: int | None = None
    text_features: Callable[[list[str]], list[torch.Tensor]] | None = None
    label_tokenizer: Any = None
    shortest_crop: float = 1.0
    seed: int = 0
    epoch: int = 0

    def __post_init__(self):
        if not 0 < self.shortest_crop <= 1:
            raise ValueError(f"shortest_crop is {self.shortest_crop}, but has to be above 0 and at most 1.")
        if self.direction not in ("m2t", "t2m"):
            raise ValueError(f"direction is {self.direction!r}, but has to be 'm2t' or 't2m'.")

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        """One batch."""
        captions, codes, residuals = zip(*map(self._choose, rows), strict=True)
        captions = list(captions)
        motion_ids = [self.motion_tokenizer.codes_to_ids(sequence) for sequence in codes]
        batch = {}
        if self.direction == "m2t":
            source, pad, target = motion_ids, self.motion_tokenizer.pad_token_id, self._ids(self.tokenizer, captions)
            if any(each is not None for each in residuals):
                hidden = next(each.shape[1] for each in residuals if each is not None)
                known = [
                    torch.zeros(len(sequence), hidden) if each is None else each.float()
                    for sequence, each in zip(codes, residuals, strict=True)
                ]
                padded = torch.nn.utils.rnn.pad_sequence(known, batch_first=True)  # (batch, longest, hidden)
                batch["residuals"] = torch.nn.functional.pad(padded, (0, 0, 1, 1))
        elif self.text_features is None:
            source, pad, target = self._ids(self.tokenizer, captions), self.tokenizer.pad_token_id, motion_ids
        else:
            source, pad, target = self.text_features(captions), None, motion_ids
            batch["inputs_embeds"] = torch.nn.utils.rnn.pad_sequence(source, batch_first=True).float()
        if pad is not None:
            batch["input_ids"] = _pad(source, pad)
        batch["attention_mask"] = _pad([[1] * len(ids) for ids in source], 0)
        batch["labels"] = _pad([ids[1:] for ids in target], -100)
        if self.label_tokenizer is not None:
            batch["caption_labels"] = _pad([ids[1:] for ids in self._ids(self.label_tokenizer, captions)], -100)
        return batch

    def _ids(self, tokenizer: Any, captions: list[str]) -> list[list[int]]:
        truncation = {"truncation": True, "max_length": self.max_text_length} if self.max_text_length else {}
        return tokenizer(captions, **truncation)["input_ids"]

    def _choose(self, row: dict) -> tuple[str, list[int], torch.Tensor | None]:
        """A caption, codes, and the residuals (codes, hidden) of these, None where the row has none."""
        if not self.random:
            return row["captions"][0], row["codes"][0], _residuals(row, 0)
        rng = row_generator(self.seed, self.epoch, row["id"])
        caption = draw_caption(row, rng, self.even_sources)
        number = rng.integers(len(row["codes"]))
        codes, residuals = row["codes"][number], _residuals(row, number)
        kept = range(len(codes))
        if rng.integers(3) == 0 and len(kept) > 1:
            kept = kept[1:] if rng.integers(2) else kept[:-1]
        if self.shortest_crop < 1 and rng.integers(2) == 0:
            length = math.ceil(len(kept) * rng.uniform(self.shortest_crop, 1))
            start = rng.integers(len(kept) - length + 1)
            kept = kept[start : start + length]
        kept = slice(kept.start, kept.stop)
        return caption, codes[kept], None if residuals is None else residuals[kept]


class CaptionFeatures:
    """Features of captions by a frozen text encoder, computed once per caption and kept in half precision.

    The workers of a data loader know what was computed before they were made: call it with all captions first.

    Args:
        model: a text-to-motion model, of which `get_text_features` and `device` are used.
        tokenizer: the text encoder's.
        batch_size: captions encoded at once.
    """

    def __init__(self, model: Any, tokenizer: Any, batch_size: int = 64):
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size
        self.known: dict[str, torch.Tensor] = {}

    def __call__(self, captions: list[str]) -> list[torch.Tensor]:
        """One (words, size) tensor per caption."""
        new = sorted(set(captions) - self.known.keys())
        for start in range(0, len(new), self.batch_size):
            self._encode(new[start : start + self.batch_size])
        return [self.known[caption] for caption in captions]

    @torch.no_grad()
    def _encode(self, captions: list[str]):
        text = self.tokenizer(captions, padding=True, padding_side="right", return_tensors="pt").to(self.model.device)
        features = self.model.get_text_features(text["input_ids"], text["attention_mask"]).cpu()
        for caption, row, length in zip(captions, features, text["attention_mask"].sum(1).tolist(), strict=True):
            self.known[caption] = row[:length].to(torch.float16, copy=True)


def _residuals(row: dict, number: int) -> torch.Tensor | None:
    """Those of a row's code sequence of this number, (codes, hidden) float16."""
    if row.get("residuals") is None:
        return None
    values = np.frombuffer(row["residuals"][number], dtype=np.float16)
    return torch.from_numpy(values.reshape(len(row["codes"][number]), -1).copy())


def _pad(sequences: list[list[int]], value: int) -> torch.Tensor:
    """Right-padded (batch, longest) int64."""
    tensors = [torch.tensor(sequence, dtype=torch.long) for sequence in sequences]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)
