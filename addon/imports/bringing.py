# SPDX-License-Identifier: GPL-3.0-or-later
"""One import of pictures on its way: what it knows, what it made, how to take that back.

Whatever makes or changes something notes at once how to undo it, so that an import that fails
half-way leaves the file as it was. Paths are stored relative to the .blend where that is possible;
files are used where they are, never copied or moved.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import bpy

from ...bridge import frames as frame_ranges
from ...bridge.problems import Category, ProblemError
from .. import versions
from .artist import JOB, check_mode
from .frame_names import FrameSequence
from .report import ImportReport

#: which part of a job an image, strip or node shows: "frames", "frames left", "pass Depth", …
PART = "scene_courier:part"
#: the name that it was given: another one now means that the artist has renamed it
NAMED = "scene_courier:name"
#: Blender cuts longer paths off without a word (FILE_MAX is 1024 bytes in all versions)
_LONGEST_PATH = 1000


@dataclass
class Shown:
    """A sequence under the name that people see, and the part of the job that it is."""

    part: str
    name: str
    sequence: FrameSequence
    kind: str = "frames"


@dataclass
class Bringing:
    """The state of one import. ``context`` has a window; ``facts`` are ``render_facts``'."""

    context: bpy.types.Context
    scene: bpy.types.Scene
    facts: Mapping[str, Any]
    name: str
    job_id: str
    report: ImportReport = field(default_factory=ImportReport)
    replace: bool = False
    #: the scene was made for the strips
    new_scene: bool = False
    strip_scene: bpy.types.Scene | None = None
    shown: list[Shown] = field(default_factory=list)
    images: dict[str, bpy.types.Image] = field(default_factory=dict)
    materials: dict[str, bpy.types.Material] = field(default_factory=dict)
    #: new things and the names that they take once an earlier import has given them up
    named: list[tuple[Any, str]] = field(default_factory=list)
    _back: list[Callable[[], object]] = field(default_factory=list)

    def undo(self, action: Callable[[], object]) -> None:
        """How to take back what was just done."""
        self._back.append(action)

    def mark(self) -> int:
        """Where the import is now, for ``roll_back``."""
        return len(self._back)

    def roll_back(self, mark: int = 0) -> None:
        """Take back everything that was done since ``mark``, the last first."""
        while len(self._back) > mark:
            with contextlib.suppress(ReferenceError, RuntimeError, AttributeError, KeyError):
                self._back.pop()()

    def label(self, thing: Any, part: str) -> None:
        """Note on an image, strip, node or sound which job and part it belongs to."""
        thing[JOB], thing[PART], thing[NAMED] = self.job_id, part, thing.name

    def is_earlier(self, thing: Any, part: str) -> bool:
        """Whether an earlier import of this job made it for that part."""
        return bool(self.job_id) and thing.get(JOB) == self.job_id and thing.get(PART) == part

    @property
    def frames(self) -> list[Shown]:
        """The beauty sequences, one for each view (and odd ones, if there are)."""
        return [item for item in self.shown if item.kind == "frames"]


@contextlib.contextmanager
def importing(
    context: bpy.types.Context,
    facts: Mapping[str, Any],
    *,
    name: str,
    job_id: str,
    replace: bool,
    push_undo: bool,
    what: str = "frames",
) -> Iterator[Bringing]:
    """An import from its beginning to its one undo step; whatever fails leaves nothing behind.

    ``what`` comes in, for the sentence that says it did not. Raises ProblemError: input (another
    mode, a scene of another file), blender (anything unforeseen), and what is raised within.
    """
    with versions.in_window(context) as inside:
        mode = check_mode(inside)
        if mode:
            raise ProblemError(
                Category.INPUT,
                f"The import waits: Blender is in {mode} mode.",
                "Switch to Object Mode, then press Import again.",
            )
        scene: Any = inside.scene
        if scene.library is not None:
            raise ProblemError(
                Category.INPUT,
                "This scene comes from another file.",
                "Make it local, or open a scene of this file, then import again.",
            )
        bring = Bringing(inside, scene, facts, name, job_id, replace=replace)
        try:
            yield bring
        except ProblemError:
            bring.roll_back()
            raise
        except Exception as error:
            bring.roll_back()
            raise ProblemError(
                Category.BLENDER,
                f"Blender could not import the {what}.",
                "They are in the results folder. Try File > Import, or import in another way.",
                f"{type(error).__name__}: {error}",
            ) from error
        if push_undo:
            with contextlib.suppress(RuntimeError):  # global undo may be switched off
                bpy.ops.ed.undo_push(message=f"Import {bring.name}")


def try_all(bring: Bringing, actions: Mapping[str, Callable[[], None]]) -> None:
    """Do every way; what one that cannot be done had begun is taken back, and ``lost`` says why.

    Raises ProblemError where no way is chosen, or the first one's when none could be done.
    """
    if not actions:
        raise ProblemError(
            Category.INPUT, "No way to import is chosen.", "Choose one, then import again."
        )
    problems: list[ProblemError] = []
    for action in actions.values():
        mark, told = bring.mark(), bring.report.made()
        try:
            action()
        except ProblemError as error:
            bring.roll_back(mark)
            bring.report.forget(told)
            problems.append(error)
    if len(problems) == len(actions):
        raise problems[0]
    for failed in problems:
        bring.report.lose(f"{failed.problem.sentence} {failed.problem.hint}")


def is_renamed(thing: Any) -> bool:
    """Whether the artist has given it another name since."""
    return bool(thing.name != thing.get(NAMED))


def stored(path: str) -> str:
    """The path as the .blend keeps it: relative to it if it is saved and on the same drive.

    ProblemError(DISK) if Blender cannot hold a path of that length.
    """
    told = path
    if bpy.data.filepath:
        with contextlib.suppress(ValueError):  # another drive
            told = bpy.path.relpath(path)
    if len(os.fsencode(told)) > _LONGEST_PATH:
        told = path
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ProblemError(
            Category.DISK,
            "The path of the files is too long for Blender.",
            "Move the results folder to a place with a shorter path, then import again.",
            path,
        )
    return told


def readable(numbers: list[int], limit: int = 8) -> str:
    """Frames for a sentence: “3, 7-9”, and how many more there are if the list is long."""
    pieces = frame_ranges.of(numbers).short().split(",")
    if len(pieces) <= limit:
        return ", ".join(pieces)
    return f"{', '.join(pieces[:limit])} and more ({len(numbers)} in all)"


def display_referred(path: str) -> bool:
    """Whether files of this format hold finished colors, with the scene's look in them."""
    return os.path.splitext(path)[1].lower() not in (".exr", ".hdr", ".dpx", ".cin")


def note_look(bring: Bringing, path: str, where: str) -> None:
    """Say that a look which the frames have already would be put on them once more."""
    look = bring.scene.view_settings.view_transform
    if display_referred(path) and look not in ("Standard", "Raw", "None"):
        bring.report.note(
            f"The frames hold the look “{look}” already. {where} puts it on them again: set View "
            "Transform to Standard in the scene where you work with them."
        )
