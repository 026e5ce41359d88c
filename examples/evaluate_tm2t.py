# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
r"""Evaluate checkpoints on one split of a data folder, by the protocol that docs/evaluation.md writes down.

    python examples/evaluate_tm2t.py --vq tm2t-vq --m2t tm2t-m2t --t2m tm2t-t2m --matcher tm2t-matcher \
        --data_dir DATA --split test --labels bandai_namco --protocol tm2t-v1 --output_dir report

Any of the models may be left out, and with it the rows that need it. Writes `report.json`, `report.md` and pictures:

- motions as the matcher sees them: R-precision, FID, MM-Dist, Diversity, MultiModality;
- motions as people see them: foot sliding, ground penetration, and the errors of the VQ reconstruction;
- with `--labels NAME`, actions and styles of the joints, by the judge in the folder `examples/NAME`, which never saw
  features, codes or captions;
- captions of real motions, by motion-to-text, and of generated ones: BLEU, ROUGE-L, CIDEr, R-precision, and which
  action and style they name.

What is drawn (motions, groups, pairs) is drawn `--replications` times and reported as mean ± half width of the 95 %
interval. The replications of text-to-motion are kept in `output_dir/replications`: a run that was interrupted resumes
where it stopped, as long as arguments, data, checkpoints and code are the same.
"""

import hashlib
import importlib
import platform
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import transformers
from report import draw_pictures, write_into, write_report
from torch.nn.utils.rnn import pad_sequence
from tqdm.auto import tqdm
from transformers import AutoModel, AutoProcessor, HfArgumentParser, set_seed

import tm2t_hf
from tm2t_hf import MotionFeatureExtractor, Skeleton, WordTokenizer, features_to_joints
from tm2t_hf.data import load_motion_dataset
from tm2t_hf.files import written_beside
from tm2t_hf.loading import check_fits, load_processor, load_whole, model_folder
from tm2t_hf.metrics import (
    GROUP_SIZE,
    bert_score,
    caption_scores,
    codebook_scores,
    confidence_interval,
    joint_scores,
    motion_scores,
    retrieval,
)
from tm2t_hf.vocabulary import codes_to_ids, ids_to_codes

MODEL_TYPES = {
    "vq": "tm2t-vq",
    "m2t": "tm2t-m2t",
    "t2m": "tm2t-t2m",
    "matcher": "tm2t-matcher",
}
PROTOCOL = {"replications": 20, "num_beams": 2, "batch_size": 128}
OTHERS = 10  # replications that MultiModality compares each one with
NOTHING = ("none", "none")  # action and style of a motion without a frame


@dataclass
class Arguments:
    """What the command line takes."""

    data_dir: str = field(metadata={"help": "Folder in the HumanML3D layout, prepared by `tm2t-hf prepare`."})
    output_dir: str = field(metadata={"help": "Where the report is written and replications are kept."})
    vq: str | None = field(default=None, metadata={"help": "Folder or Hub id of a motion VQ."})
    m2t: str | None = field(default=None, metadata={"help": "Folder or Hub id of a motion-to-text model."})
    t2m: str | None = field(default=None, metadata={"help": "Folder or Hub id of a text-to-motion model."})
    matcher: str | None = field(default=None, metadata={"help": "Folder or Hub id of a text-motion matcher."})
    split: str = field(default="test", metadata={"help": "Name of the split file."})
    labels: str | None = field(
        default=None,
        metadata={"help": "Folder in examples/ with labels.py and judge.py, which know actions and styles."},
    )
    protocol: Literal["tm2t-v1"] = field(default="tm2t-v1", metadata={"help": "What docs/evaluation.md writes down."})
    replications: int = field(default=PROTOCOL["replications"], metadata={"help": "How often everything is drawn."})
    num_beams: int = field(default=PROTOCOL["num_beams"], metadata={"help": "Beams of motion-to-text."})
    batch_size: int = field(
        default=PROTOCOL["batch_size"], metadata={"help": "Clips per batch; samples depend on it."}
    )
    seed: int = field(default=0, metadata={"help": "Seed of everything that is drawn."})
    bert_score: str | None = field(
        default=None, metadata={"help": "Encoder for BERTScore of captions, such as roberta-large; needs bert-score."}
    )
    write_into: list[str] = field(
        default_factory=list, metadata={"help": "Pages, such as model cards, that also get the tables."}
    )
    device: str = field(default="cuda" if torch.cuda.is_available() else "cpu")


def main():
    """Evaluate and write the report."""
    (args,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    for page in args.write_into:
        if not Path(page).is_file():
            raise SystemExit(f"--write_into {page}: there is no such page.")
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

    def __init__(self, args: "Arguments"):
        self.args = args
        self.checkpoints = {
            role: load_checkpoint(role, getattr(args, role), args.device)
            for role in MODEL_TYPES
            if getattr(args, role)
        }
        check_checkpoints(self.checkpoints, args)
        self.vq, self.m2t, self.t2m, self.matcher = (self.checkpoints.get(role) for role in MODEL_TYPES)
        self.extractor = next(iter(self.checkpoints.values())).extractor
        self.data = load_data(args, self.extractor, grouped=self.matcher is not None)
        self.judge = module_of(args.labels, "judge").ActionStyleJudge.from_folder() if args.labels else None
        self.action_and_style = module_of(args.labels, "labels").action_and_style if args.labels else None
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
            verdicts = iter(self.judge.judge(shown, self.args.batch_size))
            seen["verdicts"] = np.array([next(verdicts) if len(motion) else NOTHING for motion in joints])
        if embeddings is not None:
            seen["embeddings"] = embeddings
        return {name: np.asarray(value) for name, value in seen.items()}

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


# Checkpoints and data.


@dataclass
class Checkpoint:
    """A model with its processor, and the digest of its files."""

    name: str
    digest: str
    model: Any
    processor: Any

    @property
    def extractor(self) -> MotionFeatureExtractor:
        """The feature extractor in its processor."""
        return getattr(self.processor, "feature_extractor", self.processor)

    @property
    def knows_lemmas_only(self) -> bool:
        """Converted from the authors' checkpoints: its vocabulary is that of the `lemma/POS` tokens."""
        return isinstance(getattr(self.processor, "tokenizer", None), WordTokenizer)


def load_checkpoint(role: str, name: str, device: str) -> Checkpoint:
    """Load one model; another type than the role needs ends the program."""
    try:
        folder = model_folder(name)
        model = load_whole(AutoModel, folder).to(device).eval()
        processor = load_processor(MotionFeatureExtractor if role == "vq" else AutoProcessor, folder)
        found = model.config.model_type
        if found != MODEL_TYPES[role]:
            raise SystemExit(f"--{role} {name} is a model of type {found}; {MODEL_TYPES[role]} is needed.")
        check_fits(model, processor)
    except (OSError, ValueError) as error:
        raise SystemExit(f"--{role} {name}: {error}") from error
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.safetensors"), *folder.glob("motion_tokenizer/*")]):
        digest.update(path.name.encode() + path.read_bytes())
    return Checkpoint(folder.absolute().name if Path(name).is_dir() else name, digest.hexdigest(), model, processor)


def check_checkpoints(checkpoints: dict[str, Checkpoint], args: Arguments):
    """End the program unless the models can be used together."""
    if not checkpoints:
        raise SystemExit("There is nothing to evaluate: give --vq, --m2t, --t2m or --matcher.")
    first, *others = checkpoints.values()
    for other in others:
        if (other.extractor.skeleton, other.extractor.fps) != (first.extractor.skeleton, first.extractor.fps):
            raise SystemExit(f"{first.name} and {other.name} are models of different skeletons or frame rates.")
    if "m2t" in checkpoints and "t2m" in checkpoints:
        books = [checkpoints[role].model.vq.quantizer.embedding.weight for role in ("m2t", "t2m")]
        if books[0].shape != books[1].shape or not torch.equal(*books):
            raise SystemExit(
                f"{args.m2t} and {args.t2m} carry different motion VQs: the one cannot read the other's tokens."
            )


@dataclass
class Data:
    """One split; every list has one item per clip."""

    skeleton: Skeleton
    features: list[np.ndarray]
    joints: list[np.ndarray]
    captions: list[list[str]]
    tokens: list[list[str]]
    labels: list[tuple[str, str]] | None

    def prompts(self, checkpoint: Checkpoint) -> list[str]:
        """The first caption of every clip."""
        return [texts[0] for texts in (self.tokens if checkpoint.knows_lemmas_only else self.captions)]

    def references(self, m2t: Checkpoint | None) -> list[list[str]]:
        """All captions of every clip, in the words that the motion-to-text model can write."""
        if m2t and m2t.knows_lemmas_only:
            return [[" ".join(re.findall(r"(\S+)/[A-Z]+", tokens)) for tokens in texts] for texts in self.tokens]
        return [list(map(words_of, texts)) for texts in self.captions]


def load_data(args: Arguments, extractor: MotionFeatureExtractor, grouped: bool) -> Data:
    """One split of the data folder, in full."""
    skeleton = extractor.skeleton
    rows = load_motion_dataset(args.data_dir, args.split, skeleton)
    if grouped and len(rows) < GROUP_SIZE:
        raise SystemExit(
            f"The {args.split} split has {len(rows)} clips, and a matcher asks in groups of {GROUP_SIZE}: leave out "
            "--matcher, or give a larger split."
        )
    features = [row["features"] for row in rows]
    labels = None
    if args.labels:
        try:
            labels = list(map(module_of(args.labels, "labels").action_and_style_of_clip, rows["id"]))
        except ValueError as error:
            raise SystemExit(f"--labels {args.labels} does not fit {args.data_dir}: {error}") from error
    return Data(skeleton, features, joints_of(features, skeleton), rows["captions"][:], rows["tokens"][:], labels)


def joints_of(features: Sequence, skeleton: Skeleton) -> list[np.ndarray]:
    """Joints (frames, joints, 3) float32 in meters of features (frames, features), not normalized; maybe no frame."""
    joints = []
    for motion in features:
        motion = torch.as_tensor(motion)
        empty = motion.new_zeros(0, skeleton.num_joints, 3)
        found = features_to_joints(motion, skeleton.num_joints) if len(motion) else empty
        joints.append((found * skeleton.metres_per_unit).numpy())
    return joints


def module_of(data_set: str, name: str):
    """`labels` or `judge` of a folder in `examples/`."""
    try:
        return importlib.import_module(f"{data_set}.{name}")
    except ModuleNotFoundError as error:
        raise SystemExit(f"--labels {data_set}: there is no {Path(__file__).parent / data_set / name}.py.") from error


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


def replication_seed(seed: int, replication: int) -> int:
    """Far apart for any two pairs: seed 1 must not begin with the second replication of seed 0."""
    return int(np.random.SeedSequence((seed, replication)).generate_state(1)[0])


def run_key(description: dict, args: Arguments) -> str:
    """Names everything that a replication depends on but its seed."""
    key = hashlib.sha256()
    for name in ("protocol", "data", "checkpoints", "num_beams", "batch_size", "device", "versions"):
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


# What the models do. All batches are of similar lengths, which saves most of the padding.


def by_length(items: Sequence, compute: Callable[[list], Sequence], name: str, batch_size: int) -> list:
    """`compute` gives a result for each item of a batch; all results, in the order of the items."""
    order = sorted(range(len(items)), key=lambda i: len(items[i]))
    results = [None] * len(items)
    for start in tqdm(range(0, len(order), batch_size), desc=name, leave=False):
        chosen = order[start : start + batch_size]
        for i, result in zip(chosen, compute([items[i] for i in chosen]), strict=True):
            results[i] = result
    return results


@torch.no_grad()
def embed_texts(matcher: Checkpoint, captions: list[str], args: Arguments) -> np.ndarray:
    """(captions, dim); a generated caption may have no word."""

    def compute(batch):
        inputs = matcher.processor.tokenizer(batch, padding=True, return_token_type_ids=False, return_tensors="pt").to(
            args.device
        )
        return matcher.model.get_text_embeddings(**inputs).cpu().numpy()

    return np.array(by_length(captions, compute, "texts to the matcher", args.batch_size))


@torch.no_grad()
def embed_motions(matcher: Checkpoint, features: Sequence, args: Arguments) -> np.ndarray:
    """(motions, dim) of features in the units of the data, cut to whole movements."""
    extractor, unit_length = matcher.extractor, matcher.model.config.unit_length
    # a motion that ends before its first movement does stands still for the rest of it, in the mean pose
    still = np.tile(np.asarray(extractor.mean, np.float32), (unit_length, 1))
    whole = []
    for motion in features:
        motion = np.asarray(torch.as_tensor(motion).cpu())
        cut = motion[: len(motion) // unit_length * unit_length]
        whole.append(cut if len(cut) else np.concatenate([motion, still])[:unit_length])

    def compute(batch):
        inputs = extractor(batch, return_tensors="pt").to(args.device)
        return matcher.model.get_motion_embeddings(**inputs).cpu().numpy()

    return np.array(by_length(whole, compute, "motions to the matcher", args.batch_size))


@torch.no_grad()
def reconstruct(vq: Checkpoint, features: Sequence[np.ndarray], args: Arguments) -> tuple[list, list]:
    """Codes (tokens,) and features (frames, features), not normalized, of every motion."""
    unit_length = vq.model.config.unit_length

    def compute(batch):
        inputs = vq.extractor(batch, return_tensors="pt").to(args.device)
        encoded = vq.model.encode(**inputs)
        values = vq.model.decode(**encoded)  # (batch, tokens * unit_length, features)
        features = vq.extractor.denormalize(values.cpu())
        cut = zip(encoded.codes.cpu(), features, encoded.attention_mask.sum(-1).tolist(), strict=True)
        return [(own[:length], motion[: length * unit_length]) for own, motion, length in cut]

    codes, values = zip(*by_length(features, compute, "VQ reconstruction", args.batch_size), strict=True)
    return list(codes), list(values)


def caption_motions(m2t: Checkpoint, features: Sequence[np.ndarray], args: Arguments) -> list[str]:
    """One caption per motion."""

    def compute(batch):
        inputs = m2t.processor(motion=batch, return_tensors="pt").to(args.device)
        ids = m2t.model.generate(**inputs, num_beams=args.num_beams, do_sample=False)
        return m2t.processor.batch_decode(ids, skip_special_tokens=True)

    return by_length(features, compute, "motion to text", args.batch_size)


def caption_codes(m2t: Checkpoint, codes: Sequence[torch.Tensor], args: Arguments) -> list[str]:
    """Captions of code sequences; nothing for a sequence without codes."""

    def compute(batch):
        lengths = torch.tensor([len(sequence) for sequence in batch])
        padded = pad_sequence(list(batch), batch_first=True).to(args.device)  # (batch, tokens)
        mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long().to(args.device)
        ids, mask = codes_to_ids(padded, mask, m2t.model.config.vq_config)
        written = m2t.model.generate(input_ids=ids, attention_mask=mask, num_beams=args.num_beams, do_sample=False)
        return m2t.processor.batch_decode(written, skip_special_tokens=True)

    there = [i for i, sequence in enumerate(codes) if len(sequence)]
    captions = [""] * len(codes)
    written = by_length([codes[i] for i in there], compute, "captioned back", args.batch_size)
    for i, caption in zip(there, written, strict=True):
        captions[i] = caption
    return captions


def generate(t2m: Checkpoint, captions: list[str], args: Arguments) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Codes (tokens,) and features (frames, features), not normalized, of a motion per caption; both may be empty."""

    def compute(batch):
        inputs = t2m.processor(text=batch, return_tensors="pt").to(args.device)
        ids = t2m.model.generate(**inputs)
        codes = ids_to_codes(ids, t2m.model.config.vq_config)
        values = t2m.model.decode_motion(ids)
        denormalize = t2m.extractor.denormalize
        return [(own.cpu(), denormalize(motion.cpu())) for own, motion in zip(codes, values, strict=True)]

    return by_length(captions, compute, "captions to motions", args.batch_size)


# Scores.


def words_of(caption: str) -> str:
    """What captions are compared in: words of letters, digits and apostrophes, in lower case."""
    return " ".join(re.findall(r"[^\W_]+(?:'[^\W_]+)*", caption.lower()))


def shares(found: Sequence, labels: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Share of right actions, of right styles, and of both at once."""
    right = np.array(
        [[pair[0] == wanted[0], pair[1] == wanted[1]] for pair, wanted in zip(found, labels, strict=True)]
    )
    return {"action": right[:, 0].mean(), "style": right[:, 1].mean(), "both": right.all(1).mean()}


def mistakes(replications: Sequence, labels: Sequence[tuple[str, str]]) -> dict[str, int]:
    """`{"walk -> run": how often}`, the most frequent first, for actions and for styles."""
    counts = Counter()
    for verdicts in replications:
        for verdict, wanted in zip(verdicts, labels, strict=True):
            counts.update(f"{w} -> {v}" for w, v in zip(wanted, verdict, strict=True) if v != w)
    return dict(counts.most_common())


def summarize(replications: list[dict[str, float]]) -> dict[str, float | list[float]]:
    """Scores of one replication as they are; of several as [mean, half width of the 95 % interval]."""
    if len(replications) == 1:
        return {name: float(value) for name, value in replications[0].items()}
    means, widths = confidence_interval([list(scores.values()) for scores in replications])
    return {name: [float(m), float(w)] for name, m, w in zip(replications[0], means, widths, strict=True)}


if __name__ == "__main__":
    main()
