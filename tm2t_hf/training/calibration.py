# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What is found out about a trained model at the end: what it can do (`actions.json`), and where its knowledge ends.

Both are written into its folder, `coverage.safetensors` by `training/coverage.py`, and its card lists the actions.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from os import PathLike

import numpy as np
import torch
from transformers import AutoModelForSeq2SeqLM

from ..actions import Action, write_actions
from ..coverage import EMPTY_WORDS
from ..loading import load_processor, load_whole
from ..pipelines import PIPELINES, MotionToTextPipeline, TextToMotionPipeline
from ..processing_tm2t import TM2TProcessor
from .coverage import CalibrationReport, embed, save_motion_coverage, save_text_coverage
from .model_card import list_actions

logger = logging.getLogger(__name__)

MOST_MOTIONS = 200  # that a motion-to-text model is calibrated on
MOST_ACTIONS = 40  # in a list that is made from captions alone
MOST_CAPTIONS = 5000  # that such a list is made from
SAME = 0.75  # cosine of captions of one action
JITTER = 0.005  # meters; what motion capture of other people has


def calibrate_requests(
    folder: str | PathLike,
    captions: Sequence[Sequence[str]],
    labels: Sequence[str] | None = None,
    plain: Sequence[bool] | None = None,
    known: Sequence[str] = (),
    unknown: Sequence[str] | None = None,
    others: Sequence[str] = (),
) -> CalibrationReport | None:
    """Find out what a text-to-motion model learned, and write it into its folder.

    Args:
        folder: the checkpoint.
        captions: those of each training clip.
        labels: the action of each training clip; found from the captions if left out.
        plain: with labels, whether each clip shows its action in no special way: a prompt is taken from such clips.
        known: as `save_text_coverage` takes them, as the next two.
        unknown: requests for what the model did not learn.
        others: sentences about what it did not learn.

    Returns:
        How well the score tells known from unknown requests; None where there is too little to calibrate it on.
    """
    animate = _load("text-to-motion", folder)
    report = save_text_coverage(folder, animate, [each for own in captions for each in own], known, unknown, others)
    _log(folder, report)
    if labels is None:
        actions = actions_of_captions(captions, lambda texts: embed(animate, texts))
    else:
        actions = actions_of_labels(captions, labels, plain, lambda texts: embed(animate, texts))
    write_actions(folder, actions)
    list_actions(folder, actions)
    return report


def calibrate_motions(
    folder: str | PathLike, known: Sequence[np.ndarray], unknown: Sequence[np.ndarray] | None = None
) -> CalibrationReport | None:
    """Find out where what a motion-to-text model learned ends, and write it into its folder.

    Args:
        folder: the checkpoint.
        known: joints (frames, joints, 3) of clips like those that it was trained on, such as the validation split. To
            every second one, noise is added.
        unknown: joints of other motions; by default, clips spoiled in several ways.

    Returns:
        How well the score tells them apart; None if there are too few.
    """
    random = np.random.default_rng(0)
    known = [known[index] for index in np.linspace(0, len(known) - 1, min(len(known), MOST_MOTIONS)).astype(int)]
    describe = _load("motion-to-text", folder)
    known = [
        joints + random.normal(size=joints.shape, scale=JITTER * (number % 2)).astype(joints.dtype)
        for number, joints in enumerate(known)
    ]
    report = save_motion_coverage(folder, describe, known, unknown)
    _log(folder, report)
    return report


def actions_of_labels(
    captions: Sequence[Sequence[str]],
    labels: Sequence[str],
    plain: Sequence[bool] | None,
    embed: Callable[[Sequence[str]], torch.Tensor],
) -> list[Action]:
    """The actions that clips are labeled with, the most frequent first; each with its most typical caption."""
    of_action = defaultdict(list)
    for index, label in enumerate(labels):
        of_action[label].append(index)
    actions = []
    for label, clips in sorted(of_action.items(), key=lambda item: -len(item[1])):
        ordinary = [clip for clip in clips if plain is None or plain[clip]] or clips
        texts = list(dict.fromkeys(caption for clip in ordinary for caption in captions[clip]))[:MOST_CAPTIONS]
        embeddings = embed(texts)
        typical = int((embeddings @ embeddings.mean(0)).argmax())
        actions.append(Action(label, texts[typical], len(clips)))
    return actions


def actions_of_captions(
    captions: Sequence[Sequence[str]], embed: Callable[[Sequence[str]], torch.Tensor]
) -> list[Action]:
    """Groups of similar captions, the largest first, each called by the words of the caption in its middle."""
    counts = Counter(caption for own in captions for caption in set(own))
    texts = [text for text, _ in counts.most_common(MOST_CAPTIONS)]
    embeddings = embed(texts)
    clips_of = defaultdict(set)
    for clip, own in enumerate(captions):
        for caption in own:
            clips_of[caption].add(clip)
    similar = embeddings @ embeddings.T >= SAME  # (texts, texts)
    weights = torch.tensor([float(counts[text]) for text in texts])
    left = torch.ones(len(texts), dtype=torch.bool)
    actions = []
    while left.any() and len(actions) < MOST_ACTIONS:
        sizes = (similar & left).float() @ weights  # what each text would stand for
        middle = int(torch.where(left, sizes, -1.0).argmax())
        members = (similar[middle] & left).nonzero().flatten().tolist()
        clips = set().union(*(clips_of[texts[member]] for member in members))
        actions.append(Action(_name_of(texts[middle]), texts[middle], len(clips)))
        left[members] = False
    return actions


def _name_of(caption: str) -> str:
    words = [word for word in re.findall(r"[^\W_]+", caption.casefold()) if word not in EMPTY_WORDS]
    return "-".join(words) or caption


def _load(task: str, folder: str | PathLike) -> TextToMotionPipeline | MotionToTextPipeline:
    model = load_whole(AutoModelForSeq2SeqLM, folder)
    return PIPELINES[task](model=model, processor=load_processor(TM2TProcessor, folder), device="cpu")


def _log(folder: str | PathLike, report: CalibrationReport | None) -> None:
    if report is not None:
        logger.info(
            f"{folder}: the score tells known from unknown cases with an area under the ROC curve of "
            f"{report.auc:.3f}; below its threshold {report.threshold:.2f} lie {report.unknown_warned:.1%} of the "
            f"unknown and {report.known_warned:.1%} of the known ones."
        )


__all__ = ["actions_of_captions", "actions_of_labels", "calibrate_motions", "calibrate_requests"]
