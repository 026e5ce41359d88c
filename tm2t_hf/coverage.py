# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What a checkpoint learned, and how well a request or a motion is covered by that: a score from 0 to 1.

A checkpoint carries it in `coverage.safetensors`, next to its weights. `training/coverage.py` makes that file.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedConfig
from transformers.utils import cached_file

from .files import written_beside

COVERAGE_FILE = "coverage.safetensors"
VERSION = 1
NEAREST = 5  # captions that the second of a request's facts is a mean over

# English words that say nothing about what is done: they are known to every model.
EMPTY_WORDS = frozenset(
    word
    for line in (
        "a an the this that these those some any one ones he she it they me him her them his hers its their",
        "theirs i you we my your our us who which what there is are was were be been being am do does did doing",
        "has have having had and or but if as so than then while with without of in on at to from by for into",
        "onto out off over up down about around very really just quite something someone somebody anyone person",
        "people human man men woman women guy lady boy girl figure both",
    )
    for word in line.split()
)
ENDINGS = ("ing", "ies", "ed", "es", "s")


class Calibration(NamedTuple):
    """Facts about a case -> its score, by logistic regression, and the score below which a case is not covered.

    Attributes:
        weights: (facts,) float64.
        bias: the logit of a case whose facts are all 0.
        threshold: from 0 to 1.
    """

    weights: Tensor
    bias: float
    threshold: float

    def score(self, facts: Tensor) -> Tensor:
        """Facts (cases, facts) -> scores (cases,) from 0 to 1."""
        return (facts.double() @ self.weights + self.bias).sigmoid()


class Coverage:
    """What both kinds of coverage share: a calibration, and the file.

    Args:
        calibration: of the facts that the class counts.

    Attributes:
        threshold: a case with a lower score is not covered by what was learned.
    """

    kind: ClassVar[str]
    num_facts: ClassVar[int]

    def __init__(self, calibration: Calibration):
        self.calibration = calibration

    @property
    def threshold(self) -> float:
        """A case with a lower score is not covered by what was learned."""
        return self.calibration.threshold

    def save(self, folder: str | PathLike) -> None:
        """Write `coverage.safetensors` into the folder of a checkpoint."""
        tensors, facts = self._content()
        facts |= {"version": VERSION, "kind": self.kind, "threshold": self.threshold, "bias": self.calibration.bias}
        written = json.dumps(facts, ensure_ascii=False)
        data = save(tensors | {"weights": self.calibration.weights}, {"coverage": written})
        with written_beside(Path(folder) / COVERAGE_FILE) as part:
            part.write_bytes(data)

    def _content(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors, and what is written as JSON."""
        return {}, {}

    @classmethod
    def _from_content(cls, calibration: Calibration, tensors: dict[str, Tensor], facts: dict[str, Any]) -> "Coverage":
        """The inverse of `_content`; raises ValueError, TypeError or KeyError for what is none."""
        return cls(calibration)


class Request(NamedTuple):
    """How a request is covered: a score from 0 to 1, and the caption that comes closest to it."""

    score: float
    nearest: str


class TextCoverage(Coverage):
    """How well requests are covered by the captions that a text-to-motion model was trained on.

    A request is a sentence and its embedding: the mean of the model's text features over the words (`embed_texts`).
    The facts that its score is made of: the cosine to the nearest caption, the mean cosine to the nearest five, the
    share of its words that occur in the captions (endings aside), and the first two for sentences about what the model
    did not learn.

    Args:
        calibration: of these five facts.
        captions: distinct training captions.
        embeddings: (captions, directions) of length 1.
        others: (sentences, directions) of length 1, of sentences about what the model did not learn; maybe none.
        basis: (size, directions), the orthonormal basis that these two are expressed in; None for the features' own.
        words: the words of all training captions, as `content_words` gives them; those of `captions` if left out.
    """

    kind = "text"
    num_facts = 5

    def __init__(
        self,
        calibration: Calibration,
        captions: Sequence[str],
        embeddings: Tensor,
        others: Tensor,
        basis: Tensor | None = None,
        words: Sequence[str] | None = None,
    ):
        super().__init__(calibration)
        if not captions or embeddings.dim() != 2 or len(embeddings) != len(captions):
            raise ValueError(f"{len(captions)} captions do not fit embeddings of shape {tuple(embeddings.shape)}.")
        if others.dim() != 2 or others.shape[1] != embeddings.shape[1]:
            raise ValueError(f"`others` of shape {tuple(others.shape)} do not fit captions of {embeddings.shape[1]}.")
        if basis is not None and (basis.dim() != 2 or basis.shape[1] != embeddings.shape[1]):
            raise ValueError(f"`basis` of shape {tuple(basis.shape)} does not fit {embeddings.shape[1]} directions.")
        self.captions, self.embeddings, self.others, self.basis = list(captions), embeddings, others, basis
        self.words = {word for caption in captions for word in content_words(caption)} if words is None else set(words)

    def judge(self, texts: Sequence[str], embeddings: Tensor) -> list[Request]:
        """How requests are covered.

        Args:
            texts: the requests.
            embeddings: (texts, size), as `embed_texts` gives them.
        """
        embeddings = in_basis(embeddings.to(self.embeddings), self.basis)
        similar = embeddings @ self.embeddings.T  # (texts, captions)
        facts = text_facts(similar, embeddings @ self.others.T, [known_share(text, self.words) for text in texts])
        nearest = similar.argmax(1).tolist()
        scores = self.calibration.score(facts).tolist()
        return [Request(score, self.captions[index]) for score, index in zip(scores, nearest, strict=True)]

    def _content(self):
        # 8 bits are enough: they move a cosine by less than 0.005
        tensors = {name: (values * 127).round().to(torch.int8) for name, values in self._scaled().items()}
        if self.basis is not None:
            tensors["basis"] = self.basis.half().contiguous()
        return tensors, {"captions": self.captions, "words": " ".join(sorted(self.words))}

    def _scaled(self) -> dict[str, Tensor]:
        """Embeddings whose largest number is 1."""
        return {
            name: values / values.abs().amax(1, keepdim=True).clamp(min=1e-9)
            for name, values in (("embeddings", self.embeddings), ("others", self.others))
        }

    @classmethod
    def _from_content(cls, calibration, tensors, facts):
        captions, words = facts["captions"], facts["words"].split()
        if not all(isinstance(caption, str) for caption in captions):
            raise ValueError("its captions are not all text")
        embeddings, others = (
            torch.nn.functional.normalize(tensors[name].float(), dim=-1) for name in ("embeddings", "others")
        )
        basis = tensors["basis"].float() if "basis" in tensors else None
        return cls(calibration, captions, embeddings, others, basis, words)


class MotionCoverage(Coverage):
    """How well motions are covered by those that a motion-to-text model was trained on; see `motion_facts`."""

    kind = "motion"
    num_facts = 4

    def scores(self, facts: Tensor) -> list[float]:
        """Facts (motions, 4) -> scores from 0 to 1."""
        return self.calibration.score(facts).tolist()


KINDS = {kind.kind: kind for kind in (TextCoverage, MotionCoverage)}


def load_coverage(name: str | PathLike, kind: str, **place: Any) -> Any:
    """The coverage that a checkpoint carries.

    Args:
        name: the folder or Hub id of the checkpoint.
        kind: "text" or "motion".
        place: where it is on the Hub or in its cache, as in `from_pretrained`: `revision`, `token`, `cache_dir`, ...

    Returns:
        A `TextCoverage` or a `MotionCoverage`; None for a checkpoint without.

    Raises:
        ValueError: the file is damaged, of another kind or of a later version; one sentence that names it.
    """
    if Path(name).is_dir():
        path = Path(name) / (place.get("subfolder") or "") / COVERAGE_FILE
        path = path if path.is_file() else None
    else:
        try:
            path = cached_file(
                str(name),
                COVERAGE_FILE,
                **place,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
                _raise_exceptions_for_gated_repo=False,
            )
        except (OSError, ValueError):  # a name that is none of the Hub's, such as that of a model object
            path = None
    if path is None:
        return None
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["coverage"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if facts["version"] > VERSION:
            raise ValueError(f"it is of version {facts['version']}, later than this package knows")
        if facts["kind"] != kind:
            raise ValueError(f"it is of the kind {facts['kind']}, not {kind}")
        weights = tensors["weights"].double()
        calibration = Calibration(weights, float(facts["bias"]), float(facts["threshold"]))
        if weights.shape != (KINDS[kind].num_facts,) or not all(map(math.isfinite, (*weights, *calibration[1:]))):
            raise ValueError("its weights are no numbers of a calibration")
        return KINDS[kind]._from_content(calibration, tensors, facts)
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ValueError(f"{path} is not a whole file of what a model learned ({reason}); get it again.") from error


def embed_texts(features: Tensor, attention_mask: Tensor) -> Tensor:
    """Text features (batch, words, size) and their mask (batch, words) -> embeddings (batch, size) of length 1."""
    mask = attention_mask.unsqueeze(-1).to(features.dtype)
    return torch.nn.functional.normalize((features * mask).sum(1) / mask.sum(1).clamp(min=1), dim=-1).float()


def in_basis(embeddings: Tensor, basis: Tensor | None) -> Tensor:
    """Embeddings (texts, size) in a basis (size, directions) that may leave some out, of length 1 again."""
    return embeddings if basis is None else torch.nn.functional.normalize(embeddings @ basis, dim=-1)


def text_facts(to_captions: Tensor, to_others: Tensor, shares: Sequence[float]) -> Tensor:
    """The facts about requests.

    Args:
        to_captions: (requests, captions) cosines.
        to_others: (requests, sentences) cosines to sentences of what was not learned.
        shares: of each request, the share of its words that occur in the captions.

    Returns:
        (requests, 5).
    """
    columns = []
    for cosines in (to_captions, to_others):
        if cosines.shape[1] == 0:
            cosines = cosines.new_zeros(len(cosines), 1)
        nearest = cosines.topk(min(NEAREST, cosines.shape[1])).values
        columns += [nearest[:, 0], nearest.mean(1)]
    return torch.stack([*columns[:2], columns[0].new_tensor(shares), *columns[2:]], dim=1)


def caption_likelihoods(logits: Tensor, ids: Tensor, config: PreTrainedConfig) -> Tensor:
    """Mean log-probability (captions,) of the ids of each caption, its end included.

    Args:
        logits: (captions, words, vocabulary) of each id.
        ids: (captions, words), filled up behind the end of a caption with `<pad>` or, as by beam search, more ends.
        config: names both ids.
    """
    is_end = torch.isin(ids, ids.new_tensor(config.eos_token_id))
    is_over = (is_end.cumsum(1) > is_end) | (ids == config.pad_token_id)
    labels = ids.masked_fill(is_over, -100)
    losses = cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="none").view_as(labels)
    return -losses.sum(1) / (labels != -100).sum(1).clamp(min=1)


def motion_facts(
    features: Tensor,
    reconstruction: Tensor,
    attention_mask: Tensor,
    std: Tensor,
    positions: slice,
    likelihoods: Tensor,
) -> Tensor:
    """The facts about motions: how well the motion VQ rebuilds them, and how sure the caption is.

    Args:
        features: (motions, frames, features), normalized.
        reconstruction: what the motion VQ makes of them, likewise; it may lack frames at the end.
        attention_mask: (motions, frames), 1 on real frames that the motion VQ read.
        std: (features,) of the normalization.
        positions: the features that are positions of joints.
        likelihoods: (motions,) mean log-probability of a token of the caption.

    Returns:
        (motions, 4): the logarithms of the mean error of joints, in the skeleton's unit, of that of the worst frame,
        and of the mean error of normalized features; the likelihoods.
    """
    frames = reconstruction.shape[1]
    mask = attention_mask[:, :frames].to(features.dtype)  # (motions, frames)
    errors = features[:, :frames] - reconstruction
    joints = (errors * std)[..., positions].unflatten(-1, (-1, 3)).norm(dim=-1).mean(-1) * mask  # (motions, frames)
    length = mask.sum(1).clamp(min=1)
    means = [joints.sum(1) / length, joints.amax(1), (errors.abs().mean(-1) * mask).sum(1) / length]
    return torch.stack([*(mean.clamp(min=1e-6).log() for mean in means), likelihoods.to(features)], dim=1)


def content_words(text: str) -> list[str]:
    """The words of a sentence that say what is done, without their endings: "he is jogging" -> ["jog"]."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return [_without_ending(word) for word in words if word not in EMPTY_WORDS]


def known_share(text: str, words: Counter | set[str], at_least: int = 1) -> float:
    """The share of the content words of a text that are among `words`; 0 for a text without any.

    Args:
        text: a sentence.
        words: as `content_words` gives them; counted, if `at_least` is above 1.
        at_least: how often a word must occur to be known.
    """
    own = content_words(text)
    known = [word in words if at_least == 1 else words[word] >= at_least for word in own]
    return sum(known) / len(own) if own else 0.0


def _without_ending(word: str) -> str:
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2]:  # jogging, as jog
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


__all__ = [
    "COVERAGE_FILE",
    "Calibration",
    "MotionCoverage",
    "Request",
    "TextCoverage",
    "caption_likelihoods",
    "content_words",
    "embed_texts",
    "in_basis",
    "known_share",
    "load_coverage",
    "motion_facts",
    "text_facts",
]
