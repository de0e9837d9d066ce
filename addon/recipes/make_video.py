# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: frames in, one .mp4 (H.264) out, by Blender's own sequencer and ffmpeg.

    {"frames": [{"frame": 1, "path": absolute path}, …], "output": path.mp4, "fps": number,
     "color": what ``render_scene`` told, or absent}
    ->  {"available": true, "path", "bytes", "width", "height", "frames": n, "fps": number}
    ->  {"available": false, "why": one sentence}    (this Blender cannot; nothing was written)

A frame that is missing in between is shown by the one before it, so that time stays right. Frames
with linear light (OpenEXR, Radiance) get the scene's view transform. The frames are only read.
"""
