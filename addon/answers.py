# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker has told the panel: where each key comes from, what a job costs, what else runs.

The panel has no network and no keyring; it asks through the store and shows the last answer. No
bpy here, and never a key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..bridge.jobs import DEFAULT_ACCOUNT, SANDBOX
from ..bridge.problems import Problem

if TYPE_CHECKING:
    from ..bridge.store import Store

#: how often an open panel renews what the worker told it (seconds)
ASK_SECONDS = 60.0
#: an answer younger than this is as good as a new one (seconds)
STATE_AGE, PRICE_AGE, REMOTE_AGE, TEMPLATES_AGE = 30.0, 300.0, 30.0, 300.0
#: a list that was drawn within this time is open (seconds)
OPEN_SECONDS = 4.0
#: which of the service's prices is that of sending a file; services without prices are not asked
PRICE_OF_FILE = {"rigyd": "glb_to_simready"}
#: services with templates to choose from
WITH_TEMPLATES = ("glossi",)

_LOOPBACK = re.compile(r"https?://(localhost|127(\.\d+){3}|\[::1\])(:\d+)?(/|$)", re.IGNORECASE)

Pair = tuple[str, str]


@dataclass(frozen=True)
class TemplateList:
    """An account's templates as they were told last.

    ``items`` are ``{"id", "name", "description", "scope"}``; ``at`` is when they were told (Unix
    seconds, 0 where nobody noted it).
    """

    items: tuple[dict[str, str], ...] = ()
    at: float = 0.0

    def find(self, template_id: str, name: str = "") -> dict[str, str] | None:
        """The template with this id, else the only one of this name."""
        for item in self.items:
            if item["id"] == template_id:
                return item
        fits = [item for item in self.items if name and item["name"].lower() == name.lower()]
        return fits[0] if len(fits) == 1 else None


class Templates:
    """Templates by (service, account): the last list that arrived, and why no newer one did."""

    def __init__(self) -> None:
        self.pending = False
        self._lists: dict[Pair, TemplateList] = {}
        self._problems: dict[Pair, Problem] = {}
        self._told: dict[Pair, Any] = {}
        #: when the list of an account was drawn last
        self._drawn: dict[Pair, float] = {}

    def read(self, store: Store) -> bool:
        """Take over what the store has, whether or not a newer list can be had now."""
        changed = self.pending = False
        for service in WITH_TEMPLATES:
            for account in (DEFAULT_ACCOUNT, SANDBOX):
                request = store.request("templates", {"service": service, "account": account})
                if request is None:
                    continue
                pair = (service, account)
                self.pending = self.pending or request.state == "pending"
                if isinstance(request.answer, dict) and self._told.get(pair) != request.answer:
                    self._told[pair] = request.answer
                    self._lists[pair] = _template_list(request.answer)
                    changed = True
                if self._problems.get(pair) != request.problem:
                    changed = True
                    self._problems.pop(pair, None)
                    if request.problem is not None:
                        self._problems[pair] = request.problem
        return changed

    def look_at(self, service: str, account: str, now: float) -> None:
        """Called when the list is drawn: somebody looks at it, so it is worth asking for."""
        self._drawn[service, account] = now

    def open(self, service: str, account: str, now: float) -> bool:
        """Whether the list was drawn in the last seconds."""
        return now - self._drawn.get((service, account), -1e9) < OPEN_SECONDS

    def known(self, service: str, account: str) -> TemplateList | None:
        """The account's templates; None while nobody ever told them."""
        return self._lists.get((service, account))

    def problem(self, service: str, account: str) -> Problem | None:
        """Why the list could not be renewed."""
        return self._problems.get((service, account))


def _template_list(answer: dict[str, Any]) -> TemplateList:
    rows = [row for row in answer.get("templates") or [] if isinstance(row, dict) and row.get("id")]
    items = [
        {
            "id": str(row["id"]),
            "name": str(row.get("name") or row["id"]),
            "description": str(row.get("description") or ""),
            "scope": "public" if row.get("scope") == "public" else "workspace",
        }
        for row in rows
    ]
    at = answer.get("at")
    items.sort(key=lambda item: (item["name"].lower(), item["id"]))
    return TemplateList(tuple(items), float(at) if isinstance(at, int | float) else 0.0)


class Answers:
    """The last answers, by (service, account)."""

    def __init__(self) -> None:
        self.states: dict[Pair, dict[str, Any]] = {}
        self.prices: dict[Pair, dict[str, Any]] = {}
        self.problems: dict[Pair, Problem] = {}
        self.pending = False
        self._pairs: set[Pair] = {
            (service, DEFAULT_ACCOUNT) for service in ("rigyd", "renderjuice", "glossi")
        }
        self.templates = Templates()
        self._asked: dict[tuple[str, Pair], float] = {}
        self._remote: dict[Pair, list[dict[str, Any]]] = {}
        self._remote_problems: dict[Pair, Problem] = {}
        #: when the list of an account's jobs was drawn last
        self._remote_drawn: dict[Pair, float] = {}

    def read(self, store: Store) -> bool:
        """Take over what the store has; True when a panel would look different."""
        changed = pending = False
        for pair in self._pairs:
            args = {"service": pair[0], "account": pair[1]}
            requests = (store.request("service_state", args), store.request("pricing", args))
            for request, known in zip(requests, (self.states, self.prices), strict=True):
                if request is None:
                    continue
                pending = pending or request.state == "pending"
                if isinstance(request.answer, dict) and known.get(pair) != request.answer:
                    known[pair] = request.answer
                    changed = True
            problem = next((item.problem for item in requests if item and item.problem), None)
            if self.problems.get(pair) != problem:
                changed = True
                if problem is None:
                    self.problems.pop(pair, None)
                else:
                    self.problems[pair] = problem
        for pair in self._remote_drawn:
            request = store.request("remote_jobs", {"service": pair[0], "account": pair[1]})
            if request is None:
                continue
            pending = pending or request.state == "pending"
            if isinstance(request.answer, dict) and self._remote.get(pair) != (
                request.answer.get("jobs") or []
            ):
                self._remote[pair] = list(request.answer.get("jobs") or [])
                changed = True
            if self._remote_problems.get(pair) != request.problem:
                changed = True
                self._remote_problems.pop(pair, None)
                if request.problem is not None:
                    self._remote_problems[pair] = request.problem
        changed = self.templates.read(store) or changed
        self.pending = pending or self.templates.pending
        return changed

    def due(
        self, service: str, account: str, *, online: bool, now: float, force: bool = False
    ) -> list[tuple[str, float]]:
        """What is to be asked now: (kind, age of an answer that would still do).

        Prices, and the jobs of an open list, are only asked for where a key is and Blender may go
        online.
        """
        pair = (service, account)
        kinds = []
        may_ask = online or self.nearby(service)
        if account == DEFAULT_ACCOUNT:
            self._pairs.add(pair)
            kinds.append(("service_state", STATE_AGE))
            may_ask = may_ask and self.has_key(service)
            if may_ask and service in PRICE_OF_FILE:
                kinds.append(("pricing", PRICE_AGE))
        if (may_ask or account == SANDBOX) and self.remote_open(service, account, now):
            kinds.append(("remote_jobs", REMOTE_AGE))
        if (may_ask or account == SANDBOX) and self.templates.open(service, account, now):
            kinds.append(("templates", TEMPLATES_AGE))
        found = []
        for kind, age in kinds:
            if force or now - self._asked.get((kind, pair), -1e9) >= ASK_SECONDS:
                self._asked[kind, pair] = now
                found.append((kind, 0.0 if force else age))
        return found

    def look_at_remote_jobs(self, service: str, account: str, now: float) -> None:
        """Called when the list of the account's jobs is drawn: somebody looks at it."""
        self._remote_drawn[service, account] = now

    def remote_open(self, service: str, account: str, now: float) -> bool:
        """Whether the list of the account's jobs was drawn in the last seconds."""
        return now - self._remote_drawn.get((service, account), -1e9) < OPEN_SECONDS

    def remote_jobs(self, service: str, account: str) -> list[dict[str, Any]] | None:
        """The account's jobs at the service that are not here, newest first; None while unknown."""
        known = self._remote.get((service, account))
        return None if known is None else [job for job in known if not job.get("here")]

    def remote_problem(self, service: str, account: str) -> Problem | None:
        """Why the list could not be had."""
        return self._remote_problems.get((service, account))

    def forget_when_asked(self) -> None:
        """Ask everything again at the next look."""
        self._asked.clear()

    def key_source(self, service: str) -> str:
        """ "environment", "keyring", "file", "none", or "" while nobody knows."""
        state = self.states.get((service, DEFAULT_ACCOUNT), {})
        return str(state.get("key_source") or "")

    def has_key(self, service: str) -> bool:
        """True when the worker found a key for the person's own account."""
        return self.key_source(service) not in ("", "none")

    def nearby(self, service: str) -> bool:
        """True when the person's own account is on this computer (a test server, say)."""
        state = self.states.get((service, DEFAULT_ACCOUNT), {})
        return _LOOPBACK.match(str(state.get("base_url") or "")) is not None

    def price(self, service: str, account: str) -> float | None:
        """Credits for one job, 0 on the sandbox, None while unknown."""
        if account == SANDBOX:
            return 0.0
        prices = self.prices.get((service, account), {})
        nested = prices.get("pricing")
        value = (nested if isinstance(nested, dict) else prices).get(PRICE_OF_FILE.get(service, ""))
        return float(value) if isinstance(value, int | float) else None
