# SPDX-License-Identifier: GPL-3.0-or-later
"""The pump: a timer that carries news from the job store into Blender.

Each tick asks the store whether anything changed (microseconds), mirrors what did into the list
that the panel shows, and redraws. It also brings finished results into the scene when it is safe.
It never waits: not for the store, not for the worker, not for the network; what may take long is a
chore of the session's. A tick that fails leaves the panel as it was and the timer alive.
"""

from __future__ import annotations

import time
import traceback
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ..bridge.jobs import DEFAULT_ACCOUNT, SANDBOX
from . import interface, preferences, properties, properties_glossi, session

#: seconds until the next tick: something goes on or the panel is open; there is more to read; else
BUSY, MORE, IDLE = 0.25, 0.02, 1.0
#: objects looked at for the triangle estimate, and how long that may take (seconds)
_SELECTION_LIMIT = 500
_SELECTION_SECONDS = 0.002
_SELECTION_AGE = 2.0


@dataclass
class Selection:
    """What is selected, as last counted: ``names`` of those objects, triangles, all counted?"""

    names: tuple[str, ...] = ()
    triangles: int = 0
    complete: bool = True
    at: float = -1e9

    def matches(self, objects: Sequence[bpy.types.Object]) -> bool:
        """Whether these are the objects that were counted."""
        return self.names == tuple(item.name for item in objects[:_SELECTION_LIMIT])


_selection = Selection()
_online: bool | None = None
_shown_active = 0
#: which order of which session the window manager's list shows
_mirrored: tuple[str, int] = ("", -1)
#: whose templates the window manager's list shows
_templates: tuple[dict[str, str], ...] = ()
_last_error = ""


def selection() -> Selection:
    """The last count of the selection (for the panel)."""
    return _selection


def tick() -> float:
    """One turn; returns the seconds until the next. Registered as a persistent timer."""
    return _safely(imports=True)


def look() -> None:
    """Have a click's effect shown at once. Unlike a turn it imports nothing.

    An import within another operator would be part of that one's undo step.
    """
    _safely(imports=False)


def _safely(*, imports: bool) -> float:
    global _last_error
    try:
        return _turn(imports)
    except ReferenceError:
        # A data-block went away under us (a file is being loaded): next time.
        return BUSY
    except Exception:
        error = traceback.format_exc()
        if error != _last_error:
            _last_error = error
            print(f"Scene Courier: the panel could not be refreshed.\n{error}")
        return IDLE


def _turn(imports: bool) -> float:
    global _shown_active
    now = session.current()
    clock = time.monotonic()
    context = bpy.context
    changed = now.refresh(clock)
    looked_at = now.panel_open(clock)
    if looked_at:
        changed = _count_selection(context, now, clock) or changed
        changed = _picture(now) or changed
        changed = _mirror_templates(context, now) or changed
        ask(context)
    if changed or _list_lost(context, now):
        mirror(context, now)
        interface.redraw(context)
    _tell_online(now)
    if now.work_waiting or now.answers.pending:
        now.wake_worker(clock)
    if imports and now.importable:
        _import_next(context, now)
    if _shown_active != now.active:
        _shown_active = now.active
        _redraw_status_bar(context)
    if now.more:
        return MORE
    return BUSY if now.active or looked_at or now.importable else IDLE


# -- the list ------------------------------------------------------------------------------------


def _list_lost(context: bpy.types.Context, now: session.Session) -> bool:
    """Loading a file empties the window manager's list."""
    return context.window_manager is not None and (
        len(properties.of_window(context).jobs) != len(now.order)
    )


def mirror(context: bpy.types.Context, now: session.Session) -> None:
    """Make the list in the window manager equal to the session's; keeps the picked job picked."""
    global _mirrored
    if context.window_manager is None:
        return
    group = properties.of_window(context)
    rows = group.jobs
    if _mirrored != (now.id, now.order_changes) or len(rows) != len(now.order):
        _mirrored = (now.id, now.order_changes)
        while len(rows) > len(now.order):
            rows.remove(len(rows) - 1)
        while len(rows) < len(now.order):
            rows.add()
        for row, (_created, job_id) in zip(rows, now.order, strict=True):
            if row.job_id != job_id:
                row.job_id = job_id
                row.name = now.jobs[job_id].name
    active = now.jobs.get(now.active_id)
    if active is None:
        now.active_id = now.order[0][1] if now.order else ""
        index = 0
    else:
        index = bisect_left(now.order, (-active.created_at, active.id))
    if now.order and group.job_index != index:
        group.job_index = index


def _mirror_templates(context: bpy.types.Context, now: session.Session) -> bool:
    """Make the window manager's list that of the account whose templates the panel shows."""
    global _templates
    service = properties_glossi.SERVICE
    if properties.of_scene(_looking_window(context, now).scene).service != service:
        return False
    known = now.answers.templates.known(service, properties_glossi.account(context))
    items = known.items if known is not None else ()
    rows = properties.of_window(context).templates
    if items is _templates and len(rows) == len(items):
        return False
    _templates = items
    rows.clear()
    for item in items:
        row = rows.add()
        row.name, row.template_id = item["name"], item["id"]
        row.description, row.scope = item["description"], item["scope"]
    return True


# -- what the open panel wants to know -----------------------------------------------------------


def ask(context: bpy.types.Context, *, force: bool = False) -> None:
    """Have the worker tell where the key is and what a job costs, if that is not known."""
    now = session.current()
    service = properties.of_scene(_looking_window(context, now).scene).service
    online = bool(bpy.app.online_access)
    now.ask(service, DEFAULT_ACCOUNT, online=online, force=force)
    now.ask(service, SANDBOX, online=online, force=force)


def _looking_window(context: bpy.types.Context, now: session.Session) -> bpy.types.Window:
    """The window that drew the panel last; a timer has none of its own."""
    windows = context.window_manager.windows
    return next((item for item in windows if item.as_pointer() == now.drawn_in), windows[0])


def _count_selection(context: bpy.types.Context, now: session.Session, clock: float) -> bool:
    """Count the triangles that would be sent, from what the viewport has evaluated anyway."""
    global _selection
    view_layer = _looking_window(context, now).view_layer
    objects = view_layer.objects.selected
    names = tuple(item.name for item in islice(objects, _SELECTION_LIMIT))
    if names == _selection.names and clock - _selection.at < _SELECTION_AGE:
        return False
    before = (_selection.names, _selection.triangles, _selection.complete)
    graph = view_layer.depsgraph
    triangles, complete = 0, len(objects) <= _SELECTION_LIMIT
    end = time.perf_counter() + _SELECTION_SECONDS
    for item in islice(objects, _SELECTION_LIMIT):
        if time.perf_counter() > end:
            complete = False
            break
        if item.type != "MESH":
            complete = complete and item.type in {"EMPTY", "LIGHT", "CAMERA", "ARMATURE"}
            continue
        mesh = (item.evaluated_get(graph) if graph is not None else item).data
        # A polygon of n corners is n - 2 triangles.
        triangles += max(0, len(mesh.loops) - 2 * len(mesh.polygons))
    _selection = Selection(names, triangles, complete, clock)
    return before != (names, triangles, complete)


def _tell_online(now: session.Session) -> None:
    global _online
    online = bool(bpy.app.online_access)
    if online != _online and now.store is not None:
        _online = online
        now.tell_online_access(online)


def _picture(now: session.Session) -> bool:
    """Small pictures of what came back: of the picked job and the newest ones."""
    from .imports import thumbnails

    active = now.jobs.get(now.active_id)
    newest = (now.jobs[job_id] for _created, job_id in now.order)
    shown = [*([active] if active else []), *islice(newest, thumbnails.KEPT)]
    return thumbnails.feed(shown, active, run=now.chore)


# -- results -------------------------------------------------------------------------------------


def import_window(context: bpy.types.Context, origin: dict[str, Any]) -> bpy.types.Window | None:
    """The window that shows the scene a job came from, if nothing is going on there, else None.

    Nothing may run in any window: a modal tool (a transform, a paint stroke) must not lose its
    scene under its hands, and edit modes hold data that an import would disturb.
    """
    manager = context.window_manager
    if manager is None or bpy.app.is_job_running("RENDER"):
        return None
    found = None
    for window in manager.windows:
        if len(window.modal_operators) or window.screen.is_animation_playing:
            return None
        if window.scene.name == origin.get("scene") and found is None:
            found = window
    if found is None:
        return None
    active = found.view_layer.objects.active
    return found if active is None or active.mode == "OBJECT" else None


def _import_next(context: bpy.types.Context, now: session.Session) -> None:
    """Bring in one finished result that belongs to the open file, once."""
    if not preferences.get(context).auto_import:
        return
    for job_id in now.importable:
        job = now.jobs.get(job_id)
        if job is None or job_id in now.import_tried:
            continue
        window = import_window(context, job.origin)
        if window is None:
            continue
        now.import_tried.add(job_id)
        operators: Any = bpy.ops.scene_courier  # type: ignore[attr-defined]
        with context.temp_override(window=window):
            # "True" makes it one undo step, as if somebody had clicked.
            operators.import_job("EXEC_DEFAULT", True, job_id=job_id, quiet=True)
        return


# -- the status bar ------------------------------------------------------------------------------


def draw_status_bar(self: Any, _context: bpy.types.Context) -> None:
    """A few words at the end of the status bar while jobs go on."""
    active = session.current().active
    if active:
        plural = "s" if active != 1 else ""
        self.layout.label(text=f"Courier: {active} job{plural} under way", icon="EXPORT")


def _redraw_status_bar(context: bpy.types.Context) -> None:
    """The status bar is in no screen; setting no text is the way to have it drawn again."""
    manager = context.window_manager
    if manager is None or bpy.app.background:
        return
    for window in manager.windows:
        # A running tool shows its keys there.
        if not len(window.modal_operators):
            window.workspace.status_text_set(None)


# -- registration --------------------------------------------------------------------------------


@persistent
def _file_loaded(_path: Any, _more: Any = None) -> None:
    """Another file: its jobs are not those of the file before, and the list starts empty."""
    session.current().new_file()
    arm()


def arm() -> None:
    """Start the timer unless it runs."""
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=0.5, persistent=True)


def register() -> None:
    """Start the timer, and see to it that it survives loading a file."""
    global _online
    _online = None
    arm()
    bpy.app.handlers.load_post.append(_file_loaded)
    bpy.types.STATUSBAR_HT_header.append(draw_status_bar)


def unregister() -> None:
    """Stop the timer, take the handlers back, close the store."""
    global _selection
    bpy.types.STATUSBAR_HT_header.remove(draw_status_bar)
    if _file_loaded in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(_file_loaded)
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    from .imports import thumbnails

    thumbnails.release()
    session.end()
    _selection = Selection()
