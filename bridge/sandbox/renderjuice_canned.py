# SPDX-License-Identifier: GPL-3.0-or-later
"""A renderer without Blender, for tests of transport: every frame is the same tiny picture.

    Sandbox(state_dir, renderer=CannedRenderer())

What it answers has the form of a real analysis and a real render, but it looks at nothing.
``serve`` never uses it.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..problems import Canceled
from .canned import tiny_png
from .renderjuice_work import SceneWork, video_name

#: the least that begins like a .blend (of Blender 5.0)
TINY_BLEND = b"BLENDER17-01v0500" + bytes(64)


class CannedRenderer:
    """Renders ``frames`` (the scene's range) with ``seconds`` for each; ``padding`` bytes of more.

    ``nodes`` are compositor outputs, ``analysis`` replaces keys of the analysis. ``gate``, if
    given, is called with the frame's number before each frame, with 0 at validation.
    ``rendered`` lists every frame ever rendered, job by job: {job id: [frames]}.
    """

    def __init__(
        self,
        frames: tuple[int, int] = (1, 3),
        *,
        seconds: float = 0.0,
        padding: int = 0,
        nodes: tuple[str, ...] = (),
        analysis: dict[str, Any] | None = None,
        gate: Callable[[int], None] | None = None,
    ) -> None:
        self.frames = frames
        self.seconds = seconds
        self.padding = padding
        self.nodes = nodes
        self.extra = analysis or {}
        self.gate = gate
        self.analyzed = 0
        self.rendered: dict[str, list[int]] = {}

    def analyze(self, work: SceneWork) -> dict[str, Any]:
        """An analysis of a small scene."""
        if self.gate is not None:
            self.gate(0)
        _wait(work, self.seconds)
        self.analyzed += 1
        first, last = self.frames
        return {
            "schema": 1,
            "blender": [5, 0, 1],
            "fileVersion": [5, 0, 0],
            "bytes": work.blend.stat().st_size,
            "scene": "Scene",
            "scenes": ["Scene"],
            "camera": "Camera",
            "cameras": ["Camera"],
            "viewLayers": [{"name": "ViewLayer", "use": True}],
            "renderEngine": "CYCLES",
            "engineSupported": True,
            "sampleCount": 16,
            "resolution": [64, 36],
            "resolutionPercentage": 100,
            "fps": 24,
            "frameStart": first,
            "frameEnd": last,
            "frameStep": 1,
            "frameCount": last - first + 1,
            "frameRanges": [f"{first}-{last}"],
            "outputFormat": "PNG",
            "isMovie": False,
            "outputSettings": {"colorMode": "RGBA", "colorDepth": "8", "compression": 15},
            "views": [],
            "denoisingEnabled": False,
            "compositorOutputs": list(self.nodes),
            "missingFiles": [],
            "missingCount": 0,
            "autoexecFail": False,
            "autoexecMessage": "",
            "findings": [],
            **self.extra,
        }

    def render(self, work: SceneWork) -> dict[str, Any]:
        """The picture for each frame that is not there yet."""
        done, kept = 0, 0
        # Not compressible, and the same in each run.
        words = (zlib.crc32(b"%d" % n) for n in range(self.padding // 4))
        content = tiny_png() + b"".join(word.to_bytes(4, "big") for word in words)
        result: dict[str, Any] = {"frames": [], "compositor": []}
        for frame in work.frames:
            files = [f"frames/frame_{frame:04d}.png"]
            files += [f"compositor/{node}/Image{frame:04d}.png" for node in self.nodes]
            if all((work.output / name).exists() for name in files):
                kept += 1
            else:
                work.told({"frame": frame, "begun": True, "done": done, "total": len(work.frames)})
                if self.gate is not None:
                    self.gate(frame)
                _wait(work, self.seconds)
                for name in reversed(files):
                    path = work.output / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
                self.rendered.setdefault(work.job_id, []).append(frame)
            done += 1
            size = len(content)
            result["frames"].append(
                {"frame": frame, "files": [{"path": files[0], "view": "", "bytes": size}]}
            )
            result["compositor"] += [
                {"path": name, "node": name.split("/")[1], "bytes": size} for name in files[1:]
            ]
            work.told(
                {"frame": frame, "done": done, "total": len(work.frames), "seconds": self.seconds}
            )
        preview = work.output / "preview.jpg"
        preview.write_bytes(b"\xff\xd8\xff\xe0 a preview \xff\xd9")
        return {
            **result,
            "rendered": done - kept,
            "kept": kept,
            "seconds": self.seconds * (done - kept),
            "finalConfig": {
                "renderEngine": "CYCLES",
                "sampleCount": 16,
                "outputFormat": "PNG",
                "fps": 24,
                **work.config,
            },
            "color": {},
            "fps": 24,
            "preview": str(preview),
            "notes": [],
        }

    def video(self, work: SceneWork, result: dict[str, Any]) -> Path | None:
        """A file that begins like a video."""
        target = work.output / f"{video_name(work.blend)}.mp4"
        boxes = ((b"ftyp", b"mp42\0\0\0\0"), (b"moov", bytes(8)), (b"mdat", bytes(100)))
        target.write_bytes(
            b"".join((8 + len(data)).to_bytes(4, "big") + name + data for name, data in boxes)
        )
        return target


def _wait(work: SceneWork, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        if work.cancelled():
            raise Canceled()
        if time.monotonic() >= end:
            return
        time.sleep(0.01)
