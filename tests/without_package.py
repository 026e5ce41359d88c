# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Run by test_auto_classes.py: loads checkpoints in a process that cannot import tm2t_hf, and reports what it got.

    python without_package.py NAMES_JSON OUTPUT_DIR REPORT_JSON

NAMES_JSON: {"folders": {type of model: folder}, "hub": {type of model: Hub id}}. Every model is saved again, in
OUTPUT_DIR/folders/ and OUTPUT_DIR/hub/.
"""

import json
import sys
from pathlib import Path

sys.modules["tm2t_hf"] = None  # makes `import tm2t_hf` fail

import huggingface_hub  # noqa: E402
import torch  # noqa: E402
from transformers import (  # noqa: E402
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForSeq2SeqLM,
    AutoProcessor,
    AutoTokenizer,
    pipeline,
)

TRUST = {"trust_remote_code": True}


def report_of(name: str, model_type: str, output_dir: Path) -> dict:
    found = [AutoConfig.from_pretrained(name, **TRUST), AutoModel.from_pretrained(name, **TRUST)]
    found += [AutoProcessor.from_pretrained(name, **TRUST), AutoFeatureExtractor.from_pretrained(name, **TRUST)]
    model, processor = found[1:3]
    if model_type != "tm2t-vq":
        AutoTokenizer.from_pretrained(name, **TRUST)
    if model.can_generate():
        found.append(AutoModelForSeq2SeqLM.from_pretrained(name, **TRUST))
        tokenizer = AutoTokenizer.from_pretrained(name, subfolder="motion_tokenizer", **TRUST)
        found.append(tokenizer)
        assert tokenizer.codes_to_text([1]) == "<bom> <motion_1> <eom>"
    model.save_pretrained(output_dir)
    processor.save_pretrained(output_dir)
    return {
        "classes": [f"{type(each).__module__}.{type(each).__name__}" for each in found],
        "weights": sum(float(parameter.detach().double().sum()) for parameter in model.parameters()),
    }


joints = torch.linspace(0, 1, 24 * 22 * 3).reshape(24, 22, 3).cumsum(0) / 10
options = {"do_sample": False, "min_new_tokens": 3, "max_new_tokens": 3, "return_codes": True}
report = {}
for place, names in json.loads(sys.argv[1]).items():
    huggingface_hub.constants.HF_HUB_OFFLINE = place != "hub"
    output_dir = Path(sys.argv[2]) / place
    reports = report[place] = {each: report_of(name, each, output_dir / each) for each, name in names.items()}
    for model_type in names.keys() & {"tm2t-t2m", "tm2t-t2m-on-encoder", "tm2t-t2m-transformer"}:
        animate = pipeline("text-to-motion", model=names[model_type], **TRUST)
        reports[model_type]["codes"] = animate("a person walks forward", **options)["codes"].tolist()
    describe = pipeline("motion-to-text", model=names["tm2t-m2t"], **TRUST)
    reports["caption"] = describe(joints, max_new_tokens=4)[0]["generated_text"]
    animate.save_pretrained(output_dir / "animate")
    describe.save_pretrained(output_dir / "describe")
try:
    import tm2t_hf  # noqa: F401
except ImportError:
    report["package"] = "cannot be imported"
Path(sys.argv[3]).write_text(json.dumps(report), encoding="utf-8")
