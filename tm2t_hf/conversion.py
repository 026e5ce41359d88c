# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Checkpoints of the original TM2T code -> our models, which compute the same numbers.

A checkpoint is the loaded file: a dict of parts, of which some are dicts of tensors by the original's parameter names.
All sizes are read off the tensors' shapes. Whatever else is in there (optimizer states, the epoch) is ignored. The
models share the checkpoint's memory and are in eval mode.
"""

import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from .configuration_matcher import MotionTextMatcherConfig
from .configuration_motion_to_text import MotionToTextConfig
from .configuration_motion_vq import MotionVQConfig
from .configuration_text_to_motion import TextToMotionConfig
from .loading import check_finite
from .modeling_matcher import MotionTextMatcher
from .modeling_motion_to_text import MotionToTextModel
from .modeling_motion_vq import MotionVQModel
from .modeling_text_to_motion import TextToMotionModel
from .skeletons import SKELETONS

# ---- files ----------------------------------------------------------------------------------------------------------


def load_checkpoint(path: str | Path) -> dict:
    """A checkpoint file of the authors (`finest.tar`, written by `torch.save`); nothing but tensors is unpickled.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no such checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}.")
    try:
        # mapped: the optimizer states, which are never needed, are then never read
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise ValueError(f"{path} is not a checkpoint of tensors and plain values; give a `finest.tar`.") from error
    if not isinstance(checkpoint, dict):
        raise ValueError(f"{path} holds a {type(checkpoint).__name__}, not the parts of a checkpoint by name.")
    return checkpoint


def load_vocabulary(folder: str | Path) -> tuple[dict[str, int], Tensor]:
    """The authors' word vocabulary: `our_vab_idx.pkl` (word -> index) and `our_vab_data.npy` (one vector per word).

    Returns:
        Word -> index, and vectors (words + 1, size) float32 of which the last row, zeros, is for the padding.

    Raises:
        FileNotFoundError: if a file is not there.
        ValueError: if the pickle holds anything but plain containers, strings and numbers, or the files do not match.
    """
    indices, data = Path(folder) / "our_vab_idx.pkl", Path(folder) / "our_vab_data.npy"
    for path in (indices, data):
        if not path.is_file():
            raise FileNotFoundError(f"There is no {path}; give the authors' `glove` folder.")
    try:
        with indices.open("rb") as file:
            words = {str(word): int(index) for word, index in PlainUnpickler(file).load().items()}
    except (pickle.UnpicklingError, AttributeError, EOFError, TypeError, ValueError) as error:
        raise ValueError(f"{indices} is not a plain dict of words and their indices: {error}") from error
    vectors = np.load(data, allow_pickle=False)
    if vectors.ndim != 2 or len(vectors) != len(words):
        raise ValueError(f"{data} has the shape {vectors.shape}, but there are {len(words)} words in {indices.name}.")
    return words, torch.from_numpy(np.pad(vectors.astype(np.float32), ((0, 1), (0, 0))))


class PlainUnpickler(pickle.Unpickler):
    """Reads containers, strings, numbers and numpy arrays of them; a pickle that names anything else is refused."""

    ADMITTED = {
        *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
        *(("numpy", name) for name in ("ndarray", "dtype")),
        ("collections", "OrderedDict"),
    }

    def find_class(self, module: str, name: str):
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not a plain value.")
        return super().find_class(module, name)


# ---- motion VQ ------------------------------------------------------------------------------------------------------

BLOCK = {"model.0": "conv1", "model.2": "conv2"}


def convert_motion_vq(checkpoint: dict) -> MotionVQModel:
    """Convert a motion VQ of the authors, whose codebook learns by gradient with beta 1.

    The discriminator, which only training needs, is left out.

    Args:
        checkpoint: the loaded file, with the parts `vq_encoder`, `quantizer` and `vq_decoder`.

    Raises:
        ValueError: if a part is not there, or naming the parameters that are missing, unknown or misshapen.
    """
    what = "a motion VQ"
    weights = _parameters(checkpoint, what, ("vq_encoder", "quantizer", "vq_decoder"))
    num_stages = max(1, _count(weights, r"vq_encoder\.main\.\d+\.weight"))
    num_encoder_blocks = _count(weights, r"vq_encoder\.main\.\d+\.model\.0\.weight") // num_stages
    num_decoder_blocks = _count(weights, r"vq_decoder\.main\.\d+\.model\.0\.weight")
    names = motion_vq_names(num_stages, num_encoder_blocks, num_decoder_blocks)
    _check_names(what, weights, names)
    hidden_size, seen_size, _ = _shape(what, weights, "vq_encoder.main.0.weight", 3)
    feature_size, _, _ = _shape(what, weights, f"vq_decoder.main.{num_decoder_blocks + 3 * num_stages}.weight", 3)
    codebook_size, _ = _shape(what, weights, "quantizer.embedding.weight", 2)
    config = MotionVQConfig(
        feature_size=feature_size,
        contact_size=max(0, feature_size - seen_size),
        hidden_size=hidden_size,
        unit_length=2**num_stages,
        codebook_size=codebook_size,
        num_encoder_blocks=num_encoder_blocks,
        num_decoder_blocks=num_decoder_blocks,
        codebook_update="gradient",
        commitment_weight=1.0,
        fps=next((skeleton.fps for skeleton in SKELETONS.values() if skeleton.feature_size == feature_size), None),
    )
    return _filled(what, MotionVQModel, config, weights, names)


def motion_vq_names(num_stages: int, num_encoder_blocks: int, num_decoder_blocks: int) -> dict[str, str]:
    """The original's name of every parameter, with ours."""
    encoder, decoder = {}, {}  # the original's number of a layer -> our layer
    for stage in range(num_stages):
        place = (2 + num_encoder_blocks) * stage  # a convolution, its activation, its blocks
        encoder[f"{place}"] = f"downsamples.{stage}"
        for block in range(num_encoder_blocks):
            for theirs, ours in BLOCK.items():
                encoder[f"{place + 2 + block}.{theirs}"] = f"blocks.{stage}.{block}.{ours}"
    for block in range(num_decoder_blocks):
        for theirs, ours in BLOCK.items():
            decoder[f"{block}.{theirs}"] = f"blocks.{block}.{ours}"
    for stage in range(num_stages):  # an upsampling, a convolution, its activation
        decoder[f"{num_decoder_blocks + 3 * stage + 1}"] = f"upsamples.{stage}"
    decoder[f"{num_decoder_blocks + 3 * num_stages}"] = "output"
    names = {"quantizer.embedding.weight": "quantizer.embedding.weight"}
    for side, layers in (("encoder", encoder), ("decoder", decoder)):
        for theirs, ours in layers.items():
            for kind in ("weight", "bias"):
                names[f"vq_{side}.main.{theirs}.{kind}"] = f"{side}.{ours}.{kind}"
    return names


# ---- motion to text -------------------------------------------------------------------------------------------------

# The position tables are computed; only their sizes are read.
POSITION_TABLES = tuple(f"m2t_transformer.{side}.position_enc.positional_encoding" for side in ("encoder", "decoder"))
EMBEDDINGS = {
    "m2t_transformer.encoder.src_word_emb.weight": "model.encoder.embed_tokens.weight",
    "m2t_transformer.decoder.trg_word_emb.weight": "model.decoder.embed_tokens.weight",
    "m2t_transformer.trg_word_prj.weight": "lm_head.weight",
}
TIED = ("m2t_transformer.decoder.trg_word_emb.weight", "m2t_transformer.trg_word_prj.weight")
ATTENTIONS = {"encoder": {"slf_attn": "self_attn"}, "decoder": {"slf_attn": "self_attn", "enc_attn": "encoder_attn"}}
PROJECTIONS = {"w_qs": "q_proj", "w_ks": "k_proj", "w_vs": "v_proj", "fc": "out_proj"}
FEED_FORWARD = {"pos_ffn.w_1": "fc1", "pos_ffn.w_2": "fc2", "pos_ffn.layer_norm": "final_layer_norm"}


def convert_motion_to_text(
    checkpoint: dict, num_heads: int = 8, *, vq: MotionVQModel | None = None
) -> MotionToTextModel:
    """Convert a motion-to-text model of the authors.

    The special ids are the original's: motion ids end in sos, eos and pad; text ids begin with sos 0 and eos 1 and end
    in pad. By default `generate()` then searches with two beams for at most 30 tokens, as the original evaluates. The
    loss is summed, as in the original.

    Args:
        checkpoint: the loaded file, with the part `m2t_transformer`.
        num_heads: number of attention heads, which no shape tells; all released models have 8.
        vq: the converted VQ model, to be carried along.

    Raises:
        ValueError: if the part is not there, naming the parameters that are missing, unknown or misshapen, or if
            `num_heads` or `vq` do not fit.
    """
    what = "motion-to-text"
    weights = _parameters(checkpoint, what, ("m2t_transformer",))
    layers = {
        side: max(1, _count(weights, rf"m2t_transformer\.{side}\.layer_stack\.\d+\.pos_ffn\.w_1\.weight"))
        for side in ATTENTIONS
    }
    names = motion_to_text_names(layers)
    _check_names(what, weights, {*names, *POSITION_TABLES})
    (motion_vocab_size, _), (vocab_size, d_model), _ = (_shape(what, weights, name, 2) for name in EMBEDDINGS)
    inner, positions = {}, {}
    for side, table in zip(layers, POSITION_TABLES, strict=True):
        inner[side], _ = _shape(what, weights, f"m2t_transformer.{side}.layer_stack.0.pos_ffn.w_1.weight", 2)
        positions[side], _ = _shape(what, weights, table, 2)
        _check_shapes(what, weights, {table: (positions[side], d_model)})
    if d_model % num_heads:
        raise ValueError(f"num_heads={num_heads} does not divide the checkpoint's width of {d_model}.")
    _check_codebook(what, motion_vocab_size - 3, vq)
    config = MotionToTextConfig(
        vq_config=None if vq is None else vq.config,
        codebook_size=motion_vocab_size - 3,
        vocab_size=vocab_size,
        d_model=d_model,
        encoder_layers=layers["encoder"],
        decoder_layers=layers["decoder"],
        encoder_attention_heads=num_heads,
        decoder_attention_heads=num_heads,
        encoder_ffn_dim=inner["encoder"],
        decoder_ffn_dim=inner["decoder"],
        max_position_embeddings=max(positions.values()),
        tie_word_embeddings=torch.equal(*(weights[name] for name in TIED)),
        loss_reduction="sum",
        decoder_start_token_id=0,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=vocab_size - 1,
    )
    model = _filled(what, MotionToTextModel, config, weights, names, vq)
    model.generation_config.update(num_beams=2, length_penalty=0.7, max_length=30)
    return model


def motion_to_text_names(layers: Mapping[str, int]) -> dict[str, str]:
    """The original's name of every learned parameter, with ours, for this number of layers per side."""
    names = dict(EMBEDDINGS)
    for side, attentions in ATTENTIONS.items():
        parts = dict(FEED_FORWARD)
        for theirs, ours in attentions.items():
            parts |= {f"{theirs}.{part}": f"{ours}.{name}" for part, name in PROJECTIONS.items()}
            parts[f"{theirs}.layer_norm"] = f"{ours}_layer_norm"
        for layer in range(layers[side]):
            for theirs, ours in parts.items():
                for kind in ("weight", "bias"):
                    original = f"m2t_transformer.{side}.layer_stack.{layer}.{theirs}.{kind}"
                    names[original] = f"model.{side}.layers.{layer}.{ours}.{kind}"
    return names


# ---- text to motion -------------------------------------------------------------------------------------------------

# The original's layer on [attended text, own state] is two layers here: one half of its columns each.
MIX_WEIGHT = "t2m_model.motion_decoder_step.att_linear.0.weight"
MIX_HALVES = ("encoder.attention.output.weight", "decoder.mix.weight")
GRU_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def convert_text_to_motion(
    checkpoint: dict,
    word_vectors: Tensor | None = None,
    *,
    train_text_embedding: bool = False,
    text_pad_id: int | None = None,
    vq: MotionVQModel | None = None,
) -> TextToMotionModel:
    """Convert a text-to-motion model of the authors.

    By default `generate()` then samples as the original's scripts do: among the 100 likeliest codes, up to where
    `<eom>` is the likeliest id. The loss is summed, as in the original.

    Args:
        checkpoint: the loaded file, with the part `t2m_model`.
        word_vectors: (words, size) the word embedding, which the original keeps outside of the checkpoint; None for a
            model that takes word vectors (`inputs_embeds`).
        train_text_embedding: let training change the word vectors.
        text_pad_id: the text id of padding; by default the last row of `word_vectors`.
        vq: the converted VQ model, to be carried along.

    Raises:
        ValueError: if the part is not there, naming the parameters that are missing, unknown or misshapen, or if
            `word_vectors` or `vq` do not fit.
    """
    what = "text-to-motion"
    weights = _parameters(checkpoint, what, ("t2m_model",))
    late = "t2m_model.motion_decoder_step.att_linear.3.weight" in weights
    num_layers = max(1, _count(weights, r"t2m_model\.motion_decoder_step\.gru\.\d+\.weight_ih"))
    names = text_to_motion_names(num_layers, late)
    _check_names(what, weights, {*names, MIX_WEIGHT})
    motion_vocab_size, size = _shape(what, weights, "t2m_model.motion_decoder_step.input_emb.weight", 2)
    text_hidden_size, text_embedding_size = _shape(what, weights, "t2m_model.text_encoder.input_emb.weight", 2)
    _check_codebook(what, motion_vocab_size - 3, vq)
    _check_shapes(what, weights, {MIX_WEIGHT: (size, 2 * size)})
    config = TextToMotionConfig(
        vq_config=None if vq is None else vq.config,
        codebook_size=motion_vocab_size - 3,
        **_word_embedding(word_vectors, text_embedding_size, text_pad_id),
        train_text_embedding=train_text_embedding,
        text_hidden_size=text_hidden_size,
        motion_hidden_size=size,
        num_layers=num_layers,
        attention="late" if late else "early",
        flip_backward_states=True,
        mask_padding=False,
        loss_reduction="sum",
    )
    extra = {
        ours: half.contiguous() for ours, half in zip(MIX_HALVES, weights[MIX_WEIGHT].chunk(2, dim=1), strict=True)
    }
    if word_vectors is not None:
        extra["encoder.embed_tokens.weight"] = word_vectors
    model = _filled(what, TextToMotionModel, config, weights, names, vq, extra)
    model.generation_config.update(eom_by_argmax=True, do_sample=True, top_k=100)
    return model


def text_to_motion_names(num_layers: int, late: bool) -> dict[str, str]:
    """The original's name of every parameter that is taken over as it is (all but `MIX_WEIGHT`), with ours."""
    names = {"text_encoder.hidden": "encoder.initial_state"}
    step = "motion_decoder_step"
    for kind in ("weight", "bias"):
        names[f"text_encoder.input_emb.{kind}"] = f"encoder.input_projection.{kind}"
        names[f"{step}.att_layer.W_q.{kind}"] = f"encoder.attention.query.{kind}"
        names[f"{step}.att_layer.W_v.{kind}"] = f"encoder.attention.value.{kind}"
        names[f"{step}.z2init.{kind}"] = f"decoder.initial_state.{kind}"
        names[f"{step}.att_linear.1.{kind}"] = f"decoder.norm.{kind}"
        if late:
            names[f"{step}.att_linear.3.{kind}"] = f"decoder.projection.{kind}"
    for kind in GRU_KINDS:
        for direction in ("_l0", "_l0_reverse"):
            names[f"text_encoder.gru.{kind}{direction}"] = f"encoder.gru.{kind}{direction}"
        for layer in range(num_layers):
            names[f"{step}.gru.{layer}.{kind}"] = f"decoder.gru.{kind}_l{layer}"
    names[f"{step}.att_layer.W_k.weight"] = "encoder.attention.key.weight"
    names[f"{step}.att_linear.0.bias"] = "decoder.mix.bias"
    names[f"{step}.input_emb.weight"] = "decoder.embed_tokens.weight"
    names[f"{step}.trg_word_prj.weight"] = "lm_head.weight"
    return {f"t2m_model.{theirs}": ours for theirs, ours in names.items()}


# ---- matcher --------------------------------------------------------------------------------------------------------


CONTACT_SIZE = 4  # features that the original's evaluator does not see


def convert_matcher(
    checkpoint: dict,
    word_vectors: Tensor | None = None,
    *,
    train_text_embedding: bool = False,
    text_pad_id: int | None = None,
    padded_frames: int = 196,
) -> MotionTextMatcher:
    """Convert a text-motion evaluator of the authors (`text_mot_match`).

    Args:
        checkpoint: the loaded file, with the parts `movement_encoder`, `text_encoder` and `motion_encoder`.
        word_vectors: as for `convert_text_to_motion`.
        train_text_embedding: likewise.
        text_pad_id: likewise.
        padded_frames: frames that the original's batches are padded to, which the movements at a motion's end see.

    Raises:
        ValueError: if a part is not there, naming the parameters that are missing, unknown or misshapen, or if
            `word_vectors` do not fit.
    """
    what = "a text-motion evaluator"
    weights = _parameters(checkpoint, what, ("movement_encoder", "text_encoder", "motion_encoder"))
    num_stages = max(1, _count(weights, r"movement_encoder\.main\.\d+\.weight"))
    names = matcher_names(num_stages)
    _check_names(what, weights, names)
    movement_hidden_size, seen_size, _ = _shape(what, weights, "movement_encoder.main.0.weight", 3)
    movement_size, _ = _shape(what, weights, "movement_encoder.out_net.weight", 2)
    text_hidden_size, text_embedding_size = _shape(what, weights, "text_encoder.input_emb.weight", 2)
    motion_hidden_size, _ = _shape(what, weights, "motion_encoder.input_emb.weight", 2)
    embedding_size, _ = _shape(what, weights, "text_encoder.output_net.3.weight", 2)
    _, pos_size = _shape(what, weights, "text_encoder.pos_emb.weight", 2)
    config = MotionTextMatcherConfig(
        feature_size=seen_size + CONTACT_SIZE,
        contact_size=CONTACT_SIZE,
        unit_length=2**num_stages,
        movement_hidden_size=movement_hidden_size,
        movement_size=movement_size,
        padded_frames=padded_frames,
        **_word_embedding(word_vectors, text_embedding_size, text_pad_id),
        train_text_embedding=train_text_embedding,
        pos_size=pos_size,
        text_hidden_size=text_hidden_size,
        motion_hidden_size=motion_hidden_size,
        embedding_size=embedding_size,
    )
    extra = {} if word_vectors is None else {"embed_tokens.weight": word_vectors}
    return _filled(what, MotionTextMatcher, config, weights, names, extra=extra)


def matcher_names(num_stages: int) -> dict[str, str]:
    """The original's name of every parameter, with ours."""
    layers = {"movement_encoder.out_net": "movement_encoder.output", "text_encoder.pos_emb": "pos_projection"}
    for stage in range(num_stages):  # a convolution, its dropout, its activation
        layers[f"movement_encoder.main.{3 * stage}"] = f"movement_encoder.downsamples.{stage}"
    names = {}
    for side in ("text_encoder", "motion_encoder"):
        parts = {"input_emb": "input_projection", "output_net.0": "hidden", "output_net.1": "norm"}
        parts["output_net.3"] = "output"
        layers |= {f"{side}.{theirs}": f"{side}.{ours}" for theirs, ours in parts.items()}
        names[f"{side}.hidden"] = f"{side}.initial_state"
        for kind in GRU_KINDS:
            for direction in ("_l0", "_l0_reverse"):
                names[f"{side}.gru.{kind}{direction}"] = f"{side}.gru.{kind}{direction}"
    for theirs, ours in layers.items():
        for kind in ("weight", "bias"):
            names[f"{theirs}.{kind}"] = f"{ours}.{kind}"
    return names


# ---- shared ---------------------------------------------------------------------------------------------------------


def _parameters(checkpoint: dict, what: str, parts: Iterable[str]) -> dict[str, Tensor]:
    """The parameters of these parts of a checkpoint, as `part.name`."""
    for part in parts:
        if part not in checkpoint:
            there = ", ".join(sorted(map(str, checkpoint))) or "none"
            raise ValueError(f"The checkpoint has no part {part!r}, so it is not {what}; its parts are {there}.")
    return {f"{part}.{name}": weight for part in parts for name, weight in checkpoint[part].items()}


def _count(weights: Mapping[str, Tensor], pattern: str) -> int:
    return sum(re.fullmatch(pattern, name) is not None for name in weights)


def _check_names(what: str, weights: Mapping[str, Tensor], expected: Iterable[str]):
    expected = set(expected)
    _raise_if_any(what, missing=sorted(expected - weights.keys()), unknown=sorted(weights.keys() - expected))


def _check_shapes(what: str, weights: Mapping[str, Tensor], expected: Mapping[str, Iterable[int]]):
    _raise_if_any(
        what,
        misshapen=[
            f"{name} {tuple(weights[name].shape)}, which should be {tuple(shape)}"
            for name, shape in expected.items()
            if tuple(weights[name].shape) != tuple(shape)
        ],
    )


def _raise_if_any(what: str, **problems: list[str]):
    found = [f"{kind}: {'; '.join(names)}" for kind, names in problems.items() if names]
    if found:
        raise ValueError(f"These are not the parameters of {what}. {'. '.join(found)}")


def _shape(what: str, weights: Mapping[str, Tensor], name: str, dimensions: int) -> torch.Size:
    """Shape of a parameter that sizes are read off, with this number of dimensions."""
    shape = weights[name].shape
    if len(shape) != dimensions:
        _raise_if_any(what, misshapen=[f"{name} {tuple(shape)}, which should have {dimensions} dimensions"])
    return shape


def _check_codebook(what: str, codebook_size: int, vq: MotionVQModel | None):
    if vq is not None and vq.config.codebook_size != codebook_size:
        raise ValueError(
            f"The {what} checkpoint has {codebook_size} codes, the VQ model {vq.config.codebook_size}: they belong to "
            "different trainings."
        )


def _word_embedding(word_vectors: Tensor | None, size: int, pad_id: int | None) -> dict[str, int | None]:
    """The fields of a configuration that describe the word embedding."""
    if word_vectors is not None and (word_vectors.dim() != 2 or word_vectors.shape[1] != size):
        raise ValueError(
            f"`word_vectors` is {tuple(word_vectors.shape)}; the checkpoint takes vectors of {size} numbers."
        )
    words = None if word_vectors is None else len(word_vectors)
    if pad_id is None:
        pad_id = 0 if words is None else words - 1
    return {"text_vocab_size": words, "text_pad_id": pad_id, "text_embedding_size": size}


def _filled(
    what: str,
    model_class: type[PreTrainedModel],
    config: PreTrainedConfig,
    weights: Mapping[str, Tensor],
    names: Mapping[str, str],
    vq: MotionVQModel | None = None,
    extra: Mapping[str, Tensor] | None = None,
) -> PreTrainedModel:
    """A model of this configuration in eval mode, with the original's `weights` under our `names`.

    `extra` are parameters already under our names; `vq` is carried along as the sub-model of that name.
    """
    with torch.device("meta"):
        ours = model_class(config).state_dict()
    _check_shapes(what, weights, {original: ours[name].shape for original, name in names.items()})
    state = {name: weights[original] for original, name in names.items()} | dict(extra or {})
    if vq is not None:
        state |= {f"vq.{name}": tensor for name, tensor in vq.state_dict().items()}
    state = {name: tensor.detach() for name, tensor in state.items()}
    model = model_class.from_pretrained(None, config=config, state_dict=state).eval()
    check_finite(model, f"The checkpoint of {what}")
    return model


__all__ = [
    "convert_matcher",
    "convert_motion_to_text",
    "convert_motion_vq",
    "convert_text_to_motion",
    "load_checkpoint",
    "load_vocabulary",
    "matcher_names",
    "motion_to_text_names",
    "motion_vq_names",
    "text_to_motion_names",
]
