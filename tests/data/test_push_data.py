# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Data folders through the Hub: pushed as shards with a card, loaded or streamed by their id."""

import re

import numpy as np
import pytest
from huggingface_hub import DatasetCard

from tm2t_hf.data import load_motion_dataset, push_data, statistics_folder
from tm2t_hf.toy import make_toy_dataset

NAME = "your-name/toy"


@pytest.fixture
def folder(tmp_path):
    make_toy_dataset(tmp_path / "toy", num_clips=12)
    return tmp_path / "toy"


def rows_of(dataset) -> dict[str, dict]:
    return {row["id"]: row for row in dataset}


def test_pushed_and_loaded(hub, folder):
    assert push_data(folder, NAME, license="cc-by-4.0").startswith(hub.url)
    assert not [name for name in hub.dataset(NAME).files if name.startswith(("new_joint", "texts"))]
    expected = rows_of(load_motion_dataset(folder, "train"))
    for streaming in (False, True):
        rows = rows_of(load_motion_dataset(NAME, "train", streaming=streaming))
        assert rows.keys() == expected.keys() and rows
        for name, row in rows.items():
            np.testing.assert_array_equal(row["features"], expected[name]["features"])
            assert list(row["captions"]) == list(expected[name]["captions"])
    for name in ("Mean.npy", "Std.npy"):
        np.testing.assert_array_equal(np.load(statistics_folder(NAME) / name), np.load(folder / name))


def test_the_card(hub, folder):
    push_data(folder, NAME, license="cc-by-4.0", private=True)
    assert hub.dataset(NAME).private
    card = DatasetCard(hub.dataset(NAME).files["README.md"].decode())
    assert card.data.license == "cc-by-4.0" and card.data.to_dict()["configs"][0]["data_files"]
    (code,) = re.findall(r"```python\n(.*?)```", card.text, flags=re.DOTALL)
    exec(code, {})


def test_revisions(hub, folder):
    push_data(folder, NAME)
    first = hub.dataset(NAME).branches["main"]
    old, mean = rows_of(load_motion_dataset(NAME, "train")), np.load(folder / "Mean.npy")
    for path in [*(folder / "new_joint_vecs").glob("*.npy"), folder / "Mean.npy"]:
        np.save(path, np.load(path) + 1)
    push_data(folder, NAME)
    for streaming in (False, True):
        for name, change in ((NAME, 1), (f"{NAME}@{first}", 0), (f"{NAME}@main", 1)):
            rows = rows_of(load_motion_dataset(name, "train", streaming=streaming))
            assert rows.keys() == old.keys()
            for key, row in rows.items():
                np.testing.assert_array_equal(row["features"], old[key]["features"] + change)
            np.testing.assert_array_equal(np.load(statistics_folder(name) / "Mean.npy"), mean + change)
    message = f"^There is no revision nowhere of the data set {NAME} on the Hub.$"
    for load in (lambda name: load_motion_dataset(name, "train"), statistics_folder):
        with pytest.raises(FileNotFoundError, match=message):
            load(f"{NAME}@nowhere")


def test_a_connection_that_drops_in_an_upload(hub, folder):
    hub.drop = lambda method, path: 100 if "/commit/" in path else None
    again = f"`tm2t-hf push-data .*toy {NAME} --private --license cc-by-4.0 --further_texts texts`"
    with pytest.raises(ValueError, match=f"could not be uploaded to {NAME}: .* {again}"):
        push_data(folder, NAME, private=True, license="cc-by-4.0", further_texts=["texts"])
    assert set(hub.dataset(NAME).files) == {".gitattributes"}
    hub.drop = lambda method, path: None
    push_data(folder, NAME)
    assert rows_of(load_motion_dataset(NAME, "train"))


def test_a_connection_that_drops_in_a_download(hub, folder):
    name = "your-name/cut"  # of which no other test has filled the cache
    push_data(folder, name)
    hub.drop = lambda method, path: 3000 if method == "GET" and ".parquet" in path else None
    for streaming in (False, True):
        with pytest.raises(ValueError, match=r"parquet could not be downloaded \(peer closed .*\); try again"):
            rows_of(load_motion_dataset(name, "train", streaming=streaming))
    hub.drop = lambda method, path: None
    assert rows_of(load_motion_dataset(name, "train"))


def test_a_private_data_set_without_a_token(hub, folder, monkeypatch):
    push_data(folder, NAME, private=True)
    monkeypatch.delenv("HF_TOKEN")
    for load in (lambda: load_motion_dataset(NAME, "train"), lambda: statistics_folder(NAME)):
        with pytest.raises(FileNotFoundError, match=f"{NAME}.* if it is private, log in with `hf auth login`"):
            load()


def test_no_such_data_set(hub, folder):
    with pytest.raises(FileNotFoundError, match="your-name/nothing"):
        load_motion_dataset("your-name/nothing", "train")
    with pytest.raises(FileNotFoundError, match="no split file"):
        push_data(folder.parent, NAME)
    assert ("dataset", NAME) not in hub.repositories


def test_nobody_is_logged_in(hub, folder, monkeypatch):
    """That is said before a million clips are read."""
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ValueError, match=f"{NAME} cannot be uploaded: there is no token"):
        push_data(folder / "nowhere", NAME)
