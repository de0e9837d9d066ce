# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe from outside: options, formats, progress, and the words of each refusal."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bridge.blender import BlenderProgram
from bridge.problems import Category

from .conftest import OWN_BLENDER, ROOT, Convert, run_recipe

pytestmark = pytest.mark.blender


def test_progress_only_rises_and_tells_the_stages(convert: Convert) -> None:
    told = convert("chair.glb").progress
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert len({text for _, text in told}) >= 7
    stages = {"import", "preprocess", "mass", "colliders", "usd", "mjcf", "thumbnail", "validate"}
    assert set(convert("chair.glb").result["timings"]) == {*stages, "total"}


def test_a_triangle_target_is_kept(convert: Convert) -> None:
    full = convert("many_triangles.glb")
    assert full.result["triangles"] > 10_000
    light = convert("many_triangles.glb", options={"target_triangle_count": 2000})
    assert light.problem is None
    assert 1000 < light.result["triangles"] <= 2000
    assert light.report["triangles"]["given"] == full.result["triangles"]
    assert light.result["mass"] == pytest.approx(full.result["mass"], rel=0.02)


@pytest.mark.parametrize("suffix", ["obj", "stl", "ply", "fbx", "gltf", "usdc"])
def test_other_formats(convert: Convert, suffix: str) -> None:
    converted = convert(f"crate.{suffix}")
    assert converted.problem is None, converted.problem
    assert converted.report["size_m"] == pytest.approx([0.59, 0.39, 0.335], abs=0.01)
    assert converted.result["colliders"] > 10


def test_an_archive_with_one_model(program: BlenderProgram, models: Path, tmp_path: Path) -> None:
    archive = tmp_path / "crate.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("crate.gltf", "crate.bin", "pine_grain.png", "pine_bumps.png"):
            file.write(models / name, f"crate/{name}")
    converted = run_recipe(program, {"input": str(archive), "name": "crate"}, tmp_path / "run")
    assert converted.problem is None, converted.problem
    assert len(converted.result["textures"]) == 2
    assert sorted(path.name for path in converted.output.iterdir()) == ["mjcf", "usd"]


def test_scale_is_doubted_aloud(convert: Convert) -> None:
    assert any("920 m" in note for note in convert("millimetres.glb").report["notes"])
    assert any("2 mm" in note for note in convert("tiny.glb").report["notes"])
    assert not convert("crate.glb").report["notes"]


def test_validation_can_be_skipped(convert: Convert) -> None:
    converted = convert("solid_cube.glb", options={"skip_validation": True})
    assert converted.report["validated"] is False
    assert "validate" not in converted.result["timings"]
    assert convert("solid_cube.glb").report["validated"] is True


def _refusal(program: BlenderProgram, path: Path, tmp_path: Path) -> tuple[Category, str]:
    problem = run_recipe(program, {"input": str(path), "name": "x"}, tmp_path / "run").problem
    assert problem is not None
    assert problem.sentence.endswith(".")
    return problem.category, problem.sentence


def test_a_file_without_meshes(program: BlenderProgram, models: Path, tmp_path: Path) -> None:
    assert _refusal(program, models / "no_mesh.glb", tmp_path) == (
        Category.INPUT,
        "There is no mesh with faces in this file.",
    )


@pytest.mark.parametrize("damage", ["nothing", "text", "cut", "json", "missing"])
def test_a_broken_file(program: BlenderProgram, models: Path, tmp_path: Path, damage: str) -> None:
    whole = (models / "solid_cube.glb").read_bytes()
    content = {
        "nothing": b"",
        "text": b"this is no model at all, whatever its name says",
        "cut": whole[: len(whole) // 2],
        "json": whole[:20] + b"!" * 40 + whole[60:],
    }.get(damage)
    path = tmp_path / "broken.glb"
    if content is not None:
        path.write_bytes(content)
    category, sentence = _refusal(program, path, tmp_path)
    assert category is Category.INPUT
    assert ("missing" in sentence) if damage == "missing" else ("damaged" in sentence)


def test_a_broken_obj_and_an_unknown_kind(program: BlenderProgram, tmp_path: Path) -> None:
    (tmp_path / "empty.obj").write_text("# nothing\n", encoding="utf-8")
    assert _refusal(program, tmp_path / "empty.obj", tmp_path)[0] is Category.INPUT
    (tmp_path / "scene.max").write_bytes(b"\0" * 10)
    assert ".max" in _refusal(program, tmp_path / "scene.max", tmp_path)[1]


def test_archives_that_are_refused(program: BlenderProgram, models: Path, tmp_path: Path) -> None:
    two = tmp_path / "two.zip"
    with zipfile.ZipFile(two, "w") as file:
        file.write(models / "crate.obj", "a.obj")
        file.write(models / "crate.obj", "b.obj")
    assert "exactly one" in _refusal(program, two, tmp_path)[1]
    outside = tmp_path / "outside.zip"
    with zipfile.ZipFile(outside, "w") as file:
        file.write(models / "crate.obj", "../crate.obj")
    assert _refusal(program, outside, tmp_path)[0] is Category.INPUT
    assert not (tmp_path / "run" / "output" / "crate.obj").exists()
    assert not list(tmp_path.glob("**/crate.obj"))


@pytest.mark.skipif(not OWN_BLENDER or OWN_BLENDER >= (4, 5), reason="for a Blender without USD")
def test_a_blender_without_usd_says_so(tmp_path: Path) -> None:
    here = BlenderProgram(sys.executable, "wheel", (4, 2, 0), False)
    problem = run_recipe(here, {"input": str(tmp_path / "any.glb")}, tmp_path / "run").problem
    assert problem is not None
    assert problem.category is Category.BLENDER
    assert "USD" in problem.sentence


def test_the_models_can_be_made_by_hand(program: BlenderProgram, tmp_path: Path) -> None:
    if program.kind != "wheel":
        pytest.skip("the maker is a Python script")
    target = tmp_path / "mug.glb"
    script = ROOT / "tests" / "tools" / "models.py"
    subprocess.run(
        [program.executable, str(script), "mug", str(target)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert target.read_bytes().startswith(b"glTF")
