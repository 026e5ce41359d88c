# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motion-text data: a folder in the HumanML3D layout as a `datasets.Dataset`, and collators that make its batches.

The layout (Guo et al. 2022; HumanML3D and KIT-ML fit as they are):

    new_joint_vecs/<id>.npy   features (frames, feature_size)
    new_joints/<id>.npy       joints (frames, joints, 3) in metres, y up
    texts/<id>.txt            a line a caption: caption#lemma/POS ...#start#end (seconds; 0.0#0.0 = whole clip)
    train.txt, val.txt, ...   an id a line
    Mean.npy, Std.npy         (feature_size,)
"""

import hashlib
import logging
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Array2D, Dataset, Features, List, Value
from datasets.exceptions import DatasetGenerationError

from .motion import HUMANML3D, Skeleton, features_to_joints, joints_to_features, mirror_joints, resample

logger = logging.getLogger(__name__)

# Part of every cache key: raise it when the same folder has to give other rows than before.
CACHE_VERSION = 1


# ---------------------------------------------------------------------------------------------------------------- text


class CaptionLine(NamedTuple):
    """One line of `texts/<id>.txt`. `start` and `end` are seconds; both 0.0 mean the whole clip."""

    caption: str
    tokens: str
    start: float
    end: float

    @property
    def whole_clip(self) -> bool:
        return self.start == 0.0 and self.end == 0.0


def read_captions(path: str | Path) -> list[CaptionLine]:
    """Read the caption lines of one clip.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not `caption#tokens#start#end`, a caption is empty, or there is no line at all.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"The clip {path.stem} has no text: {path} is missing.")
    lines = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.rsplit("#", 3)]
        try:
            caption, tokens, start, end = parts[0], parts[1], float(parts[2]), float(parts[3])
        except (IndexError, ValueError):
            raise ValueError(
                f"{path}, line {number}: expected 'caption#lemma/POS ...#start#end', got {line!r}."
            ) from None
        if not caption:
            raise ValueError(f"{path}, line {number}: the caption is empty.")
        # HumanML3D writes "nan" where a caption belongs to the whole clip.
        lines.append(CaptionLine(caption, tokens, *(0.0 if math.isnan(tag) else tag for tag in (start, end))))
    if not lines:
        raise ValueError(f"The clip {path.stem} has no caption: {path} is empty.")
    return lines


_SIDES = re.compile(
    r"(?<![a-z])(?:"
    r"(?P<side>left|right)(?=(?:s|wards?|most|(?:hand|foot|arm|leg|side)(?:s|ed|er)?)?(?![a-z]))"
    r"|(?P<counter>(?:counter|anti)(?:/[A-Z]+)?[- ]?clockwise)(?![a-z])"
    r"|(?P<clockwise>clockwise)(?![a-z])"
    r")",
    re.IGNORECASE,
)


def mirror_caption(caption: str) -> str:
    """Swap left and right (also leftward, right-handed, ...) and clockwise and counterclockwise, keeping the case.

    Works on plain captions and on `lemma/POS` strings. Twice gives the caption back, but for the spellings
    "counter-clockwise" and "anticlockwise", which come back as "counterclockwise".
    """

    def swap(match: re.Match) -> str:
        if match["side"]:
            mirrored = "right" if match["side"].lower() == "left" else "left"
        else:
            mirrored = "clockwise" if match["counter"] else "counterclockwise"
        found = match.group()
        return mirrored.upper() if found.isupper() else mirrored.capitalize() if found[0].isupper() else mirrored

    return _SIDES.sub(swap, caption)


# -------------------------------------------------------------------------------------------------------------- folder


def read_split(data_dir: str | Path, split: str) -> list[str]:
    """The clip ids of `<split>.txt`, in file order.

    Raises:
        FileNotFoundError: no such folder or split file.
        ValueError: the split file names no clip, or one twice.
    """
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise FileNotFoundError(f"There is no data folder {data_dir}.")
    path = data_dir / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(sorted(file.name for file in data_dir.glob("*.txt"))) or "none"
        raise FileNotFoundError(f"{data_dir} has no split file {split}.txt (split files there: {there}).")
    ids = path.read_text(encoding="utf-8").split()
    if not ids:
        raise ValueError(f"The split file {path} names no clip.")
    if len(set(ids)) < len(ids):
        twice = next(clip for clip in ids if ids.count(clip) > 1)
        raise ValueError(f"The split file {path} names the clip {twice} more than once.")
    return ids


def load_statistics(data_dir: str | Path, skeleton: Skeleton = HUMANML3D) -> tuple[np.ndarray, np.ndarray]:
    """Read `Mean.npy` and `Std.npy`: two float32 arrays (feature_size,).

    Raises:
        FileNotFoundError: one of them is missing.
        ValueError: wrong size, NaN, or a standard deviation that is not positive.
    """
    statistics = []
    for name in ("Mean.npy", "Std.npy"):
        path = Path(data_dir) / name
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: make it with `tm2t-hf prepare {data_dir}`.")
        values = np.load(path, allow_pickle=False)
        if values.shape != (skeleton.feature_size,):
            raise ValueError(
                f"{path} has shape {values.shape}, but {skeleton.name} has {skeleton.feature_size} features."
            )
        if not np.isfinite(values).all() or (name == "Std.npy" and (values <= 0).any()):
            raise ValueError(f"{path} holds values no statistic can have (NaN, infinite, or a deviation of 0).")
        statistics.append(values.astype(np.float32))
    return statistics[0], statistics[1]


class _Row(NamedTuple):
    """What one row of the dataset is made of: frames start:end of a feature file, mirrored or at another speed."""

    id: str
    path: str
    start: int
    end: int
    mirrored: bool
    captions: list[str]
    tokens: list[str]
    speed: float = 1.0


def load_motion_dataset(
    data_dir: str | Path,
    split: str,
    skeleton: Skeleton = HUMANML3D,
    min_frames: int = 20,
    max_frames: int = 199,
    mirror: bool = False,
    speeds: Sequence[float] = (1.0,),
    repeats: Mapping[str, int] | None = None,
) -> Dataset:
    """Load one split of a folder in the HumanML3D layout.

    A row is a clip with its whole-clip captions, or the part of a clip that a tagged caption names (captions with the
    same tags share a row); the part is a row of its own and leaves the clip as it is. Rows are built once and
    memory-mapped from the `datasets` cache, whose key covers the files' names, sizes and times.

    Args:
        data_dir: the folder.
        split: name of the split file without `.txt`.
        skeleton: what the features belong to.
        min_frames, max_frames: rows outside these lengths are dropped, and their number is logged. The original takes
            40 to 199 for HumanML3D and 24 to 199 for KIT-ML.
        mirror: also add every row mirrored left to right, motion and words, with the id prefixed by "M". For training
            splits only. Clips whose mirror image is already in the split (as in HumanML3D) are not mirrored again.
        speeds: every row at each of these speeds, with the id followed by `*<speed>` where it is not 1. For training
            splits only: slightly slower and faster performances are other token sequences of the same movement.
        repeats: how many times a clip counts whose name matches a pattern: `{"dance_*": 4}`. The further rows have ids
            followed by `#2`, `#3`, ..., so their crops and captions are drawn apart. For training splits only: rare
            kinds of motion would otherwise be learned last.

    Returns:
        Dataset with the columns `id` (str; a part is `<clip>@<start>-<end>` in seconds), `features` (frames,
        feature_size) float32, not normalised, a frame shorter where mirrored or of another speed, `captions` (list of
        str) and `tokens` (the caption's `lemma/POS` string, list of str). `features` comes as a numpy array.

    Raises:
        FileNotFoundError: the split file, a feature file or a text file is missing.
        ValueError: wrong feature size, NaN or infinite features, a malformed text file, or no row within the limits.
    """
    data_dir = Path(data_dir)
    clips = read_split(data_dir, split)
    rows, dropped = [], 0
    fingerprint = hashlib.sha256(repr((CACHE_VERSION, skeleton, min_frames, max_frames)).encode())
    for clip in clips:
        path = data_dir / "new_joint_vecs" / f"{clip}.npy"
        num_frames = _count_frames(path, skeleton)
        stat = path.stat()
        fingerprint.update(repr((str(path.resolve()), stat.st_size, stat.st_mtime_ns)).encode())
        for row in _rows_of_clip(clip, path, num_frames, data_dir / "texts" / f"{clip}.txt", skeleton.fps):
            if min_frames <= row.end - row.start <= max_frames:
                rows.append(row)
            else:
                dropped += 1
    if mirror:
        known = set(clips)
        rows += [_mirror_row(row) for row in rows if not _has_mirror_image(row.id, known)]
    repeats = dict(repeats or {})
    if not all(isinstance(times, int) and times >= 1 for times in repeats.values()):
        raise ValueError(f"repeats must give whole numbers from 1 on; got {repeats}.")
    if not all(speed > 0 for speed in speeds):
        raise ValueError(f"speeds must be above 0 (1 is as recorded); got {list(speeds)}.")
    rows = [
        row if speed == 1 else row._replace(id=f"{row.id}*{speed:g}", speed=float(speed))
        for speed in speeds
        for row in rows
    ]
    rows = _repeated(rows, repeats)
    logger.info(
        "%s/%s.txt: %d clips, %d rows, %d dropped for their length (limits %d to %d frames).",
        data_dir, split, len(clips), len(rows), dropped, min_frames, max_frames,
    )  # fmt: skip
    if not rows:
        raise ValueError(f"No clip of {data_dir / split}.txt is {min_frames} to {max_frames} frames long.")
    fingerprint.update(repr(rows).encode())

    columns = Features(
        {
            "id": Value("string"),
            "features": Array2D((None, skeleton.feature_size), "float32"),
            "captions": List(Value("string")),
            "tokens": List(Value("string")),
        }
    )
    try:
        dataset = Dataset.from_generator(
            _generate_rows,
            features=columns,
            gen_kwargs={"rows": _Opaque(rows), "skeleton": _Opaque(skeleton)},
            fingerprint=fingerprint.hexdigest()[:32],
        )
    except DatasetGenerationError as error:
        if isinstance(error.__cause__, ValueError):
            raise error.__cause__ from None
        raise
    return dataset.with_format("numpy", columns=["features"], output_all_columns=True)


def _count_frames(path: Path, skeleton: Skeleton) -> int:
    """Length of a feature file, read from its header alone."""
    if not path.is_file():
        raise FileNotFoundError(
            f"The clip {path.stem} has no features: {path} is missing; make it from new_joints with "
            f"`tm2t-hf prepare {path.parent.parent}`."
        )
    shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    if len(shape) != 2 or shape[1] != skeleton.feature_size:
        raise ValueError(f"{path} has shape {shape}, but {skeleton.name} needs (frames, {skeleton.feature_size}).")
    return shape[0]


def _rows_of_clip(clip: str, path: Path, num_frames: int, text: Path, fps: float) -> list[_Row]:
    rows: dict[tuple[float, float], _Row] = {}
    for line in read_captions(text):
        tags = (line.start, line.end)
        if tags not in rows:
            if line.whole_clip:
                row_id, start, end = clip, 0, num_frames
            else:
                row_id = f"{clip}@{line.start:g}-{line.end:g}"
                start, end = (min(max(int(tag * fps), 0), num_frames) for tag in tags)
            rows[tags] = _Row(row_id, str(path), start, end, False, [], [])
        rows[tags].captions.append(line.caption)
        rows[tags].tokens.append(line.tokens)
    return list(rows.values())


def _mirror_row(row: _Row) -> _Row:
    return row._replace(
        id=f"M{row.id}",
        mirrored=True,
        captions=[mirror_caption(caption) for caption in row.captions],
        tokens=[mirror_caption(tokens) for tokens in row.tokens],
    )


def _repeated(rows: list[_Row], repeats: Mapping[str, int]) -> list[_Row]:
    """The rows, and further ones of the clips whose names match: as many as the largest matching number says."""
    unmatched = dict(repeats)
    further = []
    for row in rows:
        matching = [pattern for pattern in repeats if fnmatchcase(Path(row.path).stem, pattern)]
        for pattern in matching:
            unmatched.pop(pattern, None)
        times = max((repeats[pattern] for pattern in matching), default=1)
        further += [row._replace(id=f"{row.id}#{time}") for time in range(2, times + 1)]
    if unmatched:
        raise ValueError(f"repeats names {', '.join(unmatched)}, which no clip's name matches.")
    return rows + further


def _has_mirror_image(row_id: str, clips: set[str]) -> bool:
    clip = row_id.split("@")[0]
    return f"M{clip}" in clips or (clip.startswith("M") and clip[1:] in clips)


@dataclass(frozen=True)
class _Opaque:
    """Keeps `from_generator` from looking into (and splitting) an argument: lists there mean shards."""

    value: Any


def _generate_rows(rows: _Opaque, skeleton: _Opaque):
    for row in rows.value:
        features = np.load(row.path, allow_pickle=False)[row.start : row.end].astype(np.float32)
        if not np.isfinite(features).all():
            raise ValueError(f"{row.path} holds NaN or infinite features.")
        if row.mirrored or row.speed != 1:
            features = varied_motion(features, skeleton.value, row.mirrored, row.speed)
        yield {"id": row.id, "features": features, "captions": row.captions, "tokens": row.tokens}


def varied_motion(features: np.ndarray, skeleton: Skeleton, mirror: bool = False, speed: float = 1.0) -> np.ndarray:
    """Unnormalised features (frames, feature_size) mirrored left to right, or at another speed (2 is twice as fast).

    Goes through the joints, so that rotations, velocities and contacts are those of the varied motion, which is one
    frame shorter than it would be.
    """
    joints = features_to_joints(features, skeleton.num_joints)
    joints = mirror_joints(joints, skeleton) if mirror else joints
    return joints_to_features(resample(joints, speed, 1.0), skeleton).astype(np.float32)


# --------------------------------------------------------------------------------------------------------------- crops


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


# -------------------------------------------------------------------------------------------------------------- tokens


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
        feature_extractor: a `MotionFeatureExtractor` (its mean and std normalise the features).
        batch_size: clips encoded at once; encoding is masked, so it does not change the codes.
        num_offsets: code sequences a clip, starting at frame 0, 1, ... (at most `unit_length`, beyond which they
            repeat); training picks one at random, as the original does with its five token files a clip.

    Returns:
        Dataset with the columns `id`, `captions`, `tokens` and `codes` (a list of code sequences, the first from frame
        0), row by row as in `dataset`. The features are left out; join by row where both are needed.
    """
    unit_length = vq_model.config.unit_length
    if not 1 <= num_offsets <= unit_length:
        raise ValueError(f"num_offsets is {num_offsets}, but has to be between 1 and unit_length {unit_length}.")
    mean, std = _statistics_of(feature_extractor)
    fingerprint = hashlib.sha256(repr((CACHE_VERSION, dataset._fingerprint, num_offsets)).encode())
    fingerprint.update(mean.tobytes() + std.tobytes() + vq_model.config.to_json_string().encode())
    for name, tensor in vq_model.state_dict().items():
        fingerprint.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())

    def encode(batch: dict) -> dict:
        motions = []
        for features in batch["features"]:
            normalised = torch.from_numpy((features - mean) / std)
            for offset in range(num_offsets):
                whole_tokens = (len(features) - offset) // unit_length * unit_length
                motions.append(normalised[offset : offset + whole_tokens])
        motion_values = torch.nn.utils.rnn.pad_sequence(motions, batch_first=True)  # (clips * offsets, frames, F)
        lengths = torch.tensor([len(motion) for motion in motions])
        mask = (torch.arange(motion_values.shape[1]) < lengths[:, None]).long()
        device = next(vq_model.parameters()).device
        codes = vq_model.encode(motion_values.to(device), attention_mask=mask.to(device)).cpu()
        sequences = [row[: length // unit_length].tolist() for row, length in zip(codes, lengths, strict=True)]
        by_clip = (sequences[first : first + num_offsets] for first in range(0, len(sequences), num_offsets))
        # A very short clip has no whole token left at the later offsets.
        return {"codes": [[sequence for sequence in clip if sequence] for clip in by_clip]}

    columns = {name: dataset.features[name] for name in ("id", "captions", "tokens")}
    was_training = vq_model.training
    vq_model.eval()
    try:
        with torch.no_grad():
            return dataset.map(
                encode,
                batched=True,
                batch_size=max(1, batch_size // num_offsets),
                remove_columns=["features"],
                features=Features(columns | {"codes": List(List(Value("int32")))}),
                new_fingerprint=fingerprint.hexdigest()[:32],
                desc="Motion tokens",
            ).with_format(None)
    finally:
        vq_model.train(was_training)


# ----------------------------------------------------------------------------------------------------------- collators


def _statistics_of(feature_extractor: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(feature_extractor.mean, dtype=np.float32), np.asarray(feature_extractor.std, dtype=np.float32)


@dataclass
class VQCollator:
    """Rows of `load_motion_dataset` -> normalised `motion_values` (batch, window, feature_size) and `attention_mask`.

    Args:
        feature_extractor: gives mean, std and unit_length.
        window: frames of a training window; shorter clips are padded with zeros and masked. None takes all whole
            tokens of each clip, padded to the longest.
        random: draw the window's start; otherwise it is the first frame. Set `epoch` before each epoch.
        seed, epoch: what the draws depend on, beside the row's id.
    """

    feature_extractor: Any
    window: int | None = 64
    random: bool = True
    seed: int = 0
    epoch: int = 0

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        mean, std = _statistics_of(self.feature_extractor)
        crops = []
        for row in rows:
            features = np.asarray(row["features"], dtype=np.float32)
            rng = row_generator(self.seed, self.epoch, row["id"]) if self.random else None
            window = self.window or len(features)
            crops.append(features[crop_window(len(features), window, self.feature_extractor.unit_length, rng)])
        frames = self.window or max(map(len, crops))
        motion_values = np.zeros((len(crops), frames, mean.size), dtype=np.float32)
        attention_mask = np.zeros((len(crops), frames), dtype=np.int64)
        for index, crop in enumerate(crops):
            motion_values[index, : len(crop)] = (crop - mean) / std
            attention_mask[index, : len(crop)] = 1
        return {"motion_values": torch.from_numpy(motion_values), "attention_mask": torch.from_numpy(attention_mask)}


@dataclass
class TranslationCollator:
    """Rows of `tokenize_motions` -> `input_ids`, `attention_mask`, `labels` for one direction of translation.

    The source is `<bom> codes <eom>` or `<bos> caption <eos>`. Labels are what the decoder has to predict, so they
    hold no `<bom>` or `<bos>` (the decoder starts with it) but end with `<eom>` or `<eos>`, and are padded with -100.

    Args:
        tokenizer: text tokenizer that puts `<bos>` and `<eos>` around a caption.
        codebook_size: K; `<bom>` is K, `<eom>` K + 1, `<pad>` K + 2.
        direction: "m2t" (motion to text) or "t2m" (text to motion).
        random: draw one caption and one code sequence a row, and one time in three leave out the first or the last
            code, as the original does. Otherwise the first caption and the whole first sequence are taken.
        shortest_crop: with `random`, every second sequence is cropped to a random stretch of at least this share of
            it, so that an action or a style is known by any part of it; 1 crops nothing.
        max_text_length: captions are cut to this many ids.
        seed, epoch: what the draws depend on, beside the row's id. Set `epoch` before each epoch.
    """

    tokenizer: Any
    codebook_size: int
    direction: str
    random: bool = True
    max_text_length: int | None = None
    shortest_crop: float = 1.0
    seed: int = 0
    epoch: int = 0

    def __post_init__(self):
        if not 0 < self.shortest_crop <= 1:
            raise ValueError(f"shortest_crop is {self.shortest_crop}, but has to be above 0 and at most 1.")
        if self.direction not in ("m2t", "t2m"):
            raise ValueError(f"direction is {self.direction!r}, but has to be 'm2t' or 't2m'.")

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        captions, codes = zip(*map(self._choose, rows), strict=True)
        truncation = {"truncation": True, "max_length": self.max_text_length} if self.max_text_length else {}
        text_ids = self.tokenizer(list(captions), **truncation)["input_ids"]
        bom, eom, motion_pad = (self.codebook_size + special for special in range(3))
        motion_ids = [[bom, *sequence, eom] for sequence in codes]
        if self.direction == "m2t":
            source, pad, target = motion_ids, motion_pad, text_ids
        else:
            source, pad, target = text_ids, self.tokenizer.pad_token_id, motion_ids
        return {
            "input_ids": _pad(source, pad),
            "attention_mask": _pad([[1] * len(ids) for ids in source], 0),
            "labels": _pad([ids[1:] for ids in target], -100),
        }

    def _choose(self, row: dict) -> tuple[str, list[int]]:
        if not self.random:
            return row["captions"][0], row["codes"][0]
        rng = row_generator(self.seed, self.epoch, row["id"])
        caption = row["captions"][rng.integers(len(row["captions"]))]
        codes = row["codes"][rng.integers(len(row["codes"]))]
        if rng.integers(3) == 0 and len(codes) > 1:
            codes = codes[1:] if rng.integers(2) else codes[:-1]
        if self.shortest_crop < 1 and rng.integers(2) == 0:
            length = math.ceil(len(codes) * rng.uniform(self.shortest_crop, 1))
            start = rng.integers(len(codes) - length + 1)
            codes = codes[start : start + length]
        return caption, codes


def _pad(sequences: list[list[int]], value: int) -> torch.Tensor:
    """Right-padded (batch, longest) int64."""
    tensors = [torch.tensor(sequence, dtype=torch.long) for sequence in sequences]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)
