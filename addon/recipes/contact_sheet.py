# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: frames side by side in one picture.

{"frames": [absolute paths], "output": path.png, "columns": n | None, "width": pixels of one,
 "color": what ``render_scene`` told, or absent}
->  {"path", "width", "height", "frames": n}
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from addon.recipes import pictures
from bridge.problems import Category, ProblemError

_GAP = 6
_GROUND = (0.105, 0.11, 0.12)

Progress = Callable[..., None]


def main(params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Read, place, write; see the module's text. Raises ProblemError(INPUT) without frames."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    paths = [Path(path) for path in params["frames"]]
    if not paths:
        raise ProblemError(Category.INPUT, "There are no frames for a contact sheet.")
    columns = int(params.get("columns") or math.ceil(math.sqrt(len(paths) * 1.2)))
    columns = min(columns, len(paths))
    cells = []
    for number, path in enumerate(paths):
        progress(number / len(paths), "Making the contact sheet")
        cells.append(pictures.values(path, params.get("color"), int(params.get("width") or 240)))
    height, width = (max(cell.shape[side] for cell in cells) for side in (0, 1))
    rows = math.ceil(len(cells) / columns)
    sheet = np.empty(
        (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), dtype=np.float32
    )
    sheet[:] = _GROUND
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        y = (rows - 1 - row) * (height + _GAP) + _GAP  # rows of pixels start at the bottom
        x = column * (width + _GAP) + _GAP
        y, x = y + (height - cell.shape[0]) // 2, x + (width - cell.shape[1]) // 2
        sheet[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
    target = Path(params["output"])
    pictures.save(sheet, target)
    return {
        "path": str(target),
        "width": sheet.shape[1],
        "height": sheet.shape[0],
        "frames": len(cells),
    }
