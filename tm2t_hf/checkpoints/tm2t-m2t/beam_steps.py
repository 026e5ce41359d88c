# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Tokens of a beam search, read by Marian's decoder without copying what the beams have in common."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.marian.modeling_marian import MarianDecoder, MarianDecoderLayer

from .layers_transformer import split_heads
from .packed_weights import PackedWeight, is_plain, packed_layer

FIRST_STEPS = 64  # that there is room for at first


class BeamSteps:
    """A `MarianDecoder` that reads one further token of every beam at a time.

    The beams of a row share the keys and values of its source, and those of its tokens too: what a beam writes stays
    where it is, and a mask says from which tokens a beam descends. So nothing is copied when beams change places.

    Args:
        decoder: in eval mode, with "sdpa" as attention.
        source: (batch, length, d_model) what it looks at.
        source_mask: (batch, length), 0 for padding; None if there is none.
        beams: of each row.
        steps: the number of tokens to expect.
    """

    def __init__(self, decoder: MarianDecoder, source: Tensor, source_mask: Tensor | None, beams: int, steps: int):
        self.decoder, self.shape, self.written = decoder, (len(source), beams), 0
        hides = source_mask is not None and not source_mask.all()
        source_mask = _hiding(source_mask.bool(), source.dtype) if hides else None
        self.layers = [_LayerSteps(layer, source, source_mask, beams, steps) for layer in decoder.layers]
        self.descent = torch.zeros(*self.shape, 0, dtype=torch.bool, device=source.device)

    def __call__(self, ids: Tensor, origins: Tensor | None) -> Tensor:
        """What the last layer makes of a token of each beam.

        Args:
            ids: (batch, beams).
            origins: (batch, beams) the beam of the row, as they were numbered a token ago, that each one continues;
                None for the first token.

        Returns:
            (batch * beams, 1, d_model).
        """
        decoder, (batch, beams) = self.decoder, self.shape
        if origins is not None:
            self.descent = chosen_beams(self.descent, origins)
        itself = torch.eye(beams, dtype=torch.bool, device=ids.device).expand(batch, -1, -1)
        self.descent = torch.cat([self.descent, itself], dim=-1)  # (batch, beams, tokens * beams)
        positions = decoder.embed_positions((batch * beams, 1), self.written)
        # layers may be wrapped, and expect tokens: (batch * beams, 1, d_model)
        hidden = decoder.embed_tokens(ids.reshape(-1, 1)) * decoder.embed_scale + positions
        mask = _hiding(self.descent, hidden.dtype)
        for layer in self.layers:
            hidden = layer(hidden, mask, self.written)
        self.written += 1
        return hidden


class _LayerSteps:
    """A layer of `BeamSteps`."""

    def __init__(self, layer: MarianDecoderLayer, source: Tensor, source_mask: Tensor | None, beams: int, steps: int):
        self.layer, self.beams, self.source_mask = layer, beams, source_mask
        own, other, rows = layer.self_attn, layer.encoder_attn, len(source) * beams
        self.heads, self.scaling = own.num_heads, own.scaling
        self.own_states = _joined([own.q_proj, own.k_proj, own.v_proj], rows, steps)
        self.source = [
            split_heads(project(source), self.heads).contiguous() for project in (other.k_proj, other.v_proj)
        ]
        parts = own.out_proj, other.q_proj, other.out_proj, layer.fc1, layer.fc2
        packed = (packed_layer(part, rows, steps) for part in parts)
        self.own_output, self.query, self.output, self.inner, self.outer = packed
        batch, heads, _, size = self.source[0].shape
        room = batch, heads, min(steps, FIRST_STEPS) * beams, size
        self.keys, self.values = (source.new_empty(room) for _ in range(2))

    def __call__(self, hidden: Tensor, mask: Tensor, written: int) -> Tensor:
        """Tokens (batch * beams, 1, d_model) -> the same shape. The mask is (batch, 1, beams, tokens * beams)."""
        layer = self.layer
        query, *new = self.own_states(hidden)
        seen_of_own = self._attend(query, *self._write(new, written), mask)
        hidden = layer.self_attn_layer_norm(hidden + self.own_output(seen_of_own))
        seen_of_source = self._attend(self.query(hidden), *self.source, self.source_mask)
        hidden = layer.encoder_attn_layer_norm(hidden + self.output(seen_of_source))
        return layer.final_layer_norm(hidden + self.outer(layer.activation_fn(self.inner(hidden))))

    def _write(self, new: Sequence[Tensor], written: int) -> tuple[Tensor, Tensor]:
        """Put keys and values (batch * beams, 1, d_model) behind those of the tokens written so far; returns all."""
        start, end = written * self.beams, (written + 1) * self.beams
        if end > self.keys.shape[2]:
            # the second half is only room
            self.keys, self.values = (torch.cat([kept, kept], dim=2) for kept in (self.keys, self.values))
        for kept, states in zip((self.keys, self.values), new, strict=True):
            kept[:, :, start:end] = self._by_beam(states)
        return self.keys[:, :, :end], self.values[:, :, :end]

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """What queries (batch * beams, 1, d_model) get from keys and values (batch, heads, length, size)."""
        seen = F.scaled_dot_product_attention(self._by_beam(query), keys, values, attn_mask=mask, scale=self.scaling)
        return seen.transpose(1, 2).reshape(query.shape)

    def _by_beam(self, states: Tensor) -> Tensor:
        """(batch * beams, 1, d_model) -> (batch, heads, beams, size)."""
        return split_heads(states.view(-1, self.beams, states.shape[-1]), self.heads)


def chosen_beams(values: Tensor, beams: Tensor) -> Tensor:
    """Of values (batch, beams, length), those of the beams (batch, number) -> (batch, number, length)."""
    return values.gather(1, beams.unsqueeze(-1).expand(-1, -1, values.shape[-1]))


def _hiding(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to scores of (batch, length) or (batch, beams, length), with dimensions for heads and beams."""
    scores = torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(~visible, -torch.inf)
    return scores[:, None, None] if visible.dim() == 2 else scores[:, None]


def _joined(layers: list[nn.Module], rows: int, steps: int) -> Callable[[Tensor], Sequence[Tensor]]:
    """Layers that read the same, in one product if they are plain."""
    if not all(is_plain(layer) and layer.bias is not None for layer in layers):
        return lambda inputs: [layer(inputs) for layer in layers]
    weight, bias = (torch.cat([getattr(layer, name) for layer in layers]) for name in ("weight", "bias"))
    product = PackedWeight(weight, bias, rows, steps)
    return lambda inputs: product(inputs).chunk(len(layers), dim=-1)


__all__ = ["BeamSteps", "chosen_beams"]
