# SPDX-License-Identifier: GPL-3.0-or-later
"""The process around a recipe: its end is noticed whatever it leaves behind.

The recipes themselves, in every Blender, are in ``tests/recipes``.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bridge.blender import BlenderProgram, run_recipe

posix = pytest.mark.skipif(os.name != "posix", reason="a script as a program")
LEAVES_A_CHILD = """#!{python}
import json, os, subprocess, sys
child = subprocess.Popen(["sleep", "40"])
open({pid!r}, "w").write(str(child.pid))
open(sys.argv[-1], "w").write(json.dumps({{"ok": True, "result": {{"answer": 1}}}}))
os._exit(0)
"""


@posix
def test_a_child_that_stays_and_holds_the_output_does_not_hold_the_worker(tmp_path: Path) -> None:
    """It used to: closing a pipe waits for the thread that reads from it."""
    pid = tmp_path / "pid"
    fake = tmp_path / "python3"
    fake.write_text(LEAVES_A_CHILD.format(python=sys.executable, pid=str(pid)))
    fake.chmod(0o755)
    program = BlenderProgram(str(fake), "wheel", (5, 0, 1), usd=False)
    began = time.monotonic()
    result = run_recipe("any", {}, workdir=tmp_path / "work", program=program, timeout=60)
    assert result == {"answer": 1}
    assert time.monotonic() - began < 30, "not as long as the child lives"
    deadline = time.monotonic() + 10
    while _runs(int(pid.read_text())):
        assert time.monotonic() < deadline, "the child goes with the recipe"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
