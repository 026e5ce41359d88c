# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The commands that use the models: generate, caption, tokens, actions, quickstart."""

import math
import sys
from argparse import Namespace
from collections.abc import Iterator

import torch
from transformers import AutoFeatureExtractor, AutoModel, Pipeline, set_seed

from tm2t_hf_cli import NO_SENTENCE, complain

from ..actions import read_actions
from ..cleanup import clean_motion
from ..files import read_text
from ..formats import PageMotion
from ..generation_text_to_motion import find_limit
from ..loading import check_fits, load_processor, load_whole
from ..motion import resample
from ..pipelines import shipped_checkpoint
from ..quickstart import quickstart
from ..tokenization_motion import MotionTokenizer
from .common import each_of, input_of_model, load_pipeline, quality, save_motions

BATCH_SIZE = 32  # motions that are generated at once


def generate(arguments: Namespace) -> int:
    """Write motions for sentences; 2 when the model ended one at once."""
    texts = _texts(arguments)
    animate = load_pipeline("text-to-motion", arguments.model or str(shipped_checkpoint("tm2t-t2m")))
    _check_length(animate, arguments)
    set_seed(arguments.seed)
    failed = []

    def finished() -> Iterator[tuple[int, PageMotion]]:
        for number, (text, motion) in enumerate(_motions(animate, texts, arguments), 1):
            if len(motion["joints"]):
                yield number, _finished(motion, text, animate, arguments)
            else:
                failed.append(text)
                complain("The model generated an empty motion; pass --min_seconds 1 or another --seed.")

    count = arguments.num_samples * (1 if arguments.chain else len(texts))
    save_motions(finished(), count, arguments.output, animate.processor.motion_tokenizer)
    return 2 if failed else 0


def _check_length(animate: Pipeline, arguments: Namespace) -> None:
    """Raise a ValueError naming the flag where the shortest motion asked for is longer than the longest."""
    shortest, longest = arguments.min_seconds, arguments.max_seconds
    if shortest is None:
        return
    if longest is None:
        name, longest = find_limit("max", vars(animate.model.generation_config)) or (None, math.inf)
        if name != "max_seconds":
            longest *= animate.model.config.vq_config.seconds_per_token
    if longest < shortest:
        raise ValueError(
            f"--min_seconds {shortest:g} is longer than the longest motion of {longest:g} s: pass --max_seconds "
            f"{shortest:g} or more."
        )


def _finished(motion: dict, text: str, animate: Pipeline, arguments: Namespace) -> PageMotion:
    """What the pipeline returned, cleaned and at the frame rate asked for; its parts and scores go to stderr."""
    joints, fps, skeleton = motion["joints"], motion["fps"], animate.processor.feature_extractor.skeleton
    for part in motion.get("parts", ()):
        span = f"{part['start'] / fps:.1f} to {part['end'] / fps:.1f} s"
        print(f"{span}: {part['text'] or arguments.prefix}", file=sys.stderr)
    if arguments.clean:
        before = quality(joints, skeleton, fps)
        joints = clean_motion(joints, skeleton, fps)
        after = quality(joints, skeleton, fps)
        print(", ".join(f"{name}: {before[name]} -> {after[name]}" for name in before), file=sys.stderr)
    if arguments.fps:
        joints, fps = resample(torch.from_numpy(joints), fps, arguments.fps).numpy(), arguments.fps
    unit_length = animate.model.config.vq_config.unit_length * fps / motion["fps"]  # frames per token
    codes = motion["codes"] if unit_length.is_integer() else None
    return PageMotion(joints, fps, text, codes=codes, unit_length=int(unit_length), skeleton=skeleton)


def _texts(arguments: Namespace) -> list[str]:
    """The sentences on the command line, of standard input and of the file, in this order."""
    texts = []
    for text in arguments.text:
        texts += sys.stdin.read().splitlines() if text == "-" else [text]
    if arguments.prompts:
        texts += read_text(arguments.prompts).splitlines()
    texts = [text for text in texts if text.strip()] or arguments.text[:1]  # an empty sentence is refused by name
    if not texts or texts == ["-"]:
        raise ValueError(NO_SENTENCE)
    return texts


def _motions(animate: Pipeline, texts: list[str], arguments: Namespace) -> Iterator[tuple[str, dict]]:
    """Each title and its motion."""
    names = ("height", "min_seconds", "max_seconds", "top_k", "temperature")
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    options |= {"do_sample": not arguments.greedy, "return_codes": True}
    if arguments.chain or arguments.prefix:
        if arguments.prefix:
            extractor = animate.processor.feature_extractor
            options["prefix"] = input_of_model(arguments.prefix, arguments, extractor.skeleton, extractor.fps)
        captions = texts if len(texts) > 1 else texts[0]
        for _ in range(arguments.num_samples):
            yield ", then ".join(texts), animate(captions, chain=arguments.chain, **options)
        return
    texts = [text for text in texts for _ in range(arguments.num_samples)]
    for start in range(0, len(texts), BATCH_SIZE):
        batch = texts[start : start + BATCH_SIZE]
        yield from zip(batch, animate(batch, batch_size=len(batch), **options), strict=True)


def caption(arguments: Namespace) -> int:
    """Print captions, one per line, after the file's name if there are several; 2 when a file could not be read."""
    describe = load_pipeline("motion-to-text", arguments.model or str(shipped_checkpoint("tm2t-m2t")))
    extractor = describe.processor.feature_extractor
    # several captions are those of the best beams
    beams = arguments.num_beams or describe.model.generation_config.num_beams or 1
    options = {"num_beams": max(beams, arguments.num_captions), "num_return_sequences": arguments.num_captions}

    def captions_of(path: str) -> list[dict[str, str]]:
        return describe(input_of_model(path, arguments, extractor.skeleton, extractor.fps), **options)

    described = 0
    for _, path, captions in each_of(arguments.motion, captions_of):
        described += 1
        for sentence in captions:
            print(f"{path}: {sentence['generated_text']}" if len(arguments.motion) > 1 else sentence["generated_text"])
    return 0 if described == len(arguments.motion) else 2


def tokens(arguments: Namespace) -> int:
    """Print the motion tokens of files, one per line, or write the motion of tokens; 2 for a file that is none."""
    name = arguments.model or str(shipped_checkpoint("tm2t-vq"))
    model = load_whole(AutoModel, name)
    vq = getattr(model, "vq", model)
    if not hasattr(vq, "quantizer"):
        raise ValueError(f"--model {name} is of type {model.config.model_type}, which has no motion VQ.")
    extractor = load_processor(AutoFeatureExtractor, name)
    check_fits(model, extractor)
    tokenizer = load_processor(MotionTokenizer, name)
    if arguments.decode is not None:
        codes = tokenizer.text_to_codes(sys.stdin.read() if arguments.decode == "-" else arguments.decode)
        if not codes:
            raise ValueError("--decode has no motion token, such as <motion_17>.")
        with torch.no_grad():
            (joints,) = extractor.post_process(vq.decode(torch.tensor([codes])))
        save_motions([(1, PageMotion(joints, extractor.fps, skeleton=extractor.skeleton))], 1, arguments.output)
        return 0

    def text_of(path: str) -> str:
        motion = input_of_model(path, arguments, extractor.skeleton, extractor.fps)
        inputs = extractor(motion, return_tensors="pt")
        with torch.no_grad():
            return tokenizer.codes_to_text(vq.encode(**inputs).codes[0].tolist())

    shown = 0
    for _, path, text in each_of(arguments.motion, text_of):
        shown += 1
        print(f"{path}: {text}" if len(arguments.motion) > 1 else text)
    return 0 if shown == len(arguments.motion) else 2


def actions(arguments: Namespace) -> int:
    """Print a table of what a model can do, from the file `actions.json` next to its weights."""
    try:
        rows = read_actions(arguments.model or shipped_checkpoint("tm2t-t2m"))
    except ValueError as error:
        raise ValueError(f"--model {error}") from error
    name_width, prompt_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    for row in rows:
        clips = f"{row.clips:5} training clip{'s' * (row.clips != 1)}"
        print(f"{row.action:{name_width}}  {row.prompt:{prompt_width}}  {clips}")
    print("An action with a handful of training clips often comes out as another one.", file=sys.stderr)
    return 0


def run_quickstart(arguments: Namespace) -> int:
    """Make, draw and describe a handful of motions."""
    quickstart(arguments.output_dir, seed=arguments.seed)
    return 0
