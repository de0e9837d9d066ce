# SPDX-License-Identifier: GPL-3.0-or-later
"""In which ways rendered frames can come into a scene: names and words. Imports no bpy."""

from __future__ import annotations

from collections.abc import Iterable

IMAGE, STRIP, COMPOSITOR, MOVIE, BACKGROUND = WAYS = (
    "image",
    "strip",
    "compositor",
    "movie",
    "background",
)
#: what a click on Import does where the scene's settings say nothing
DEFAULT = (IMAGE, STRIP)
#: what comes in by itself: it never touches a timeline, a node tree or a camera
BY_ITSELF = (IMAGE,)

#: items of an EnumProperty with ENUM_FLAG
ITEMS = (
    (
        IMAGE,
        "Image Sequence",
        "An image with all frames, shown in an open Image Editor",
        "IMAGE_DATA",
        1,
    ),
    (
        STRIP,
        "Sequencer Strip",
        "A strip in the Video Sequencer, each frame where the scene has it",
        "SEQUENCE",
        2,
    ),
    (
        COMPOSITOR,
        "Compositor Node",
        "An Image node in the compositor; multi-layer EXR with its passes",
        "NODE_COMPOSITING",
        4,
    ),
    (
        MOVIE,
        "Movie Strip",
        "The video that came back, with its sound, in the Video Sequencer",
        "FILE_MOVIE",
        8,
    ),
    (
        BACKGROUND,
        "Camera Background",
        "The frames behind the view through the camera",
        "CAMERA_DATA",
        16,
    ),
)


def fitting(ways: Iterable[str], *, frames: bool, videos: bool) -> tuple[str, ...]:
    """The chosen ways in their order; where only a video came back, its strip instead of frames."""
    chosen = set(ways)
    if videos and not frames and not chosen & {MOVIE}:
        chosen = {MOVIE}
    return tuple(way for way in WAYS if way in chosen)
