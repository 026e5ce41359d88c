# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Scores of motions and texts in the embedding space of a text-motion matcher."""

import numpy as np
import torch

from .arrays import Array, as_array, check_pairs

Random = np.random.Generator | np.random.RandomState

GROUP_SIZE = 32


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
        seed: of the order of the cases and of the pairs.
        group_size: cases among which a case is looked for.
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
        check_pairs(texts, motions, "texts", "motions")
        precision, scores["mm_dist"] = retrieval(texts[order], motions[order], group_size)
        scores = {**{f"r_precision{k}": value for k, value in enumerate(precision, 1)}, **scores}
    if real is not None:
        real = _embeddings(real, "real")
        check_pairs(real, motions, "real", "motions")
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
        queries: (cases, dim). Groups are taken in order; a last one that is not full is left out.
        candidates: (cases, dim); case i belongs to query i. Equal distances rank by their order in the group.
        group_size: cases in a group.
        top_k: the largest rank that counts.

    Returns:
        R-precision 1 to `top_k`, a list; MM-Dist, the mean distance of a query to its own candidate.
    """
    queries, candidates = _embeddings(queries, "queries"), _embeddings(candidates, "candidates")
    check_pairs(queries, candidates, "queries", "candidates")
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
            f"MultiModality draws {pairs} motions per caption without replacement, but there are {repeats}."
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
    values = as_array(values)
    if values.ndim != dimensions:
        raise ValueError(f"`{name}` must have {dimensions} dimensions, not shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"`{name}` has values that are not finite.")
    return values
