# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads ``--option KEY=VALUE`` against the options that a service declares.

It only checks form and bounds; what an option means is the service's business.
"""

from __future__ import annotations

import difflib
from typing import Any

from ..problems import Category, ProblemError

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


def parse(service: Any, pairs: list[str] | None) -> dict[str, Any]:
    """``["format=usd"]`` -> ``{"format": "usd"}`` in the options' own types and names.

    ``service`` is an entry of ``services.SERVICES``. Hyphens and capitals in names are accepted.
    Raises ProblemError(INPUT) for an unknown name (with the nearest one), a value that does not
    fit, or a name given twice.
    """
    known = {name: option for option in service.options for name in (option.name, *option.aliases)}
    values: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        name = name.strip().lower().replace("-", "_")
        if not equals or not name:
            raise ProblemError(
                Category.INPUT,
                f"“{pair}” is not an option.",
                "Write options as KEY=VALUE, for example format=usd.",
            )
        option = known.get(name)
        if option is None:
            raise _unknown(service, name, list(known))
        if option.name in values:
            raise ProblemError(
                Category.INPUT,
                f"The option “{option.name}” was given twice.",
                "Give each option once.",
            )
        values[option.name] = _value(option, text.strip())
    return values


def _unknown(service: Any, name: str, known: list[str]) -> ProblemError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        hint = f"Did you mean “{near[0]}”?"
    else:
        hint = f"It knows: {', '.join(option.name for option in service.options)}."
    return ProblemError(Category.INPUT, f"{service.label} has no option “{name}”.", hint)


def _wrong(option: Any, text: str, expected: str) -> ProblemError:
    return ProblemError(
        Category.INPUT,
        f"“{text}” does not fit the option “{option.name}”.",
        f"It takes {expected}.",
    )


def _value(option: Any, text: str) -> Any:
    kind = str(option.kind)
    if kind == "bool":
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise _wrong(option, text, "true or false")
    if kind in ("int", "float"):
        return _number(option, text, kind)
    if option.choices:
        by_name = {str(choice).lower(): choice for choice in option.choices}
        if text.lower() in by_name:
            return by_name[text.lower()]
        near = difflib.get_close_matches(text.lower(), list(by_name), n=1, cutoff=0.5)
        expected = " or ".join(map(str, option.choices))
        raise _wrong(option, text, f"{expected} (did you mean “{near[0]}”?)" if near else expected)
    if not text:
        raise _wrong(option, text, "a text")
    return text


def _number(option: Any, text: str, kind: str) -> int | float:
    bounds = ""
    if option.minimum is not None and option.maximum is not None:
        bounds = f" from {option.minimum:g} to {option.maximum:g}"
        if kind == "int":
            bounds = f" from {int(option.minimum)} to {int(option.maximum)}"
    elif option.minimum is not None:
        bounds = f" of at least {option.minimum:g}"
    expected = f"a {'whole ' if kind == 'int' else ''}number{bounds}"
    try:
        number = int(text.replace("_", "")) if kind == "int" else float(text)
    except ValueError:
        raise _wrong(option, text, expected) from None
    too_small = option.minimum is not None and not number >= option.minimum
    too_large = option.maximum is not None and not number <= option.maximum
    if too_small or too_large or number != number or number in (float("inf"), float("-inf")):
        raise _wrong(option, text, expected)
    return number
