# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The evaluation script, from the command line to its report, on a handful of clips and tiny random models."""

import json
import shutil
import sys
from types import SimpleNamespace

import evaluate_tm2t as script
import numpy as np
import pytest
import torch
from evaluation import clips, models, pictures, scores
from evaluation import report as report_script
from PIL import Image

from tm2t_hf import (
    MotionFeatureExtractor,
    MotionTextMatcher,
    MotionTextMatcherConfig,
    MotionTextMatcherProcessor,
    MotionTokenizer,
    MotionToTextConfig,
    MotionToTextModel,
    MotionVQConfig,
    MotionVQModel,
    TextToMotionConfig,
    TextToMotionModel,
    TM2TProcessor,
)
from tm2t_hf.coverage import Calibration, TextCoverage, load_coverage
from tm2t_hf.data import prepare
from tm2t_hf.metrics import caption_scores, joint_scores, motion_scores, retrieval
from tm2t_hf.motion import HUMANML3D, KIT, features_to_joints
from tm2t_hf.tokenization_text import train_text_tokenizer
from tm2t_hf.training import run as run_script

ON_CPU = {"device": "cpu", "dtype": "float32", "int8": False}
CAPTIONS = ["a person walks forward", "someone runs energetically", "the person waves the left hand"]
TOKENS = [
    "a/DET person/NOUN walk/VERB forward/ADV",
    "someone/PRON run/VERB energetically/ADV",
    "the/DET person/NOUN wave/VERB the/DET left/ADJ hand/NOUN",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips named as Bandai-Namco names them, five in the test split and 34 in all, and the models with processors."""
    folder = tmp_path_factory.mktemp("evaluation")
    data = folder / "data"
    for part in ("new_joints", "texts"):
        (data / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    actions = ["walk", "run", "walk", "wave-left-hand", "run"]
    clip_ids = [f"bn2_{actions[n % 5]}_normal_{n:03d}" for n in range(34)]
    pose = rng.normal(0, 0.3, (22, 3)) + [0, 1, 0]
    pose[[10, 11], 1] = 0
    for n, clip_id in enumerate(clip_ids):
        steps = rng.normal(0, 0.01, (41 + n % 7, 22, 3)).cumsum(0)
        np.save(data / "new_joints" / f"{clip_id}.npy", (pose + steps).astype(np.float32))
        lines = [f"{CAPTIONS[i]}#{TOKENS[i]}#0.0#0.0" for i in np.roll(range(3), n)]
        (data / "texts" / f"{clip_id}.txt").write_text("\n".join(lines) + "\n")
    for split, count in (("train", 5), ("val", 5), ("test", 5), ("all", 34)):
        (data / f"{split}.txt").write_text("\n".join(clip_ids[:count]) + "\n")
    prepare(data)

    torch.manual_seed(0)
    vq = MotionVQModel(
        MotionVQConfig(codebook_size=16, hidden_size=16, num_encoder_blocks=1, num_decoder_blocks=1)
    ).eval()
    torch.nn.init.normal_(vq.quantizer.embedding.weight)
    extractor = MotionFeatureExtractor.from_data_dir(data)
    tokenizer = train_text_tokenizer(CAPTIONS, vocab_size=280)
    processor = TM2TProcessor(extractor, tokenizer, MotionTokenizer(16))
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 24}
    m2t = MotionToTextModel(MotionToTextConfig(vq_config=vq.config, vocab_size=len(tokenizer), **sizes, **heads))
    sizes = {
        "text_embedding_size": 8,
        "text_hidden_size": 8,
        "motion_hidden_size": 16,
        "text_vocab_size": len(tokenizer),
    }
    t2m = TextToMotionModel(TextToMotionConfig(vq_config=vq.config, **sizes))
    for model in (m2t, t2m):
        model.vq.load_state_dict(vq.state_dict())
    t2m.generation_config.do_sample = True
    t2m.generation_config.max_new_tokens = 12
    sizes = {"movement_hidden_size": 12, "movement_size": 12, "text_embedding_size": 8, "text_hidden_size": 8}
    sizes |= {"motion_hidden_size": 12, "embedding_size": 6, "text_vocab_size": len(tokenizer)}
    matcher = MotionTextMatcher(MotionTextMatcherConfig(**sizes))
    # statistics of its own: nobody else's may be used in their place
    other = MotionFeatureExtractor(HUMANML3D, np.asarray(extractor.mean) + 0.1, np.asarray(extractor.std) * 1.5)
    matcher_processor = MotionTextMatcherProcessor(other, tokenizer)
    models = (("vq", vq, extractor), ("m2t", m2t, processor), ("t2m", t2m, processor))
    for name, model, processing in (*models, ("matcher", matcher, matcher_processor)):
        model.save_pretrained(folder / name)
        processing.save_pretrained(folder / name)
    return folder


@pytest.fixture
def evaluate(folder, tmp_path, monkeypatch):
    """Runs the script with the models named and further flags; gives its report."""

    def run(*models, output_dir=tmp_path, **flags):
        command = ["evaluate_tm2t.py", "--data_dir", str(folder / "data"), "--output_dir", str(output_dir)]
        flags = {"labels": "bandai_namco"} | flags
        for name in models:
            command += [f"--{name}", str(folder / name)]
        for name, value in flags.items():
            command += [f"--{name}", str(value)] if value is not None else []
        monkeypatch.setattr(sys, "argv", command)
        script.main()
        return json.loads((output_dir / "report.json").read_text())

    return run


@pytest.fixture
def count_generations(monkeypatch):
    """The list of the seeds that motions were sampled with."""
    seeds, set_seed = [], script.set_seed
    monkeypatch.setattr(script, "set_seed", lambda seed: seeds.append(seed) or set_seed(seed))
    return seeds


@pytest.mark.parametrize("name", ["replications", "num_beams", "batch_size"])
def test_numbers_that_are_none(evaluate, name):
    with pytest.raises(ValueError, match=f"--{name} must be at least 1; got 0"):
        evaluate("vq", **{name: 0})


def test_a_data_folder_that_is_missing_is_one_sentence(evaluate, folder, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_script(lambda: evaluate("vq", data_dir="nowhere"))
    assert stopped.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("evaluate_tm2t.py: There is no data folder")


def test_report_of_all_models(evaluate, folder, tmp_path):
    report = evaluate("vq", "m2t", "t2m", replications=2, batch_size=2)
    assert report["data"]["clips"] == 5 and report["matcher"] == {}
    assert report["deviations"] == {"replications": 2, "batch_size": 2}
    assert list(report["motions"]) == list(report["judge"]) == ["real motion", "VQ reconstruction", "text to motion"]
    assert list(report["captions"]) == [
        "first real caption, against the others",
        "motion to text, against the same",
        "motion to text",
        "text to motion, captioned back",
    ]
    features = [np.load(folder / "data" / "new_joint_vecs" / f"{clip}.npy") for clip in clips_of(folder, "test")]
    joints = [features_to_joints(clip, 22) for clip in features]
    wanted = {"seconds": np.mean(list(map(len, features))) / 20, "empty": 0, **joint_scores(joints, HUMANML3D)}
    assert report["motions"]["real motion"] == pytest.approx(wanted, rel=1e-3)
    assert report["motions"]["real motion"]["foot_sliding"] > 0.05
    first, others = zip(
        *[(rolled[0], rolled[1:]) for n in range(5) for rolled in [list(np.roll(CAPTIONS, n))]], strict=True
    )
    found = report["captions"]["first real caption, against the others"]
    wanted = caption_scores(first, others)
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)

    vq, extractor = MotionVQModel.from_pretrained(folder / "vq"), MotionFeatureExtractor.from_pretrained(folder / "vq")
    decoded = []
    for clip in features:
        output = vq.eval()(torch.tensor(extractor([clip])["motion_values"][0])[None])
        decoded += extractor.post_process(output.reconstruction)
    wanted = joint_scores(decoded, HUMANML3D, joints)
    found = report["motions"]["VQ reconstruction"]
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-3)

    for group, name in (("judge", "text to motion"), ("captions", "text to motion, captioned back")):
        mean, width = report[group][name]["action"]
        assert 0 <= mean <= 1 and width >= 0
    markdown = (tmp_path / "report.md").read_text()
    assert "| text to motion |" in markdown and "± " in markdown and "empty motions" in markdown


def clips_of(folder, split):
    return (folder / "data" / f"{split}.txt").read_text().split()


def test_rows_of_the_matcher(evaluate, folder):
    report = evaluate("vq", "m2t", "t2m", "matcher", split="all", replications=3)
    assert list(report["matcher"]) == ["real motion", "VQ reconstruction", "text to motion"]
    matcher = MotionTextMatcher.from_pretrained(folder / "matcher").eval()
    processor = MotionTextMatcherProcessor.from_pretrained(folder / "matcher")
    features = [np.load(folder / "data" / "new_joint_vecs" / f"{clip}.npy") for clip in clips_of(folder, "all")]
    captions = [str(np.roll(CAPTIONS, n)[0]) for n in range(34)]
    vq, extractor = MotionVQModel.from_pretrained(folder / "vq"), MotionFeatureExtractor.from_pretrained(folder / "vq")

    # one motion at a time: neither batches nor padding may matter
    texts, real, decoded = [], [], []
    with torch.no_grad():
        for motion, caption in zip(features, captions, strict=True):
            texts.append(matcher.get_text_embeddings(**processor(text=[caption], return_tensors="pt"))[0])
            whole = motion[: len(motion) // 4 * 4]
            real.append(matcher.get_motion_embeddings(**processor(motion=[whole], return_tensors="pt"))[0])
            values = vq.eval()(torch.tensor(extractor([motion])["motion_values"][0])[None]).reconstruction[0]
            back = extractor.denormalize(values).numpy()
            decoded.append(matcher.get_motion_embeddings(**processor(motion=[back], return_tensors="pt"))[0])
    texts, real, decoded = (torch.stack(rows).numpy() for rows in (texts, real, decoded))
    seeds = [script.replication_seed(0, replication) for replication in range(3)]
    for name, motions, reference in (("real motion", real, None), ("VQ reconstruction", decoded, real)):
        wanted = [motion_scores(motions, texts, reference, seed=seed) for seed in seeds]
        found = report["matcher"][name]
        assert list(found) == list(wanted[0])
        for score in found:
            values = [scores[score] for scores in wanted]
            assert found[score][0] == pytest.approx(np.mean(values), rel=1e-3, abs=1e-6)
            assert found[score][1] == pytest.approx(1.96 * np.std(values) / np.sqrt(3), rel=1e-2, abs=1e-5)
    assert set(report["matcher"]["text to motion"]) - set(found) == {"multimodality"}
    orders = [np.random.default_rng(seed).permutation(34) for seed in seeds]
    distances = [retrieval(real[order], texts[order])[1] for order in orders]
    row = report["captions"]["first real caption, against the others"]
    assert row["mm_dist"][0] == pytest.approx(np.mean(distances), rel=1e-3)
    assert "r_precision3" in report["captions"]["motion to text"]
    assert "r_precision3" not in report["captions"]["text to motion, captioned back"]


def test_multimodality_is_the_distance_between_replications(evaluate, monkeypatch):
    embeddings = np.random.default_rng(0).normal(size=(4, 34, 6)).astype(np.float32)
    drawn = iter(embeddings)  # the real motions, then three replications
    monkeypatch.setattr(script, "embed_motions", lambda *_: next(drawn))
    report = evaluate("t2m", "matcher", split="all", replications=3)
    first, second, third = embeddings[1:].astype(np.float64)
    pairs = [np.linalg.norm(a - b, axis=-1).mean() for a, b in ((first, second), (second, third), (third, first))]
    found, width = report["matcher"]["text to motion"]["multimodality"]
    assert found == pytest.approx(np.mean(pairs)) and width > 0
    assert "multimodality" not in report["matcher"]["real motion"]


def test_groups_are_the_same_whatever_the_batch(evaluate):
    small, large = (evaluate("vq", "matcher", split="all", replications=2, batch_size=size) for size in (3, 64))
    for row in ("real motion", "VQ reconstruction"):
        for score, value in small["matcher"][row].items():
            assert value == pytest.approx(large["matcher"][row][score], rel=1e-3, abs=1e-6)


def test_two_runs_give_the_same_report(evaluate, tmp_path):
    for run in ("first", "second"):
        evaluate("vq", "m2t", "t2m", "matcher", split="all", replications=2, output_dir=tmp_path / run)
    for name in ("report.json", "report.md", "intervals.png", "map.png", "actions.png"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_an_interrupted_run_goes_on(evaluate, count_generations, monkeypatch, tmp_path):
    arguments = {"split": "all", "replications": 3}
    look, calls = script.joint_scores, []

    def stop_at_the_third(*args):
        calls.append(args)
        if len(calls) == 3:  # real motions, the first replication, the second one
            raise KeyboardInterrupt
        return look(*args)

    with monkeypatch.context() as context:
        context.setattr(script, "joint_scores", stop_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            evaluate("m2t", "t2m", "matcher", **arguments)
    seeds = [script.replication_seed(0, replication) for replication in range(3)]
    assert count_generations == seeds[:2] and len(list((tmp_path / "replications").glob("*.npz"))) == 1
    count_generations.clear()
    continued = evaluate("m2t", "t2m", "matcher", **arguments)
    assert count_generations == seeds[1:]
    count_generations.clear()
    assert continued == evaluate("m2t", "t2m", "matcher", **arguments) and not count_generations
    assert continued == evaluate("m2t", "t2m", "matcher", output_dir=tmp_path / "at once", **arguments)


def test_other_checkpoints_are_sampled_anew(evaluate, folder, count_generations, tmp_path):
    evaluate("t2m", replications=1)
    changed = tmp_path / "changed"
    TextToMotionModel.from_pretrained(folder / "t2m", dropout=0.5).save_pretrained(changed)
    TM2TProcessor.from_pretrained(folder / "t2m").save_pretrained(changed)
    evaluate(t2m=changed, replications=1)
    evaluate("t2m", replications=1, batch_size=3)
    evaluate("t2m", replications=1, seed=1)
    assert len(count_generations) == 4
    evaluate("t2m", replications=2)
    assert len(count_generations) == 5


def test_seeds_of_replications_differ():
    seeds = {script.replication_seed(seed, replication) for seed in range(5) for replication in range(20)}
    assert len(seeds) == 100 and max(seeds) < 2**32


def test_one_model_alone(evaluate, tmp_path):
    report = evaluate("vq")
    assert list(report["motions"]) == ["real motion", "VQ reconstruction"]
    assert "text to motion" not in (tmp_path / "report.md").read_text()


def test_empty_generations_are_wrong_and_counted(evaluate, monkeypatch):
    generate = TextToMotionModel.generate

    def end_at_once(self, **inputs):
        ids = generate(self, **inputs, min_new_tokens=3)
        ids[0, 1:] = self.config.eos_token_id
        return ids

    monkeypatch.setattr(TextToMotionModel, "generate", end_at_once)
    report = evaluate("m2t", "t2m", replications=1, batch_size=2)  # three batches, one empty generation in each
    assert report["motions"]["text to motion"]["empty"] == 3
    wrong = report["judge"]["text to motion"]["mistakes"]
    assert sum(count for mistake, count in wrong.items() if mistake.endswith("-> none")) == 6  # actions and styles
    assert report["captions"]["text to motion, captioned back"]["action"] <= 2 / 5


@pytest.fixture
def sentences(tmp_path):
    """Three sentences of people, one of them about something that no judge knows, and two of the unknown."""
    people = [
        {"sentence": "he takes a few steps", "action": "walk"},
        {"sentence": "she jogs along, happy", "action": ["run", "dash"], "style": "happy"},
        {"sentence": "does a back flip", "action": "backflip"},
    ]
    (tmp_path / "people.json").write_text(json.dumps(people))
    (tmp_path / "unknown.json").write_text(json.dumps(["plays the violin", "swims"]))
    return tmp_path


def test_people_are_judged(evaluate, sentences, monkeypatch):
    seen = iter([[("walk", "normal"), ("dash", "sad")], [("bow", "normal"), ("run", "happy")]])

    def judge(self, joints, batch_size=64):
        return next(seen) if len(joints) == 2 else [("walk", "normal")] * len(joints)

    monkeypatch.setattr("bandai_namco.judge.ActionStyleJudge.judge", judge)
    flags = {"people": sentences / "people.json", "output_dir": sentences / "report", "replications": 2}
    report = evaluate("t2m", **flags)
    row = report["people"]["text to motion"]
    assert (row["sentences"], row["styled_sentences"]) == (2, 1)
    assert row["action"][0] == row["action_by_action"][0] == 0.75 and row["style"][0] == 0.5
    assert report["people_actions"] == {
        "run": {"sentences": 1, "action": 1.0, "instead": ""},
        "walk": {"sentences": 1, "action": 0.5, "instead": "bow"},
    }
    first = report["people_sentences"][0]
    assert first["sentence"] == "he takes a few steps" and first["seen"] == {"walk normal": 1, "bow normal": 1}
    assert "| walk | 1 | 50 | bow |" in (sentences / "report" / "report.md").read_text()
    assert evaluate("t2m", **flags) == report  # the replications were kept: the judge is not asked again


def test_requests_never_learned_are_scored(evaluate, sentences, monkeypatch):
    flags = {"people": sentences / "people.json", "unknown": sentences / "unknown.json", "replications": 1}
    with pytest.raises(SystemExit, match="t2m has no scores for requests"):
        evaluate("t2m", **flags)
    monkeypatch.setattr(script, "request_scores", lambda *_: ([0.9, 0.8, 0.2, 0.1, 0.3], 0.5))
    report = evaluate("t2m", **flags)
    row = report["requests"]["all"]
    assert row["auc"] == pytest.approx(5 / 6)
    assert row["warned_known"] == pytest.approx(1 / 3) and row["warned_unknown"] == 1
    assert report["request_scores"]["plays the violin"] == 0.1
    assert set(report["sentences"]) == {"people", "unknown"}


def test_eight_bits(evaluate, folder):
    """Of the models that are evaluated, not of the one that measures them."""
    for role, quantized in (("m2t", True), ("t2m", True), ("matcher", False)):
        checkpoint = models.load_checkpoint(role, str(folder / role), SimpleNamespace(**ON_CPU | {"int8": True}))
        kinds = {type(module) for module in checkpoint.model.modules()}
        assert (torch.nn.Linear in kinds) != quantized == (torch.ao.nn.quantized.dynamic.Linear in kinds)
    report = evaluate("m2t", "t2m", replications=1, int8=True)
    assert report["deviations"] == {"replications": 1, "int8": True}


def test_scores_are_those_that_the_model_carries(folder, tmp_path):
    """By the mean of the words' features, one sentence at a time: padding may not matter."""
    shutil.copytree(folder / "t2m", tmp_path, dirs_exist_ok=True)
    embeddings = torch.nn.functional.normalize(torch.randn(3, 8), dim=-1)
    calibration = Calibration(torch.ones(TextCoverage.num_facts).double(), -1.0, 0.4)
    TextCoverage(calibration, CAPTIONS, embeddings, embeddings[:1]).save(tmp_path)
    t2m = models.load_checkpoint("t2m", str(tmp_path), SimpleNamespace(**ON_CPU))
    sentences = ["a person walks", "someone plays the violin for hours and hours", "swims"]
    scores, threshold = script.request_scores(t2m, sentences, "cpu")
    coverage = load_coverage(tmp_path, "text")
    for sentence, score in zip(sentences, scores, strict=True):
        ids = t2m.processor(text=[sentence], return_tensors="pt")["input_ids"]
        mean = t2m.model.get_text_features(ids)[0].mean(0, keepdim=True).detach()
        (request,) = coverage.judge([sentence], torch.nn.functional.normalize(mean, dim=-1))
        assert score == pytest.approx(request.score, abs=1e-4)
    assert threshold == 0.4 and len(set(scores)) == 3
    assert (
        script.request_scores(
            models.load_checkpoint("t2m", str(folder / "t2m"), SimpleNamespace(**ON_CPU)), sentences, "cpu"
        )
        is None
    )


def test_bodies_and_recordings_are_captioned(evaluate, folder, data_dir, tmp_path):
    (tmp_path / "bvh").mkdir()
    source = data_dir / "bandai_namco" / "bvh" / "dataset-1_bow_masculinity_001.bvh"
    (tmp_path / "bvh" / "a.bvh").write_bytes(source.read_bytes())
    (tmp_path / "clips.jsonl").write_text('{"file": "bvh/a.bvh", "description": "walk"}\n')
    report = evaluate("m2t", bodies=folder / "data", cmu=tmp_path)
    plain = report["captions"]["motion to text"]
    assert list(report["bodies"]) == list(script.PERFORMANCES)
    for name in ("action", "style", "both"):  # without retargeting, these are the very clips
        assert report["bodies"]["as recorded"][name] == plain[name]
    assert report["recordings"]["walking and running, 1 clips"]["action"] in (0, 1)
    assert "| a from 0 s, walk | no |" in (tmp_path / "report.md").read_text()


def test_options_that_need_others_say_so(evaluate, folder, sentences):
    with pytest.raises(SystemExit, match="--people also needs --t2m"):
        evaluate("m2t", people=sentences / "people.json")
    with pytest.raises(SystemExit, match="--unknown also needs --people"):
        evaluate("t2m", unknown=sentences / "unknown.json")
    with pytest.raises(SystemExit, match="--bodies also needs --m2t and --labels"):
        evaluate("t2m", bodies=folder / "data", labels=None)


def test_clips_without_labels_are_not_judged(evaluate, folder, tmp_path):
    data = folder / "data"
    for part, suffix in (("new_joint_vecs", "npy"), ("texts", "txt")):
        (data / part / f"000001.{suffix}").write_bytes((data / part / f"bn2_walk_normal_000.{suffix}").read_bytes())
    (data / "unnamed.txt").write_text("000001\n")
    with pytest.raises(SystemExit, match="--labels bandai_namco does not fit .*'000001' is no Bandai-Namco clip id"):
        evaluate("m2t", split="unnamed")
    with pytest.raises(SystemExit, match="--labels nothing: there is no .*nothing/labels.py"):
        evaluate("m2t", split="unnamed", labels="nothing")
    report = evaluate("m2t", split="unnamed", labels=None)
    assert report["judge"] == {} and "action" not in report["captions"]["motion to text"]
    assert not list(tmp_path.glob("*.png"))


def test_models_that_do_not_fit_are_named(evaluate, folder):
    with pytest.raises(SystemExit, match="nothing to evaluate"):
        evaluate()
    other = folder / "other"
    model = TextToMotionModel.from_pretrained(folder / "t2m")
    torch.nn.init.normal_(model.vq.quantizer.embedding.weight)
    model.save_pretrained(other)
    TM2TProcessor.from_pretrained(folder / "t2m").save_pretrained(other)
    with pytest.raises(SystemExit, match="different motion VQs"):
        evaluate("m2t", t2m=other)
    with pytest.raises(SystemExit, match="--vq .*m2t is a model of type tm2t-m2t; tm2t-vq is needed"):
        evaluate(vq=folder / "m2t")
    kit = folder / "kit"
    MotionVQModel(MotionVQConfig(feature_size=251, hidden_size=16)).save_pretrained(kit)
    MotionFeatureExtractor(KIT, np.zeros(251), np.ones(251)).save_pretrained(kit)
    with pytest.raises(SystemExit, match="kit and t2m are models of different skeletons"):
        evaluate("t2m", vq=kit)


def test_a_split_smaller_than_a_group_is_refused(evaluate):
    with pytest.raises(SystemExit, match="test split has 5 clips.*groups of 32"):
        evaluate("matcher")


def test_motions_shorter_than_a_movement_are_embedded(folder):
    matcher = script.load_checkpoint("matcher", str(folder / "matcher"), SimpleNamespace(**ON_CPU))
    mean = np.asarray(matcher.extractor.mean, np.float32)
    args = SimpleNamespace(batch_size=2, device="cpu")
    moving = np.random.default_rng(0).normal(size=(9, 263)).astype(np.float32)
    motions = [moving[:0], np.tile(mean, (4, 1)), moving[:3], moving, moving[:8], torch.tensor(moving[:2])]
    embeddings = script.embed_motions(matcher, motions, args)
    assert embeddings.shape == (6, 6) and np.isfinite(embeddings).all()
    np.testing.assert_allclose(embeddings[0], embeddings[1], atol=1e-5)  # nothing is a moment of standing still
    np.testing.assert_allclose(embeddings[3], embeddings[4], atol=1e-5)  # whole movements count
    assert np.abs(embeddings[2] - embeddings[5]).max() > 1e-4


def test_results_keep_the_order_of_the_items():
    items = ["ccc", "a", "bb", "dddd", ""]
    seen = []
    result = models.by_length(items, lambda batch: seen.append(batch) or [item.upper() for item in batch], "", 2)
    assert result == ["CCC", "A", "BB", "DDDD", ""] and seen == [["", "a"], ["bb", "ccc"], ["dddd"]]


def test_references_are_words_or_lemmas():
    data = clips.Data(HUMANML3D, [], [], [], [["A person walks, then don't stop."]], [[TOKENS[0]]], None)
    plain, lemmas = SimpleNamespace(knows_lemmas_only=False), SimpleNamespace(knows_lemmas_only=True)
    assert data.references(None) == data.references(plain) == [["a person walks then don't stop"]]
    assert data.references(lemmas) == [["a person walk forward"]]
    assert data.prompts(plain) == ["A person walks, then don't stop."] and data.prompts(lemmas) == [TOKENS[0]]


def test_bert_score_is_a_column_of_its_own(evaluate, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "bert_score", lambda found, references, model: len(model) / 100)
    evaluate("m2t", bert_score="roberta-large")
    assert "| BERTScore |" in (tmp_path / "report.md").read_text().replace("\n", " ")
    assert "| 13.0 |" in (tmp_path / "report.md").read_text()


def test_pictures_show_what_was_given(evaluate, tmp_path, monkeypatch, caplog):
    evaluate("vq", "matcher", split="all", replications=2)
    for name in ("intervals.png", "map.png", "actions.png"):
        picture = np.asarray(Image.open(tmp_path / name).convert("RGB"))
        assert min(picture.shape[:2]) > 200 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
        (tmp_path / name).unlink()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    evaluate("vq", "matcher", split="all", replications=2)
    assert not list(tmp_path.glob("*.png")) and "there is no matplotlib" in caplog.text


def test_tables_are_written_into_pages(evaluate, tmp_path):
    card, page = tmp_path / "README.md", tmp_path / "page.md"
    card.write_text("# Card\n")
    page.write_text(f"before\n{report_script.BEGIN}\nold\n{report_script.END}\nafter\n")
    with pytest.raises(SystemExit, match="none.md: there is no such page"):
        evaluate("vq", write_into=tmp_path / "none.md")
    for _ in range(2):  # the second run replaces what the first one wrote
        evaluate("vq", write_into=card)
    evaluate("vq", write_into=page)
    tables = (tmp_path / "report.md").read_text().replace("## ", "#### ").replace("# 5 clips", "### 5 clips")
    inside = f"{report_script.BEGIN}\n{tables}{report_script.END}\n"
    assert card.read_text() == f"# Card\n\n## Evaluation\n\n{inside}"
    assert page.read_text() == f"before\n{inside}after\n"


def test_confusion_counts_what_was_asked_for():
    from matplotlib.figure import Figure

    figure = pictures.draw_confusion(Figure(), ["bow", "bow", "walk", "run"], ["bow", "none", "run", "run"], "x")
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.images[0].get_array(), [[50, 0, 0, 50], [0, 100, 0, 0], [0, 100, 0, 0]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["bow", "run", "walk", "none"]


def test_shares_and_mistakes():
    labels = [("walk", "sad"), ("run", "sad"), ("bow", "old"), ("bow", "old")]
    found = [("walk", "sad"), ("walk", "sad"), ("bow", "sad"), (None, None)]
    assert scores.shares(found, labels) == {"action": 0.5, "style": 0.5, "both": 0.25}
    assert scores.mistakes([found, found], labels) == {
        "run -> walk": 2, "old -> sad": 2, "bow -> None": 2, "old -> None": 2
    }  # fmt: skip


def test_summary_of_replications():
    assert scores.summarize([{"a": 1}]) == {"a": 1.0}
    (mean, width) = scores.summarize([{"a": 1.0}, {"a": 2.0}])["a"]
    assert mean == 1.5 and width == pytest.approx(1.96 * 0.5 / np.sqrt(2))
    assert report_script.show([0.5, 0.012], 1, 100) == "50.0 ± 1.2" and report_script.show(None, 1, 1) == ""
