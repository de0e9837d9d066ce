# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: frames side by side in one picture.

    {"frames": [absolute paths], "output": path.png, "columns": n | None, "width": pixels of one,
     "color": what ``render_scene`` told, or absent}
    ->  {"path", "width", "height", "frames": n}
"""
