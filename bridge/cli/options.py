# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads ``--option KEY=VALUE``: text becomes a typed value, which the service judges."""

from __future__ import annotations

from typing import Any

from ..problems import Category, ProblemError
from ..services import Option, Service

_WORDS = {"true": True, "yes": True, "on": True, "1": True,
          "false": False, "no": False, "off": False, "0": False}  # fmt: skip


def parse(service: Service, pairs: list[str] | None) -> dict[str, Any]:
    """``["format=usd"]`` -> every option of the service in its own type, the others by default.

    Hyphens, capitals and aliases in names are accepted. Raises ProblemError(INPUT) for an unknown
    name (with the nearest one), a value that does not fit, or an option given twice.
    """
    values: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise ProblemError(
                Category.INPUT,
                f"“{pair}” is not an option.",
                "Write options as KEY=VALUE, for example format=usd.",
            )
        option = service.option(name)
        if option.name in values:
            raise ProblemError(
                Category.INPUT,
                f"The option “{option.name}” was given twice.",
                "Give each option once.",
            )
        values[option.name] = option.checked(_typed(option, text.strip()))
    return service.checked(values)


def _typed(option: Option, text: str) -> Any:
    """The text as the option's type, or as it is where it cannot be: then the check says so."""
    if option.kind == "bool":
        return _WORDS.get(text.lower(), text)
    if option.kind in ("int", "float"):
        try:
            return int(text) if option.kind == "int" else float(text)
        except ValueError:
            return text
    return text
