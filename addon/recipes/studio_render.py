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

Progress: ``progress(fraction, text, extra)`` with extra {"render": name, "done": n, "total": n} when
one is finished. Raises ProblemError: INPUT (a model that cannot be used, named; a wrong setting),
BLENDER (this Blender cannot write ProRes; a picture failed).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Progress = Callable[..., None]


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Place, light, render; see the module's text."""
    raise NotImplementedError
