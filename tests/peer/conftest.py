# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""The table at the end: how many common tests of each class ran, passed, failed and were skipped."""

from collections import Counter, defaultdict

# of tests that need a GPU or are slow; transformers declares them in a file that its distribution leaves out
MARKERS = ("flash_attn_test", "flash_attn_3_test", "flash_attn_4_test", "torch_compile_test", "accelerate_tests")
MARKERS += ("is_pipeline_test",)

_counts: dict[str, Counter] = defaultdict(Counter)
_failed_parts: set[str] = set()
_OUTCOMES = ("passed", "failed", "skipped")


def pytest_configure(config):
    for marker in MARKERS:
        config.addinivalue_line("markers", f"{marker}: of transformers' common tests")


def pytest_runtest_logreport(report):
    if "tests/peer/" not in report.nodeid:
        return
    if getattr(report, "context", None) is not None:  # a subtest, which fails without failing the test around it
        if report.failed:
            _failed_parts.add(report.nodeid)
    elif report.when == "call" or report.outcome != "passed":
        outcome = "failed" if report.nodeid in _failed_parts else report.outcome
        _counts[report.nodeid.split("::")[1]][outcome] += 1


def pytest_terminal_summary(terminalreporter):
    if not _counts:
        return
    terminalreporter.section("common tests of transformers")
    width = max(map(len, _counts))
    terminalreporter.write_line(f"{'class':{width}}   total  passed  failed  skipped")
    total = sum(_counts.values(), Counter())
    for name, counts in [*sorted(_counts.items()), ("all", total)]:
        numbers = "  ".join(f"{counts[outcome]:6}" for outcome in _OUTCOMES)
        terminalreporter.write_line(f"{name:{width}}  {counts.total():6}  {numbers}")
