# SPDX-License-Identifier: GPL-3.0-or-later
"""What the farm's validation found, made readable.

``analysis`` is untyped in the documentation (Renderjuice docs, Start render), so nothing of it is
relied on: what looks like a fact or a finding is shown, and the rest is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...frames import FrameRanges, parse
from ...problems import ProblemError

_MOST = 40
_LONGEST = 200
_DEPTH = 3
#: names of lists that speak of something to look at, with how serious it is
_FINDINGS = {
    "errors": "blocking",
    "error": "blocking",
    "problems": "blocking",
    "warnings": "warning",
    "warning": "warning",
    "issues": "warning",
    "findings": "warning",
    "missing": "warning",
    "missing_files": "warning",
    "notices": "info",
    "notes": "info",
}
_SEVERITIES = {
    "error": "blocking",
    "blocking": "blocking",
    "critical": "blocking",
    "warning": "warning",
    "warn": "warning",
    "info": "info",
    "notice": "info",
}
_START = ("frame_start", "start_frame", "start", "first")
_END = ("frame_end", "end_frame", "end", "last")
_STEP = ("frame_step", "step")


def readable(job: Mapping[str, Any]) -> dict[str, Any]:
    """``{"facts": [[label, value], …], "findings": [{"severity", "sentence", "hint"}, …]}``."""
    found = job.get("analysis")
    facts: list[list[str]] = []
    findings: list[dict[str, str]] = []
    if job.get("isAnalysisSkipped") is True:
        findings.append(_finding("warning", "Renderjuice did not analyse this scene."))
    if isinstance(found, dict):
        _read(found, "", facts, findings, 0)
    elif isinstance(found, list):
        findings += list(_listed(found, "warning"))
    elif isinstance(found, str) and found.strip():
        facts.append(["Analysis", _short(found)])
    return {"facts": facts[:_MOST], "findings": findings[:_MOST]}


def _read(
    data: Mapping[str, Any],
    above: str,
    facts: list[list[str]],
    findings: list[dict[str, str]],
    depth: int,
) -> None:
    for name, value in data.items():
        known = _FINDINGS.get(_snake(name))
        label = f"{above}{_label(name)}"
        if known is not None and isinstance(value, list | str | dict):
            findings += list(_listed(value if isinstance(value, list) else [value], known))
        elif isinstance(value, dict) and depth < _DEPTH:
            _read(value, f"{label}: ", facts, findings, depth + 1)
        elif isinstance(value, list):
            plain = [str(item) for item in value if isinstance(item, str | int | float)]
            if plain:
                facts.append([label, _short(", ".join(plain))])
        elif value is not None and not isinstance(value, dict):
            shown = {True: "yes", False: "no"}.get(value) if isinstance(value, bool) else value
            facts.append([label, _short(str(shown))])


def _listed(items: list[Any], severity: str) -> Iterator[dict[str, str]]:
    for item in items:
        if isinstance(item, str) and item.strip():
            yield _finding(severity, item)
        elif isinstance(item, dict) and item:
            words = next(
                (
                    str(item[name])
                    for name in ("message", "sentence", "text", "description", "path", "name")
                    if isinstance(item.get(name), str) and item[name].strip()
                ),
                ", ".join(f"{name} {value}" for name, value in item.items()),
            )
            told = str(item.get("severity") or item.get("level") or "").lower()
            hint = item.get("hint")
            yield _finding(
                _SEVERITIES.get(told, severity), words, hint if isinstance(hint, str) else ""
            )


def _finding(severity: str, sentence: str, hint: str = "") -> dict[str, str]:
    return {"severity": severity, "sentence": _short(sentence), "hint": _short(hint)}


def frames(job: Mapping[str, Any]) -> FrameRanges | None:
    """The scene's frames as the farm found them, where it says so in a way that can be read."""
    found = job.get("analysis")
    if not isinstance(found, dict):
        return None
    plain = {_snake(name): value for name, value in found.items()}
    for inner in ("frames", "frame_range", "scene", "render"):
        if isinstance(plain.get(inner), dict):
            plain |= {_snake(name): value for name, value in plain[inner].items()}
    first, last = (_number(plain, names) for names in (_START, _END))
    if first is None or last is None:
        return None
    step = _number(plain, _STEP) or 1
    try:
        return parse(f"{first}-{last}x{max(1, step)}")
    except ProblemError:
        return None


def _number(data: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = data.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _snake(name: Any) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", str(name)).lower().replace(" ", "_")


def _label(name: Any) -> str:
    return _snake(name).replace("_", " ").strip().capitalize()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
