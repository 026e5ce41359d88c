# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The demo: what its buttons do, how it is bounded, and, in headless Chromium, what a visitor sees."""

import gc
import io
import math
import os
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

gr = pytest.importorskip("gradio")

from tm2t_hf import demo as demo_module  # noqa: E402
from tm2t_hf.demo import LAUNCH, MOST_CHARACTERS, Demo, build_app  # noqa: E402
from tm2t_hf.formats import save_motion  # noqa: E402
from tm2t_hf.toy import make_toy_clip  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    joints, _ = make_toy_clip("wave-left", np.random.default_rng(0))
    for name in ("wave.bvh", "wave.npy"):
        save_motion(joints, folder / name)
    (folder / "broken.bvh").write_text("HIERARCHY\nROOT hips\n{")
    np.save(folder / "long.npy", np.repeat(joints[:1], 5000, axis=0))
    return folder


@pytest.fixture(scope="module")
def demo() -> Demo:
    return Demo()


def test_motions(demo):
    page, _, files = demo.make_motions("a person waves the left hand", 2, 0, 2, False)
    assert page.startswith("<iframe srcdoc=") and 'sandbox="allow-scripts"' in page
    assert [Path(file).name for file in files][:2] == ["motions.html", "motion-1.bvh"] and len(files) == 1 + 2 * 3
    again, _, _ = demo.make_motions("a person waves the left hand", 2, 0, 2, False)
    other, _, _ = demo.make_motions("a person waves the left hand", 2, 1, 2, False)
    assert page == again and page != other
    page, _, files = demo.make_motions("a person walks\na person bows", 1, 0, 2, True)
    assert "a person walks, then a person bows" in page and len(files) == 1 + 3


@pytest.mark.parametrize("chain", [False, True])
def test_what_was_never_learned_is_warned_of(demo, chain):
    _, remarks, _ = demo.make_motions("a person waves the left hand\na <b>violin</b> on a boat", 1, None, 2, chain)
    known, unknown = re.findall("<li>(.*?)</li>", remarks)
    assert known.startswith("a person waves the left hand: score 0.9") and "unlike" not in known
    assert "&lt;b&gt;violin" in unknown and "unlike what this model learned" in unknown
    assert unknown.endswith("the closest that it knows: " + demo.animate.judge("a <b>violin</b> on a boat").nearest)


@pytest.mark.parametrize("name", ["t2m_transformer", "t2m_on_encoder", "t2m_transformer_on_encoder"])
def test_every_kind_of_text_to_motion(name, processor, tmp_path, request):
    model = request.getfixturevalue(name)
    model.generation_config.min_new_tokens = 4
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    page, _, files = Demo(text_to_motion=str(tmp_path)).make_motions("a person walks\na person bows", 1, 0, 2, False)
    assert page.startswith("<iframe") and len(files) == 1 + 2 * 3


def test_what_is_too_much_is_refused(demo):
    for text in ("", "  \n ", "a\n" * 9, "a" * (MOST_CHARACTERS + 1)):
        with pytest.raises(gr.Error):
            demo.make_motions(text, 1, 0, 2, False)
    page, _, files = demo.make_motions("a person walks", 10**9, -5, 10**9, False)  # sliders can be forged
    assert len(files) == 1 + 4 * 3


def test_markup_in_a_sentence_is_shown_as_it_is(demo):
    _, remarks, _ = demo.make_motions("see <a href='http://a.b'>it</a> *now*", 1, 0, 1, False)
    assert "<li>see &lt;a href=&#x27;http://a.b&#x27;&gt;it&lt;/a&gt; *now*: score" in remarks


@pytest.mark.parametrize("value", [None, "x", [], {}, True, math.nan, math.inf, -math.inf])
def test_what_no_page_sends_is_refused(demo, value):
    for place, name in ((1, "number of motions"), (2, "seed"), (3, "longest motion")):
        arguments = ["a person walks", 1, 0, 1, False]
        arguments[place] = value
        if place != 2 or value:  # an empty field is a seed
            with pytest.raises(gr.Error, match=f"The {name} must be a number"):
                demo.make_motions(*arguments)
    with pytest.raises(gr.Error, match="Write a sentence" if not isinstance(value, str) else "encoded"):
        demo.make_motions("\ud800 walks" if isinstance(value, str) else value, 1, 0, 1, False)
    with pytest.raises(gr.Error, match="Choose a file" if not isinstance(value, str) else "Upload one of"):
        demo.describe_file(value)


def test_captions(demo, recordings):
    for name in ("wave.bvh", "wave.npy"):
        captions, remark, page = demo.describe_file(str(recordings / name))
        assert re.match(r"score \d\.\d\d", remark) and len(captions.splitlines()) == 3 and page.startswith("<iframe")
    for name, message in (("broken.bvh", "broken.bvh"), ("long.npy", "longer than 60 seconds"), ("none.npy", "none")):
        with pytest.raises(gr.Error, match=message) as error:
            demo.describe_file(str(recordings / name))
        assert str(recordings) not in str(error.value)
    with pytest.raises(gr.Error, match="Choose a file"):
        demo.describe_file(None)
    with pytest.raises(gr.Error, match="Upload one of"):
        demo.describe_file("/etc/passwd")


def test_results_do_not_pile_up(demo, monkeypatch):
    monkeypatch.setattr(demo_module, "KEPT_RESULTS", 2)
    for seed in range(4):
        demo.make_motions("a person walks", 1, seed, 1, False)
    assert len(list(Path(demo._results.name).iterdir())) <= 3


def test_memory_does_not_grow_with_the_requests(demo):
    def memory_after(requests: int) -> int:
        """Bytes in use."""
        for seed in range(requests):
            demo.make_motions("a person walks", 1, seed, 1, False)
        gc.collect()
        return psutil.Process().memory_info().rss

    before = memory_after(8)
    assert memory_after(24) < 1.02 * before


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    app = build_app()
    _, url, _ = app.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, **LAUNCH)
    yield url
    app.close()


def test_fifty_requests_at_once_and_no_path_of_a_visitor(address, recordings):
    client_module = pytest.importorskip("gradio_client")
    # long on a busy machine; http needs no certificates, which every job would read
    options = {"httpx_kwargs": {"timeout": 600}, "ssl_verify": False}
    client = client_module.Client(address, verbose=False, download_files=False, **options)
    jobs = [client.submit("a person walks", 1, n, 1, False, api_name="/make_motions") for n in range(50)]
    assert all(len(job.result(timeout=600)[2]) == 4 for job in jobs)
    with pytest.raises(Exception, match="."):
        client.predict({"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}, api_name="/describe_file")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_in_a_browser(address, recordings, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")

    def visit():
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1200, "height": 1400})
            page.set_default_timeout(600_000)  # on a busy machine
            page.goto(address)
            page.locator("#sentences textarea").fill("a person walks forward\na person bows")
            page.get_by_label("Chain all sentences").check()
            page.get_by_role("button", name="Make motions").click()
            frame = page.locator("#player iframe")
            frame.wait_for()
            page.wait_for_timeout(3000)
            first, _, second = frame.screenshot(), page.wait_for_timeout(1000), frame.screenshot()
            assert first != second, "the figure does not move"
            page.screenshot(path=str(tmp_path / "motion.png"))

            page.get_by_role("tab", name="Motion to text").click()
            for name, expected in (("wave.bvh", "#captions textarea"), ("broken.bvh", ".toast-body")):
                if page.get_by_label("Clear").count():
                    page.get_by_label("Clear").first.click()
                page.locator("#upload input[type=file]").set_input_files(str(recordings / name))
                page.locator("#upload").get_by_text(name.split(".")[0]).first.wait_for()
                page.get_by_role("button", name="Describe it").click()
                page.locator(expected).first.wait_for()
                page.wait_for_timeout(4000)
                page.screenshot(path=str(tmp_path / f"{name}.png"))
                shown = page.locator("#uploaded iframe")
                if name.startswith("broken"):
                    assert not shown.count(), "the last motion seems to be that of the broken file"
                    continue
                first, _, second = shown.screenshot(), page.wait_for_timeout(700), shown.screenshot()
                first, second = (np.asarray(Image.open(io.BytesIO(each)).convert("RGB")) for each in (first, second))
                scene = slice(60, len(first) // 2)  # without the title and the clock
                different.append(int((first[scene] != second[scene]).any(-1).sum()))
                seen.append(page.locator("#captions textarea").input_value())
            message = page.locator(".toast-body").first.inner_text()
            assert "broken.bvh" in message and "/" not in message.replace("w/", "")
            browser.close()

    seen, different = [], []
    thread = threading.Thread(target=visit)  # playwright has a loop of its own
    thread.start()
    thread.join()
    assert all(seen) and min(different) > 100  # pixels: the figure moves
