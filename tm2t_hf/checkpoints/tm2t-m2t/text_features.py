# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What the text-to-motion models share: a pretrained text encoder, and parts that no training changes."""

import torch
from torch import Tensor, nn
from transformers import AutoModelForTextEncoding, PreTrainedConfig, PreTrainedModel

from .frozen_parts import FrozenStorageMixin
from .recurrent import look_up_words

TEXT_ENCODER = "encoder.text_encoder"  # where a text-to-motion model has it
# What a `PreTrainedModel` takes over from its children as it is.
RULES = ("_keep_in_fp32_modules", "_keep_in_fp32_modules_strict", "_no_split_modules", "_skip_keys_device_placement")
RULES += ("_keys_to_ignore_on_load_unexpected", "_keys_to_ignore_on_load_missing")


def new_text_encoder(config: PreTrainedConfig) -> PreTrainedModel | None:
    """The text encoder that a configuration describes, with random weights; None without a `text_encoder_config`."""
    if config.text_encoder_config is None:
        return None
    return AutoModelForTextEncoding.from_config(config.text_encoder_config)


class TextFeaturesMixin:
    """An encoder that reads features of its pretrained `text_encoder` or, if that is None, vectors of `embed_tokens`.

    Attributes:
        config: of the text-to-motion model.
        text_encoder: a `PreTrainedModel`, or None.
        embed_tokens: a table of word vectors, or None.
    """

    config: PreTrainedConfig
    text_encoder: PreTrainedModel | None
    embed_tokens: nn.Embedding | None

    def text_features(
        self, input_ids: Tensor | None, attention_mask: Tensor | None, inputs_embeds: Tensor | None = None
    ) -> Tensor:
        """Features (batch, words, text_embedding_size) of a text that is given as ids, or as such features.

        Raises:
            ValueError: for missing or doubled inputs, features of another size, ids that there is nothing to look up
                in, or more words than the pretrained text encoder takes.
        """
        if self.text_encoder is None or input_ids is None or inputs_embeds is not None:
            return look_up_words(self.embed_tokens, self.config, input_ids, inputs_embeds)
        longest = getattr(self.text_encoder.config, "max_position_embeddings", None)
        if longest is not None and input_ids.shape[1] > longest:
            raise ValueError(
                f"The text has {input_ids.shape[1]} tokens, but the text encoder takes {longest} at most; shorten it."
            )
        if attention_mask is None:
            attention_mask = (input_ids != self.config.text_pad_id).long()
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze_text_encoder):
            return self.text_encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def hand_on_rules(encoder: nn.Module):
    """Let `encoder`, a plain module, tell `PreTrainedModel.post_init` what it would ask its `text_encoder`."""
    inner = encoder.text_encoder
    if inner is None:
        return
    for name in RULES:
        setattr(encoder, name, getattr(inner, name))
    tied = inner.all_tied_weights_keys.items()
    encoder.all_tied_weights_keys = {f"text_encoder.{key}": f"text_encoder.{source}" for key, source in tied}
    encoder._keys_to_ignore_on_save = {f"text_encoder.{key}" for key in inner._keys_to_ignore_on_save}


class FrozenPartsMixin(FrozenStorageMixin):
    """A text-to-motion `PreTrainedModel`: its motion VQ stays as it is, and so does a frozen text encoder."""

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """What `inputs_embeds` may hold for a text: features of the pretrained text encoder, or word vectors.

        Args:
            input_ids: (batch, words) text ids.
            attention_mask: (batch, words), 0 on the padding; by default that of `text_pad_id`.

        Returns:
            (batch, words, text_embedding_size).
        """
        return self.encoder.text_features(input_ids, attention_mask)

    def set_text_encoder(self, text_encoder: PreTrainedModel):
        """Put a pretrained text encoder in the place of the model's own, which has random weights in a new model.

        Raises:
            ValueError: for a model without `text_encoder_config`, or an encoder of other sizes than that describes.
        """
        config = self.config.text_encoder_config
        if config is None:
            raise ValueError("This model has no text encoder: its configuration lacks `text_encoder_config`.")
        for name in ("model_type", "hidden_size", "vocab_size"):
            if getattr(text_encoder.config, name) != getattr(config, name):
                raise ValueError(
                    f"The text encoder has the {name} {getattr(text_encoder.config, name)}, but "
                    f"`text_encoder_config` says {getattr(config, name)}."
                )
        self.encoder.text_encoder = text_encoder.train(self.training)
        self.freeze_parts()

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        """The whole encoder, the pretrained one inside; `generate()` calls it."""
        return self.encoder

    def get_input_embeddings(self) -> nn.Embedding | None:
        """The table of word vectors, that of a pretrained text encoder too; None for a model that is fed features."""
        if self.encoder.text_encoder is not None:
            return self.encoder.text_encoder.get_input_embeddings()
        return self.encoder.embed_tokens

    def set_input_embeddings(self, value: nn.Embedding):
        """Replace the table of word vectors."""
        if self.encoder.text_encoder is not None:
            self.encoder.text_encoder.set_input_embeddings(value)
        else:
            self.encoder.embed_tokens = value

    def resize_token_embeddings(self, *args, **kwargs) -> nn.Embedding:
        """As `WordVectorsMixin.resize_token_embeddings`; of a pretrained text encoder, by its own rules."""
        if self.encoder.text_encoder is None:
            return super().resize_token_embeddings(*args, **kwargs)
        table = self.encoder.text_encoder.resize_token_embeddings(*args, **kwargs)
        self.config.text_vocab_size = self.config.text_encoder_config.vocab_size = table.num_embeddings
        return table

    def train(self, mode: bool = True):
        """Switch to training or, with False, to evaluation; frozen parts are frozen, and evaluate, in both.

        They are frozen here and not once, as `from_pretrained` makes every loaded parameter a trainable one, and other
        parts may have been put in.
        """
        super().train(mode)
        self.freeze_parts()
        return self

    def freeze_parts(self):
        """Keep gradients and dropout out of the parts that no training changes."""
        for name in self._frozen_names():
            self.get_submodule(name).requires_grad_(False).eval()
        if self.encoder.text_encoder is not None:
            # which gives a summary of the text that nothing reads; distributed training would wait for its gradient
            for name, parameter in self.encoder.text_encoder.named_parameters():
                if name.startswith("pooler."):
                    parameter.requires_grad_(False)

    def _frozen_names(self) -> list[str]:
        names = super()._frozen_names()
        if self.encoder.text_encoder is not None and self.config.freeze_text_encoder:
            names.append(TEXT_ENCODER)
        return names


__all__ = ["FrozenPartsMixin", "TextFeaturesMixin", "hand_on_rules", "new_text_encoder"]
