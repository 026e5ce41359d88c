# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Single tokens of a generation, without what Marian's decoder does around the arithmetic of its layers."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.cache_utils import Cache, DynamicLayer, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from .layers_transformer import split_heads
from .packed_weights import has_hooks

HARMLESS = {"return_dict", "use_cache"}  # options that change nothing here


class ShortStepsMixin:
    """A `MarianDecoder` that reads one further token of each row with fewer calls.

    Masks, arguments and the layers' wrappers take a good part of the time of a single caption. The layers' parts are
    called as modules, so that adapters and quantized weights work. Whatever needs more, such as gradients,
    attention weights, a mask of the tokens or hooks of a layer, takes Marian's way.
    """

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs,
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        """As in `MarianDecoder`."""
        given = input_ids if inputs_embeds is None else inputs_embeds
        is_single = attention_mask is None and given is not None and given.shape[1] == 1
        has_plain_mask = encoder_attention_mask is None or encoder_attention_mask.dim() == 2
        if is_single and has_plain_mask and self._takes_short_steps(past_key_values, kwargs):
            hidden = self._short_step(given, encoder_attention_mask, past_key_values)
            return BaseModelOutputWithPastAndCrossAttentions(hidden, past_key_values)
        return super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            encoder_hidden_states=encoder_hidden_states,
            encoder_attention_mask=encoder_attention_mask,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )

    def _takes_short_steps(self, cache: Cache | None, options: dict) -> bool:
        config = self.config
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.compiler.is_exporting():
            return False
        if config._attn_implementation != "sdpa" or config.output_attentions or config.output_hidden_states:
            return False
        if any(options[name] is not None and options[name] is not False for name in options.keys() - HARMLESS):
            return False
        if not isinstance(cache, EncoderDecoderCache) or cache.self_attention_cache.offloading:
            return False
        if len(cache.is_updated) != len(self.layers) or not all(cache.is_updated.values()):
            return False  # keys and values of the source are not there yet
        return not any(
            type(kept) is not DynamicLayer or any(map(has_hooks, (layer, layer.self_attn, layer.encoder_attn)))
            for layer, kept in zip(self.layers, cache.self_attention_cache.layers, strict=True)
        )

    def _short_step(self, given: Tensor, source_mask: Tensor | None, cache: EncoderDecoderCache) -> Tensor:
        """Ids (batch, 1), or vectors (batch, 1, d_model) -> what the last layer makes of them, (batch, 1, d_model)."""
        embeddings = given if given.is_floating_point() else self.embed_tokens(given)
        positions = self.embed_positions(given.shape[:2], cache.get_seq_length())
        hidden = embeddings * self.embed_scale + positions
        mask = None if source_mask is None else source_mask[:, None, None].bool()  # (batch, 1, 1, source)
        caches = cache.self_attention_cache.layers, cache.cross_attention_cache.layers
        for layer, own, source in zip(self.layers, *caches, strict=True):
            attention = layer.self_attn
            keys, values = (
                split_heads(project(hidden), attention.num_heads) for project in (attention.k_proj, attention.v_proj)
            )
            keys, values = own.update(keys, values)
            hidden = layer.self_attn_layer_norm(hidden + _attend(attention, hidden, keys, values))
            seen = _attend(layer.encoder_attn, hidden, source.keys, source.values, mask)
            hidden = layer.encoder_attn_layer_norm(hidden + seen)
            inner = layer.fc2(layer.activation_fn(layer.fc1(hidden)))
            hidden = layer.final_layer_norm(hidden + inner)
        return hidden


def _attend(attention: nn.Module, hidden: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """What a token (batch, 1, d_model) gets from keys and values (batch, heads, length, head_dim)."""
    query = split_heads(attention.q_proj(hidden), attention.num_heads)
    seen = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=attention.scaling)
    return attention.out_proj(seen.reshape(hidden.shape))


__all__ = ["ShortStepsMixin"]
