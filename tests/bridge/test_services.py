# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry, options as other code reads them, and Rigyd's looks at a file before it is sent."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bridge.problems import Category, ProblemError
from bridge.sandbox.canned import tiny_glb
from bridge.services import SERVICES
from bridge.services.rigyd.checks import check_input
from bridge.services.rigyd.options import MAX_BYTES

RIGYD = SERVICES["rigyd"]


def test_the_registry_holds_what_others_read() -> None:
    assert list(SERVICES) == ["rigyd", "renderjuice", "glossi"]
    assert RIGYD.label == "Rigyd" and RIGYD.env == "RIGYD"
    assert RIGYD.default_base_url == "https://api.rigyd.com/api"
    assert RIGYD.max_bytes == 500_000_000 and ".glb" in RIGYD.accepts
    for service in SERVICES.values():
        names = [name for option in service.options for name in (option.name, *option.aliases)]
        assert len(names) == len(set(names))
        assert all(option.help for option in service.options)
        service.load()  # what the entries name can be imported


def test_defaults_and_checked_options() -> None:
    assert RIGYD.defaults() == {
        "format": "all",
        "target_triangle_count": None,
        "threshold": None,
        "llm_provider": None,
        "skip_validation": False,
        "draco": False,
        "animation": False,
    }
    given = {"format": "USD", "triangles": 2000.0, "skip-validation": True, "threshold": None}
    assert RIGYD.checked(given) == RIGYD.defaults() | {
        "format": "usd",
        "target_triangle_count": 2000,
        "skip_validation": True,
    }


@pytest.mark.parametrize(
    ("values", "sentence", "hint"),
    [
        (
            {"target_triangle_cuont": 1},
            "Rigyd has no option “target_triangle_cuont”.",
            "Did you mean “target_triangle_count”?",
        ),
        ({"zzz": 1}, "Rigyd has no option “zzz”.", "It knows: format,"),
        (
            {"triangles": 999},
            "“999” does not fit the option “target_triangle_count”.",
            "It takes a whole number from 1000 to 1000000.",
        ),
        (
            {"triangles": 1500.5},
            "“1500.5” does not fit the option “target_triangle_count”.",
            "a whole number",
        ),
        ({"triangles": True}, "“True” does not fit the option “target_triangle_count”.", "number"),
        ({"threshold": float("nan")}, "“nan” does not fit the option “threshold”.", "a number"),
        ({"format": "fbx"}, "“fbx” does not fit the option “format”.", "usd or mjcf or all"),
        ({"draco": "yes"}, "“yes” does not fit the option “draco”.", "true or false"),
    ],
)
def test_options_that_do_not_fit(values: dict[str, Any], sentence: str, hint: str) -> None:
    with pytest.raises(ProblemError) as caught:
        RIGYD.checked(values)
    assert caught.value.problem.category is Category.INPUT
    assert caught.value.problem.sentence == sentence and hint in caught.value.problem.hint


# --- files ---------------------------------------------------------------------------------------


def problem_of(path: Path) -> tuple[Category, str, str]:
    with pytest.raises(ProblemError) as caught:
        check_input(path)
    problem = caught.value.problem
    return problem.category, problem.sentence, problem.hint


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def packed(folder: Path, members: dict[str, bytes]) -> Path:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return written(folder, "model.zip", buffer.getvalue())


def gltf(*uris: str, kind: str = "images") -> bytes:
    items = [{"uri": uri} for uri in uris]
    return json.dumps({"asset": {"version": "2.0"}, kind: items}).encode()


@pytest.mark.parametrize(
    ("name", "data", "notes"),
    [
        ("a.glb", tiny_glb(), 0),
        ("A.GLB", tiny_glb(), 0),
        ("a.gltf", gltf("data:image/png;base64,AAAA"), 0),
        ("a.obj", b"v 0 0 0\n", 1),
        ("a.stl", b"solid x\n", 1),
        ("a.ply", b"ply\nformat ascii 1.0\n", 1),
        ("a.fbx", b"Kaydara FBX Binary  \x00\x1a\x00", 0),
        ("a.usda", b"#usda 1.0\n", 0),
        ("a.usdc", b"PXR-USDC\x00", 0),
        ("a.usd", b"#usda 1.0\n", 0),
        ("a.usdz", b"PK\x03\x04....", 0),
    ],
)
def test_files_that_can_be_sent(tmp_path: Path, name: str, data: bytes, notes: int) -> None:
    answer = check_input(written(tmp_path, name, data))
    assert answer["bytes"] == len(data) and len(answer["notes"]) == notes
    json.dumps(answer)  # it is kept in the store


@pytest.mark.parametrize(
    ("name", "data", "category", "sentence", "hint"),
    [
        ("a.xyz", b"1", Category.INPUT, "Rigyd does not take “.xyz” files.", "It takes .glb"),
        ("a", b"1", Category.INPUT, "Rigyd does not take “a” files.", "It takes .glb"),
        ("a.glb", b"", Category.INPUT, "“a.glb” is empty.", "Export it again"),
        ("a.usdc", b"nonsense", Category.INPUT, "“a.usdc” is not a .usdc file.", "Export it"),
        (
            "a.fbx",
            b"; FBX 7.3.0 project file",
            Category.INPUT,
            "“a.fbx” is not a .fbx file.",
            "It is an ASCII FBX.",
        ),
        ("a.gltf", b"[]", Category.INPUT, "“a.gltf” is not a glTF file.", "Export it again."),
        (
            "a.gltf",
            gltf("a.bin", kind="buffers"),
            Category.INPUT,
            "“a.gltf” needs other files beside it.",
            "Send a .glb, or a .zip",
        ),
    ],
)
def test_files_that_cannot(
    tmp_path: Path, name: str, data: bytes, category: Category, sentence: str, hint: str
) -> None:
    found = problem_of(written(tmp_path, name, data))
    assert found[:2] == (category, sentence) and hint in found[2]


def test_a_glb_is_looked_into(tmp_path: Path) -> None:
    assert problem_of(written(tmp_path, "a.glb", tiny_glb()[:-8]))[0] is Category.INPUT


def test_a_missing_file(tmp_path: Path) -> None:
    assert problem_of(tmp_path / "none.glb")[1] == "“none.glb” cannot be read."


def test_a_file_above_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "large.glb"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a sparse file: no disk is used
    category, sentence, hint = problem_of(path)
    assert category is Category.LIMIT
    assert sentence == "“large.glb” is larger than the 500 MB that Rigyd takes."
    assert "smaller textures" in hint


def test_archives_with_one_model(tmp_path: Path) -> None:
    model = gltf("tex/a%20b.png", "./c.png", "data:x")
    members = {
        "m/scene.gltf": model,
        "m/tex/a b.png": b"1",
        "m/c.png": b"1",
        "__MACOSX/m/._scene.gltf": b"1",
        "m/._other.obj": b"1",
    }
    assert check_input(packed(tmp_path, members))["suffix"] == ".zip"
    obj = {"a.obj": b"mtllib a.mtl\nv 0 0 0\n", "a.mtl": b"newmtl x\n"}
    check_input(packed(tmp_path, obj))


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"readme.txt": b"1"}, "The .zip must hold exactly one model."),
        ({"a.obj": b"v", "b.gltf": gltf()}, "The .zip must hold exactly one model."),
        ({"a.obj": b""}, "“a.obj” in the .zip is empty."),
        ({"a.gltf": b"{}"}, "“a.gltf” is not a glTF file."),
        ({"a.gltf": gltf("t.png")}, "“a.gltf” refers to “t.png”, but it is missing in the .zip."),
        (
            {"m/a.gltf": gltf("../t.png"), "t.png": b"1"},
            "“a.gltf” refers to “t.png”, but it is not relative.",
        ),
        ({"a.gltf": gltf("C:\\t.png")}, "“a.gltf” refers to “t.png”, but it is not relative."),
        (
            {"a.gltf": gltf("https://x.example/t.png")},
            "“a.gltf” refers to “t.png”, but it is not relative.",
        ),
        (
            {"a.obj": b"mtllib gone.mtl\n"},
            "“a.obj” refers to “gone.mtl”, but it is missing in the .zip.",
        ),
    ],
)
def test_archives_that_would_be_refused(
    tmp_path: Path, members: dict[str, bytes], sentence: str
) -> None:
    category, said, hint = problem_of(packed(tmp_path, members))
    assert category is Category.INPUT and said == sentence and hint


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = packed(tmp_path, {"a.obj": b"v 0 0 0\n" * 100})
    raw = bytearray(path.read_bytes())
    raw[60] ^= 0xFF
    path.write_bytes(raw)
    assert problem_of(path)[1] == "“model.zip” is damaged or incomplete."
    path.write_bytes(raw[:200])
    assert problem_of(path)[1] == "“model.zip” is damaged or incomplete."
