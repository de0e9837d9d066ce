# SPDX-License-Identifier: GPL-3.0-or-later
"""The three ways in which a request that may be sent only once can fail.

A submit that costs credits must never be sent twice by itself, so "it failed" is not enough: what
matters is whether the service can have it. This module knows nothing of HTTP or of flows; clients
raise these, flows act on them.

``Unsent``   the last piece never left: nothing can have started, sending again is safe
``Refused``  the service answered with an error: nothing started, nothing is charged
``Lost``     everything was sent and no valid answer came back: in doubt, only the service's list
             can tell
"""

from __future__ import annotations

from .problems import Category, Problem, ProblemError


class Outcome(ProblemError):
    """What the three have in common.

    ``status`` is the HTTP status if one was read, ``transient`` says that waiting may help, and
    ``retry_after`` is the wait that the service asked for, in seconds.
    """

    def __init__(
        self,
        category: Category,
        sentence: str,
        hint: str = "",
        technical: str = "",
        *,
        status: int | None = None,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(category, sentence, hint, technical)
        self.status = status
        self.transient = transient
        self.retry_after = retry_after

    @classmethod
    def wrap(
        cls,
        problem: Problem,
        *,
        status: int | None = None,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> Outcome:
        """This outcome with an existing problem's words."""
        return cls(
            problem.category,
            problem.sentence,
            problem.hint,
            problem.technical,
            status=status,
            transient=transient,
            retry_after=retry_after,
        )


class Unsent(Outcome):
    """The request never left whole; it may be sent again."""


class Refused(Outcome):
    """The service said no; it has not started anything and charges nothing."""


class Lost(Outcome):
    """The request left whole and its answer was lost; never send it again without looking."""
