# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Scores of captions, of motion embeddings and of joints, as plain functions and as an `evaluate` metric.

    caption_scores(predictions, references)     BLEU-1 to 4, ROUGE-L, CIDEr-D
    bert_score(predictions, references)         BERTScore F1; needs the package bert-score
    motion_scores(motions, texts, real)         R-precision, MM-Dist, FID, Diversity, MultiModality
    joint_scores(predictions, skeleton, ...)    foot sliding, ground penetration, joint errors, acceleration error
    codebook_scores(codes, codebook_size)       share of the codebook in use, perplexity

    evaluate.load("tm2t_hf/metrics.py", "captions")     # or "motions", "joints"; works offline

All are functions of the whole evaluated set: FID and CIDEr are no means over batches. With several processes, gather
the embeddings or captions first (`accelerator.gather_for_metrics`), then call them on one.
"""

# evaluate.load reads this file line by line and wants every import on a line of its own, and none relative.
import math
from collections import Counter
from collections.abc import Iterable, Sequence

import datasets
import evaluate
import numpy as np
import torch

Array = np.ndarray | torch.Tensor
Random = np.random.Generator | np.random.RandomState

GROUP_SIZE = 32
CONTACT_HEIGHT = 0.025  # metres; a lower toe counts as standing, as in Zhang et al. (SIGGRAPH 2018)


# Captions. Split at white space and changed in nothing else: no lower-casing, no removed punctuation.


def caption_scores(predictions: Iterable[str], references: Iterable[Iterable[str]]) -> dict[str, float]:
    """BLEU-1 to BLEU-4, ROUGE-L and CIDEr-D of generated captions, as the COCO caption scorers give them.

    Args:
        predictions: one caption a case; may be empty strings, which score zero.
        references: one or more captions a case. Every case is scored against exactly three, as published results are:
            the first three, two as A, B, A, and one as A, A, A.

    Returns:
        `{"bleu1", "bleu2", "bleu3", "bleu4", "rougeL", "cider"}`, floats; CIDEr up to 10, the others up to 1.

    Raises:
        ValueError: where the numbers of predictions and references differ or a case has no reference.
    """
    predictions, references = list(predictions), [list(captions) for captions in references]
    _check_cases(predictions, references)
    targets = [(captions * 3)[:3] for captions in references]
    words = [prediction.split() for prediction in predictions]
    target_words = [[caption.split() for caption in captions] for captions in targets]
    return {
        **{f"bleu{order}": score for order, score in enumerate(_bleu(words, target_words), 1)},
        "rougeL": _mean(_rouge_l(*case) for case in zip(predictions, targets, strict=True)),
        "cider": _cider(words, target_words),
    }


def bert_score(
    predictions: Iterable[str],
    references: Iterable[Iterable[str]],
    model: str = "roberta-large",
    layers: int | None = None,
    rescale: bool = True,
) -> float:
    """Mean BERTScore F1 (Zhang et al., ICLR 2020), the best reference a case, with idf as in the original.

    Args:
        predictions, references: as in `caption_scores`.
        model: Hub id or folder of the encoder; `layers` names the layer for one that bert-score does not know.
        rescale: subtract the published baseline of the model, as published scores do.

    Raises:
        ImportError: without the package bert-score.
    """
    predictions, references = list(predictions), [list(captions) for captions in references]
    _check_cases(predictions, references)
    try:
        from bert_score import score
    except ImportError as error:
        raise ImportError("BERTScore needs the package bert-score: `pip install bert-score`.") from error
    options = {"model_type": model, "num_layers": layers, "lang": "en", "idf": True, "rescale_with_baseline": rescale}
    _, _, f1 = score(predictions, references, **options)
    return f1.mean().item()


def _check_cases(predictions, references):
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions, {len(references)} lists of references: give one list each.")
    if not predictions:
        raise ValueError("there is no prediction to score.")
    for case, captions in enumerate(references):
        if not captions:
            raise ValueError(f"case {case} has no reference caption.")


def _mean(values):
    values = list(values)
    return sum(values) / len(values)


def _ngrams(words, order):
    return Counter(tuple(words[i : i + order]) for i in range(len(words) - order + 1))


def _bleu(words, targets, max_order=4):
    """Corpus BLEU-1 to 4 (Papineni et al., 2002): clipped precisions, closest reference length, no smoothing."""
    length = sum(len(prediction) for prediction in words)
    reference_length = 0
    for prediction, captions in zip(words, targets, strict=True):
        reference_length += min((abs(len(caption) - len(prediction)), len(caption)) for caption in captions)[1]
    brevity = math.exp(min(0.0, 1 - reference_length / length)) if length else 0.0

    scores, log_precision = [], 0.0
    for order in range(1, max_order + 1):
        matches = total = 0
        for prediction, captions in zip(words, targets, strict=True):
            grams = _ngrams(prediction, order)
            allowed = Counter()
            for caption in captions:
                allowed |= _ngrams(caption, order)
            matches += (grams & allowed).total()
            total += grams.total()
        log_precision += math.log(matches / total) if matches else -math.inf
        scores.append(brevity * math.exp(log_precision / order))
    return scores


def _rouge_l(prediction, captions, beta=1.2):
    """ROUGE-L of one case: F of the best precision and the best recall over the references.

    Split at every single space: the COCO scorer counts the empty word between two of them.
    """
    prediction, captions = prediction.split(" "), [caption.split(" ") for caption in captions]
    common = [_longest_common_subsequence(prediction, caption) for caption in captions]
    if not max(common):
        return 0.0
    precision = max(common) / len(prediction)
    recall = max(length / len(caption) for length, caption in zip(common, captions, strict=True))
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision)


def _longest_common_subsequence(first, second):
    row = [0] * (len(second) + 1)
    for a in first:
        previous = row
        row = [0]
        for j, b in enumerate(second):
            row.append(previous[j] + 1 if a == b else max(previous[j + 1], row[j]))
    return row[-1]


def _cider(words, targets, max_order=4, sigma=6.0):
    """Mean CIDEr-D (Vedantam et al., 2015); document frequencies are those of the references at hand.

    The length that the Gaussian penalty compares is the number of bigrams, as in the COCO scorer.
    """
    frequency = Counter()
    for captions in targets:
        frequency.update({gram for c in captions for order in range(1, max_order + 1) for gram in _ngrams(c, order)})
    log_cases = math.log(len(targets))

    def weigh(caption):
        grams = [_ngrams(caption, order) for order in range(1, max_order + 1)]
        vectors = [
            {gram: count * (log_cases - math.log(max(1, frequency[gram]))) for gram, count in counts.items()}
            for counts in grams
        ]
        return vectors, [math.hypot(*vector.values()) for vector in vectors], grams[1].total()

    def similarity(prediction, reference):
        vectors, norms, length = prediction
        other_vectors, other_norms, other_length = reference
        penalty = math.exp(-((length - other_length) ** 2) / (2 * sigma**2))
        total = 0.0
        for vector, other, norm, other_norm in zip(vectors, other_vectors, norms, other_norms, strict=True):
            clipped = sum(min(value, other.get(gram, 0.0)) * other.get(gram, 0.0) for gram, value in vector.items())
            total += clipped / (norm * other_norm) if norm and other_norm else 0.0
        return 10 * penalty * total / max_order

    return _mean(
        _mean(similarity(prediction, weigh(caption)) for caption in captions)
        for prediction, captions in zip(map(weigh, words), targets, strict=True)
    )


# Embeddings of motions and texts, from a text-motion matcher.


def motion_scores(
    motions: Array,
    texts: Array | None = None,
    real: Array | None = None,
    repeats: Array | None = None,
    seed: int = 0,
    group_size: int = GROUP_SIZE,
    diversity_pairs: int = 300,
) -> dict[str, float]:
    """The scores of Guo et al. (CVPR 2022) over one replication of an evaluation.

    For R-precision and MM-Dist the cases are shuffled by the seed, and those that fill no group are left out; FID and
    Diversity see all cases.

    Args:
        motions: (cases, dim) embeddings of the evaluated motions.
        texts: (cases, dim) embeddings of their captions, for R-precision and MM-Dist.
        real: (cases, dim) embeddings of the real motions, for FID.
        repeats: (captions, repeats, dim) embeddings of several motions of one caption each, for MultiModality.
        diversity_pairs: pairs drawn for Diversity, at most the number of cases.

    Returns:
        `r_precision1`, `r_precision2`, `r_precision3`, `mm_dist`, `fid`, `diversity`, `multimodality`: those whose
        inputs were given.

    Raises:
        ValueError: where shapes disagree, values are not finite, or texts and motions are fewer than one group.
    """
    motions = _embeddings(motions, "motions")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(motions))
    scores = {}
    if texts is not None:
        texts = _embeddings(texts, "texts")
        _check_pairs(texts, motions, "texts", "motions")
        precision, scores["mm_dist"] = retrieval(texts[order], motions[order], group_size)
        scores = {**{f"r_precision{k}": value for k, value in enumerate(precision, 1)}, **scores}
    if real is not None:
        real = _embeddings(real, "real")
        _check_pairs(real, motions, "real", "motions")
        scores["fid"] = frechet_distance(real, motions)
    scores["diversity"] = diversity(motions, rng, min(diversity_pairs, len(motions)))
    if repeats is not None:
        scores["multimodality"] = multimodality(repeats, rng)
    return scores


def retrieval(
    queries: Array, candidates: Array, group_size: int = GROUP_SIZE, top_k: int = 3
) -> tuple[list[float], float]:
    """How often a query's own candidate is among the nearest of its group, and how far it is.

    Text-to-motion asks with texts for motions, the original motion-to-text script with motions for texts.

    Args:
        queries, candidates: (cases, dim), case i of one belonging to case i of the other. Groups are taken in order; a
            last one that is not full is left out. Equal distances rank by their order in the group.

    Returns:
        R-precision 1 to `top_k`, a list; MM-Dist, the mean distance of a query to its own candidate.
    """
    queries, candidates = _embeddings(queries, "queries"), _embeddings(candidates, "candidates")
    _check_pairs(queries, candidates, "queries", "candidates")
    groups = len(queries) // group_size
    if not groups:
        raise ValueError(f"{len(queries)} cases make no group of {group_size}.")
    sides = (torch.from_numpy(x[: groups * group_size]).view(groups, group_size, -1) for x in (queries, candidates))
    distances = torch.cdist(*sides, compute_mode="donot_use_mm_for_euclid_dist")  # (groups, queries, candidates)
    own = distances.diagonal(dim1=1, dim2=2)
    nearer = (distances < own[..., None]).sum(-1) + (distances == own[..., None]).tril(-1).sum(-1)
    return [(nearer < k).double().mean().item() for k in range(1, top_k + 1)], own.mean().item()


def frechet_distance(real: Array, generated: Array) -> float:
    """Fréchet distance of the Gaussians fitted to two sets of embeddings (cases, dim); cases may be fewer than dim."""
    real, generated = _embeddings(real, "real"), _embeddings(generated, "generated")
    if real.shape[1] != generated.shape[1]:
        raise ValueError(f"embeddings of {real.shape[1]} and of {generated.shape[1]} dimensions cannot be compared.")
    if min(len(real), len(generated)) < 2:
        raise ValueError("a Fréchet distance needs two embeddings or more of each kind.")
    return frechet_distance_of_moments(*_moments(real), *_moments(generated))


def frechet_distance_of_moments(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> float:
    """|m - n|² + tr(S + T - 2 (S T)^(1/2)) of two Gaussians; means (dim,), covariances (dim, dim); in float64."""
    # The eigenvalues of a product of covariances are real and not negative; what rounding adds to them is dropped.
    eigenvalues = np.linalg.eigvals(np.asarray(covariance, np.float64) @ np.asarray(other_covariance, np.float64))
    root_trace = np.sqrt(eigenvalues.astype(np.complex128)).real.sum()
    shift = np.asarray(mean, np.float64) - np.asarray(other_mean, np.float64)
    return float(shift @ shift + np.trace(covariance) + np.trace(other_covariance) - 2 * root_trace)


def diversity(embeddings: Array, rng: Random, pairs: int = 300) -> float:
    """Mean distance of `pairs` pairs of embeddings (cases, dim): two draws, each without replacement.

    `rng` is a numpy Generator or RandomState; the second reproduces the draws of the original.
    """
    embeddings = _embeddings(embeddings, "embeddings")
    if len(embeddings) < pairs:
        raise ValueError(f"Diversity draws {pairs} of the cases without replacement, but there are {len(embeddings)}.")
    first = rng.choice(len(embeddings), pairs, replace=False)
    second = rng.choice(len(embeddings), pairs, replace=False)
    return float(np.linalg.norm(embeddings[first] - embeddings[second], axis=-1).mean())


def multimodality(embeddings: Array, rng: Random, pairs: int = 10) -> float:
    """Mean distance of motions of one caption, (captions, repeats, dim): `pairs` pairs, the same for all captions."""
    embeddings = _embeddings(embeddings, "embeddings", dimensions=3)
    repeats = embeddings.shape[1]
    if repeats < pairs:
        raise ValueError(
            f"MultiModality draws {pairs} motions a caption without replacement, but there are {repeats}."
        )
    first = rng.choice(repeats, pairs, replace=False)
    second = rng.choice(repeats, pairs, replace=False)
    return float(np.linalg.norm(embeddings[:, first] - embeddings[:, second], axis=-1).mean())


def confidence_interval(values: Array) -> tuple[np.ndarray, np.ndarray]:
    """Mean over replications (axis 0) and the half width of its 95 % interval, 1.96 * std / sqrt(replications)."""
    values = np.asarray(values, np.float64)
    return values.mean(0), 1.96 * values.std(0) / np.sqrt(len(values))


def _moments(embeddings):
    return embeddings.mean(0), np.atleast_2d(np.cov(embeddings, rowvar=False))


def _embeddings(values, name, dimensions=2):
    values = _array(values)
    if values.ndim != dimensions:
        raise ValueError(f"`{name}` must have {dimensions} dimensions, not shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"`{name}` has values that are not finite.")
    return values


def _check_pairs(first, second, first_name, second_name):
    if first.shape != second.shape:
        raise ValueError(f"`{first_name}` {first.shape} and `{second_name}` {second.shape} must have the same shape.")


def _array(values):
    return np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values, np.float64)


# Joints, as users see them.


def joint_scores(
    predictions: Sequence[Array], skeleton, references: Sequence[Array] | None = None
) -> dict[str, float]:
    """What shows in an animation, each the mean over the clips.

    Args:
        predictions: a list of (frames, joints, 3), metres, y up, ground at y = 0.
        skeleton: a `tm2t_hf.Skeleton`.
        references: the motions that the predictions should be, likewise. The shorter of a pair cuts the other.

    Returns:
        `foot_sliding` (m/s), `ground_penetration` (mm), and with references `root_relative_error` (mm), `global_error`
        (mm) and `acceleration_error` (m/s²).
    """
    if not len(predictions):
        raise ValueError("there is no motion to score.")
    if references is not None and len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions, {len(references)} references: give one reference each.")
    rows = []
    for i, motion in enumerate(predictions):
        row = {"foot_sliding": foot_sliding(motion, skeleton), "ground_penetration": 1000 * ground_penetration(motion)}
        if references is not None:
            frames = min(len(motion), len(references[i]))
            pair = motion[:frames], references[i][:frames]
            row["root_relative_error"] = 1000 * joint_error(*pair, root_relative=True)
            row["global_error"] = 1000 * joint_error(*pair)
            row["acceleration_error"] = acceleration_error(*pair, skeleton.fps)
        rows.append(row)
    return {name: _mean(row[name] for row in rows) for name in rows[0]}


def joint_error(prediction: Array, reference: Array, root_relative: bool = False) -> float:
    """Mean distance of two motions' joints, (frames, joints, 3); `root_relative` puts every root at the origin."""
    prediction, reference = _array(prediction), _array(reference)
    _check_pairs(prediction, reference, "prediction", "reference")
    if root_relative:
        prediction, reference = (joints - joints[:, :1] for joints in (prediction, reference))
    return float(np.linalg.norm(prediction - reference, axis=-1).mean())


def acceleration_error(prediction: Array, reference: Array, fps: float) -> float:
    """Mean difference of the joints' accelerations, m/s² for joints in metres; 0 for clips below three frames."""
    prediction, reference = _array(prediction), _array(reference)
    _check_pairs(prediction, reference, "prediction", "reference")
    if len(prediction) < 3:
        return 0.0
    return float(np.linalg.norm(np.diff(prediction - reference, n=2, axis=0), axis=-1).mean() * fps**2)


def foot_sliding(joints: Array, skeleton, height: float = CONTACT_HEIGHT) -> float:
    """Mean speed over the ground, metres a second, of toes that are lower than `height` metres in two frames running.

    0 for a motion whose toes never stand.
    """
    toes = [skeleton.left_foot[1], skeleton.right_foot[1]]
    toes = _array(joints)[:, toes]  # (frames, 2, 3)
    standing = toes[..., 1] < height
    standing = standing[1:] & standing[:-1]
    speeds = np.linalg.norm(np.diff(toes[..., [0, 2]], axis=0), axis=-1) * skeleton.fps
    return float(speeds[standing].mean()) if standing.any() else 0.0


def ground_penetration(joints: Array) -> float:
    """Mean over the frames of the lowest joint's depth below y = 0, in metres; 0 where it is above."""
    return float(np.maximum(0, -_array(joints)[..., 1].min(-1)).mean())


def codebook_scores(codes: Iterable[Sequence[int]], codebook_size: int) -> dict[str, float]:
    """Use of a codebook by a list of code sequences: `codebook_used`, a share, and `codebook_perplexity`, in codes."""
    flat = np.concatenate([np.asarray(sequence).ravel() for sequence in codes]).astype(np.int64)
    if not len(flat) or flat.min() < 0 or flat.max() >= codebook_size:
        raise ValueError(f"the codes of a codebook of {codebook_size} are 0 to {codebook_size - 1}, and at least one.")
    share = np.bincount(flat, minlength=codebook_size) / len(flat)
    used = share[share > 0]
    perplexity = float(np.exp(-(used * np.log(used)).sum()))
    return {"codebook_used": len(used) / codebook_size, "codebook_perplexity": perplexity}


_FEATURES = {
    "captions": {"predictions": datasets.Value("string"), "references": datasets.Sequence(datasets.Value("string"))},
    "motions": {
        "predictions": datasets.Sequence(datasets.Value("float32")),
        "references": datasets.Sequence(datasets.Value("float32")),
        "texts": datasets.Sequence(datasets.Value("float32")),
    },
    "joints": {
        "predictions": datasets.Sequence(datasets.Sequence(datasets.Sequence(datasets.Value("float32")))),
        "references": datasets.Sequence(datasets.Sequence(datasets.Sequence(datasets.Value("float32")))),
    },
}


class TM2TMetric(evaluate.Metric):
    """The functions above behind `evaluate.load(file, config)`.

    `captions` takes captions and lists of captions. `motions` takes embeddings: of the evaluated motions as
    predictions, of the real ones as references, of the captions as `texts`. `joints` takes joints; its `compute` wants
    `skeleton=`. Further arguments of `compute` go to the function.
    """

    def _info(self):
        if self.config_name not in _FEATURES:
            raise ValueError(f"name one of {', '.join(_FEATURES)} when loading this metric, not {self.config_name!r}.")
        return evaluate.MetricInfo(
            description="Scores of text-to-motion and motion-to-text.",
            citation="",
            inputs_description=TM2TMetric.__doc__,
            features=datasets.Features(_FEATURES[self.config_name]),
        )

    def _compute(self, predictions, references, **arguments):
        if self.config_name == "captions":
            return caption_scores(predictions, references, **arguments)
        if self.config_name == "motions":
            return motion_scores(predictions, real=references, **arguments)
        motions, originals = ([np.asarray(motion) for motion in side] for side in (predictions, references))
        return joint_scores(motions, references=originals, **arguments)
