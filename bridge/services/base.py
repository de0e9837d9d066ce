# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service is to the rest: a name, limits, options, a client and a flow.

Light to import: panel and command line read it at their start. The client and the flow, which need
the network library, are imported when they are first used.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..problems import Category, ProblemError

if TYPE_CHECKING:
    from ..http import Http
    from ..settings import Settings


@dataclass(frozen=True)
class Option:
    """One option of a service, by its contract's field name in snake_case.

    ``kind`` is "int", "float", "bool" or "text" ("text" with ``choices`` is a choice). ``default``
    None means "not sent". ``packaging`` options are for our own export and never sent.
    """

    name: str
    kind: str
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    help: str = ""
    advanced: bool = False
    packaging: bool = False

    def checked(self, value: Any) -> Any:
        """The value in the option's own type; ProblemError(INPUT) if it does not fit."""
        if value is None:
            return None
        if self.kind == "bool":
            if isinstance(value, bool):
                return value
            raise self._misfit(value, "true or false")
        if self.kind in ("int", "float"):
            return self._number(value)
        if not isinstance(value, str) or not value.strip():
            raise self._misfit(value, "a text")
        text = value.strip()
        if not self.choices:
            return text
        for choice in self.choices:
            if text.lower() == choice.lower():
                return choice
        raise self._misfit(value, " or ".join(self.choices))

    def _number(self, value: Any) -> int | float:
        whole = self.kind == "int"
        expected = f"a {'whole ' if whole else ''}number{self._bounds()}"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._misfit(value, expected)
        if not math.isfinite(value) or (whole and value != int(value)):
            raise self._misfit(value, expected)
        low = self.minimum is not None and value < self.minimum
        high = self.maximum is not None and value > self.maximum
        if low or high:
            raise self._misfit(value, expected)
        return int(value) if whole else float(value)

    def _bounds(self) -> str:
        if self.minimum is not None and self.maximum is not None:
            return f" from {self.minimum:.10g} to {self.maximum:.10g}"
        if self.minimum is not None:
            return f" of at least {self.minimum:.10g}"
        return ""

    def _misfit(self, value: Any, expected: str) -> ProblemError:
        return ProblemError(
            Category.INPUT,
            f"“{value}” does not fit the option “{self.name}”.",
            f"It takes {expected}.",
        )


@dataclass(frozen=True)
class Service:
    """One service. ``flow_at`` and ``client_at`` are "module:name" below this package."""

    name: str
    label: str
    default_base_url: str
    #: the prefix of its environment variables: <env>_API_KEY, <env>_BASE_URL
    env: str
    options: tuple[Option, ...]
    #: suffixes of ready files, lower case, with the dot
    accepts: tuple[str, ...]
    max_bytes: int
    key_page: str
    flow_at: str
    client_at: str
    http_at: str
    #: the steps of one attempt at the service; a new attempt begins again with these
    attempt_steps: tuple[str, ...]
    #: the step that may happen once, whose lost answer puts the job in doubt
    once_step: str = "submit"
    #: what is sent: the selected objects ("selection") or the whole scene ("scene")
    scope: str = "selection"
    #: what stops a job at the service; "" where it cannot be stopped
    cancel_at: str = ""
    #: what is said when a job that cannot be stopped is canceled here
    goes_on: str = ""
    #: judges options that depend on each other or have a grammar of their own
    check_at: str = ""
    #: True where one job takes several files or products
    many: bool = False
    #: True where a price list in credits exists
    priced: bool = True

    def option(self, name: str) -> Option:
        """The option of this name or alias; ProblemError(INPUT) with the nearest name if none."""
        wanted = name.strip().lower().replace("-", "_")
        names: dict[str, Option] = {}
        for option in self.options:
            for known in (option.name, *option.aliases):
                names[known] = option
        if wanted in names:
            return names[wanted]
        near = difflib.get_close_matches(wanted, list(names), n=1, cutoff=0.5)
        raise ProblemError(
            Category.INPUT,
            f"{self.label} has no option “{name}”.",
            f"Did you mean “{near[0]}”?"
            if near
            else f"It knows: {', '.join(option.name for option in self.options)}.",
        )

    def defaults(self) -> dict[str, Any]:
        """Every option with its default."""
        return {option.name: option.default for option in self.options}

    def checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All options in their own types: the given ones checked, the others by default.

        Raises ProblemError(INPUT) for an unknown name or a value that does not fit.
        """
        answer = self.defaults()
        for name, value in values.items():
            option = self.option(name)
            checked = option.checked(value)
            answer[option.name] = option.default if checked is None else checked
        if self.check_at:
            _named(self.check_at)(answer)
        return answer

    def http(
        self,
        base_url: str,
        key: str | None,
        *,
        settings: Settings | None = None,
        online: Callable[[], bool] | None = None,
        cancelled: Callable[[], bool] | None = None,
        log: logging.Logger | None = None,
    ) -> Http:
        """A connection that speaks this service's errors. ProblemError for an unusable address."""
        connection: Http = _named(self.http_at)(
            base_url, key, settings=settings, online=online, cancelled=cancelled, log=log
        )
        return connection

    def client(self, http: Http) -> Any:
        """The service's API client on a connection."""
        return _named(self.client_at)(http)

    def flow(self, flow: Any) -> None:
        """Run the service's flow for one job; see ``bridge.flow``."""
        _named(self.flow_at)(flow)

    def cancel(self, flow: Any) -> list[str]:
        """Stop the flow's job at the service; answers remarks for the artist.

        Raises ``flow.Later`` while the service has not stopped yet, ProblemError when it cannot be
        told. Without ``cancel_at`` nothing is done.
        """
        return list(_named(self.cancel_at)(flow)) if self.cancel_at else []

    def load(self) -> None:
        """Import client and flow now: a running worker must not pick up an update's modules."""
        for place in (self.flow_at, self.client_at, self.http_at, self.cancel_at, self.check_at):
            if place:
                _named(place)


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f".{module}", __package__), name)
