# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""What tm2t_hf needs to be installed. The floors are what CI's "oldest" job runs with, constraints.txt what we run."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "tm2t_hf/__init__.py").read_text(encoding="utf-8"), re.M)[1]

EXTRAS = {
    "demo": ["pillow>=10.1"],  # tm2t-hf quickstart
    "app": ["gradio>=6.0"],  # tm2t-hf demo, examples/space
    "onnx": ["onnx>=1.18", "onnxruntime>=1.22", "onnxscript>=0.5"],  # examples/export_onnx.py
    "render": ["matplotlib>=3.8", "pillow>=10.1"],  # GIFs of motions, pictures of evaluations
    "trackers": ["tensorboard>=2.14", "trackio>=0.2", "wandb>=0.19"],  # --report_to of the training scripts
    "video": ["av>=12"],  # .mp4 where ffmpeg is not installed
    "metrics": ["evaluate>=0.4.3"],  # tm2t_hf.metrics and examples/evaluate_tm2t.py
}
EXTRAS["dev"] = [
    *EXTRAS["render"],
    *EXTRAS["metrics"],
    "hypothesis>=6.100",
    "lemminflect>=0.2.3",
    "pandas>=2.2",
    "pytest>=8.0",
    "pytest-xdist>=3.6.1",
    "rouge_score>=0.1.2",
    "ruff>=0.17",
    "sacrebleu>=2.4",
]

setup(
    name="tm2t_hf",
    version=VERSION,
    description="Text to human motion and back (TM2T) with transformers, datasets, accelerate and evaluate",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The tm2t_hf team",
    license="Apache-2.0",
    keywords="human motion, motion generation, motion captioning, text-to-motion, motion-to-text, TM2T, HumanML3D",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=["tm2t_hf", "tm2t_hf.*"]),
    py_modules=["tm2t_hf_cli"],
    package_data={
        "tm2t_hf": [f"checkpoints/**/{name}" for name in ("*.json", "*.py", "*.safetensors", "README.md")],
        "tm2t_hf.formats": [
            f"web/{name}" for name in ("template.html", "viewer.js", "viewer.min.js", "three.LICENSE")
        ],
        "tm2t_hf.data": ["*.md"],
        "tm2t_hf.training": ["*.md", "*.txt"],
    },
    install_requires=[
        "accelerate>=1.2",
        "filelock>=3.15",
        "datasets>=4.3",
        "huggingface_hub>=1.31",
        "Jinja2>=3.1",
        "numpy>=1.26",
        "safetensors>=0.8",
        "tokenizers>=0.23.1",
        "torch>=2.6",
        "tqdm>=4.66",
        "transformers>=5.20,<6",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["tm2t-hf=tm2t_hf_cli:console"]},
)
