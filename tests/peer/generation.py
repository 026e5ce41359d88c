# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Tests of `generate()`, in place of transformers' mixin of this name, which its distribution leaves out.

They ask of an encoder-decoder model what that mixin asks: the same captions or motions by every way that leads to
them, and outputs of the promised form.
"""

import copy
import inspect
import tempfile
import warnings

import torch
from transformers import (
    DynamicCache,
    EncoderDecoderCache,
    GenerationConfig,
    GenerationMixin,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.cache_utils import Cache
from transformers.generation import GenerateBeamEncoderDecoderOutput, GenerateEncoderDecoderOutput
from transformers.generation.streamers import BaseStreamer
from transformers.modeling_outputs import BaseModelOutput

NEW_TOKENS = 4


class _Recorder(BaseStreamer):
    def __init__(self):
        self.ids, self.ended = [], False

    def put(self, value):
        self.ids += value.flatten().tolist()

    def end(self):
        self.ended = True


class _StopAfter(StoppingCriteria):
    def __init__(self, length: int):
        self.length = length

    def __call__(self, input_ids, scores, **kwargs):
        return torch.full((len(input_ids),), input_ids.shape[1] >= self.length, dtype=torch.bool)


class GenerationTesterMixin:
    """`generate()` of every model class in `all_generative_model_classes`; needs what `ModelTesterMixin` needs."""

    def _each(self, batch_size: int = 2):
        """A seeded model of each class that never ends by itself, and what it reads."""
        for model_class in self.all_generative_model_classes:
            config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
            torch.manual_seed(0)
            model = model_class(copy.deepcopy(config)).eval()
            model.generation_config.eos_token_id = None
            kept = {
                name: value[:batch_size] if isinstance(value, torch.Tensor) else value
                for name, value in inputs.items()
                if not name.startswith("decoder_") and name not in ("labels", "use_cache")
            }
            yield model, kept

    def _generate(self, model, inputs, **kwargs):
        arguments = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "num_beams": 1} | kwargs
        return model.generate(**copy.deepcopy(inputs), **arguments)

    def _details(self, model, inputs, **kwargs):
        """All that `generate()` can return."""
        return self._generate(
            model,
            inputs,
            return_dict_in_generate=True,
            output_scores=True,
            output_logits=True,
            output_hidden_states=True,
            output_attentions=self.has_attentions,
            **kwargs,
        )

    def _check_details(self, output, model, batch: int, sequences: int, use_cache: bool):
        """Shapes of what `_details` returned, for `batch` rows inside the model and `sequences` returned."""
        vocab_size = model.config.get_text_config(decoder=True).vocab_size
        self.assertEqual(output.sequences.shape, (sequences, NEW_TOKENS + 1))
        for steps in (output.scores, output.logits):
            self.assertEqual([step.shape for step in steps], [(batch, vocab_size)] * NEW_TOKENS)
        self.assertIsNotNone(output.encoder_hidden_states)
        self.assertEqual(len(output.decoder_hidden_states), NEW_TOKENS)
        for index, layers in enumerate(output.decoder_hidden_states):
            length = 1 if use_cache else index + 1
            for layer in layers:
                self.assertEqual(layer.shape[:2], (batch, length))
        if self.has_attentions:
            self.assertIsNotNone(output.encoder_attentions)
            self.assertEqual(len(output.decoder_attentions), NEW_TOKENS)
            self.assertEqual(len(output.cross_attentions), NEW_TOKENS)
        if use_cache:
            self.assertIsInstance(output.past_key_values, Cache)
            self.assertEqual(output.past_key_values.get_seq_length(), NEW_TOKENS)
        else:
            self.assertIsNone(output.past_key_values)

    def test_inherits_generation_mixin(self):
        for model_class in self.all_generative_model_classes:
            self.assertTrue(issubclass(model_class, GenerationMixin))

    def test_greedy_generate(self):
        for model, inputs in self._each():
            self.assertEqual(self._generate(model, inputs).shape, (2, NEW_TOKENS + 1))

    def test_greedy_generate_dict_outputs(self):
        for model, inputs in self._each():
            output = self._details(model, inputs, use_cache=False)
            self.assertIsInstance(output, GenerateEncoderDecoderOutput)
            self._check_details(output, model, 2, 2, use_cache=False)

    def test_greedy_generate_dict_outputs_use_cache(self):
        for model, inputs in self._each():
            output = self._details(model, inputs, use_cache=True)
            self._check_details(output, model, 2, 2, use_cache=True)

    def test_greedy_generate_is_the_argmax(self):
        for model, inputs in self._each():
            output = self._details(model, inputs)
            chosen = torch.stack([step.argmax(-1) for step in output.scores], dim=1)
            self.assertTrue(torch.equal(output.sequences[:, 1:], chosen))
            with torch.no_grad():  # teacher forcing sees the same logits
                forced = model(**inputs, decoder_input_ids=output.sequences[:, :-1]).logits
            torch.testing.assert_close(torch.stack(output.logits, dim=1), forced, atol=1e-4, rtol=1e-4)

    def test_generate_is_the_same_without_cache(self):
        for model, inputs in self._each():
            for beams in (1, 2):
                with_cache = self._generate(model, inputs, num_beams=beams, use_cache=True)
                self.assertTrue(
                    torch.equal(with_cache, self._generate(model, inputs, num_beams=beams, use_cache=False))
                )

    def test_generate_is_the_same_for_a_row_alone(self):
        for model, inputs in self._each():
            together = self._generate(model, inputs)
            for row in range(2):
                own = {
                    name: value[row : row + 1] if isinstance(value, torch.Tensor) else value
                    for name, value in inputs.items()
                }
                self.assertTrue(torch.equal(self._generate(model, own)[0], together[row]))

    def test_sample_generate(self):
        for model, inputs in self._each():
            torch.manual_seed(1)
            first = self._generate(model, inputs, do_sample=True, top_k=10, top_p=0.7, temperature=0.7)
            torch.manual_seed(1)
            again = self._generate(model, inputs, do_sample=True, top_k=10, top_p=0.7, temperature=0.7)
            self.assertEqual(first.shape, (2, NEW_TOKENS + 1))
            self.assertTrue(torch.equal(first, again))

    def test_sample_generate_dict_output(self):
        for model, inputs in self._each():
            output = self._details(model, inputs, do_sample=True, num_return_sequences=2, use_cache=False)
            self.assertIsInstance(output, GenerateEncoderDecoderOutput)
            self._check_details(output, model, 4, 4, use_cache=False)

    def test_beam_search_generate(self):
        for model, inputs in self._each():
            for returned in (1, 2):
                output = self._generate(model, inputs, num_beams=2, num_return_sequences=returned)
                self.assertEqual(output.shape, (2 * returned, NEW_TOKENS + 1))

    def test_beam_search_generate_dict_output(self):
        for model, inputs in self._each():
            output = self._details(model, inputs, num_beams=2, use_cache=False)
            self.assertIsInstance(output, GenerateBeamEncoderDecoderOutput)
            self.assertEqual(output.sequences_scores.shape, (2,))
            self._check_details(output, model, 4, 2, use_cache=False)

    def test_beam_search_generate_dict_outputs_use_cache(self):
        for model, inputs in self._each():
            output = self._details(model, inputs, num_beams=2, num_return_sequences=2, use_cache=True)
            self._check_details(output, model, 4, 4, use_cache=True)

    def test_beam_search_is_no_worse_than_greedy_search(self):
        def log_probability(model, inputs, ids):
            with torch.no_grad():
                logits = model(**inputs, decoder_input_ids=ids[:, :-1]).logits
            suppressed = model.generation_config.suppress_tokens
            if suppressed:
                logits[..., suppressed] = -torch.inf
            return logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).sum((1, 2))

        for model, inputs in self._each():
            vocab_size = model.config.get_text_config(decoder=True).vocab_size
            greedy = log_probability(model, inputs, self._generate(model, inputs, max_new_tokens=2))
            exhaustive = self._generate(model, inputs, max_new_tokens=2, num_beams=vocab_size)
            self.assertTrue((log_probability(model, inputs, exhaustive) >= greedy - 1e-5).all())

    def test_beam_sample_generate(self):
        for model, inputs in self._each():
            output = self._details(model, inputs, num_beams=2, do_sample=True, use_cache=False)
            self.assertIsInstance(output, GenerateBeamEncoderDecoderOutput)
            self._check_details(output, model, 4, 2, use_cache=False)

    def test_generate_without_input_ids(self):
        """There is nothing to translate: an answer that says so, or an answer, but no other error."""
        for model, _ in self._each():
            try:
                self.assertIsNotNone(model.generate(do_sample=False, max_new_tokens=NEW_TOKENS))
            except ValueError as error:
                self.assertTrue(str(error))

    def test_generate_with_logits_processors(self):
        for model, inputs in self._each():
            first = self._generate(model, inputs)[:, 1].tolist()
            kept_away = self._generate(model, inputs, bad_words_ids=[[index] for index in first])
            self.assertFalse(set(kept_away[:, 1:].flatten().tolist()) & set(first))
            self._generate(
                model, inputs, repetition_penalty=1.2, no_repeat_ngram_size=2, min_new_tokens=2, num_beams=2
            )

    def test_generate_stops_at_eos(self):
        for model, inputs in self._each():
            ids = self._generate(model, inputs)
            end = int(ids[0, 2])
            stopped = self._generate(model, inputs, eos_token_id=end)
            for row, free in zip(stopped.tolist(), ids.tolist(), strict=True):
                length = free.index(end, 1) + 1 if end in free[1:] else len(free)
                self.assertEqual(row[:length], free[:length])
                self.assertEqual(set(row[length:]) - {model.generation_config.pad_token_id}, set())

    def test_generate_with_stopping_criteria(self):
        for model, inputs in self._each():
            ids = self._generate(model, inputs, stopping_criteria=StoppingCriteriaList([_StopAfter(3)]))
            self.assertEqual(ids.shape, (2, 3))

    def test_generate_with_streamer(self):
        for model, inputs in self._each(batch_size=1):
            recorder = _Recorder()
            ids = self._generate(model, inputs, streamer=recorder)
            self.assertEqual(recorder.ids, ids[0].tolist())
            self.assertTrue(recorder.ended)

    def test_generate_with_generation_config(self):
        for model, inputs in self._each():
            config = GenerationConfig.from_dict(model.generation_config.to_dict() | {"max_new_tokens": 2})
            before = config.to_dict()
            ids = model.generate(**inputs, generation_config=config, do_sample=False)
            self.assertEqual(ids.shape, (2, 3))
            self.assertEqual(config.to_dict(), before)

    def test_generation_config_is_saved(self):
        for model, inputs in self._each():
            model.generation_config.max_new_tokens = 3
            model.generation_config.num_beams = 2
            with tempfile.TemporaryDirectory() as folder:
                model.save_pretrained(folder)
                loaded = type(model).from_pretrained(folder)
            self.assertEqual(loaded.generation_config.to_diff_dict(), model.generation_config.to_diff_dict())
            self.assertTrue(torch.equal(loaded.generate(**inputs), model.generate(**inputs)))

    def test_generate_changes_nothing(self):
        for model, inputs in self._each():
            inputs_before, config_before = copy.deepcopy(inputs), model.config.to_dict()
            generation_before = model.generation_config.to_dict()
            self._generate(model, inputs, num_beams=2)
            model.generate(**inputs, max_new_tokens=2)
            for name, value in inputs_before.items():
                self.assertTrue(torch.equal(inputs[name], value) if torch.is_tensor(value) else inputs[name] == value)
            self.assertEqual(model.config.to_dict(), config_before)
            self.assertEqual(model.generation_config.to_dict(), generation_before)

    def test_generate_from_encoder_outputs(self):
        for model, inputs in self._each():
            main = inputs.pop(model.main_input_name)
            with torch.no_grad():
                encoded = model.get_encoder()(main, **inputs)
            self.assertTrue(encoded.last_hidden_state is not None)
            for beams in (1, 2):
                expected = self._generate(model, inputs | {model.main_input_name: main}, num_beams=beams)
                ids = self._generate(model, inputs | {"encoder_outputs": copy.deepcopy(encoded)}, num_beams=beams)
                self.assertTrue(torch.equal(ids, expected))

    def test_generate_from_inputs_embeds(self):
        for model, inputs in self._each():
            if "inputs_embeds" not in inspect.signature(model.get_encoder().forward).parameters:
                self.skipTest("the encoder takes no inputs_embeds")
            embeds = model.get_input_embeddings()(inputs[model.main_input_name])
            embeds = (embeds * getattr(model.get_encoder(), "embed_scale", 1.0)).detach()
            others = {name: value for name, value in inputs.items() if name != model.main_input_name}
            mask = others.pop("attention_mask", torch.ones(embeds.shape[:2], dtype=torch.long))
            for beams in (1, 2):
                expected = self._generate(model, inputs | {"attention_mask": mask}, num_beams=beams)
                ids = self._generate(
                    model, others | {"inputs_embeds": embeds, "attention_mask": mask}, num_beams=beams
                )
                self.assertTrue(torch.equal(ids, expected))

    def _check_continued(self, with_mask: bool):
        """What `generate()` goes on to from its own cache is what it gives in one go."""
        for model, inputs in self._each():
            whole = self._generate(model, inputs, return_dict_in_generate=True)
            part = self._generate(model, inputs, max_new_tokens=NEW_TOKENS - 1, return_dict_in_generate=True)
            mask = {"decoder_attention_mask": torch.ones_like(part.sequences)} if with_mask else {}
            rest = self._generate(
                model,
                inputs,
                decoder_input_ids=part.sequences,
                past_key_values=part.past_key_values,
                max_new_tokens=1,
                return_dict_in_generate=True,
                output_logits=True,
                **mask,
            )
            self.assertTrue(torch.equal(rest.sequences, whole.sequences))
            with torch.no_grad():
                forced = model(**inputs, decoder_input_ids=part.sequences).logits[:, -1]
            torch.testing.assert_close(rest.logits[0], forced, atol=1e-4, rtol=1e-4)

    def test_generate_continue_from_past_key_values(self):
        self._check_continued(with_mask=True)

    def test_generate_continue_from_past_key_values_without_mask(self):
        self._check_continued(with_mask=False)

    def test_generate_continue_from_decoder_input_ids(self):
        for model, inputs in self._each():
            whole = self._generate(model, inputs)
            rest = self._generate(model, inputs, decoder_input_ids=whole[:, :3], max_new_tokens=NEW_TOKENS - 2)
            self.assertTrue(torch.equal(rest, whole))

    def test_past_key_values_format(self):
        for model, inputs in self._each():
            ids = self._generate(model, inputs)
            with torch.no_grad():
                cache = model(**inputs, decoder_input_ids=ids[:, :2], use_cache=True).past_key_values
                self.assertIsInstance(cache, Cache)
                self.assertEqual(cache.get_seq_length(), 2)
                expected = model(**inputs, decoder_input_ids=ids[:, :3]).logits[:, -1]
                step = model(**inputs, decoder_input_ids=ids[:, 2:3], past_key_values=cache, use_cache=True)
            torch.testing.assert_close(step.logits[:, -1], expected, atol=1e-4, rtol=1e-4)
            self.assertEqual(step.past_key_values.get_seq_length(), 3)

    def _check_cache_operation(self, change, rows: list[int]):
        """`change` what a cache holds, to the state that rows `rows` of the batch would have."""
        for model, inputs in self._each():
            ids = self._generate(model, inputs)
            chosen = {name: value[rows] if torch.is_tensor(value) else value for name, value in inputs.items()}
            with torch.no_grad():
                cache = model(**inputs, decoder_input_ids=ids[:, :2], use_cache=True).past_key_values
                change(cache)
                step = model(**chosen, decoder_input_ids=ids[rows, 2:3], past_key_values=cache, use_cache=True)
                expected = model(**chosen, decoder_input_ids=ids[rows, :3]).logits[:, -1]
            torch.testing.assert_close(step.logits[:, -1], expected, atol=1e-4, rtol=1e-4)

    def test_cache_reorders(self):
        self._check_cache_operation(lambda cache: cache.reorder_cache(torch.tensor([1, 0])), [1, 0])

    def test_cache_selects_rows(self):
        self._check_cache_operation(lambda cache: cache.batch_select_indices(torch.tensor([1])), [1])

    def test_cache_repeats_rows(self):
        self._check_cache_operation(lambda cache: cache.batch_repeat_interleave(2), [0, 0, 1, 1])

    def test_cache_crops_or_refuses(self):
        """A cache that cannot go back must say so: with another state it would give other tokens without a word."""
        for model, inputs in self._each():
            ids = self._generate(model, inputs)
            with torch.no_grad():
                cache = model(**inputs, decoder_input_ids=ids[:, :3], use_cache=True).past_key_values
                try:
                    cache.crop(2)
                except (NotImplementedError, ValueError):
                    continue
                step = model(**inputs, decoder_input_ids=ids[:, 2:3], past_key_values=cache, use_cache=True)
                expected = model(**inputs, decoder_input_ids=ids[:, :3]).logits[:, -1]
            torch.testing.assert_close(step.logits[:, -1], expected, atol=1e-4, rtol=1e-4)

    def test_assisted_decoding_matches_greedy_search(self):
        for model, inputs in self._each(batch_size=1):
            model.generation_config.num_assistant_tokens = 2
            model.generation_config.num_assistant_tokens_schedule = "constant"
            self._check_assisted(model, inputs, assistant_model=model)

    def test_prompt_lookup_decoding_matches_greedy_search(self):
        for model, inputs in self._each(batch_size=1):
            self._check_assisted(model, inputs, prompt_lookup_num_tokens=2)

    def _check_assisted(self, model, inputs, **kwargs):
        """The tokens of greedy search; of a model whose state cannot go back, a ValueError."""
        if model._is_stateful:
            with self.assertRaises(ValueError):
                self._generate(model, inputs, **kwargs)
        else:
            assisted = self._generate(model, inputs, **kwargs)
            self.assertTrue(torch.equal(assisted, self._generate(model, inputs)))

    def test_generate_with_static_cache(self):
        for model, inputs in self._each():
            if not model._can_compile_fullgraph:
                self.skipTest(f"{type(model).__name__} takes no static cache")
            expected = self._generate(model, inputs)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ids = self._generate(model, inputs, cache_implementation="static", disable_compile=True)
            self.assertTrue(torch.equal(ids, expected))

    def test_generate_compiles_fullgraph(self):
        """What declares `_can_compile_fullgraph` runs its forward without a graph break."""
        for model, inputs in self._each():
            if not model._can_compile_fullgraph:
                self.skipTest(f"{type(model).__name__} does not declare that it compiles")
            torch.compiler.reset()
            ids = self._generate(model, inputs)
            compiled = torch.compile(model, backend="eager", fullgraph=True)
            with torch.no_grad():
                actual = compiled(**inputs, decoder_input_ids=ids, use_cache=False).logits
                torch.testing.assert_close(
                    actual, model(**inputs, decoder_input_ids=ids, use_cache=False).logits, atol=1e-4, rtol=1e-4
                )

    def test_generate_in_half_precision(self):
        for model, inputs in self._each():
            for dtype in (torch.bfloat16, torch.float16):
                self.assertEqual(self._generate(copy.deepcopy(model).to(dtype), inputs).shape, (2, NEW_TOKENS + 1))

    def test_eager_matches_sdpa_generate(self):
        for model, inputs in self._each():
            if not model._supports_sdpa:
                self.skipTest(f"{type(model).__name__} has no attention of more than one implementation")
            with tempfile.TemporaryDirectory() as folder:
                model.save_pretrained(folder)
                ids = [
                    type(model)
                    .from_pretrained(folder, attn_implementation=implementation)
                    .generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
                    for implementation in ("eager", "sdpa")
                ]
            self.assertTrue(torch.equal(*ids))

    def test_generate_refuses_unknown_arguments(self):
        for model, inputs in self._each():
            with self.assertRaises(ValueError):
                self._generate(model, inputs, no_such_argument=1)

    def test_generate_with_cache_given(self):
        """An empty standard cache is used, or refused; never silently replaced."""
        for model, inputs in self._each():
            cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
            try:
                output = self._generate(model, inputs, past_key_values=cache, return_dict_in_generate=True)
            except (TypeError, ValueError) as error:
                self.assertTrue(str(error))
                continue
            self.assertIs(output.past_key_values, cache)
            self.assertTrue(torch.equal(output.sequences, self._generate(model, inputs)))

    def test_encoder_outputs_as_tuple(self):
        """`BaseModelOutput` and tuple stand for each other, as in every encoder-decoder model."""
        for model, inputs in self._each():
            ids = self._generate(model, inputs)
            main = inputs.pop(model.main_input_name)
            with torch.no_grad():
                encoded = model.get_encoder()(main, **inputs)
                expected = model(encoder_outputs=encoded, **inputs, decoder_input_ids=ids).logits
                if not isinstance(encoded, BaseModelOutput):
                    continue
                actual = model(encoder_outputs=encoded.to_tuple(), **inputs, decoder_input_ids=ids).logits
            torch.testing.assert_close(actual, expected)
