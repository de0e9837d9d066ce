# SPDX-License-Identifier: GPL-3.0-or-later
"""Small things about Glossi's answers: the ids, states and lists in them, however they are held.

The API is a beta: what is not understood is left out or handed on, and nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

#: how long an upload address lives, in seconds (Complete Workflow, 2.1)
LIFE = 3600.0


def life(url: str) -> float:
    """Seconds that an address lives: an hour, or less where it says so itself."""
    try:
        query = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
    except ValueError:
        return LIFE
    told = query.get("x-amz-expires", "")
    return min(LIFE, float(told)) if re.fullmatch(r"[0-9]{1,7}", told) else LIFE


def webhook_in(data: Any) -> dict[str, Any] | None:
    """The setting in an answer, bare or wrapped; without its secret."""
    for value in (data, as_dict(data).get("webhook")):
        if isinstance(value, dict) and text_of(value, "url"):
            events = value.get("events")
            return {
                **{k: v for k, v in value.items() if k != "secret"},
                "events": [str(one) for one in events] if isinstance(events, list) else [],
                "enabled": value.get("enabled") is not False,
            }
    return None


def rows_in(data: Any, name: str) -> list[dict[str, Any]] | None:
    """The objects of a list, bare or under its name; None where there is no list."""
    rows = data if isinstance(data, list) else as_dict(data).get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None


def as_dict(value: Any) -> dict[str, Any]:
    """The object, or an empty one where something else stands."""
    return value if isinstance(value, dict) else {}


def text_of(data: Any, name: str) -> str:
    """The text of that name; "" where there is none."""
    value = as_dict(data).get(name)
    return value if isinstance(value, str) else ""


def id_of(data: Any, *names: str) -> str:
    """The first id that is there, as text; "" for none."""
    for name in names:
        value = as_dict(data).get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def status_of(data: Any, words: Mapping[str, str] | None = None) -> str:
    """A state in upper case; one that is not known is handed on as it is."""
    status = re.sub(r"[\s-]+", "_", text_of(data, "status").strip()).upper()
    return (words or {}).get(status, status)


def quoted(one: str) -> str:
    """An id as a part of a path."""
    return quote(one, safe="")
