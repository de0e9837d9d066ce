# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs NVIDIA's simready-validate on a USD file, in its own Python environment.

The rule package needs a Python below 3.13, so it lives apart: the environment variable
SCENE_COURIER_VALIDATOR names its Python or the folder that holds it. Test dependency only.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "SCENE_COURIER_VALIDATOR"
PROFILE, VERSION = "Robotics-Prop", "4.0.0"

# Asks the tier package itself where its rules, features and profiles are.
_PATHS = """
import json
from pathlib import Path
import simready.foundation.tier_core as tier
root = Path(tier.__file__).parent
print(json.dumps([str(root / "capabilities"), str(root / "features"), str(root / "profiles")]))
"""


@dataclass
class Verdict:
    """``passed``, the requirement ``codes`` that failed, and the validator's own ``output``."""

    passed: bool
    codes: set[str] = field(default_factory=set)
    output: str = ""


def python() -> Path | None:
    """The validator's Python, or None if the variable is unset.

    Raises FileNotFoundError if it is set to something that is not there.
    """
    value = os.environ.get(VARIABLE, "")
    if not value:
        return None
    given = Path(value)
    names = ("python", "bin/python", "python.exe", "Scripts/python.exe")
    for path in (given, *(given / name for name in names)):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{VARIABLE} names {value}, where there is no Python")


def validate(usd: Path, *, timeout: float = 180.0) -> Verdict:
    """Validate one file against Robotics-Prop 4.0.0."""
    interpreter = python()
    assert interpreter is not None, f"{VARIABLE} is not set"
    # Paths of Blender's own Python must not leak into the validator's.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    found = subprocess.run(
        [str(interpreter), "-c", _PATHS],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=True,
    )
    rules, features, profiles = json.loads(found.stdout.strip().splitlines()[-1])
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        run = subprocess.run(
            [
                str(interpreter.with_name("simready-validate")),
                "--profile", PROFILE, "--version", VERSION,
                "--rules-path", rules, "--features-path", features, "--profiles-path", profiles,
                "--output", str(report), "-v", str(usd),
            ],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )  # fmt: skip
        text = run.stdout + run.stderr
        if report.is_file():
            text += report.read_text(encoding="utf-8")
    codes = set(re.findall(r"\b(?:[A-Z]{2,5}\.)+(?:[A-Z]+\.)?\d{3}\b", text))
    return Verdict(run.returncode == 0, codes, text)
