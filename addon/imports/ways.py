# SPDX-License-Identifier: GPL-3.0-or-later
"""In which ways frames and pictures can come into a scene: names and words. Imports no bpy."""

from __future__ import annotations

from collections.abc import Iterable

IMAGE, STRIP, COMPOSITOR, MOVIE, BACKGROUND = WAYS = (
    "image",
    "strip",
    "compositor",
    "movie",
    "background",
)
REFERENCE, PREVIEW = "reference", "preview"
#: of product pictures: stills and videos
STILL_WAYS = (IMAGE, REFERENCE, BACKGROUND, PREVIEW, STRIP, MOVIE)
#: what a click on Import does where the scene's settings say nothing
DEFAULT = (IMAGE, STRIP)
STILL_DEFAULT = (IMAGE,)
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
#: the same for product pictures; an item of the same name has the same number
STILL_ITEMS = (
    (
        IMAGE,
        "Images",
        "An image for each still, named after product and camera",
        "IMAGE_DATA",
        1,
    ),
    (
        REFERENCE,
        "References",
        "The stills in a row beside their product, in a collection of their own",
        "IMAGE_REFERENCE",
        32,
    ),
    (
        BACKGROUND,
        "Camera Background",
        "A still behind the view through the scene's camera",
        "CAMERA_DATA",
        16,
    ),
    (
        PREVIEW,
        "Asset Preview",
        "A still as the picture of the product itself in the Asset Browser, with tags",
        "ASSET_MANAGER",
        64,
    ),
    (
        STRIP,
        "Movie Strips",
        "The videos one after the other in the Video Sequencer, from the playhead on",
        "SEQUENCE",
        2,
    ),
    (
        MOVIE,
        "Movie Textures",
        "A material for each video, ready to use",
        "FILE_MOVIE",
        8,
    ),
)
#: where it is not known what a job brought
EVERY_ITEMS = (*ITEMS, *(item for item in STILL_ITEMS if item[0] in (REFERENCE, PREVIEW)))


def fitting(ways: Iterable[str], *, frames: bool, videos: bool) -> tuple[str, ...]:
    """The chosen ways in their order; where only a video came back, its strip instead of frames."""
    chosen = set(ways)
    if videos and not frames and not chosen & {MOVIE}:
        chosen = {MOVIE}
    return tuple(way for way in WAYS if way in chosen)


def fitting_pictures(ways: Iterable[str], *, stills: bool, videos: bool) -> tuple[str, ...]:
    """The scene's choice for product pictures; a lone video becomes a movie texture.

    Never the asset preview: it changes the artist's own data, so it is asked for by name.
    """
    chosen = set(ways) - {PREVIEW} or set(STILL_DEFAULT)
    if videos and not stills and not chosen & {STRIP, MOVIE}:
        chosen = {MOVIE}
    return tuple(way for way in STILL_WAYS if way in chosen)
