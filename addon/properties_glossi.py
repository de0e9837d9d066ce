# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be set for product pictures by Glossi; saved with the scene, named as in the contract.

The template is kept by id and name, so that a scene still shows its choice where the list cannot be
had. The list itself belongs to the window manager: it mirrors what the worker was told.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..bridge.jobs import SANDBOX
from . import preferences, session
from .imports import ways

SERVICE = "glossi"

PRODUCTS = (
    (
        "object",
        "Each Object",
        "Every selected object is a product, with the visible objects that are parented to it",
        "OBJECT_DATA",
        0,
    ),
    (
        "collection",
        "Each Collection",
        "Every collection that a selected object lies in is a product, with all that shows in it",
        "OUTLINER_COLLECTION",
        1,
    ),
    (
        "instance",
        "Each Instance",
        "Every selected collection instance is a product; the same collection in the same size is "
        "one product",
        "EMPTY_AXIS",
        2,
    ),
    ("one", "All as One", "All that is selected is one product", "MESH_CUBE", 3),
)
_SIZES = (
    ("720p", "720p", "1280 × 720 pixels"),
    ("1080p", "1080p", "1920 × 1080 pixels"),
    ("4k", "4K", "3840 × 2160 pixels: four times the work of 1080p"),
)
_WORKFLOWS = (
    (
        "jobs",
        "One Job",
        "One call for models and projects. Glossi names the projects; their names cannot be set",
    ),
    (
        "steps",
        "Step by Step",
        "Models, projects and renders one after the other; projects can have a name",
    ),
)
#: what changes the artist's own objects is asked for by name, job by job
_IMPORTS = tuple(item for item in ways.STILL_ITEMS if item[0] != ways.PREVIEW)
_SCOPES = (
    ("all", "All", "All templates that this account can use"),
    ("public", "Public", "Only those that Glossi offers to everybody"),
    ("workspace", "Workspace", "Only those of your own workspace"),
)


class SceneCourierGlossi(bpy.types.PropertyGroup):
    """Settings of product pictures; ``chosen`` makes a job's options of them."""

    template_id: bpy.props.StringProperty(
        name="Template Id", description="The id of the chosen template"
    )
    template_name: bpy.props.StringProperty(
        name="Template", description="Light, cameras and background of the pictures"
    )
    products: bpy.props.EnumProperty(
        name="Products",
        description="What of the selection becomes a product with pictures of its own",
        items=PRODUCTS,
        default="object",
    )
    bookmarks: bpy.props.BoolProperty(
        name="Stills",
        description="A still from each of the template's cameras, for each product",
        default=True,
    )
    shots: bpy.props.BoolProperty(
        name="Videos",
        description="A video of each of the template's shots, for each product",
        default=False,
    )
    variants: bpy.props.BoolProperty(
        name="Variants",
        description=(
            "Each still and video in every material variant of the product, where it has any"
        ),
        default=False,
    )
    image_quality: bpy.props.EnumProperty(
        name="Image Quality", description="Size of the stills", items=_SIZES, default="1080p"
    )
    video_quality: bpy.props.EnumProperty(
        name="Video Quality",
        description="How much time and space a video may take",
        items=(
            ("fast", "Fast", "The fastest, as MP4"),
            ("balanced", "Balanced", "Between fast and best"),
            ("best", "Best", "The best, as ProRes"),
        ),
        default="balanced",
    )
    video_resolution: bpy.props.EnumProperty(
        name="Video Resolution", description="Size of the videos", items=_SIZES, default="1080p"
    )

    import_ways: bpy.props.EnumProperty(
        name="Import As",
        description="As what stills and videos come into the scene when they are imported",
        items=_IMPORTS,
        options={"ENUM_FLAG"},
        default=set(ways.STILL_DEFAULT),
    )

    workflow: bpy.props.EnumProperty(
        name="Workflow",
        description="In which way Glossi is asked for the projects",
        items=_WORKFLOWS,
        default="jobs",
    )
    project_name: bpy.props.StringProperty(
        name="Project Name",
        description="What the project is called at Glossi; Glossi names it when empty",
    )
    per_model: bpy.props.BoolProperty(
        name="A Project for Each Product",
        description=(
            "Off, all products stand in one project together, and the pictures show them together"
        ),
        default=True,
    )
    webhook_url: bpy.props.StringProperty(
        name="Webhook Address",
        description="An address of your own that Glossi tells when the job is complete",
    )
    render_base_url: bpy.props.StringProperty(
        name="Render Address",
        description=(
            "The address that finished files lie below, if Glossi gave you one. Without it, files "
            "that Glossi names only by a key stay in its web app"
        ),
    )
    retries: bpy.props.IntProperty(
        name="Retries",
        description="How often a render that failed is started again by itself",
        default=1,
        min=0,
        max=3,
    )
    draco: bpy.props.BoolProperty(
        name="Draco Compression",
        description=(
            "Compress the meshes in the files that are sent: a smaller upload, positions rounded. "
            "If this Blender cannot do it, they are sent uncompressed and the job says so"
        ),
        default=False,
    )
    animation: bpy.props.BoolProperty(
        name="Animation", description="Send animation of the products too", default=False
    )
    ignore_scale: bpy.props.BoolProperty(
        name="Unlikely Sizes",
        description=(
            "Send products of an unlikely size too, such as a chair of 3 mm or 300 m, which are "
            "left out otherwise"
        ),
        default=False,
    )

    def chosen(self) -> dict[str, Any]:
        """The options of a job, without the template; what cannot be sent is left out."""
        options: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("products", "bookmarks", "shots", "variants", "image_quality")
        }
        if self.shots:
            options["video_quality"] = self.video_quality
            options["video_resolution"] = self.video_resolution
        options |= {name: getattr(self, name) for name in ("workflow", "retries")}
        if self.workflow == "steps":
            options["per_model"] = self.per_model
            if self.project_name.strip():
                options["project_name"] = self.project_name.strip()
        elif self.webhook_url.strip():
            # Only the call that makes a job takes such an address.
            options["webhook_url"] = self.webhook_url.strip()
        if self.render_base_url.strip():
            options["render_base_url"] = self.render_base_url.strip()
        return (
            options
            | {name: getattr(self, name) for name in ("draco", "animation")}
            | ({"ignore_scale": True} if self.ignore_scale else {})
        )


class SceneCourierTemplate(bpy.types.PropertyGroup):
    """A row of the list of templates; ``name`` is there already."""

    template_id: bpy.props.StringProperty(options={"SKIP_SAVE"})
    description: bpy.props.StringProperty(options={"SKIP_SAVE"})
    scope: bpy.props.StringProperty(options={"SKIP_SAVE"})


def template_index(group: Any) -> int:
    """Which row the open scene's template is; -1 for none."""
    scene: Any = bpy.context.scene
    wanted = scene.scene_courier.glossi.template_id if scene is not None else ""
    if wanted:
        for number, row in enumerate(group.templates):
            if row.template_id == wanted:
                return number
    return -1


def set_template_index(group: Any, value: int) -> None:
    """A click on a row chooses its template for the open scene."""
    scene: Any = bpy.context.scene
    if scene is not None and 0 <= value < len(group.templates):
        row = group.templates[value]
        settings = scene.scene_courier.glossi
        settings.template_id, settings.template_name = row.template_id, row.name


def account(context: bpy.types.Context) -> str:
    """With which account Glossi is used: the panel's choice, else what is possible."""
    return session.current().account(SERVICE, preferences.get(context).account)


def where(account_name: str) -> str:
    """ "in the Sandbox" or "on Glossi"."""
    return "in the Sandbox" if account_name == SANDBOX else "on Glossi"


#: what the window manager's group has besides the list of jobs
SCOPE = {
    "name": "Templates",
    "description": "Which templates are listed",
    "items": _SCOPES,
    "default": "all",
}

CLASSES = (SceneCourierGlossi, SceneCourierTemplate)
