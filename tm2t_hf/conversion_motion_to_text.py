# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Conversion of the authors' motion-to-text checkpoints into `MotionToTextModel`."""

import torch
from torch import Tensor

from .configuration_motion_to_text import MotionToTextConfig
from .modeling_motion_to_text import MotionToTextModel

# The original's names -> ours. The position tables are computed; only their sizes are read.
POSITION_TABLES = ("encoder.position_enc.positional_encoding", "decoder.position_enc.positional_encoding")
EMBEDDINGS = {
    "encoder.src_word_emb.weight": "model.encoder.embed_tokens.weight",
    "decoder.trg_word_emb.weight": "model.decoder.embed_tokens.weight",
    "trg_word_prj.weight": "lm_head.weight",
}
ATTENTIONS = {"encoder": {"slf_attn": "self_attn"}, "decoder": {"slf_attn": "self_attn", "enc_attn": "encoder_attn"}}
PROJECTIONS = {"w_qs": "q_proj", "w_ks": "k_proj", "w_vs": "v_proj", "fc": "out_proj"}
FEED_FORWARD = {"pos_ffn.w_1": "fc1", "pos_ffn.w_2": "fc2", "pos_ffn.layer_norm": "final_layer_norm"}


def convert_motion_to_text(checkpoint: dict, num_heads: int = 8) -> MotionToTextModel:
    """Convert a motion-to-text checkpoint of the authors.

    The special ids are the original's: motion ids end in sos, eos and pad; text ids begin with sos 0 and eos 1 and end
    in pad. By default `generate()` then searches with two beams for at most 30 tokens, as the original evaluates. The
    model carries no motion VQ; to give it one, set both `model.vq` and `model.config.vq_config`.

    Args:
        checkpoint: the loaded file, a dict with the part `m2t_transformer`: parameters by their original names. Other
            parts, such as the optimizer's state, are ignored.
        num_heads: number of attention heads, which no shape tells; all released models have 8.

    Returns:
        The model in eval mode, its loss summed as in the original. It shares the checkpoint's memory.

    Raises:
        ValueError: if the part is not there, naming those that are; or naming the parameters that are missing, unknown
            or misshapen.
    """
    if "m2t_transformer" not in checkpoint:
        raise ValueError(
            "the checkpoint has no part 'm2t_transformer', so it is not one of motion-to-text; its parts are "
            f"{', '.join(sorted(map(str, checkpoint))) or 'none'}"
        )
    weights = checkpoint["m2t_transformer"]
    layers = {side: _count_layers(weights, side) for side in ATTENTIONS}
    names = _original_names(layers)
    _check(
        missing=[name for name in (*names, *POSITION_TABLES) if name not in weights],
        unknown=[name for name in weights if name not in names and name not in POSITION_TABLES],
    )
    inner = {side: f"{side}.layer_stack.0.pos_ffn.w_1.weight" for side in ATTENTIONS}
    _check(misshapen=[
        f"{name} {tuple(weights[name].shape)}, which should have two dimensions"
        for name in (*EMBEDDINGS, *inner.values(), *POSITION_TABLES)
        if weights[name].dim() != 2
    ])

    embedding, projection = weights["decoder.trg_word_emb.weight"], weights["trg_word_prj.weight"]
    vocab_size, d_model = embedding.shape
    if d_model % num_heads:
        raise ValueError(f"num_heads={num_heads} does not divide the checkpoint's width of {d_model}")
    config = MotionToTextConfig(
        codebook_size=len(weights["encoder.src_word_emb.weight"]) - 3,
        vocab_size=vocab_size,
        d_model=d_model,
        encoder_layers=layers["encoder"],
        decoder_layers=layers["decoder"],
        encoder_attention_heads=num_heads,
        decoder_attention_heads=num_heads,
        encoder_ffn_dim=len(weights[inner["encoder"]]),
        decoder_ffn_dim=len(weights[inner["decoder"]]),
        max_position_embeddings=max(len(weights[name]) for name in POSITION_TABLES),
        tie_word_embeddings=torch.equal(embedding, projection),
        loss_reduction="sum",
        decoder_start_token_id=0,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=vocab_size - 1,
    )
    with torch.device("meta"):
        ours = MotionToTextModel(config).state_dict()
    expected = {original: ours[name].shape for original, name in names.items()}
    expected |= {name: (len(weights[name]), d_model) for name in POSITION_TABLES}
    _check(misshapen=[
        f"{name} {tuple(weights[name].shape)}, which should be {tuple(shape)}"
        for name, shape in expected.items()
        if weights[name].shape != shape
    ])
    model = MotionToTextModel.from_pretrained(
        None, config=config, state_dict={name: weights[original] for original, name in names.items()}
    )
    model.generation_config.update(num_beams=2, length_penalty=0.7, max_length=30)
    return model.eval()


def _count_layers(weights: dict[str, Tensor], side: str) -> int:
    """One more than the highest layer in the names of this side; at least one, so that its absence is found."""
    parts = [name.split(".") for name in weights if name.startswith(f"{side}.layer_stack.")]
    return max((int(part[2]) + 1 for part in parts if part[2].isdecimal()), default=1)


def _original_names(layers: dict[str, int]) -> dict[str, str]:
    """The original's name of every learned parameter, with ours, for this number of layers a side."""
    names = dict(EMBEDDINGS)
    for side, attentions in ATTENTIONS.items():
        parts = dict(FEED_FORWARD)
        for theirs, ours in attentions.items():
            parts |= {f"{theirs}.{part}": f"{ours}.{name}" for part, name in PROJECTIONS.items()}
            parts[f"{theirs}.layer_norm"] = f"{ours}_layer_norm"
        for layer in range(layers[side]):
            for theirs, ours in parts.items():
                for kind in ("weight", "bias"):
                    names[f"{side}.layer_stack.{layer}.{theirs}.{kind}"] = f"model.{side}.layers.{layer}.{ours}.{kind}"
    return names


def _check(**problems: list[str]):
    """Raise ValueError if any kind of problem has a parameter."""
    found = [f"{kind}: {'; '.join(names)}" for kind, names in problems.items() if names]
    if found:
        raise ValueError(f"'m2t_transformer' does not hold the parameters of motion-to-text; {'. '.join(found)}")
