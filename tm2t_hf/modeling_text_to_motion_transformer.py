# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Text to motion by a transformer: that of motion to text (TM2T, section 3.2) in the other direction.

It is the post-LN transformer of Vaswani et al. (2017), built on the Marian classes of `transformers` as
`MotionToTextModel` is. Its text comes from an embedding of its own, as in the paper, or from a pretrained encoder.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.models.marian.modeling_marian import MarianDecoder, MarianEncoder, MarianPreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple

from .beams import BeamsShareSourceMixin
from .configuration_text_to_motion_transformer import TextToMotionTransformerConfig
from .generation_arguments import check_cross_attention
from .generation_text_to_motion import MotionGenerationMixin
from .layers_transformer import use_own_layers
from .loading import WholeWeightsMixin
from .modeling_motion_to_text import InterleavedPositions
from .modeling_motion_vq import MotionVQModel
from .padding import text_lengths
from .recurrent import WordVectorsMixin
from .short_steps import ShortStepsMixin
from .text_features import FrozenPartsMixin, TextFeaturesMixin, new_text_encoder


class TextToMotionTransformerPreTrainedModel(WholeWeightsMixin, MarianPreTrainedModel):
    """What loading and saving need to know of the model."""

    config: TextToMotionTransformerConfig
    main_input_name = "input_ids"
    _no_split_modules = ["TransformerEncoderLayer", "TransformerDecoderLayer", "MotionVQEncoder", "MotionVQDecoder"]

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, InterleavedPositions):
            init.copy_(module.table, module.compute_table())
        elif isinstance(module, nn.Linear | nn.Embedding):
            init.xavier_uniform_(module.weight)  # as in the paper's code


@dataclass
class EncodedText(ModelOutput):
    """The encoded text, which knows its padding.

    Args:
        last_hidden_state: (batch, words, d_model).
        attention_mask: (batch, words), 1 for words and 0 for padding.
        hidden_states: if asked for, what each layer reads, and `last_hidden_state`.
        attentions: if asked for, each layer's attention.
    """

    last_hidden_state: Tensor | None = None
    attention_mask: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class TransformerTextEncoder(TextFeaturesMixin, TextToMotionTransformerPreTrainedModel, MarianEncoder):
    """Text features, projected to the model's width where they are a pretrained encoder's, and layers over them."""

    def __init__(self, config: TextToMotionTransformerConfig):
        super().__init__(config)
        self.dropout = config.embedding_dropout
        self.embed_positions = InterleavedPositions(config, "caption")
        use_own_layers(self)
        self.text_encoder = new_text_encoder(config)
        if self.text_encoder is None:
            self.embed_tokens = nn.Embedding(config.text_vocab_size, config.d_model, config.text_pad_id)
        else:
            self.embed_tokens = None
            self.feature_dropout = nn.Dropout(config.dropout)
            self.projection = nn.Linear(config.text_embedding_size, config.d_model)
            self.norm = nn.LayerNorm(config.d_model)
        self.post_init()

    def text_features(
        self, input_ids: Tensor | None, attention_mask: Tensor | None, inputs_embeds: Tensor | None = None
    ) -> Tensor:
        """As for every text-to-motion model; word vectors come multiplied by `embed_scale`, as in Marian."""
        features = super().text_features(input_ids, attention_mask, inputs_embeds)
        return features * self.embed_scale if self.text_encoder is None and inputs_embeds is None else features

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs,
    ) -> EncodedText:
        """Encode captions: ids (batch, words) or text features (batch, words, size) -> (batch, words, d_model)."""
        if attention_mask is None and input_ids is not None:
            attention_mask = (input_ids != self.config.text_pad_id).long()
        features = self.text_features(input_ids, attention_mask, inputs_embeds)
        if attention_mask is None:
            attention_mask = torch.ones(features.shape[:2], dtype=torch.long, device=features.device)
        text_lengths(features, attention_mask)  # refuses empty texts, and padding before a text
        if self.text_encoder is not None:
            features = features.to(self.norm.weight.dtype)  # a quantized projection has no type
            features = self.norm(self.projection(self.feature_dropout(features)))
        kwargs["return_dict"] = True
        output = super().forward(inputs_embeds=features, attention_mask=attention_mask, **kwargs)
        return EncodedText(output.last_hidden_state, attention_mask, output.hidden_states, output.attentions)


class NoPositions(nn.Module):
    """Adds nothing: `TransformerMotionDecoder` has added the positions already."""

    def forward(self, shape, past_length=0, position_ids=None) -> float:
        """The position vectors that Marian's decoder adds."""
        return 0.0


class TransformerMotionDecoder(ShortStepsMixin, TextToMotionTransformerPreTrainedModel, MarianDecoder):
    """The transformer's decoder over motion ids. Hidden tokens are as if they were not there: none has a position."""

    def __init__(self, config: TextToMotionTransformerConfig):
        super().__init__(config)
        self.dropout = config.embedding_dropout
        self.token_scale, self.embed_scale = self.embed_scale, 1.0  # scaled here, before the positions are added
        self.embed_positions = NoPositions()
        self.positions = InterleavedPositions(config, "motion")
        use_own_layers(self)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values=None,
        **kwargs,
    ):
        """Read ids (batch, tokens), or rows of `embed_tokens` in their place, that follow those of the cache.

        Args:
            input_ids: (batch, tokens).
            attention_mask: (batch, tokens, those of the cache included) 0 for tokens to hide.
            inputs_embeds: (batch, tokens, d_model).
            position_ids: (batch, tokens); by default, tokens that are not hidden are counted.
            past_key_values: the cache.
            kwargs: as in Marian.
        """
        if inputs_embeds is None:
            inputs_embeds = self.embed_tokens(input_ids)
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        tokens = inputs_embeds.shape[1]
        if position_ids is None and attention_mask is not None and attention_mask.dim() == 2:
            position_ids = visible_positions(attention_mask)[:, -tokens:]
        positions = self.positions(inputs_embeds.shape[:2], past, position_ids)  # ([batch,] tokens, d_model)
        return super().forward(
            inputs_embeds=inputs_embeds * self.token_scale + positions,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            **kwargs,
        )


def visible_positions(mask: Tensor) -> Tensor:
    """Positions (batch, tokens) of the tokens that a mask of this shape does not hide, counted from 0."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


class TextToMotionTransformer(
    BeamsShareSourceMixin,
    FrozenPartsMixin,
    WordVectorsMixin,
    TextToMotionTransformerPreTrainedModel,
    MotionGenerationMixin,
):
    """Motion tokens from text by a transformer, and features from motion tokens.

    `generate()` gives ids of the motion vocabulary, `decode_motion()` the features, in normalized units. The VQ model
    is the sub-model `vq` (None without a `vq_config`), a pretrained text encoder is `encoder.text_encoder`.
    """

    _tied_weights_keys = {"lm_head.weight": "decoder.embed_tokens.weight"}

    def __init__(self, config: TextToMotionTransformerConfig):
        config.validate_architecture()  # may have been changed since it was made
        config.validate_codebook_size()
        config.validate_vq_config()
        super().__init__(config)
        self.encoder = TransformerTextEncoder(config)
        self.decoder = TransformerMotionDecoder(config)
        for part in (self.encoder.layers, self.decoder.layers):
            for module in part.modules():
                if isinstance(module, nn.LayerNorm):
                    module.eps = config.layer_norm_eps
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.vq = None if config.vq_config is None else MotionVQModel(config.vq_config)
        self.freeze_parts()
        self.generation_config = self.new_generation_config()
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        encoder_outputs: EncodedText | tuple | None = None,
        past_key_values=None,
        use_cache: bool | None = None,
        decoder_attention_mask: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        decoder_position_ids: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        **kwargs,
    ) -> Seq2SeqLMOutput:
        """Logits of the motion tokens that follow `decoder_input_ids`.

        Args:
            input_ids: (batch, words) text ids.
            attention_mask: (batch, words), 0 on the padding (on the right); by default that of `text_pad_id`.
            decoder_input_ids: (batch, tokens) motion ids, beginning with `<bom>`; made from `labels` if left out.
            labels: (batch, tokens) the motion ids to predict, `<eom>` included; -100 is ignored.
            inputs_embeds: (batch, words, text_embedding_size), what `get_text_features` gives, in place of
                `input_ids`.
            encoder_outputs: what the encoder made of the text, in place of both.
            past_key_values: the cache of an earlier call, which `decoder_input_ids` continue: they hold only what the
                cache has not seen.
            use_cache: return a cache; by default, `config.use_cache` without labels.
            decoder_attention_mask: (batch, tokens), those of the cache included: 0 for tokens to skip, as if they were
                not there. Logits at such tokens mean nothing.
            decoder_inputs_embeds: (batch, tokens, d_model) rows of `decoder.embed_tokens`, in place of
                `decoder_input_ids`.
            decoder_position_ids: (batch, tokens); by default, what `decoder_attention_mask` does not hide is counted.
            num_items_in_batch: with the mean as reduction, divide by this number of labels (`Trainer` gives it when it
                accumulates gradients) rather than by this batch's.
            **kwargs: `output_hidden_states`, `output_attentions` and what else Marian takes.

        Returns:
            `loss` (if there are labels), `logits` (batch, tokens, K + 3), `past_key_values`, the encoder's output.

        Raises:
            ValueError: for missing or doubled inputs, an empty text, text padded on its left, or more tokens than the
                model has positions.
        """
        if decoder_input_ids is None and decoder_inputs_embeds is None:
            if labels is None:
                raise ValueError("Give `decoder_input_ids` or `labels`; to make a motion, call generate().")
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        elif decoder_input_ids is not None and decoder_inputs_embeds is not None:
            raise ValueError("Give the motion either as `decoder_input_ids` or as `decoder_inputs_embeds`.")
        if encoder_outputs is None:
            text = self.encoder(input_ids, attention_mask, inputs_embeds, **kwargs)
        else:
            text = self.checked_text(encoder_outputs, attention_mask)
        if past_key_values is not None:
            check_cross_attention(past_key_values, text.last_hidden_state, self.decoder)
        if use_cache is None:
            use_cache = self.config.use_cache and not self.training and labels is None
        output = self.decoder(
            input_ids=decoder_input_ids,
            inputs_embeds=decoder_inputs_embeds,
            attention_mask=decoder_attention_mask,
            position_ids=decoder_position_ids,
            encoder_hidden_states=text.last_hidden_state,
            encoder_attention_mask=text.attention_mask,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **(kwargs | {"return_dict": True}),
        )
        logits = self.lm_head(output.last_hidden_state)  # (batch, tokens, vocabulary)
        return Seq2SeqLMOutput(
            loss=None if labels is None else self._loss(logits, labels, num_items_in_batch),
            logits=logits,
            past_key_values=output.past_key_values if use_cache else None,
            decoder_hidden_states=output.hidden_states,
            decoder_attentions=output.attentions,
            cross_attentions=output.cross_attentions,
            encoder_last_hidden_state=text.last_hidden_state,
            encoder_hidden_states=text.hidden_states,
            encoder_attentions=text.attentions,
        )

    def _loss(self, logits: Tensor, labels: Tensor, num_items_in_batch: Tensor | int | None) -> Tensor:
        loss = F.cross_entropy(
            logits.flatten(0, 1).float(),
            labels.to(logits.device).flatten(),
            reduction="sum",
            # torch spreads it over the right id too, the paper's code over the others
            label_smoothing=self.config.label_smoothing * logits.shape[-1] / (logits.shape[-1] - 1),
        )
        if self.config.loss_reduction == "sum":
            return loss
        return loss / ((labels != -100).sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch)

    def checked_text(self, encoder_outputs: EncodedText | tuple, attention_mask: Tensor | None) -> EncodedText:
        """The encoded text, whose mask is only checked: the encoder has seen it."""
        text = EncodedText(*encoder_outputs) if isinstance(encoder_outputs, tuple) else encoder_outputs
        if getattr(text, "attention_mask", None) is None:
            raise ValueError("`encoder_outputs` must be what the encoder of a TextToMotionTransformer returns.")
        if attention_mask is not None and attention_mask.shape != text.attention_mask.shape:
            raise ValueError(
                f"The attention mask is {tuple(attention_mask.shape)}, the encoded text "
                f"{tuple(text.attention_mask.shape)}."
            )
        return text

    def _check_prefix(self, kwargs: dict):
        super()._check_prefix(kwargs)
        ids, mask = kwargs.get("decoder_input_ids"), kwargs.get("decoder_attention_mask")
        if ids is None:
            return
        if kwargs.get("past_key_values") is not None:
            # Without a mask, generate() would feed what is in the cache a second time.
            kwargs["decoder_attention_mask"] = mask = torch.ones_like(ids) if mask is None else mask
            if not mask[:, -1].all():
                raise ValueError(
                    "The motions to continue are padded on their right side, but a cache ends with their last tokens: "
                    "leave `past_key_values` out."
                )
        elif mask is not None:
            # The next id is read off the last one, so that the padding has to stand in front.
            order = mask.long().argsort(dim=1, stable=True)
            kwargs["decoder_input_ids"], kwargs["decoder_attention_mask"] = ids.gather(1, order), mask.gather(1, order)

    def prepare_inputs_for_generation(self, input_ids: Tensor, *args, **kwargs) -> dict:
        """What `forward` reads in one step of `generate()`."""
        mask = kwargs.get("decoder_attention_mask")
        inputs = GenerationMixin.prepare_inputs_for_generation(self, input_ids, *args, **kwargs)
        if mask is not None:  # which may reach `forward` as one of every token towards every other
            read = inputs["decoder_input_ids"].shape[1]
            inputs["decoder_position_ids"] = visible_positions(mask)[:, -read:]
        return inputs

    def free_run(self, text: EncodedText, steps: int, choose: Callable[[int, Tensor], tuple[Tensor, bool]]) -> Tensor:
        """Let the decoder run on its own choices, then read all of them anew in one pass.

        As the choices are without gradient, that one pass has all of it.

        Args:
            text: the encoded text.
            steps: the most ids to choose.
            choose: takes the step and its logits (batch, K + 3); returns the next ids (batch,) and whether to stop.

        Returns:
            Logits (batch, chosen, K + 3).
        """
        batch, device = len(text.last_hidden_state), text.last_hidden_state.device
        read, cache = [torch.full((batch, 1), self.config.bos_token_id, device=device)], None
        with torch.no_grad():
            for step in range(steps):
                output = self(encoder_outputs=text, decoder_input_ids=read[-1], past_key_values=cache, use_cache=True)
                cache = output.past_key_values
                chosen, done = choose(step, output.logits[:, -1])
                if done:
                    break
                read.append(chosen.unsqueeze(1))
        read = torch.cat(read[:steps], dim=1)
        return self(encoder_outputs=text, decoder_input_ids=read, use_cache=False).logits


__all__ = [
    "EncodedText",
    "TextToMotionTransformer",
    "TextToMotionTransformerPreTrainedModel",
    "TransformerMotionDecoder",
    "TransformerTextEncoder",
]
