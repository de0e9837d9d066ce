# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi's options and limits (Glossi docs: Simple Workflow, Complete Workflow)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ...problems import Category, ProblemError
from ..base import Option

#: the web interface's limit; that of the API is not documented
MAX_BYTES = 1_000_000_000
ACCEPTS = (".glb",)
SIZES = ("720p", "1080p", "4k")
VIDEO_QUALITIES = ("fast", "balanced", "best")
PRODUCTS = ("object", "collection", "instance", "one")

OPTIONS = (
    Option(
        "template",
        "text",
        aliases=("template_id",),
        help="Light, cameras and background: a template's name or id.",
    ),
    Option(
        "workflow",
        "text",
        default="jobs",
        choices=("jobs", "steps"),
        help="One call for models and projects, or each step on its own.",
        advanced=True,
    ),
    Option(
        "bookmarks",
        "bool",
        default=True,
        aliases=("stills", "images", "render_bookmarks"),
        help="A still for each of the template's cameras.",
    ),
    Option(
        "shots",
        "bool",
        default=False,
        aliases=("videos", "render_shots"),
        help="A video for each of the template's shots.",
    ),
    Option(
        "variants",
        "bool",
        default=False,
        aliases=("render_variants",),
        help="Each still and video in every material variant of the product.",
    ),
    Option("image_quality", "text", default="1080p", choices=SIZES, help="Size of the stills."),
    Option(
        "video_quality",
        "text",
        default="balanced",
        choices=VIDEO_QUALITIES,
        help="Quality of the videos: fast is MP4, best is ProRes.",
    ),
    Option("video_resolution", "text", default="1080p", choices=SIZES, help="Size of the videos."),
    Option(
        "project_name",
        "text",
        help="Name of the project; only with workflow=steps and one project.",
        advanced=True,
    ),
    Option(
        "per_model",
        "bool",
        default=True,
        aliases=("create_per_model",),
        help="A project for each product; only with workflow=steps.",
        advanced=True,
    ),
    Option(
        "webhook_url",
        "text",
        help="An address that Glossi tells when the job is complete.",
        advanced=True,
    ),
    Option(
        "retries",
        "int",
        default=1,
        minimum=0,
        maximum=3,
        help="How often a render that failed is started again by itself.",
        advanced=True,
        packaging=True,
    ),
    Option(
        "model_minutes",
        "float",
        default=30.0,
        minimum=0.01,
        maximum=1440,
        help="How long the processing of the models is waited for.",
        advanced=True,
        packaging=True,
    ),
    Option(
        "render_base_url",
        "text",
        help="Address that finished files lie below, if Glossi gave you one.",
        advanced=True,
        packaging=True,
    ),
    Option(
        "render_in_job",
        "bool",
        default=False,
        help="Let the job itself render; where its files are is not documented then.",
        advanced=True,
    ),
    Option(
        "products",
        "text",
        default="object",
        choices=PRODUCTS,
        help="What makes a product: each object, collection or instance, or all as one.",
        packaging=True,
    ),
    Option(
        "draco",
        "bool",
        default=False,
        help="Compress the meshes of the upload, where this Blender can.",
        advanced=True,
        packaging=True,
    ),
    Option(
        "animation",
        "bool",
        default=False,
        aliases=("animations",),
        help="Keep animation in the upload.",
        advanced=True,
        packaging=True,
    ),
    Option(
        "ignore_scale",
        "bool",
        default=False,
        help="Send products of an unlikely size too.",
        advanced=True,
        packaging=True,
    ),
)


def check_options(options: Mapping[str, Any]) -> None:
    """Addresses are looked at before anything is rendered, not when it is too late for them.

    Raises ProblemError(INPUT) for one that is not https (http on this computer is fine), and for a
    signed one where it would be kept.
    """
    for name in ("render_base_url", "webhook_url"):
        text = str(options.get(name) or "").strip()
        if text and not _is_address(text):
            raise ProblemError(
                Category.INPUT,
                f"“{text[:80]}” does not fit the option “{name}”.",
                "It takes an address that starts with https://.",
            )
        if name == "render_base_url" and "?" in text:
            # It is kept with the job and in the .blend; a signature or a token must not be.
            raise ProblemError(
                Category.INPUT,
                f"The option “{name}” takes an address without a “?”.",
                "What follows it is a password to the files, and would be kept in the clear.",
            )


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or parts.username is not None:
        return False
    here = host in ("localhost", "127.0.0.1", "::1")
    return parts.scheme == "https" or (parts.scheme == "http" and here)


def render_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """The ``settings`` of POST /renders, every flag explicit: left out they would all be true.

    (Glossi docs, Complete Workflow, Render Settings Explained.)
    """
    return {
        "renderBookmarks": bool(options.get("bookmarks", True)),
        "renderShots": bool(options.get("shots", False)),
        "renderVariants": bool(options.get("variants", False)),
        "imageQuality": SIZES.index(options.get("image_quality") or "1080p"),
        "videoQuality": VIDEO_QUALITIES.index(options.get("video_quality") or "balanced"),
        "videoResolution": SIZES.index(options.get("video_resolution") or "1080p"),
    }
