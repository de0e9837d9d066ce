# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos of products: movie strips one after the other, or materials that play them.

Strips begin at the playhead, on channels that are free; an artist's strip is never moved.
"""

from __future__ import annotations

from typing import Any

import bpy

from ...bridge.problems import ProblemError
from .. import versions
from . import renders_strip
from .artist import JOB
from .bringing import PART, Bringing, is_renamed
from .report import listed
from .stills_image import Picture, image_of


def strips(bring: Bringing, videos: list[Picture]) -> None:
    """A strip for each video (and one for its sound), the next where the last one ends."""
    editor = bring.scene.sequence_editor
    before = list(versions.strips(editor)) if editor is not None else []
    start = bring.scene.frame_current
    if bring.replace:
        start = min(
            (
                versions.strip_range(strip)[0]
                for strip in before
                if any(bring.is_earlier(strip, video.part) for video in videos)
                if not is_renamed(strip)
            ),
            default=start,
        )
    for video in videos:
        strip = renders_strip.movie(
            bring, video.path, video.title, f"{video.title} sound", video.part, start
        )
        start = versions.strip_range(strip)[1]
    if bring.replace:
        renders_strip.replace_earlier(bring, before)
    renders_strip.tell_where(bring)


def textures(bring: Bringing, videos: list[Picture]) -> None:
    """A material for each video that is kept although nothing uses it yet."""
    problems: list[ProblemError] = []
    names: list[str] = []
    for video in videos:
        mark = bring.mark()
        try:
            image = image_of(bring, video)
            if not image.size[0] or image.source != "MOVIE":
                raise renders_strip.no_video(video.path, "no moving picture in it")
            material = unlit(bring, video, image)
        except ProblemError as error:
            bring.roll_back(mark)
            problems.append(error)
            names.append(f"“{video.title}”")
            continue
        material.use_fake_user = True
        bring.report.materials.append(material.name)
    if problems and len(problems) == len(videos):
        raise problems[0]
    if problems:
        bring.report.lose(f"This Blender cannot play {listed(names)}.")


def play(user: Any, image: bpy.types.Image) -> None:
    """Have an image user play a movie from frame 1 on, over and over."""
    user.frame_duration = max(1, image.frame_duration)
    user.frame_start = 1
    user.frame_offset = 0
    user.use_cyclic = True
    if hasattr(user, "use_auto_refresh"):
        user.use_auto_refresh = True


def unlit(bring: Bringing, picture: Picture, image: bpy.types.Image) -> bpy.types.Material:
    """A material that shows the picture as it is, whatever the light; made once.

    Where the picture is transparent, so is the material.
    """
    if picture.part in bring.materials:
        return bring.materials[picture.part]
    material: Any = bpy.data.materials.new(picture.title)
    bring.undo(
        lambda: (bring.materials.pop(picture.part, None), bpy.data.materials.remove(material))
    )
    if material.node_tree is None:
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    made = {
        kind: tree.nodes.new(f"ShaderNode{kind}")
        for kind in ("TexImage", "Emission", "BsdfTransparent", "MixShader", "OutputMaterial")
    }
    for kind, place in (
        ("TexImage", (-600, 100)),
        ("BsdfTransparent", (-240, 160)),
        ("Emission", (-240, 20)),
        ("MixShader", (0, 120)),
        ("OutputMaterial", (220, 120)),
    ):
        made[kind].location = place
    texture, mix = made["TexImage"], made["MixShader"]
    texture.image = image
    texture.extension = "CLIP"
    if image.source == "MOVIE":
        play(texture.image_user, image)
    links = tree.links
    links.new(texture.outputs["Color"], made["Emission"].inputs["Color"])
    links.new(texture.outputs["Alpha"], mix.inputs[0])
    links.new(made["BsdfTransparent"].outputs[0], mix.inputs[1])
    links.new(made["Emission"].outputs[0], mix.inputs[2])
    links.new(mix.outputs[0], made["OutputMaterial"].inputs["Surface"])
    bring.label(material, f"{picture.part} material")
    bring.materials[picture.part] = material
    return material


def replace_earlier(bring: Bringing) -> None:
    """Put the new materials where those of earlier imports are used, and remove these."""
    new = {material.get(PART): material for material in bring.materials.values()}
    for old in [item for item in bpy.data.materials if item.library is None]:
        material = new.get(old.get(PART))
        if material is None or material == old or not bring.job_id or old.get(JOB) != bring.job_id:
            continue
        if is_renamed(old):
            bring.report.note(f"“{old.name}” is kept, because you renamed it.")
            continue
        name, before = old.name, material.name
        material.use_fake_user = material.use_fake_user or old.use_fake_user
        old.user_remap(material)
        bpy.data.materials.remove(old)
        material.name = name
        bring.label(material, material[PART])
        if before in bring.report.materials:
            bring.report.materials[bring.report.materials.index(before)] = material.name
