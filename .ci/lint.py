# SPDX-License-Identifier: GPL-3.0-or-later
"""Formatting, style and types, by the usual tools in their own environment.

python .ci/lint.py           check
python .ci/lint.py --fix     put right what can be put right
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import env
import machine

ROOT = env.ROOT


def _python_files(folder: str, leave_out: tuple[str, ...] = ()) -> list[str]:
    found = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.py"))
    return [path for path in found if not path.startswith(leave_out)] if leave_out else found


def _mypy(python: Path, folder: Path, files: list[str], cache: str) -> subprocess.CompletedProcess:
    command = [str(python), "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    command += ["--cache-dir", str(ROOT / ".mypy_cache" / cache), *files]
    environment = {**machine.clean_environment(), "MYPYPATH": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )


def check_types(python: Path) -> list[tuple[str, bool, str]]:
    """Two runs, as the code lives in two worlds.

    Bridge and recipes are top-level packages to the worker and to a headless Blender. The add-on is
    part of the extension's package, and reaches the bridge through it; so for the second run the
    clone stands, by a link, under the name that Blender gives it.
    """
    outcomes = []
    bridge = _python_files("bridge") + _python_files("addon/recipes")
    if bridge:
        done = _mypy(python, ROOT, bridge, "bridge")
        outcomes.append(
            ("mypy: bridge and recipes", done.returncode == 0, done.stdout + done.stderr)
        )
    addon = _python_files("addon", ("addon/recipes/",))
    if addon:
        with tempfile.TemporaryDirectory(prefix="courier-types-") as temporary:
            os.symlink(ROOT, Path(temporary, "scene_courier"))
            files = [f"scene_courier/{path}" for path in ["__init__.py", *addon]]
            done = _mypy(python, Path(temporary), files, "addon")
        outcomes.append(("mypy: add-on", done.returncode == 0, done.stdout + done.stderr))
    return outcomes


def run(python: Path, *, fix: bool = False) -> list[tuple[str, bool, str]]:
    """All checks: name, whether it passed, and what the tool said."""
    outcomes = []
    style = ["check", "--fix"] if fix else ["check"]
    layout = ["format"] if fix else ["format", "--check"]
    for title, arguments in (("ruff: style", style), ("ruff: formatting", layout)):
        done = subprocess.run(
            [str(python), "-m", "ruff", *arguments, "."],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        outcomes.append((title, done.returncode == 0, done.stdout + done.stderr))
    return outcomes + check_types(python)


def main(arguments: list[str]) -> int:
    """The command line; 1 when a check failed."""
    python = env.ensure(env.ENVS["lint"])
    outcomes = run(python, fix="--fix" in arguments)
    for title, passed, output in outcomes:
        print(f"[lint] {title}: {'passed' if passed else 'FAILED'}")
        if not passed:
            print(output)
    return 0 if all(passed for _, passed, _ in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
