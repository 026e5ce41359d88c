# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Pages: what is embedded, that nothing leaks or loads, and, where there is a browser, that they play."""

import base64
import html
import io
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tm2t_hf import HUMANML3D, KIT
from tm2t_hf.formats import gif, page
from tm2t_hf.formats.page import PageMotion, save_html, save_page

HOSTILE = """</script><img src=x onerror="document.title='taken'"><!-- & 'quoted' \u2028 $title"""


def walk(frames=41, travel=2.0, seed=0):
    """Joints that drift along +z and wiggle: a body as tall as a person, whatever else it is."""
    rng = np.random.default_rng(seed)
    pose = np.cumsum(np.array(HUMANML3D.directions) * 0.1, axis=0) * [1, 0, 1]
    pose[:, 1] = np.linspace(0.0, 1.7, 22)
    wiggle = rng.normal(size=(1, 22, 3)) * 0.1 * np.sin(np.linspace(0, 9, frames))[:, None, None]
    return pose + wiggle + np.linspace(0, travel, frames)[:, None, None] * [0, 0, 1]


class Scripts(HTMLParser):
    """The contents of script elements as a browser finds them, and the names of all elements."""

    def __init__(self, text):
        super().__init__()
        self.contents, self.tags, self.addresses = {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
        self.script = dict(attributes).get("id", "viewer") if tag == "script" else None

    def handle_endtag(self, tag):
        self.script = None

    def handle_data(self, data):
        if getattr(self, "script", None):
            self.contents[self.script] = self.contents.get(self.script, "") + data


def embedded(path):
    return json.loads(Scripts(path.read_text(encoding="utf-8")).contents["motions"])["motions"]


def decoded(motion):
    root = np.frombuffer(base64.b64decode(motion["root"]), "<f4").reshape(-1, 1, 3)
    offsets = np.frombuffer(base64.b64decode(motion["offsets"]), "<i2").reshape(len(root), motion["joints"], 3)
    return root + offsets * motion["unit"]


def test_nothing_is_loaded(tmp_path):
    save_page([PageMotion(walk(), caption="a person walks", codes=[1, 2, 3])], tmp_path / "motion.html", "One motion")
    text = (tmp_path / "motion.html").read_text(encoding="utf-8")
    scripts = Scripts(text)
    assert scripts.addresses == [] and not {"link", "img", "iframe", "base"} & set(scripts.tags)
    assert set(re.findall(r"https?://[\w./-]+", text)) <= {"http://www.w3.org/1999/xhtml", "https://threejs.org"}
    assert "fetch(" not in (page.WEB / "viewer.js").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert (page.WEB / "three.LICENSE").read_text(encoding="utf-8").strip() in text
    assert len(text) < 700_000


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 4), frames=st.integers(1, 5), far=st.floats(-50, 50))
def test_joints_are_embedded_within_a_millimetre(tmp_path_factory, seed, scale, frames, far):
    path = tmp_path_factory.mktemp("page") / "motion.html"
    for skeleton in (HUMANML3D, KIT):
        joints = np.random.default_rng(seed).normal(size=(frames, skeleton.num_joints, 3)) * scale + [far, 0, far]
        save_html(joints, path, skeleton=skeleton)
        (motion,) = embedded(path)
        assert motion["frames"] == frames
        shown = decoded(motion) + [0, gif.floor_height(joints), 0]
        assert np.abs(shown - joints).max() < 1e-3


def test_a_motion_as_wide_as_a_town_is_embedded_as_exactly_as_16_bits_allow(tmp_path):
    joints = walk()
    joints[:, 5] += 1000
    save_html(joints, tmp_path / "motion.html")
    (motion,) = embedded(tmp_path / "motion.html")
    assert np.abs(decoded(motion) + [0, gif.floor_height(joints), 0] - joints).max() < 0.02


def test_text_is_text(tmp_path):
    save_page([PageMotion(walk(), caption=HOSTILE, note=HOSTILE)], tmp_path / "motion.html", HOSTILE)
    scripts = Scripts((tmp_path / "motion.html").read_text(encoding="utf-8"))
    assert scripts.tags.count("script") == 2 and "img" not in scripts.tags
    (motion,) = embedded(tmp_path / "motion.html")
    assert motion["caption"] == motion["note"] == HOSTILE


def test_the_same_motions_make_the_same_file(tmp_path):
    for name in ("a", "b"):
        save_page([PageMotion(walk(), caption="a person walks")], tmp_path / f"{name}.html", "Motions")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_the_bundle_is_made_of_the_source():
    """Every text of the source that a minifier keeps is in the bundle; otherwise run `npm run build` again."""
    source = (page.WEB / "viewer.js").read_text(encoding="utf-8")
    bundle = (page.WEB / "viewer.min.js").read_text(encoding="utf-8")
    code = "\n".join(line.split("//")[0] for line in source.splitlines() if not line.startswith(("import", "}")))
    names = {name for name in re.findall(r'"([\w:. -]{3,})"', code) if not name.startswith("three")}
    assert len(names) > 30
    assert [name for name in sorted(names) if name not in bundle] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"joints": np.zeros((3, 21, 3))}, "joints"),
        ({"joints": np.zeros((0, 22, 3))}, "joints"),
        ({"joints": np.full((2, 22, 3), np.nan)}, "joints"),
        ({"fps": 0}, "fps=0 must be above 0"),
        ({"unit_length": 0}, "unit_length=0 must be at least 1"),
        ({"codes": [[1, 2]]}, "codes must be a list of whole numbers"),
        ({"codes": ["a"]}, "codes must be a list of whole numbers"),
    ],
)
def test_bad_motions_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        PageMotion(**{"joints": walk(), **arguments})


def test_a_page_of_no_motions_is_refused(tmp_path):
    with pytest.raises(ValueError, match="motions is empty"):
        save_page([], tmp_path / "motion.html")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs `pip install playwright`")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium")
    flags = ["--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with playwright.sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=chromium, args=[*flags, "--disable-background-networking"])
        yield browser
        browser.close()


def open_tab(browser, **options):
    """A page without anything in it; on a busy machine it may be slow."""
    tab = browser.new_page(**options)
    tab.set_default_timeout(300_000)
    return tab


@pytest.fixture
def shown(browser, tmp_path):
    """A page of two motions, and the errors and requests that it makes."""
    motions = [
        PageMotion(walk(41, 2), caption="a person walks", note="someone walks", codes=range(10)),
        PageMotion(walk(81, 0, seed=1), caption=HOSTILE, codes=range(100, 120)),
    ]
    save_page(motions, tmp_path / "motion.html", "Two motions")
    tab = open_tab(browser, viewport={"width": 900, "height": 600})
    tab.errors, tab.requests = [], []
    tab.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.on("console", lambda message: tab.errors.append(message.text) if message.type == "error" else None)
    tab.on("request", lambda request: tab.requests.append(request.url))
    tab.goto((tmp_path / "motion.html").as_uri())
    yield tab
    assert tab.errors == []
    assert tab.requests == [(tmp_path / "motion.html").as_uri()]
    tab.close()


def picture(tab, tile=0):
    """Pixels of a tile, once the page has drawn what changed."""
    tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    image = pytest.importorskip("PIL.Image")
    return np.asarray(image.open(io.BytesIO(tab.locator(".view").nth(tile).screenshot())).convert("RGB"), dtype=int)


def seconds(tab):
    return float(tab.input_value("#timeline"))


def wait_until(tab, condition):
    """Ask again and again for a minute; the page's policy forbids `wait_for_function`."""
    for _ in range(1200):
        if condition():
            return
        tab.wait_for_timeout(50)
    pytest.fail("nothing happened for a minute")


def test_it_plays_and_pauses(shown):
    wait_until(shown, lambda: seconds(shown) > 0.2)
    shown.get_by_role("button", name="Pause").click()
    first, at = picture(shown), seconds(shown)
    assert (picture(shown) == first).all() and seconds(shown) == at
    shown.keyboard.press("Escape")  # means nothing here
    shown.get_by_role("button", name="Play").click()
    wait_until(shown, lambda: abs(seconds(shown) - at) > 0.3)
    assert (picture(shown) != first).any()


def test_it_scrubs_by_mouse_keys_and_tokens(shown):
    shown.locator("#timeline").fill("1.5")
    assert seconds(shown) == pytest.approx(1.5, abs=0.01)
    late = picture(shown)
    shown.keyboard.press("ArrowLeft")
    picture(shown)
    assert seconds(shown) == pytest.approx(1.45, abs=0.01)
    shown.keyboard.press("Home")
    assert (picture(shown) != late).any() and seconds(shown) == 0
    assert shown.locator("#tokens [aria-current=true]").inner_text() == "0"
    shown.get_by_role("button", name="Token 7,").click()
    picture(shown)
    assert seconds(shown) == pytest.approx(7 * 4 / 20)
    assert shown.locator("#tokens [aria-current=true]").inner_text() == "7"


def test_both_motions_are_seen_in_the_colors_of_the_gifs_and_turn_together(shown):
    shown.keyboard.press("Home")
    before = [picture(shown, tile) for tile in (0, 1)]
    for image in before:
        red, green, blue = np.moveaxis(image, -1, 0)
        assert (blue > red + 60).sum() > 50 and (red > blue + 60).sum() > 50
    box = shown.locator(".view").nth(1).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    shown.mouse.move(x, y)
    shown.mouse.down()
    shown.mouse.move(x + 120, y + 30, steps=4)
    shown.mouse.up()
    assert all((picture(shown, tile) != before[tile]).any() for tile in (0, 1))
    assert shown.locator("#tokens li").first.inner_text() == "100"  # the tokens of the tile that was touched
    shown.get_by_role("button", name="Reset view").click()
    assert np.abs(picture(shown) - before[0])[4:].mean() < 0.1  # below the line that marks the selected tile


def test_one_motion_fills_the_page_and_text_stays_text(shown):
    shown.get_by_role("button", name="Show only: a person walks").click()
    assert shown.locator("article:visible").count() == 1
    shown.keyboard.press("Escape")
    assert shown.locator("article:visible").count() == 2
    assert shown.title() == "Two motions" and shown.locator("img").count() == 0
    assert shown.locator(".caption").nth(1).inner_text().startswith("</script><img src=x")


def test_it_fits_a_phone(shown):
    shown.set_viewport_size({"width": 360, "height": 740})
    picture(shown)
    assert shown.evaluate("document.documentElement.scrollWidth") <= 360
    boxes = [shown.locator("article").nth(tile).bounding_box() for tile in (0, 1)]
    assert boxes[0]["width"] == pytest.approx(360, abs=1) and boxes[1]["y"] > boxes[0]["y"] + 300


def test_it_waits_where_reduced_motion_is_preferred(browser, tmp_path):
    save_html(walk(), tmp_path / "motion.html", title="a person walks")
    tab = open_tab(browser, reduced_motion="reduce")
    tab.goto((tmp_path / "motion.html").as_uri())
    tab.wait_for_timeout(300)
    assert tab.get_by_role("button", name="Play").is_visible() and seconds(tab) == 0
    tab.close()


@pytest.mark.parametrize("hidden", ["display: none", "width: 0; height: 0"])
def test_a_frame_that_is_shown_late_is_laid_out_then(browser, tmp_path, hidden):
    """As Gradio makes frames: they have no size while their page is read."""
    save_page([PageMotion(walk(), caption=caption) for caption in ("one", "two")], tmp_path / "motion.html")
    text = html.escape((tmp_path / "motion.html").read_text(encoding="utf-8"))
    tab = open_tab(browser, viewport={"width": 900, "height": 600})
    tab.set_content(f'<iframe srcdoc="{text}" sandbox="allow-scripts" style="border: 0; {hidden}"></iframe>')
    tab.wait_for_timeout(300)
    tab.evaluate("document.querySelector('iframe').style = 'border: 0; width: 800px; height: 500px'")
    inside = tab.frame_locator("iframe")
    wait_until(tab, lambda: inside.locator("canvas").evaluate("canvas => canvas.width") == 800)
    boxes = [inside.locator("article").nth(index).bounding_box() for index in (0, 1)]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] < boxes[1]["x"]
    image = pytest.importorskip("PIL.Image")
    for index in (0, 1):
        view = inside.locator(".view").nth(index)
        pixels = np.asarray(image.open(io.BytesIO(view.screenshot())).convert("RGB"), dtype=int)
        assert (pixels[..., 2] > pixels[..., 0] + 60).sum() > 50  # the left side of the figure is blue
    tab.close()
