# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Inverse alignment (TM2T, section 3.3): motion sampled from a text must translate back into that text.

Motion tokens are sampled from a text-to-motion model such that a gradient flows through them, a frozen
`MotionToTextModel` translates them back, and the negative log-likelihood of the caption is the loss.

The frozen model has only ever seen real motion, so it can be fooled by motion that nobody else would recognize. The
safeguards are: a source that ends in `<eom>`, as it did in its training (`append_eom`), its dropout as noise
(`m2t_dropout`), likelier samples (`top_k`), samples that each follow a real motion (`teacher_forced_samples`), and the
divergence from the model as it was before the alignment, which can be added with a weight (`reference`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.utils import ModelOutput

from .checks import check_count
from .layers_text_to_motion import TextEncoderOutput
from .modeling_motion_to_text import MotionToTextModel
from .modeling_text_to_motion import TextToMotionModel
from .modeling_text_to_motion_transformer import EncodedText, TextToMotionTransformer
from .sampling import Drawable, exponential_like
from .vocabulary import MotionVocabularyMixin

TextToMotion = TextToMotionModel | TextToMotionTransformer  # which learn alike


class MotionSamples(NamedTuple):
    """Sampled motion tokens.

    Args:
        probs: (batch, 1 + tokens, K + 3) the one-hot of `<bom>`, then one distribution per token: one-hots (straight
            through: with the gradient of the relaxed samples), or the relaxed samples themselves.
        lengths: (batch,) the number of codes in each row; what follows them does not count, but for an `<eom>`.
        logits: (batch, tokens, K + 3) of the model, before noise and masks.
        read_ids: (batch, tokens) what the decoder read to give them.
    """

    probs: Tensor
    lengths: Tensor
    logits: Tensor
    read_ids: Tensor


def gumbel_rollout(
    model: TextToMotion,
    input_ids: Tensor | None = None,
    attention_mask: Tensor | None = None,
    inputs_embeds: Tensor | None = None,
    *,
    encoder_outputs: TextEncoderOutput | EncodedText | None = None,
    max_tokens: int = 55,
    tau: float = 1.0,
    hard: bool = True,
    top_k: int | None = None,
    end_rule: Literal["argmax", "sample"] = "argmax",
    noise: Tensor | None = None,
) -> MotionSamples:
    """Sample motion tokens one at a time, with the Gumbel-softmax trick (Jang et al., 2017).

    The decoder reads its own samples, detached: the gradient reaches the model through the logits of each token and,
    along the recurrent state, through all that went before. The transformer samples by its key/value cache without a
    gradient, then reads all samples in one pass with it.

    Args:
        model: samples in the mode it is in; `eval()` leaves its dropout out (but cuDNN computes gradients in train
            mode only).
        input_ids: the text, as the model's `forward` takes it, here and in the next three.
        attention_mask: of the text.
        inputs_embeds: the text as word vectors.
        encoder_outputs: the text as the encoder returns it.
        max_tokens: the most codes to draw.
        tau: temperature of the relaxed samples; which ids are drawn does not depend on it.
        hard: give one-hots; False gives the relaxed samples.
        top_k: draw among the k likeliest ids only.
        end_rule: "argmax", the original's: a row ends where `<eom>` is the likeliest id before the noise, and `<eom>`
            is never drawn. "sample": `<eom>` is drawn like any other id, as in `generate(do_sample=True)`.
        noise: (max_tokens, batch, K + 3) Gumbel noise to use instead of drawing it.

    Raises:
        ValueError: for arguments out of range.
    """
    check_count("max_tokens", max_tokens)
    check_count("top_k", top_k)
    if end_rule not in ("argmax", "sample"):
        raise ValueError(f'`end_rule` must be "argmax" or "sample", got {end_rule!r}.')
    config = model.config
    text = model.encoder(input_ids, attention_mask, inputs_embeds) if encoder_outputs is None else encoder_outputs
    batch, device = len(text.last_hidden_state), text.last_hidden_state.device
    # <pad> is among what the original draws here.
    never = [config.bos_token_id, config.eos_token_id if end_rule == "argmax" else config.pad_token_id]
    lengths = torch.full((batch,), max_tokens, device=device)
    if noise is None:
        noise = _gumbel(torch.empty(max_tokens, batch, config.vocab_size, device=device))
    drawable = Drawable(never, top_k, noise)
    drawn = []

    def draw(step: int, logits: Tensor) -> tuple[Tensor, bool]:
        drawn.append((drawable(logits) + noise[step]).argmax(-1))  # (batch,)
        ends = (logits.argmax(-1) if end_rule == "argmax" else drawn[-1]) == config.eos_token_id
        lengths[ends & (lengths == max_tokens)] = step
        return drawn[-1], bool((lengths < max_tokens).all())

    logits = model.free_run(text, max_tokens, draw)  # (batch, tokens, K + 3)
    scores = drawable(logits) + noise[: len(drawn)].transpose(0, 1)
    ids = torch.stack(drawn, dim=1)  # (batch, tokens)
    probs = _sampled(scores, ids, tau, hard, config.bos_token_id)
    return MotionSamples(probs, lengths, logits, F.pad(ids[:, :-1], (1, 0), value=config.bos_token_id))


def teacher_forced_samples(
    model: TextToMotion,
    logits: Tensor,
    labels: Tensor,
    *,
    tau: float = 1.0,
    hard: bool = True,
    top_k: int | None = None,
    noise: Tensor | None = None,
) -> MotionSamples:
    """Sample every motion token after its *real* predecessors, all at once: the samples stay close to a real motion.

    Args:
        model: made the logits.
        logits: (batch, tokens, K + 3) by teacher forcing; the gradient flows into them.
        labels: (batch, tokens) the motion ids that the logits predict, -100 where padded; they give the lengths.
        tau: as in `gumbel_rollout`.
        hard: as in `gumbel_rollout`.
        top_k: as in `gumbel_rollout`.
        noise: (batch, tokens, K + 3) Gumbel noise to use instead of drawing it.
    """
    config = model.config
    special = [config.bos_token_id, config.eos_token_id, config.pad_token_id]
    scores = Drawable(special, top_k, logits)(logits) + (_gumbel(logits) if noise is None else noise)
    probs = _sampled(scores, scores.argmax(-1), tau, hard, config.bos_token_id)
    lengths = ((labels >= 0) & (labels < config.codebook_size)).sum(1)
    return MotionSamples(probs, lengths, logits, model.prepare_decoder_input_ids_from_labels(labels))


@dataclass
class InverseAlignmentOutput(ModelOutput):
    """What `inverse_alignment_loss` returns.

    Args:
        loss: negative log-likelihood of the captions, reduced as `config.loss_reduction` of the text-to-motion model
            says: over the captions' tokens. Its gradient reaches the text-to-motion model.
        nll: (batch,) that of each caption, summed over its tokens, detached.
        kl: divergence from the reference, reduced likewise over motion tokens; None without a reference.
        samples: the `MotionSamples` that were translated back.
        logits: (batch, caption tokens, text vocabulary) of the motion-to-text model, detached.
    """

    loss: Tensor | None = None
    nll: Tensor | None = None
    kl: Tensor | None = None
    samples: MotionSamples | None = None
    logits: Tensor | None = None


def inverse_alignment_loss(
    t2m: TextToMotion,
    m2t: MotionToTextModel,
    labels: Tensor,
    input_ids: Tensor | None = None,
    attention_mask: Tensor | None = None,
    inputs_embeds: Tensor | None = None,
    *,
    samples: MotionSamples | None = None,
    append_eom: bool = True,
    train_m2t: bool = False,
    m2t_dropout: bool = False,
    reference: TextToMotion | None = None,
    **rollout,
) -> InverseAlignmentOutput:
    """Negative log-likelihood of the captions given motion that was sampled from them.

    Args:
        t2m: the model that learns.
        m2t: translates back. It gets no gradients and runs in eval mode, unless told otherwise.
        labels: (batch, tokens) the captions as `m2t` takes them for labels: ids of its vocabulary after its `<bos>`,
            with its `<eos>`; -100 is ignored.
        input_ids: the captions as `t2m` takes them, here and in the next two.
        attention_mask: of the captions.
        inputs_embeds: the captions as word vectors.
        samples: what to translate back; by default `gumbel_rollout(t2m, text, **rollout)`.
        append_eom: let the translated motions end in `<eom>` as real ones do; the original leaves it out.
        train_m2t: let the gradient reach `m2t` too, which then stays in the mode it is in.
        m2t_dropout: keep the dropout of the frozen `m2t`.
        reference: a frozen text-to-motion model, such as `t2m` before its alignment, to measure the divergence from
            on the sampled motions.
        **rollout: further arguments of `gumbel_rollout`.

    Raises:
        ValueError: if the models have different motion vocabularies.
    """
    if t2m.config.vocab_size != m2t.config.motion_vocab_size:
        raise ValueError(
            f"The text-to-motion model has a motion vocabulary of {t2m.config.vocab_size} ids, the motion-to-text "
            f"model one of {m2t.config.motion_vocab_size}: they must be trained with the same VQ model."
        )
    if samples is None:
        samples = gumbel_rollout(t2m, input_ids, attention_mask, inputs_embeds, **rollout)
    probs, mask = translation_source(samples, t2m.config, append_eom)
    if train_m2t:
        logits = m2t(input_probs=probs, attention_mask=mask, labels=labels).logits
    else:
        with frozen(m2t, training=m2t_dropout):
            logits = m2t(input_probs=probs, attention_mask=mask, labels=labels).logits
    nll = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="none")
    nll = nll.view_as(labels)  # (batch, caption tokens)
    loss = nll.sum()
    kl = None if reference is None else _divergence(samples, reference, input_ids, attention_mask, inputs_embeds)
    if t2m.config.loss_reduction == "mean":
        loss = loss / (labels != -100).sum().clamp(min=1)
        kl = None if kl is None else kl / _predicting(samples).sum()
    return InverseAlignmentOutput(loss=loss, nll=nll.detach().sum(1), kl=kl, samples=samples, logits=logits.detach())


def translation_source(
    samples: MotionSamples, config: MotionVocabularyMixin, append_eom: bool = True
) -> tuple[Tensor, Tensor]:
    """Sampled motion tokens as the source of a motion-to-text model.

    Returns:
        `input_probs` (batch, tokens, K + 3) and their attention mask (batch, tokens): `<bom>`, the codes and, if asked
        for, `<eom>`: the row's own where it drew one, with its gradient.
    """
    probs, end = samples.probs, samples.lengths + 1  # (batch,): the place behind the codes
    longest = int(end.max()) + append_eom
    if append_eom:
        probs = F.pad(probs, (0, 0, 0, max(0, longest - probs.shape[1])))  # a copy in any case
        rows = torch.arange(len(end), device=end.device)
        lacking = probs.detach()[rows, end].argmax(-1) != config.eos_token_id  # (batch,)
        eom = F.one_hot(end.new_tensor(config.eos_token_id), config.vocab_size).to(probs.dtype)
        probs = probs.index_put_((rows[lacking], end[lacking]), eom)
    mask = torch.arange(longest, device=end.device) < (end + append_eom)[:, None]
    return probs[:, :longest], mask.long()


@contextmanager
def frozen(model: nn.Module, training: bool = False) -> Iterator[nn.Module]:
    """Within, what the model computes gives its parameters no gradients; it is in eval mode, or in train mode."""
    modes = {module: module.training for module in model.modules()}
    wanting = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.train(training).requires_grad_(False)
    try:
        yield model
    finally:
        for module, mode in modes.items():
            module.training = mode
        for parameter in wanting:
            parameter.requires_grad_(True)


def _gumbel(like: Tensor) -> Tensor:
    return exponential_like(like).log_().neg_()


def _sampled(scores: Tensor, drawn: Tensor, tau: float, hard: bool, bom_id: int) -> Tensor:
    """Gumbel-softmax of noisy scores (batch, tokens, K + 3), whose drawn ids are given: straight through, or soft.

    Returns:
        (batch, 1 + tokens, K + 3), the one-hot of `<bom>` first.
    """
    if not tau > 0:
        raise ValueError(f"`tau` must be positive, got {tau}.")
    soft = (scores / tau if tau != 1 else scores).softmax(-1)
    if hard:
        return _StraightThrough.apply(soft, F.pad(drawn, (1, 0), value=bom_id))
    begin = torch.zeros_like(soft[:, :1])
    begin[..., bom_id] = 1
    return torch.cat([begin, soft], dim=1)


class _StraightThrough(torch.autograd.Function):
    """One-hots of ids (batch, 1 + tokens), `<bom>` first, whose gradient is that of the relaxed samples."""

    @staticmethod
    def forward(ctx, soft: Tensor, ids: Tensor) -> Tensor:
        return soft.new_zeros(*ids.shape, soft.shape[-1]).scatter_(-1, ids.unsqueeze(-1), 1.0)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient[:, 1:], None


def _predicting(samples: MotionSamples) -> Tensor:
    """(batch, tokens) True where the logits decide a code that counts, or the end."""
    return torch.arange(samples.logits.shape[1], device=samples.lengths.device) <= samples.lengths[:, None]


def _divergence(samples: MotionSamples, reference: TextToMotion, *text: Tensor | None) -> Tensor:
    """KL(model || reference) of the next motion token, summed over the tokens that were sampled."""
    input_ids, attention_mask, inputs_embeds = text
    with torch.no_grad():
        target = reference(input_ids, attention_mask, samples.read_ids, inputs_embeds=inputs_embeds).logits
    target, own = target.log_softmax(-1), samples.logits.log_softmax(-1)
    return F.kl_div(target, own, reduction="none", log_target=True).sum(-1)[_predicting(samples)].sum()


__all__ = [
    "InverseAlignmentOutput",
    "MotionSamples",
    "frozen",
    "gumbel_rollout",
    "inverse_alignment_loss",
    "teacher_forced_samples",
    "translation_source",
]
