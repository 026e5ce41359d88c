# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Data folders through the Hub: pushed as rows, made again bit by bit, or streamed."""

import re

import numpy as np
import pytest
from huggingface_hub import DatasetCard

from tm2t_hf.data import data_folder, is_on_hub, load_motion_dataset, push_data
from tm2t_hf.data import hub as data_hub
from tm2t_hf.toy import make_toy_dataset

NAME = "your-name/toy"


@pytest.fixture
def folder(tmp_path):
    folder = make_toy_dataset(tmp_path / "toy", num_clips=12) or tmp_path / "toy"
    first = (folder / "train.txt").read_text().split()[0]
    with open(folder / "texts" / f"{first}.txt", "a", encoding="utf-8") as file:
        file.write("a part of it#part/NOUN#0.5#1.5\n")
    (folder / "texts_people").mkdir()
    (folder / "texts_people" / f"{first}.txt").write_text("what people say, like “this”\n", encoding="utf-8")
    return folder


def rows_of(dataset) -> dict[str, dict]:
    return {row["id"]: row for row in dataset}


def assert_same(rows, others):
    assert rows.keys() == others.keys()
    for name, row in rows.items():
        assert isinstance(row["features"], np.ndarray) and row["features"].dtype == np.float32
        np.testing.assert_array_equal(row["features"], others[name]["features"])
        for column in ("captions", "tokens", "sources"):
            assert list(row[column]) == list(others[name][column])


def test_pushed_and_made_again(hub, folder):
    assert push_data(folder, NAME, license="cc-by-4.0").startswith(hub.url)
    assert not [name for name in hub.dataset(NAME).files if name.startswith(("new_joint", "texts"))]
    again = data_folder(NAME)
    kept = [path for path in folder.rglob("*") if path.is_file() and path.suffix in (".npy", ".txt")]
    assert len(kept) > 12
    for path in kept:
        other = again / path.relative_to(folder)
        if path.suffix == ".npy":
            np.testing.assert_array_equal(np.load(other), np.load(path).astype(np.float32), err_msg=path.name)
        else:
            assert other.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")
    options = {"min_frames": 10, "further_texts": ["texts_people"]}
    assert_same(
        rows_of(load_motion_dataset(NAME, "train", **options)),
        rows_of(load_motion_dataset(folder, "train", **options)),
    )
    hub.requests.clear()
    assert data_folder(NAME) == again and len(hub.requests) < 5  # nothing is downloaded twice


def test_the_card(hub, folder):
    push_data(folder, NAME, license="cc-by-4.0", private=True)
    assert hub.dataset(NAME).private
    card = DatasetCard(hub.dataset(NAME).files["README.md"].decode())
    assert card.data.license == "cc-by-4.0" and card.data.to_dict()["configs"][0]["data_files"]
    (code,) = re.findall(r"```python\n(.*?)```", card.text, flags=re.DOTALL)
    exec(code, {})


def test_several_files_per_split(hub, folder, monkeypatch):
    monkeypatch.setattr(data_hub, "SHARD_BYTES", 100_000)
    push_data(folder, NAME)
    assert len([name for name in hub.dataset(NAME).files if name.startswith("data/train-")]) > 1
    assert_same(rows_of(load_motion_dataset(NAME, "train")), rows_of(load_motion_dataset(folder, "train")))


def test_streaming(hub, folder, monkeypatch):
    monkeypatch.setattr(data_hub, "ROWS_TOGETHER", 4)
    push_data(folder, NAME)
    options = {"mirror": True, "speeds": (1.0, 0.9), "further_texts": ["texts_people"], "min_frames": 10}
    whole = rows_of(load_motion_dataset(folder, "train", **options))
    for name in (NAME, folder):
        assert_same(rows_of(load_motion_dataset(name, "train", streaming=True, **options)), whole)
    with pytest.raises(ValueError, match="streaming=True cannot repeat clips"):
        load_motion_dataset(NAME, "train", streaming=True, repeats={"*": 2})


def test_revisions(hub, folder):
    push_data(folder, NAME)
    first = hub.dataset(NAME).branches["main"]
    clips = (folder / "train.txt").read_text().split()
    (folder / "train.txt").write_text("\n".join(clips[:3]))
    push_data(folder, NAME)
    assert len(load_motion_dataset(NAME, "train")) < len(load_motion_dataset(NAME, "train", revision=first))


def test_a_connection_that_drops(hub, folder):
    hub.drop = lambda method, path: 100 if "/commit/" in path else None
    with pytest.raises(ValueError, match=f"could not be uploaded to {NAME}: .* `tm2t-hf push-data .*toy {NAME}`"):
        push_data(folder, NAME)
    hub.drop = lambda method, path: None
    push_data(folder, NAME)
    hub.drop = lambda method, path: 1000 if method == "GET" and path.endswith("parquet") else None
    with pytest.raises(FileNotFoundError, match=f"There is no data set {NAME}"):
        data_folder(NAME)
    hub.drop = lambda method, path: None
    assert (data_folder(NAME) / "Mean.npy").is_file()


def test_no_such_data_set(hub, folder):
    for name in ("your-name/nothing", "nowhere/at-all"):
        with pytest.raises(FileNotFoundError, match=f"There is no data set {name}"):
            load_motion_dataset(name, "train")
    with pytest.raises(FileNotFoundError, match="none of the split files"):
        push_data(folder.parent, NAME)
    assert not is_on_hub(folder) and not is_on_hub("a/b/c") and not is_on_hub("toy") and is_on_hub(NAME)


def test_ids_stay_inside_the_folder(tmp_path):
    for clip in ("../out", "/out", "a//b", "a\\b"):
        with pytest.raises(ValueError, match="names the clip"):
            data_hub.write_rows(tmp_path, [{"id": clip, "texts": "a"}])
