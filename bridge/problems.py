# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, in the words that an artist reads.

Every failure that reaches a person is a ``Problem``: a category, one sentence, a hint that says
what to do, and a technical line for whoever helps. This module is the end of all arrows: it imports
only the standard library, so that recipes inside a headless Blender can raise the same problems.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Category(StrEnum):
    """The kinds of failure; they decide who has to act.

    INPUT        the scene or the file cannot be sent as it is: the artist changes it
    LIMIT        a limit of the service is passed
    DISK         no room, or no right to write
    NETWORK      the service cannot be reached; trying again may help
    CREDENTIALS  no key, or the service refuses it
    CREDITS      the account has too few credits
    SERVICE      the service answered with a fault of its own, or with something unreadable
    REMOTE       the service took the job and reported that it failed
    BLENDER      a headless Blender failed, or this Blender lacks something
    IN_DOUBT     a paid request left and its answer was lost
    CANCELED     somebody stopped it
    INTERNAL     a fault of Scene Courier
    """

    INPUT = "input"
    LIMIT = "limit"
    DISK = "disk"
    NETWORK = "network"
    CREDENTIALS = "credentials"
    CREDITS = "credits"
    SERVICE = "service"
    REMOTE = "remote"
    BLENDER = "blender"
    IN_DOUBT = "in_doubt"
    CANCELED = "canceled"
    INTERNAL = "internal"


@dataclass(frozen=True)
class Problem:
    """One failure, ready to be shown.

    ``sentence`` and ``hint`` are for the artist, ``technical`` is one redacted line for support.
    """

    category: Category
    sentence: str
    hint: str = ""
    technical: str = ""

    def to_dict(self) -> dict[str, str]:
        """The form that the store, the recipes and ``--json`` carry."""
        return {key: str(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Problem:
        """Read ``to_dict``'s form; an unknown category (of a newer version) becomes INTERNAL."""
        try:
            category = Category(data.get("category", "internal"))
        except ValueError:
            category = Category.INTERNAL
        return cls(
            category,
            str(data.get("sentence") or "Something went wrong."),
            str(data.get("hint") or ""),
            str(data.get("technical") or ""),
        )


class ProblemError(Exception):
    """Raised with a ``Problem``; whoever catches it shows or stores that problem."""

    def __init__(
        self, category: Category, sentence: str, hint: str = "", technical: str = ""
    ) -> None:
        super().__init__(sentence)
        self.problem = Problem(category, sentence, hint, technical)

    @classmethod
    def of(cls, problem: Problem) -> ProblemError:
        """Wrap an existing problem; works for subclasses with the same constructor."""
        return cls(problem.category, problem.sentence, problem.hint, problem.technical)


class Canceled(Exception):
    """Raised where work notices that its job was canceled."""
