# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the converter as the sandbox does, in a process of its own, on models made by Blender."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.blender import BlenderProgram, find_blender
from bridge.problems import Problem, ProblemError

if TYPE_CHECKING:
    from tests.recipes.preflight_support import Look


def _own_blender() -> tuple[int, ...]:
    """The version of this Python's own bpy, without importing it; () if there is none."""
    try:
        return tuple(int(part) for part in version("bpy").split(".")[:2])
    except PackageNotFoundError:
        return ()


OWN_BLENDER = _own_blender()
ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


@dataclass
class Converted:
    """What one run of the recipe gave: ``result`` or ``problem``, and its progress lines."""

    output: Path
    result: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None
    progress: list[tuple[float, str]] = field(default_factory=list)

    @property
    def usd(self) -> Path:
        """The USD file."""
        return self.output / self.result["usd"]

    @property
    def mjcf(self) -> Path:
        """The MuJoCo XML."""
        return self.output / self.result["mjcf"]

    @property
    def report(self) -> dict[str, Any]:
        """The recipe's report."""
        return dict(self.result["report"])

    def part(self, name: str) -> dict[str, Any]:
        """The report's entry for one object."""
        return next(part for part in self.report["parts"] if part["object"] == name)


Convert = Callable[..., Converted]


def _command(program: BlenderProgram, script: Path, *arguments: str) -> list[str]:
    if program.kind == "wheel":
        return [program.executable, str(script), *arguments]
    start = [program.executable, "-b", "--factory-startup", "--disable-autoexec", "--python"]
    return [*start, str(script), "--", *arguments]


def run_recipe(program: BlenderProgram, params: dict[str, Any], folder: Path) -> Converted:
    """Run the recipe once; ``params`` names input, name and so on, the output is chosen here."""
    folder.mkdir(parents=True, exist_ok=True)
    output, answer = folder / "output", folder / "result.json"
    (folder / "params.json").write_text(
        json.dumps({**params, "output": str(output)}), encoding="utf-8"
    )
    run = subprocess.run(
        _command(
            program,
            ROOT / "addon" / "recipes" / "run.py",
            "simready",
            str(folder / "params.json"),
            str(answer),
        ),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=240,
        check=False,
        env={**os.environ, "LIBGL_ALWAYS_SOFTWARE": "1"},
    )
    assert answer.is_file(), run.stdout[-3000:] + run.stderr[-3000:]
    data = json.loads(answer.read_text(encoding="utf-8"))
    lines = [line[9:] for line in run.stdout.splitlines() if line.startswith("@courier ")]
    told = [json.loads(line) for line in lines]
    converted = Converted(output, progress=[(item["fraction"], item["text"]) for item in told])
    if data["ok"]:
        converted.result = data["result"]
    else:
        converted.problem = Problem.from_dict(data["problem"])
    return converted


@pytest.fixture(scope="session")
def program() -> BlenderProgram:
    """A Blender with USD: this Python's own, else the one that the environment names.

    Where this Python's own has no USD, the suite of the one that is named tests the converter.
    """
    if OWN_BLENDER and OWN_BLENDER < (4, 5):
        pytest.skip("the converter is tested in the suites of the Blenders that have USD")
    try:
        return find_blender(need_usd=True)
    except ProblemError as error:
        pytest.skip(f"{error.problem.sentence} ({error.problem.technical[:200]})")


@pytest.fixture(scope="session")
def models(program: BlenderProgram, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every model of ``odd_models.py``, made by the Blender under test."""
    folder = tmp_path_factory.mktemp("models")
    run = subprocess.run(
        _command(program, HERE / "odd_models.py", str(folder)),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=240,
        check=False,
    )
    assert (folder / "no_mesh.glb").is_file(), run.stdout[-3000:] + run.stderr[-3000:]
    return folder


@pytest.fixture(scope="session")
def convert(
    program: BlenderProgram, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Convert:
    """Converts a model by its file name; equal calls are run once. The result is read-only."""
    known: dict[str, Converted] = {}

    def run(file: str, name: str | None = None, **more: Any) -> Converted:
        params = {"input": str(models / file), "name": name or Path(file).stem, **more}
        key = json.dumps(params, sort_keys=True)
        if key not in known:
            known[key] = run_recipe(program, params, tmp_path_factory.mktemp("convert"))
        return known[key]

    return run


@pytest.fixture(scope="session")
def facts(
    program: BlenderProgram, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], dict[str, Any]]:
    """Reads a USD with Blender's own pxr, apart from the converter's code; see ``usd_facts``."""
    known: dict[Path, dict[str, Any]] = {}

    def read(usd: Path) -> dict[str, Any]:
        if usd not in known:
            target = tmp_path_factory.mktemp("facts") / "facts.json"
            run = subprocess.run(
                _command(program, HERE / "usd_facts.py", str(usd), str(target)),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert target.is_file(), run.stdout[-2000:] + run.stderr[-2000:]
            known[usd] = json.loads(target.read_text(encoding="utf-8"))
        return known[usd]

    return read


@pytest.fixture
def look() -> Iterator[Look]:
    """A small animated scene in this process's Blender, and the preflight report about it."""
    pytest.importorskip("bpy")
    import bpy

    from tests.recipes.preflight_support import animated_scene

    yield animated_scene()
    bpy.ops.wm.read_homefile(use_empty=True)


@pytest.fixture(scope="session")
def dependency_scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """(folder, facts) of the scene with every kind of external file, made once; read-only."""
    from tests.support import dependency_scene as scene

    folder = tmp_path_factory.mktemp("every kind")
    return folder, scene.build(folder)
