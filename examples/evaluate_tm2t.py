# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
r"""Evaluate checkpoints on one split of a data folder, by the protocol that docs/evaluation.md writes down.

    python examples/evaluate_tm2t.py --vq tm2t-vq --m2t tm2t-m2t --t2m tm2t-t2m --matcher tm2t-matcher \
        --data_dir DATA --split test --labels bandai_namco --output_dir report

Any of the models may be left out, and with it the rows that need it. Writes `report.json`, `report.md` and pictures:

- motions as the matcher sees them: R-precision, FID, MM-Dist, Diversity, MultiModality;
- motions as people see them: foot sliding, ground penetration, and the errors of the VQ reconstruction;
- with `--labels NAME`, actions and styles of the joints, by the judge in the folder `examples/NAME`, which never saw
  features, codes or captions;
- captions of real motions, by motion-to-text, and of generated ones: BLEU, ROUGE-L, CIDEr, R-precision, and which
  action and style they name;
- with `--people FILE`, text to motion asked in people's sentences, by the judge; with `--unknown FILE`, how its score
  tells them from requests for what it never learned;
- with `--bodies FOLDER`, captions of the same motions on other bodies; with `--cmu FOLDER`, of CMU's recordings.

What is drawn (motions, groups, pairs) is drawn `--replications` times and reported as mean ± half width of the 95 %
interval. The replications of text-to-motion are kept in `output_dir/replications`: a run that was interrupted resumes
where it stopped, as long as arguments, data, checkpoints and code are the same.
"""

import hashlib
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import transformers
from evaluation.arguments import MODEL_TYPES, PROTOCOL, Arguments
from evaluation.bodies import PERFORMANCES, load_original_joints, performed
from evaluation.clips import Data, joints_of, load_data, module_of
from evaluation.models import (
    Checkpoint,
    caption_codes,
    caption_motions,
    check_checkpoints,
    embed_motions,
    embed_texts,
    generate,
    load_checkpoint,
    reconstruct,
)
from evaluation.people import (
    action_rows,
    judged,
    people_scores,
    read_requests,
    read_unknown,
    request_rows,
    request_scores,
    sentence_rows,
)
from evaluation.pictures import draw_pictures
from evaluation.recordings import load_recordings, recording_rows
from evaluation.report import write_into, write_report
from evaluation.scores import NOTHING, mistakes, replication_seed, shares, summarize, words_of
from tqdm.auto import tqdm
from transformers import HfArgumentParser, set_seed

import tm2t_hf
from tm2t_hf.files import written_beside
from tm2t_hf.metrics import bert_score, caption_scores, codebook_scores, joint_scores, motion_scores, retrieval
from tm2t_hf.training import run

OTHERS = 10  # replications that MultiModality compares each one with
NEEDS = {  # option -> those that it is of no use without
    "people": ("t2m", "labels"),
    "unknown": ("people",),
    "bodies": ("m2t", "labels"),
    "cmu": ("m2t", "labels"),
}


def main():
    """Evaluate and write the report."""
    (args,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    for page in args.write_into:
        if not Path(page).is_file():
            raise SystemExit(f"--write_into {page}: there is no such page.")
    for option, needed in NEEDS.items():
        if getattr(args, option) and (missing := [name for name in needed if not getattr(args, name)]):
            raise SystemExit(f"--{option} also needs --{' and --'.join(missing)}.")
    evaluation = Evaluation(args)
    evaluation.run()
    output_dir = Path(args.output_dir)
    write_report(output_dir, evaluation.report)
    for page in args.write_into:
        write_into(Path(page), evaluation.report)
    draw_pictures(output_dir, evaluation.report, evaluation.rows, evaluation.data.labels)
    print((output_dir / "report.md").read_text(encoding="utf-8"))


class Evaluation:
    """The models, the clips, what the matcher makes of them, and the report as it grows.

    `run` fills `report`, and `rows`: what `look_at` saw of the motions of each row, for the pictures.
    """

    def __init__(self, args: Arguments):
        self.args = args
        self.checkpoints = {
            role: load_checkpoint(role, getattr(args, role), args) for role in MODEL_TYPES if getattr(args, role)
        }
        check_checkpoints(self.checkpoints, args)
        self.vq, self.m2t, self.t2m, self.matcher = (self.checkpoints.get(role) for role in MODEL_TYPES)
        self.extractor = next(iter(self.checkpoints.values())).extractor
        self.data = load_data(args, self.extractor, grouped=self.matcher is not None)
        self.judge = module_of(args.labels, "judge").ActionStyleJudge.from_folder() if args.labels else None
        self.action_and_style = module_of(args.labels, "labels").action_and_style if args.labels else None
        self.requests = read_requests(args.people) if args.people else []
        self.unknown = read_unknown(args.unknown) if args.unknown else {}
        self.seeds = [replication_seed(args.seed, replication) for replication in range(args.replications)]
        self.report = describe_run(args, self.checkpoints, self.data)
        self.report |= {"matcher": {}, "motions": {}, "judge": {}, "captions": {}}
        self.rows: dict[str, list[dict]] = {}
        # Embeddings (clips, dim) of the first captions and of the real motions.
        self.texts = embed_texts(self.matcher, self.data.prompts(self.matcher), args) if self.matcher else None
        self.real = embed_motions(self.matcher, self.data.features, args) if self.matcher else None

    def run(self):
        """Fill the report."""
        self.evaluate_real_motions()
        if self.vq:
            self.evaluate_reconstruction()
        if self.m2t or self.matcher:
            self.evaluate_captions()
        if self.t2m:
            self.evaluate_generation()
        if self.args.people:
            self.evaluate_people()
        if self.args.bodies:
            self.evaluate_bodies()
        if self.args.cmu:
            self.evaluate_recordings()

    def evaluate_real_motions(self):
        """What real motions score: the best that can be expected."""
        self.add_motions("real motion", [self.look_at(self.data.joints, self.real)])

    def evaluate_reconstruction(self):
        """Motion -> codes -> motion."""
        codes, features = reconstruct(self.vq, self.data.features, self.args)
        scores = codebook_scores(codes, self.vq.model.config.codebook_size)
        seen = self.look_at_features(features, self.data.joints)
        self.add_motions("VQ reconstruction", [seen], **scores)

    def evaluate_captions(self):
        """Motion -> caption, and what one human caption scores against the others of its clip."""
        references = self.data.references(self.m2t)
        others = [captions[1:] for captions in references] if min(map(len, references)) > 1 else None
        if others:
            name = "first real caption, against the others"
            self.add_captions(name, [[captions[0] for captions in references]], others)
            if self.matcher:
                self.add_retrieval(name, self.texts)
        if self.m2t:
            written = caption_motions(self.m2t, self.data.features, self.args)
            if others:
                self.add_captions("motion to text, against the same", [written], others)
            self.add_captions("motion to text", [written], references)
            if self.matcher:
                self.add_retrieval("motion to text", embed_texts(self.matcher, written, self.args))

    def evaluate_generation(self):
        """Caption -> motion, and back to a caption."""
        folder = Path(self.args.output_dir) / "replications"
        key = run_key(self.report, self.args)
        replications = []
        for seed in tqdm(self.seeds, desc="text to motion, replications"):
            replications.append(remember(folder / f"{key}-{seed}.npz", partial(self.sample, seed)))
        self.add_motions("text to motion", replications)
        if self.m2t:
            back = [seen["captions"].tolist() for seen in replications]
            self.add_captions("text to motion, captioned back", back, self.data.references(self.m2t))
        self.report["generation_config"] = self.t2m.model.generation_config.to_diff_dict()

    def evaluate_people(self):
        """People's sentences -> motions, by the judge; and the scores of these and of requests never learned."""
        if self.unknown:
            self.evaluate_requests()
        requests = judged(self.requests, self.judge.actions)
        if not requests:
            raise SystemExit(f"--people {self.args.people}: the judge of --labels knows none of its actions.")
        sentences = [request.sentence for request in requests]
        folder = Path(self.args.output_dir) / "replications"
        key = run_key(self.report, self.args, sentences)
        replications = []
        for seed in tqdm(self.seeds, desc="people's sentences, replications"):
            seen = remember(folder / f"people-{key}-{seed}.npz", partial(self.sample_verdicts, sentences, seed))
            replications.append(seen["verdicts"].tolist())
        scores = summarize([people_scores(verdicts, requests) for verdicts in replications])
        styled = [request for request in requests if request.style]
        counts = {"sentences": len(requests), "styled_sentences": len(styled)}
        self.report["people"] = {"text to motion": counts | scores}
        self.report["people_actions"] = action_rows(replications, requests)
        self.report["people_sentences"] = sentence_rows(replications, requests)

    def evaluate_requests(self):
        """How well the score of text to motion tells people's sentences from requests never learned."""
        sentences = [request.sentence for request in self.requests] + list(self.unknown)
        scored = request_scores(self.t2m, sentences, self.args.device)
        if scored is None:
            raise SystemExit(f"--unknown: {self.t2m.name} has no scores for requests (no coverage.safetensors).")
        scores, threshold = scored
        self.report["request_scores"] = dict(zip(sentences, scores, strict=True))
        self.report["requests"] = request_rows(self.report["request_scores"], self.unknown, threshold)

    def evaluate_bodies(self):
        """The clips on other bodies -> captions, by the action and the style that these name."""
        skeleton = self.data.skeleton
        joints = load_original_joints(self.args.bodies, self.data.ids, skeleton)
        self.report["bodies"] = {}
        for index, (name, how) in enumerate(tqdm(PERFORMANCES.items(), desc="bodies")):
            rng = np.random.default_rng((self.args.seed, index))
            motions = [performed(motion, how, skeleton, rng) for motion in joints]
            found = list(map(self.action_and_style, caption_motions(self.m2t, motions, self.args)))
            wrong = mistakes([found], self.data.labels)
            self.report["bodies"][name] = summarize([shares(found, self.data.labels)]) | {"mistakes": wrong}

    def evaluate_recordings(self):
        """CMU's recordings -> captions, next to people's."""
        recordings = load_recordings(self.args.cmu, self.action_and_style)
        captions = caption_motions(self.m2t, [recording.joints for recording in recordings], self.args)
        self.report["recordings"] = recording_rows(recordings, captions, self.action_and_style)

    def sample_verdicts(self, sentences: list[str], seed: int) -> dict[str, np.ndarray]:
        """What the judge sees in a motion for each sentence."""
        set_seed(seed)
        features = [motion for _, motion in generate(self.t2m, sentences, self.args)]
        return {"verdicts": self.verdicts(joints_of(features, self.data.skeleton))}

    def sample(self, seed: int) -> dict[str, np.ndarray]:
        """One replication of text-to-motion."""
        set_seed(seed)
        codes, features = zip(*generate(self.t2m, self.data.prompts(self.t2m), self.args), strict=True)
        seen = self.look_at_features(list(features))
        if self.m2t:
            seen["captions"] = np.array(caption_codes(self.m2t, codes, self.args))
        return seen

    def look_at_features(self, features: list, references: list | None = None) -> dict[str, np.ndarray]:
        """`look_at` for features (frames, features), not normalized, of one motion per clip."""
        embeddings = embed_motions(self.matcher, features, self.args) if self.matcher else None
        return self.look_at(joints_of(features, self.data.skeleton), embeddings, references)

    def look_at(
        self, joints: list[np.ndarray], embeddings: np.ndarray | None, references: list | None = None
    ) -> dict[str, np.ndarray]:
        """What the tables need to know of one motion per clip: joints (frames, joints, 3), maybe without a frame."""
        shown = [motion for motion in joints if len(motion)]
        seen = {"seconds": np.mean([len(motion) for motion in joints]) / self.data.skeleton.fps}
        seen |= {"empty": len(joints) - len(shown)} | joint_scores(shown, self.data.skeleton, references)
        if self.judge:
            seen["verdicts"] = self.verdicts(joints)
        if embeddings is not None:
            seen["embeddings"] = embeddings
        return {name: np.asarray(value) for name, value in seen.items()}

    def verdicts(self, joints: list[np.ndarray]) -> np.ndarray:
        """Action and style (motions, 2) that the judge sees in joints (frames, joints, 3), maybe without a frame."""
        verdicts = iter(self.judge.judge([motion for motion in joints if len(motion)], self.args.batch_size))
        return np.array([next(verdicts) if len(motion) else NOTHING for motion in joints])

    def add_motions(self, name: str, replications: list[dict], **scores):
        """A row in the tables of motions, of what `look_at` saw, once or in every replication."""
        self.rows[name] = replications
        quality = [{key: value for key, value in seen.items() if value.ndim == 0} for seen in replications]
        self.report["motions"][name] = summarize(quality) | scores
        if self.judge:
            verdicts = [seen["verdicts"].tolist() for seen in replications]
            self.report["judge"][name] = summarize([shares(found, self.data.labels) for found in verdicts])
            self.report["judge"][name]["mistakes"] = mistakes(verdicts, self.data.labels)
        if self.matcher:
            embeddings = [seen["embeddings"] for seen in replications]
            self.report["matcher"][name] = summarize(self.matcher_scores(embeddings, name))

    def matcher_scores(self, motions: list[np.ndarray], name: str) -> list[dict[str, float]]:
        """Of the embeddings (clips, dim) of one row, once or in every replication."""
        reference = None if name == "real motion" else self.real
        scores = []
        for replication, seed in enumerate(self.seeds):
            own = motions[replication % len(motions)]
            scores.append(motion_scores(own, self.texts, reference, seed=seed))
            others = [motions[(replication + step) % len(motions)] for step in range(1, min(OTHERS + 1, len(motions)))]
            if others:
                scores[-1]["multimodality"] = np.linalg.norm(np.array(others) - own, axis=-1).mean()
        return scores

    def add_captions(self, name: str, replications: list[list[str]], references: list[list[str]]):
        """A row in the table of captions, one caption per clip."""
        scores = []
        for captions in replications:
            scores.append(caption_scores(map(words_of, captions), references))
            if self.args.bert_score:
                scores[-1]["bert_score"] = bert_score(captions, references, self.args.bert_score)
            if self.data.labels:
                scores[-1] |= shares([self.action_and_style(caption) for caption in captions], self.data.labels)
        self.report["captions"][name] = summarize(scores)

    def add_retrieval(self, name: str, found: np.ndarray):
        """How well real motions find their captions, given as embeddings (clips, dim)."""
        scores = []
        for seed in self.seeds:
            order = np.random.default_rng(seed).permutation(len(found))
            precision, distance = retrieval(self.real[order], found[order])
            scores.append({f"r_precision{k}": value for k, value in enumerate(precision, 1)} | {"mm_dist": distance})
        self.report["captions"][name] |= summarize(scores)


def describe_run(args: Arguments, checkpoints: dict[str, Checkpoint], data: Data) -> dict:
    """What made the report, free of what differs between machines and folders."""
    contents = hashlib.sha256()
    for features, captions in zip(data.features, data.captions, strict=True):
        contents.update(features.tobytes() + repr(captions).encode())
    return {
        "protocol": args.protocol,
        "deviations": {name: getattr(args, name) for name in PROTOCOL if getattr(args, name) != PROTOCOL[name]},
        "data": {"name": Path(args.data_dir).absolute().name, "split": args.split, "clips": len(data.features)}
        | {"sha256": contents.hexdigest()},
        "checkpoints": {role: {"name": each.name, "sha256": each.digest} for role, each in checkpoints.items()},
        "sentences": {
            name: {"name": Path(path).name, "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}
            for name, path in (("people", args.people), ("unknown", args.unknown))
            if path
        },
        "seed": args.seed,
        **{name: getattr(args, name) for name in PROTOCOL},
        "device": torch.device(args.device).type,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tm2t_hf": tm2t_hf.__version__,
        },
    }


def run_key(description: dict, args: Arguments, sentences: list[str] = ()) -> str:
    """Names everything that a replication depends on but its seed; `sentences` replace the clips' captions."""
    key = hashlib.sha256(repr(sentences).encode())
    for name in ("protocol", "data", "checkpoints", "num_beams", "batch_size", "int8", "device", "versions"):
        key.update(repr(description[name]).encode())
    for folder in (Path(tm2t_hf.__file__).parent, Path(__file__).parent):
        for path in sorted(folder.rglob("*.py")):
            key.update(path.read_bytes())
    return key.hexdigest()[:16]


def remember(path: Path, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What was computed before, from its file, or computed now and written there."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(path) as part, part.open("wb") as file:
            np.savez(file, **compute())
    with np.load(path, allow_pickle=False) as saved:
        return dict(saved)


if __name__ == "__main__":
    run(main)
