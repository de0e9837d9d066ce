# SPDX-License-Identifier: GPL-3.0-or-later
"""From the scene's settings to what is sent: the order of a click, for each service.

Reads settings only; the scene itself is looked at when the order is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import bpy

from ..bridge.problems import ProblemError
from . import properties, properties_glossi, render_plan, shoot_plan

if TYPE_CHECKING:
    from . import sending


def of_selection(
    context: bpy.types.Context, service: str, account: str, agreed_credits: float | None
) -> sending.Order:
    """The selected objects, as the scene's settings say."""
    from . import sending

    settings = properties.of_scene(context.scene)
    return sending.Order(
        service=service,
        account=account,
        options=getattr(settings, service).chosen(),
        per_object=settings.per_object,
        placement=settings.placement,
        source_after=settings.source_after,
        results_folder=settings.results_folder,
        agreed_credits=agreed_credits,
    )


def of_products(
    context: bpy.types.Context, account: str, *, template: str = "", agreed: bool = False
) -> sending.Order:
    """The selected products, to be photographed; ``template`` instead of the scene's.

    ``agreed`` says yes to the renders beforehand. Raises ProblemError with what stands in the way.
    """
    from . import sending

    settings = properties.of_scene(context.scene)
    made = shoot_plan.plan(context, settings.glossi, account, template=template)
    if made.problem is not None:
        raise ProblemError.of(made.problem)
    return sending.Order(
        service=properties_glossi.SERVICE,
        account=account,
        options={"template": made.template_id, **settings.glossi.chosen()},
        placement="source",
        source_after="keep",
        results_folder=settings.results_folder,
        agreed=agreed,
    )


def of_scene(
    context: bpy.types.Context,
    service: str,
    account: str,
    *,
    frames: str = "",
    cameras: Sequence[str] = (),
    test_frames: bool = False,
    check_only: bool = False,
    start: str = "panel",
) -> sending.Order:
    """The whole scene, to be rendered; ``frames`` and ``cameras`` instead of the scene's settings.

    ``start`` is "panel" (as set), "ask" or "at_once". Raises ProblemError with what stands in the
    way of it.
    """
    from . import sending

    settings = properties.of_scene(context.scene)
    render = getattr(settings, service)
    made = render_plan.plan(context, render, text=frames, cameras=cameras)
    if made.problem is not None:
        raise ProblemError.of(made.problem)
    options: dict[str, Any] = render.chosen(made.facts)
    if frames:
        options["frames"] = frames.strip()
    if test_frames:
        options["test_frames"] = True
    if check_only:
        options["check_only"] = True
    wanted = render.start if start == "panel" else start
    return sending.Order(
        service=service,
        account=account,
        options=options,
        scope="scene",
        # One look at the scene is enough, whichever of its cameras is used.
        cameras=list(made.cameras[:1] if check_only else made.cameras),
        results_folder=settings.results_folder,
        agreed=wanted == "at_once" and not check_only,
    )
