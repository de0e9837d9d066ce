# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Renderjuice job offers when it has completed: files, archives, a video, and their list.

In a job's folder, ``output/`` holds ``frames/``, ``compositor/<node>/`` and a preview as the
renderer wrote them, then ``frames.zip``, ``compositor.zip`` and the video; ``result.json`` beside
it is the renderer's list. The shapes of the answer follow Renderjuice docs, "Download URLs".
"""

from __future__ import annotations

import json
import mimetypes
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..problems import Canceled
from . import renderjuice_ways
from .wire import Response

_PIECE = 1 << 20
FRAMES_ZIP, NODES_ZIP = "frames.zip", "compositor.zip"


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """Keep the renderer's list; whole or not at all."""
    temporary = folder / "result.json.tmp"
    temporary.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    os.replace(temporary, folder / "result.json")


def read_result(folder: Path) -> dict[str, Any] | None:
    """The renderer's list, or None before it is there."""
    try:
        return dict(json.loads((folder / "result.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def pack(folder: Path, result: dict[str, Any], cancelled: Callable[[], bool]) -> None:
    """Write the archives of frames and of compositor outputs. Raises Canceled."""
    frames = [file["path"] for item in result["frames"] for file in item["files"]]
    nodes = [item["path"] for item in result.get("compositor", [])]
    for names, target in ((frames, FRAMES_ZIP), (nodes, NODES_ZIP)):
        if names:
            _zip(folder / "output", names, folder / "output" / target, cancelled)


def _zip(root: Path, names: list[str], target: Path, cancelled: Callable[[], bool]) -> None:
    """Stored, not deflated: frames are compressed already. Without the first folder's name."""
    temporary = target.with_name(f"{target.name}.tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name in names:
            path = root / name
            info = zipfile.ZipInfo(name.partition("/")[2])
            info.external_attr = 0o644 << 16
            info.file_size = path.stat().st_size
            with open(path, "rb") as source, archive.open(info, "w") as sink:
                while piece := source.read(_PIECE):
                    if cancelled():
                        raise Canceled()
                    sink.write(piece)
    os.replace(temporary, target)


def downloads(
    folder: Path | None,
    result: dict[str, Any] | None,
    url: Callable[[str], str],
    ways: dict[str, Any],
) -> dict[str, Any]:
    """The answer of ``GET /jobs/{id}/downloads``; without a result, empty arrays.

    ``url`` signs a path below the job's outputs.
    """  # fmt: skip
    frames: list[dict[str, Any]] = []
    nodes: list[dict[str, Any]] = []
    transforms: dict[str, Any] = {}
    if folder is not None and result is not None:
        for item in result["frames"]:
            frames += [_output(file["path"], url, file.get("view", "")) for file in item["files"]]
        for item in result.get("compositor", []):
            nodes.append(_output(item["path"], url, item.get("view", ""), item["node"]))
        transforms = _transforms(folder / "output", result, url, ways)
    answer = {
        "frames": [item["url"] for item in frames],
        "compositeNodes": [item["url"] for item in nodes],
        "transforms": transforms,
        "frameOutputs": frames,
        "compositeNodeOutputs": nodes,
    }
    return without(answer, ways["omit"])


def _transforms(
    output: Path, result: dict[str, Any], url: Callable[[str], str], ways: dict[str, Any]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, key in ((FRAMES_ZIP, "framesZip"), (NODES_ZIP, "compositeNodesZip")):
        archive = _output(name, url) if (output / name).is_file() else None
        if archive is not None:
            found[key] = archive["url"]
        if ways["zip_outputs"] != "absent":
            found[f"{key}Outputs"] = renderjuice_ways.zip_outputs(archive, ways["zip_outputs"])
    video = result.get("video")
    if ways["video"] != "absent":
        videos = [_output(str(video), url)] if video else []
        found["video"] = renderjuice_ways.video(videos, ways["video"])
    return found


def _output(path: str, url: Callable[[str], str], view: str = "", node: str = "") -> dict[str, Any]:
    return {
        "url": url(path),
        "fileName": path.rpartition("/")[2],
        "view": view,
        "legacy": False,
        "relativePath": path,
        "compositeNodeName": node,
    }


def without(value: Any, names: list[str]) -> Any:
    """A JSON value without the keys of these names, at any depth."""
    if not names:
        return value
    if isinstance(value, dict):
        return {key: without(item, names) for key, item in value.items() if key not in names}
    if isinstance(value, list):
        return [without(item, names) for item in value]
    return value


def serve(path: Path) -> Response:
    """A file with its length, an entity tag and byte ranges."""
    facts = path.stat()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {
        "Content-Type": kind,
        "ETag": f'"{facts.st_size:x}-{facts.st_mtime_ns:x}"',
    }
    return Response(200, headers, file=path, sized=True)
