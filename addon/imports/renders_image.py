# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as an image data-block: an image sequence, or a single file for a still.

Frame N of the job is what the image shows at frame N of the timeline. An Image Editor that is open
shows it; no editor is opened and no area changed.
"""

from __future__ import annotations

from typing import Any

import bpy

from ...bridge.problems import Category, ProblemError
from .artist import JOB
from .bringing import PART, Bringing, Shown, display_referred, is_renamed, readable, stored
from .frame_names import FrameSequence


def image_of(bring: Bringing, shown: Shown) -> bpy.types.Image:
    """The image of a sequence; made once, whatever uses it.

    Raises ProblemError (input) where the file names cannot be an image sequence, (blender) where
    this Blender cannot read the file.
    """
    if shown.part in bring.images:
        return bring.images[shown.part]
    files = usable(bring, shown)
    try:
        image = bpy.data.images.load(stored(files[0][1]), check_existing=False)
    except RuntimeError as error:
        raise unreadable(files[0][1], str(error)) from error
    bring.undo(lambda: (bring.images.pop(shown.part, None), bpy.data.images.remove(image)))
    image.name = shown.name
    # Asked for its size while it is a single file, Blender reads that file: then format, color
    # space and layers are known. Nothing else is read, however many frames there are.
    width = image.size[0]
    if not width and image.type != "MULTILAYER":
        raise unreadable(files[0][1], "Blender read no pixels")
    if not display_referred(files[0][1]):
        image.use_view_as_render = True  # shown with the scene's look, as the render was
    if len(files) > 1:
        image.source = "SEQUENCE"
    image["scene_courier:frames"] = [files[0][0], files[-1][0]]
    bring.label(image, shown.part)
    bring.images[shown.part] = image
    bring.report.images.append(image.name)
    _say_holes(bring, shown, files)
    return image


def usable(bring: Bringing, shown: Shown) -> list[tuple[int, str]]:
    """The files that Blender can count as a sequence, else ProblemError(INPUT)."""
    sequence = shown.sequence
    files = list(sequence.files)
    if len(files) > 1:
        if not sequence.countable:
            raise ProblemError(
                Category.INPUT,
                "Blender cannot read these file names as an image sequence.",
                "The frame's number has to be the last number of the name. Import them as a strip.",
                files[0][1],
            )
        files = [file for file in files if file[0] >= 0]
        if len(files) < len(sequence.files):
            bring.report.note(
                "An image sequence cannot hold frames below 0: they are in the folder, and a strip "
                "can show them."
            )
    if not files:
        raise ProblemError(
            Category.INPUT,
            "Blender has no image sequences with frames below 0.",
            "Import the frames as a strip in the Video Sequencer.",
        )
    return files


def _say_holes(bring: Bringing, shown: Shown, files: list[tuple[int, str]]) -> None:
    have = {number for number, _path in files}
    holes = [number for number in range(files[0][0], files[-1][0]) if number not in have]
    if holes:
        bring.report.note(
            f"There are no files for frames {readable(holes)}: “{shown.name}” is empty there."
        )


def set_user(user: Any, sequence: FrameSequence) -> None:
    """Have an image user (of a node, editor or camera) show frame N at frame N."""
    files = [number for number in sequence.numbers if number >= 0] or [0]
    if len(files) == 1:
        return
    user.frame_duration = files[-1] - files[0] + 1
    user.frame_start = files[0]
    user.frame_offset = files[0] - 1
    user.use_auto_refresh = True
    if hasattr(user, "use_cyclic"):
        user.use_cyclic = False


def show(bring: Bringing) -> None:
    """All sequences as images; the first one in an Image Editor, if one is open."""
    for item in bring.shown:
        image_of(bring, item)
    first = bring.shown[0]
    user = view(bring, bring.images[first.part])
    if user is not None:
        set_user(user, first.sequence)


def view(bring: Bringing, image: bpy.types.Image) -> Any:
    """Show an image in an Image Editor; answers its image user, None where none is open."""
    space = _editor(bring)
    if space is None:
        bring.report.note(
            f"No Image Editor is open. “{image.name}” is in the list of images there."
        )
        return None
    before, user = space.image, space.image_user
    names = ("frame_duration", "frame_start", "frame_offset", "use_auto_refresh", "use_cyclic")
    values = {name: getattr(user, name) for name in names}

    def back() -> None:
        space.image = before
        for name, value in values.items():
            setattr(user, name, value)

    bring.undo(back)
    space.image = image
    return user


def _editor(bring: Bringing) -> Any:
    """An Image Editor that only views: the emptiest one, never one that is pinned or painted in."""
    manager = bring.context.window_manager
    found: list[tuple[int, int, Any]] = []
    for window in manager.windows if manager is not None else ():
        for area in window.screen.areas:
            space = area.spaces.active
            if area.type != "IMAGE_EDITOR" or area.ui_type != "IMAGE_EDITOR":
                continue
            if space.ui_mode != "VIEW" or space.use_image_pin:
                continue
            rank = 0 if space.image is None else 2 - (space.image.source == "VIEWER")
            found.append((rank, len(found), space))
    return min(found)[2] if found else None


def replace_earlier(bring: Bringing) -> None:
    """Put the new images where those of earlier imports are used, and remove these.

    One that the artist has renamed stays as it is.
    """
    new = set(bring.images.values())
    for old in [item for item in bpy.data.images if item.library is None and item not in new]:
        image = bring.images.get(str(old.get(PART)))
        if not bring.job_id or old.get(JOB) != bring.job_id or image is None:
            continue
        if is_renamed(old):
            bring.report.note(f"“{old.name}” is kept, because you renamed it.")
            continue
        name, position = old.name, bring.report.images.index(image.name)
        old.user_remap(image)
        bpy.data.images.remove(old)
        if image.name.startswith(name):  # "Shot frames.001" takes the place of "Shot frames"
            image.name = name
        bring.label(image, image[PART])
        bring.report.images[position] = image.name


def unreadable(path: str, technical: str) -> ProblemError:
    """The problem of a picture that this Blender cannot read."""
    return ProblemError(
        Category.BLENDER,
        "This Blender cannot read the pictures.",
        "The files are in the results folder; open them with another program.",
        f"{path}: {technical.strip()}",
    )
