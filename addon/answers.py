# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker has told the panel: where each key comes from, and what a job costs.

The panel has no network and no keyring; it asks through the store and shows the last answer. No
bpy here, and never a key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..bridge.jobs import DEFAULT_ACCOUNT, SANDBOX
from ..bridge.problems import Problem

if TYPE_CHECKING:
    from ..bridge.store import Store

#: how often an open panel renews what the worker told it (seconds)
ASK_SECONDS = 60.0
#: an answer younger than this is as good as a new one (seconds)
STATE_AGE, PRICE_AGE = 30.0, 300.0
#: which of the service's prices is that of sending a file
PRICE_OF_FILE = {"rigyd": "glb_to_simready"}

_LOOPBACK = re.compile(r"https?://(localhost|127(\.\d+){3}|\[::1\])(:\d+)?(/|$)", re.IGNORECASE)

Pair = tuple[str, str]


class Answers:
    """The last answers, by (service, account)."""

    def __init__(self) -> None:
        self.states: dict[Pair, dict[str, Any]] = {}
        self.prices: dict[Pair, dict[str, Any]] = {}
        self.problems: dict[Pair, Problem] = {}
        self.pending = False
        self._pairs: set[Pair] = {("rigyd", DEFAULT_ACCOUNT)}
        self._asked: dict[tuple[str, Pair], float] = {}

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
        self.pending = pending
        return changed

    def due(
        self, service: str, account: str, *, online: bool, now: float, force: bool = False
    ) -> list[tuple[str, float]]:
        """What is to be asked now: (kind, age of an answer that would still do).

        The price is only asked for where a key is and Blender may go online.
        """
        pair = (service, account)
        self._pairs.add(pair)
        kinds = [("service_state", STATE_AGE)]
        may_ask = account == DEFAULT_ACCOUNT and (online or self.nearby(service))
        if may_ask and self.has_key(service):
            kinds.append(("pricing", PRICE_AGE))
        found = []
        for kind, age in kinds:
            if force or now - self._asked.get((kind, pair), -1e9) >= ASK_SECONDS:
                self._asked[kind, pair] = now
                found.append((kind, 0.0 if force else age))
        return found

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
