# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The processor of the text-motion matcher, which reads captions and motions but no motion tokens."""

from .processing_tm2t import CaptionMotionProcessor


class MotionTextMatcherProcessor(CaptionMotionProcessor):
    """A `TM2TProcessor` without a motion tokenizer: `processor(text=..., motion=...)` is what the matcher reads.

    Args:
        feature_extractor: a `MotionFeatureExtractor`, with the mean and standard deviation of the matcher.
        tokenizer: the text tokenizer.
    """

    def __init__(self, feature_extractor, tokenizer):
        super().__init__(feature_extractor, tokenizer)


__all__ = ["MotionTextMatcherProcessor"]
