# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The benchmark measures what it says, counts arithmetic rightly, and writes a table."""

import json
import sys

import benchmark
import datasets
import growth
import pytest
import torch
from benchmarking import works
from benchmarking.works import Setting

from tm2t_hf.packed_weights import PackedWeight
from tm2t_hf.toy import make_toy_dataset


@pytest.fixture(autouse=True)
def settings_stay(monkeypatch, tmp_path):
    """What the scripts set for their process."""
    for name in ("set_verbosity_error", "disable_progress_bar"):
        monkeypatch.setattr(benchmark.logging, name, lambda: None)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*flags):
        monkeypatch.setattr(sys, "argv", ["benchmark.py", *map(str, flags)])
        benchmark.main()
        return capsys.readouterr().out

    return run


def test_table_and_json(run, tmp_path, monkeypatch):
    for name in ("TOKENS", "WORDS", "SAMPLED"):
        monkeypatch.setattr(works, name, 6)
    monkeypatch.setattr(benchmark, "PRODUCT", 64)
    names = ["t2m_step", "alignment_rollout", "t2m_sampling_1", "vq_encoding_1"]
    flags = ("--size", "tiny", "--device", "cpu", "--seconds", 0, "--json", tmp_path / "report.json")
    table = [line for line in run(*flags, "--only", *names).splitlines() if line.startswith("| ")]
    assert len(table) == 1 + len(names) and {line.count("|") for line in table} == {9}
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["machine"]["size"] == "tiny" and report["machine"]["dtype"] == "float32"
    assert [figures["name"] for figures in report["works"]] == names
    for figures in report["works"]:
        assert figures["seconds"] > 0 and figures["gflop"] > 0 and figures["share_of_product_rate"] > 0
        assert figures["gflop_per_second"] == pytest.approx(figures["gflop"] / figures["seconds"])


def test_a_page(tmp_path):
    page, mark = tmp_path / "page.md", "benchmark tiny float32"
    page.write_text(f"a\n<!-- {mark}: begin -->\nb\n<!-- {mark}: end -->\nc")
    benchmark.write_into(page, mark, ["| one |", "| two |"])
    assert page.read_text() == f"a\n<!-- {mark}: begin -->\n| one |\n| two |\n<!-- {mark}: end -->\nc"


def test_a_page_that_gets_no_table(run, tmp_path, monkeypatch):
    """That is said before anything is measured."""
    monkeypatch.setattr(benchmark, "measure", None)
    page = tmp_path / "page.md"
    flags = ("--size", "tiny", "--device", "cpu", "--write_into", page)
    with pytest.raises(ValueError, match="page.md: there is no such page"):
        run(*flags)
    page.write_text("nothing")
    with pytest.raises(ValueError, match="page.md has no <!-- benchmark tiny float32: begin --> with"):
        run(*flags)
    with pytest.raises(ValueError, match="--write_into writes the whole table: leave out --only and --data_dir"):
        run(*flags, "--only", "vq_step")


def test_operations_are_counted():
    setting = Setting(torch.device("cpu"), torch.float32, "tiny")
    config = setting.model_config("vq")
    work = works.vq_encoding(setting)
    hidden, seen, frames = config["hidden_size"], 263 - 4, works.FRAMES
    expected = 2 * hidden * (4 * seen * frames / 2 + 4 * hidden * frames / 4)  # the strided convolutions
    expected += 2 * 2 * 3 * hidden**2 * (frames / 2 + frames / 4)  # two in each residual block
    expected += 2 * hidden * config["codebook_size"] * frames / 4  # distances to the codes
    assert benchmark.count_operations(work) == expected


def test_what_cannot_be_measured(run):
    with pytest.raises(ValueError, match="--only dancing is unknown; choose from t2m_step, "):
        run("--only", "dancing")
    with pytest.raises(ValueError, match="--only vq_epoch needs --data_dir, whose clips give the lengths"):
        run("--only", "vq_epoch")


def test_epochs_of_similar_lengths_have_less_arithmetic(tmp_path, monkeypatch):
    """Random numbers in place of what is in the files, of which the lengths are all that counts."""
    monkeypatch.setattr(works, "EPOCH_BATCH", 4)
    make_toy_dataset(tmp_path / "data", num_clips=20)
    setting = Setting(torch.device("cpu"), torch.float32, "tiny", data_dir=str(tmp_path / "data"))
    for stage in ("m2t", "vq"):
        random, grouped = (
            benchmark.count_operations(works.EPOCHS[name].prepare(setting))
            for name in (f"{stage}_epoch", f"{stage}_epoch_grouped")
        )
        assert grouped < 0.95 * random


@pytest.mark.parametrize("flags", [["--output", "a.jpg"], ["--largest", "2"], ["--most_clips", "20"]])
def test_growth_refuses_before_it_measures(monkeypatch, tmp_path, flags):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growth.py", "--output", "a.png", *flags])
    with pytest.raises(ValueError, match=flags[0]):
        growth.main()


def test_growth(monkeypatch, tmp_path):
    for name in ("TOKENS", "WORDS", "SAMPLED", "SPOKEN"):
        monkeypatch.setattr(works, name, 4)
    flags = ["--size", "tiny", "--device", "cpu", "--largest", "4", "--most_clips", "40"]
    monkeypatch.setattr(sys, "argv", ["growth.py", *flags, "--output", str(tmp_path / "growth.png")])
    growth.main()
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
    figures = json.loads((tmp_path / "growth.json").read_text())
    assert figures["training step, batch"]["motion VQ"]["sizes"] == [1, 2, 4]
    assert figures["tokenizing, clips"]["motion VQ"]["sizes"] == [20, 40]
    assert growth.Line([1, 2, 4, 8], [9, 9, 4, 8], []).slope == pytest.approx(1)


@pytest.mark.parametrize("size", works.CONFIG_OF_SIZE)
@pytest.mark.parametrize("new_model", [works.new_t2m, works.new_m2t, works.new_vq])
def test_every_size_has_its_models(size, new_model):
    with torch.device("meta"):
        new_model(Setting(torch.device("meta"), torch.float32, size))


def test_figures_are_written_before_a_later_work_fails(run, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "PRODUCT", 64)

    def fail(setting):
        raise RuntimeError("out of memory")

    monkeypatch.setitem(benchmark.WORKS, "m2t_step", benchmark.WORKS["m2t_step"]._replace(prepare=fail))
    flags = ("--size", "tiny", "--device", "cpu", "--seconds", 0, "--json", tmp_path / "report.json")
    with pytest.raises(RuntimeError, match="out of memory"):
        run(*flags, "--only", "vq_encoding_1", "m2t_step")
    report = json.loads((tmp_path / "report.json").read_text())
    assert [figures["name"] for figures in report["works"]] == ["vq_encoding_1"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_with_packed_weights_count(dtype):
    product, inputs = PackedWeight(torch.randn(260, 300).to(dtype), None, 16, 50), torch.randn(2, 8, 300).to(dtype)
    assert benchmark.count_operations(lambda: product(inputs)) == 2 * 16 * 300 * 260
    assert product.packed is not None or not torch.backends.mkl.is_available() or dtype == torch.bfloat16
