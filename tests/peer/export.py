# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Tests of `torch.export`, in place of transformers' mixin of this name, which its distribution leaves out."""

import copy

import torch


def _tensors(output) -> dict[str, torch.Tensor]:
    """The tensors of a model's output by name; caches and nested outputs are left out."""
    return {name: value for name, value in output.items() if isinstance(value, torch.Tensor)}


class ExportTesterMixin:
    """Every model can be exported, and the exported program computes what the model does."""

    test_torch_exportable = True

    def _check_export(self, dynamic: bool):
        if not self.test_torch_exportable:
            self.skipTest("the model cannot be traced")
        for model_class in self.all_model_classes:
            with self.subTest(model_class.__name__):
                config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
                inputs = self._prepare_for_class(inputs, model_class)
                model = model_class(copy.deepcopy(config)).eval()
                if hasattr(config, "use_cache"):
                    model.config.use_cache = False
                shapes = None
                if dynamic:
                    batch = torch.export.Dim("batch", min=2, max=64)
                    shapes = {
                        name: {0: batch} if isinstance(value, torch.Tensor) else None for name, value in inputs.items()
                    }
                with torch.no_grad():
                    expected = _tensors(model(**inputs))
                    program = torch.export.export(
                        model, (), copy.deepcopy(inputs), dynamic_shapes=shapes, strict=False
                    )
                    actual = _tensors(program.module()(**copy.deepcopy(inputs)))
                    self.assertEqual(set(actual), set(expected))
                    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)
                    if dynamic:
                        doubled = {
                            name: torch.cat([value, value]) if isinstance(value, torch.Tensor) else value
                            for name, value in inputs.items()
                        }
                        torch.testing.assert_close(
                            _tensors(program.module()(**doubled)), _tensors(model(**doubled)), atol=1e-4, rtol=1e-4
                        )

    def test_torch_export(self):
        self._check_export(dynamic=False)

    def test_torch_export_dynamic(self):
        self._check_export(dynamic=True)
