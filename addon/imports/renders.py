# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the frames of a finished render into the scene, in the ways that the artist chose.

One undo step, new data-blocks only; the frames stay where they are on disk and are not read, but
for one of them. An import that fails leaves nothing behind. Never touches the network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import bpy

from ...bridge.problems import Category, ProblemError
from .. import versions
from . import (
    renders_background,
    renders_compositor,
    renders_image,
    renders_strip,
)
from . import (
    ways as known_ways,
)
from .bringing import Bringing, Shown, importing, readable, try_all
from .frame_names import numbered, sequences
from .report import ImportReport


def import_frames(
    context: bpy.types.Context,
    facts: Mapping[str, Any],
    ways: Iterable[str] = known_ways.DEFAULT,
    *,
    name: str,
    job_id: str = "",
    replace: bool = False,
    strips_in: str = "scene",
    hold: bool = True,
    alpha: float = 0.5,
    front: bool = False,
    push_undo: bool = True,
) -> ImportReport:
    """Import frames and say what became of them.

    ``facts`` as ``render_facts.facts_of`` makes them; ``frames``, ``passes`` and ``videos`` may be
    plain paths. ``ways``: some of ``ways.WAYS``. ``name`` is the job's, new data is named after it.
    ``replace`` puts the new data in the place of what earlier imports of this ``job_id`` made, but
    for what the artist has renamed. ``strips_in``: "scene" or "new" (a scene of their own).
    ``hold``: a missing frame plays as the one before it, else as a gap. ``alpha`` and ``front`` are
    the camera background's. ``push_undo`` as in ``simready``: an operator with the UNDO option
    makes the step itself.

    Of several ways one that cannot be done is told in ``report.lost``. Raises ProblemError: input
    (no frames, another mode, no way), disk (the files are gone), or that of the only way.
    """
    with importing(
        context,
        facts,
        name=name.strip() or "Render",
        job_id=job_id,
        replace=replace,
        push_undo=push_undo,
    ) as bring:
        _bring_in(bring, tuple(ways), strips_in, hold, alpha, front)
        if replace and bring.images:
            renders_image.replace_earlier(bring)
    return bring.report


def _bring_in(
    bring: Bringing, wanted: tuple[str, ...], strips_in: str, hold: bool, alpha: float, front: bool
) -> None:
    """Sort what came back, then do every way; see ``import_frames``."""
    unknown = [way for way in wanted if way not in known_ways.WAYS]
    if unknown:
        raise ProblemError(
            Category.INPUT,
            f"Frames cannot be imported as “{unknown[0]}”.",
            f"Choose among {', '.join(known_ways.WAYS)}.",
        )
    _gather(bring)
    # The compositor last: before 5.0 a tree that was made for it cannot be removed again.
    order = sorted(known_ways.WAYS, key=lambda way: way == known_ways.COMPOSITOR)
    chosen = tuple(way for way in order if way in wanted)

    def strips(make: Callable[[], None]) -> None:
        _strips(bring, strips_in, make)

    actions: dict[str, Callable[[], None]] = {
        known_ways.IMAGE: lambda: renders_image.show(bring),
        known_ways.STRIP: lambda: strips(lambda: renders_strip.frames(bring, hold=hold)),
        known_ways.COMPOSITOR: lambda: renders_compositor.add_nodes(bring),
        known_ways.MOVIE: lambda: strips(lambda: renders_strip.movies(bring)),
        known_ways.BACKGROUND: lambda: renders_background.add(bring, alpha=alpha, front=front),
    }
    try_all(bring, {way: partial(_one_way, bring, way, actions[way]) for way in chosen})


def _one_way(bring: Bringing, way: str, action: Callable[[], None]) -> None:
    _check(bring, way)
    action()


def _check(bring: Bringing, way: str) -> None:
    """ProblemError(INPUT) when the job has nothing for this way."""
    if way == known_ways.MOVIE and not bring.facts["videos"]:
        raise ProblemError(
            Category.INPUT,
            "No video came back.",
            "Ask for the video when you send the job, or import the frames as a strip.",
        )
    have = bring.frames if way == known_ways.STRIP else bring.shown
    if way != known_ways.MOVIE and not have:
        raise ProblemError(
            Category.INPUT, "No frames came back.", "Import the video as a movie strip."
        )


def _gather(bring: Bringing) -> None:
    """The files that are there, as named sequences; ``bring.facts`` gets what it lacks.

    Raises ProblemError: input when nothing came back, disk when nothing is there any more.
    """
    facts = dict(bring.facts)
    frames = _frames(facts.get("frames"))
    passes = {node: _frames(files) for node, files in (facts.get("passes") or {}).items()}
    videos = [str(path) for path in facts.get("videos") or ()]
    gone: list[str] = []
    if not frames and not videos and not any(passes.values()):
        raise ProblemError(
            Category.INPUT,
            f"“{bring.name}” has no frames to import.",
            "Import is possible when frames or a video came back.",
        )
    numbers = [frame["number"] for frame in frames]
    lost = [frame["number"] for frame in frames if not _there(frame["path"], gone)]
    frames = [frame for frame in frames if frame["path"] not in gone]
    passes = {n: [f for f in files if _there(f["path"], gone)] for n, files in passes.items()}
    videos = [path for path in videos if _there(path, gone)]
    if not frames and not videos and not any(passes.values()):
        raise ProblemError(
            Category.DISK,
            "The frames are not where they were put.",
            f"Bring the files back, or send the job again: “{os.path.dirname(gone[0])}”.",
            gone[0],
        )
    if lost:
        bring.report.note(f"Not in the folder any more: frames {readable(sorted(set(lost)))}.")
    elif gone:
        bring.report.note(f"Not in the folder any more: “{os.path.basename(gone[0])}”.")
    if facts.get("missing"):
        bring.report.note(f"Frames that did not come back: {facts['missing']}.")
    facts["videos"] = videos
    facts["start"] = int(facts["start"] if "start" in facts else min(numbers, default=1))
    facts["end"] = int(facts["end"] if "end" in facts else max(numbers, default=facts["start"]))
    bring.facts = facts
    _name(bring, "frames", "frames", frames)
    for node, files in passes.items():
        _name(bring, "pass", str(node), files)
    bring.report.frames = len({(frame["view"], frame["number"]) for frame in frames})


def _frames(given: Any) -> list[dict[str, Any]]:
    """Frames in their full form; plain paths are told apart by their names."""
    found = list(given or ())
    full = [dict(frame) for frame in found if isinstance(frame, Mapping)]
    return full + numbered(str(path) for path in found if not isinstance(path, Mapping))


def _there(path: str, gone: list[str]) -> bool:
    if os.path.isfile(path):
        return True
    gone.append(path)
    return False


def _name(bring: Bringing, kind: str, what: str, frames: list[dict[str, Any]]) -> None:
    """Name the sequences of one kind: by view, and by number where even that is not enough."""
    taken: dict[str, int] = {}
    for sequence in sequences(frames):
        words = f"{what} {sequence.view}".strip()
        taken[words] = taken.get(words, 0) + 1
        if taken[words] > 1:
            words = f"{words} {taken[words]}"
        part = words if kind == "frames" else f"{kind} {words}"
        bring.shown.append(Shown(part, f"{bring.name} {words}", sequence, kind))


def _strips(bring: Bringing, strips_in: str, make: Callable[[], None]) -> None:
    """Make strips in the scene or in one of their own; in the place of earlier ones if asked."""
    home = bring.scene
    if strips_in == "new" and not bring.new_scene:
        bring.strip_scene = renders_strip.new_scene(bring)
        bring.new_scene = True
    bring.scene = bring.strip_scene or home
    try:
        editor = bring.scene.sequence_editor
        before = list(versions.strips(editor)) if editor is not None else []
        make()
        if bring.replace:
            renders_strip.replace_earlier(bring, before)
        renders_strip.tell_where(bring)
    finally:
        bring.scene = home
