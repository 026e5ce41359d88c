# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The scores as an `evaluate` metric: `evaluate.load("tm2t_hf/metrics", "captions")`, or "motions", or "joints"."""

# evaluate.load copies this file and those it imports, which it finds by reading it line by line: one import per line.
import datasets
import evaluate

from .arrays import as_array
from .captions import caption_scores
from .embeddings import motion_scores
from .joints import joint_scores

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
    """The functions of this package behind `evaluate.load(file, config)`.

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
        motions, originals = ([as_array(motion) for motion in side] for side in (predictions, references))
        return joint_scores(motions, references=originals, **arguments)
