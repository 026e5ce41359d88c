# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Small models and what they read, in the form in which transformers' common tests ask for them."""

import atexit
import shutil
import tempfile

import torch

from tm2t_hf import (
    HUMANML3D,
    MotionFeatureExtractor,
    MotionTextMatcherConfig,
    MotionToTextConfig,
    MotionVQConfig,
    TextToMotionConfig,
    TextToMotionTransformerConfig,
    WordTokenizer,
    train_text_tokenizer,
)

FEATURES = 23  # two joints


def random_ids(*shape: int, low: int = 0, high: int) -> torch.Tensor:
    """Random ids from `low` to `high - 1`."""
    return torch.randint(low, high, shape)


def vq_config(**kwargs) -> MotionVQConfig:
    """A motion VQ of 29 codes."""
    sizes = {"feature_size": FEATURES, "hidden_size": 8, "codebook_size": 29, "num_decoder_blocks": 1}
    return MotionVQConfig(**sizes | kwargs)


class ModelTester:
    """One tiny model.

    Attributes:
        parent: the test case; fields: of the configuration, where it is another than the tester's.
        batch_size, seq_length: shape of the text, or of the motion in frames.
    """

    batch_size = 4
    seq_length = 8
    is_training = True

    def __init__(self, parent, **fields):
        self.parent = parent
        self.fields = fields

    def get_config(self):
        """The configuration."""
        raise NotImplementedError

    def get_inputs(self) -> dict[str, torch.Tensor]:
        """What the model reads."""
        raise NotImplementedError

    def prepare_config_and_inputs_for_common(self):
        """Configuration and inputs."""
        return self.get_config(), self.get_inputs()


class MotionVQModelTester(ModelTester):
    """The motion VQ."""

    seq_length = 16
    hidden_size = 8
    encoder_seq_length = 8  # frames behind the first stage
    expected_num_hidden_layers = num_hidden_layers = 2  # stages of the encoder

    def get_config(self):
        """Learns its codebook by moving averages, the default."""
        return vq_config(**self.fields)

    def get_inputs(self):
        """The first motion is whole, the others are padded."""
        mask = (torch.arange(self.seq_length) < torch.tensor([[16], [12], [8], [16]])).long()
        motion = torch.randn(self.batch_size, self.seq_length, FEATURES)
        return {"motion_values": motion * mask.unsqueeze(-1), "attention_mask": mask}


class MotionToTextModelTester(ModelTester):
    """The transformer from motion to text with its motion VQ; the common tests feed it `input_ids`."""

    encoder_seq_length = seq_length = 8
    decoder_seq_length = 7
    key_length = 8
    hidden_size = 16
    num_hidden_layers = 2
    num_attention_heads = 4

    def get_config(self):
        """29 codes, 37 entries of text."""
        return MotionToTextConfig(
            vq_config=vq_config(codebook_update="gradient"),
            vocab_size=37,
            d_model=self.hidden_size,
            encoder_layers=self.num_hidden_layers,
            decoder_layers=self.num_hidden_layers,
            encoder_attention_heads=self.num_attention_heads,
            decoder_attention_heads=self.num_attention_heads,
            encoder_ffn_dim=12,
            decoder_ffn_dim=12,
            max_position_embeddings=40,
            dropout=0.0,
            attention_dropout=0.0,
        )

    def get_inputs(self):
        """Motion ids without padding, and ids of captions."""
        return {
            "input_ids": random_ids(self.batch_size, self.seq_length, high=29),
            "attention_mask": torch.ones(self.batch_size, self.seq_length, dtype=torch.long),
            # also entries of the motion vocabulary, as test_inputs_embeds knows one vocabulary only
            "decoder_input_ids": random_ids(self.batch_size, self.decoder_seq_length, low=4, high=29),
            "decoder_attention_mask": torch.ones(self.batch_size, self.decoder_seq_length, dtype=torch.long),
        }


class TextToMotionModelTester(ModelTester):
    """The recurrent model from text to motion with its motion VQ."""

    encoder_seq_length = seq_length = 8
    decoder_seq_length = 7
    hidden_size = 16
    num_hidden_layers = 1  # of encoder and decoder alike

    def get_config(self):
        """29 codes, 37 entries of text."""
        return TextToMotionConfig(
            vq_config=vq_config(codebook_update="gradient"),
            text_vocab_size=37,
            text_embedding_size=self.hidden_size,
            text_hidden_size=self.hidden_size // 2,
            motion_hidden_size=self.hidden_size,
            num_layers=self.num_hidden_layers,
        )

    def get_inputs(self):
        """Captions without padding, and motion ids."""
        return {
            "input_ids": random_ids(self.batch_size, self.seq_length, low=1, high=37),
            "attention_mask": torch.ones(self.batch_size, self.seq_length, dtype=torch.long),
            "decoder_input_ids": random_ids(self.batch_size, self.decoder_seq_length, high=29),
        }


class TextToMotionTransformerTester(ModelTester):
    """The transformer from text to motion with its motion VQ."""

    encoder_seq_length = seq_length = 8
    decoder_seq_length = 7
    key_length = 8
    hidden_size = 16
    num_hidden_layers = 2
    num_attention_heads = 4

    def get_config(self):
        """29 codes, 37 entries of text."""
        return TextToMotionTransformerConfig(
            vq_config=vq_config(codebook_update="gradient"),
            text_vocab_size=37,
            text_pad_id=36,  # not among the ids below 5 with which the tests of attention fill their batches up
            d_model=self.hidden_size,
            encoder_layers=self.num_hidden_layers,
            decoder_layers=self.num_hidden_layers,
            encoder_attention_heads=self.num_attention_heads,
            decoder_attention_heads=self.num_attention_heads,
            encoder_ffn_dim=12,
            decoder_ffn_dim=12,
            max_position_embeddings=40,
            dropout=0.0,
            attention_dropout=0.0,
        )

    def get_inputs(self):
        """Captions without padding, and motion ids."""
        return {
            # also entries of the motion vocabulary, as test_inputs_embeds knows one vocabulary only
            "input_ids": random_ids(self.batch_size, self.seq_length, low=1, high=29),
            "attention_mask": torch.ones(self.batch_size, self.seq_length, dtype=torch.long),
            "decoder_input_ids": random_ids(self.batch_size, self.decoder_seq_length, high=29),
            "decoder_attention_mask": torch.ones(self.batch_size, self.decoder_seq_length, dtype=torch.long),
        }


class MotionTextMatcherTester(ModelTester):
    """The matcher of texts and motions."""

    hidden_size = 8
    frames = 12

    def get_config(self):
        """37 entries of text."""
        return MotionTextMatcherConfig(
            feature_size=FEATURES,
            movement_hidden_size=10,
            movement_size=8,
            text_vocab_size=37,
            text_embedding_size=12,
            text_hidden_size=8,
            motion_hidden_size=8,
            embedding_size=6,
            dropout=0.0,
        )

    def get_inputs(self):
        """Captions and motions, none padded."""
        return {
            "input_ids": random_ids(self.batch_size, self.seq_length, low=1, high=37),
            "attention_mask": torch.ones(self.batch_size, self.seq_length, dtype=torch.long),
            "motion_values": torch.randn(self.batch_size, self.frames, FEATURES),
            "motion_attention_mask": torch.ones(self.batch_size, self.frames, dtype=torch.long),
        }


CAPTIONS = [
    "a person walks forward and waves the left hand",
    "someone kicks with the right leg, then stops",
    "an old man turns left slowly",
    "this is a test of the first sentence, and that was the second one",
    "low lower lowest new newer newest wide wider hello there upper older longer string",
    "the figure jumps twice while it raises both arms over the head",
]
WORDS = "sos eos unk a the person man walk run jump turn left right forward slowly hand leg wave kick and then with"


def text_tokenizer():
    """The tokenizer of a new model."""
    return train_text_tokenizer(CAPTIONS, vocab_size=500)


def word_tokenizer(**kwargs) -> WordTokenizer:
    """The tokenizer of a converted model."""
    return WordTokenizer.from_words({word: index for index, word in enumerate(WORDS.split())}, **kwargs)


def feature_extractor() -> MotionFeatureExtractor:
    """An extractor of 22 joints that leaves features as they are."""
    size = HUMANML3D.feature_size
    return MotionFeatureExtractor(skeleton=HUMANML3D, mean=[0.0] * size, std=[1.0] * size)


def folder_with(part) -> str:
    """Save a tokenizer, processor or model to a new folder."""
    folder = tempfile.mkdtemp(prefix="tm2t_hf_peer_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    part.save_pretrained(folder)
    return folder
