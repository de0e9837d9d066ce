# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for the job that a create whose answer was lost may have made.

Renderjuice has no idempotency key for it and is not documented to show a job's upload in its list;
so what is found is either certain, or one candidate that a person judges. It only reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .bits import moment_of, texts_in

if TYPE_CHECKING:
    from .client import RenderjuiceClient


def find_created(
    client: RenderjuiceClient,
    since: float,
    known_ids: set[str] | frozenset[str] | list[str],
    file_name: str,
    slug: str = "",
) -> dict[str, Any] | None:
    """The job that a create whose answer was lost has made, as far as the list can tell.

    ``since`` is when the attempt began (Unix seconds, this computer's clock), ``known_ids`` are
    jobs that are ours already. A job that holds our ``file_name`` (which is unique to the attempt)
    or the upload's ``slug`` is exact: ``{…, "certain": True}``. The list is not documented to show
    either; so a lone job that was created since then, is still in ``created`` and names no other
    file is returned with ``"certain": False``: a person decides. None when there is no such job, or
    more than one.
    """
    known = set(known_ids)
    exact: list[dict[str, Any]] = []
    maybe: list[dict[str, Any]] = []
    client.jobs(1)  # its Date header tells how our clocks differ
    slack = 120.0 if client.skew is not None else 900.0
    begin = since - (client.skew or 0.0) - slack
    for row in client.all_jobs(until=begin - 3600.0):
        if row["id"] in known:
            continue
        made = moment_of(row.get("createdAt"))
        if made is not None and made < begin:
            continue
        texts = list(texts_in({k: v for k, v in row.items() if k not in ("id", "workspaceId")}))
        if _names(texts, file_name) or (len(slug) >= 8 and _names(texts, slug)):
            exact.append(row)
        elif row["status"] == "created" and made is not None and not _other_file(texts):
            maybe.append(row)
    if exact:
        oldest = min(exact, key=lambda row: moment_of(row.get("createdAt")) or 0.0)
        return {**oldest, "certain": True}
    return {**maybe[0], "certain": False} if len(maybe) == 1 else None


def _names(texts: list[str], name: str) -> bool:
    return bool(name) and any(name in text for text in texts)


def _other_file(texts: list[str]) -> bool:
    return any(text.partition("?")[0].lower().endswith((".blend", ".zip")) for text in texts)
