# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The motion VQ-VAE of TM2T (section 3.1 of the paper): motion features to discrete codes and back."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_motion_vq import MotionVQConfig
from .loading import WholeWeightsMixin
from .packed_weights import is_traced
from .padding import before, padded_lengths, refuse_unless
from .vocabulary import check_rows, codes_to_ids, ids_to_codes

LEAKY_SLOPE = 0.2
POSITIONS_PER_CHANNEL = 4  # from which on it pays to lay a convolution's weight out anew


@dataclass
class MotionVQEncoderOutput(ModelOutput):
    """Output of [`MotionVQModel.encode`]; the first two fields are the arguments of [`MotionVQModel.decode`].

    Args:
        codes: `(batch, tokens)` int64, indices into the codebook; 0 where masked.
        attention_mask: `(batch, tokens)` int64, 1 for codes and 0 for the padding behind them.
        residuals: on request, what the codes leave out: `(batch, tokens, hidden)`, the encoder's latents less the
            codebook vectors of the codes, in standard deviations of the codebook's values; zero where masked.
    """

    codes: Tensor | None = None
    attention_mask: Tensor | None = None
    residuals: Tensor | None = None


@dataclass
class MotionVQOutput(ModelOutput):
    """Output of [`MotionVQModel`]; all losses are means over the frames or tokens that the mask keeps.

    Args:
        loss: what training minimizes: the sum of the losses below with their weights.
        reconstruction: `(batch, tokens * unit_length, features)`, normalized.
        codes: `(batch, tokens)` int64, indices into the codebook; 0 where masked.
        quantized: `(batch, tokens, hidden)` codebook vectors, with the straight-through gradient.
        reconstruction_loss: L1 between the reconstruction and the input.
        codebook_loss: pulls the codebook to the latents; zero when moving averages do that.
        commitment_loss: pulls the latents to the codebook; not yet weighted.
        position_loss, drift_loss: not yet weighted; None when their weight is 0.
        perplexity: of the codes used in the batch.
        hidden_states: on request, what each stage of the encoder makes of the one before it,
            `(batch, hidden, frames / 2)`, `(batch, hidden, frames / 4)` and so on to `(batch, hidden, tokens)`.
    """

    loss: Tensor | None = None
    reconstruction: Tensor | None = None
    codes: Tensor | None = None
    quantized: Tensor | None = None
    reconstruction_loss: Tensor | None = None
    codebook_loss: Tensor | None = None
    commitment_loss: Tensor | None = None
    position_loss: Tensor | None = None
    drift_loss: Tensor | None = None
    perplexity: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class MotionVQConvolution(nn.Conv1d):
    """A convolution that a CPU computes in another form where that is faster.

    Learning in bfloat16, it is one matrix product, which takes half as long. In use, many positions have their
    channels last in memory, as the kernels have them: 0.85 of the time.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, channels, length) -> (batch, out_channels, new length)."""
        if hidden.device.type != "cpu" or hidden.dim() != 3 or is_traced():
            return super().forward(hidden)
        in_bfloat16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        if in_bfloat16 and torch.is_grad_enabled():
            return self._as_product(hidden)
        # the weight has to be brought into this form, too
        are_many = hidden.shape[0] * hidden.shape[-1] >= POSITIONS_PER_CHANNEL * self.out_channels
        return self._with_channels_last(hidden) if are_many and not self.training else super().forward(hidden)

    def _with_channels_last(self, hidden: Tensor) -> Tensor:
        hidden, weight = (
            values.unsqueeze(2).contiguous(memory_format=torch.channels_last) for values in (hidden, self.weight)
        )
        sizes = (1, *self.stride), (0, *self.padding), (1, *self.dilation)
        return F.conv2d(hidden, weight, self.bias, *sizes).squeeze(2)

    def _as_product(self, hidden: Tensor) -> Tensor:
        (taps,), (stride,), (padding,), (dilation,) = self.kernel_size, self.stride, self.padding, self.dilation
        padded = F.pad(
            hidden.transpose(1, 2).to(torch.bfloat16), (0, 0, padding, padding)
        )  # (batch, length, channels)
        length = (padded.shape[1] - dilation * (taps - 1) - 1) // stride + 1
        starts = range(0, taps * dilation, dilation)
        seen = torch.cat([padded[:, start : start + stride * (length - 1) + 1 : stride] for start in starts], dim=-1)
        weight = self.weight.to(torch.bfloat16).transpose(1, 2).flatten(1)  # (out_channels, taps * channels)
        return F.linear(seen, weight, self.bias).transpose(1, 2)


class MotionVQResidualBlock(nn.Module):
    """Two convolutions around which the input goes unchanged; the first may be dilated."""

    def __init__(self, config: MotionVQConfig, depth: int):
        super().__init__()
        dilation = config.dilation_growth_rate**depth
        self.conv1 = MotionVQConvolution(
            config.hidden_size, config.hidden_size, 3, padding=dilation, dilation=dilation
        )
        self.conv2 = MotionVQConvolution(config.hidden_size, config.hidden_size, 3, padding=1)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, hidden, length) -> the same shape."""
        inner = _masked(F.leaky_relu(self.conv1(hidden), LEAKY_SLOPE), mask)
        return _masked(hidden + self.conv2(inner), mask)


class MotionVQEncoder(nn.Module):
    """Strided convolutions, each followed by residual blocks."""

    def __init__(self, config: MotionVQConfig):
        super().__init__()
        sizes = [config.feature_size - config.contact_size] + [config.hidden_size] * _num_stages(config)
        self.downsamples = nn.ModuleList(
            MotionVQConvolution(size, config.hidden_size, 4, stride=2, padding=1) for size in sizes[:-1]
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(MotionVQResidualBlock(config, depth) for depth in range(config.num_encoder_blocks))
            for _ in self.downsamples
        )

    def forward(self, hidden: Tensor, lengths: Tensor | None) -> tuple[Tensor, ...]:
        """(batch, features, frames) -> the output of each stage, the last one (batch, hidden, tokens)."""
        hidden = _masked(hidden, _mask(lengths, hidden.shape[-1]))
        outputs = ()
        for downsample, blocks in zip(self.downsamples, self.blocks, strict=True):
            hidden = F.leaky_relu(downsample(hidden), LEAKY_SLOPE)  # (batch, hidden, frames // 2)
            lengths = None if lengths is None else lengths // 2
            mask = _mask(lengths, hidden.shape[-1])
            hidden = _masked(hidden, mask)
            for block in blocks:
                hidden = block(hidden, mask)
            outputs += (hidden,)
        return outputs


class MotionVQDecoder(nn.Module):
    """Residual blocks, then upsampling by repetition, each followed by a convolution."""

    def __init__(self, config: MotionVQConfig):
        super().__init__()
        stages = _num_stages(config)
        sizes = [config.hidden_size] * stages + [config.feature_size]
        self.blocks = nn.ModuleList(MotionVQResidualBlock(config, depth) for depth in range(config.num_decoder_blocks))
        self.upsamples = nn.ModuleList(
            MotionVQConvolution(sizes[i], sizes[i + 1], 3, padding=1) for i in range(stages)
        )
        self.output = MotionVQConvolution(config.feature_size, config.feature_size, 3, padding=1)

    def forward(self, hidden: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, hidden, tokens) -> (batch, features, tokens * unit_length)."""
        mask = _mask(lengths, hidden.shape[-1])
        hidden = _masked(hidden, mask)
        for block in self.blocks:
            hidden = block(hidden, mask)
        for upsample in self.upsamples:
            hidden = F.leaky_relu(upsample(F.interpolate(hidden, scale_factor=2.0, mode="nearest")), LEAKY_SLOPE)
            lengths = None if lengths is None else lengths * 2
            mask = _mask(lengths, hidden.shape[-1])
            hidden = _masked(hidden, mask)  # (batch, hidden, tokens * 2)
        return _masked(self.output(hidden), mask)


class Quantization(NamedTuple):
    """What the quantizer makes of latents `(batch, tokens, hidden)`; the fields are those of [`MotionVQOutput`]."""

    codes: Tensor
    quantized: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor
    perplexity: Tensor


class MotionVQCodebook(nn.Embedding):
    """The codebook vectors, one row per code.

    The search for the nearest one, and what it leaves out, are part of `forward()`, since tools that move weights to
    the device when a module is called (offloading, for one) know of nothing else.
    """

    def forward(self, values: Tensor, nearest: bool = False, latents: Tensor | None = None) -> Tensor:
        """Vectors (..., hidden) of codes (...); with `nearest` the codes (...) of latents (..., hidden).

        With `latents` (..., hidden) beside codes, the residuals of these: see `MotionVQEncoderOutput`.
        """
        if latents is not None:
            return (latents - super().forward(values)) / self.weight.std(correction=0).clamp(min=1e-6)
        if not nearest:
            return super().forward(values)
        # in full precision also under autocast: bf16 would choose other codes than `encode` without it
        with torch.autocast("cpu" if values.is_meta else values.device.type, enabled=False):
            latents, codebook = values.float(), self.weight.float()
            rows = latents.reshape(-1, latents.shape[-1])
            # |z|^2 is the same for every code
            distances = torch.addmm(codebook.square().sum(-1), rows, codebook.t(), alpha=-2)
        return distances.argmin(-1).view(latents.shape[:-1])


class MotionVQQuantizer(nn.Module):
    """The nearest codebook vector of each latent (equation 1 of the paper), and the learning of the codebook.

    The moving averages `code_uses` (how many tokens of a batch chose each code) and `code_sums` (the sum of their
    latents), both relative to an even use of all codes, are needed only to go on training: `save_pretrained` leaves
    them out, and they restart from the codebook.

    While `accumulating` is True the averages stand still, and the next batch moves them by all latents since then, as
    one large batch would (gradient accumulation).
    """

    def __init__(self, config: MotionVQConfig):
        super().__init__()
        self.config = config
        self.is_frozen = False
        self.accumulating, self._accumulated = False, []
        self.embedding = MotionVQCodebook(config.codebook_size, config.hidden_size)
        if config.codebook_update != "gradient":
            self.register_buffer("code_uses", torch.zeros(config.codebook_size))
            self.register_buffer("code_sums", torch.zeros(config.codebook_size, config.hidden_size))
            self.register_load_state_dict_post_hook(MotionVQQuantizer._after_loading)

    @torch.no_grad()
    def restart_averages(self, placed_by_batch: bool):
        """Set the moving averages: no code in use, so that the first batch places them all, or all used evenly."""
        uses = 0.0 if placed_by_batch else 1.0
        init.constant_(self.code_uses, uses)
        if not self.embedding.weight.is_meta:  # offloaded: such a model is not trained
            init.copy_(self.code_sums, self.embedding.weight * uses)

    def _after_loading(self, incompatible_keys):
        missing = {key.rpartition("quantizer.")[2] for key in incompatible_keys.missing_keys}
        if "code_uses" in missing and "embedding.weight" not in missing:
            # The file of `save_pretrained`, by load_state_dict(strict=False): the averages here are of other codes.
            self.restart_averages(placed_by_batch=False)

    def nearest(self, latents: Tensor) -> Tensor:
        """The code of each latent: (..., hidden) -> (...) int64."""
        return self.embedding(latents, nearest=True)

    def forward(self, latents: Tensor, mask: Tensor) -> Quantization:
        """Quantize latents `(batch, tokens, hidden)`, of which those count where `mask` `(batch, tokens)` is True."""
        codes = self.nearest(latents.detach())
        vectors = self.embedding(codes)
        latents = latents.to(vectors.dtype)  # autocast makes them less precise than the codebook
        chosen, kept, targets = (
            codes[mask],
            latents[mask],
            vectors[mask],
        )  # (kept tokens,), (kept tokens, hidden) twice
        commitment_loss = F.mse_loss(kept, targets.detach())
        if self.config.codebook_update == "gradient":
            codebook_loss = F.mse_loss(targets, kept.detach())
        else:
            codebook_loss = commitment_loss.new_zeros(())
        uses = torch.bincount(chosen, minlength=self.config.codebook_size).float()
        if self.training:  # in eval mode one process may call the model alone
            uses = _sum_over_processes(uses)
        share = uses / uses.sum()
        perplexity = torch.exp(-(share * torch.log(share + 1e-10)).sum())
        quantized = latents + (vectors - latents).detach()
        if self.training and not self.is_frozen and self.config.codebook_update != "gradient":
            self._accumulated.append((kept.detach(), chosen, uses))
            if not self.accumulating:
                latents_of_all, codes_of_all, uses_of_all = zip(*self._accumulated, strict=True)
                self._move_averages(torch.cat(latents_of_all), torch.cat(codes_of_all), sum(uses_of_all))
                self._accumulated = []
        return Quantization(codes, quantized, codebook_loss, commitment_loss, perplexity)

    @torch.no_grad()
    def _move_averages(self, latents: Tensor, codes: Tensor, uses: Tensor):
        config = self.config
        sums = torch.zeros_like(self.code_sums).index_add_(0, codes, latents)
        sums = _sum_over_processes(sums)
        even_use = uses.sum() / config.codebook_size
        self.code_uses.lerp_((uses / even_use).to(self.code_uses.dtype), 1 - config.ema_decay)
        self.code_sums.lerp_((sums / even_use).to(self.code_sums.dtype), 1 - config.ema_decay)
        if config.codebook_update == "ema_reset":
            dead = self.code_uses < config.reset_threshold
            restarts = _drawn_from_all_processes(latents, config.codebook_size)
            # a restarted code counts as evenly used, which leaves it some batches to find its use
            self.code_uses.masked_fill_(dead, 1.0)
            self.code_sums.copy_(torch.where(dead[:, None], restarts, self.code_sums))
        alive = self.code_uses > 1e-5
        means = self.code_sums / self.code_uses.clamp(min=1e-5)[:, None]
        self.embedding.weight.copy_(torch.where(alive[:, None], means, self.embedding.weight))


class MotionVQPreTrainedModel(WholeWeightsMixin, PreTrainedModel):
    """What loading and saving need to know of the motion VQ."""

    config: MotionVQConfig
    base_model_prefix = "vq"
    main_input_name = "motion_values"
    _keys_to_ignore_on_save = ["quantizer.code_uses", "quantizer.code_sums"]
    _keys_to_ignore_on_load_missing = [r"quantizer\.code_(uses|sums)"]
    _no_split_modules = ["MotionVQResidualBlock"]

    def get_correct_attn_implementation(self, requested_attention, *args, **kwargs):
        """Accept what the model around it asks for, as there is no attention here."""
        return requested_attention or "eager"

    @torch.no_grad()
    def _init_weights(self, module):
        initialize_motion_vq(module)


def initialize_motion_vq(module: nn.Module):
    """Initial values of one module of the VQ-VAE, as the original draws them; also for models that carry one."""
    if isinstance(module, nn.Conv1d):
        init.xavier_normal_(module.weight)
        init.zeros_(module.bias)
    elif isinstance(module, MotionVQCodebook):
        bound = 1 / module.num_embeddings
        init.uniform_(module.weight, -bound, bound)
    elif isinstance(module, MotionVQQuantizer) and module.config.codebook_update != "gradient":
        # here and not where it is made, because `from_pretrained` makes every loaded parameter a trainable one
        module.embedding.weight.requires_grad_(False)
        # a new codebook with "ema_reset" counts as out of use, so that the first batch places it;
        # a loaded one (or "ema") starts as if all codes had been chosen evenly, each at its own place
        loaded = getattr(module.embedding.weight, "_is_hf_initialized", False)
        module.restart_averages(module.config.codebook_update == "ema_reset" and not loaded)


class MotionVQModel(MotionVQPreTrainedModel):
    """The motion VQ-VAE: `encode` gives codes, `decode` gives features, `forward` gives both and the training losses.

    All motion values are normalized, as [`MotionFeatureExtractor`] makes them. Padding changes nothing: with an
    `attention_mask` every clip of a batch is computed as if it were alone.
    """

    def __init__(self, config: MotionVQConfig):
        config.validate_architecture()  # may have been changed since it was made
        config.validate_codebook_size()
        super().__init__(config)
        self.encoder = MotionVQEncoder(config)
        self.quantizer = MotionVQQuantizer(config)
        self.decoder = MotionVQDecoder(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The first layer, for tools that ask every model for it; here a convolution over features."""
        return self.encoder.downsamples[0]

    def set_input_embeddings(self, value: nn.Module):
        """Replace the first layer."""
        self.encoder.downsamples[0] = value

    def freeze_codes(self):
        """Keep the encoder and the codebook, and so the codes of every motion, as they are: only the decoder learns.

        Models that were trained on these codes can be given the better decoder.
        """
        self.encoder.requires_grad_(False)
        self.quantizer.requires_grad_(False)
        self.quantizer.is_frozen = True

    def deepen_decoder(self, num_decoder_blocks: int):
        """Give the decoder further residual blocks, which change nothing until they have learned.

        Args:
            num_decoder_blocks: how many it then has.

        Raises:
            ValueError: for fewer blocks than it has.
        """
        blocks = self.decoder.blocks
        if num_decoder_blocks < len(blocks):
            raise ValueError(
                f"The decoder has {len(blocks)} blocks; num_decoder_blocks={num_decoder_blocks} is fewer."
            )
        self.config.num_decoder_blocks = num_decoder_blocks
        for depth in range(len(blocks), num_decoder_blocks):
            block = MotionVQResidualBlock(self.config, depth).to(self.device, self.dtype)
            for parameter in block.conv2.parameters():
                init.zeros_(parameter)
            blocks.append(block)

    def encode(
        self, motion_values: Tensor, attention_mask: Tensor | None = None, output_residuals: bool = False
    ) -> MotionVQEncoderOutput:
        """Codes of a batch of motions.

        Frames beyond a clip's last whole token are left out, here as in training: no code depends on them.

        Args:
            motion_values: `(batch, frames, features)`, normalized.
            attention_mask: `(batch, frames)`, 1 for frames and 0 for the padding behind them.
            output_residuals: also give `residuals`, what the codes leave out.

        Returns:
            `codes` and their `attention_mask`, both `(batch, frames // unit_length)` int64: a clip of n frames has
            `n // unit_length` codes.

        Raises:
            ValueError: for another feature size, a clip shorter than one token, or padding in front of a clip.
        """
        latents, mask, _ = self._encode(motion_values, attention_mask)
        mask = mask.long()
        codes = self.quantizer.nearest(latents) * mask
        residuals = None
        if output_residuals:
            residuals = self.quantizer.embedding(codes, latents=latents) * mask.unsqueeze(-1)
        return MotionVQEncoderOutput(codes=codes, attention_mask=mask, residuals=residuals)

    def decode(self, codes: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Motion of a batch of codes.

        Args:
            codes: `(batch, tokens)` int64 from 0 to `codebook_size - 1` (no special ids: see `ids_to_codes`).
            attention_mask: `(batch, tokens)`, 1 for codes and 0 for the padding behind them.

        Returns:
            `(batch, tokens * unit_length, features)`, normalized; zeros where padded.

        Raises:
            ValueError: for another shape, no token at all, ids outside the codebook, or padding in front of codes.
        """
        check_rows(codes, "codes")
        if codes.shape[1] == 0:
            raise ValueError(
                f"`codes` must have the shape (batch, tokens) with at least one token; got {tuple(codes.shape)}."
            )
        refuse_unless(
            (codes >= 0) & (codes < self.config.codebook_size),
            f"`codes` must lie between 0 and {self.config.codebook_size - 1}; special ids such as <bom> and <eom> are "
            "taken out by `ids_to_codes`.",
        )
        lengths = padded_lengths(attention_mask, codes.shape, "codes")
        return self._decode_vectors(self.quantizer.embedding(codes), lengths)

    @can_return_tuple
    def forward(
        self,
        motion_values: Tensor,
        attention_mask: Tensor | None = None,
        return_loss: bool = True,
        output_hidden_states: bool | None = None,
    ) -> MotionVQOutput:
        """Reconstruct a batch of motions.

        Args:
            motion_values: `(batch, frames, features)`, normalized.
            attention_mask: `(batch, frames)`, 1 for frames and 0 for the padding behind them.
            return_loss: False leaves the loss and its parts out. (The name tells `Trainer` that there is a loss
                without labels.)
            output_hidden_states: also return the outputs of the encoder's stages; `config.output_hidden_states` by
                default.

        Raises:
            ValueError: as `encode`.
        """
        config = self.config
        latents, mask, hidden_states = self._encode(motion_values, attention_mask)
        quantization = self.quantizer(latents, mask)
        lengths = None if attention_mask is None else mask.sum(-1)
        # (batch, tokens * unit_length, features)
        reconstruction = self._decode_vectors(quantization.quantized, lengths)

        if output_hidden_states is None:
            output_hidden_states = config.output_hidden_states
        losses = self._losses(reconstruction, motion_values, mask, quantization) if return_loss else {}
        return MotionVQOutput(
            reconstruction=reconstruction,
            codes=quantization.codes * mask,
            quantized=quantization.quantized,
            perplexity=quantization.perplexity,
            hidden_states=tuple(states.contiguous() for states in hidden_states) if output_hidden_states else None,
            **losses,
        )

    def _losses(
        self, reconstruction: Tensor, motion_values: Tensor, mask: Tensor, quantization: Quantization
    ) -> dict[str, Tensor]:
        """`loss` and its parts, by the names of `MotionVQOutput`."""
        config = self.config
        frames = mask.repeat_interleave(config.unit_length, dim=1)
        # at least in single precision, as sums over a batch are beyond half precision's range
        error = (reconstruction - motion_values[:, : frames.shape[1]]) * frames.unsqueeze(-1)
        error = error.to(torch.promote_types(error.dtype, torch.float32))
        count = frames.sum()
        losses = {"reconstruction_loss": error.abs().sum() / (count * config.feature_size)}
        losses["codebook_loss"] = quantization.codebook_loss
        losses["commitment_loss"] = quantization.commitment_loss
        loss = losses["reconstruction_loss"] + losses["codebook_loss"]
        loss = loss + config.commitment_weight * losses["commitment_loss"]
        if config.position_loss_weight:
            columns = 3 * (config.num_joints - 1)
            losses["position_loss"] = error[..., 4 : 4 + columns].abs().sum() / (count * columns)
            loss = loss + config.position_loss_weight * losses["position_loss"]
        if config.drift_loss_weight:
            drift = error[..., :3].cumsum(1) * frames.unsqueeze(-1)
            losses["drift_loss"] = drift.abs().sum() / (count * 3)
            loss = loss + config.drift_loss_weight * losses["drift_loss"]
        return {"loss": loss, **losses}

    def _encode(
        self, motion_values: Tensor, attention_mask: Tensor | None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Encode without quantizing.

        Returns:
            latents (batch, tokens, hidden), the bool mask (batch, tokens) of those that are not padding, and the
            outputs of all stages of the encoder.
        """
        config = self.config
        if not isinstance(motion_values, Tensor):
            raise ValueError(
                f"`motion_values` must be a tensor (batch, frames, {config.feature_size}), as MotionFeatureExtractor "
                f'returns it with return_tensors="pt"; got a {type(motion_values).__name__}.'
            )
        if motion_values.dim() != 3 or motion_values.shape[-1] != config.feature_size:
            raise ValueError(
                f"`motion_values` must have the shape (batch, frames, {config.feature_size}); "
                f"got {tuple(motion_values.shape)}."
            )
        lengths = padded_lengths(attention_mask, motion_values.shape[:2], "motion_values")
        too_short = f"shorter than one motion token ({config.unit_length} frames); give longer clips."
        if motion_values.shape[1] < config.unit_length:
            raise ValueError(f"A clip of {motion_values.shape[1]} frames is {too_short}")
        if lengths is not None:
            refuse_unless(lengths >= config.unit_length, f"A clip of the batch is {too_short}")
        finite = motion_values.isfinite().all(-1)  # (batch, frames)
        if attention_mask is not None:
            finite = finite | ~attention_mask.bool()
        refuse_unless(finite, "`motion_values` holds NaN or infinite values; repair or cut those frames.")
        # An incomplete token at the end would still reach the codes before it through the convolutions.
        num_tokens = motion_values.shape[1] // config.unit_length
        lengths = None if lengths is None else lengths // config.unit_length * config.unit_length
        seen = motion_values[:, : num_tokens * config.unit_length, : config.feature_size - config.contact_size]
        seen = seen.transpose(1, 2).to(self.dtype)  # features stay in single precision where the model is in half
        hidden_states = self.encoder(seen, lengths)
        latents = hidden_states[-1].transpose(1, 2)
        if lengths is None:
            mask = torch.ones(latents.shape[:2], dtype=torch.bool, device=latents.device)
        else:
            mask = before(lengths // config.unit_length, latents.shape[1])
        return latents, mask, hidden_states

    def _decode_vectors(self, vectors: Tensor, lengths: Tensor | None) -> Tensor:
        """(batch, tokens, hidden) -> (batch, tokens * unit_length, features)."""
        return self.decoder(vectors.transpose(1, 2), lengths).transpose(1, 2)


def _num_stages(config: MotionVQConfig) -> int:
    return config.unit_length.bit_length() - 1


def _mask(lengths: Tensor | None, size: int) -> Tensor | None:
    """(batch,) -> (batch, 1, size) bool, True before each length; None for None."""
    return None if lengths is None else before(lengths, size).unsqueeze(1)


def _masked(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Zeros in the padding, which a convolution then sees as it sees the end of a clip that is alone."""
    return hidden if mask is None else hidden * mask


def _in_several_processes() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _sum_over_processes(values: Tensor) -> Tensor:
    if _in_several_processes():
        torch.distributed.all_reduce(values)
    return values


def _drawn_from_all_processes(rows: Tensor, number: int) -> Tensor:
    """Random ones (number, size) of the rows (n, size) that all processes have, the same in each of them."""
    if not _in_several_processes():
        return rows[torch.randint(len(rows), (number,), device=rows.device)]
    rank, counts = torch.distributed.get_rank(), [0] * torch.distributed.get_world_size()
    counts[rank] = len(rows)
    counts = _sum_over_processes(torch.tensor(counts, device=rows.device))
    draws = torch.randint(int(counts.sum()), (number,), device=rows.device)
    torch.distributed.broadcast(draws, src=0)
    places = draws - counts[:rank].sum()  # within the rows of this process, or outside
    own = (places >= 0) & (places < len(rows))
    drawn = rows.new_zeros(number, rows.shape[1])
    drawn[own] = rows[places[own]]
    return _sum_over_processes(drawn)


__all__ = [
    "MotionVQEncoderOutput",
    "MotionVQModel",
    "MotionVQOutput",
    "MotionVQPreTrainedModel",
    "codes_to_ids",
    "ids_to_codes",
]
