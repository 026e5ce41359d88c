# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Export a model to ONNX, for programs without Python or torch, and compare it with the model.

    pip install -e ".[onnx]"
    python examples/export_onnx.py --model tm2t_hf/checkpoints/tm2t-t2m --output_dir onnx

| model | files | inputs -> outputs |
|---|---|---|
| all that hold a motion VQ | `vq_encode.onnx` | motion_values, attention_mask -> codes, code_mask |
| | `vq_decode.onnx` | codes, code_mask -> motion_values |
| motion to text; text to motion (transformer) | `encoder.onnx` | input_ids, attention_mask -> memory |
| | `decoder.onnx` | decoder_input_ids, memory, attention_mask -> logits of the next token |
| text to motion (GRU) | `encoder.onnx` | input_ids, attention_mask -> state, memory |
| | `decoder.onnx` | decoder_input_ids (one), state, memory -> logits of the next token, state |

`memory` stands for one or more outputs of the encoder. Batch and lengths are free. The motion values are normalized
and the ids made by the processor, which has no part in the files; `generate` below shows the loop that uses them. For
a motion-to-text model with `read_residuals`, `vq_encode.onnx` gives residuals too, and `encoder.onnx` takes them, with
a row of zeros for each special id.
`--int8` also writes the weights of all matrices but those of GRUs in 8 bits, to `int8/`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModel, HfArgumentParser

from tm2t_hf.files import written_beside
from tm2t_hf.layers_text_to_motion import RecurrentCache, TextEncoderOutput
from tm2t_hf.loading import load_whole
from tm2t_hf.training import run

logger = logging.getLogger("export_onnx")

OPSET = 18
MEMORY_OF_GRU = ("last_hidden_state", "pooler_output", "key_states", "value_states", "key_bias")


@dataclass
class Arguments:
    """What to export, and where to."""

    model: str = field(metadata={"help": "Folder or Hub id of a model."})
    output_dir: str = field(metadata={"help": "The .onnx files are written in here."})
    int8: bool = field(default=False, metadata={"help": "Also write the files with weights in 8 bits, to int8/."})


@dataclass
class Graph:
    """A module that is exported.

    Args:
        module: takes and returns tensors.
        inputs: example values by name.
        outputs: names.
        free: name of an input -> names of its axes of any length, by axis; the first is "batch".
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: Sequence[str]
    free: dict[str, dict[int, str]]


class VQEncode(nn.Module):
    """Normalized features (batch, frames, features) -> codes (batch, tokens), their mask and, if wanted, residuals."""

    def __init__(self, vq: nn.Module, residuals: bool = False):
        super().__init__()
        self.vq = vq
        self.residuals = residuals

    def forward(self, motion_values: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Encode."""
        return self.vq.encode(motion_values, attention_mask, self.residuals).to_tuple()


class VQDecode(VQEncode):
    """Codes (batch, tokens) and their mask -> normalized features (batch, frames, features)."""

    def forward(self, codes: Tensor, code_mask: Tensor) -> Tensor:
        """Decode."""
        return self.vq.decode(codes, code_mask)


class Encoder(nn.Module):
    """Ids (batch, length), and their residuals if the model reads them -> memory: states (batch, length, size)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, residuals: Tensor | None = None) -> Tensor:
        """Encode."""
        more = {} if residuals is None else {"residuals": residuals}
        return self.model.get_encoder()(input_ids=input_ids, attention_mask=attention_mask, **more).last_hidden_state


class Decoder(Encoder):
    """Ids so far (batch, tokens) -> logits (batch, vocabulary) of the next one. Reads all ids at each step."""

    def forward(self, decoder_input_ids: Tensor, memory: Tensor, attention_mask: Tensor) -> Tensor:
        """Decode a step."""
        output = self.model(
            encoder_outputs=(memory, attention_mask),
            attention_mask=attention_mask,
            decoder_input_ids=decoder_input_ids,
            use_cache=False,
        )
        return output.logits[:, -1]


@torch.library.custom_op("tm2t_hf::gru", mutates_args=())
def gru(inputs: Tensor, state: Tensor, weights: list[Tensor]) -> Tensor:
    """States (batch, length, size) of a GRU of one layer: an operator, which no exporter takes apart into its steps.

    Args:
        inputs: (batch, length, input_size).
        state: (1, batch, size) before them.
        weights: weight_ih, weight_hh, bias_ih and bias_hh, as in `nn.GRU`.
    """
    return torch.gru(inputs, state, weights, True, 1, 0.0, False, False, True)[0]


@gru.register_fake
def _(inputs: Tensor, state: Tensor, weights: list[Tensor]) -> Tensor:
    return inputs.new_empty(*inputs.shape[:2], state.shape[-1])


def onnx_gru(inputs, state, weights):
    """The operator of ONNX for `gru`, whose gates are in another order, and whose time comes before the batch."""
    from onnxscript import opset18 as op

    weight_ih, weight_hh, *biases = weights
    size = weight_hh.shape[1]

    def of_onnx(weight):
        reset, update, new = (op.Slice(weight, [gate * size], [(gate + 1) * size], [0]) for gate in range(3))
        return op.Concat(update, reset, new, axis=0)

    states, _ = op.GRU(
        op.Transpose(inputs, perm=[1, 0, 2]),
        op.Unsqueeze(of_onnx(weight_ih), [0]),
        op.Unsqueeze(of_onnx(weight_hh), [0]),
        op.Unsqueeze(op.Concat(*map(of_onnx, biases), axis=0), [0]),
        None,
        state,
        hidden_size=size,
        linear_before_reset=1,
    )  # (length, 1, batch, size)
    return op.Transpose(op.Squeeze(states, [1]), perm=[1, 0, 2])


class RecurrentEncoder(Encoder):
    """Ids (batch, words) -> the decoder's first state, and the memory: the fields `MEMORY_OF_GRU`."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Encode."""
        with patch.object(torch, "gru", lambda inputs, state, weights, *_: (gru(inputs, state, weights), None)):
            text = self.model.encoder(input_ids, attention_mask)
        return self.model.decoder.start(text), *(text[name] for name in MEMORY_OF_GRU)


class RecurrentDecoder(Encoder):
    """One id (batch, 1) and a state -> logits (batch, vocabulary) of the next id, and the new state."""

    def forward(self, decoder_input_ids: Tensor, state: Tensor, *memory: Tensor) -> tuple[Tensor, Tensor]:
        """Decode a step."""
        output = self.model(
            encoder_outputs=TextEncoderOutput(**dict(zip(MEMORY_OF_GRU, memory, strict=True))),
            decoder_input_ids=decoder_input_ids,
            past_key_values=RecurrentCache(state, seen=1),
            use_cache=True,
        )
        return output.logits[:, -1], output.past_key_values.state


def main():
    """Export a model, compare the files with it, and quantize them if asked to."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    logger.setLevel(logging.INFO)  # of this script alone: the exporters have much to say
    arguments = HfArgumentParser(Arguments).parse_args_into_dataclasses()[0]
    # whatever it was saved in: many operators of runtimes on CPUs know no half precision
    model = load_whole(AutoModel, arguments.model, dtype=torch.float32).eval()
    output_dir = Path(arguments.output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    if (readings := len(getattr(model.config, "read_offsets", [0]))) > 1:
        logger.warning(
            "This model reads every motion %d times (read_offsets), but encoder.onnx reads it once, so captions may "
            "differ a little.", readings,
        )  # fmt: skip
    for name, graph in graphs_of(model).items():
        path = output_dir / f"{name}.onnx"
        export(graph, path)
        logger.info("%s: %.1f MB, differs by %.1g at most", path, path.stat().st_size / 1e6, difference(graph, path))
        if arguments.int8:
            small = output_dir / "int8" / path.name
            quantize(path, small)
            logger.info("%s: %.1f MB, differs by %.1g", small, small.stat().st_size / 1e6, difference(graph, small))


def graphs_of(model: nn.Module) -> dict[str, Graph]:
    """File name -> what is exported of a model.

    Raises:
        ValueError: for a model that generates nothing and has no motion VQ.
    """
    graphs = {}
    vq = getattr(model, "vq", model)
    if hasattr(vq, "quantizer"):
        config = vq.config
        mask = torch.ones(2, 8 * config.unit_length, dtype=torch.int32)  # as feature extractors make it
        mask[1, 5 * config.unit_length :] = 0
        values = torch.randn(*mask.shape, config.feature_size) * mask.unsqueeze(-1)
        codes = {
            "codes": torch.randint(config.codebook_size, (2, 8)),
            "code_mask": mask[:, :: config.unit_length].long(),
        }
        frames, tokens = {0: "batch", 1: "frames"}, {0: "batch", 1: "tokens"}
        residuals = getattr(model.config, "read_residuals", False)
        graphs["vq_encode"] = Graph(
            VQEncode(vq, residuals), {"motion_values": values, "attention_mask": mask},
            ("codes", "code_mask", "residuals")[: 2 + residuals], {"motion_values": frames, "attention_mask": frames},
        )  # fmt: skip
        graphs["vq_decode"] = Graph(VQDecode(vq), codes, ("motion_values",), {"codes": tokens, "code_mask": tokens})
    if model.can_generate():
        graphs |= _recurrent(model) if model._is_stateful else _transformer(model)
    if not graphs:
        raise ValueError(
            f"A model of type {model.config.model_type} generates nothing, so there is nothing to export."
        )
    return graphs


def _transformer(model: nn.Module) -> dict[str, Graph]:
    ids, start = _source_ids(9), model.config.decoder_start_token_id
    if getattr(model.config, "read_residuals", False):
        ids["residuals"] = torch.randn(*ids["input_ids"].shape, model.config.vq_config.hidden_size)
    with torch.no_grad():
        memory = Encoder(model)(**ids)
    read = torch.full((2, 4), start)
    words, tokens = {0: "batch", 1: "length"}, {0: "batch", 1: "tokens"}
    inputs = {"decoder_input_ids": read, "memory": memory, "attention_mask": ids["attention_mask"]}
    return {
        "encoder": Graph(Encoder(model), ids, ("memory",), dict.fromkeys(ids, words)),
        "decoder": Graph(
            Decoder(model), inputs, ("logits",),
            {"decoder_input_ids": tokens, "memory": words, "attention_mask": words},
        ),
    }  # fmt: skip


def _recurrent(model: nn.Module) -> dict[str, Graph]:
    # Where it can, the encoder moves the projection of queries to the keys; tracing cannot, and a hook keeps the model
    # from it as well, so that its memory is that of the files.
    model.encoder.attention.query.register_forward_hook(lambda *arguments: None)
    ids = _source_ids(9)
    with torch.no_grad():
        state, *memory = RecurrentEncoder(model)(**ids)
    batch, words = {0: "batch"}, {0: "batch", 1: "length"}
    inputs = {"decoder_input_ids": torch.full((2, 1), model.config.decoder_start_token_id), "state": state}
    inputs |= dict(zip(MEMORY_OF_GRU, memory, strict=True))
    free = dict.fromkeys(inputs, words) | dict.fromkeys(("decoder_input_ids", "pooler_output"), batch)
    free["state"] = {1: "batch"}
    return {
        "encoder": Graph(RecurrentEncoder(model), ids, ("state", *MEMORY_OF_GRU), dict.fromkeys(ids, words)),
        "decoder": Graph(RecurrentDecoder(model), inputs, ("logits", "new_state"), free),
    }


def _source_ids(length: int) -> dict[str, Tensor]:
    """Two sources, one of them shorter; any ids do, but for special ones."""
    mask = torch.ones(2, length, dtype=torch.long)
    mask[1, length - length // 3 :] = 0
    ids = torch.randint(5, 25, mask.shape)
    return {"input_ids": ids, "attention_mask": mask}


def traced(graph: Graph) -> torch.export.ExportedProgram:
    """The program that `torch.export` makes of a graph: the first step to ONNX, and to other runtimes."""
    axes = {name: torch.export.Dim.DYNAMIC for free in graph.free.values() for name in free.values()}
    shapes = [{axis: axes[name] for axis, name in graph.free[each].items()} for each in graph.inputs]
    if isinstance(graph.module, RecurrentDecoder):  # `*memory` is one argument
        shapes = [*shapes[:2], tuple(shapes[2:])]
    with torch.no_grad():
        return torch.export.export(
            graph.module.eval(), tuple(graph.inputs.values()), dynamic_shapes=tuple(shapes), strict=False
        )


def export(graph: Graph, path: Path) -> None:
    """Write a graph as an `.onnx` file, weights included."""
    program = traced(graph)
    with torch.no_grad(), written_beside(path) as part:
        torch.onnx.export(
            program,
            f=str(part),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            opset_version=OPSET,
            custom_translation_table={torch.ops.tm2t_hf.gru.default: onnx_gru},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def difference(graph: Graph, path: Path) -> float:
    """How far a file's outputs are from those of the module, at most, on its example."""
    with torch.no_grad():
        expected = graph.module(*graph.inputs.values())
    found = OnnxModule(path)(**{name: value.numpy() for name, value in graph.inputs.items()})
    expected = (expected,) if isinstance(expected, Tensor) else expected
    pairs = zip(found.values(), expected, strict=True)
    return max(float(np.abs(one.astype(np.float64) - other.numpy()).max()) for one, other in pairs)


class OnnxModule:
    """An `.onnx` file on the CPU: called with arrays by name, returns arrays by name."""

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = {each.name for each in self.session.get_inputs()}
        self.outputs = [each.name for each in self.session.get_outputs()]

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run it; inputs that it does not use are left out."""
        used = {name: value for name, value in inputs.items() if name in self.inputs}
        return dict(zip(self.outputs, self.session.run(None, used), strict=True))


def generate(folder: Path, source: dict[str, np.ndarray], start: int, end: int, most: int, never: Sequence[int] = ()):
    """The likeliest ids one after the other, with the files alone.

    Args:
        folder: holds `encoder.onnx` and `decoder.onnx`.
        source: `input_ids` and `attention_mask` (1, length), and what else `encoder.onnx` takes.
        start: id that the decoder begins with.
        end: id after which it stops.
        most: the most ids to make.
        never: ids that are not to be made.

    Returns:
        A list of ids, `end` included.
    """
    encoder, decoder = (OnnxModule(Path(folder) / f"{name}.onnx") for name in ("encoder", "decoder"))
    known = encoder(**source) | {"attention_mask": source["attention_mask"]}
    ids = [start]
    while len(ids) <= most and (len(ids) == 1 or ids[-1] != end):
        read = ids[-1:] if "state" in known else ids
        output = decoder(decoder_input_ids=np.array([read], dtype=np.int64), **known)
        if "new_state" in output:
            known["state"] = output["new_state"]
        logits = output["logits"][0]
        logits[list(never)] = -np.inf
        ids.append(int(logits.argmax()))
    return ids[1:]


def quantize(path: Path, target: Path) -> None:
    """Write a file with its matrices in 8 bits, a scale per output, but for those of GRUs.

    Activations are quantized while it runs.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target.parent.mkdir(parents=True, exist_ok=True)
    options = {"weight_type": QuantType.QInt8, "per_channel": True, "op_types_to_quantize": ["MatMul", "Gemm"]}
    with written_beside(target) as part:
        quantize_dynamic(path, part, **options)


if __name__ == "__main__":
    run(main)
