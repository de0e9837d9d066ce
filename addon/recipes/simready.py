# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's converter: a 3D file becomes a SimReady USD asset and a MuJoCo package.

    params {"input": path, "output": folder, "name": text, "source_name": the file's own name,
            "options": {"target_triangle_count", "threshold", "skip_validation"},
            "overrides": {"mass_kg", "density", "wall_mm", "material"}}
    -> {"usd", "mjcf", "thumbnail", "textures", "report", "mass", "bodies", "colliders",
        "triangles", "timings"}           paths are relative to the output folder

Runs in its own headless Blender (4.5 or newer) and replaces that process's scene. Everything is
worked out on this computer; nothing is sent anywhere.
"""

from __future__ import annotations

import json
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from bridge.problems import Category, ProblemError

from . import (
    simready_check,
    simready_colliders,
    simready_load,
    simready_mass,
    simready_mjcf,
    simready_overlap,
    simready_overrides,
    simready_thumbnail,
    simready_usd,
)
from .simready_materials import Look, describe
from .simready_matter import Matter, matter_of
from .simready_presets import label_for, safe_name
from .simready_report import parts_report

CONVERTER = "Scene Courier local converter 1"
Progress = Callable[[float, str], None]


class _Clock:
    """Wall-clock seconds of each stage."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.timings = progress, {}  # type: tuple[Progress, dict[str, float]]
        self._name, self._begin = "", time.perf_counter()
        self._start = self._begin

    def stage(self, name: str, fraction: float, text: str) -> None:
        now = time.perf_counter()
        if self._name:
            self.timings[self._name] = round(now - self._begin, 3)
        self._name, self._begin = name, now
        if text:
            self.progress(fraction, text)

    def end(self) -> dict[str, float]:
        self.stage("", 1.0, "")
        self.timings["total"] = round(time.perf_counter() - self._start, 3)
        return self.timings


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Convert one file; see the module for ``params`` and the answer.

    Raises ProblemError: INPUT for a file without usable meshes, BLENDER for a Blender without
    USD, REMOTE when the result does not pass its own validation.
    """
    simready_usd.require_pxr()
    output = Path(params["output"])
    output.mkdir(parents=True, exist_ok=True)
    unpacked = output / "unpacked"
    try:
        return _convert(params, output, unpacked, _Clock(progress))
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _convert(params: dict[str, Any], output: Path, unpacked: Path, clock: _Clock) -> dict[str, Any]:
    source = Path(params["input"])
    options = params.get("options") or {}
    overrides = {k: v for k, v in (params.get("overrides") or {}).items() if v is not None}
    notes: list[str] = []

    clock.stage("import", 0.02, "Reading the file")
    simready_load.load(source, unpacked)
    clock.stage("preprocess", 0.2, "Preparing the meshes")
    shapes = simready_load.shapes(notes)
    given = sum(len(shape.tris) for shape in shapes)
    target = simready_load.number(options.get("target_triangle_count"))
    if target and given > target:
        simready_load.decimate(shapes, int(target))
    size = _size(shapes)
    _scale_note(float(size.max()), notes)

    clock.stage("mass", 0.35, "Estimating mass")
    looks = _looks(shapes)
    matters = [_matters(shape, looks, overrides) for shape in shapes]
    surveys = [simready_mass.survey(i, s, matters[i]) for i, s in enumerate(shapes)]
    if not any(surveys):
        raise ProblemError(
            Category.INPUT,
            "The meshes have no surface: all their faces are empty.",
            "Check the scale of the objects, then send again.",
        )
    simready_overlap.remove_overlaps(surveys)
    simready_overrides.apply_overrides(shapes, surveys, overrides, notes)
    body = simready_mass.assemble(surveys, float(size.max()))

    clock.stage("colliders", 0.45, "Building colliders")
    threshold = simready_load.number(options.get("threshold"))
    colliders = simready_colliders.build(
        shapes,
        surveys,
        size,
        threshold,
        lambda done: clock.progress(0.45 + 0.15 * done, "Building colliders"),
    )

    title = str(params.get("name") or source.stem)
    name = safe_name(title, "asset")
    # The name of a part tells what the asset is only if it is the only one.
    sole = [shapes[0].name] if len(shapes) == 1 else []
    asset = simready_usd.Asset(
        name=name,
        title=title,
        label=label_for(title, source.stem, *sole),
        shapes=shapes,
        looks=looks,
        body=body,
        colliders=colliders,
        matters=matters,
        size=size,
        source_file=str(params.get("source_name") or source.name),
        copyright=_copyright(source),
        mass_source="given" if overrides.get("mass_kg") else "estimated",
    )
    clock.stage("usd", 0.6, "Writing USD")
    # The validator's NP.005 wants the grandparent folder's name, "usd", in the file's name.
    usd = output / "usd" / name / f"{name if 'usd' in name else name + '_usd'}.usd"
    textures = simready_usd.write(asset, usd)
    notes += textures.notes
    clock.stage("mjcf", 0.7, "Writing the MuJoCo package")
    mjcf = simready_mjcf.write(asset, output / "mjcf", notes)
    clock.stage("thumbnail", 0.78, "Rendering the thumbnail")
    thumbnail = usd.parent / ".thumbs" / "256x256" / f"{usd.name}.png"
    simready_thumbnail.render(shapes, size, thumbnail)

    findings: list[dict[str, str]] = []
    validated = not _is_on(options.get("skip_validation"))
    if validated:
        clock.stage("validate", 0.95, "Checking the result")
        findings = simready_check.check(usd)
        _refuse_errors(findings)
    timings = clock.end()

    triangles = sum(len(shape.tris) for shape in shapes)
    report = {
        "converter": CONVERTER,
        "blender": bpy.app.version_string,
        **_asset_report(asset),
        "triangles": {"given": given, "kept": triangles},
        "parts": parts_report(shapes, surveys, colliders),
        "validation": findings,
        "validated": validated,
        "notes": notes,
        "timings": timings,
    }
    files = sorted(textures.folder.glob("*")) if textures.folder.is_dir() else []
    return {
        "usd": usd.relative_to(output).as_posix(),
        "mjcf": mjcf.relative_to(output).as_posix(),
        "thumbnail": thumbnail.relative_to(output).as_posix(),
        "textures": [path.relative_to(output).as_posix() for path in files],
        "report": report,
        "mass": report["mass_kg"],
        "bodies": 1,
        "colliders": len(colliders),
        "triangles": triangles,
        "timings": timings,
    }


def _asset_report(asset: simready_usd.Asset) -> dict[str, Any]:
    body = asset.body
    return {
        "asset": asset.name,
        "class": asset.label.name,
        "wikidata_qcode": asset.label.qcode,
        "class_certain": asset.label.certain,
        "size_m": [round(float(value), 6) for value in asset.size],
        "mass_kg": float(np.float32(body.mass)),
        "mass_source": asset.mass_source,
        "center_of_mass_m": [float(value) for value in body.centre],
        "diagonal_inertia_kg_m2": [float(value) for value in body.diagonal],
        "principal_axes_wxyz": list(body.axes),
    }


def _refuse_errors(findings: list[dict[str, str]]) -> None:
    errors = [item for item in findings if item["level"] == "error"]
    if errors:
        raise ProblemError(
            Category.REMOTE,
            "The converted asset did not pass its validation.",
            "Simplify or repair the model, or send it with validation skipped.",
            "; ".join(f"{e['rule']} {e['text']} {e['at']}".strip() for e in errors[:5]),
        )


def _is_on(value: Any) -> bool:
    """A switch as JSON or as the text of a form field."""
    return value is True or str(value).strip().lower() in {"true", "1", "yes", "on"}


def _size(shapes: list[simready_load.Shape]) -> Any:
    low = np.min([shape.points[shape.tris].min(axis=(0, 1)) for shape in shapes], axis=0)
    high = np.max([shape.points[shape.tris].max(axis=(0, 1)) for shape in shapes], axis=0)
    return high - low


def _scale_note(span: float, notes: list[str]) -> None:
    if span <= 0:
        raise ProblemError(
            Category.INPUT,
            "The model has no size: all its points lie in one place.",
            "Check the scale of the objects, then send again.",
        )
    if span < 0.005:
        notes.append(f"The model is only {span * 1000:.3g} mm large. Check its unit (metres).")
    elif span > 100:
        notes.append(f"The model is {span:,.4g} m large. Check its unit: was it in millimetres?")


def _looks(shapes: list[simready_load.Shape]) -> dict[str, Look]:
    looks: dict[str, Look] = {}
    for shape in shapes:
        for material in shape.materials:
            key = simready_usd.look_key(material)
            if key not in looks:
                looks[key] = describe(material)
    return looks


def _matters(
    shape: simready_load.Shape, looks: dict[str, Look], overrides: dict[str, Any]
) -> list[Matter]:
    return [
        matter_of(shape, slot, looks.get(simready_usd.look_key(material)), overrides)
        for slot, material in enumerate(shape.materials)
    ]


def _copyright(path: Path) -> str:
    """The glTF file's own copyright line, if it has one."""
    try:
        if path.suffix.lower() == ".glb":
            with open(path, "rb") as file:
                (length,) = struct.unpack("<12xI4x", file.read(20))
                content = json.loads(file.read(length))
        elif path.suffix.lower() == ".gltf":
            content = json.loads(path.read_text(encoding="utf-8"))
        else:
            return ""
        return str(content.get("asset", {}).get("copyright", ""))[:200]
    except (OSError, ValueError, struct.error):
        return ""
