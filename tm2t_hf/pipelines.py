# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""`pipeline("text-to-motion")` and `pipeline("motion-to-text")`."""

from os import PathLike
from pathlib import Path

import torch
from transformers import AutoModel, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.utils import logging

logger = logging.get_logger(__name__)

CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"  # the small models that ship with the package


class _MotionPipeline(Pipeline):
    """What the two pipelines share: a translation model with its `TM2TProcessor`, and generate() arguments."""

    _load_processor = True
    _load_tokenizer = False
    _load_feature_extractor = False
    _load_image_processor = False
    _load_video_processor = False
    _pipeline_calls_generate = True

    model_types: tuple[str, ...] = ()  # the checkpoints that the pipeline can use

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        model_type = self.model.config.model_type
        if model_type not in self.model_types:
            others = [task for task, other in PIPELINES.items() if model_type in other.model_types]
            hint = f"; use it with pipeline({others[0]!r})" if others else ""
            raise ValueError(
                f"{type(self).__name__} needs a checkpoint of type {' or '.join(self.model_types)}, but "
                f"{self.model.name_or_path or 'the model'} is of type {model_type}{hint}."
            )
        if self.processor is None:
            raise ValueError(
                "A model object comes without its processor; pass processor=TM2TProcessor.from_pretrained"
                "(<the model's folder>) too."
            )

    def _sanitize_parameters(self, generate_kwargs=None, **kwargs):
        """Arguments of preprocess, forward and postprocess; what `generate()` does not know, it refuses."""
        return {}, {**kwargs, **(generate_kwargs or {})}, {}

    def _forward(self, model_inputs, **generate_kwargs):
        sequences = self.model.generate(**model_inputs, **self._prepare_generate_kwargs(generate_kwargs))
        num_inputs = len(next(iter(model_inputs.values())))
        return {"sequences": sequences.reshape(num_inputs, -1, sequences.shape[-1])}  # (batch, samples, tokens)

    def save_pretrained(self, save_directory: str | PathLike, **kwargs):
        """Save model and processor, so that `pipeline(task, save_directory)` has all it needs."""
        self.model.save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory)


class TextToMotionPipeline(_MotionPipeline):
    """Motion from a caption, by a `TextToMotionModel` and the motion VQ inside it.

    ```python
    from transformers import pipeline
    import tm2t_hf

    animate = pipeline("text-to-motion")  # the checkpoint that ships with tm2t_hf; or model=<folder or Hub id>
    motion = animate("a person waves the left hand", do_sample=True)
    motion["joints"].shape  # (frames, 22, 3)
    ```
    """

    model_types = ("tm2t-t2m", "tm2t-t2m-transformer")

    def __call__(self, text_inputs, **kwargs):
        """Generate motions.

        Args:
            text_inputs: a caption, or a list of captions.
            batch_size: how many captions are generated at once; 1 by default.
            kwargs: arguments of `generate()`, such as `do_sample`, `top_k`, `num_beams`, `num_return_sequences`,
                `min_seconds`, `max_seconds`; also as one dict `generate_kwargs`. `transformers.set_seed` makes samples
                repeatable.

        Returns:
            For one caption `{"motion": (frames, features) float32, not normalised, "joints": (frames, joints, 3)
            float32, metres, y up, "fps": float}`; with `num_return_sequences` above 1 a list of such dicts. For a list
            of captions a list with what each gives. A model that ends at once gives 0 frames, and a warning names the
            caption.

        Raises:
            ValueError: for a caption that is empty or not a string.
        """
        return super().__call__(text_inputs, **kwargs)

    def preprocess(self, text):
        return {**self.processor(text=text, return_tensors="pt")}

    def _forward(self, model_inputs, **generate_kwargs):
        return {**super()._forward(model_inputs, **generate_kwargs), "input_ids": model_inputs["input_ids"]}

    def postprocess(self, model_outputs):
        sequences = model_outputs["sequences"][0].to(self.device)  # (samples, tokens)
        with torch.no_grad():
            motions = self.model.decode_motion(sequences)
        samples = []
        for motion in motions:
            features = self.processor.feature_extractor.denormalize(motion.float().cpu()).numpy()
            (joints,) = self.processor.post_process(motion)
            if len(features) == 0:
                caption = self.processor.decode(model_outputs["input_ids"][0], skip_special_tokens=True)
                logger.warning(f"The motion for {caption!r} has 0 frames: the model ended at once; pass min_seconds.")
            samples.append({"motion": features, "joints": joints, "fps": self.processor.feature_extractor.fps})
        return samples[0] if len(samples) == 1 else samples


class MotionToTextPipeline(_MotionPipeline):
    """A caption for a motion, by a `MotionToTextModel` and the motion VQ inside it.

    ```python
    from transformers import pipeline
    import tm2t_hf

    describe = pipeline("motion-to-text")
    describe("wave.npy")  # [{"generated_text": "a person waves the left hand"}]
    ```
    """

    model_types = ("tm2t-m2t",)

    def __call__(self, motions, **kwargs):
        """Describe motions.

        Args:
            motions: a motion or a list of motions, each one of: features (frames, features), not normalised; joints
                (frames, joints, 3) in metres, y up; the path of a `.npy` file with either.
            fps: frames a second of the motions, where it is not the model's own: they are resampled.
            batch_size: how many motions are described at once; 1 by default.
            kwargs: arguments of `generate()`, such as `num_beams`, `num_return_sequences`, `do_sample`; also as one
                dict `generate_kwargs`.

        Returns:
            `[{"generated_text": str}, ...]`, one dict a returned sequence; for a list of motions a list of such lists.

        Raises:
            ValueError: for a motion that does not fit, see `MotionFeatureExtractor`.
            FileNotFoundError: for a path where there is no file.
        """
        return super().__call__(motions, **kwargs)

    def _sanitize_parameters(self, fps=None, **kwargs):
        _, forward, postprocess = super()._sanitize_parameters(**kwargs)
        return {} if fps is None else {"fps": fps}, forward, postprocess

    def preprocess(self, motion, fps=None):
        inputs = self.processor(motion=motion, fps=fps, return_tensors="pt")
        if (count := len(inputs["motion_values"])) != 1:
            raise ValueError(f"motions holds an array of {count} motions; pass a list of motions.")
        return {**inputs}

    def postprocess(self, model_outputs):
        captions = self.processor.batch_decode(model_outputs["sequences"][0], skip_special_tokens=True)
        return [{"generated_text": caption} for caption in captions]


def shipped_checkpoint(name: str) -> Path:
    """Folder of a checkpoint that ships with the package: "tm2t-vq", "tm2t-m2t" or "tm2t-t2m".

    Raises:
        FileNotFoundError: when this installation holds none.
    """
    folder = CHECKPOINTS / name
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"This installation has no checkpoint {folder}; name a model of your own, or install tm2t_hf again."
        )
    return folder


PIPELINES = {"text-to-motion": TextToMotionPipeline, "motion-to-text": MotionToTextPipeline}


def register_pipelines() -> None:
    """Make both tasks known to `transformers.pipeline`, with the shipped checkpoints as their default models."""
    for task, pipeline_class, folder, kind in (
        ("text-to-motion", TextToMotionPipeline, "tm2t-t2m", "text"),
        ("motion-to-text", MotionToTextPipeline, "tm2t-m2t", "multimodal"),
    ):
        # AutoModel, not AutoModelForSeq2SeqLM: a folder of another model type then loads, and the pipeline says in one
        # sentence what it needs.
        PIPELINE_REGISTRY.register_pipeline(
            task, pipeline_class, pt_model=AutoModel, default={"model": (str(CHECKPOINTS / folder), "main")}, type=kind
        )
