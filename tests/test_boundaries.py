# SPDX-License-Identifier: GPL-3.0-or-later
"""The arrows between the parts run one way, and every file keeps the house's rules. Plain Python,
no Blender.
"""

from __future__ import annotations

import ast
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST_MODULE = 450

BLENDER = {"bpy", "bmesh", "mathutils", "gpu", "bl_ui", "bl_pkg", "bpy_extras", "addon_utils"}
NETWORK = {
    "aiohttp",
    "asyncio",
    "ftplib",
    "http",
    "httpx",
    "imaplib",
    "poplib",
    "requests",
    "smtplib",
    "socket",
    "socketserver",
    "ssl",
    "urllib",
    "urllib3",
    "websocket",
    "websockets",
    "xmlrpc",
}
# Takes addresses apart and talks to nobody; the add-on itself does without even that.
HARMLESS = ("urllib.parse",)
# What the bridge talks to services with; the add-on asks the worker instead. The registry of
# services, which only describes them, is not among these.
BRIDGE_NETWORK = ("bridge.http", "bridge.transfer", "bridge.webhooks", "bridge.sandbox")
# What a headless Blender bundles, beside its own modules.
BUNDLED = BLENDER | {"idprop", "io_scene_gltf2", "numpy", "pxr", "rna_prop_ui", "zstandard"}


def _modules(*folders: str) -> list[Path]:
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "__pycache__" not in path.parts
    ]


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _statements(tree: ast.Module, *, at_import_only: bool) -> Iterator[ast.stmt]:
    """All statements, or those that run when the module is imported."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.stmt):
            yield node
        if at_import_only:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                todo += node.orelse
                continue
        todo += ast.iter_child_nodes(node)


def _imports(path: Path, *, at_import_only: bool = False) -> set[str]:
    """The modules that a file imports, by full name; a relative import is resolved within the root.

    ``from a import b`` gives ``a`` and ``a.b``, as ``b`` may be a module.
    """
    name = _name(path)
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in _statements(
        ast.parse(path.read_text(encoding="utf-8")), at_import_only=at_import_only
    ):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            full = ".".join([*base, *([node.module] if node.module else [])])
            found.add(full)
            found.update(f"{full}.{alias.name}" if full else alias.name for alias in node.names)
    return found - {""}


def _within(name: str, packages: set[str] | tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def _offences(paths: list[Path], forbidden: set[str] | tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in sorted(_imports(path))
        if _within(name, forbidden)
    ]


def test_there_is_something_to_judge() -> None:
    assert len(_modules("bridge")) > 5
    assert len(_modules("addon")) > 5


def test_the_bridge_never_imports_blender_or_the_addon() -> None:
    assert _offences(_modules("bridge"), BLENDER | {"addon"}) == []


def test_the_addon_never_imports_a_network_library() -> None:
    addon = [path for path in _modules("addon") if "recipes" not in path.parts]
    assert _offences(addon, NETWORK) == []
    assert _offences(addon, BRIDGE_NETWORK) == []
    clients = {
        f"bridge.services.{path.name}"
        for path in (ROOT / "bridge/services").iterdir()
        if path.is_dir()
    }
    assert _offences(addon, clients) == []


def test_the_addon_loads_no_network_library_by_way_of_the_bridge() -> None:
    """Following what each module imports when it is imported, from the front door on."""
    known = {_name(path): path for path in _modules("addon", "bridge")}
    reached: dict[str, str] = {name: "" for name in known if _within(name, ("addon",))}
    reached = {name: via for name, via in reached.items() if not _within(name, ("addon.recipes",))}
    todo = list(reached)
    offences = []
    while todo:
        name = todo.pop()
        for imported in _imports(known[name], at_import_only=True):
            if _within(imported, NETWORK) and not _within(imported, HARMLESS):
                offences.append(f"{name} imports {imported} (reached from {reached[name] or name})")
            parts = imported.split(".")
            for end in range(1, len(parts) + 1):  # importing a.b runs a too
                step = ".".join(parts[:end])
                if step in known and step not in reached:
                    reached[step] = name
                    todo.append(step)
    assert sorted(offences) == []
    assert "bridge.store" in reached


def test_the_sandbox_shares_no_code_with_the_clients() -> None:
    """Shared code would hide shared mistakes."""
    assert _offences(_modules("bridge/sandbox"), ("bridge.services",)) == []


def test_recipes_stand_on_blender_and_each_other() -> None:
    # Files and frame ranges, with the standard library alone.
    formats = {"bridge.blend_file", "bridge.frames", "bridge.glb"}
    allowed = BUNDLED | formats | {"bridge.problems", "addon.recipes"}
    standard = set(sys.stdlib_module_names) - NETWORK
    offences = []
    for path in _modules("addon/recipes"):
        for name in sorted(_imports(path)):
            if name in ("bridge", "addon") or name.split(".")[0] in standard | {"__future__"}:
                continue
            if not _within(name, allowed):
                offences.append(f"{path.relative_to(ROOT)} imports {name}")
    assert offences == []


def test_the_command_line_is_on_top_and_problems_at_the_bottom() -> None:
    below = [
        path
        for path in _modules("bridge")
        if not _within(_name(path), ("bridge.cli", "bridge.__main__"))
    ]
    assert _offences(below, ("bridge.cli", "bridge.__main__")) == []
    assert _offences([ROOT / "bridge/problems.py"], ("bridge",)) == []
    assert (
        _offences([ROOT / "bridge/jobs.py"], ("bridge.store", "bridge.http", "bridge.services"))
        == []
    )
    low = [ROOT / f"bridge/{name}.py" for name in ("store", "http", "transfer")]
    above = ("bridge.services", "bridge.flow", "bridge.worker", "bridge.launch", "bridge.commands")
    assert _offences([path for path in low if path.exists()], above) == []


@pytest.mark.parametrize("name", ["__init__.py", "addon/__init__.py"])
def test_packages_that_plain_python_imports_need_no_blender(name: str) -> None:
    assert not {
        imported
        for imported in _imports(ROOT / name, at_import_only=True)
        if imported.split(".")[0] in BLENDER
    }


def test_modules_are_short() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in _modules("addon", "bridge", ".ci")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_MODULE
    }
    assert long == {}, "split by meaning: a reader should find a thing by its file's name"


def test_every_file_says_its_license_and_purpose() -> None:
    missing = []
    for path in [ROOT / "__init__.py", *_modules("addon", "bridge", "tests", ".ci")]:
        text = path.read_text(encoding="utf-8")
        if not text.startswith("# SPDX-License-Identifier: GPL-3.0-or-later\n"):
            missing.append(f"{path.relative_to(ROOT)}: no SPDX line")
        if not ast.get_docstring(ast.parse(text)):
            missing.append(f"{path.relative_to(ROOT)}: no docstring")
    assert missing == []


def _tracked() -> list[Path]:
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    skip = {".git", "dist", "wheels", "build", "__pycache__"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not skip & set(path.parts)]


def test_no_registry_and_no_developers_path_is_named() -> None:
    hosts = [
        rb"\b" + name + rb"\.(?:org|com)\b"
        for name in (rb"py" rb"pi", rb"python" rb"hosted", rb"npm" rb"js")
    ]
    hosts.append(rb"\bdeb(?:ian)?\.debian\.org\b")
    # This clone, this user's home, and the usual places of containers that build things.
    homes = [ROOT, Path(pwd.getpwuid(os.getuid()).pw_dir)] if os.name == "posix" else [ROOT]
    places = [re.escape(os.fsencode(place)) + rb"/" for place in homes if len(place.parts) > 2]
    places += [rb"(?<![\w.:/~-])/" + name + rb"/" for name in (rb"wo" rb"rk", rb"ro" rb"ot")]
    pattern = re.compile(b"|".join([*hosts, *places]))
    found = [
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in _tracked()
        if path.is_file() and path.suffix not in (".png", ".jpg", ".glb", ".blend")
        for match in pattern.finditer(path.read_bytes())
    ]
    assert found == []
