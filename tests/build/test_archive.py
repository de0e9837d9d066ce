# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive holds what it should, byte for byte, and nothing else.

Blender's builder and validator are content with archives that lack their code (a folder named under
``paths`` becomes an empty entry), so the listing is compared with the source tree.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import tomllib
import zipfile
from pathlib import Path

from tests.support.extension import ROOT, ci_module

MANIFEST = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEELS = [wheel.removeprefix("./") for wheel in MANIFEST["wheels"]]

TOP = ("__init__.py", "blender_manifest.toml", "LICENSE", "README.md")


def _source() -> set[str]:
    """What belongs into the archive: front door, add-on, bridge, wheels."""
    code = {
        path.relative_to(ROOT).as_posix()
        for folder in ("addon", "bridge")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    return code | {name for name in TOP if (ROOT / name).is_file()} | set(WHEELS)


def test_the_listing_is_the_source_tree(opened: zipfile.ZipFile) -> None:
    names = opened.namelist()
    assert len(names) == len(set(names))
    assert set(names) == _source()


def test_every_file_has_its_bytes(opened: zipfile.ZipFile) -> None:
    assert opened.testzip() is None
    for member in opened.infolist():
        data = opened.read(member)
        assert not member.is_dir(), member.filename
        if not member.filename.startswith("wheels/"):
            assert data == (ROOT / member.filename).read_bytes(), member.filename
        assert data or Path(member.filename).name == "__init__.py", f"{member.filename} is empty"


def test_the_wheels_are_those_of_the_manifest(opened: zipfile.ZipFile) -> None:
    recorded = ci_module("build").checksums()
    assert sorted(recorded) == sorted(Path(wheel).name for wheel in WHEELS)
    assert sorted(path.name for path in (ROOT / "wheels").iterdir()) == sorted(recorded)
    for wheel in WHEELS:
        assert hashlib.sha256(opened.read(wheel)).hexdigest() == recorded[Path(wheel).name], wheel


def test_one_wheel_per_package_fits_each_python() -> None:
    """Of several that fit, Blender takes the last by name, whatever the computer's C library."""
    for version in ("311", "313", "314"):
        fitting: dict[str, list[str]] = {}
        for wheel in WHEELS:
            name, _, python, abi, _ = Path(wheel).stem.split("-")
            if python == f"cp{version}" or python.startswith("py") or abi == "abi3":
                fitting.setdefault(name, []).append(wheel)
        assert all(len(wheels) == 1 for wheels in fitting.values()), fitting
        assert {"keyring", "cffi", "cryptography", "filelock", "platformdirs"} <= set(fitting)


def test_blender_takes_every_python_to_be_served() -> None:
    """By Blender's own reckoning: a Python that is not listed leaves the extension disabled."""
    command_line = ci_module("build").builder(Path(sys.executable))
    spec = importlib.util.spec_from_file_location("blender_ext", command_line)
    assert spec is not None and spec.loader is not None
    blender_ext = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(blender_ext)
    assert blender_ext.python_versions_from_wheels(WHEELS) == {(3, 11), (3, 13), (3, 14)}


def test_one_version_everywhere() -> None:
    tree = ast.parse((ROOT / "bridge" / "__init__.py").read_text(encoding="utf-8"))
    bridge = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    )
    assert MANIFEST["version"] == PROJECT["project"]["version"] == bridge


def test_the_manifest_keeps_the_platforms_rules() -> None:
    assert MANIFEST["blender_version_min"] == "4.2.0"
    assert MANIFEST["license"] == ["SPDX:GPL-3.0-or-later"]
    assert set(MANIFEST["permissions"]) == {"network", "files"}
    for reason in (*MANIFEST["permissions"].values(), MANIFEST["tagline"]):
        assert len(reason) <= 64
        assert not reason.endswith((".", "!", "?"))
    assert "paths" not in MANIFEST["build"]


def test_the_same_libraries_are_bundled_installed_and_tested() -> None:
    """Wheels, pyproject and the test environments name the same versions."""

    def pins(lines: list[str]) -> dict[str, str]:
        rows = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
        return {name.lower().replace("_", "-").replace(".", "-"): version for name, version in rows}

    wheels = pins(["{}=={}".format(*Path(wheel).name.split("-")[:2]) for wheel in WHEELS])
    project = pins(PROJECT["project"]["dependencies"])
    requirements = ROOT / ".ci" / "requirements"
    tested = {
        path.stem: pins(path.read_text(encoding="utf-8").splitlines())
        for path in requirements.glob("*.txt")
    }
    for name, version in project.items():
        assert wheels.get(name, version) == version, name
        assert tested["tests"][name] == version, name
    only_elsewhere = {"pywin32-ctypes"}  # the tests run on Linux
    for blender in ("b42", "b45", "b50"):
        here = tested["tests"] | tested[blender]
        assert {name: here.get(name) for name in wheels if name not in only_elsewhere} == {
            name: version for name, version in wheels.items() if name not in only_elsewhere
        }
