# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`PipelineTesterMixin` on the two pipelines.

It asks a class per task for a pipeline and examples, and then runs them itself; its own classes are not in the
distribution, so `TextToMotionCases` and `MotionToTextCases` are the ones for our tasks.
"""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from transformers import pipeline

from tm2t_hf import (
    HUMANML3D,
    MotionTokenizer,
    MotionToTextConfig,
    MotionToTextModel,
    MotionToTextPipeline,
    MotionVQConfig,
    TextToMotionConfig,
    TextToMotionModel,
    TextToMotionPipeline,
    TM2TProcessor,
)

from . import testers
from .suite import load

common = load("test_pipeline_mixin")

TOKENS = 4


class TextToMotionCases(unittest.TestCase):
    """The task's own test, as `PipelineTesterMixin` calls it."""

    examples = ["a person walks", "someone waves the left hand", "an old man turns left slowly"]

    def get_test_pipeline(self, model, tokenizer, feature_extractor=None, processor=None, dtype="float32"):
        """The pipeline, and what it reads."""
        model = model.to(getattr(torch, dtype))
        return TextToMotionPipeline(model=model, processor=processor, max_new_tokens=TOKENS), self.examples

    def run_pipeline_test(self, animate, examples):
        """One caption, several, several motions of a caption, a saved pipeline."""
        alone = [animate(example, do_sample=False) for example in examples]
        for output in alone:
            self.assertEqual(set(output), {"motion", "joints", "fps", "score"})
            frames = len(output["motion"])
            self.assertEqual(output["motion"].shape, (frames, HUMANML3D.feature_size))
            self.assertEqual(output["joints"].shape, (frames, HUMANML3D.num_joints, 3))
            self.assertTrue(np.isfinite(output["joints"]).all())
        outputs = animate(examples, do_sample=False, batch_size=2)
        for output, expected in zip(outputs, alone, strict=True):
            np.testing.assert_allclose(output["motion"], expected["motion"], atol=1e-2)
        self.assertEqual(len(animate(examples[0], num_return_sequences=2, do_sample=True)), 2)
        with tempfile.TemporaryDirectory() as folder:
            animate.save_pretrained(folder)
            again = pipeline("text-to-motion", folder, dtype=animate.model.dtype, max_new_tokens=TOKENS)
            np.testing.assert_allclose(
                again(examples[0], do_sample=False)["motion"], alone[0]["motion"], atol=1e-3, rtol=1e-3
            )


class MotionToTextCases(unittest.TestCase):
    """The task's own test, as `PipelineTesterMixin` calls it."""

    def get_test_pipeline(self, model, tokenizer, feature_extractor=None, processor=None, dtype="float32"):
        """The pipeline, and what it reads: features and joints of different lengths."""
        model = model.to(getattr(torch, dtype))
        rng = np.random.default_rng(0)
        upright = np.linspace(0, 1.7, HUMANML3D.num_joints)
        joints = rng.normal(scale=0.1, size=(21, HUMANML3D.num_joints, 3)) + np.stack([0 * upright, upright] * 2)[:3].T
        examples = [rng.normal(size=(frames, HUMANML3D.feature_size)) for frames in (8, 12, 20)]
        return MotionToTextPipeline(model=model, processor=processor, max_new_tokens=TOKENS), [*examples, joints]

    def run_pipeline_test(self, describe, examples):
        """One motion, several, a path, several captions of a motion, a saved pipeline."""
        alone = [describe(example, do_sample=False) for example in examples]
        for output in alone:
            self.assertEqual([set(caption) for caption in output], [{"generated_text", "score"}])
            self.assertIsInstance(output[0]["generated_text"], str)
        self.assertEqual(describe(examples, do_sample=False, batch_size=3), alone)
        self.assertEqual(len(describe(examples[0], num_return_sequences=2, num_beams=2)), 2)
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder) / "motion.npy", examples[0])
            self.assertEqual(describe(str(Path(folder) / "motion.npy"), do_sample=False), alone[0])
            describe.save_pretrained(folder)
            again = pipeline("motion-to-text", folder, dtype=describe.model.dtype, max_new_tokens=TOKENS)
            self.assertEqual(again(examples[0], do_sample=False), alone[0])


class _PipelineTest(common.PipelineTesterMixin):
    """The common pipeline tests, with a test of our `task` among them."""

    task = None
    cases = None

    def make_model(self):
        """The small model that the pipeline runs."""
        raise NotImplementedError

    def _make_pipeline(self):
        torch.manual_seed(0)
        return self.cases().get_test_pipeline(self.make_model().eval(), None, processor=_processor())

    def _run_own_task(self, dtype: str):
        """Run the task as the mixin runs its own; what makes the mixin skip is a failure here."""
        (model_class,) = self.pipeline_model_mapping.values()
        model_type = model_class.config_class.model_type
        folder = Path(os.environ["TRANSFORMERS_TINY_MODEL_PATH"]) / model_type / model_class.__name__
        torch.manual_seed(0)
        self.make_model().save_pretrained(folder)
        _processor().save_pretrained(folder)
        case = {"test": f"{__name__}.{self.cases.__name__}"}
        with (
            mock.patch.dict(common.pipeline_test_mapping, {self.task: case}),
            mock.patch.object(common, "PROCESSOR_MAPPING_NAMES", {model_type: "TM2TProcessor"}),
        ):
            try:
                self.run_task_tests(self.task, dtype=dtype)
            except unittest.SkipTest as skip:
                self.fail(f"the task was not run: {skip}")

    def test_pipeline_own_task(self):
        self._run_own_task("float32")

    def test_pipeline_own_task_fp16(self):
        self._run_own_task("float16")

    def test_pipeline_own_task_bf16(self):
        self._run_own_task("bfloat16")

    def test_pipeline_reads_every_container(self):
        """Several inputs give what each gives alone, whatever holds them, or an error that says what to pass."""
        pipe, examples = self._make_pipeline()
        alone = [pipe(example, do_sample=False) for example in examples]
        for name, several in self.containers(examples).items():
            with self.subTest(name):
                try:
                    outputs = list(pipe(several, do_sample=False))
                except ValueError as error:
                    self.assertTrue(str(error))
                    continue
                self.assertEqual(len(outputs), len(alone))
                self.assertTrue(all(map(self.same, outputs, alone)))

    def test_pipeline_refuses_nonsense(self):
        pipe, _ = self._make_pipeline()
        for index, nonsense in enumerate(self.nonsense):
            with self.subTest(index=index, nonsense=nonsense), self.assertRaises(ValueError):
                pipe(nonsense)


def _processor() -> TM2TProcessor:
    return TM2TProcessor(testers.feature_extractor(), testers.text_tokenizer(), MotionTokenizer(codebook_size=29))


def _vq_config() -> MotionVQConfig:
    return testers.vq_config(feature_size=HUMANML3D.feature_size)


class TextToMotionPipelineTest(_PipelineTest, unittest.TestCase):
    task = "text-to-motion"
    cases = TextToMotionCases
    pipeline_model_mapping = {"text-to-motion": TextToMotionModel}
    nonsense = ("", "...", [], ["a person walks", ""], None, 3, {"caption": "a person walks"})

    def containers(self, captions):
        """All that holds captions in ordinary code."""
        rows = Dataset.from_dict({"text": captions})
        return {
            "list": captions,
            "tuple": tuple(captions),
            "generator": (caption for caption in captions),
            "array": np.array(captions),
            "array of objects": np.array(captions, dtype=object),
            "series": pd.Series(captions),
            "column of a data set": rows["text"],
            "generator of rows": ({"text": caption} for caption in captions),
            "list of rows": [{"text": caption} for caption in captions],
            "data set": rows,
        }

    @staticmethod
    def same(output, other) -> bool:
        """Whether two outputs are one motion."""
        return output["motion"].shape == other["motion"].shape and np.allclose(
            output["motion"], other["motion"], atol=1e-2
        )

    def make_model(self):
        return TextToMotionModel(
            TextToMotionConfig(
                vq_config=_vq_config(),
                text_vocab_size=len(testers.text_tokenizer()),
                text_embedding_size=12,
                text_hidden_size=8,
                motion_hidden_size=16,
            )
        )


class MotionToTextPipelineTest(_PipelineTest, unittest.TestCase):
    task = "motion-to-text"
    cases = MotionToTextCases
    pipeline_model_mapping = {"motion-to-text": MotionToTextModel}
    nonsense = ([], None, 3, np.zeros((0, HUMANML3D.feature_size)), np.zeros((8, 7)), {"motion": 1})

    def containers(self, motions):
        """All that holds motions in ordinary code."""
        return {
            "list": motions,
            "tuple": tuple(motions),
            "generator": (motion for motion in motions),
            "tensors": [torch.tensor(motion) for motion in motions],
            "nested lists": [motion.tolist() for motion in motions],
            "array of objects": np.array([*motions, None], dtype=object)[:-1],
            "series": pd.Series(list(motions)),
            "generator of rows": ({"motion": motion} for motion in motions),
        }

    @staticmethod
    def same(output, other) -> bool:
        """Whether two outputs are one caption."""
        return output == other

    def make_model(self):
        config = testers.MotionToTextModelTester(self).get_config()
        sizes = {name: getattr(config, name) for name in ("d_model", "encoder_layers", "decoder_layers")}
        heads = {f"{side}_attention_heads": 4 for side in ("encoder", "decoder")}
        return MotionToTextModel(
            MotionToTextConfig(vq_config=_vq_config(), vocab_size=len(testers.text_tokenizer()), **sizes, **heads)
        )
