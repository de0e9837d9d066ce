# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's own validator accepts what the converter makes, and notices what is taken away."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.blender import BlenderProgram
from tests.tools import simready_validator

from .conftest import HERE, Convert, Converted, _command

pytestmark = [
    pytest.mark.blender,
    pytest.mark.validator,
    pytest.mark.skipif(
        simready_validator.python() is None,
        reason=f"{simready_validator.VARIABLE} does not name the validator's Python",
    ),
]


@pytest.mark.parametrize("model", ["crate", "lamp", "several_materials", "emoji", "plane"])
def test_robotics_prop_passes_where_the_file_lies(convert: Convert, model: str) -> None:
    verdict = simready_validator.validate(_good(convert(f"{model}.glb")).usd)
    assert verdict.passed, verdict.output[-6000:]


def _good(converted: Converted) -> Converted:
    assert converted.problem is None, converted.problem
    return converted


@pytest.mark.parametrize(
    ("what", "code"), [("mass", "RB.007"), ("labels", "SL.001"), ("up", "UN.006")]
)
def test_a_damaged_copy_fails_with_the_rule_that_it_breaks(
    convert: Convert, program: BlenderProgram, tmp_path: Path, what: str, code: str
) -> None:
    source = _good(convert("crate.glb")).usd
    folder = tmp_path / "usd" / source.parent.name
    shutil.copytree(source.parent, folder)
    broken = folder / source.name
    done = tmp_path / "done"
    subprocess.run(
        _command(program, HERE / "usd_facts.py", "--remove", what, str(broken), str(done)),
        timeout=120,
        check=False,
        capture_output=True,
    )
    assert done.is_file()
    verdict = simready_validator.validate(broken)
    assert not verdict.passed
    assert code in verdict.codes, verdict.output[-3000:]


def test_without_its_thumbnail_it_fails(convert: Convert, tmp_path: Path) -> None:
    source = _good(convert("crate.glb")).usd
    folder = tmp_path / "usd" / source.parent.name
    shutil.copytree(source.parent, folder, ignore=shutil.ignore_patterns(".thumbs"))
    verdict = simready_validator.validate(folder / source.name)
    assert not verdict.passed
    assert "SR.002" in verdict.codes
