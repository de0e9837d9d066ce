# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates: which there are, and the one that somebody means by a name or an id."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from ...problems import Category, ProblemError

if TYPE_CHECKING:
    from .client import GlossiClient


def all_templates(client: GlossiClient) -> list[dict[str, str]]:
    """``[{"id", "name", "description", "scope"}]``; scope is "public" or "workspace".

    The list does not say whose a template is; which of them the public list has does (Glossi docs,
    Complete Workflow, Filtering Templates).
    """
    everything = client.templates()
    public = {item["templateId"] for item in client.templates(internal=False)}
    return [
        {
            "id": item["templateId"],
            "name": str(item.get("name") or item["templateId"]),
            "description": str(item.get("description") or ""),
            "scope": "public" if item["templateId"] in public else "workspace",
        }
        for item in everything
    ]


def find_template(client: GlossiClient, wanted: object) -> dict[str, Any]:
    """``{"id", "name"}`` of the template with this id or name.

    Raises ProblemError(INPUT) when none is named, there is no such one, or a name fits several.
    """
    text = str(wanted or "").strip()
    known = client.templates()
    names = [str(item.get("name") or "") for item in known]
    some = ", ".join(sorted(name for name in names if name)[:8])
    if not text:
        raise ProblemError(
            Category.INPUT,
            "No template is chosen.",
            f"Choose one; there are: {some or 'none in this account'}.",
        )
    for item in known:
        if item["templateId"] == text:
            return {"id": text, "name": str(item.get("name") or text)}
    fits = [item for item in known if str(item.get("name") or "").lower() == text.lower()]
    if len(fits) == 1:
        return {"id": fits[0]["templateId"], "name": str(fits[0]["name"])}
    if fits:
        ids = ", ".join(item["templateId"] for item in fits)
        raise ProblemError(
            Category.INPUT,
            f"Several templates are called “{text}”.",
            f"Give the id of the one that you mean: {ids}.",
        )
    near = difflib.get_close_matches(text, names, n=1, cutoff=0.5)
    raise ProblemError(
        Category.INPUT,
        f"There is no template “{text}”.",
        f"Did you mean “{near[0]}”?" if near else f"There are: {some or 'none'}.",
    )
