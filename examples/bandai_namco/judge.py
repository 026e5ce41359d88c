# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""A judge of actions and styles that sees nothing but joints, for Bandai-Namco motions.

Captioning a generated motion back is no proof that the motion is right: the inverse alignment trains text-to-motion to
please exactly that captioner. This judge is trained on the joints of real clips only, never on features, codes or
captions, so no model here can have learned to please it. It knows the one body of its training clips, HumanML3D's:
retarget others first. `evaluate_tm2t.py` uses the one that ships in `judge/`:

    judge = ActionStyleJudge.from_folder()
    judge.judge([joints, ...])     # [("wave-left-hand", "elderly"), ...]; joints (frames, 22, 3), meters, y up, 20 fps

To train it again (about eight minutes on one core), and to see its scores on the test split:

    python -m examples.bandai_namco.judge --data_dir DATA --output_dir examples/bandai_namco/judge
"""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm
from transformers import HfArgumentParser

from tm2t_hf import HUMANML3D
from tm2t_hf.bodies import varied_offsets
from tm2t_hf.files import load_array, written_beside
from tm2t_hf.motion import bone_offsets, mirror_joints, retarget

from .labels import action_and_style_of_clip, mirror_action

SHIPPED = Path(__file__).parent / "judge"
MIN_FRAMES = 4


@dataclass
class Arguments:
    """Arguments of the training."""

    data_dir: str = field(metadata={"help": "folder in the HumanML3D layout whose clip ids name action and style"})
    output_dir: str = field(default=str(SHIPPED), metadata={"help": "where the weights and labels are written"})
    networks: int = field(default=3, metadata={"help": "networks trained apart and averaged"})
    epochs: int = field(default=20, metadata={"help": "passes over the train split, each network"})
    least: int = field(default=24, metadata={"help": "show rarer actions as often as if they had this many clips"})
    batch_size: int = field(default=32)
    learning_rate: float = field(default=2e-3)
    seed: int = field(default=0)


def standing(joints):
    """(frames, 22, 3) float32 with the floor at height zero: the lowest joint is above it in 90 % of the frames."""
    joints = np.asarray(joints, np.float32)
    if problem := HUMANML3D.problem_with(joints):
        raise ValueError(f"a motion to judge {problem}")
    if len(joints) < MIN_FRAMES:
        raise ValueError(f"the judge needs {MIN_FRAMES} frames or more, not {len(joints)}")
    return joints - np.array([0, np.quantile(joints[..., 1].min(1), 0.1), 0], np.float32)


def pad(clips):
    """A list of (frames, 22, 3) -> (batch, longest, 22, 3) with last frames repeated, and a mask (batch, longest)."""
    lengths = torch.tensor([len(clip) for clip in clips])
    times = torch.arange(lengths.max())
    joints = [torch.as_tensor(clip)[times.clamp(max=len(clip) - 1)] for clip in clips]
    return torch.stack(joints), times < lengths[:, None]


def describe(joints):
    """What the networks see: (batch, frames, 22, 3) -> (batch, frames, 133).

    Every frame is turned to face +z and moved over the origin, so neither place nor heading is known; pace, turning
    and height above the floor are.
    """
    right_hip, left_hip, right_shoulder, left_shoulder = joints[:, :, HUMANML3D.face_joints].unbind(2)
    across = right_hip - left_hip + right_shoulder - left_shoulder
    heading = torch.atan2(across[..., 2], -across[..., 0])  # (batch, frames)
    cos, sin = heading.cos()[..., None], heading.sin()[..., None]

    def turn(points):
        x, y, z = points.unbind(-1)
        return torch.stack([cos * x - sin * z, y, sin * x + cos * z], -1)

    place = joints[:, :, :1] * joints.new_tensor([1, 0, 1])
    velocity = torch.diff(joints, dim=1, prepend=joints[:, :1])
    turning = torch.diff(heading, dim=1, prepend=heading[:, :1])
    turning = torch.atan2(turning.sin(), turning.cos())
    return torch.cat([turn(joints - place).flatten(2), turn(velocity).flatten(2), turning[..., None]], -1)


class Block(nn.Module):
    """One residual block of dilated convolutions over time."""

    def __init__(self, width, dilation, dropout):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden, mask):
        """(batch, frames, width) -> the same; `mask` (batch, frames, 1) is 0 on padding."""
        update = self.widen((self.norm(hidden) * mask).transpose(1, 2)).transpose(1, 2)
        return hidden + self.dropout(self.mix(nn.functional.gelu(update)))


class Network(nn.Module):
    """Convolutions over time at half the frame rate, pooled over the frames that are there, and two heads."""

    def __init__(self, num_actions, num_styles, width=96, dropout=0.1):
        super().__init__()
        self.register_buffer("mean", torch.zeros(133))
        self.register_buffer("std", torch.ones(133))
        self.stem = nn.Conv1d(133, width, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList([Block(width, dilation, dropout) for dilation in (1, 2, 4, 8)])
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(0.3)
        self.action = nn.Linear(2 * width + 1, num_actions)
        self.style = nn.Linear(2 * width + 1, num_styles)

    def forward(self, joints, mask):
        """Joints (batch, frames, joints, 3) and their mask (batch, frames) -> logits of actions and of styles."""
        seen = (describe(joints) - self.mean) / self.std * mask[..., None]
        hidden = self.stem(seen.transpose(1, 2)).transpose(1, 2)  # (batch, frames / 2, width)
        half = mask[:, ::2, None]
        for block in self.blocks:
            hidden = block(hidden, half)
        hidden = self.norm(hidden)
        mean = (hidden * half).sum(1) / half.sum(1)
        highest = hidden.masked_fill(~half, -torch.inf).amax(1)
        duration = (mask.sum(1, keepdim=True) / 100).log()
        pooled = self.dropout(torch.cat([mean, highest, duration], 1))  # (batch, 2 * width + 1)
        return self.action(pooled), self.style(pooled)


class ActionStyleJudge(nn.Module):
    """Networks whose probabilities are averaged, with the names of what they tell apart."""

    def __init__(self, actions, styles, networks):
        super().__init__()
        self.actions, self.styles = list(actions), list(styles)
        self.networks = nn.ModuleList([Network(len(actions), len(styles)) for _ in range(networks)])

    @classmethod
    def from_folder(cls, folder=SHIPPED):
        """Load what `save` wrote."""
        labels = json.loads((Path(folder) / "labels.json").read_text())
        judge = cls(**labels)
        judge.load_state_dict(load_file(Path(folder) / "judge.safetensors"))
        return judge.eval()

    def save(self, folder):
        """Write `judge.safetensors` and `labels.json`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        labels = {"actions": self.actions, "styles": self.styles, "networks": len(self.networks)}
        with written_beside(folder / "labels.json") as part:
            part.write_text(json.dumps(labels, indent=1) + "\n")
        with written_beside(folder / "judge.safetensors") as part:
            save_file(self.state_dict(), part)

    @torch.no_grad()
    def judge(self, joints, batch_size=64):
        """A list of joints (frames, 22, 3), meters, y up, 20 fps -> a list of (action, style).

        Raises ValueError for another shape, fewer than 4 frames, or values that are not finite.
        """
        verdicts = []
        clips = [standing(clip) for clip in joints]
        for start in range(0, len(clips), batch_size):
            batch, mask = pad(clips[start : start + batch_size])
            outputs = [network(batch, mask) for network in self.networks]
            heads = (torch.stack(head).softmax(-1).mean(0).argmax(-1) for head in zip(*outputs, strict=True))
            verdicts += [(self.actions[a], self.styles[s]) for a, s in zip(*heads, strict=True)]
        return verdicts


def smooth_noise(frames, deviation, rng, joints=22):
    """(frames, joints, 3): noise of a deviation in meters that wanders over four frames, as the error of a VQ does."""
    knots = rng.normal(0, deviation, (frames // 4 + 2, joints, 3))
    at = np.arange(frames) / 4
    before = at.astype(int)
    weight = (at - before)[:, None, None]
    return (1 - weight) * knots[before] + weight * knots[before + 1]


def disturb(joints, rng, pace=1.05):
    """What a decoded motion may do to a real one without becoming another action or style; at most `pace` as fast."""
    frames = len(joints)
    start, end = rng.integers(0, 5, 2) if frames > 30 else (0, 0)
    joints = joints[start : frames - end]
    pace = rng.uniform(1 / pace, pace)
    at = np.linspace(0, len(joints) - 1, round(len(joints) * pace))
    before = np.minimum(at.astype(int), len(joints) - 2)
    weight = (at - before)[:, None, None].astype(np.float32)
    joints = (1 - weight) * joints[before] + weight * joints[before + 1]
    joints = joints[: len(joints) // 4 * 4]
    if rng.random() < 0.5:  # smoothing over three or five frames
        reach = int(rng.integers(1, 3))
        edges = np.pad(joints, ((reach, reach), (0, 0), (0, 0)), mode="edge")
        joints = np.mean([edges[i : i + len(joints)] for i in range(2 * reach + 1)], 0)
    joints = joints + smooth_noise(len(joints), rng.uniform(0, 0.02), rng)
    drift = np.cumsum(smooth_noise(len(joints), rng.uniform(0, 0.005), rng, joints=1), 0) * [1, 0, 1]
    return (joints + drift).astype(np.float32)


def batches(clips, batch_size, rng):
    """Shuffled indices in batches of similar length, which saves half of the padding."""
    order = rng.permutation(len(clips))
    for start in range(0, len(order), 16 * batch_size):
        pool = sorted(order[start : start + 16 * batch_size], key=lambda i: len(clips[i]))
        for i in rng.permutation(range(0, len(pool), batch_size)):
            yield pool[i : i + batch_size]


def perform_again(joints, rng):
    """The same by somebody else, at another pace: what a rare action lacks."""
    own = bone_offsets(joints, HUMANML3D)
    performed = retarget(joints, HUMANML3D, varied_offsets(own, HUMANML3D, rng))
    return disturb(retarget(performed, HUMANML3D, own), rng, pace=1.2)


def rare_clips(labels, least):
    """Indices of the clips of rare actions, each repeated until every action has `least`, its first time left out."""
    counts = Counter(action for action, _ in labels)
    return [i for i, (action, _) in enumerate(labels) for _ in range(math.ceil(least / counts[action]) - 1)]


def load(data_dir, split):
    """The split's joints and their (action, style) labels."""
    data_dir = Path(data_dir)
    clip_ids = (data_dir / f"{split}.txt").read_text().split()
    joints = [load_array(data_dir / "new_joints" / f"{clip_id}.npy") for clip_id in clip_ids]
    return joints, [action_and_style_of_clip(clip_id) for clip_id in clip_ids]


def shares(verdicts, labels):
    """Share of right actions, and of right styles."""
    return [float(np.mean([v[k] == wanted[k] for v, wanted in zip(verdicts, labels, strict=True)])) for k in (0, 1)]


def train(network, judge, joints, labels, validation, args, seed):
    """One network on the train split; keeps the weights of the epoch that validation prefers."""
    rng = np.random.default_rng(seed)
    action_of = {name: i for i, name in enumerate(judge.actions)}
    style_of = {name: i for i, name in enumerate(judge.styles)}
    clips = [standing(clip) for clip in joints]
    rare = rare_clips(labels, args.least)
    shown, first_rare = clips + [clips[i] for i in rare], len(clips)
    labels = labels + [labels[i] for i in rare]
    everything = torch.cat([describe(torch.as_tensor(clip)[None])[0] for clip in clips])
    network.mean.copy_(everything.mean(0))
    network.std.copy_(everything.std(0) + 1e-2)
    validation_joints, validation_labels = validation
    valid, valid_mask = pad([standing(clip) for clip in validation_joints])
    valid_targets = [
        torch.tensor([action_of[action] for action, _ in validation_labels]),
        torch.tensor([style_of[style] for _, style in validation_labels]),
    ]

    optimizer = torch.optim.AdamW(network.parameters(), args.learning_rate, weight_decay=0.05)
    steps = args.epochs * len(list(batches(shown, args.batch_size, np.random.default_rng(0))))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.learning_rate, total_steps=steps, pct_start=0.1)
    best, best_state = None, None
    progress = tqdm(range(args.epochs), desc=f"network {seed - args.seed + 1}")
    for _ in progress:
        network.train()
        for chosen in batches(shown, args.batch_size, rng):
            batch, actions, styles = [], [], []
            for i in chosen:
                clip, (action, style) = (perform_again if i >= first_rare else disturb)(shown[i], rng), labels[i]
                if rng.random() < 0.5:
                    clip, action = mirror_joints(clip, HUMANML3D), mirror_action(action)
                batch.append(standing(clip))
                actions.append(action_of[action])
                styles.append(style_of[style])
            action_logits, style_logits = network(*pad(batch))
            loss = cross_entropy(action_logits, torch.tensor(actions), label_smoothing=0.05)
            loss = loss + cross_entropy(style_logits, torch.tensor(styles), label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            pairs = list(zip(network(valid, valid_mask), valid_targets, strict=True))
        right = [(logits.argmax(-1) == target).float().mean().item() for logits, target in pairs]
        surprise = sum(cross_entropy(*pair).item() for pair in pairs)
        progress.set_postfix(loss=loss.item(), action=right[0], style=right[1], validation_loss=surprise)
        if best is None or (sum(right), -surprise) >= best:
            best = (sum(right), -surprise)
            best_state = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best_state)


def main():
    """Train on the train split and report on the test split."""
    (args,) = HfArgumentParser(Arguments).parse_args_into_dataclasses()
    joints, labels = load(args.data_dir, "train")
    validation = load(args.data_dir, "val")
    actions = sorted({action for action, _ in labels} | {mirror_action(action) for action, _ in labels})
    styles = sorted({style for _, style in labels})
    torch.manual_seed(args.seed)
    judge = ActionStyleJudge(actions, styles, args.networks)
    for i, network in enumerate(judge.networks):
        train(network, judge, joints, labels, validation, args, args.seed + i)
    judge.eval().save(args.output_dir)

    joints, labels = load(args.data_dir, "test")
    rng = np.random.default_rng(args.seed)
    shaken = [clip + smooth_noise(len(clip), 0.015, rng) for clip in joints]
    for name, clips in (("real", joints), ("real, shaken by 15 mm", shaken)):
        verdicts = judge.judge(clips)
        action, style = shares(verdicts, labels)
        print(f"{name} test clips: action {action:.3f}, style {style:.3f}")
        for verdict, wanted in zip(verdicts, labels, strict=True):
            if verdict != wanted:
                print(f"    {' '.join(wanted)} taken for {' '.join(verdict)}")


if __name__ == "__main__":
    main()
