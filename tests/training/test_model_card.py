# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The model card: a header the Hub reads, sizes off the checkpoint, the command without this machine's folders."""

import ast
import re
from dataclasses import dataclass

import pytest
from huggingface_hub import ModelCard
from safetensors.torch import load_file

from tm2t_hf.training import STAGES, write_model_card
from tm2t_hf.training.model_card import add_results


@dataclass
class Arguments:
    data_dir: str = "/somewhere/data/bandai_namco"
    license: str = "cc-by-nc-4.0"
    skeleton: str = "humanml3d"


COMMAND = [
    "/somewhere/repo/examples/train_vq.py",
    "examples/configs/small.json",
    "--data_dir",
    "/somewhere/data/bandai_namco",
    "--output_dir",
    "tm2t-vq",
    "--model_config",
    '{"hidden_size": 16}',
]


@pytest.mark.parametrize("stage", STAGES)
def test_the_card_states_what_there_is(stage, vq_model, tmp_path):
    vq_model.save_pretrained(tmp_path)
    write_model_card(tmp_path, stage, Arguments(), {"reconstruction_loss": 0.12345678, "perplexity": 33}, COMMAND)
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "cc-by-nc-4.0" and card.data.library_name == "transformers"
    assert card.data.datasets == ["bandai_namco"] and "tm2t-vq" in card.data.tags
    assert card.data.pipeline_tag == {"m2t": "motion-to-text", "t2m": "text-to-motion"}.get(stage)
    stored = load_file(tmp_path / "model.safetensors").values()
    assert f"| weights | {sum(tensor.numel() for tensor in stored):,} |" in card.text
    assert "| `codebook_size` | 32 |" in card.text
    assert "| reconstruction_loss | 0.1235 |" in card.text and "| perplexity | 33 |" in card.text
    assert "accelerate launch examples/train_vq.py examples/configs/small.json --data_dir bandai_namco" in card.text
    assert "'{\"hidden_size\": 16}'" in card.text
    assert "/somewhere" not in card.content
    (code,) = re.findall(r"```python\n(.*?)```", card.text, flags=re.DOTALL)
    ast.parse(code)


def test_a_card_is_replaced_whole(vq_model, tmp_path):
    vq_model.save_pretrained(tmp_path)
    for value in (1, 2):
        write_model_card(tmp_path, "vq", Arguments(), {"loss": value}, COMMAND)
    text = (tmp_path / "README.md").read_text()
    assert "| loss | 2 |" in text and "| loss | 1 |" not in text
    assert not list(tmp_path.glob(".*part"))


@pytest.mark.parametrize("flags", ["--resume", "--resume latest", "--resume=true", "--resume_from_checkpoint latest"])
def test_a_resumed_run_has_the_card_of_a_straight_one(vq_model, tmp_path, flags):
    vq_model.save_pretrained(tmp_path)
    texts = set()
    for command in (COMMAND, [*COMMAND, *flags.split()], [*COMMAND[:2], *flags.split(), *COMMAND[2:]]):
        write_model_card(tmp_path, "vq", Arguments(), {"loss": 1}, command)
        texts.add((tmp_path / "README.md").read_text())
    assert len(texts) == 1
    write_model_card(tmp_path, "vq", Arguments(), {"loss": 1}, [*COMMAND, "--resume", "elsewhere"])
    assert "--resume elsewhere" in (tmp_path / "README.md").read_text()


def test_what_cannot_be_described_is_named(vq_model, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no config.json; save the model there before its card"):
        write_model_card(tmp_path, "vq", Arguments(), {})
    vq_model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="stage='gan' is unknown; it is one of vq, m2t, t2m, matcher"):
        write_model_card(tmp_path, "gan", Arguments(), {})


def test_a_skeleton_of_a_file_goes_by_its_name(vq_model, tmp_path):
    vq_model.save_pretrained(tmp_path)
    write_model_card(tmp_path, "vq", Arguments(skeleton="/somewhere/my.json"), {"loss": 1}, COMMAND)
    assert "skeleton `my`" in (tmp_path / "README.md").read_text()


def test_a_folder_whose_name_is_no_id_is_left_out_of_the_metadata(hub, vq_model, tmp_path):
    vq_model.save_pretrained(tmp_path)
    for name, found in (("my data", None), ("my-data", ["my-data"])):
        write_model_card(tmp_path, "vq", Arguments(data_dir=f"/somewhere/{name}"), {"loss": 1}, COMMAND)
        card = ModelCard.load(tmp_path / "README.md")
        card.validate()
        assert card.data.datasets == found and f"`{name}`" in card.text


def report_with(row: str) -> dict:
    return {
        "data": {"name": "bandai_namco", "split": "test", "clips": 258},
        "matcher": {"real motion": {"fid": [0.0, 0.0]}, row: {"fid": [0.116, 0.01], "r_precision3": 0.98}},
        "judge": {row: {"action": [0.96, 0.003], "mistakes": [["walk", "run", 3], ["a", "b", 1]]}},
        "motions": {},
        "captions": {},
    }


def test_results_of_an_evaluation(hub, vq_model, tmp_path):
    vq_model.save_pretrained(tmp_path)
    write_model_card(tmp_path, "vq", Arguments(), {"loss": 1}, COMMAND)
    path = tmp_path / "README.md"
    text = ModelCard.load(path).text
    assert add_results(path, report_with("text to motion")) == 0
    for _ in range(2):  # they are replaced
        assert add_results(path, report_with("VQ reconstruction")) == 3
    card = ModelCard.load(path)
    card.validate()
    assert card.text == text and card.data.license == "cc-by-nc-4.0"
    found = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert found == {"fid (matcher)": 0.116, "r_precision3 (matcher)": 0.98, "action (judge)": 0.96}
    assert {(each.task_type, each.dataset_split) for each in card.data.eval_results} == {
        ("motion-reconstruction", "test")
    }


def test_a_page_that_is_no_card(tmp_path):
    (tmp_path / "page.md").write_text("# Results\n")
    assert add_results(tmp_path / "page.md", report_with("text to motion")) == 0
    assert (tmp_path / "page.md").read_text() == "# Results\n"
