# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
r"""Train text-to-motion, the third stage of TM2T: from captions to motion tokens, by a GRU or by a transformer.

    accelerate launch examples/train_t2m.py examples/configs/small.json \
        --data_dir DATA --vq tm2t-vq --m2t tm2t-m2t --output_dir tm2t-t2m

`--architecture` chooses the model. `--text_encoder` gives it a pretrained text encoder, such as
`sentence-transformers/all-MiniLM-L6-v2`, in place of word vectors of its own: frozen, so that a caption is encoded
once, or fine-tuned with `--no_freeze_text_encoder`.

With `--alignment_weight` above 0 the inverse alignment of the paper (section 3.3) joins in from
`--alignment_start_epoch` on: motion sampled from a caption must translate back into it by the frozen `--m2t`.

The best model by validation loss is written to `output_dir` with its processor and card, the VQ inside;
`--resume_from_checkpoint latest` resumes from `output_dir/last`. Every value of the JSON can be given as a flag too,
which then wins.
"""

import copy
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSeq2SeqLM, AutoModelForTextEncoding

from tm2t_hf import (
    MotionFeatureExtractor,
    MotionTokenizer,
    MotionToTextModel,
    MotionVQModel,
    TextToMotionModel,
    TextToMotionTransformer,
    TM2TProcessor,
    inverse_alignment_loss,
    load_skeleton,
    train_text_tokenizer,
)
from tm2t_hf.alignment import teacher_forced_samples
from tm2t_hf.data import CaptionFeatures, TranslationCollator, load_motion_dataset, tokenize_motions
from tm2t_hf.loading import check_fits, load_processor, load_whole
from tm2t_hf.text_features import TEXT_ENCODER
from tm2t_hf.tokenization_text import text_encoder_tokenizer
from tm2t_hf.training import (
    NUM_SAMPLES,
    Loss,
    Sample,
    T2MArguments,
    calibrate_requests,
    check_same_codes,
    check_same_skeleton,
    fit,
    parse_arguments,
    run,
    start,
    training_loader,
    validation_loader,
    write_model_card,
)


def main():
    """Train text-to-motion."""
    arguments = parse_arguments(T2MArguments, "t2m")
    accelerator = start(arguments)
    if arguments.alignment_update == "separate" and accelerator.num_processes > 1:
        raise ValueError("--alignment_update separate works in one process; use summed in several.")
    skeleton = load_skeleton(arguments.skeleton)

    vq = load_whole(MotionVQModel, arguments.vq).to(accelerator.device).eval().requires_grad_(False)
    check_same_skeleton(vq, skeleton, arguments.vq)
    feature_extractor = load_processor(MotionFeatureExtractor, arguments.vq)
    check_fits(vq, feature_extractor)
    m2t = reference = None
    if arguments.m2t:
        m2t = load_whole(MotionToTextModel, arguments.m2t).to(accelerator.device).eval().requires_grad_(False)
        check_same_codes(vq, m2t, arguments.m2t)

    with accelerator.main_process_first():
        train_set = load_motion_dataset(
            arguments.data_dir,
            "train",
            skeleton,
            further_texts=arguments.further_texts,
            **arguments.variants,
            **arguments.limits,
        )
        val_set = load_motion_dataset(arguments.data_dir, "val", skeleton, **arguments.limits)
        workers = {"num_workers": arguments.num_workers}
        num_offsets = arguments.num_offsets or vq.config.unit_length
        train_set = tokenize_motions(train_set, vq, feature_extractor, num_offsets=num_offsets, **workers)
        val_set = tokenize_motions(val_set, vq, feature_extractor, **workers)

    m2t_tokenizer = load_processor(TM2TProcessor, arguments.m2t).tokenizer if arguments.m2t else None
    if arguments.init_from:
        tokenizer = load_processor(TM2TProcessor, arguments.init_from).tokenizer
    elif arguments.text_encoder:
        tokenizer = text_encoder_tokenizer(arguments.text_encoder)
    elif arguments.m2t:
        tokenizer = m2t_tokenizer
    else:
        captions = [caption for captions in train_set["captions"] for caption in captions]
        tokenizer = train_text_tokenizer(captions, arguments.text_vocab_size)
    processor = TM2TProcessor(
        feature_extractor=feature_extractor,
        tokenizer=tokenizer,
        motion_tokenizer=MotionTokenizer(codebook_size=vq.config.codebook_size),
    )
    if arguments.init_from:
        model = load_whole(AutoModelForSeq2SeqLM, arguments.init_from, **arguments.changes)
        if not isinstance(model, (TextToMotionModel, TextToMotionTransformer)):
            raise ValueError(
                f"{arguments.init_from} is of type {model.config.model_type}, not a text-to-motion model."
            )
        if arguments.architecture == "transformer" and not isinstance(model, TextToMotionTransformer):
            raise ValueError(f"--architecture transformer is for a new model, but {arguments.init_from} is a GRU.")
        if not arguments.freeze_text_encoder and model.config.text_encoder_config is None:
            raise ValueError(f"--no_freeze_text_encoder is given, but {arguments.init_from} has no text encoder.")
        check_same_codes(vq, model, arguments.init_from)
        reference = copy.deepcopy(model).to(accelerator.device).eval().requires_grad_(False)
    else:
        text = {"text_vocab_size": len(tokenizer), "text_pad_id": tokenizer.pad_token_id}
        if arguments.text_encoder:
            text_encoder = AutoModelForTextEncoding.from_pretrained(arguments.text_encoder, dtype=torch.float32)
            if Path(arguments.text_encoder).is_dir():
                text_encoder.config.name_or_path = ""  # of no use to others
            text = {"text_encoder_config": text_encoder.config, "freeze_text_encoder": arguments.freeze_text_encoder}
            text |= {"frozen_storage_dtype": "float16"}
        config = arguments.config_class(vq_config=vq.config, **text, **arguments.model_config)
        model = AutoModelForSeq2SeqLM.from_config(config)
        if arguments.text_encoder:
            model.set_text_encoder(text_encoder)
    is_gru = isinstance(model, TextToMotionModel)
    max_tokens = arguments.max_tokens or model.generation_config.max_new_tokens
    has_text_encoder = model.config.text_encoder_config is not None
    model.vq = vq
    sampling = {"top_k": arguments.sample_top_k, "temperature": arguments.sample_temperature}
    model.generation_config.update(do_sample=True, **sampling)

    text_features = None
    if has_text_encoder and model.config.freeze_text_encoder:
        text_features = CaptionFeatures(model, tokenizer)
        if arguments.num_workers:
            text_features([caption for each in (train_set, val_set) for row in each["captions"] for caption in row])

    def collator(random):
        return TranslationCollator(
            tokenizer,
            processor.motion_tokenizer,
            "t2m",
            random=random,
            even_sources=arguments.even_sources,
            text_features=text_features,
            label_tokenizer=m2t_tokenizer if arguments.alignment_weight else None,
            seed=arguments.seed,
        )

    train_loader = training_loader(accelerator, arguments, train_set, collator(random=True))
    val_loader = validation_loader(accelerator, arguments, val_set, collator(random=False))
    reduction = model.config.loss_reduction

    def corrupted(ids, moment):
        """Some codes replaced by random ones: in generation the model reads its own mistakes too."""
        coins, draws = (moment.uniform(arguments.seed, ids.shape[1], kind).to(ids.device) for kind in range(2))
        replaced = (coins < arguments.token_corruption) & (ids < vq.config.codebook_size)  # (batch, tokens)
        return torch.where(replaced, (draws * vq.config.codebook_size).long(), ids)

    def motion_output(model, batch, teacher_forcing, moment=None):
        bare = accelerator.unwrap_model(model)
        read = bare.prepare_decoder_input_ids_from_labels(batch["labels"])
        if moment is not None and arguments.token_corruption:
            read = corrupted(read, moment)
        inputs = {name: tensor for name, tensor in batch.items() if name != "caption_labels"}
        forcing = {"teacher_forcing": teacher_forcing} if is_gru else {}  # the transformer reads real tokens alone
        return model(**inputs, decoder_input_ids=read, **forcing)

    def counts(batch):
        labels = {"motion_loss": batch["labels"]}
        if arguments.alignment_weight:
            labels["alignment_loss"] = batch["caption_labels"]
        return {name: (each != -100).sum() for name, each in labels.items()}

    def motion_loss(output, batch):
        return Loss(output.loss, counts(batch)["motion_loss"], reduction=reduction)

    def gumbel_noise(moment, sizes):
        """Gumbel noise of each row (tokens, K + 3), the same whichever process the row is in."""
        for row, size in zip(moment.rows, sizes, strict=True):
            seed = np.random.SeedSequence((arguments.seed, moment.epoch, moment.step, row)).generate_state(1)[0]
            generator = torch.Generator(accelerator.device).manual_seed(int(seed))
            noise = torch.empty(size, vq.config.motion_vocab_size, device=accelerator.device)
            yield -noise.exponential_(generator=generator).log()

    def alignment_losses(model, batch, logits, moment=None):
        bare = accelerator.unwrap_model(model)
        text = {name: batch[name] for name in ("input_ids", "inputs_embeds", "attention_mask") if name in batch}
        options = {"tau": arguments.alignment_tau}
        if arguments.alignment_samples == "teacher_forced":
            if moment is not None:
                noise = gumbel_noise(moment, (batch["labels"] != -100).sum(1).tolist())
                options["noise"] = torch.nn.utils.rnn.pad_sequence(list(noise), batch_first=True)
            options = {"samples": teacher_forced_samples(bare, logits, batch["labels"], **options)}
        else:
            if moment is not None:
                noise = gumbel_noise(moment, [max_tokens] * len(moment.rows))
                options["noise"] = torch.stack(list(noise), dim=1)  # (max_tokens, batch, K + 3)
            options |= {"max_tokens": max_tokens, "end_rule": arguments.alignment_end_rule}
        labels = batch["caption_labels"]
        output = inverse_alignment_loss(
            bare,
            m2t,
            labels,
            **text,
            append_eom=arguments.alignment_append_eom,
            reference=reference if arguments.alignment_kl_weight else None,
            **options,
        )
        words = counts(batch)["alignment_loss"]
        losses = {"alignment_loss": Loss(output.loss, words, arguments.alignment_weight, reduction)}
        if output.kl is not None:
            tokens = (output.samples.lengths + 1).clamp(max=output.samples.logits.shape[1]).sum()
            losses["alignment_kl"] = Loss(output.kl, tokens, arguments.alignment_kl_weight, reduction)
        return losses

    def training_losses(model, batch, moment):
        # one coin per batch of all processes, as in the original
        coin = np.random.default_rng((arguments.seed, moment.epoch, moment.step)).random()
        output = motion_output(model, batch, bool(coin < arguments.teacher_forcing(moment.epoch)), moment)
        losses = {"motion_loss": motion_loss(output, batch)}
        if not arguments.alignment_weight or moment.epoch < arguments.alignment_start_epoch:
            yield losses
        elif arguments.alignment_update == "separate":
            yield losses
            if arguments.alignment_samples == "teacher_forced":
                output = motion_output(model, batch, teacher_forcing=True, moment=moment)
            yield alignment_losses(model, batch, output.logits, moment)
        else:
            yield losses | alignment_losses(model, batch, output.logits, moment)

    def validation_losses(model, batch):
        output = motion_output(model, batch, teacher_forcing=True)
        losses = {"motion_loss": motion_loss(output, batch)}
        if arguments.alignment_weight:
            # also before its start, so that the losses of all epochs compare; the same draws each time
            with torch.random.fork_rng():
                torch.manual_seed(arguments.seed)
                losses |= alignment_losses(model, batch, output.logits)
        return losses

    def samples(model):
        captions = [val_set[number]["captions"][0] for number in range(min(NUM_SAMPLES, len(val_set)))]
        text = tokenizer(captions, padding=True, padding_side="right", return_tensors="pt").to(accelerator.device)
        ids = model.generate(input_ids=text["input_ids"], attention_mask=text["attention_mask"])
        for number, (caption, motion) in enumerate(zip(captions, model.decode_motion(ids), strict=True), 1):
            joints = feature_extractor.post_process(motion)[0] if len(motion) else None
            yield Sample(f"caption {number}", caption, joints)

    def save(model, folder: Path, scores: dict):
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        write_model_card(folder, stage="t2m", arguments=arguments, scores=scores)

    def finish(folder: Path):
        captions_of_clips = defaultdict(list)
        for name, captions in zip(train_set["id"], train_set["captions"], strict=True):
            captions_of_clips[re.split("[@*#~]", name)[0]] += captions  # of its parts and variants too
        calibrate_requests(folder, list(captions_of_clips.values()))

    fit(
        accelerator,
        arguments,
        model,
        train_loader,
        val_loader,
        training_losses,
        validation_losses,
        save,
        learning_rates={TEXT_ENCODER: arguments.text_encoder_lr} if has_text_encoder else {},
        counts=counts,
        samples=samples,
        processor=processor,
        finish=finish,
    )


if __name__ == "__main__":
    run(main)
