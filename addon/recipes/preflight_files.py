# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about files: missing, misspelled, still in a cloud; linked data; the package's size.

Works on what the scan for dependencies found; looks at no disk itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import bpy

from addon.recipes.dependencies import model
from addon.recipes.preflight_facts import Facts
from addon.recipes.preflight_findings import Findings, fix_by, some, user
from addon.recipes.preflight_reach import Reach, library_path

GIB = 1024**3
#: the service's limit for one upload is "under 5 GiB"
MAX_BYTES = 5 * GIB
LARGE_BYTES = GIB
_CALLED = {
    "image": "image",
    "image_sequence": "image sequence",
    "udim": "tiled image",
    "movie_clip": "movie clip",
    "movie": "movie",
    "sound": "sound",
    "font": "font",
    "volume": "volume",
    "volume_sequence": "volume sequence",
    "alembic": "Alembic cache",
    "usd": "USD cache",
    "mesh_cache": "mesh cache",
    "ocean_cache": "ocean bake",
    "point_cache": "simulation cache",
    "fluid_cache": "fluid cache",
    "rigid_body_cache": "rigid body cache",
    "nodes_bake": "bake of geometry nodes",
    "ies": "IES file",
    "script": "script",
    "library": "linked file",
    "strip": "strip's file",
    "strip_sequence": "strip's image sequence",
    "lut": "color table",
}
_CACHES = frozenset(["point_cache", "fluid_cache", "rigid_body_cache", "nodes_bake", "ocean_cache"])
_STRIPS = frozenset(["strip", "strip_sequence", "movie"])
_SHOWN = ("Object", "Material", "World", "Scene", "Light", "Collection")


def examine(
    facts: Facts,
    reach: Reach,
    dependencies: Sequence[Any],
    package: dict[str, Any] | None,
    findings: Findings,
) -> None:
    """Add what there is to say about files, linked data and the package."""
    gone = set()
    for one in dependencies:
        if one.packed:
            continue
        if one.missing and not one.optional:
            _missing(facts, reach, one, findings)
            if one.kind == "library":
                gone.add(one.path)
        _condition(facts, reach, one, findings)
    _linked(reach, gone, findings)
    _package(package or {}, findings)


def used(facts: Facts, reach: Reach, one: Any) -> bool:
    """Whether a render of the scene reads this dependency; in doubt it does."""
    if not one.used:
        return False
    if one.kind == "library":
        return reach.uses_library(one.path)
    holder = one.users[:1]
    if not holder:
        return True
    if one.kind in _STRIPS and holder[0].get("type") == "Scene":
        return facts.sequencer and reach.uses(holder)
    return reach.uses(holder) or not reach.knows(holder[0])


def _missing(facts: Facts, reach: Reach, one: Any, findings: Findings) -> None:
    what = _CALLED.get(one.kind, "file")
    name = _name(one.path)
    count = len(one.missing)
    several = count > 1 or bool(one.files)
    files = "file is" if count == 1 else "files are"
    sentence = (
        f"{count} {files} missing of the {what} {name}."
        if several
        else f"The {what} {name} is missing."
    )
    held = f" The link to it is in {_name(one.library)}." if one.library else ""
    hint = f"{_used_by(one.users)}{held}".strip()
    if not used(facts, reach, one):
        code, advice = "missing_unused", "Nothing that is rendered uses it."
    elif one.kind == "other":
        code, advice = "missing_other", "It is not known whether a render reads it."
    elif one.kind == "sound":
        code, advice = "missing_extra", "Frames have no sound; only a video would miss it."
    elif one.kind == "script" and one.users[0].get("type") == "Text":
        code, advice = "missing_extra", "The text in the file is used as it was last read."
    elif one.kind in _CACHES and one.files:
        code, advice = "incomplete_cache", "Bake it again, or find the files."
    elif one.kind == "library":
        code, advice = (
            "missing_library",
            "Put it back, or relocate it in the Outliner.",
        )
    else:
        code, advice = "missing_file", "Put it back, or use Find Missing Files to look for it."
    findings.add(
        code,
        sentence,
        f"{hint} {advice}".strip(),
        technical=f"{one.value} -> {'; '.join(one.missing[:3])}",
        users=one.users,
        path=one.missing[0],
        fix=fix_by("find_missing", one.kind, name),
    )


def _condition(facts: Facts, reach: Reach, one: Any, findings: Findings) -> None:
    """What is wrong with files that are there."""
    groups: dict[str, list[Any]] = {}
    for entry in one.files:
        code = condition(entry)
        if code:
            groups.setdefault(code, []).append(entry)
    for code, entries in groups.items():
        if code in ("cloud_file", "empty_file", "unreadable_file") and not used(facts, reach, one):
            continue
        first = _name(entries[0].path)
        more = f" and {len(entries) - 1} more" if len(entries) > 1 else ""
        verb = "are" if more else "is"
        has = "have" if more else "has"
        sentence, advice, action = {
            "cloud_file": (
                f"{first}{more} {verb} in the cloud, not on this computer.",
                "Make it available offline, then send again.",
                "reload",
            ),
            "empty_file": (
                f"{first}{more} {has} no content.",
                "It is damaged, or still in the cloud. Put the right file in its place.",
                "find_missing",
            ),
            "unreadable_file": (
                f"{first}{more} cannot be read.",
                "Give yourself the right to read it.",
                "find_missing",
            ),
            "spelling": (
                f"{first}{more} {verb} spelled differently on the disk than in the scene.",
                "The farm's computers tell such names apart. Choose the file again in Blender.",
                "find_missing",
            ),
        }[code]
        findings.add(
            code,
            sentence,
            f"{_used_by(one.users)} {advice}".strip(),
            technical=f"{entries[0].wanted} -> {entries[0].path} ({entries[0].problem})",
            users=one.users,
            path=entries[0].path,
            fix=_again(one) if action == "reload" else fix_by(action, one.kind, first),
        )


def _again(one: Any) -> dict[str, Any]:
    """Read it again, where Blender has a way to; else look for it."""
    holder = one.users[0] if one.users else {"type": "", "name": ""}
    if holder["type"] in ("Image", "Library"):
        return fix_by("reload", holder["type"], holder["name"])
    return fix_by("find_missing", one.kind, _name(one.path))


def condition(entry: Any) -> str:
    """The kind of finding that a file of a dependency gives; "" when all is well with it."""
    if entry.problem in (model.CASE, model.UNICODE):
        return "spelling"
    if entry.problem in (model.UNREADABLE, model.LOOP):
        return "unreadable_file"
    if entry.problem == model.EMPTY:
        return "empty_file"
    return "cloud_file" if entry.placeholder else ""


def _used_by(users: Iterable[dict[str, Any]]) -> str:
    """ "It is used by Table, Chair." with the names that an artist knows."""
    given = list(users)
    names = [entry["name"] for entry in given if entry["type"] in _SHOWN]
    names = names or [entry["name"] for entry in given[:1]]
    # Objects say most; scenes least.
    objects = [entry["name"] for entry in given if entry["type"] == "Object"]
    return f"It is used by {some(dict.fromkeys(objects or names))}." if names else ""


def _name(path: str | None) -> str:
    """The last part of a path of any system."""
    return str(path or "").replace("\\", "/").rstrip("/").rpartition("/")[2] or str(path)


# Linked data


def _linked(reach: Reach, gone: set[str], findings: Findings) -> None:
    lost: dict[str, list[Any]] = {}
    for item in _everything():
        if item.is_missing and item.override_library is None:
            path = library_path(item)
            if path is not None and path not in gone:
                lost.setdefault(path, []).append(item)
        elif item.override_library is not None and item.library is None and item in reach:
            _override(item, gone, findings)
    for path, items in lost.items():
        used_ones = [item for item in items if item in reach]
        shown = used_ones or items
        names = some(item.name for item in shown)
        findings.add(
            "missing_data" if used_ones else "missing_unused",
            f"Not found in the linked file {_name(path)}: {names}.",
            "It was renamed or removed there. Link it again, or put it back."
            if used_ones
            else "Nothing that is rendered uses it.",
            users=[user(type(item).__name__, item, path) for item in shown],
            path=path,
            fix=fix_by("reload", "Library", shown[0].library.name),
        )
    for library in bpy.data.libraries:
        version = tuple(library.version)[:2]
        if version > tuple(bpy.app.version)[:2]:
            path = bpy.path.abspath(library.filepath, library=library.parent)
            findings.add(
                "newer_library",
                f"The linked file {_name(path)} was saved by a newer Blender "
                f"({version[0]}.{version[1]}).",
                "What this Blender does not know of it is lost. Send from the newer Blender.",
                path=path,
            )


def _everything() -> Iterable[Any]:
    """Every data-block but the libraries, once (some are in two of Blender's lists)."""
    found: dict[int, Any] = {}
    for group in bpy.data.bl_rna.properties:
        if group.type == "COLLECTION" and group.identifier != "libraries":
            found.update((item.as_pointer(), item) for item in getattr(bpy.data, group.identifier))
    return found.values()


def _override(item: Any, gone: set[str], findings: Findings) -> None:
    origin = item.override_library.reference
    if origin is not None and (not origin.is_missing or library_path(origin) in gone):
        return
    findings.add(
        "override",
        f"The library override {item.name} has lost what it was made from.",
        "It is rendered as it was saved. Resync it in the Outliner, or make it local.",
        users=[user(type(item).__name__, item)],
        fix=fix_by("select", type(item).__name__, item.name),
    )


# The package


def _package(package: dict[str, Any], findings: Findings) -> None:
    size = int(package.get("bytes") or 0)
    limit = int(package.get("max_bytes") or MAX_BYTES)
    if size >= limit:
        findings.add(
            "too_large",
            f"The scene with its files has about {size / GIB:.1f} GiB, but at most "
            f"{limit / GIB:.1f} GiB can be sent.",
            "Send fewer frames at a time, remove what is not seen, or use smaller textures.",
            technical=f"{size} of {limit} bytes",
        )
    elif size > LARGE_BYTES:
        findings.add(
            "large",
            f"The scene with its files has about {size / GIB:.1f} GiB: the upload takes a while.",
        )
