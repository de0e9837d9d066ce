# SPDX-License-Identifier: GPL-3.0-or-later
"""A studio without Blender, for tests of transport: every still is the same tiny picture.

    Sandbox(state_dir, studio=CannedStudio())

What it answers has the form of a real studio's work, but it looks at nothing more than whether a
model begins like a GLB. ``serve`` never uses it.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import Any

from ..problems import Canceled, Category, ProblemError
from .canned import tiny_png
from .glossi_studio import ModelWork, ProjectWork

_TINY_JPEG = b"\xff\xd8\xff\xe0 a thumbnail \xff\xd9"


class CannedStudio:
    """Makes ``views`` (stills) and ``shots`` (videos) of each project, in each of ``variants``.

    ``seconds`` is how long each model and project takes, ``padding`` bytes come on top of each
    file. ``gate``, if given, is called with "check" or "render" and the work order before each.
    ``checked`` and ``rendered`` list the ids of models and render jobs, as often as they came.
    """

    def __init__(
        self,
        *,
        views: tuple[str, ...] = ("Front View", "Three Quarter"),
        shots: tuple[str, ...] = ("360 Spin",),
        variants: tuple[str, ...] = ("Default",),
        seconds: float = 0.0,
        padding: int = 0,
        gate: Callable[[str, ModelWork | ProjectWork], None] | None = None,
    ) -> None:
        self.views = views
        self.shots = shots
        self.variants = variants
        self.seconds = seconds
        self.padding = padding
        self.gate = gate
        self.checked: list[str] = []
        self.rendered: list[str] = []
        self.works: list[ProjectWork] = []

    def check(self, work: ModelWork) -> dict[str, Any]:
        """Facts of a small model. Raises ProblemError for what does not begin like a GLB."""
        self.checked.append(work.model_id)
        if self.gate is not None:
            self.gate("check", work)
        _wait(work, self.seconds)
        with open(work.path, "rb") as file:
            if file.read(4) != b"glTF":
                raise ProblemError(
                    Category.INPUT, "The file is not a GLB.", "Export the model again."
                )
        work.thumbnail.write_bytes(_TINY_JPEG)
        return {"triangles": 1, "materials": 1, "variants": list(self.variants)}

    def render(self, work: ProjectWork) -> dict[str, Any]:
        """The pictures and videos that the settings ask for."""
        self.rendered.append(work.job_id)
        self.works.append(work)
        if self.gate is not None:
            self.gate("render", work)
        _wait(work, self.seconds)
        made: list[dict[str, Any]] = []
        variants = self.variants if work.settings["renderVariants"] else self.variants[:1]
        prores = work.settings["videoQuality"] == 2
        for variant in variants:
            if work.settings["renderBookmarks"]:
                made += [_row(work, f"{view} - {variant}", "PNG") for view in self.views]
            if work.settings["renderShots"]:
                kind = "PRORES" if prores else "MP4"
                made += [_row(work, f"{shot} - {variant}", kind) for shot in self.shots]
        # Not compressible, and the same in each run.
        words = (zlib.crc32(b"%d" % number) for number in range(self.padding // 4))
        more = b"".join(word.to_bytes(4, "big") for word in words)
        for row in made:
            content = tiny_video(row["fileType"] == "PRORES") if row["isVideo"] else tiny_png()
            (work.output / row["path"]).write_bytes(content + more)
        return {"renders": made}


def tiny_video(quicktime: bool = False) -> bytes:
    """What begins like an MP4, or a QuickTime file."""
    brand = b"qt  \0\0\0\0" if quicktime else b"mp42\0\0\0\0"
    boxes = ((b"ftyp", brand), (b"moov", bytes(8)), (b"mdat", bytes(100)))
    return b"".join((8 + len(data)).to_bytes(4, "big") + name + data for name, data in boxes)


def _row(work: ProjectWork, name: str, kind: str) -> dict[str, Any]:
    suffix = {"PNG": "png", "MP4": "mp4", "PRORES": "mov"}[kind]
    path = f"{name.replace(' ', '_').lower()}.{suffix}"
    return {"name": name, "path": path, "fileType": kind, "isVideo": kind != "PNG"}


def _wait(work: ModelWork | ProjectWork, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        if work.cancelled():
            raise Canceled()
        if time.monotonic() >= end:
            return
        time.sleep(0.01)
