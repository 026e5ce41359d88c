# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Text to motion: a bidirectional GRU over words and an attentive GRU over motion tokens (TM2T, section 3.2)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import initialization as init
from transformers.cache_utils import Cache
from transformers.generation import GenerationConfig, GenerationMixin, LogitsProcessor, LogitsProcessorList
from transformers.generation.logits_process import SuppressTokensLogitsProcessor
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.modeling_utils import PreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_text_to_motion import TextToMotionConfig
from .modeling_motion_vq import MotionVQModel
from .vocabulary import ids_to_codes


@dataclass
class TextEncoderOutput(ModelOutput):
    """The encoded text. Batch comes first in every tensor, so that `generate()` expands them all for its beams.

    Args:
        last_hidden_state: (batch, words, 2 * text_hidden_size) states of the words, zeros past a caption's end.
        pooler_output: (batch, 2 * text_hidden_size) last states of both directions: the whole caption.
        keys, values: (batch, words, motion_hidden_size) what the decoder's attention scores against, and takes.
        key_bias: (batch, words) what is added to the scores: hugely negative for masked padding.
    """

    last_hidden_state: Tensor | None = None
    pooler_output: Tensor | None = None
    keys: Tensor | None = None
    values: Tensor | None = None
    key_bias: Tensor | None = None


class TextAttention(nn.Module):
    """Attention of the motion states over the words: one head, scaled dot products.

    The four products with weights are folded into the words once per text, as none of them depends on the step:
    (W_q h + b_q)·k = h·(W_q' k) + b_q·k, and the output projection of a weighted mean is the mean of the projections.
    """

    def __init__(self, config: TextToMotionConfig):
        super().__init__()
        size = config.motion_hidden_size
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(2 * config.text_hidden_size, size, bias=False)
        self.value = nn.Linear(2 * config.text_hidden_size, size)
        self.output = nn.Linear(size, size, bias=False)

    def project(self, words: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        """Keys, values and key bias of word states (batch, words, 2 * text_hidden_size); mask is True for words."""
        keys = self.key(words) * self.query.out_features**-0.5  # (batch, words, motion_hidden_size)
        bias = keys @ self.query.bias  # (batch, words)
        if mask is not None:
            bias = bias.masked_fill(~mask, torch.finfo(bias.dtype).min)
        return {"keys": keys @ self.query.weight, "values": self.output(self.value(words)), "key_bias": bias}

    @staticmethod
    def attend(states: Tensor, text: TextEncoderOutput) -> Tensor:
        """Text seen from motion states (batch, tokens, motion_hidden_size) -> the same shape."""
        scores = torch.baddbmm(text.key_bias.unsqueeze(1), states, text.keys.transpose(1, 2))  # (batch, tokens, words)
        return scores.softmax(-1) @ text.values


class TextEncoder(nn.Module):
    """Word embedding, bidirectional GRU, and the projections that the decoder's attention needs."""

    main_input_name = "input_ids"  # generate() asks

    def __init__(self, config: TextToMotionConfig):
        super().__init__()
        self.config = config
        self.embed_tokens = None
        if config.text_vocab_size is not None:
            self.embed_tokens = nn.Embedding(config.text_vocab_size, config.text_embedding_size)
            if not config.train_text_embedding:
                # A buffer, since from_pretrained() makes every parameter one that requires a gradient.
                table = self.embed_tokens._parameters.pop("weight").detach()
                self.embed_tokens.register_buffer("weight", table)
        self.dropout = nn.Dropout(config.dropout)
        self.input_projection = nn.Linear(config.text_embedding_size, config.text_hidden_size)
        self.initial_state = nn.Parameter(torch.empty(2, 1, config.text_hidden_size))
        self.gru = nn.GRU(config.text_hidden_size, config.text_hidden_size, batch_first=True, bidirectional=True)
        self.attention = TextAttention(config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs,
    ) -> TextEncoderOutput:
        """Encode a batch of captions: ids (batch, words) or word vectors (batch, words, text_embedding_size)."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give the text either as `input_ids` or as `inputs_embeds`.")
        if inputs_embeds is None:
            if self.embed_tokens is None:
                raise ValueError("This model has no word embedding (text_vocab_size=None): give `inputs_embeds`.")
            if attention_mask is None:
                attention_mask = input_ids != self.config.text_pad_id
            inputs_embeds = self.embed_tokens(input_ids)
        if inputs_embeds.shape[-1] != self.config.text_embedding_size:
            raise ValueError(
                f"`inputs_embeds` has vectors of {inputs_embeds.shape[-1]} numbers; "
                f"this model takes {self.config.text_embedding_size}."
            )
        lengths = self._lengths(attention_mask, inputs_embeds)  # (batch,) on the CPU

        inputs = self.input_projection(self.dropout(inputs_embeds))
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        initial_state = self.initial_state.expand(-1, len(lengths), -1).contiguous()
        packed, last = self.gru(packed, initial_state)
        words, _ = pad_packed_sequence(packed, batch_first=True)  # (batch, longest, 2 * text_hidden_size)

        lengths = lengths.to(words.device)[:, None]
        positions = torch.arange(words.shape[1], device=words.device)
        mask = positions < lengths  # (batch, longest)
        if self.config.flip_backward_states:
            forward, backward = words.chunk(2, dim=-1)
            mirrored = torch.where(mask, lengths - 1 - positions, positions)
            backward = backward.gather(1, mirrored.unsqueeze(-1).expand_as(backward))
            words = torch.cat([forward, backward], dim=-1)
        projected = self.attention.project(words, mask if self.config.mask_padding else None)
        return TextEncoderOutput(last_hidden_state=words, pooler_output=last.transpose(0, 1).flatten(1), **projected)

    @staticmethod
    def _lengths(attention_mask: Tensor | None, inputs_embeds: Tensor) -> Tensor:
        batch, words = inputs_embeds.shape[:2]
        if attention_mask is None:
            return torch.full((batch,), words)
        if attention_mask.shape != (batch, words):
            raise ValueError(f"`attention_mask` is {tuple(attention_mask.shape)}, the text is {(batch, words)}.")
        mask = attention_mask.bool().cpu()
        lengths = mask.sum(1)
        if not lengths.all():
            raise ValueError(f"The text of row {int(lengths.argmin())} is empty: a motion needs at least one word.")
        if not torch.equal(mask, torch.arange(words) < lengths[:, None]):
            raise ValueError("The text must be padded on its right side: use a tokenizer with padding_side='right'.")
        return lengths


class MotionDecoder(nn.Module):
    """The attentive GRU over motion tokens.

    It works in two parts, so that only what is recurrent goes step by step: `advance` moves the GRU along the tokens,
    `read` makes of its states what the logits are read off. Early attention is part of the first, late attention of
    the second (and then the GRU takes a whole sequence in one call).
    """

    def __init__(self, config: TextToMotionConfig):
        super().__init__()
        size = config.motion_hidden_size
        self.late = config.attention == "late"
        self.embed_tokens = nn.Embedding(config.vocab_size, size)
        self.dropout = nn.Dropout(config.dropout)
        self.initial_state = nn.Linear(2 * config.text_hidden_size, size * config.num_layers)
        self.gru = nn.GRU(size, size, num_layers=config.num_layers, batch_first=True)
        self.mix = nn.Linear(size, size)
        self.norm = nn.LayerNorm(size)
        if self.late:
            self.projection = nn.Linear(size, size)

    def start(self, text: TextEncoderOutput) -> Tensor:
        """State before the first token -> (layers, batch, motion_hidden_size)."""
        state = self.initial_state(text.pooler_output)
        return state.unflatten(-1, (self.gru.num_layers, -1)).transpose(0, 1).contiguous()

    def advance(self, ids: Tensor, state: Tensor, text: TextEncoderOutput) -> tuple[Tensor, Tensor]:
        """Feed ids (batch, tokens) -> GRU states (batch, tokens, motion_hidden_size), and the last of each layer."""
        embeddings = self.dropout(self.embed_tokens(ids))
        if self.late:
            return self.gru(embeddings, state)
        layers = list(state)
        weights = self.gru.all_weights
        tops = []
        for own in self.mix(embeddings).unbind(1):  # (batch, motion_hidden_size) a token
            hidden = self._mixed(own, TextAttention.attend(layers[-1].unsqueeze(1), text).squeeze(1))
            for layer, weight in enumerate(weights):
                hidden = layers[layer] = torch.gru_cell(hidden, layers[layer], *weight)
            tops.append(hidden)
        return torch.stack(tops, dim=1), torch.stack(layers)

    def read(self, states: Tensor, text: TextEncoderOutput) -> Tensor:
        """GRU states (batch, tokens, motion_hidden_size) -> what the logits are read off, of the same shape."""
        if not self.late:
            return states
        return self.projection(self._mixed(self.mix(states), TextAttention.attend(states, text)))

    def _mixed(self, own: Tensor, attended: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(own + attended), 0.2)


class RecurrentCache(Cache):
    """The state of the motion GRU between two steps of `generate()`: (layers, batch, motion_hidden_size)."""

    is_compileable = False
    is_croppable = False

    def __init__(self, state: Tensor, seen: int):
        self.state, self.seen, self.layers = state, seen, []

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.seen

    def reorder_cache(self, beam_idx: Tensor):
        self.state = self.state.index_select(1, beam_idx)


class EndOfMotionByArgmax(LogitsProcessor):
    """The original's rule of sampling: a motion ends where `<eom>` is the likeliest id, and nowhere else.

    Switched on for a model by `model.generation_config.eom_by_argmax = True` or `generate(eom_by_argmax=True)`, which
    also places it rightly: after what forbids an early end (`min_new_tokens`), before what forbids `<bom>` and `<pad>`
    and before temperature and truncation.

    Args:
        eom_id: id of `<eom>`.
        top_k: how many of the likeliest ids stay. The original counts the special ids among them, `generate()` alone
            would not. None keeps all.
        bom_id, pad_id: are never drawn, unless None.
    """

    def __init__(self, eom_id: int, top_k: int | None = None, bom_id: int | None = None, pad_id: int | None = None):
        self.eom_id, self.top_k = eom_id, top_k
        self.never = [i for i in (eom_id, bom_id, pad_id) if i is not None]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        ends = scores.argmax(-1, keepdim=True) == self.eom_id  # (batch, 1)
        is_eom = torch.arange(scores.shape[-1], device=scores.device) == self.eom_id
        return torch.where(ends, scores.masked_fill(~is_eom, -torch.inf), drawable(scores, self.never, self.top_k))


def drawable(logits: Tensor, never: list[int], top_k: int | None) -> Tensor:
    """Logits (..., vocabulary) with -inf at the ids `never` and at all but the k likeliest (counted with `never`).

    Where all k likeliest are never drawn, the likeliest of the others stays.
    """
    forbidden = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    forbidden[never] = True
    kept = logits.masked_fill(forbidden, -torch.inf)
    if top_k is not None and top_k < logits.shape[-1]:
        least = torch.minimum(logits.topk(top_k).values[..., -1:], kept.amax(-1, keepdim=True))
        kept = kept.masked_fill(kept < least, -torch.inf)
    return kept


class TextToMotionPreTrainedModel(PreTrainedModel):
    config: TextToMotionConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"

    @torch.no_grad()
    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            init.xavier_normal_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, nn.GRU):
            for parameter in module.parameters():
                init.uniform_(parameter, -(module.hidden_size**-0.5), module.hidden_size**-0.5)
        elif isinstance(module, TextEncoder):
            init.normal_(module.initial_state)
        elif isinstance(module, TextAttention):
            # In the paper this is one half of a layer from twice the size, which is initialised as a whole.
            init.xavier_normal_(module.output.weight, gain=math.sqrt(2 / 3))
        elif isinstance(module, MotionDecoder):
            init.xavier_normal_(module.mix.weight, gain=math.sqrt(2 / 3))


class TextToMotionModel(TextToMotionPreTrainedModel, GenerationMixin):
    """Motion tokens from text, and features from motion tokens.

    `generate()` gives ids of the motion vocabulary, `decode_motion()` the features, in normalised units. The VQ model
    is the sub-model `vq` (None without a `vq_config`).
    """

    _is_stateful = True
    _tied_weights_keys = {"lm_head.weight": "decoder.embed_tokens.weight"}

    def __init__(self, config: TextToMotionConfig):
        super().__init__(config)
        self.encoder = TextEncoder(config)
        self.decoder = MotionDecoder(config)
        self.dropout = nn.Dropout(config.dropout)
        self.lm_head = nn.Linear(config.motion_hidden_size, config.vocab_size, bias=False)
        self.vq = None if config.vq_config is None else MotionVQModel(config.vq_config)
        # A new one: that made from the model's config would be saved as such, and its own entries not loaded again.
        self.generation_config = GenerationConfig(
            bos_token_id=config.bos_token_id,
            decoder_start_token_id=config.decoder_start_token_id,
            eos_token_id=config.eos_token_id,
            pad_token_id=config.pad_token_id,
            suppress_tokens=[config.bos_token_id, config.pad_token_id],
            max_new_tokens=50,  # the original's limit
            eom_by_argmax=False,
        )
        self.post_init()

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # the cache is a RecurrentCache, made by forward

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        encoder_outputs: TextEncoderOutput | None = None,
        past_key_values: RecurrentCache | None = None,
        use_cache: bool | None = None,
        teacher_forcing: bool = True,
    ) -> Seq2SeqLMOutput:
        """Logits of the motion tokens that follow `decoder_input_ids`.

        Args:
            input_ids: (batch, words) text ids; or `inputs_embeds`: (batch, words, text_embedding_size) word vectors;
                or `encoder_outputs`, what the encoder made of them.
            attention_mask: (batch, words), 0 on the padding (on the right); by default that of `text_pad_id`.
            decoder_input_ids: (batch, tokens) motion ids, beginning with `<bom>`; made from `labels` if left out.
            labels: (batch, tokens) the motion ids to predict, `<eom>` included; -100 is ignored.
            past_key_values: the cache of an earlier call, that `decoder_input_ids` continue.
            teacher_forcing: False feeds the model's own likeliest ids after the first of `decoder_input_ids`.

        Returns:
            `loss` (if there are labels), `logits` (batch, tokens, K + 3), `past_key_values`, the encoder's output.

        Raises:
            ValueError: for missing or doubled inputs, an empty text, text padded on its left.
        """
        if decoder_input_ids is None:
            if labels is None:
                raise ValueError("Give `decoder_input_ids` or `labels`; to make a motion, call generate().")
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        text = self.encoder(input_ids, attention_mask, inputs_embeds) if encoder_outputs is None else encoder_outputs
        if past_key_values is None:
            past_key_values = RecurrentCache(self.decoder.start(text), 0)
        state, seen = past_key_values.state, past_key_values.seen + decoder_input_ids.shape[1]

        if teacher_forcing:
            states, state = self.decoder.advance(decoder_input_ids, state, text)
        else:
            first, steps = decoder_input_ids[:, :1], decoder_input_ids.shape[1]
            states, state = self.unroll(first, state, text, steps, lambda step, logits: (logits.argmax(-1), False))
        logits = self.lm_head(self.dropout(self.decoder.read(states, text)))  # (batch, tokens, vocabulary)

        loss = None
        if labels is not None:
            loss = F.cross_entropy(
                logits.flatten(0, 1).float(),
                labels.flatten(),
                reduction=self.config.loss_reduction,
                # torch spreads it over the right id too, the paper's code over the others
                label_smoothing=self.config.label_smoothing * logits.shape[-1] / (logits.shape[-1] - 1),
            )
        if use_cache is None:
            use_cache = self.config.use_cache and not self.training
        return Seq2SeqLMOutput(
            loss=loss,
            logits=logits,
            past_key_values=RecurrentCache(state, seen) if use_cache else None,
            encoder_last_hidden_state=text.last_hidden_state,
        )

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """Labels (batch, tokens) shifted right behind `<bom>`, -100 replaced by `<pad>`."""
        ids = labels.roll(1, dims=1)
        ids[:, 0] = self.config.bos_token_id
        return ids.masked_fill(ids == -100, self.config.pad_token_id)

    def unroll(
        self,
        ids: Tensor,
        state: Tensor,
        text: TextEncoderOutput,
        steps: int,
        choose: Callable[[int, Tensor], tuple[Tensor, bool]],
    ) -> tuple[Tensor, Tensor]:
        """Let the decoder run on its own choices.

        The gradient flows along the recurrent state, not through the choices; the logits here are without it, since
        all of them are computed anew, in one go, from the states that are returned.

        Args:
            ids: (batch, 1) first ids; state, text: what to begin with.
            steps: the most ids to feed.
            choose: takes the step and its logits (batch, K + 3); returns the next ids (batch,) and whether to stop.

        Returns:
            GRU states (batch, chosen, motion_hidden_size), and the last state of all layers.
        """
        tops = []
        for step in range(steps):
            top, state = self.decoder.advance(ids, state, text)
            tops.append(top)
            with torch.no_grad():
                chosen, done = choose(step, self.lm_head(self.decoder.read(top, text)).squeeze(1))
            if done:
                break
            ids = chosen.unsqueeze(1)
        return torch.cat(tops, dim=1), state

    def generate(
        self,
        inputs: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        *,
        min_seconds: float | None = None,
        max_seconds: float | None = None,
        **kwargs,
    ) -> Tensor | ModelOutput:
        """`GenerationMixin.generate()` with lengths in seconds too.

        Args:
            min_seconds, max_seconds: shortest and longest motion; counted in whole motion tokens that last
                `vq_config.seconds_per_token`, so the motion is never shorter and never longer than asked for.

        Raises:
            ValueError: for seconds of a model without `vq_config`, lengths that are not positive or contradict each
                other, or the same limit given in seconds and in tokens.
        """
        for name, seconds in (("min", min_seconds), ("max", max_seconds)):
            if seconds is not None:
                for other in (f"{name}_length", f"{name}_new_tokens"):
                    if kwargs.get(other) is not None:
                        raise ValueError(f"Give `{name}_seconds` or `{other}`, not both.")
                kwargs[f"{name}_new_tokens"] = self._tokens_of_seconds(name, seconds)
        config = generation_config or self.generation_config
        if kwargs.get("max_length", config.max_length) is not None and (
            kwargs.get("max_new_tokens", generation_config and config.max_new_tokens) is None
        ):
            kwargs["max_new_tokens"] = None  # else the model's default would win over what the caller asked for
        limit = kwargs.get("max_new_tokens", config.max_new_tokens or self.generation_config.max_new_tokens)
        if min_seconds is not None and limit is not None and kwargs["min_new_tokens"] > limit:
            raise ValueError(
                f"`min_seconds`={min_seconds} is {kwargs['min_new_tokens']} motion tokens, but at most {limit} are "
                f"allowed ({limit * self.config.vq_config.seconds_per_token:g} s): raise `max_seconds`."
            )
        return super().generate(inputs, generation_config, **kwargs)

    def _tokens_of_seconds(self, name: str, seconds: float) -> int:
        if self.config.vq_config is None:
            raise ValueError(f"`{name}_seconds` needs a model with `vq_config`: give `{name}_new_tokens` instead.")
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"`{name}_seconds` must be a positive number of seconds, got {seconds}.")
        tokens = seconds / self.config.vq_config.seconds_per_token
        # 0.6 / 0.2 is a hair less than 3
        tokens = math.ceil(tokens - 1e-6) if name == "min" else math.floor(tokens + 1e-6)
        if tokens < 1:
            raise ValueError(
                f"`max_seconds`={seconds} is shorter than one motion token "
                f"({self.config.vq_config.seconds_per_token:g} s)."
            )
        return tokens

    def _get_logits_processor(self, generation_config, *args, **kwargs) -> LogitsProcessorList:
        processors = super()._get_logits_processor(generation_config, *args, **kwargs)
        if getattr(generation_config, "eom_by_argmax", False):
            config = self.config
            top_k = (generation_config.top_k or None) if generation_config.do_sample else None
            rule = EndOfMotionByArgmax(config.eos_token_id, top_k, config.bos_token_id, config.pad_token_id)
            suppress = (i for i, p in enumerate(processors) if isinstance(p, SuppressTokensLogitsProcessor))
            processors.insert(next(suppress, len(processors)), rule)
        return processors

    @torch.no_grad()
    def decode_motion(self, ids: Tensor) -> list[Tensor]:
        """Features of motion ids (batch, tokens), each row up to its `<eom>`: `<bom>`, `<eom>`, `<pad>` are left out.

        Returns:
            a (frames, features) tensor a row, in normalised units; (0, features) for a row without a code.

        Raises:
            ValueError: if the model has no `vq`.
        """
        if self.vq is None:
            raise ValueError("This model has no VQ model to decode with: it was built without `vq_config`.")
        rows = ids_to_codes(ids, self.config)
        lengths = torch.tensor([len(row) for row in rows], device=ids.device)
        codes = nn.utils.rnn.pad_sequence(rows, batch_first=True)  # (batch, longest)
        codes = F.pad(codes, (0, max(0, 1 - codes.shape[1])))  # all rows empty: the VQ model wants one token
        mask = (torch.arange(codes.shape[1], device=ids.device) < lengths[:, None]).long()
        motion = self.vq.decode(codes, mask)
        frames = (lengths * self.config.vq_config.unit_length).tolist()
        return [row[:length] for row, length in zip(motion, frames, strict=True)]


__all__ = [
    "EndOfMotionByArgmax",
    "RecurrentCache",
    "TextEncoderOutput",
    "TextToMotionModel",
    "TextToMotionPreTrainedModel",
    "drawable",
]
