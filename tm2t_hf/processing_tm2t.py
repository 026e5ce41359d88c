# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The processor of the translation models: captions and motions in, captions and joints out."""

from transformers import BatchFeature, ProcessorMixin

from .tokenization_text import check_captions


class TM2TProcessor(ProcessorMixin):
    """Bundles what stands between people and the models; saved and loaded as one.

    | call | returns | for |
    |---|---|---|
    | `processor(text=...)` | `input_ids`, `attention_mask` | `TextToMotionModel` |
    | `processor(motion=...)` | `motion_values`, `attention_mask` | `MotionToTextModel`, `MotionVQModel` |
    | `processor(motion=..., text_target=...)` | likewise, and `labels` | training `MotionToTextModel` |
    | `processor(text=..., motion=...)` | all four, the motion's mask as `motion_attention_mask` | models of both |

    Args:
        feature_extractor: a `MotionFeatureExtractor`.
        tokenizer: the text tokenizer.
        motion_tokenizer: a `MotionTokenizer`, saved in the folder `motion_tokenizer/`.
    """

    def __init__(self, feature_extractor, tokenizer, motion_tokenizer):
        super().__init__(feature_extractor, tokenizer, motion_tokenizer)

    def __call__(
        self,
        text=None,
        motion=None,
        text_target=None,
        padding=True,
        truncation=False,
        max_length=None,
        fps=None,
        return_tensors=None,
    ) -> BatchFeature:
        """Prepare captions and motions for a model.

        Args:
            text: a caption or a list of them.
            motion: one motion or a list of them, see `MotionFeatureExtractor.__call__`.
            text_target: the captions to learn, a string or a list. `labels` are what the decoder has to predict: the
                caption after `<bos>`, with its `<eos>`, padded with -100.
            padding, return_tensors: as in every processor; they go for text and motion alike.
            truncation, max_length: cut the captions, in text tokens; motions are never cut.
            fps: frames a second of the motions, where it is not the model's own.

        Raises:
            ValueError: when there is nothing to process, for captions that are empty or not strings, for captions and
                motions of unequal number, and for motions that do not fit.
        """
        if text is None and motion is None:
            raise ValueError("there is nothing to process; pass text=, motion= or both.")
        if text is not None and text_target is not None:
            raise ValueError("text= and text_target= are both given; a model reads the one and learns the other.")

        def tokenize(captions, argument):
            captions = check_captions(captions, argument)
            encoded = self.tokenizer(
                captions,
                padding=padding,
                truncation=truncation,
                max_length=max_length,
                return_attention_mask=True,
                return_token_type_ids=False,
            )
            return dict(encoded)

        data, counts = {}, {}
        if text is not None:
            data = tokenize(text, "text")
            counts["text"] = len(data["input_ids"])
        if motion is not None:
            motions = self.feature_extractor(motion, fps=fps, padding=padding)
            data["motion_values"] = motions["motion_values"]
            data["attention_mask" if text is None else "motion_attention_mask"] = motions["attention_mask"]
            counts["motion"] = len(motions["motion_values"])
        if text_target is not None:
            target = tokenize(text_target, "text_target")
            data["labels"] = [
                [index if real else -100 for index, real in zip(ids[1:], mask[1:], strict=True)]
                for ids, mask in zip(target["input_ids"], target["attention_mask"], strict=True)
            ]
            counts["text_target"] = len(data["labels"])
        if len(set(counts.values())) > 1:
            numbers = " and ".join(f"{count} in {name}=" for name, count in counts.items())
            raise ValueError(f"the numbers of captions and motions differ: {numbers}; pass one of each for a pair.")
        return BatchFeature(data, tensor_type=return_tensors)

    def post_process(self, motion_values, attention_mask=None):
        """Model output -> a list of joints (frames, joints, 3) in metres, as `MotionFeatureExtractor.post_process`."""
        return self.feature_extractor.post_process(motion_values, attention_mask)

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "attention_mask", "motion_values", "motion_attention_mask"]
