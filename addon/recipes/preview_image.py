# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: a small .jpg of one rendered frame, as the scene would show it.

    {"input": path of a frame, "output": path.jpg, "longest": 480, "color": as render_scene told}
    ->  {"path", "width", "height"}
"""
