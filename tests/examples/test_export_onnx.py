# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""ONNX files of every model compute what the model does, at lengths that they were not exported with."""

import sys

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

import export_onnx  # noqa: E402

from tm2t_hf.vocabulary import codes_to_ids  # noqa: E402

MODELS = ["vq_model", "m2t_model", "t2m_model", "t2m_transformer", "t2m_on_encoder", "t2m_transformer_on_encoder"]


@pytest.fixture
def residual_reader(m2t_model):
    """Motion to text that reads what codes leave out."""
    config = type(m2t_model.config)(**m2t_model.config.to_dict() | {"read_residuals": True})
    torch.manual_seed(0)
    return type(m2t_model)(config).eval()


@pytest.fixture(params=MODELS)
def model(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def own_graphs(request, monkeypatch):
    """Export only the graphs that no other model has as well, as each takes seconds; their names."""
    model = request.node.callspec.params["model"]
    everything = export_onnx.graphs_of
    shared = () if model == "vq_model" else ("vq_encode", "vq_decode")
    shared += ("decoder",) if model.endswith("_on_encoder") else ()
    own = everything(request.getfixturevalue(model)).keys() - set(shared)
    monkeypatch.setattr(
        export_onnx, "graphs_of", lambda model: {name: everything(model)[name] for name in sorted(own)}
    )
    return own


@pytest.fixture
def programs(monkeypatch):
    """Graphs, and what `torch.export` has made of them on their way to ONNX."""
    programs, traced = [], export_onnx.traced

    def keep(graph):
        programs.append((graph, traced(graph)))
        return programs[-1][1]

    monkeypatch.setattr(export_onnx, "traced", keep)
    return programs


@pytest.fixture
def exported(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    return model, tmp_path / "onnx"


def main(tmp_path, monkeypatch, *flags):
    arguments = ["--model", tmp_path / "model", "--output_dir", tmp_path / "onnx", *flags]
    monkeypatch.setattr(sys, "argv", ["export_onnx.py", *map(str, arguments)])
    export_onnx.main()


def assert_same_vq(vq, folder):
    """Other batches, lengths and masks than those of the export."""
    unit = vq.config.unit_length
    for frames in ([unit], [7 * unit + 1, 3 * unit, 5 * unit + 2]):
        mask = (torch.arange(max(frames)) < torch.tensor(frames)[:, None]).long()
        values = torch.randn(*mask.shape, vq.config.feature_size)
        with torch.no_grad():
            expected = vq.encode(values, mask)
            motion = vq.decode(expected.codes, expected.attention_mask)
        inputs = {"motion_values": values.numpy(), "attention_mask": mask.int().numpy()}
        found = export_onnx.OnnxModule(folder / "vq_encode.onnx")(**inputs)
        np.testing.assert_array_equal(found["codes"], expected.codes)
        np.testing.assert_array_equal(found["code_mask"], expected.attention_mask)
        (found,) = export_onnx.OnnxModule(folder / "vq_decode.onnx")(**found).values()
        np.testing.assert_allclose(found, motion, atol=1e-4)


def assert_same_encoder(graph, folder):
    """Other numbers and lengths of sources than those of the export, padded: a GRU goes in both directions."""
    mask = (torch.arange(70) < torch.tensor([70, 3, 1])[:, None]).long()
    inputs = {"input_ids": torch.randint(5, 25, mask.shape) * mask, "attention_mask": mask}
    with torch.no_grad():
        expected = graph.module(**inputs)
    expected = (expected,) if isinstance(expected, torch.Tensor) else expected
    found = export_onnx.OnnxModule(folder / "encoder.onnx")(**{key: value.numpy() for key, value in inputs.items()})
    for name, values in zip(graph.outputs, expected, strict=True):
        np.testing.assert_allclose(found[name], values, atol=1e-4, err_msg=name)


def assert_same_program(graph, program):
    """Other runtimes start from what `torch.export` makes."""
    with torch.no_grad():
        found, expected = program.module()(*graph.inputs.values()), graph.module(*graph.inputs.values())
    for one, other in zip(*(each if isinstance(each, tuple) else (each,) for each in (found, expected)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_the_files_compute_what_the_model_does(exported, own_graphs, programs, tmp_path, monkeypatch):
    model, folder = exported
    main(tmp_path, monkeypatch, "--int8", "true")
    assert len(programs) == len(own_graphs)
    for graph, program in programs:
        assert_same_program(graph, program)
    if "vq_encode" in own_graphs:
        assert_same_vq(model, folder)
    if not model.can_generate():
        return
    graph = export_onnx.graphs_of(model)["encoder"]
    exact, small = (export_onnx.difference(graph, folder / part / "encoder.onnx") for part in ("", "int8"))
    assert exact < 1e-4 and 0 < small < 0.1
    assert_same_encoder(graph, folder)
    for length in (1, 5, 40) if "decoder" in own_graphs else ():
        ids = torch.randint(5, 25, (1, length))
        source = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        greedy = {"do_sample": False, "num_beams": 1, "max_new_tokens": 8, "max_length": None}
        wanted = model.generate(**source, **greedy)[0, 1:].tolist()
        source = {name: value.numpy() for name, value in source.items()}
        config = model.generation_config
        never = config.suppress_tokens or ()
        start, end = model.config.decoder_start_token_id, model.config.eos_token_id
        found = export_onnx.generate(folder, source, start, end, 8, never)
        assert found == wanted[: len(found)] and len(found) > 1


def test_residuals_go_from_file_to_file(residual_reader, tmp_path, monkeypatch):
    residual_reader.save_pretrained(tmp_path / "model")
    graphs = export_onnx.graphs_of(residual_reader)
    wanted = {name: graphs[name] for name in ("vq_encode", "encoder")}
    monkeypatch.setattr(export_onnx, "graphs_of", lambda model: wanted)
    main(tmp_path, monkeypatch)
    vq = residual_reader.vq
    values = torch.randn(2, 9 * vq.config.unit_length, vq.config.feature_size)
    mask = torch.ones(values.shape[:2], dtype=torch.int32)
    mask[1, 5 * vq.config.unit_length :] = 0
    encode, read = (export_onnx.OnnxModule(tmp_path / "onnx" / f"{name}.onnx") for name in wanted)
    found = encode(motion_values=values.numpy(), attention_mask=mask.numpy())
    ids, id_mask = codes_to_ids(*(torch.from_numpy(found[name]) for name in ("codes", "code_mask")), vq.config)
    residuals = np.pad(found["residuals"], ((0, 0), (1, 1), (0, 0)))
    memory = read(input_ids=ids.numpy(), attention_mask=id_mask.numpy(), residuals=residuals)["memory"]
    with torch.no_grad():
        source = residual_reader.read_motion(values, mask)
        expected = residual_reader.get_encoder()(**source).last_hidden_state
    np.testing.assert_allclose(memory, expected, atol=1e-4)


def test_a_model_saved_in_half_precision(m2t_model, tmp_path, monkeypatch):
    m2t_model.vq = m2t_model.config.vq_config = None  # whose graphs take as long again
    m2t_model.to(torch.bfloat16).save_pretrained(tmp_path / "model")
    everything = export_onnx.graphs_of
    monkeypatch.setattr(export_onnx, "graphs_of", lambda model: {"decoder": everything(model)["decoder"]})
    main(tmp_path, monkeypatch)
    model = export_onnx.load_whole(export_onnx.AutoModel, tmp_path / "model", dtype=torch.float32).eval()
    graph = export_onnx.graphs_of(model)["decoder"]
    assert export_onnx.difference(graph, tmp_path / "onnx" / "decoder.onnx") < 1e-4


def test_every_model_has_its_graphs(model):
    graphs = export_onnx.graphs_of(model)
    assert graphs.keys() == {"vq_encode", "vq_decode"} | ({"encoder", "decoder"} if model.can_generate() else set())
    for name in ("vq_encode", "vq_decode"):
        assert graphs[name].module.vq is getattr(model, "vq", model)


@pytest.mark.parametrize(
    ("model", "name"),
    [(model, "decoder") for model in MODELS if model.endswith("_on_encoder")] + [("t2m_model", "vq_encode")],
    indirect=["model"],
)
def test_graphs_like_those_of_others_can_be_traced(model, name):
    """Those that `own_graphs` leaves out, as the rest of the export would take long."""
    graph = export_onnx.graphs_of(model)[name]
    assert_same_program(graph, export_onnx.traced(graph))


def test_a_model_that_generates_nothing():
    with pytest.raises(ValueError, match="generates nothing"):
        export_onnx.graphs_of(_Matcher())


class _Matcher(torch.nn.Module):
    config = type("Config", (), {"model_type": "tm2t-matcher"})

    def can_generate(self):
        return False
