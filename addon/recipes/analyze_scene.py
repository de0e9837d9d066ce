# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipe: opens a .blend and tells what a render of it would be. Scripts are not run.

    {"input": path of the .blend}  ->  the analysis:
    {"schema": 1,
     "blender": [5, 2, 3], "fileVersion": [5, 2, 3], "bytes": n,
     "scene": name, "scenes": [names], "camera": name | None, "cameras": [names],
     "viewLayers": [{"name", "use"}],
     "renderEngine": "CYCLES", "engineSupported": bool, "sampleCount": n | None,
     "resolution": [w, h], "resolutionPercentage": n, "fps": number,
     "frameStart": n, "frameEnd": n, "frameStep": n, "frameCount": n, "frameRanges": ["1-24"],
     "outputFormat": "PNG", "isMovie": bool,
     "outputSettings": {"colorMode", "colorDepth", "exrCodec", "tiffCodec", "compression",
                        "quality"},    (those that the format has)
     "views": ["left", "right"] | [], "motionBlur": bool,
     "denoisingEnabled": bool, "denoiserType": str | None, "useTiling": bool, "tileSize": n,
     "compositorDevice": "CPU", "computeDeviceType": "CPU",
     "colorManagement": {"displayDevice", "viewTransform", "look", "exposure", "gamma"},
     "compositorOutputs": [names], "useSequencer": bool,
     "objects": n, "triangles": n, "materials": n, "images": n, "memoryBytes": n (a rough estimate),
     "missingFiles": [{"path", "kind", "users": [names]}]  (at most 200), "missingCount": n,
     "autoexecFail": bool, "autoexecMessage": str,
     "findings": [{"code", "severity": "blocking" | "warning" | "info", "sentence", "hint",
                   "users": [names]}]}

Names as in Renderjuice's ``requestedRenderConfig`` where it has one. Raises ProblemError: INPUT for
a damaged file or one without a camera, BLENDER for a file of a newer Blender. It writes nothing.
"""
