# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: puts products into a template's scene and takes its pictures and videos.

    {"template": id, key or name,
     "models": [path of a .glb, or {"path", "name"}], "names": [names of the models] or absent,
     "settings": {"renderBookmarks": bool, "renderShots": bool, "renderVariants": bool,
                  "imageQuality": 0 | 1 | 2, "videoQuality": 0 | 1 | 2,
                  "videoResolution": 0 | 1 | 2},      (Glossi docs, Complete Workflow)
     "output": folder, "project": name,
     "samples": of each pixel, or absent,  "scale": 1, for tests: divides both sides of pictures,
     "frames": or absent, for tests: how long a video is at most}
    ->
    {"renders": [{"name": "Front View - Default", "path": absolute path, "fileType": "PNG" | "MP4" |
                  "PRORES", "isVideo": bool, "bookmark": name of bookmark or shot, "variant",
                  "width", "height", "frames": n, "bytes"}],
     "notes": [sentences], "seconds"}

Pictures have 1280 x 720, 1920 x 1080 or 3840 x 2160 pixels. ``videoQuality`` 0 and 1 give MP4
(H.264), 2 gives ProRes in a .mov. With ``renderVariants`` each of the models' material variants
(KHR_materials_variants) is shown, else their own materials, "Default".

Progress: ``progress(fraction, text, extra)``, extra {"render": name, "done": n, "total": n} when
one is finished. Raises ProblemError: INPUT (a model that cannot be used, named; a wrong setting),
BLENDER (this Blender cannot write ProRes; a picture failed).
"""

from __future__ import annotations

import re
import tempfile
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from addon.recipes import studio_templates, studio_video
from addon.recipes.studio_products import Model, is_default, opened, variants
from addon.recipes.studio_scene import Room
from addon.recipes.studio_templates import Bookmark, Shot, Template
from bridge.problems import Category, ProblemError

Progress = Callable[..., None]

DEFAULT = "Default"
SIZES = {0: (1280, 720), 1: (1920, 1080), 2: (3840, 2160)}
# Few: the denoiser does the rest.
_STILL_SAMPLES = {0: 4, 1: 12, 2: 16}
_VIDEO_SAMPLES = {0: 3, 1: 8, 2: 16}


@dataclass(frozen=True)
class Settings:
    """``settings`` of ``POST /renders``, complete."""

    bookmarks: bool
    shots: bool
    variants: bool
    image: int
    video: int
    video_size: int

    @classmethod
    def read(cls, given: dict[str, Any]) -> Settings:
        """Raises ProblemError(INPUT) for a value that Glossi does not document."""
        quality = {}
        for name in ("imageQuality", "videoQuality", "videoResolution"):
            value = given.get(name, 1)
            if isinstance(value, bool) or value not in (0, 1, 2):
                raise ProblemError(
                    Category.INPUT,
                    f"{name} cannot be {value}.",
                    "It is 0, 1 or 2.",
                )
            quality[name] = value
        return cls(
            bool(given.get("renderBookmarks", True)),
            bool(given.get("renderShots", True)),
            bool(given.get("renderVariants", True)),
            quality["imageQuality"],
            quality["videoQuality"],
            quality["videoResolution"],
        )


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Place, light, render; see the module's text."""
    begun = time.monotonic()
    template = studio_templates.find(str(params["template"]))
    settings = Settings.read(params.get("settings") or {})
    models = _models(params)
    chosen = _variants(models, settings.variants)
    stills = template.bookmarks if settings.bookmarks else ()
    shots = template.shots if settings.shots else ()
    if shots:
        studio_video.require(settings.video)
    work = _Work(template, models, settings, params, progress)
    work.total = len(chosen) * (len(stills) + len(shots))
    for variant in chosen:
        if not work.total:
            break
        work.prepare(variant)
        for bookmark in stills:
            work.still(bookmark, variant)
        for shot in shots:
            work.video(shot, variant)
    return {
        "renders": work.renders,
        "notes": work.room.notes,
        "seconds": round(time.monotonic() - begun, 3),
    }


def _models(params: dict[str, Any]) -> list[Model]:
    names = params.get("names") or []
    found = []
    for number, entry in enumerate(params.get("models") or []):
        if isinstance(entry, dict):
            path, name = Path(entry["path"]), entry.get("name")
        else:
            path, name = Path(entry), names[number] if number < len(names) else None
        found.append(Model(path, str(name or path.stem)))
    if not found:
        raise ProblemError(Category.INPUT, "The project has no model.")
    return found


def _variants(models: list[Model], wanted: bool) -> list[str]:
    """What is shown, one after the other. A model without a variant keeps its own materials.

    The models' own materials come first unless a variant is just those.
    """
    names: list[str] = []
    own = True
    for model in models:
        document = opened(model.path, model.name).json
        if not wanted:
            continue
        listed = variants(document)
        names += [name for name in listed if name not in names]
        same = [n for n, name in enumerate(listed) if is_default(document, n)]
        own = own and not same
    if not names:
        return [DEFAULT]
    return [DEFAULT, *names] if own and DEFAULT not in names else names


class _Work:
    """One project: its scene for the variant at hand, and what was rendered."""

    def __init__(
        self,
        template: Template,
        models: list[Model],
        settings: Settings,
        params: dict[str, Any],
        progress: Progress,
    ) -> None:
        self.room, self.models, self.settings = Room(template), models, settings
        self.target = Path(params["output"])
        self.target.mkdir(parents=True, exist_ok=True)
        self.progress = progress
        self.scale = max(1, int(params.get("scale") or 1))
        self.samples = int(params["samples"]) if params.get("samples") else None
        self.longest = int(params["frames"]) if params.get("frames") else None
        self.renders: list[dict[str, Any]] = []
        self.total = 0

    def prepare(self, variant: str) -> None:
        """Put the products up in this variant."""
        self._tell(f"Setting up {self.room.template.name}")
        with tempfile.TemporaryDirectory(dir=self.target, prefix=".model-") as folder:
            self.room.prepare(self.models, variant, Path(folder))

    def still(self, bookmark: Bookmark, variant: str) -> None:
        """Render one bookmark."""
        name, quality = f"{bookmark.name} - {variant}", self.settings.image
        self._tell(f"Rendering {name}")
        width, height = self._size(quality)
        path = self.target / self._file(name, ".png")
        self.room.still(bookmark, path, width, height, self.samples or _STILL_SAMPLES[quality])
        self._add(name, path, "PNG", bookmark.name, variant, width, height, 0)

    def _size(self, quality: int) -> tuple[int, int]:
        width, height = SIZES[quality]
        return width // self.scale // 2 * 2, height // self.scale // 2 * 2

    def video(self, shot: Shot, variant: str) -> None:
        """Render one shot, frame by frame, then its video."""
        name, quality = f"{shot.name} - {variant}", self.settings.video
        width, height = self._size(self.settings.video_size)
        share = 2 if quality == 0 else 1  # the fastest quality is rendered smaller and enlarged
        count = min(shot.frames, self.longest or shot.frames)
        move = self.room.action(shot, count)
        samples, depth = self.samples or _VIDEO_SAMPLES[quality], "16" if quality == 2 else "8"
        with tempfile.TemporaryDirectory(dir=self.target, prefix=".video-") as folder:
            frames = []
            for number in range(count):
                self._tell(f"Rendering {name}, frame {number + 1} of {count}", number / count)
                move(number)
                frames.append(Path(folder, f"{number:04}.png"))
                self.room.frame(frames[-1], width // share, height // share, samples, depth=depth)
            path = self.target / self._file(name, studio_video.ending(quality))
            studio_video.write(
                frames, path, width=width, height=height, fps=studio_templates.FPS, quality=quality
            )
        self.room.turn(0.0)
        kind = studio_video.file_type(quality)
        self._add(name, path, kind, shot.name, variant, width, height, count)

    # -- results ---------------------------------------------------------------------------------

    def _file(self, name: str, suffix: str) -> str:
        taken = {Path(entry["path"]).name.casefold() for entry in self.renders}
        base = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        base = re.sub(r"[^A-Za-z0-9 _.-]+", "_", base).strip(" .") or "render"
        path, number = f"{base[:100]}{suffix}", 2
        while path.casefold() in taken:
            path, number = f"{base[:96]} {number}{suffix}", number + 1
        return path

    def _tell(self, text: str, part: float = 0.0, extra: dict[str, Any] | None = None) -> None:
        self.progress((len(self.renders) + part) / max(1, self.total), text, extra)

    def _add(
        self,
        name: str,
        path: Path,
        kind: str,
        view: str,
        variant: str,
        width: int,
        height: int,
        frames: int,
    ) -> None:
        self.renders.append(
            {
                "name": name,
                "path": str(path),
                "fileType": kind,
                "isVideo": kind != "PNG",
                "bookmark": view,
                "variant": variant,
                "width": width,
                "height": height,
                "frames": frames,
                "bytes": path.stat().st_size,
            }
        )
        told = {"render": name, "done": len(self.renders), "total": self.total}
        self._tell(f"{name} is done", extra=told)
