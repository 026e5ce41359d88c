# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Evaluate checkpoints on one split of a data folder: reconstruction, captions, and motions judged by their joints.

    python examples/evaluate_tm2t.py --vq tm2t-vq --m2t tm2t-m2t --t2m tm2t-t2m --data_dir DATA --output_dir report

Any of the three models may be left out. Writes `report.json` and `report.md`, with the real motions as first row:

- motions: error of the VQ reconstruction against the real motions, foot sliding, ground penetration;
- actions and styles: of the joints, by the judge of `judge.py`, which never saw features, codes or captions; where
  clip ids name them, as in the Bandai-Namco data;
- captions: which action and style they name, and BLEU, ROUGE-L, CIDEr, for real motions captioned by motion-to-text
  and for generated motions captioned back.

Text-to-motion samples the first caption of every clip as the checkpoint's generation config says, `--replications`
times, and is reported as mean ± half width of the 95 % interval. A generation without a single token has the wrong
action and style; the report counts these.
"""

import json
import os
import platform
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import transformers
from judge import ActionStyleJudge
from tqdm.auto import tqdm
from transformers import AutoModel, AutoModelForSeq2SeqLM, HfArgumentParser, set_seed

from tm2t_hf import MotionFeatureExtractor, TM2TProcessor
from tm2t_hf.data import load_motion_dataset
from tm2t_hf.labels import action_and_style, action_and_style_of_clip
from tm2t_hf.metrics import caption_scores, codebook_scores, confidence_interval, joint_scores
from tm2t_hf.modeling_motion_vq import codes_to_ids, ids_to_codes
from tm2t_hf.motion import HUMANML3D, Skeleton


@dataclass
class Arguments:
    data_dir: str = field(metadata={"help": "Folder in the HumanML3D layout, made ready by `tm2t-hf prepare`."})
    output_dir: str = field(metadata={"help": "Where report.json and report.md are written."})
    vq: str | None = field(default=None, metadata={"help": "Folder or Hub id of a motion VQ."})
    m2t: str | None = field(default=None, metadata={"help": "Folder or Hub id of a motion-to-text model."})
    t2m: str | None = field(default=None, metadata={"help": "Folder or Hub id of a text-to-motion model."})
    split: str = field(default="test", metadata={"help": "Name of the split file."})
    num_beams: int = field(default=2, metadata={"help": "Beams of motion-to-text, 2 as in the paper."})
    replications: int = field(default=20, metadata={"help": "How often text-to-motion is sampled."})
    batch_size: int = field(default=32, metadata={"help": "Clips a batch."})
    seed: int = field(default=0, metadata={"help": "Replication i is sampled with this seed + i."})
    device: str = field(default="cuda" if torch.cuda.is_available() else "cpu")


def main():
    (args,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    if not (args.vq or args.m2t or args.t2m):
        raise SystemExit("There is nothing to evaluate: give --vq, --m2t or --t2m.")
    vq = m2t = t2m = None
    if args.vq:
        vq = AutoModel.from_pretrained(args.vq).to(args.device).eval()
        extractor = MotionFeatureExtractor.from_pretrained(args.vq)
    if args.m2t:
        m2t = AutoModelForSeq2SeqLM.from_pretrained(args.m2t).to(args.device).eval()
        m2t_processor = TM2TProcessor.from_pretrained(args.m2t)
        extractor = m2t_processor.feature_extractor
    if args.t2m:
        t2m = AutoModelForSeq2SeqLM.from_pretrained(args.t2m).to(args.device).eval()
        t2m_processor = TM2TProcessor.from_pretrained(args.t2m)
        extractor = t2m_processor.feature_extractor
    if m2t and t2m and not same_codebook(m2t.vq, t2m.vq):
        raise SystemExit(
            f"{args.m2t} and {args.t2m} carry different motion VQs: the one cannot read the other's tokens."
        )

    skeleton = Skeleton.from_dict(extractor.skeleton)
    rows = load_motion_dataset(args.data_dir, args.split, skeleton)
    clip_ids, captions = rows["id"][:], [list(texts) for texts in rows["captions"]]
    features = [row["features"] for row in rows]
    joints = extractor.post_process(**extractor(features))
    labels = labels_of(clip_ids) if skeleton == HUMANML3D else None
    judge = ActionStyleJudge.from_folder() if labels else None
    report = {"arguments": asdict(args), "clips": len(clip_ids), "versions": versions(), "motions": {}, "captions": {}}
    if labels:
        report["judge"] = {}

    def add_motions(name, motions, references=None, **scores):
        """Rows of a list of motions, (0, joints, 3) where there is none; `motions` is a list a replication."""
        quality, verdict = [], []
        for replication in motions:
            shown = [motion for motion in replication if len(motion)]
            quality.append(joint_scores(shown, skeleton, references))
            if labels:
                verdicts = iter(judge.judge(shown, args.batch_size))
                verdict.append([next(verdicts) if len(motion) else (None, None) for motion in replication])
        report["motions"][name] = scores | summarize(quality)
        if labels:
            report["judge"][name] = summarize([shares(found, labels) for found in verdict])
            report["judge"][name]["mistakes"] = mistakes(verdict, labels)

    def add_captions(name, predictions):
        """A row of captions, a list a replication."""
        scores = []
        for replication in predictions:
            scores.append(caption_scores(replication, captions))
            if labels:
                scores[-1] = shares([action_and_style(caption) for caption in replication], labels) | scores[-1]
        report["captions"][name] = summarize(scores)

    # Real motions, and what one human caption scores against the others of its clip.
    add_motions("real motion", [joints])
    if all(len(texts) > 1 for texts in captions):
        first, others = [texts[0] for texts in captions], [texts[1:] for texts in captions]
        report["captions"]["first real caption against the others"] = caption_scores(first, others)

    # Motion -> codes -> motion.
    if vq:
        reconstructions, codes = [], []
        for start in progress(len(rows), args.batch_size, "VQ reconstruction"):
            batch = extractor(features[start : start + args.batch_size], return_tensors="pt").to(args.device)
            with torch.no_grad():
                batch_codes = vq.encode(**batch)  # (batch, tokens)
                lengths = batch["attention_mask"].sum(-1, keepdim=True) // vq.config.unit_length
                mask = (torch.arange(batch_codes.shape[1], device=args.device) < lengths).long()
                decoded = vq.decode(batch_codes, mask)  # (batch, tokens * unit_length, features)
            frame_mask = mask.repeat_interleave(vq.config.unit_length, 1)
            reconstructions += extractor.post_process(decoded, frame_mask)
            codes += [row[kept].cpu() for row, kept in zip(batch_codes, mask.bool(), strict=True)]
        add_motions("VQ reconstruction", [reconstructions], joints, **codebook_scores(codes, vq.config.codebook_size))

    # Motion -> caption.
    if m2t:
        written = []
        for start in progress(len(rows), args.batch_size, "motion to text"):
            batch = m2t_processor(motion=features[start : start + args.batch_size], return_tensors="pt").to(
                args.device
            )
            ids = m2t.generate(**batch, num_beams=args.num_beams, do_sample=False)
            written += m2t_processor.batch_decode(ids, skip_special_tokens=True)
        add_captions("motion to text", [written])

    # Caption -> motion, and back to a caption.
    if t2m:
        generated, captioned_back, empty = [], [], []
        for replication in range(args.replications):
            set_seed(args.seed + replication)
            motions, back = [], []
            name = f"text to motion {replication + 1}/{args.replications}"
            for start in progress(len(rows), args.batch_size, name):
                texts = [texts[0] for texts in captions[start : start + args.batch_size]]
                ids = t2m.generate(**t2m_processor(text=texts, return_tensors="pt").to(args.device))
                motions += t2m_processor.post_process(t2m.decode_motion(ids))
                if m2t:
                    back += caption_codes(m2t, m2t_processor, ids_to_codes(ids, t2m.config.vq_config), args.num_beams)
            generated.append(motions)
            captioned_back.append(back)
            empty.append({"empty": sum(not len(motion) for motion in motions)})
        add_motions("text to motion", generated, **summarize(empty))
        if m2t:
            add_captions("text to motion, captioned back", captioned_back)
        report["generation_config"] = t2m.generation_config.to_diff_dict()

    write_report(Path(args.output_dir), report)
    print((Path(args.output_dir) / "report.md").read_text())


def same_codebook(vq, other):
    codebooks = [model.quantizer.embedding.weight for model in (vq, other)]
    return codebooks[0].shape == codebooks[1].shape and torch.equal(*codebooks)


def labels_of(clip_ids):
    """(action, style) of every clip, or None where the ids do not name them."""
    try:
        return [action_and_style_of_clip(clip_id) for clip_id in clip_ids]
    except ValueError:
        return None


def caption_codes(m2t, processor, codes, num_beams):
    """Captions of a list of code sequences; an empty one for a sequence without codes."""
    there = [i for i, sequence in enumerate(codes) if len(sequence)]
    captions = [""] * len(codes)
    if there:
        padded = torch.nn.utils.rnn.pad_sequence([codes[i] for i in there], batch_first=True)  # (batch, tokens)
        lengths = torch.tensor([len(codes[i]) for i in there], device=padded.device)
        mask = (torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]).long()
        ids, mask = codes_to_ids(padded, mask, m2t.config.vq_config)
        written = m2t.generate(input_ids=ids, attention_mask=mask, num_beams=num_beams, do_sample=False)
        for i, caption in zip(there, processor.batch_decode(written, skip_special_tokens=True), strict=True):
            captions[i] = caption
    return captions


def shares(found, labels):
    """Share of right actions, of right styles, and of both at once."""
    right = np.array(
        [[pair[0] == wanted[0], pair[1] == wanted[1]] for pair, wanted in zip(found, labels, strict=True)]
    )
    return {"action": right[:, 0].mean(), "style": right[:, 1].mean(), "both": right.all(1).mean()}


def mistakes(replications, labels):
    """`{"walk -> run": how often}`, the most frequent first, for actions and for styles."""
    counts = Counter()
    for verdicts in replications:
        for verdict, wanted in zip(verdicts, labels, strict=True):
            counts.update(f"{w} -> {v}" for w, v in zip(wanted, verdict, strict=True) if v != w)
    return dict(counts.most_common())


def summarize(replications):
    """Scores of one replication as they are; of several as [mean, half width of the 95 % interval]."""
    if len(replications) == 1:
        return {name: float(value) for name, value in replications[0].items()}
    means, widths = confidence_interval([list(scores.values()) for scores in replications])
    return {name: [float(m), float(w)] for name, m, w in zip(replications[0], means, widths, strict=True)}


def progress(clips, batch_size, name):
    return tqdm(range(0, clips, batch_size), desc=name)


def versions():
    return {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}


TABLES = {  # group -> title and columns: name in the report, heading, decimals, factor
    "motions": (
        "Motions",
        [
            ("root_relative_error", "joint error, root-relative (mm)", 1, 1),
            ("global_error", "joint error, global (mm)", 1, 1),
            ("acceleration_error", "acceleration error (m/s²)", 2, 1),
            ("foot_sliding", "foot sliding (m/s)", 3, 1),
            ("ground_penetration", "ground penetration (mm)", 1, 1),
            ("codebook_used", "codebook used (%)", 1, 100),
            ("codebook_perplexity", "perplexity", 0, 1),
            ("empty", "empty generations", 1, 1),
        ],
    ),
    "judge": (
        "Actions and styles, judged on joints",
        [("action", "right action (%)", 1, 100), ("style", "right style (%)", 1, 100), ("both", "both (%)", 1, 100)],
    ),
    "captions": (
        "Captions",
        [
            ("action", "right action (%)", 1, 100),
            ("style", "right style (%)", 1, 100),
            ("both", "both (%)", 1, 100),
            ("bleu1", "BLEU-1", 1, 100),
            ("bleu4", "BLEU-4", 1, 100),
            ("rougeL", "ROUGE-L", 1, 100),
            ("cider", "CIDEr", 2, 1),
        ],
    ),
}


def write_report(folder, report):
    """`report.json`, and `report.md` with a table a group; a column that no row has is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = report["arguments"]
    lines = [f"# {report['clips']} clips of {Path(arguments['data_dir']).name}, {arguments['split']} split", ""]
    lines += [f"- {name}: `{arguments[name]}`" for name in ("vq", "m2t", "t2m") if arguments[name]]
    if arguments["t2m"]:
        lines += [f"- {arguments['replications']} replications, seed {arguments['seed']}"]
    for group, (title, columns) in TABLES.items():
        rows = report.get(group)
        if not rows:
            continue
        columns = [column for column in columns if any(column[0] in scores for scores in rows.values())]
        lines += ["", f"## {title}", "", "| | " + " | ".join(heading for _, heading, _, _ in columns) + " |"]
        lines += ["|---|" + "--:|" * len(columns)]
        for name, scores in rows.items():
            cells = [show(scores.get(key), decimals, factor) for key, _, decimals, factor in columns]
            lines += [f"| {name} | " + " | ".join(cells) + " |"]
    for name, text in (("report.json", json.dumps(report, indent=1)), ("report.md", "\n".join(lines))):
        (folder / f"{name}.part").write_text(text + "\n")
        os.replace(folder / f"{name}.part", folder / name)


def show(value, decimals, factor):
    if value is None:
        return ""
    if isinstance(value, list):
        return " ± ".join(f"{part * factor:.{decimals}f}" for part in value)
    return f"{value * factor:.{decimals}f}"


if __name__ == "__main__":
    main()
