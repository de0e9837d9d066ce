# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the bridge, read from ``settings.json`` in the data folder.

Never holds a key. Reading never fails: a missing, broken or newer file gives defaults for what it
cannot say, and ``warnings`` names what was ignored. Writing keeps the fields that this version
does not know, through a temporary name and a rename.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from .paths import private_write

FILE_NAME = "settings.json"
OVERRIDE = "SCENE_COURIER_SETTINGS"
PROXY_MODES = ("system", "environment", "custom", "none")

# name: (smallest, largest)
_BOUNDS: dict[str, tuple[float, float]] = {
    "connect_seconds": (0.05, 600),
    "read_seconds": (0.05, 3600),
    "answer_seconds": (0.05, 3600),
    "stall_seconds": (0.05, 3600),
    "poll_seconds": (0.01, 3600),
    "poll_slow_seconds": (0.01, 3600),
    "poll_slow_after_seconds": (0, 86400),
    "reconcile_seconds": (0, 3600),
    "retries": (0, 20),
    "retry_cap_seconds": (0, 600),
    "parallel_transfers": (1, 16),
    "idle_seconds": (0, 86400),
    "packaging_seconds": (1, 86400),
}


@dataclass(frozen=True)
class Settings:
    """Values for this data folder; all times are seconds."""

    home: Path | None = None
    #: "system" (Windows and macOS settings, else the environment), "environment", "custom", "none"
    proxy_mode: str = "system"
    proxy_url: str = ""
    #: certificates that are trusted besides the usual ones (a company's own proxy)
    ca_file: str = ""
    connect_seconds: float = 15.0
    #: longest silence while an answer is awaited or read
    read_seconds: float = 60.0
    #: longest wait for the answer to a finished upload
    answer_seconds: float = 180.0
    #: longest silence within a transfer
    stall_seconds: float = 60.0
    poll_seconds: float = 3.0
    poll_slow_seconds: float = 10.0
    poll_slow_after_seconds: float = 60.0
    #: between the two looks at the service's list when a submit is in doubt
    reconcile_seconds: float = 60.0
    retries: int = 4
    retry_cap_seconds: float = 30.0
    parallel_transfers: int = 2
    #: a worker with nothing to do leaves after this
    idle_seconds: float = 300.0
    packaging_seconds: float = 1800.0
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def load(cls, home: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings of a data folder; see ``load`` below."""
        return load(home, environ)


_NAMES = tuple(item.name for item in fields(Settings) if item.name not in ("home", "warnings"))


def _checked(name: str, value: Any) -> tuple[Any, str]:
    """The value in its type and bounds, or (None, why not)."""
    default = getattr(Settings, name)
    if isinstance(default, str):
        if not isinstance(value, str):
            return None, f"{name}: not a text"
        if name == "proxy_mode" and value not in PROXY_MODES:
            return None, f"{name}: not one of {', '.join(PROXY_MODES)}"
        return value, ""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None, f"{name}: not a number"
    low, high = _BOUNDS[name]
    bounded = min(max(value, low), high)
    return (int(bounded) if isinstance(default, int) else float(bounded)), ""


def _merge(settings: Settings, data: Any, where: str) -> Settings:
    if not isinstance(data, dict):
        return replace(settings, warnings=(*settings.warnings, f"{where}: not a JSON object"))
    values: dict[str, Any] = {}
    warnings = list(settings.warnings)
    for name in _NAMES:
        if name in data and data[name] is not None:
            value, why = _checked(name, data[name])
            if why:
                warnings.append(f"{where}: {why}")
            else:
                values[name] = value
    return replace(settings, **values, warnings=tuple(warnings))


def load(home: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Defaults, then ``<home>/settings.json``, then the JSON in ``SCENE_COURIER_SETTINGS``."""
    env = os.environ if environ is None else environ
    settings = Settings(home=home)
    if home is not None:
        try:
            text = (home / FILE_NAME).read_text("utf-8-sig")
        except FileNotFoundError:
            pass
        except (OSError, UnicodeDecodeError) as error:
            settings = replace(settings, warnings=(f"{FILE_NAME}: {type(error).__name__}",))
        else:
            settings = _parse(settings, text, FILE_NAME)
    if env.get(OVERRIDE):
        settings = _parse(settings, env[OVERRIDE], OVERRIDE)
    return settings


def _parse(settings: Settings, text: str, where: str) -> Settings:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return replace(settings, warnings=(*settings.warnings, f"{where}: not valid JSON"))
    return _merge(settings, data, where)


def save(home: Path, **changes: Any) -> Settings:
    """Change some values on disk and return the result.

    Raises ValueError for an unknown name or a value that does not fit; OSError if the folder
    cannot be written. The file is private, since a proxy address may hold a password.
    """
    path = home / FILE_NAME
    try:
        known = json.loads(path.read_text("utf-8-sig"))
        data: dict[str, Any] = known if isinstance(known, dict) else {}
    except (OSError, ValueError):
        data = {}
    for name, value in changes.items():
        if name not in _NAMES:
            raise ValueError(f"unknown setting {name!r}")
        checked, why = _checked(name, value)
        if why:
            raise ValueError(why)
        data[name] = checked
    private_write(path, json.dumps(data, indent=2, sort_keys=True))
    return load(home)
