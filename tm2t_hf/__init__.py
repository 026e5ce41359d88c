# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""tm2t_hf: text to motion and motion to text with transformers (TM2T, Guo et al., ECCV 2022).

Importing it registers the models with the Auto classes and the tasks "text-to-motion" and "motion-to-text" with
`pipeline()`.
"""

import sys

from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForSeq2SeqLM,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedConfig,
)

from ._moved import MovedModules
from .alignment import gumbel_rollout, inverse_alignment_loss
from .auto_classes import auto_classes
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
from .motion import features_to_joints, joints_to_features
from .pipelines import MotionToTextPipeline, TextToMotionPipeline, register_pipelines
from .processing_matcher import MotionTextMatcherProcessor
from .processing_tm2t import TM2TProcessor
from .skeletons import HUMANML3D, KIT, SKELETONS, Skeleton, load_skeleton
from .tokenization_motion import MotionTokenizer
from .tokenization_text import train_text_tokenizer
from .tokenization_words import WordTokenizer

__version__ = "0.1.0"


class _TokenizerNames(PreTrainedConfig):
    """No model has this configuration: AutoTokenizer only finds tokenizers by name that some configuration has."""


for _classes in auto_classes().values():
    _config = _classes["AutoConfig"]
    AutoConfig.register(_config.model_type, _config)
    for _auto_class in (AutoFeatureExtractor, AutoModel, AutoModelForSeq2SeqLM, AutoProcessor):
        if _auto_class.__name__ in _classes:
            _auto_class.register(_config, _classes[_auto_class.__name__])
AutoTokenizer.register(MotionVQConfig, fast_tokenizer_class=MotionTokenizer)
AutoTokenizer.register(_TokenizerNames, fast_tokenizer_class=WordTokenizer)
register_pipelines()
sys.meta_path.append(MovedModules())

__all__ = [
    "HUMANML3D",
    "KIT",
    "SKELETONS",
    "MotionFeatureExtractor",
    "MotionTextMatcher",
    "MotionTextMatcherConfig",
    "MotionTextMatcherProcessor",
    "MotionToTextConfig",
    "MotionToTextModel",
    "MotionToTextPipeline",
    "MotionTokenizer",
    "MotionVQConfig",
    "MotionVQModel",
    "Skeleton",
    "TM2TProcessor",
    "TextToMotionConfig",
    "TextToMotionModel",
    "TextToMotionPipeline",
    "TextToMotionTransformer",
    "TextToMotionTransformerConfig",
    "WordTokenizer",
    "features_to_joints",
    "gumbel_rollout",
    "inverse_alignment_loss",
    "joints_to_features",
    "load_skeleton",
    "train_text_tokenizer",
]
