# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Makes `coverage.safetensors`: what a trained model learned, and where that ends (see `tm2t_hf/coverage.py`)."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import feature_extraction_motion
from ..coverage import (
    Calibration,
    MotionCoverage,
    TextCoverage,
    content_words,
    embed_texts,
    in_basis,
    known_share,
    text_facts,
)
from ..files import read_text
from ..pipelines import MotionToTextPipeline, TextToMotionPipeline
from ..skeletons import Skeleton

logger = logging.getLogger(__name__)

UNKNOWN_REQUESTS = Path(__file__).with_name("unknown_requests.txt")
BATCH_SIZE = 64
MOST_BYTES = 1_800_000  # of texts and embeddings
FEWEST_DIRECTIONS = 96  # that embeddings are expressed in
MOST_OTHERS = 1500  # embeddings of sentences about what was not learned
MOST_CONSIDERED = 20_000  # captions that are looked at to choose from
MOST_LEFT_OUT = 1000  # captions that are compared with the others
FEWEST = 20  # cases of each kind without which there is nothing to calibrate on
COVERED, COVERED_WORDS = 0.8, 0.5  # cosine and share of words from which a request is about what was learned
FOLDS = 5
DECAY = 0.01  # of the weights, against weights that grow without end on cases that can be told apart


class CalibrationReport(NamedTuple):
    """How well cases are told apart that the calibration has not seen, by cross-validation.

    Attributes:
        auc: area under the ROC curve of the scores, learned against never learned.
        known_warned, unknown_warned: shares of both that lie below the threshold.
        threshold: that is saved.
    """

    auc: float
    known_warned: float
    unknown_warned: float
    threshold: float


def save_text_coverage(
    folder: str | PathLike,
    animate: TextToMotionPipeline,
    captions: Iterable[str],
    known: Sequence[str] = (),
    unknown: Sequence[str] | None = None,
    others: Sequence[str] = (),
) -> CalibrationReport | None:
    """Write what a text-to-motion model learned into its folder.

    Args:
        folder: the checkpoint.
        animate: its pipeline.
        captions: all training captions.
        known: requests for what the model learned, in words other than those of the captions. Without them, captions
            are taken in turn and compared with the others.
        unknown: requests for what it did not learn; those of `unknown_requests.txt` by default. Those that the
            captions cover are left out.
        others: further sentences about what it did not learn, such as captions of other data, that requests are
            compared with. Without them, every second one of `unknown` serves instead.

    Returns:
        How well the score tells them apart; None if there are too few of one kind, and nothing is written.
    """
    unknown = read_lines(UNKNOWN_REQUESTS) if unknown is None else unknown
    coverage, report = fit_text_coverage(list(captions), lambda texts: embed(animate, texts), known, unknown, others)
    if coverage is not None:
        coverage.save(folder)
    return report


def fit_text_coverage(
    captions: Sequence[str],
    embed: Callable[[Sequence[str]], Tensor],
    known: Sequence[str],
    unknown: Sequence[str],
    others: Sequence[str] = (),
) -> tuple[TextCoverage | None, CalibrationReport | None]:
    """As `save_text_coverage`, for an `embed` that turns texts into embeddings (texts, size) of length 1."""
    words = Counter(word for caption in captions for word in set(content_words(caption)))
    distinct = list(dict.fromkeys(captions))
    if len(distinct) > MOST_CONSIDERED:
        distinct = [distinct[index] for index in _evenly(len(distinct), MOST_CONSIDERED)]
    embeddings = embed(distinct)  # (captions, size)
    unknown, of_unknown = _not_covered(unknown, embed, embeddings, words)
    if others:
        of_others = _not_covered(others, embed, embeddings, words)[1]
    else:  # part of the coverage is what it cannot be calibrated on
        of_others, of_unknown, unknown = of_unknown[::2], of_unknown[1::2], unknown[1::2]
    of_others = of_others[_evenly(len(of_others), MOST_OTHERS)]

    kept, basis = smaller(embeddings, of_others, sum(len(caption.encode()) + 4 for caption in distinct))
    distinct, embeddings = [distinct[row] for row in kept.tolist()], embeddings[kept]
    of_known = embed(list(known)) if known else embeddings[_evenly(len(embeddings), MOST_LEFT_OUT)]
    embeddings, of_others, of_known, of_unknown = (
        in_basis(rows, basis) for rows in (embeddings, of_others, of_known, of_unknown)
    )
    to_captions = of_known @ embeddings.T  # (known, captions)
    if known:
        of_known_words = [known_share(text, words) for text in known]
    else:
        left_out = _evenly(len(embeddings), MOST_LEFT_OUT)
        to_captions[torch.arange(len(left_out)), left_out] = -1  # itself
        of_known_words = [known_share(distinct[row], words, at_least=2) for row in left_out.tolist()]
    of_unknown_words = [known_share(text, words) for text in unknown]
    if min(len(of_known), len(of_unknown)) < FEWEST or len(distinct) < 2:
        logger.warning("There are too few captions or requests to find out where what the model learned ends.")
        return None, None
    calibration, report = calibrate(
        text_facts(to_captions, of_known @ of_others.T, of_known_words),
        text_facts(of_unknown @ embeddings.T, of_unknown @ of_others.T, of_unknown_words),
    )
    return TextCoverage(calibration, distinct, embeddings, of_others, basis, sorted(words)), report


def _not_covered(
    texts: Sequence[str], embed: Callable[[Sequence[str]], Tensor], embeddings: Tensor, words: Counter
) -> tuple[list[str], Tensor]:
    """The distinct texts that are about what no caption is about, and their embeddings.

    Both the cosine and the words must say that a caption is about the same: the mean of word vectors, which is what a
    model without a pretrained text encoder has, gives high cosines to everything.
    """
    texts = list(dict.fromkeys(texts))
    if not texts:
        return [], embeddings[:0]
    of_texts = embed(texts)
    near = (of_texts @ embeddings.T).amax(1) >= COVERED
    apart = ~near | (torch.tensor([known_share(text, words) for text in texts]) < COVERED_WORDS)
    return [text for text, use in zip(texts, apart.tolist(), strict=True) if use], of_texts[apart]


def _evenly(count: int, most: int) -> Tensor:
    """Indices of at most `most` of `count` rows, at even distances."""
    return torch.arange(count) if count <= most else torch.linspace(0, count - 1, most).long()


@torch.no_grad()
def embed(animate: TextToMotionPipeline, texts: Sequence[str]) -> Tensor:
    """Embeddings (texts, size) of texts, by the text features of a pipeline's model, on the CPU."""
    rows = []
    for start in range(0, len(texts), BATCH_SIZE):
        inputs = animate.processor(text=list(texts[start : start + BATCH_SIZE]), return_tensors="pt")
        inputs = inputs.to(animate.model.device)
        features = animate.model.get_text_features(inputs["input_ids"], inputs["attention_mask"])
        rows.append(embed_texts(features, inputs["attention_mask"]).cpu())
    return torch.cat(rows)


def smaller(embeddings: Tensor, others: Tensor, bytes_of_text: int) -> tuple[Tensor, Tensor | None]:
    """How embeddings of captions (captions, size) and of other sentences are made to fit into `MOST_BYTES`.

    Returns:
        Indices of the captions to keep, and an orthonormal basis (size, fewer) to express all embeddings in: the
        principal directions of both, or None where they fit as they are. The basis is what gives way first.
    """
    count, size = embeddings.shape
    text = bytes_of_text / count

    def fitting(captions: int) -> int:
        return int((MOST_BYTES - captions * text) / (captions + len(others) + 2 * size))

    if (MOST_BYTES - bytes_of_text) / (count + len(others)) >= size:
        return torch.arange(count), None
    kept = torch.arange(count)
    if fitting(count) < FEWEST_DIRECTIONS:
        most = (MOST_BYTES - FEWEST_DIRECTIONS * (len(others) + 2 * size)) / (FEWEST_DIRECTIONS + text)
        kept = _evenly(count, int(most))
    rows = torch.cat([embeddings[kept], others])
    directions = torch.linalg.eigh((rows.T @ rows).double()).eigenvectors.flip(1)  # the largest first
    return kept, directions[:, : min(size, fitting(len(kept)))].float()


def save_motion_coverage(
    folder: str | PathLike,
    describe: MotionToTextPipeline,
    known: Sequence[np.ndarray],
    unknown: Sequence[np.ndarray] | None = None,
) -> CalibrationReport | None:
    """Write what a motion-to-text model learned into its folder.

    Args:
        folder: the checkpoint.
        describe: its pipeline.
        known: joints (frames, joints, 3) of motions like those that the model learned, which it did not see.
        unknown: joints of motions unlike them; by default what `spoiled` makes of the known ones. Known ones with the
            caption of another count as unknown too, so that the less likely of two captions has the lower score.

    Returns:
        How well the score tells them apart; None if there are too few of one kind, and nothing is written.
    """
    unknown = list(spoiled(known, describe.processor.feature_extractor.skeleton)) if unknown is None else unknown
    if min(len(known), len(unknown)) < FEWEST:
        logger.warning("There are too few motions to find out where what the model learned ends.")
        return None
    describe.coverage = None  # what it has learned is only found out here
    own = [captions[0]["generated_text"] for captions in describe(list(known))]
    others = own[len(own) // 2 :] + own[: len(own) // 2]
    wrong = [number for number in range(len(own)) if own[number] != others[number]]
    unlike = facts_of_motions(describe, unknown)
    mistold = facts_of_motions(describe, [known[n] for n in wrong], [others[n] for n in wrong])
    calibration, report = calibrate(facts_of_motions(describe, known, own), torch.cat([unlike, mistold]))
    MotionCoverage(calibration).save(folder)
    return report


def facts_of_motions(
    describe: MotionToTextPipeline, motions: Sequence[np.ndarray], captions: Sequence[str | None] | None = None
) -> Tensor:
    """Facts (motions, 4) about joints, as `motion_facts`, with these captions or those that the model writes.

    Spoiled motions look wrong, which is not worth a warning.
    """
    captions = [None] * len(motions) if captions is None else captions
    doubts = logging.getLogger(feature_extraction_motion.__name__)
    level = doubts.level
    doubts.setLevel(logging.ERROR)
    try:
        facts = [describe.facts_of(motion, caption) for motion, caption in zip(motions, captions, strict=True)]
    finally:
        doubts.setLevel(level)
    return torch.cat([torch.empty(0, MotionCoverage.num_facts), *facts])


def spoiled(motions: Sequence[np.ndarray], skeleton: Skeleton) -> Iterable[np.ndarray]:
    """Motions that nobody makes: of each, one that lies down, is too fast, in pieces, or two persons' halves."""
    random = np.random.default_rng(0)
    for number, joints in enumerate(motions):
        kind = number % 4
        if kind == 0:
            body = (joints - joints[:, :1])[..., [0, 2, 1]] * np.array([1, -1, 1], joints.dtype)  # onto its back
            path = joints[:, :1] * np.array([1, 0, 1], joints.dtype)
            yield body + path - body[..., 1].min() * np.array([0, 1, 0], joints.dtype)
        elif kind == 1:
            yield joints[:: max(2, min(5, len(joints) // 12))]
        elif kind == 2:
            pieces = np.array_split(np.arange(len(joints)), max(2, len(joints) // 6))
            random.shuffle(pieces)
            yield joints[np.concatenate(pieces)]
        else:
            other = motions[(number * 7 + 1) % len(motions)]
            frames = min(len(joints), len(other))
            mixed = joints[:frames].copy()
            legs = [joint for joint in range(1, skeleton.num_joints) if _is_of_leg(joint, skeleton)]
            mixed[:, legs] = other[:frames, legs] - other[:frames, :1] + mixed[:, :1]
            yield mixed


def _is_of_leg(joint: int, skeleton: Skeleton) -> bool:
    feet = {*skeleton.left_foot, *skeleton.right_foot}
    return any(joint in chain and feet & set(chain) for chain in skeleton.chains)


def calibrate(known: Tensor, unknown: Tensor) -> tuple[Calibration, CalibrationReport]:
    """Fit the score to facts about cases that were learned and that were not.

    The threshold lies in the middle between what 95 % of the known cases exceed and what 90 % of the unknown ones do
    not, in cases that the fit has not seen (by cross-validation); where the two overlap, 95 % of the known cases are
    above it.

    Args:
        known: (cases, facts).
        unknown: likewise.
    """
    facts = torch.cat([known, unknown]).double()
    labels = torch.tensor([1.0] * len(known) + [0.0] * len(unknown), dtype=torch.double)
    folds = torch.arange(len(facts)) % FOLDS
    logits = torch.zeros(len(facts), dtype=torch.double)
    for fold in range(FOLDS):
        weights, bias = _logistic(facts[folds != fold], labels[folds != fold])
        logits[folds == fold] = facts[folds == fold] @ weights + bias
    of_known, of_unknown = logits[labels == 1], logits[labels == 0]
    most_known, most_unknown = of_known.quantile(0.05), of_unknown.quantile(0.9)
    threshold = torch.minimum(most_known, (most_known + most_unknown) / 2)
    weights, bias = _logistic(facts, labels)
    report = CalibrationReport(
        auc=float((of_known[:, None] > of_unknown).double().mean()),
        known_warned=float((of_known < threshold).double().mean()),
        unknown_warned=float((of_unknown < threshold).double().mean()),
        threshold=float(threshold.sigmoid()),
    )
    return Calibration(weights, bias, report.threshold), report


def _logistic(facts: Tensor, labels: Tensor) -> tuple[Tensor, float]:
    """Weights (facts,) and bias of a logistic regression; both kinds of cases count alike, whatever their number."""
    mean, std = facts.mean(0), facts.std(0) + 1e-9
    inputs = torch.cat([(facts - mean) / std, torch.ones(len(facts), 1, dtype=facts.dtype)], dim=1)
    share = labels.mean()
    importance = torch.where(labels > 0, 0.5 / share, 0.5 / (1 - share)) / len(labels)
    weights = torch.zeros(inputs.shape[1], dtype=facts.dtype)
    decay = torch.full_like(weights, 2 * DECAY)
    decay[-1] = 1e-9
    for _ in range(50):  # Newton's method, on a strictly convex function
        probabilities = (inputs @ weights).sigmoid()
        gradient = inputs.T @ (importance * (probabilities - labels)) + decay * weights
        curvature = (inputs.T * (importance * probabilities * (1 - probabilities))) @ inputs + decay.diag()
        step = torch.linalg.solve(curvature, gradient)
        weights = weights - step
        if step.abs().max() < 1e-9:
            break
    scaled = weights[:-1] / std
    return scaled, float(weights[-1] - scaled @ mean)


def read_lines(path: str | PathLike) -> list[str]:
    """The lines of a text file that are not empty."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


__all__ = [
    "CalibrationReport",
    "calibrate",
    "fit_text_coverage",
    "save_motion_coverage",
    "save_text_coverage",
    "spoiled",
]
