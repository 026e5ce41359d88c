# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Which classes belong to each type of model, for the Auto classes here and for processes without tm2t_hf.

A checkpoint carries its own code, so that `AutoModel.from_pretrained(folder, trust_remote_code=True)` and the
pipelines work without this package. `transformers` copies a class's module and, file by file, whatever is imported
from it as `from .x import Y`; the imports in `auto_classes` make that every module a checkpoint can need.
"""

from typing import Any

from transformers.utils import TRANSFORMERS_DYNAMIC_MODULE_NAME

IS_PACKAGE = __name__.split(".")[0] != TRANSFORMERS_DYNAMIC_MODULE_NAME  # not the copy that a checkpoint carries


def auto_classes() -> dict[str, dict[str, type]]:
    """Type of model -> Auto class -> the class that it stands for; the configuration's is `"AutoConfig"`."""
    # here, because the configurations import this module
    from .configuration_matcher import MotionTextMatcherConfig
    from .configuration_motion_to_text import MotionToTextConfig
    from .configuration_motion_vq import MotionVQConfig
    from .configuration_text_to_motion import TextToMotionConfig
    from .configuration_text_to_motion_transformer import TextToMotionTransformerConfig
    from .feature_extraction_motion import MotionFeatureExtractor
    from .modeling_matcher import MotionTextMatcher
    from .modeling_motion_to_text import MotionToTextModel
    from .modeling_motion_vq import MotionVQModel
    from .modeling_text_to_motion import TextToMotionModel
    from .modeling_text_to_motion_transformer import TextToMotionTransformer
    from .processing_matcher import MotionTextMatcherProcessor
    from .processing_tm2t import TM2TProcessor

    classes = {}
    for config, model, processor in (
        (MotionVQConfig, MotionVQModel, MotionFeatureExtractor),  # it reads motion alone
        (MotionToTextConfig, MotionToTextModel, TM2TProcessor),
        (TextToMotionConfig, TextToMotionModel, TM2TProcessor),
        (TextToMotionTransformerConfig, TextToMotionTransformer, TM2TProcessor),
        (MotionTextMatcherConfig, MotionTextMatcher, MotionTextMatcherProcessor),
    ):
        classes[config.model_type] = {
            "AutoConfig": config,
            "AutoModel": model,
            "AutoFeatureExtractor": MotionFeatureExtractor,
            "AutoProcessor": processor,
        } | ({"AutoModelForSeq2SeqLM": model} if model.can_generate() else {})
    return classes


def entries_for_remote_code(model_type: str) -> dict[str, Any]:
    """What `config.json` tells a process without tm2t_hf: `auto_map`, and `custom_pipelines` if there are any."""
    from .pipelines import PIPELINES

    auto_map = {auto_class: _reference(named) for auto_class, named in auto_classes()[model_type].items()}
    pipelines = {
        task: {"impl": _reference(pipeline), "pt": ["AutoModel"], "type": "multimodal"}
        for task, pipeline in PIPELINES.items()
        if model_type in pipeline.model_types
    }
    return {"auto_map": auto_map} | ({"custom_pipelines": pipelines} if pipelines else {})


def _reference(named: type) -> str:
    return f"{named.__module__.rpartition('.')[2]}.{named.__name__}"


__all__ = ["IS_PACKAGE", "auto_classes", "entries_for_remote_code"]
