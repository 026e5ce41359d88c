# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Motion-to-text, the second stage of TM2T: a transformer that translates motion tokens into a caption.

It is the post-LN transformer of Vaswani et al. (2017) with the sizes of TM2T (arXiv 2207.01696), built on the Marian
classes of `transformers`. What differs from Marian: two vocabularies, positions with sine and cosine interleaved, no
dropout of embeddings, Xavier initialization, another layer norm epsilon, and three kinds of input: motion ids, motion
features (encoded by the motion VQ that the model carries) and distributions over motion ids.
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import initialization as init
from transformers.cache_utils import Cache
from transformers.generation import GenerationConfig
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput
from transformers.models.marian.modeling_marian import (
    MarianDecoder,
    MarianEncoder,
    MarianMTModel,
    MarianPreTrainedModel,
)
from transformers.utils import can_return_tuple, logging

from .beams import ShortBeamsMixin
from .configuration_base import SPECIAL_IDS
from .configuration_motion_to_text import MotionToTextConfig
from .frozen_parts import FrozenStorageMixin
from .generation_arguments import NO_LABELS, CheckedGenerationMixin, check_cross_attention
from .layers_transformer import use_own_layers
from .loading import WholeWeightsMixin
from .modeling_motion_vq import MotionVQModel
from .packed_weights import has_its_own
from .padding import padded_lengths, refuse_unless
from .short_steps import ShortStepsMixin
from .vocabulary import check_ids, codes_to_ids

logger = logging.get_logger(__name__)

INPUTS = ("input_ids", "motion_values", "input_probs", "inputs_embeds")  # the forms that a motion can have


class InterleavedPositions(nn.Module):
    """Sinusoidal positions in the order of Vaswani et al. (section 3.5): sine in the even columns, cosine in the odd.

    A buffer, where Marian has a parameter: a frozen parameter comes back from `from_pretrained` as a trainable one.

    Args:
        config: gives `max_position_embeddings` and `d_model`.
        what: name of the sequence, for the error.
    """

    def __init__(self, config: MotionToTextConfig, what: str):
        super().__init__()
        self.what = what
        table = torch.empty(config.max_position_embeddings, config.d_model)
        self.register_buffer("table", table, persistent=False)
        self.table.copy_(self.compute_table())
        self.seconds_per_token = None if config.vq_config is None else config.vq_config.seconds_per_token

    def compute_table(self) -> torch.Tensor:
        """The table's content, (positions, d_model)."""
        length, width = self.table.shape
        rates = 10000 ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
        angles = torch.arange(length, dtype=torch.float64)[:, None] * rates  # (positions, ceil(d_model / 2))
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width].to(self.table.dtype)

    def forward(self, shape: torch.Size, past_length: int = 0, position_ids: torch.Tensor | None = None):
        """Positions (length, d_model) of a sequence of `shape` (batch, length) that follows `past_length` tokens."""
        length = past_length + shape[1]
        most = len(self.table)
        # A static cache counts in a tensor, on which compiled code cannot branch.
        if isinstance(length, torch.Tensor) and (length.is_meta or torch.compiler.is_compiling()):
            refuse_unless(
                length <= most,
                f"the {self.what} has more tokens than the model has positions for, {most} (max_position_embeddings)",
            )
        elif length > most:
            self.refuse(int(length))
        if position_ids is None:
            position_ids = torch.arange(shape[1], device=self.table.device) + past_length
        return F.embedding(position_ids, self.table)

    @torch.compiler.disable  # compiled code does not know the numbers
    def refuse(self, length: int):
        """Raise a ValueError for a sequence of `length` tokens, special ones included, which are too many."""
        most = len(self.table)
        if self.what != "motion" or self.seconds_per_token is None:
            raise ValueError(
                f"the {self.what} has {length} tokens (special tokens included), but the model has positions for "
                f"{most} (max_position_embeddings); shorten it"
            )
        seconds, limit = ((tokens - 2) * self.seconds_per_token for tokens in (length, most))
        raise ValueError(
            f"the {self.what} lasts {seconds:.1f} seconds, but the model takes {limit:.1f} at most ({length} tokens "
            f"with <bom> and <eom>, max_position_embeddings is {most}); cut it into shorter ones or, if it is "
            "shorter, give its frame rate (fps)"
        )


class MotionEmbedding(nn.Embedding):
    """The vectors of motion ids, or the mean vectors of distributions over them."""

    def forward(self, motion: torch.Tensor) -> torch.Tensor:
        """Ids (batch, tokens) or distributions (batch, tokens, K + 3) -> (batch, tokens, d_model)."""
        if not motion.is_floating_point():
            return super().forward(motion)
        return motion.to(self.weight.dtype) @ self.weight


class MotionToTextPreTrainedModel(WholeWeightsMixin, MarianPreTrainedModel):
    """What loading and saving need to know of the model."""

    config: MotionToTextConfig
    _keys_to_ignore_on_save = None  # Marian's are its positions, which are no parameters here
    _keys_to_ignore_on_load_missing = ["final_logits_bias"]
    _no_split_modules = ["TransformerEncoderLayer", "TransformerDecoderLayer", "MotionVQResidualBlock"]

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, InterleavedPositions):
            init.copy_(module.table, module.compute_table())
        elif isinstance(module, nn.Linear | nn.Embedding):
            # As in the paper's code; Marian's standard deviation of 0.02 is too small for a narrow transformer.
            init.xavier_uniform_(module.weight)


class MotionEncoder(MotionToTextPreTrainedModel, MarianEncoder):
    """The transformer's encoder over motion ids, or over distributions of motion ids."""

    def __init__(self, config: MotionToTextConfig):
        super().__init__(config)
        self.dropout = config.embedding_dropout
        # Its own table: Marian would size and pad it with the text vocabulary's figures.
        self.embed_tokens = MotionEmbedding(config.motion_vocab_size, config.d_model, config.pad_id)
        self.embed_positions = InterleavedPositions(config, "motion")
        use_own_layers(self)
        self.residual_projection = None
        if config.read_residuals:
            self.residual_projection = nn.Linear(config.vq_config.hidden_size, config.d_model, bias=False)
        self.post_init()

    def forward(
        self, input_ids=None, attention_mask=None, input_probs=None, inputs_embeds=None, residuals=None, **kwargs
    ) -> BaseModelOutput:
        """Encode `input_ids` (batch, tokens) or `input_probs` (batch, tokens, K + 3) -> (batch, tokens, d_model).

        `inputs_embeds` (batch, tokens, d_model) are what the first layer reads but for positions: already multiplied
        by `embed_scale`, as in Marian. `residuals` (batch, tokens, hidden) are those of `input_ids`.

        Several readings of each motion, `input_ids` (batch, readings, tokens) and `residuals` likewise, are encoded
        each by itself and come back one behind the other: (batch, readings * tokens, d_model), as `attention_mask`
        has them.
        """
        readings = None
        residuals = self._shown(residuals)
        if input_ids is not None and input_ids.dim() == 3:
            readings = input_ids.shape[1]
            input_ids = input_ids.flatten(0, 1)  # (batch * readings, tokens)
            attention_mask = attention_mask.reshape(input_ids.shape)
            residuals = None if residuals is None else residuals.flatten(0, 1)
        embeds = inputs_embeds
        if embeds is None:  # Marian scales the embeddings of ids only
            embeds = self.embed_tokens(input_ids if input_probs is None else input_probs) * self.embed_scale
        if residuals is None and self.residual_projection is not None and self.training:
            # distributed training wants a gradient for every weight, at every step
            residuals = embeds.new_zeros(*embeds.shape[:2], self.residual_projection.in_features)
        if residuals is not None:
            embeds = embeds + self.residual_projection(residuals.to(embeds.dtype))
        if self.training and self.config.token_dropout:
            shown = torch.rand(embeds.shape[:2], device=embeds.device) >= self.config.token_dropout
            embeds = embeds * shown.unsqueeze(-1)
        output = super().forward(inputs_embeds=embeds, attention_mask=attention_mask, **kwargs)
        if readings is not None:
            # (batch * readings, tokens, d_model) -> (batch, readings * tokens, d_model)
            output.last_hidden_state = output.last_hidden_state.unflatten(0, (-1, readings)).flatten(1, 2)
            if output.hidden_states is not None:
                output.hidden_states = tuple(
                    hidden.unflatten(0, (-1, readings)).flatten(1, 2) for hidden in output.hidden_states
                )
        return output

    def _shown(self, residuals: torch.Tensor | None) -> torch.Tensor | None:
        """Residuals (batch, ..., hidden); in training, those of some motions are zero."""
        if residuals is None:
            return None
        if self.residual_projection is None:
            raise ValueError(
                "this model has no weights for residuals: it was trained without config.read_residuals; leave them out"
            )
        if self.training and self.config.residual_dropout:
            shown = torch.rand(len(residuals), device=residuals.device) >= self.config.residual_dropout
            residuals = residuals * shown.view(-1, *[1] * (residuals.dim() - 1))
        return residuals


class TextDecoder(ShortStepsMixin, MotionToTextPreTrainedModel, MarianDecoder):
    """The transformer's decoder over text ids."""

    def __init__(self, config: MotionToTextConfig):
        super().__init__(config)
        self.dropout = config.embedding_dropout
        self.embed_positions = InterleavedPositions(config, "caption")
        use_own_layers(self)
        self.post_init()


class MotionToTextModel(
    ShortBeamsMixin, FrozenStorageMixin, MotionToTextPreTrainedModel, CheckedGenerationMixin, MarianMTModel
):
    """Translates motion to text.

    The motion is given in one of three forms, to `forward()` and to `generate()` alike:

    - `input_ids` (batch, tokens): motion ids `<bom> codes <eom>`, padded with `<pad>`;
    - `motion_values` (batch, frames, features): normalized features, encoded by `self.vq`;
    - `input_probs` (batch, tokens, K + 3): a distribution over motion ids for each token, hard or soft;
      differentiable.

    And as in every model, `inputs_embeds` (batch, tokens, d_model) may stand for the vectors of motion ids. A model
    with `config.read_residuals` reads more of `motion_values` than their codes; `residuals` may also be given beside
    `input_ids`.

    `vq` is None without a `vq_config`; then the model takes no `motion_values`. It is frozen: no gradient reaches it.
    """

    def __init__(self, config: MotionToTextConfig):
        config.validate_architecture()  # may have been changed since it was made
        config.validate_codebook_size()
        config.validate_vq_config()
        gradient_checkpointing = getattr(config, "gradient_checkpointing", False)
        super().__init__(config)
        if gradient_checkpointing:  # an old name, which the line above has acted on, for parts that are replaced here
            config.gradient_checkpointing = True
        self.model.encoder = MotionEncoder(config)
        self.model.decoder = TextDecoder(config)
        for module in self.model.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = config.layer_norm_eps
        self.vq = None if config.vq_config is None else MotionVQModel(config.vq_config)
        if self.vq is not None:
            self.vq.requires_grad_(False)
        self.generation_config = self.new_generation_config()
        self.post_init()

    def new_generation_config(self) -> GenerationConfig:
        """How a new model generates: as long as its positions last."""
        generation_config = GenerationConfig.from_model_config(self.config)
        generation_config.max_length = self.config.max_position_embeddings
        return generation_config

    def train(self, mode: bool = True):
        """Switch to training or, with False, to evaluation; the motion VQ is frozen in both.

        No gradient reaches it, so distributed training would wait for one in vain. It is frozen here and not once, as
        `from_pretrained` makes every loaded parameter a trainable one, and another VQ may have been put in.
        """
        super().train(mode)
        if self.vq is not None:
            self.vq.requires_grad_(False)
        return self

    def encode_motion(
        self, motion_values: torch.Tensor, attention_mask: torch.Tensor | None = None, offset: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Motion ids of motion features, by the model's motion VQ.

        They are one reading, without residuals; what the model itself reads of features, `read_motion` gives.

        Args:
            motion_values: (batch, frames, features), normalized.
            attention_mask: (batch, frames), 1 for frames and 0 for padding; all frames count without it.
            offset: frame at which the first token begins; a clip that has no whole token from there on is read from
                its first frame.

        Returns:
            `input_ids` and their attention mask, both (batch, tokens + 2): `<bom> codes <eom>` and padding.

        Raises:
            ValueError: if the model carries no motion VQ, a clip is shorter than one token, padding stands in front
                of a clip, or the offset lies outside the first token.
        """
        reading = self._read(motion_values, attention_mask, offset)
        return reading["input_ids"], reading["attention_mask"]

    def _read(
        self, motion_values: torch.Tensor, attention_mask: torch.Tensor | None, offset: int
    ) -> dict[str, torch.Tensor]:
        """The results of `encode_motion` by name, and the ids' `residuals` if the model reads them."""
        if self.vq is None:
            raise ValueError(
                "this motion-to-text model carries no motion VQ (its config has no vq_config); give input_ids or "
                "input_probs instead of motion_values"
            )
        codes, known = self.vq.config.codebook_size, self.config.codebook_size
        if codes != known:
            raise ValueError(
                f"`vq` has {codes} codes, but the model reads {known}: use the VQ that it was trained with."
            )
        if self.config.read_residuals and self.vq.config.hidden_size != self.config.vq_config.hidden_size:
            raise ValueError(
                f"`vq` has a hidden_size of {self.vq.config.hidden_size}, but the model reads residuals of "
                f"{self.config.vq_config.hidden_size}: use the VQ that it was trained with."
            )
        padded_lengths(attention_mask, motion_values.shape[:2], "motion_values")
        unit_length = self.config.vq_config.unit_length
        if not 0 <= offset < unit_length:
            raise ValueError(f"offset must be a frame from 0 to {unit_length - 1}, the last of a token, got {offset}")
        if offset:
            motion_values, attention_mask = _begun_later(motion_values, attention_mask, offset, unit_length)
        with torch.no_grad():
            encoded = self.vq.encode(motion_values, attention_mask, output_residuals=self.config.read_residuals)
        ids, mask = codes_to_ids(encoded.codes, encoded.attention_mask, self.config)
        reading = {"input_ids": ids, "attention_mask": mask}
        if encoded.residuals is not None:
            reading["residuals"] = F.pad(encoded.residuals, (0, 0, 1, 1))  # none for <bom> and <eom>
        return reading

    def read_motion(
        self, motion_values: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> dict[str, torch.Tensor]:
        """All readings of motion features that `config.read_offsets` names, as `forward` and `generate()` take them.

        Args:
            motion_values: (batch, frames, features), normalized.
            attention_mask: (batch, frames), as for `encode_motion`.

        Returns:
            `input_ids` (batch, readings, tokens + 2), their `attention_mask` (batch, readings * (tokens + 2)) and,
            with `config.read_residuals`, their `residuals` (batch, readings, tokens + 2, hidden).

        Raises:
            ValueError: as `encode_motion`, or if `config.read_offsets` does not fit.
        """
        self.config.validate_read_offsets()
        readings = [self._read(motion_values, attention_mask, offset) for offset in self.config.read_offsets]
        read = {name: torch.stack([reading[name] for reading in readings], dim=1) for name in readings[0]}
        return read | {"attention_mask": read["attention_mask"].flatten(1)}

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> nn.Embedding:
        """Resize the table of the *text* vocabulary, after tokens were added to the text tokenizer.

        The motion vocabulary stays, since it belongs to the codebook. The arguments are those of every model.

        Returns:
            the decoder's embedding.

        Raises:
            ValueError: if special ids would be cut off.
        """
        ids = (getattr(self.config, name) for name in SPECIAL_IDS)
        least = 1 + max(index for entry in ids for index in (entry if isinstance(entry, list) else [entry]))
        if new_num_tokens is not None and new_num_tokens < least:
            raise ValueError(f"the text vocabulary needs {least} entries at least, for its special ids")
        return super().resize_token_embeddings(new_num_tokens, pad_to_multiple_of, mean_resizing)

    def resize_decoder_token_embeddings(self, new_num_tokens: int) -> nn.Embedding:
        """As `resize_token_embeddings`; the name that Marian has for two vocabularies."""
        return self.resize_token_embeddings(new_num_tokens)

    def _resize_token_embeddings(self, new_num_tokens, pad_to_multiple_of=None, mean_resizing=True):
        decoder, bias = self.model.decoder, self.final_logits_bias
        decoder.embed_tokens = self._get_resized_embeddings(
            decoder.embed_tokens, new_num_tokens, pad_to_multiple_of, mean_resizing
        )
        size = decoder.embed_tokens.num_embeddings
        self.lm_head = self._get_resized_lm_head(self.lm_head, size, mean_resizing=mean_resizing)
        self.final_logits_bias = nn.Buffer(F.pad(bias, (0, size - bias.shape[-1])))
        return decoder.embed_tokens

    def _source(self, input_ids, attention_mask, motion_values, input_probs, inputs_embeds=None, residuals=None):
        """The encoder's input, its one form first and then what belongs to it, and its attention mask over tokens."""
        forms = {"input_ids": input_ids, "motion_values": motion_values, "input_probs": input_probs}
        forms["inputs_embeds"] = inputs_embeds
        source = {name: tensor for name, tensor in forms.items() if tensor is not None}
        if len(source) != 1:
            raise ValueError("give the motion as exactly one of input_ids, motion_values and input_probs")
        if residuals is not None and not self.config.read_residuals:
            raise ValueError("this model reads no residuals (its config.read_residuals is False); leave them out")
        if residuals is not None and input_ids is None:
            raise ValueError("`residuals` are those of input_ids; of motion_values, the model finds them itself")
        if motion_values is not None:
            source = self.read_motion(motion_values, attention_mask)
            return source, source.pop("attention_mask")
        ((name, tensor),) = source.items()
        # Ids may be those of several readings (batch, readings, tokens): what came of motion_values, for an assistant.
        shape = tensor.flatten(1).shape if tensor is input_ids else tensor.shape[:2]
        if attention_mask is None:
            if input_ids is not None:
                attention_mask = (input_ids != self.config.pad_id).long().flatten(1)
            else:
                attention_mask = torch.ones(shape, dtype=torch.long, device=tensor.device)
        if attention_mask.shape != shape:
            raise ValueError(
                f"attention_mask has the shape {tuple(attention_mask.shape)}, but the motion ids or probabilities "
                f"{tuple(shape)}; only motion_values takes a mask over frames"
            )
        refuse_unless(
            attention_mask[:, 0] != 0, f"{name} must be padded on the right side only: use padding_side='right'"
        )
        if residuals is not None:
            hidden = self.config.vq_config.hidden_size
            if not torch.is_tensor(residuals) or residuals.shape != (*tensor.shape, hidden):
                raise ValueError(
                    f"`residuals` must be a tensor of the shape {(*tensor.shape, hidden)}, that of input_ids and the "
                    "motion VQ's hidden size, with zeros for <bom>, <eom> and padding; got "
                    f"{tuple(residuals.shape) if torch.is_tensor(residuals) else type(residuals).__name__}"
                )
            refuse_unless(residuals.isfinite(), "`residuals` holds NaN or infinite values")
            source["residuals"] = residuals
        return source, attention_mask

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        motion_values: torch.Tensor | None = None,
        input_probs: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        decoder_input_ids: torch.LongTensor | None = None,
        decoder_attention_mask: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | tuple | None = None,
        past_key_values=None,
        decoder_inputs_embeds: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        use_cache: bool | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        residuals: torch.Tensor | None = None,
        **kwargs,
    ) -> Seq2SeqLMOutput:
        """Logits of the caption, and its loss.

        Args:
            input_ids: (batch, tokens) motion ids.
            attention_mask: 1 for what counts and 0 for padding: over frames (batch, frames) with `motion_values`, over
                tokens (batch, tokens) else. Without it, ids that are `<pad>` do not count, and all frames and
                distributions do.
            motion_values: (batch, frames, features) normalized motion features.
            input_probs: (batch, tokens, K + 3) distributions over motion ids.
            inputs_embeds: (batch, tokens, d_model) vectors in place of those of motion ids, already multiplied by the
                encoder's `embed_scale`.
            decoder_input_ids: (batch, length) text ids, `<bos>` first. Made from the labels if left out.
            decoder_attention_mask: (batch, length), 1 for text ids and 0 for padding.
            encoder_outputs: what the encoder made of the motion, in place of the motion.
            past_key_values: the cache of an earlier call, which `decoder_input_ids` continue.
            decoder_inputs_embeds: (batch, length, d_model) vectors in place of `decoder_input_ids`.
            labels: (batch, length) text ids to predict: what follows `<bos>`, `<eos>` included; -100 is ignored.
            use_cache: return `past_key_values`.
            num_items_in_batch: with the mean as reduction, divide by this number of labels (`Trainer` gives it when it
                accumulates gradients) rather than by this batch's.
            residuals: (batch, tokens, hidden) of `input_ids`, for a model with `config.read_residuals`: what the
                codes leave out, see `MotionVQModel.encode`. Without them the codes alone are read.
            **kwargs: `output_hidden_states`, `output_attentions` and what else Marian takes. With several readings of
                `motion_values`, `encoder_attentions` are (batch * readings, heads, tokens, tokens).

        Returns:
            Seq2SeqLMOutput with `logits` (batch, length, vocab_size) and, given labels, `loss`.

        Raises:
            ValueError: if not exactly one form of motion is given, there is no caption, a mask does not fit,
                `config.read_offsets` does not fit, or motion or caption have more tokens than the model has positions.
        """
        if labels is None and decoder_input_ids is None and decoder_inputs_embeds is None:
            raise ValueError(f"{NO_LABELS}; to describe a motion, call generate().")
        if encoder_outputs is None:
            forms = input_ids, attention_mask, motion_values, input_probs, inputs_embeds, residuals
            source, attention_mask = self._source(*forms)
            encoder_outputs = self.model.encoder(**source, attention_mask=attention_mask, **kwargs)
        if past_key_values is not None:
            check_cross_attention(past_key_values, encoder_outputs[0], self.model.decoder)
        if labels is not None:
            use_cache = False
            if decoder_input_ids is None and decoder_inputs_embeds is None:
                decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        output = super().forward(
            attention_mask=attention_mask,
            encoder_outputs=encoder_outputs,
            decoder_input_ids=decoder_input_ids,
            decoder_attention_mask=decoder_attention_mask,
            past_key_values=past_key_values,
            decoder_inputs_embeds=decoder_inputs_embeds,
            use_cache=use_cache,
            **(kwargs | {"return_dict": True}),
        )
        if labels is not None:
            output = Seq2SeqLMOutput(loss=self._loss(output.logits, labels, num_items_in_batch), **output)
        return output

    def _loss(self, logits, labels, num_items_in_batch) -> torch.Tensor:
        """Cross entropy; the smoothing's definition is `config.label_smoothing`'s."""
        vocab_size = self.config.vocab_size
        smoothing = self.config.label_smoothing * vocab_size / (vocab_size - 1)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # sums leave half precision's range
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum", label_smoothing=smoothing)
        if self.config.loss_reduction == "sum":
            return loss
        if num_items_in_batch is None:
            num_items_in_batch = (labels != -100).sum().clamp(min=1)
        return loss / num_items_in_batch

    def _takes_beam_steps(self, model_kwargs: dict) -> bool:
        if has_its_own(self, MotionToTextModel, "forward", "prepare_inputs_for_generation"):
            return False
        return super()._takes_beam_steps(model_kwargs)

    def _prepare_model_inputs(self, inputs, bos_token_id, model_kwargs):
        # generate() asks here what the encoder should read; later it copies input and mask once for every beam.
        prompt, cache = model_kwargs.get("decoder_input_ids"), model_kwargs.get("past_key_values")
        self._check_prompt(prompt, model_kwargs.get("decoder_attention_mask"), cache)
        if prompt is not None and cache is not None and model_kwargs.get("decoder_attention_mask") is None:
            # Without a mask, generate() would feed what is in the cache a second time.
            model_kwargs["decoder_attention_mask"] = torch.ones_like(prompt)
        if model_kwargs.get("encoder_outputs") is not None:
            return super()._prepare_model_inputs(inputs, bos_token_id, model_kwargs)
        forms = {name: model_kwargs.pop(name, None) for name in INPUTS}
        if inputs is not None:
            # ids are whole numbers, also those of several readings (batch, readings, tokens)
            is_features = torch.is_tensor(inputs) and inputs.dim() == 3 and inputs.is_floating_point()
            name = "motion_values" if is_features else "input_ids"
            if forms[name] is not None:
                raise ValueError(f"The motion was given twice: as the first argument and as {name}.")
            forms[name] = inputs
        if (ids := forms["input_ids"]) is not None and not (torch.is_tensor(ids) and ids.dim() == 3):
            check_ids(ids, "input_ids", self.config.motion_vocab_size)
            if not (ids[:, 0] == self.config.bom_id).all():
                logger.warning("`input_ids` does not begin with <bom>, as in training: make it by `codes_to_ids`.")
        source, model_kwargs["attention_mask"] = self._source(
            attention_mask=model_kwargs.get("attention_mask"), residuals=model_kwargs.pop("residuals", None), **forms
        )
        (name, tensor), *more = source.items()
        return tensor, name, model_kwargs | dict(more)

    def _expand_inputs_for_generation(self, *args, residuals: torch.Tensor | None = None, **kwargs):
        # The encoder has read the residuals: they would be copied for every beam, and reach an assistant, which may
        # be a model that reads none.
        return super()._expand_inputs_for_generation(*args, **kwargs)

    def _check_prompt(self, prompt: torch.Tensor | None, mask: torch.Tensor | None, cache: Cache | None):
        """Refuse captions to continue, ids (batch, length), that generate() would continue wrongly."""
        config, seen = self.config, 0 if cache is None else cache.get_seq_length()
        if prompt is None:
            if seen:
                raise ValueError("Give the captions that the cache belongs to, and more, as `decoder_input_ids`.")
            return
        check_ids(prompt, "decoder_input_ids", config.vocab_size)
        ended = torch.isin(prompt, torch.tensor(config.eos_token_id, device=prompt.device))
        if ended.any() or (prompt == config.pad_token_id).any() or (mask is not None and not mask.all()):
            raise ValueError(
                "`decoder_input_ids` holds padding or <eos>, which this model would read as words: give captions of "
                "one length that have not ended."
            )
        begins = prompt[:, 0] == config.decoder_start_token_id
        if begins.any() and not begins.all():
            raise ValueError("Either every caption to continue begins with <bos>, or none: generate() puts it there.")
        length = prompt.shape[1] + (not begins.all())
        if seen >= length:
            raise ValueError(
                f"The cache has seen {seen} tokens, but there are only {length}: give the whole captions, and copy a "
                "cache (copy.deepcopy) to continue from it more than once."
            )


def _begun_later(motion_values, attention_mask, offset: int, unit_length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The motion from frame `offset` on, padded to the width it had, and its mask; see `encode_motion`."""
    if attention_mask is None:
        attention_mask = torch.ones(motion_values.shape[:2], dtype=torch.long, device=motion_values.device)
    attention_mask = attention_mask.bool().long()
    lengths = attention_mask.sum(-1, keepdim=True)  # (batch, 1)
    later = lengths >= offset + unit_length
    # What comes round from the start lies behind the end, where the mask hides it.
    motion_values = torch.where(later.unsqueeze(-1), motion_values.roll(-offset, dims=1), motion_values)
    places = torch.arange(motion_values.shape[1], device=motion_values.device)
    return motion_values, (places < lengths - offset * later).long()


__all__ = ["MotionToTextModel", "MotionToTextPreTrainedModel"]
