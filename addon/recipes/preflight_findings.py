# SPDX-License-Identifier: GPL-3.0-or-later
"""How a finding of the preflight report looks, and how severe each kind of finding is.

One table decides the severity, so that it can be read and argued about in one place. Blocking is
what would surely fail or be surely wrong; a warning is what is wrong more often than not, or may
differ from machine to machine; the rest is worth knowing. Imports nothing of Blender's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

BLOCKING, WARNING, INFO = "blocking", "warning", "info"
_ORDER = {BLOCKING: 0, WARNING: 1, INFO: 2}
#: so many users, names or lines of one finding are listed; the rest is counted
MOST_USERS = 20

SEVERITY = {
    # What is rendered
    "no_camera": BLOCKING,
    "camera_unknown": BLOCKING,
    "view_layer_unknown": BLOCKING,
    "no_view_layer": BLOCKING,
    "empty_border": BLOCKING,
    "camera_not_in_scene": WARNING,
    "camera_is_no_camera": WARNING,
    "nothing_visible": WARNING,
    "border": WARNING,
    "sequencer": WARNING,
    "camera_markers": INFO,
    "several_scenes": INFO,
    "layers_left_out": INFO,
    # Frames
    "no_frames": BLOCKING,
    "many_frames": WARNING,
    "still_scene": WARNING,
    "frames_outside": WARNING,
    "frame_step": INFO,
    "preview_range": INFO,
    # How it is rendered. Which engines a service has is not documented: none of them blocks.
    "engine_addon": WARNING,
    "resolution": WARNING,
    "test_version": WARNING,
    "color_config": WARNING,
    "color_view": WARNING,
    "samples": INFO,
    "percentage": INFO,
    "engine_workbench": INFO,
    "denoiser": INFO,
    "persistent_data": INFO,
    "stereo": INFO,
    "older_file": INFO,
    # What comes out
    "no_output": BLOCKING,
    "movie_output": WARNING,
    "compositor_only": WARNING,
    "compositor": INFO,
    "absolute_output": INFO,
    # Files. A missing file blocks when a render of the scene reads it.
    "missing_file": BLOCKING,
    "missing_library": BLOCKING,
    "cloud_file": BLOCKING,
    "empty_file": BLOCKING,
    "unreadable_file": BLOCKING,
    "missing_data": BLOCKING,
    "too_large": BLOCKING,
    "incomplete_cache": WARNING,
    "missing_extra": WARNING,
    "missing_other": WARNING,
    "spelling": WARNING,
    "override": WARNING,
    "newer_library": WARNING,
    "missing_unused": INFO,
    "large": INFO,
    # What moves by simulation
    "unbaked": WARNING,
    "cache_range": WARNING,
    "cache_outdated": WARNING,
    "perhaps_unbaked": INFO,
    "cache_blur": INFO,
    # What needs Python
    "autoexec_fail": WARNING,
    "addons": WARNING,
    "osl": WARNING,
    "addon_data": INFO,
}


class Findings:
    """Collects findings; ``sorted`` gives them, the severest first."""

    def __init__(self) -> None:
        self._found: list[dict[str, Any]] = []

    def add(
        self,
        code: str,
        sentence: str,
        hint: str = "",
        *,
        technical: str = "",
        users: Iterable[dict[str, Any]] = (),
        path: str | None = None,
        fix: dict[str, Any] | None = None,
    ) -> None:
        """Add one finding; its severity is the table's. KeyError for a code that is not in it."""
        listed = [dict(user) for user in users]
        if len(listed) > MOST_USERS:
            technical = f"{technical}; {len(listed)} users".lstrip("; ")
        self._found.append(
            {
                "code": code,
                "severity": SEVERITY[code],
                "sentence": sentence,
                "hint": hint,
                "technical": technical,
                "users": listed[:MOST_USERS],
                "path": path,
                "fix": fix or fix_by(None),
            }
        )

    def sorted(self) -> list[dict[str, Any]]:
        """All findings: blocking ones, warnings, then what is worth knowing."""
        return sorted(self._found, key=lambda finding: _ORDER[finding["severity"]])


def fix_by(action: str | None, kind: str = "", name: str = "") -> dict[str, Any]:
    """What would put a finding right.

    ``action``: select, find_missing, set_camera, open_output, save, reload, or None; ``kind`` and
    ``name`` say of what (an object to select, a camera to set).
    """
    return {"action": action, "type": kind, "name": name}


def user(kind: str, item: Any, library: str | None = None) -> dict[str, Any]:
    """A data-block as the report names it."""
    return {"type": kind, "name": getattr(item, "name", item), "library": library}


def some(names: Iterable[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    given = list(names)
    rest = len(given) - most
    return ", ".join(given[:most]) + (f" and {rest} more" if rest > 0 else "")


def blocking(findings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of a report's findings that stop the job unless somebody says "send anyway"."""
    return [finding for finding in findings if finding["severity"] == BLOCKING]
