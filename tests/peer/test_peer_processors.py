# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`SequenceFeatureExtractionTestMixin` on the extractor, `ProcessorTesterMixin` on the two processors."""

import inspect
import unittest

import numpy as np

from tm2t_hf import HUMANML3D, MotionFeatureExtractor, MotionTextMatcherProcessor, MotionTokenizer, TM2TProcessor

from . import testers
from .suite import load, skipping

ExtractorTestMixin = load("test_sequence_feature_extraction_common").SequenceFeatureExtractionTestMixin
processing = load("test_processing_common")


class MotionFeatureExtractorTester:
    """Motions of 8, 12, ... frames."""

    batch_size = 5
    min_seq_length = 8
    seq_length_diff = 4
    max_seq_length = min_seq_length + (batch_size - 1) * seq_length_diff
    feature_size = HUMANML3D.feature_size

    def prepare_feat_extract_dict(self):
        """Arguments of the extractor."""
        return {
            "skeleton": HUMANML3D.name,
            "mean": [0.0] * self.feature_size,
            "std": [1.0] * self.feature_size,
        }

    def prepare_inputs_for_common(self, equal_length=False, numpify=False):
        """Motions, as nested lists or as arrays."""
        lengths = range(self.min_seq_length, self.max_seq_length + 1, self.seq_length_diff)
        if equal_length:
            lengths = [self.max_seq_length] * self.batch_size
        motions = [np.random.rand(length, self.feature_size) for length in lengths]
        return motions if numpify else [motion.tolist() for motion in motions]


@skipping({"test_init_without_params": "there is no motion data without a skeleton, a mean and a deviation"})
class MotionFeatureExtractorTest(ExtractorTestMixin, unittest.TestCase):
    feature_extraction_class = MotionFeatureExtractor

    def setUp(self):
        self.feat_extract_tester = MotionFeatureExtractorTester()


def naming_motion_audio(processor_class: type) -> type:
    """The processor with its argument `motion` called `audio`, and `motion_kwargs` called `audio_kwargs`.

    `audio` is what the common tests call that which a feature extractor reads.
    """

    class Processor(processor_class):
        def __call__(self, *args, audio=None, audio_kwargs=None, **kwargs):
            if audio_kwargs:
                kwargs["motion_kwargs"] = audio_kwargs
            return super().__call__(*args, motion=audio, **kwargs)

    signature = inspect.signature(processor_class.__call__)
    Processor.__call__.__signature__ = signature.replace(
        parameters=[
            parameter.replace(name="audio") if parameter.name == "motion" else parameter
            for parameter in signature.parameters.values()
        ]
    )
    Processor.__name__, Processor.__module__ = processor_class.__name__, processor_class.__module__
    return Processor


class _ProcessorTest(processing.ProcessorTesterMixin):
    """What the tests of both processors share."""

    audio_input_name = audio_input_name_values = "motion_values"

    @classmethod
    def _setup_feature_extractor(cls):
        return testers.feature_extractor()

    @classmethod
    def _setup_tokenizer(cls):
        return testers.text_tokenizer()

    @classmethod
    def _setup_motion_tokenizer(cls):
        return MotionTokenizer(codebook_size=29)

    def prepare_audio_inputs(self, batch_size: int | None = None):
        return [np.random.rand(12, HUMANML3D.feature_size) for _ in range(batch_size or 1)]


@skipping({"test_save_load_pretrained_additional_features": "the motion tokenizer, which gets them too, takes no tokens"})
class TM2TProcessorTest(_ProcessorTest, unittest.TestCase):
    processor_class = naming_motion_audio(TM2TProcessor)


@skipping({"test_valid_processor_kwargs_set": "both processors share one class of arguments"})
class MotionTextMatcherProcessorTest(_ProcessorTest, unittest.TestCase):
    processor_class = naming_motion_audio(MotionTextMatcherProcessor)
