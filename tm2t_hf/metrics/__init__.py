# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Scores of captions, of motion embeddings, of joints and of codes, as plain functions and as an `evaluate` metric.

    caption_scores(predictions, references)     BLEU-1 to 4, ROUGE-L, CIDEr-D
    bert_score(predictions, references)         BERTScore F1; needs the package bert-score
    motion_scores(motions, texts, real)         R-precision, MM-Dist, FID, Diversity, MultiModality
    joint_scores(predictions, skeleton, ...)    foot sliding, ground penetration, joint errors, acceleration error
    codebook_scores(codes, codebook_size)       share of the codebook in use, perplexity

    evaluate.load("tm2t_hf/metrics", "captions")     # or "motions", "joints"; works offline

All are functions of the whole evaluated set: FID and CIDEr are not averages over batches. With several processes,
gather the embeddings or captions first (`accelerator.gather_for_metrics`), then call them on one.
"""

from .captions import bert_score, caption_scores
from .codes import codebook_scores
from .embeddings import (
    GROUP_SIZE,
    confidence_interval,
    diversity,
    frechet_distance,
    frechet_distance_of_moments,
    motion_scores,
    multimodality,
    retrieval,
)
from .joints import acceleration, acceleration_error, foot_sliding, ground_penetration, joint_error, joint_scores

__all__ = [
    "GROUP_SIZE",
    "acceleration",
    "acceleration_error",
    "bert_score",
    "caption_scores",
    "codebook_scores",
    "confidence_interval",
    "diversity",
    "foot_sliding",
    "frechet_distance",
    "frechet_distance_of_moments",
    "ground_penetration",
    "joint_error",
    "joint_scores",
    "motion_scores",
    "multimodality",
    "retrieval",
]
