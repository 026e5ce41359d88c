# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Marian's layers with `dropout` in place of torch's.

To drop attention weights, they have to be there: so on a CPU, attention in training is a softmax between two products.
That is what torch's own function comes to as well, once it has to drop weights.
"""

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache
from transformers.models.marian.modeling_marian import MarianAttention, MarianDecoderLayer, MarianEncoderLayer

from .dropout import dropout
from .packed_weights import is_traced


class TransformerAttention(MarianAttention):
    """Marian's attention; in training, weights are dropped by `dropout`."""

    def forward(
        self,
        hidden_states: Tensor,
        key_value_states: Tensor | None = None,
        past_key_values: Cache | None = None,
        attention_mask: Tensor | None = None,
        **kwargs,
    ) -> tuple[Tensor, Tensor | None]:
        """As in `MarianAttention`."""
        drops = self.training and self.dropout and hidden_states.device.type == "cpu" and not is_traced()
        if (
            not drops
            or past_key_values is not None
            or self.config._attn_implementation != "sdpa"
            or kwargs.get("output_attentions")
        ):
            return super().forward(hidden_states, key_value_states, past_key_values, attention_mask, **kwargs)
        source = hidden_states if key_value_states is None else key_value_states
        query, keys, values = (
            split_heads(project(states), self.num_heads)
            for project, states in ((self.q_proj, hidden_states), (self.k_proj, source), (self.v_proj, source))
        )
        scores = (query * self.scaling) @ keys.transpose(-1, -2)  # (batch, heads, length, source)
        if attention_mask is None and self.is_causal and key_value_states is None:
            attention_mask = torch.ones_like(scores[0, 0], dtype=torch.bool).tril()
        weights = dropout(_softmax(scores, attention_mask), self.dropout)
        seen = (weights.to(values.dtype) @ values).transpose(1, 2).reshape(hidden_states.shape)
        return self.out_proj(seen), None


def split_heads(states: Tensor, heads: int) -> Tensor:
    """(batch, length, d_model) -> (batch, heads, length, size)."""
    return states.unflatten(-1, (heads, -1)).transpose(1, 2)


def _softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Weights (batch, heads, length, source) by scores of this shape.

    Args:
        scores: of all.
        mask: bools, True for what is seen, or what is added to the scores. What sees nothing has weights of zero.
    """
    if mask is None:
        return scores.softmax(-1)
    if mask.dtype != torch.bool:
        return (scores + mask).softmax(-1)
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
    sees = mask.any(-1, keepdim=True)
    return weights if sees.all() else weights.masked_fill(~sees, 0)


class TransformerEncoderLayer(MarianEncoderLayer):
    """A layer of Marian's encoder; in training, its outputs are dropped by `dropout`."""

    def forward(self, hidden_states: Tensor, attention_mask: Tensor, **kwargs) -> Tensor:
        """As in `MarianEncoderLayer`."""
        if not self.training:
            return super().forward(hidden_states, attention_mask, **kwargs)
        seen, _ = self.self_attn(hidden_states, attention_mask=attention_mask, **kwargs)
        hidden_states = self.self_attn_layer_norm(hidden_states + dropout(seen, self.dropout))
        return _feed_forward(self, hidden_states)


class TransformerDecoderLayer(MarianDecoderLayer):
    """A layer of Marian's decoder; in training, its outputs are dropped by `dropout`."""

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = True,
        **kwargs,
    ) -> Tensor:
        """As in `MarianDecoderLayer`."""
        if not self.training or encoder_hidden_states is None:
            source = encoder_hidden_states, encoder_attention_mask
            return super().forward(hidden_states, attention_mask, *source, past_key_values, use_cache, **kwargs)
        own, source = {"attention_mask": attention_mask}, {"attention_mask": encoder_attention_mask}
        seen, _ = self.self_attn(hidden_states, past_key_values=past_key_values, **own, **kwargs)
        hidden_states = self.self_attn_layer_norm(hidden_states + dropout(seen, self.dropout))
        seen, _ = self.encoder_attn(
            hidden_states, key_value_states=encoder_hidden_states, past_key_values=past_key_values, **source, **kwargs
        )
        hidden_states = self.encoder_attn_layer_norm(hidden_states + dropout(seen, self.dropout))
        return _feed_forward(self, hidden_states)


def _feed_forward(layer: MarianEncoderLayer | MarianDecoderLayer, hidden_states: Tensor) -> Tensor:
    inner = dropout(layer.activation_fn(layer.fc1(hidden_states)), layer.activation_dropout)
    return layer.final_layer_norm(hidden_states + dropout(layer.fc2(inner), layer.dropout))


OWN = {
    MarianAttention: TransformerAttention,
    MarianDecoderLayer: TransformerDecoderLayer,
    MarianEncoderLayer: TransformerEncoderLayer,
}


def use_own_layers(stack: nn.Module):
    """Turn the layers that Marian has put into an encoder or decoder into those of this module, as they are."""
    for module in stack.modules():
        if type(module) in OWN:
            module.__class__ = OWN[type(module)]


__all__ = [
    "TransformerAttention",
    "TransformerDecoderLayer",
    "TransformerEncoderLayer",
    "split_heads",
    "use_own_layers",
]
