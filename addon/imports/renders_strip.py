# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames and videos as strips in the Video Sequencer: frame N of the job plays at frame N.

New strips only, on channels that are free for their whole length. A scene that had no strips goes
on to render itself: its Sequencer is switched off for rendering, else the next render (and the next
job) would be of the imported frames.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import bpy

from ...bridge.problems import Category, ProblemError
from .. import versions
from .artist import JOB
from .bringing import PART, Bringing, Shown, display_referred, is_renamed, note_look, readable
from .bringing import stored as stored_path

#: Blender's highest channel
_CHANNELS = 128


def frames(bring: Bringing, *, hold: bool = True) -> None:
    """A strip for each sequence of frames; of several (stereo) only the first one is seen.

    ``hold``: a missing frame shows the one before it, else there is no strip there.
    """
    items, together = bring.frames, _stereo(bring)
    for position, item in enumerate(items[:1] if together else items):
        made = _sequence(bring, item, hold=hold)
        if together:
            for strip in made:
                strip.use_multiview = True
                strip.views_format = "INDIVIDUAL"
        elif position:
            for strip in made:
                strip.mute = True
            bring.report.note(f"The strip “{made[0].name}” is muted: it lies over another view.")
    _say_missing(bring, items[0], hold)
    _say_rate(bring, "frames")
    note_look(bring, items[0].sequence.files[0][1], "The Sequencer")


def movies(bring: Bringing) -> None:
    """A strip for each video, and one for its sound; they begin with the job's first frame."""
    start = int(bring.facts.get("video_start", bring.facts["start"]))
    for number, path in enumerate(bring.facts.get("videos") or ()):
        part = f"video {number}" if number else "video"
        movie(bring, path, f"{bring.name} {part}", f"{bring.name} sound", part, start)


def movie(bring: Bringing, path: str, name: str, sound_name: str, part: str, start: int) -> Any:
    """The strip of one video from the frame ``start`` on, above one for its sound.

    Raises ProblemError: blender where it cannot be played, input without a free channel.
    """
    strips = _strips(bring)
    stored = stored_path(path)
    # How long they are is not known yet: the channel is free from there to the end.
    sound = _sound(bring, strips, stored, sound_name, part, start)
    channel = _free_channel(bring, strips, start, 1 << 30)
    try:
        strip = strips.new_movie(name=name, filepath=stored, channel=channel, frame_start=start)
    except RuntimeError as error:
        raise no_video(path, str(error)) from error
    bring.undo(partial(strips.remove, strip))
    if not strip.elements[0].orig_width:
        raise no_video(path, "no moving picture in it")
    bring.label(strip, part)
    bring.report.strips += [strip.name, *([sound] if sound else [])]
    _say_rate(bring, "video", float(getattr(strip, "fps", 0.0) or 0.0))
    note_look(bring, path, "The Sequencer")
    return strip


def _sequence(bring: Bringing, item: Shown, *, hold: bool) -> list[Any]:
    """The strips of one sequence: one, or one for each run of frames without a gap."""
    runs: list[list[tuple[int, str]]] = []
    for file in item.sequence.files:
        if runs and (hold or file[0] == runs[-1][-1][0] + 1):
            runs[-1].append(file)
        else:
            runs.append([file])
    strips, made = _strips(bring), []
    whole = (item.sequence.first, item.sequence.last + 1)
    channel = _free_channel(bring, strips, *whole)
    for run in runs:
        strip = strips.new_image(
            name=item.name,
            filepath=stored_path(run[0][1]),
            channel=channel,
            frame_start=run[0][0],
            fit_method="FIT",
        )
        bring.undo(partial(strips.remove, strip))
        made.append(strip)
        if not strip.elements[0].orig_width:
            raise _no_picture(run[0][1])
        _fill(strip, run)
        strip.channel = channel
        bring.label(strip, item.part)
        bring.report.strips.append(strip.name)
    return made


def _fill(strip: Any, run: list[tuple[int, str]]) -> None:
    """An element for each frame; where one is missing, the one before it again."""
    shown, name = run[0][0], os.path.basename(run[0][1])
    append = strip.elements.append
    for number, path in run[1:]:
        for _hole in range(number - shown - 1):
            append(name)
        shown = number
        name = os.path.basename(path)
        append(name)


def _strips(bring: Bringing) -> Any:
    """The scene's strips; the Sequencer is made if the scene has none."""
    scene = bring.scene
    editor = scene.sequence_editor
    if editor is None:
        editor = scene.sequence_editor_create()
        bring.undo(scene.sequence_editor_clear)
    strips = versions.strips(editor)
    if not len(strips) and scene.render.use_sequencer and not bring.new_scene:
        scene.render.use_sequencer = False
        bring.undo(lambda: setattr(scene.render, "use_sequencer", True))
        bring.report.note(
            "The scene still renders itself: Sequencer is switched off in Output > Post "
            "Processing. Switch it on to render the strips."
        )
    return strips


def _free_channel(bring: Bringing, strips: Any, start: int, end: int) -> int:
    """The lowest channel above everything that plays then; where none is left, any free one."""
    taken = set()
    for strip in strips:
        low, high = versions.strip_range(strip)
        if low < end and high > start:
            taken.add(strip.channel)
    channels = bring.scene.sequence_editor.channels
    shut = {n for n, item in enumerate(channels) if item.lock or item.mute}
    free = [n for n in range(1, _CHANNELS + 1) if n not in taken]
    open_ones = [n for n in free if n not in shut] or free
    if not open_ones:
        raise ProblemError(
            Category.INPUT,
            "The Video Sequencer has no free channel.",
            "Move or remove strips, or import into another scene.",
        )
    above = [n for n in open_ones if n > max(taken, default=0)]
    return min(above) if above else max(open_ones)


def _sound(bring: Bringing, strips: Any, stored: str, name: str, part: str, start: int) -> str:
    """The strip of the video's sound; "" without one. Of a silent video Blender would make one."""
    sounds = bpy.data.sounds
    before = set(sounds)
    channel = _free_channel(bring, strips, start, 1 << 30)
    try:
        probe = sounds.load(stored)
        silent = probe.channels == "INVALID"
        sounds.remove(probe)
        if silent:
            return ""
        strip = strips.new_sound(name=name, filepath=stored, channel=channel, frame_start=start)
    except RuntimeError as error:
        bring.report.note(f"The video's sound could not be read: {str(error).strip()}.")
        return ""
    finally:
        for sound in set(sounds) - before:
            bring.undo(partial(sounds.remove, sound))
            sound.name = name
            bring.label(sound, f"{part} sound")
    bring.undo(lambda: strips.remove(strip))
    bring.label(strip, f"{part} sound")
    return str(strip.name)


def _stereo(bring: Bringing) -> bool:
    """Whether one strip can hold all views: the scene has views with just these suffixes."""
    items = bring.frames
    if len(items) < 2 or not bring.scene.render.use_multiview:
        return False
    known = {view.name: view.file_suffix for view in bring.scene.render.views if view.use}
    return known == {item.sequence.view: item.sequence.suffix for item in items} and all(
        item.sequence.numbers == items[0].sequence.numbers for item in items
    )


def _say_missing(bring: Bringing, item: Shown, hold: bool) -> None:
    numbers = set(item.sequence.numbers)
    holes = [n for n in range(item.sequence.first, item.sequence.last) if n not in numbers]
    if not holes:
        return
    kept = "the strip shows the frame before" if hold else "the strips leave a gap"
    bring.report.note(f"There are no files for frames {readable(holes)}: {kept} there.")


def _say_rate(bring: Bringing, what: str, rate: float = 0.0) -> None:
    """Frames follow the timeline one by one, so another frame rate means another speed."""
    asked = rate or float(bring.facts.get("fps") or 0.0)
    own = bring.scene.render.fps / bring.scene.render.fps_base
    if asked and abs(asked - own) > 0.01:
        bring.report.note(
            f"The {what} came at {asked:.5g} frames per second and the scene has {own:.5g}: the "
            "right frame plays at each frame of the timeline, but not at the speed of the render."
        )


def replace_earlier(bring: Bringing, before: list[Any]) -> None:
    """Remove strips that earlier imports of the job made; one that was renamed stays.

    ``before`` are the strips that were there. The new ones move to the channels that become free.
    """
    strips = versions.strips(bring.scene.sequence_editor)
    parts = {strip.get(PART) for strip in strips if strip not in before and strip.get(JOB)}
    for old in before:
        if not bring.job_id or old.get(JOB) != bring.job_id or old.get(PART) not in parts:
            continue
        if is_renamed(old):
            bring.report.note(f"The strip “{old.name}” is kept, because you renamed it.")
            continue
        name, channel, part = old.name, old.channel, old[PART]
        heard = getattr(getattr(old, "sound", None), "name", "")
        strips.remove(old)
        sound = bpy.data.sounds.get(heard) if heard else None
        if sound is not None and not sound.users and sound.get(JOB) == bring.job_id:
            bpy.data.sounds.remove(sound)
        for new in strips:
            if new in before or new.get(JOB) != bring.job_id or new.get(PART) != part:
                continue
            low, high = versions.strip_range(new)
            over = [s for s in strips if s != new and s.channel == channel]
            ranges = [versions.strip_range(s) for s in over]
            if all(high <= start or low >= end for start, end in ranges):
                new.channel = channel
            if new.name in bring.report.strips and name not in {s.name for s in strips}:
                bring.report.strips[bring.report.strips.index(new.name)] = name
                new.name = name
                bring.label(new, part)


def new_scene(bring: Bringing) -> bpy.types.Scene:
    """A scene for editing: the job's frame rate, size and range, without a look of its own.

    The one that an earlier import has made is taken again if that import is replaced.
    """
    for scene in bpy.data.scenes if bring.replace else ():
        if scene.library is None and bring.is_earlier(scene, "edit"):
            return scene
    source, facts = bring.scene, bring.facts
    scene = bpy.data.scenes.new(f"{bring.name} edit")
    bring.undo(lambda: bpy.data.scenes.remove(scene))
    scene.render.fps, scene.render.fps_base = source.render.fps, source.render.fps_base
    size = facts.get("resolution")
    scale = source.render.resolution_percentage / 100
    scene.render.resolution_x = size[0] if size else int(source.render.resolution_x * scale)
    scene.render.resolution_y = size[1] if size else int(source.render.resolution_y * scale)
    scene.render.resolution_percentage = 100
    scene.frame_start, scene.frame_end = int(facts["start"]), int(facts["end"])
    paths = [item.sequence.files[0][1] for item in bring.frames] or list(facts.get("videos") or ())
    if paths and display_referred(paths[0]):
        scene.view_settings.view_transform = "Standard"
    bring.label(scene, "edit")
    bring.report.note(f"The strips are in the new scene “{scene.name}”.")
    return scene


def _no_picture(path: str) -> ProblemError:
    layered = path.lower().endswith(".exr")
    return ProblemError(
        Category.BLENDER,
        "The Video Sequencer of this Blender cannot show these frames.",
        "Multi-layer EXR goes into the compositor here; use the Compositor Node."
        if layered
        else "The files are in the results folder; try them as an image sequence.",
        path,
    )


def no_video(path: str, technical: str) -> ProblemError:
    """The problem of a video that this Blender cannot read."""
    return ProblemError(
        Category.BLENDER,
        "This Blender cannot play the video.",
        "The file is in the results folder; open it with a player.",
        f"{path}: {technical.strip()}",
    )


def tell_where(bring: Bringing) -> None:
    """From 5.0 on the Video Sequencer shows a scene that is chosen there."""
    workspace = bring.context.workspace
    if workspace is None or not hasattr(workspace, "sequencer_scene"):
        return
    if workspace.sequencer_scene != bring.scene:
        bring.report.note(
            f"Choose the scene “{bring.scene.name}” in the Video Sequencer to see the strips."
        )
