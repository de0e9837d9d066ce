# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the bodies of Glossi's calls: what is required, which type, what it is if left out.

The fields are those of Glossi docs, Simple Workflow and Complete Workflow. A field that is not
documented there is refused unless ``ignore_unknown``: a client that sends one is likely wrong.
"""

from __future__ import annotations

from typing import Any

from ..problems import ProblemError
from .glossi_hook import EVENTS
from .renderjuice_hook import checked_url

#: models of one call; the service's own limit is not documented
MOST = 500
#: Complete Workflow, Render Settings Explained
SETTINGS: dict[str, Any] = {
    "renderBookmarks": True, "renderShots": True, "renderVariants": True, "imageQuality": 1,
    "videoQuality": 1, "videoResolution": 1,
}  # fmt: skip


class BodyError(Exception):
    """What is wrong with a body."""


class Fields:
    """One JSON object of a body; ``where`` is its name in refusals."""

    def __init__(self, value: Any, allowed: str, *, where: str = "", ignore: bool = False) -> None:
        if not isinstance(value, dict):
            raise BodyError(f"{where or 'body'} must be an object")
        self._value = value
        self._where = f"{where}." if where else ""
        unknown = sorted(set(value) - set(allowed.split()))
        if unknown and not ignore:
            raise BodyError(f"{self._where}{unknown[0]} is not a known field")

    def raw(self, name: str) -> Any:
        """Whatever is there, or None."""
        return self._value.get(name)

    def text(self, name: str, *, required: bool = True) -> str:
        """A text; "" when it is not there and need not be."""
        value = self._value.get(name)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or not value.strip():
            raise BodyError(f"{self._where}{name} must be a non-empty string")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A boolean."""
        value = self._value.get(name, default)
        if not isinstance(value, bool):
            raise BodyError(f"{self._where}{name} must be a boolean")
        return value

    def quality(self, name: str, default: int) -> int:
        """0, 1 or 2."""
        value = self._value.get(name, default)
        if isinstance(value, bool) or value not in (0, 1, 2):
            raise BodyError(f"{self._where}{name} must be 0, 1 or 2")
        return int(value)

    def items(self, name: str) -> list[Any]:
        """A list with something in it."""
        value = self._value.get(name)
        if not isinstance(value, list) or not value:
            raise BodyError(f"{self._where}{name} must be a non-empty array")
        if len(value) > MOST:
            raise BodyError(f"{self._where}{name} must have at most {MOST} items")
        return value

    def ids(self, name: str) -> list[str]:
        """A list of ids."""
        value = self.items(name)
        if not all(isinstance(item, str) and item for item in value):
            raise BodyError(f"{self._where}{name} must be an array of ids")
        return value


def models(fields: Fields, *, named: bool, ignore: bool) -> list[dict[str, str]]:
    """``models`` of POST /jobs, or (``named``) of POST /models: [{"name", "fileName"}]."""
    found = []
    for number, value in enumerate(fields.items("models")):
        allowed = "name fileName fileType" if named else "fileName fileType"
        item = Fields(value, allowed, where=f"models.{number}", ignore=ignore)
        file_name = item.text("fileName")
        if item.text("fileType") != "glb":
            raise BodyError(f"models.{number}.fileType must be glb")
        # A workflow job's model is called like its file (Simple Workflow, Step 4).
        found.append({"name": item.text("name") if named else file_name, "fileName": file_name})
    return found


def settings(value: Any, *, of_job: bool = False, ignore: bool = False) -> dict[str, Any]:
    """Render settings, complete. In a job nothing renders unless a flag says so."""
    name = "renderSettings" if of_job else "settings"
    fields = Fields({} if value is None else value, " ".join(SETTINGS), where=name, ignore=ignore)
    found: dict[str, Any] = {}
    for key, default in SETTINGS.items():
        if isinstance(default, bool):
            asked = default and not (of_job and key in ("renderBookmarks", "renderShots"))
            found[key] = fields.flag(key, asked)
        else:
            found[key] = fields.quality(key, default)
    return found


def webhook(fields: Fields) -> dict[str, Any]:
    """The setting of PUT /webhooks: {"url", "events", "enabled"}, "description" if it is given."""
    url, events = address(fields.text("url")), fields.items("events")
    for event in events:
        if event not in EVENTS:
            raise BodyError(f"events must be some of: {', '.join(EVENTS)}")
    found = {"url": url, "events": events, "enabled": fields.flag("enabled", True)}
    description = fields.text("description", required=False)
    return {**found, "description": description} if description else found


def address(url: str) -> str:
    """An address that events go to; on this computer."""
    try:
        return checked_url(url)
    except ProblemError as error:
        raise BodyError(error.problem.sentence) from None
