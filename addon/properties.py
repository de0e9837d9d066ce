# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel lets people set: with the scene what is sent and how, with the window the list.

Scene settings are saved with the .blend like render settings. The list of jobs belongs to the
window manager and is never saved: it mirrors the job store. No property holds a key.
"""

from __future__ import annotations

from typing import Any

import bpy

from . import preferences, properties_glossi, properties_renderjuice, session

_ACCOUNTS = (
    (
        "default",
        "My Account",
        "Send to the service itself, with your own key. It may cost credits; the price is shown "
        "before anything is sent",
        "USER",
        0,
    ),
    (
        "sandbox",
        "Sandbox",
        "Do the work on this computer: no account, no internet, no cost",
        "DESKTOP",
        1,
    ),
)
_SERVICES = (
    (
        "rigyd",
        "Rigyd",
        "Makes a physics-ready SimReady asset of the selected objects: materials, colliders, mass",
        "PHYSICS",
        0,
    ),
    (
        "renderjuice",
        "Renderjuice",
        "Renders the scene on a render farm; the frames come back",
        "RENDER_ANIMATION",
        1,
    ),
    (
        "glossi",
        "Glossi",
        "Photographs the selected products with a template: stills and videos come back",
        "CAMERA_DATA",
        2,
    ),
)


class SceneCourierRigyd(bpy.types.PropertyGroup):
    """Options of one conversion at Rigyd; names as in the service's registry entry."""

    format: bpy.props.EnumProperty(
        name="Format",
        description="What is fetched when the conversion is done",
        items=(
            ("all", "USD and MJCF", "Both; fetching both costs nothing more"),
            ("usd", "USD", "SimReady USD, which can be imported into the scene"),
            ("mjcf", "MJCF", "A MuJoCo package, kept in the results folder"),
        ),
        default="all",
    )
    reduce: bpy.props.BoolProperty(
        name="Reduce Triangles",
        description="Let the service simplify the mesh before it is converted",
        default=False,
    )
    target_triangle_count: bpy.props.IntProperty(
        name="Triangles",
        description="About how many triangles the simplified asset has",
        default=50_000,
        min=1_000,
        max=1_000_000,
        step=1000,
    )
    draco: bpy.props.BoolProperty(
        name="Draco Compression",
        description=(
            "Compress the meshes in the file that is sent: a smaller upload, positions rounded. "
            "If this Blender cannot do it, the file is sent uncompressed and the job says so"
        ),
        default=False,
    )
    animation: bpy.props.BoolProperty(
        name="Animation",
        description="Send animation too. A SimReady prop usually has none",
        default=False,
    )

    def chosen(self) -> dict[str, Any]:
        """The options of a job."""
        options: dict[str, Any] = {
            "format": self.format,
            "draco": self.draco,
            "animation": self.animation,
        }
        if self.reduce:
            options["target_triangle_count"] = self.target_triangle_count
        return options


class SceneCourierScene(bpy.types.PropertyGroup):
    """What is sent from this scene, and where the result goes."""

    service: bpy.props.EnumProperty(
        name="Service",
        description="Who does the work",
        items=_SERVICES,
        default="rigyd",
    )
    rigyd: bpy.props.PointerProperty(type=SceneCourierRigyd)
    renderjuice: bpy.props.PointerProperty(type=properties_renderjuice.SceneCourierRenderjuice)
    glossi: bpy.props.PointerProperty(type=properties_glossi.SceneCourierGlossi)
    per_object: bpy.props.BoolProperty(
        name="One Job per Object",
        description=(
            "Make a separate asset of each selected object instead of one asset of all of them. "
            "Each job is charged on its own"
        ),
        default=False,
    )
    placement: bpy.props.EnumProperty(
        name="Place",
        description="Where an imported result stands",
        items=(
            ("source", "At the Source", "Where the sent objects stood", "OBJECT_DATA", 0),
            (
                "cursor",
                "At the 3D Cursor",
                "Where the 3D cursor is when the result is imported",
                "CURSOR",
                1,
            ),
        ),
        default="source",
    )
    source_after: bpy.props.EnumProperty(
        name="Source",
        description="What happens to the sent objects when the result is imported",
        items=(
            ("hide", "Hide", "Hide the sent objects in the viewport and in renders", "HIDE_ON", 0),
            ("keep", "Keep", "Leave the sent objects as they are", "HIDE_OFF", 1),
        ),
        default="hide",
    )
    results_folder: bpy.props.StringProperty(
        name="Folder",
        description=(
            "Where results are put, a folder for each job. “//” is beside the .blend; while the "
            "file is unsaved, or the folder cannot be written, results stay in the data folder"
        ),
        default="//courier/",
        subtype="DIR_PATH",
        # Blender 4.2 does not know the option (and treats every DIR_PATH like this).
        options={"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set(),
    )


class SceneCourierJob(bpy.types.PropertyGroup):
    """A row of the list; ``name`` is there for the list's search field."""

    job_id: bpy.props.StringProperty(options={"SKIP_SAVE"})


def _get_account(_group: Any) -> int:
    context = bpy.context
    scene = getattr(context, "scene", None)
    service = scene.scene_courier.service if scene is not None else "rigyd"
    account = session.current().account(service, preferences.get(context).account)
    return 1 if account == "sandbox" else 0


def _set_account(_group: Any, value: int) -> None:
    session.current().account_choice = "sandbox" if value == 1 else "default"


def _job_picked(group: Any, _context: bpy.types.Context) -> None:
    if 0 <= group.job_index < len(group.jobs):
        session.current().active_id = group.jobs[group.job_index].job_id


class SceneCourierWindow(bpy.types.PropertyGroup):
    """What the panel shows in this Blender."""

    account: bpy.props.EnumProperty(
        name="Account",
        description="With which account the job is sent",
        items=_ACCOUNTS,
        get=_get_account,
        set=_set_account,
    )
    jobs: bpy.props.CollectionProperty(type=SceneCourierJob)
    job_index: bpy.props.IntProperty(
        name="Job",
        description="The job whose details are shown below",
        default=0,
        min=0,
        update=_job_picked,
    )
    templates: bpy.props.CollectionProperty(type=properties_glossi.SceneCourierTemplate)
    template_index: bpy.props.IntProperty(
        name="Template",
        description="Light, cameras and background of the pictures; chosen for this scene",
        get=properties_glossi.template_index,
        set=properties_glossi.set_template_index,
    )
    template_scope: bpy.props.EnumProperty(**properties_glossi.SCOPE)
    template_search: bpy.props.StringProperty(
        name="Search",
        description="Show only templates with these words in their name or description",
        options={"TEXTEDIT_UPDATE", "SKIP_SAVE"},
    )


def of_scene(scene: Any) -> Any:
    """A scene's settings."""
    return scene.scene_courier


def of_window(context: Any) -> Any:
    """What the panel shows in this Blender."""
    return context.window_manager.scene_courier


_CLASSES = (
    *properties_renderjuice.CLASSES,
    *properties_glossi.CLASSES,
    SceneCourierRigyd,
    SceneCourierScene,
    SceneCourierJob,
    SceneCourierWindow,
)


def register() -> None:
    """Register the groups and hang them on scenes and on the window manager."""
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    scene: Any = bpy.types.Scene
    window: Any = bpy.types.WindowManager
    scene.scene_courier = bpy.props.PointerProperty(type=SceneCourierScene)
    window.scene_courier = bpy.props.PointerProperty(type=SceneCourierWindow)


def unregister() -> None:
    """Take properties and groups back."""
    owners: tuple[Any, ...] = (bpy.types.WindowManager, bpy.types.Scene)
    for owner in owners:
        if hasattr(owner, "scene_courier"):
            del owner.scene_courier
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
