# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The demo in a browser, by Gradio: sentences to motions that play, and motion files to captions.

Whoever can open it may be a stranger: requests wait in a queue of limited length, one is computed at a time,
sentences, motions and uploads are limited, and no file is read but what the visitor uploads.
"""

import html
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import gradio as gr
from transformers import set_seed

from .cli.common import load_pipeline
from .formats import PageMotion, import_motion, save_motion
from .formats.page import save_page
from .pipelines import shipped_checkpoint

MOST_SENTENCES, MOST_CHARACTERS, MOST_SAMPLES = 4, 200, 4
MOST_SECONDS, MOST_UPLOADED_SECONDS = 10, 60
LARGEST_UPLOAD = "5mb"
QUEUE = 64  # requests that wait; more are turned away
DOWNLOADS = (".bvh", ".glb", ".npy")
UPLOADS = (".bvh", ".npz", ".npy")
EXAMPLES = ("a person waves the left hand", "an old person walks forward slowly", "a person kicks, then bows")
KEPT_SECONDS = 3600  # uploads and downloads
KEPT_RESULTS = 8  # files of the last results, until Gradio has taken its own copies
LAUNCH = {"max_file_size": LARGEST_UPLOAD, "ssr_mode": False, "footer_links": []}


class Demo:
    """The models behind the page, and what its buttons do.

    Args:
        text_to_motion: folder or Hub id of a text-to-motion model; the shipped one by default.
        motion_to_text: likewise of a motion-to-text model.

    Raises:
        ValueError: there is no such model, or it is of another type or damaged; one sentence.
    """

    def __init__(self, text_to_motion: str = "", motion_to_text: str = ""):
        text_to_motion = text_to_motion or str(shipped_checkpoint("tm2t-t2m"))
        motion_to_text = motion_to_text or str(shipped_checkpoint("tm2t-m2t"))
        self.animate = load_pipeline("text-to-motion", text_to_motion, "--text_to_motion")
        self.describe = load_pipeline("motion-to-text", motion_to_text, "--motion_to_text")
        self._results = tempfile.TemporaryDirectory(prefix="tm2t-demo-")

    def make_motions(
        self, text: str, samples: float, seed: float, seconds: float, chain: bool
    ) -> tuple[str, str, list[str]]:
        """What the button of the first tab does.

        Args:
            text: one sentence per line.
            samples: motions per sentence.
            seed: of what is drawn.
            seconds: the longest motion, or part of a chain.
            chain: make one motion of all sentences.

        Returns:
            The page that plays the motions, as HTML; what is to be said about them, as HTML; files to download.
        """
        sentences = _sentences(text)
        set_seed(int(_number("The seed", seed or 0)) % 2**32)  # None for an empty field
        seconds = min(max(_number("The longest motion", seconds), 1), MOST_SECONDS)
        times = int(min(max(_number("The number of motions", samples), 1), MOST_SAMPLES))
        options = {"do_sample": True, "max_seconds": seconds, "return_codes": True}
        try:
            if chain and len(sentences) > 1:
                title = ", then ".join(sentences)
                made = [(title, self.animate(sentences, chain=True, **options)) for _ in range(times)]
            else:
                made = [(each, self.animate(each, **options)) for each in sentences for _ in range(times)]
        except ValueError as error:
            raise _refusal(str(error)) from error
        shown = [self._page_motion(caption, motion) for caption, motion in made if len(motion["joints"])]
        if not shown:
            raise _refusal("The model ended the motion at once; try another seed.")
        return _player(shown), self._remarks(made), self._files(shown)

    def describe_file(self, path: str | None) -> tuple[str, str, str]:
        """What the button of the second tab does.

        Args:
            path: of the uploaded file.

        Returns:
            Captions, one per line, the most likely first; what is to be said about them, as HTML; the page that
            plays the motion, as HTML.
        """
        if not isinstance(path, str) or not path:
            raise _refusal("Choose a file first.")
        if Path(path).suffix.lower() not in UPLOADS:
            raise _refusal(f"Upload one of {', '.join(UPLOADS)}.")
        extractor = self.describe.processor.feature_extractor
        try:
            motion = import_motion(path, extractor.skeleton)
            if len(motion.joints) > MOST_UPLOADED_SECONDS * motion.fps:
                raise ValueError(f"the motion is longer than {MOST_UPLOADED_SECONDS} seconds; cut it")
            captions = self.describe({"joints": motion.joints, "fps": motion.fps}, num_beams=3, num_return_sequences=3)
        except (ValueError, OSError) as error:  # without the folder of this machine
            raise _refusal(str(error).replace(path, Path(path).name)) from error
        score, captions = captions[0]["score"], [caption["generated_text"] for caption in captions]
        remark = "" if score is None else _scored(score, self.describe.coverage.threshold)
        page_motion = PageMotion(motion.joints, motion.fps, captions[0], skeleton=extractor.skeleton)
        return "\n".join(captions), remark, _player([page_motion])

    def _files(self, motions: Sequence[PageMotion]) -> list[str]:
        """The motions in every format; the files of old results go."""
        results = Path(self._results.name)
        for old in sorted(results.iterdir(), key=lambda folder: folder.stat().st_mtime)[:-KEPT_RESULTS]:
            shutil.rmtree(old)
        folder = Path(tempfile.mkdtemp(dir=results))
        save_page(motions, folder / "motions.html", "Motions")
        paths = [folder / "motions.html"]
        for number, motion in enumerate(motions, 1):
            for suffix in DOWNLOADS:
                paths.append(folder / f"motion-{number}{suffix}")
                save_motion(motion.joints, paths[-1], motion.fps, skeleton=motion.skeleton)
        return [str(path) for path in paths]

    def _remarks(self, made: Sequence[tuple[str, dict]]) -> str:
        """Scores of all sentences, and warnings of low ones, as HTML; nothing where the model has no scores."""
        scores = {}
        for caption, motion in made:
            parts = motion.get("parts", [{"text": caption, "score": motion["score"]}])
            scores |= {part["text"]: part["score"] for part in parts if part["score"] is not None}
        lines = (f"<li>{html.escape(text)}: {self._remark(text, score)}</li>" for text, score in scores.items())
        return f"<ul>{''.join(lines)}</ul>" if scores else ""

    def _remark(self, text: str, score: float) -> str:
        remark = _scored(score, self.animate.coverage.threshold)
        if score >= self.animate.coverage.threshold:
            return remark
        return f"{remark}; the closest that it knows: {html.escape(self.animate.judge(text).nearest)}"

    def _page_motion(self, caption: str, motion: dict) -> PageMotion:
        return PageMotion(
            motion["joints"],
            motion["fps"],
            caption,
            codes=motion["codes"],
            unit_length=self.animate.model.config.vq_config.unit_length,
            skeleton=self.animate.processor.feature_extractor.skeleton,
        )


def build_app(text_to_motion: str = "", motion_to_text: str = "") -> gr.Blocks:
    """The page; `.launch()` starts it.

    Args:
        text_to_motion: folder or Hub id of a text-to-motion model; the shipped one by default.
        motion_to_text: likewise of a motion-to-text model.
    """
    demo = Demo(text_to_motion, motion_to_text)
    with gr.Blocks(title="TM2T", delete_cache=(KEPT_SECONDS, KEPT_SECONDS), analytics_enabled=False) as app:
        gr.Markdown("# TM2T\nType a sentence and watch a figure do it; show a motion and read what it does.")
        with gr.Tab("Text to motion"):
            text = gr.Textbox(
                label="What the figure should do, one sentence per line", lines=2, value=EXAMPLES[0],
                max_length=MOST_SENTENCES * MOST_CHARACTERS, elem_id="sentences",
            )  # fmt: skip
            with gr.Row():
                samples = gr.Slider(1, MOST_SAMPLES, value=2, step=1, label="Motions per sentence")
                seed = gr.Number(value=0, precision=0, label="Seed")
                seconds = gr.Slider(1, MOST_SECONDS, value=6, step=0.5, label="Longest motion in s")
                chain = gr.Checkbox(label="Chain all sentences into one motion")
            make = gr.Button("Make motions", variant="primary")
            remarks = gr.HTML(elem_id="remarks")
            player = gr.HTML(elem_id="player")
            files = gr.File(label="Downloads", file_count="multiple", interactive=False)
            _on_click(make, demo.make_motions, [text, samples, seed, seconds, chain], [player, remarks, files])
            gr.Examples([[example] for example in EXAMPLES], text)
        with gr.Tab("Motion to text"):
            upload = gr.File(label=f"A motion: {', '.join(UPLOADS)}", file_types=list(UPLOADS), elem_id="upload")
            describe = gr.Button("Describe it", variant="primary")
            captions = gr.Textbox(
                label="Captions, the most likely first", lines=3, interactive=False, elem_id="captions"
            )
            remark = gr.HTML(elem_id="remark")
            shown = gr.HTML(elem_id="uploaded")
            _on_click(describe, demo.describe_file, [upload], [captions, remark, shown])
    return app.queue(max_size=QUEUE, default_concurrency_limit=1)


def _on_click(button: gr.Button, function: Callable, inputs: list, outputs: list) -> None:
    """Run the function, before which the last results go: where it refuses, they would seem to be its own."""
    empty = button.click(lambda: (None,) * len(outputs), None, outputs, queue=False, api_visibility="private")
    empty.then(function, inputs, outputs, api_name=function.__name__)


def _refusal(message: str) -> gr.Error:
    """A mistake of the visitor: the message stays until it is closed, and the server logs nothing."""
    return gr.Error(html.escape(message, quote=False), duration=None, print_exception=False)


def _number(name: str, value: object) -> float:
    """A finite number, which a request that no page has made may lack."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
        raise _refusal(f"{name} must be a number.")
    return value


def _scored(score: float, threshold: float) -> str:
    warning = ", <strong>unlike what this model learned, so it may be wrong</strong>" if score < threshold else ""
    return f"score {score:.2f}{warning}"


def _sentences(text: str) -> list[str]:
    text = text if isinstance(text, str) else ""
    sentences = [line.strip() for line in text.splitlines() if line.strip()]
    if not sentences:
        raise _refusal("Write a sentence, such as: a person walks forward.")
    if len(sentences) > MOST_SENTENCES or any(len(each) > MOST_CHARACTERS for each in sentences):
        raise _refusal(f"At most {MOST_SENTENCES} sentences of {MOST_CHARACTERS} characters each, please.")
    return sentences


def _player(motions: Sequence[PageMotion]) -> str:
    """The 3-D page in a frame of its own, whose scripts reach nothing outside it."""
    with tempfile.TemporaryDirectory() as folder:
        save_page(motions, Path(folder) / "page.html", "Motions")
        page = (Path(folder) / "page.html").read_text(encoding="utf-8")
    return (
        f'<iframe srcdoc="{html.escape(page)}" sandbox="allow-scripts" title="Motions" '
        'style="width: 100%; height: 640px; border: 0"></iframe>'
    )


__all__ = ["Demo", "build_app"]
