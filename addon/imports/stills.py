# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the pictures of products into the scene, in the ways that the artist chose.

One undo step; new data-blocks only, but for the asset preview, which is of the artist's own object
and is made only where it was asked for by name. The files stay where they are on disk. An import
that fails leaves nothing behind. Never touches the network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import bpy

from ...bridge.problems import Category, ProblemError
from . import (
    artist,
    renders_background,
    stills_image,
    stills_movie,
    stills_preview,
    stills_reference,
)
from . import ways as known_ways
from .bringing import Bringing, importing, try_all
from .report import ImportReport, listed
from .stills_image import Picture
from .stills_sources import Source, Sources


def import_pictures(
    context: bpy.types.Context,
    facts: Mapping[str, Any],
    ways: Iterable[str] = known_ways.STILL_DEFAULT,
    *,
    name: str,
    job_id: str = "",
    sources: Sequence[Source] = (),
    products: Sequence[Mapping[str, Any]] = (),
    only: str = "",
    replace: bool = False,
    references_as: str = "empty",
    mark_assets: bool = True,
    alpha: float = 0.5,
    front: bool = False,
    push_undo: bool = True,
) -> ImportReport:
    """Import stills and videos and say what became of them.

    ``facts`` as ``shoot_facts.facts_of`` makes them. ``ways``: some of ``ways.STILL_WAYS``.
    ``name`` is the job's. ``sources`` are the objects that were sent, each a name or (name,
    ``versions.identity``); ``products`` where each product was, as ``Sources`` takes it. ``only``:
    the file of the one picture to take. ``replace`` puts the new data in the place of what earlier
    imports of this ``job_id`` made, but for what the artist has renamed. ``references_as``: "empty"
    (seen in each viewport, never rendered) or "plane" (meshes that glow by themselves and light
    nothing else). ``mark_assets``: what gets a preview becomes an asset, with product and template
    as tags. ``alpha`` and ``front`` are the camera background's. ``push_undo`` as in ``simready``:
    an operator with the UNDO option makes the step itself.

    Of several ways one that cannot be done is told in ``report.lost``. Raises ProblemError: input
    (no pictures, another mode, no way), disk (the files are gone), or that of the only way.
    """
    title = name.strip() or "Pictures"
    with importing(
        context,
        facts,
        name=title,
        job_id=job_id,
        replace=replace,
        push_undo=push_undo,
        what="pictures",
    ) as bring:
        wanted = _known(ways)
        stills, videos = _gather(bring, only)
        before = artist.earlier_imports(job_id) if replace else []
        found = Sources(bring.context, sources, str(facts.get("packing") or ""), products)
        # A video among the references, if both ways are chosen.
        beside = [*stills, *(videos if known_ways.MOVIE in wanted else [])]
        actions: dict[str, Callable[[], None]] = {
            known_ways.IMAGE: lambda: stills_image.show(bring, stills),
            known_ways.REFERENCE: lambda: stills_reference.place(
                bring, beside, found, planes=references_as == "plane"
            ),
            known_ways.BACKGROUND: lambda: _background(bring, stills, alpha, front),
            known_ways.STRIP: lambda: stills_movie.strips(bring, videos),
            known_ways.MOVIE: lambda: stills_movie.textures(bring, videos),
            # The last: it alone changes what is the artist's own.
            known_ways.PREVIEW: lambda: stills_preview.set_all(
                bring, stills, found, mark=mark_assets
            ),
        }
        needs = dict.fromkeys(actions, stills) | {
            known_ways.REFERENCE: beside,
            known_ways.STRIP: videos,
            known_ways.MOVIE: videos,
        }
        try_all(
            bring,
            {
                way: partial(_one_way, action, needs[way], way)
                for way, action in actions.items()
                if way in wanted
            },
        )
        if replace:
            stills_movie.replace_earlier(bring)
            stills_image.replace_earlier(bring)
            if bring.report.references:
                for collection in before:
                    artist.remove_import(collection, bring.report)
                stills_reference.take_names(bring)
        bring.report.frames = len(stills)
    return bring.report


def _known(ways: Iterable[str]) -> set[str]:
    wanted = set(ways)
    unknown = sorted(wanted - set(known_ways.STILL_WAYS))
    if unknown:
        raise ProblemError(
            Category.INPUT,
            f"Pictures cannot be imported as “{unknown[0]}”.",
            f"Choose among {', '.join(known_ways.STILL_WAYS)}.",
        )
    return wanted


def _one_way(action: Callable[[], None], needed: list[Picture], way: str) -> None:
    if not needed:
        videos = way in (known_ways.STRIP, known_ways.MOVIE)
        raise ProblemError(
            Category.INPUT,
            "No video came back." if videos else "No stills came back.",
            "Switch Videos on when you send the job, or import the stills."
            if videos
            else "Import the videos as movie strips or movie textures.",
        )
    action()


def _gather(bring: Bringing, only: str) -> tuple[list[Picture], list[Picture]]:
    """The stills and videos whose files are there.

    Raises ProblemError: input when nothing came back, disk when nothing is there any more.
    """
    told = [dict(one) for kind in ("stills", "videos") for one in bring.facts.get(kind) or ()]
    if only:
        told = [one for one in told if os.path.normpath(one["path"]) == os.path.normpath(only)]
    if not told:
        raise ProblemError(
            Category.INPUT,
            f"“{bring.name}” has no such picture." if only else f"“{bring.name}” has no pictures.",
            "Import is possible when stills or videos came back.",
            only,
        )
    there = [one for one in told if os.path.isfile(one["path"])]
    gone = [one["path"] for one in told if one not in there]
    if not there:
        raise ProblemError(
            Category.DISK,
            "The pictures are not where they were put.",
            f"Bring the files back, or send the job again: “{os.path.dirname(gone[0])}”.",
            gone[0],
        )
    if gone:
        names = listed(f"“{os.path.basename(path)}”" for path in gone)
        bring.report.note(f"Not in the folder any more: {names}.")
    videos = {one["path"] for one in bring.facts.get("videos") or ()}
    pictures = stills_image.named(there)
    return (
        [one for one in pictures if one.path not in videos],
        [one for one in pictures if one.path in videos],
    )


def _background(bring: Bringing, stills: list[Picture], alpha: float, front: bool) -> None:
    """The first still behind the camera's view."""
    camera = renders_background.camera_of(bring)
    image = stills_image.image_of(bring, stills[0])
    renders_background.put(bring, camera, image, stills[0].part, alpha=alpha, front=front)
    if len(stills) > 1:
        bring.report.note(f"Behind the camera's view is “{image.name}”, the first of the stills.")
