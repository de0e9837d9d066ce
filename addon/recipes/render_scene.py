# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: renders the frames of a .blend, one by one, with the scene's own engine.

    {"input": path of the .blend, "output": folder,
     "config": {...}     names of Renderjuice's ``requestedRenderConfig``; what is absent stays as
                         the scene has it (see ``render_settings``),
     "frames": [1, 2, …] the frames to render, in this order,
     "device": "CPU",
     "preview": path of a small .jpg of the middle frame, or absent}
    ->
    {"frames": [{"frame": 1, "files": [{"path": "frames/shot_0001.png", "view": "", "bytes": n}]}],
     "compositor": [{"path": "compositor/<node>/Image0001.exr", "node": name, "bytes": n}],
     "rendered": n, "kept": n (were there before), "seconds": time spent rendering,
     "finalConfig": {...} what was really used, in the same names,
     "color": {...}      how an unmanaged frame is to be shown (for ``make_video``),
     "fps": number, "preview": path | None, "notes": [sentences]}

Paths in the result are relative to ``output``, with slashes. Frames are called as the scene's output
path says, ``<basename>0001.png``; with several views each has a file with its suffix. A frame whose
files are there is not rendered again, so the same call resumes. A file has its final name only when
it is whole: everything is written beside, then renamed, the frame itself last.

Progress: ``progress(fraction, text, extra)``, ``extra`` is
{"frame": n, "begun": true, "done": k, "total": m} before each frame and
{"frame": n, "done": k, "total": m, "seconds": t, "files": [paths]} after it.

Raises ProblemError: INPUT for a scene that cannot be rendered (no camera, an unknown setting),
BLENDER when a frame fails; the sentence names the frame, the frames before it stay.
"""
