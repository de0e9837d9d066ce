# SPDX-License-Identifier: GPL-3.0-or-later
"""Data-blocks that are one medium each: libraries, images, clips, sounds, fonts, volumes, texts."""

from __future__ import annotations

import os
from typing import Any

import bpy

from addon.recipes import blocks, places, versions
from addon.recipes.dependencies import timing
from addon.recipes.dependencies.model import Dependency
from addon.recipes.dependencies.walk import Walk, animated, assign

_TIMING = ("frame_offset", "frame_start", "frame_duration", "use_cyclic", "frame_current")


def find(walk: Walk) -> None:
    """Everything of these kinds."""
    _libraries(walk)
    _images(walk)
    _clips(walk)
    for sound in bpy.data.sounds:
        _plain(walk, "sound", sound)
    for font in bpy.data.fonts:
        if font.filepath != "<builtin>":
            _plain(walk, "font", font)
    _volumes(walk)
    for text in bpy.data.texts:
        if text.filepath:
            # Blender keeps the lines in the .blend too, and runs those.
            _plain(walk, "script", text, packed=True)


def _plain(walk: Walk, kind: str, item: Any, *, packed: bool | None = None) -> None:
    if not item.filepath:
        return
    if packed is None:
        packed = item.packed_file is not None
    made = walk.add(kind, item, item.filepath, packed=packed, setter=assign(item, "filepath"))
    walk.file(made)


def _libraries(walk: Walk) -> None:
    for library in bpy.data.libraries:
        if getattr(library, "is_archive", False):
            continue  # holds what was packed from the library of the same path
        path = places.normal(bpy.path.abspath(library.filepath))
        made = walk.add(
            "library",
            library,
            library.filepath,
            path=path,
            packed=library.packed_file is not None,
            setter=assign(library, "filepath"),
        )
        for item in library.users_id:
            row = {"type": type(item).__name__, "name": item.name, "library": path}
            if isinstance(item, bpy.types.Collection | bpy.types.Object) and len(made.users) < 8:
                made.users.append(row)
        walk.file(made)


# Images


def _images(walk: Walk) -> None:
    saved = {
        (entry["name"], entry.get("library") and places.key(entry["library"]))
        for entry in walk.capture.get("images", [])
    }
    timings = _image_users()
    for image in bpy.data.images:
        if image.type in {"RENDER_RESULT", "COMPOSITING"} or image.source == "VIEWER":
            continue
        packed = len(image.packed_files) > 0
        if image.source == "GENERATED" and not packed:
            continue
        value = image.filepath_raw
        if not value and not packed:
            continue
        kind = {"SEQUENCE": "image_sequence", "MOVIE": "movie", "TILED": "udim"}.get(
            image.source, "image"
        )
        path = walk.place(value, image)
        pieces = places.numbered(os.path.basename(path))
        if kind == "image_sequence" and pieces:
            path = os.path.join(os.path.dirname(path), pattern(pieces))
        library = blocks.library_path(image)
        kept = (image.name, library and places.key(library)) in saved
        whole = (packed and _tiles_packed(image)) or kept
        made = walk.add(
            kind, image, value, path=path, packed=whole, setter=assign(image, "filepath_raw")
        )
        if kept:
            made.note = "Its pixels were unsaved and went along with the scene."
        if made.packed:
            continue
        path = walk.place(value, image)
        walk.known.add(places.key(path))
        for view in views(path, image):
            if kind == "udim":
                _tiles(walk, made, image, view)
            elif kind == "image_sequence":
                _image_sequence(walk, made, image, view, timings.get(image, []))
            else:
                walk.file(made, view)


def pattern(pieces: tuple[str, int, str]) -> str:
    """How a sequence is shown: a `#` for each digit."""
    return pieces[0] + "#" * pieces[1] + pieces[2]


def _tiles_packed(image: Any) -> bool:
    if image.source != "TILED":
        return True
    packed = {entry.tile_number for entry in image.packed_files}
    return all(tile.number in packed for tile in image.tiles)


def _tiles(walk: Walk, made: Dependency, image: Any, path: str) -> None:
    """The tiles that the image lists, and those on the disk that it does not list (yet)."""
    folder, name = os.path.split(path)
    if not places.has_tiles(name):
        walk.file(made, path)
        return
    packed = {entry.tile_number for entry in image.packed_files}
    listed = {tile.number for tile in image.tiles} - packed
    for number in sorted(listed):
        walk.file(made, os.path.join(folder, places.tile_name(name, number)), frame=number)
    there = walk.disk.find(folder)
    if there is None:
        return
    for each in walk.disk.names(there[0]):
        tile = places.tile_number(each, name)
        if tile is not None and tile not in listed | packed:
            walk.file(made, os.path.join(folder, each), frame=tile)


def views(path: str, item: Any) -> list[str]:
    """The files of all views (left and right eye…) of a path that names one of them.

    Blender takes what stands before the suffix of a view, and puts each view's suffix there.
    """
    if not getattr(item, "use_multiview", False) or item.views_format != "INDIVIDUAL":
        return [path]
    stem, extension = os.path.splitext(path)
    suffixes = {"_L", "_R"}
    used: list[str] = []
    for scene in bpy.data.scenes:
        if scene.render.use_multiview:
            used += [view.file_suffix for view in scene.render.views if view.use]
    suffixes |= {suffix for suffix in used if suffix}
    for suffix in sorted(suffixes, key=len, reverse=True):
        if stem.endswith(suffix):
            head = stem[: -len(suffix)]
            return [head + each + extension for each in dict.fromkeys(used or ["_L", "_R"])]
    return [path]


def _image_sequence(
    walk: Walk, made: Dependency, image: Any, path: str, users: list[dict[str, Any] | None]
) -> None:
    wanted: set[int] | None = set()
    spare = set()
    if walk.frames is None:
        wanted = None
        walk.all_frames(made, walk.all_frames_because)
    elif None in users or len(users) < int(image.users) - int(image.use_fake_user) or not users:
        wanted = None
        walk.all_frames(made, "All frames are taken, since which of them is shown is computed.")
    else:
        for user in users:
            if user is not None and wanted is not None:
                wanted |= timing.image_frames(*walk.frames, **user)
                spare.add(user["offset"])
    walk.sequence(made, path, wanted, spare=spare)


def _image_users() -> dict[Any, list[dict[str, Any] | None]]:
    """Image -> how each of its users times it; None for one that computes it or is animated."""
    found: dict[Any, list[dict[str, Any] | None]] = {}

    def note(image: Any, user: Any, *owners: Any) -> None:
        if image is None or image.source != "SEQUENCE":
            return
        timed = None
        if user is not None and not any(animated(owner, *_TIMING) for owner in owners):
            timed = {
                "start": user.frame_start,
                "duration": user.frame_duration,
                "offset": user.frame_offset,
                "cyclic": user.use_cyclic,
            }
        found.setdefault(image, []).append(timed)

    for owner, tree in trees():
        for node in tree.nodes:
            image = getattr(node, "image", None)
            if isinstance(image, bpy.types.Image):
                user = getattr(node, "image_user", None)
                if user is None and hasattr(node, "frame_duration"):
                    user = node
                note(image, user, owner, tree)
    for texture in bpy.data.textures:
        if isinstance(texture, bpy.types.ImageTexture):
            note(texture.image, texture.image_user, texture)
    for camera in bpy.data.cameras:
        for background in camera.background_images:
            note(background.image, background.image_user, camera)
    for item in bpy.data.objects:
        if item.type == "EMPTY" and isinstance(item.data, bpy.types.Image):
            note(item.data, item.image_user, item)
    return found


def trees() -> list[tuple[Any, Any]]:
    """Every node tree as (the data-block that owns it, tree); a group owns itself."""
    found: list[tuple[Any, Any]] = [(group, group) for group in bpy.data.node_groups]
    for collection in (
        bpy.data.materials, bpy.data.worlds, bpy.data.lights, bpy.data.linestyles,
        bpy.data.textures,
    ):  # fmt: skip
        found += [(item, item.node_tree) for item in collection if item.node_tree is not None]
    for scene in bpy.data.scenes:
        tree = versions.compositor(scene)
        if tree is not None and tree.is_embedded_data:
            found.append((scene, tree))
    return found


# Clips and volumes


def _clips(walk: Walk) -> None:
    for clip in bpy.data.movieclips:
        if not clip.filepath:
            continue
        path = walk.place(clip.filepath, clip)
        pieces = places.numbered(os.path.basename(path)) if clip.source == "SEQUENCE" else None
        shown = path
        if pieces is not None:
            shown = os.path.join(os.path.dirname(path), pattern(pieces))
        made = walk.add(
            "movie_clip", clip, clip.filepath, path=shown, setter=assign(clip, "filepath")
        )
        if pieces is None:
            walk.file(made, path)
        else:
            _clip_sequence(walk, made, clip, path)
        if clip.use_proxy:
            clip_proxies(walk, clip, path)


def _clip_sequence(walk: Walk, made: Dependency, clip: Any, path: str) -> None:
    """From the file that is named on: Blender counts a clip's frames from there to the first gap,
    so nothing is left out at its beginning or within.
    """
    first = places.number(os.path.basename(path)) or 0
    folder, name = os.path.split(path)
    pieces = places.numbered(name)
    there = walk.disk.find(folder)
    if pieces is None or there is None:
        walk.miss(made, [path])
        return
    on_disk, end = walk.numbered(there[0], pieces), first
    while end + 1 in on_disk:
        end += 1
    numbers = set(range(first, end + 1))
    wanted = numbers
    if walk.frames is None or animated(clip, *_TIMING):
        walk.all_frames(made, walk.all_frames_because)
    else:
        last = walk.frames[1] - clip.frame_start + clip.frame_offset + first
        wanted = {number for number in numbers if number <= max(last, first)}
    walk.sequence(made, path, wanted)
    made.total = len(numbers)


def clip_proxies(walk: Walk, clip: Any, path: str) -> None:
    """Smaller stand-ins for a clip: in a folder of the artist's choice, or beside the clip."""
    folder, name = os.path.split(path)
    own = clip.use_proxy_custom_directory and clip.proxy.directory
    place = os.path.join(folder, "BL_proxy", name)
    value = clip.proxy.directory if own else place
    if own:
        place = os.path.join(walk.place(value, clip, moved=False), name)
        place = place if walk.disk.find(place) else walk.place(value, clip, moved=False)
    made = walk.add(
        "proxy",
        clip,
        value,
        path=place,
        folder=True,
        optional=True,
        setter=assign(clip.proxy, "directory") if own else None,
    )
    walk.tree(made)


def _volumes(walk: Walk) -> None:
    for volume in bpy.data.volumes:
        value = volume.filepath
        if not value:
            continue
        path = walk.place(value, volume)
        pieces = places.numbered(os.path.basename(path)) if volume.is_sequence else None
        shown = path
        if pieces is not None:
            shown = os.path.join(os.path.dirname(path), pattern(pieces))
        made = walk.add(
            "volume" if pieces is None else "volume_sequence",
            volume,
            value,
            path=shown,
            packed=volume.packed_file is not None,
            setter=assign(volume, "filepath"),
        )
        if made.packed:
            continue
        if pieces is None:
            walk.file(made, path)
            continue
        wanted = None
        if walk.frames is None or animated(volume, *_TIMING, "sequence_mode"):
            why = walk.all_frames_because
            walk.all_frames(made, why or "All frames are taken, since its timing is animated.")
        else:
            wanted = timing.volume_frames(
                *walk.frames,
                start=volume.frame_start,
                duration=volume.frame_duration,
                offset=volume.frame_offset,
                mode=volume.sequence_mode,
            )
        walk.sequence(made, path, wanted)
