# SPDX-License-Identifier: GPL-3.0-or-later
"""What pressing Send would do at Glossi: which products, which template; or why it cannot.

The panel words its button by it and the operator sends it, so that both mean the same. Only reads,
and is cheap enough for drawing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import bpy

from ..bridge.jobs import SANDBOX
from ..bridge.problems import Category, Problem
from . import capture, properties_glossi, session
from .answers import TemplateList
from .properties_glossi import SERVICE

#: a hidden child or a changed collection shows after so long (seconds)
_AGE = 1.0


@dataclass(frozen=True)
class Plan:
    """What would be sent.

    ``products`` are names. ``template_id`` is what is sent as the template; ``template`` its name.
    ``about`` is what ``problem`` is about: "selection", "template" or "settings".
    """

    products: tuple[str, ...] = ()
    template_id: str = ""
    template: str = ""
    problem: Problem | None = None
    about: str = ""
    pictures: bool = True

    @property
    def count(self) -> int:
        """How many products."""
        return len(self.products)


_known: tuple[Any, float, tuple[str, ...]] = (None, -1e9, ())


def products(context: bpy.types.Context, mode: str) -> tuple[str, ...]:
    """The names of the products; the same selection is looked at again after a moment only."""
    global _known
    layer, clock = context.view_layer, time.monotonic()
    active = layer.objects.active
    key = (
        layer.as_pointer(),
        mode,
        active.name if active is not None else "",
        tuple(item.name for item in layer.objects.selected),
    )
    if _known[0] != key or clock - _known[1] > _AGE:
        _known = (key, clock, tuple(one.name for one in capture.products(context, mode)))
    return _known[2]


def plan(context: bpy.types.Context, settings: Any, account: str, *, template: str = "") -> Plan:
    """The plan by a scene's settings (its ``glossi`` group).

    A script may give another ``template``, by id or name; the list is not asked about that one, as
    the job does it.
    """
    names = products(context, settings.products)
    wanted, shown = template.strip(), template.strip()
    problem, about = None, ""
    if not wanted:
        known = session.current().answers.templates.known(SERVICE, account)
        wanted, shown, problem = _chosen(settings, known, account)
        about = "template" if problem is not None else ""
    if not names:
        problem, about = _nothing(context, settings), "selection"
    return Plan(
        names, wanted, shown, problem, about, pictures=bool(settings.bookmarks or settings.shots)
    )


def _chosen(
    settings: Any, known: TemplateList | None, account: str
) -> tuple[str, str, Problem | None]:
    """Id and name of the scene's template, and what is wrong with it.

    A template of this name in another account (the sandbox's, say) is as good as the one that was
    chosen. While no list is known the choice is believed.
    """
    name, template_id = settings.template_name, settings.template_id
    if not template_id:
        hint = "Pick one in the list." if known is not None else "The list is on its way."
        return "", "", Problem(Category.INPUT, "Choose a template.", hint)
    if known is None:
        return template_id, name, None
    found = known.find(template_id, name)
    if found is not None:
        return found["id"], found["name"], None
    whose = "the sandbox" if account == SANDBOX else "this account"
    sentence = f"There is no template “{name or template_id}” in {whose}."
    return "", name, Problem(Category.INPUT, sentence, "Choose another one.")


def _nothing(context: bpy.types.Context, settings: Any) -> Problem:
    """Why there is no product."""
    if not context.view_layer.objects.selected:
        return Problem(Category.INPUT, "Nothing is selected.", "Select what should be pictured.")
    if settings.products == "instance":
        return Problem(
            Category.INPUT,
            "No collection instance is selected.",
            "Select instances, or make each object a product.",
        )
    return Problem(
        Category.INPUT, "Nothing with a surface is selected.", "Select at least one mesh."
    )


# -- in words ------------------------------------------------------------------------------------


def counted(count: int, word: str = "Product") -> str:
    """1 -> "1 Product", 3 -> "3 Products"."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def button(made: Plan, account: str, *, short: bool = False) -> str:
    """What the large button says; ``short`` without the template, whose name may be long."""
    if not made.count:
        return f"Shoot {properties_glossi.where(account)}"
    if not made.pictures:
        return f"Prepare {counted(made.count)} {properties_glossi.where(account)}"
    if short or not made.template or made.about == "template":
        return f"Shoot {counted(made.count)}"
    return f"Shoot {counted(made.count)} with {made.template}"


def cost_sentence(account: str, *, rendered: bool = True) -> str:
    """What is known about the cost: Glossi documents no prices, and none is made up."""
    if account == SANDBOX:
        return "Free."
    if not rendered:
        return "Glossi does not tell prices. Nothing is rendered before you render it there."
    return "Glossi does not tell prices. Rendering begins by itself; pressing is your yes."


def multiplies(settings: Any) -> str:
    """What makes more work of it, as a sentence; "" where nothing does."""
    four_k = (settings.bookmarks and settings.image_quality == "4k") or (
        settings.shots and settings.video_resolution == "4k"
    )
    parts = [
        word
        for word, on in (
            ("4K", four_k),
            ("videos", settings.shots),
            ("variants", settings.variants and (settings.bookmarks or settings.shots)),
        )
        if on
    ]
    if not parts:
        return ""
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    verb = "multiplies" if parts == ["4K"] else "multiply"
    return f"{listed[:1].upper()}{listed[1:]} {verb} the work."
