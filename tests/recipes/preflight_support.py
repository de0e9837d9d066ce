# SPDX-License-Identifier: GPL-3.0-or-later
"""A small animated scene, and the preflight report about it as it is at that moment."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import bpy

BLOCKING, WARNING, INFO = "blocking", "warning", "info"


@dataclass
class Look:
    """The open scene and its reports. Keywords of the methods are the job's options."""

    capture: dict[str, Any] = field(default_factory=dict)
    package: dict[str, Any] | None = None

    @property
    def scene(self) -> Any:
        """The current scene."""
        return bpy.context.scene

    @property
    def cube(self) -> Any:
        """The scene's one mesh, which moves."""
        return bpy.data.objects["Cube"]

    def report(self, **options: Any) -> dict[str, Any]:
        """The report, by what a scan finds."""
        from addon.recipes import dependencies, preflight

        wanted = options.pop("frames", None)
        numbers = [int(number) for number in re.findall(r"\d+", wanted or "")]
        return preflight.examine(
            self.scene,
            dependencies.scan(frames=(min(numbers), max(numbers)) if numbers else None),
            frames=wanted,
            capture=self.capture,
            options=options | ({"frames": wanted} if wanted else {}),
            package=self.package,
        )

    def findings(self, **options: Any) -> list[dict[str, Any]]:
        """The report's findings."""
        return list(self.report(**options)["findings"])

    def codes(self, **options: Any) -> set[str]:
        """Which findings there are."""
        return {found["code"] for found in self.findings(**options)}

    def one(self, code: str, severity: str, **options: Any) -> dict[str, Any]:
        """The only finding of this code; its severity and its words are checked."""
        found = [one for one in self.findings(**options) if one["code"] == code]
        assert len(found) == 1, (code, self.findings(**options))
        assert found[0]["severity"] == severity
        said = found[0]["sentence"] + found[0]["hint"]
        assert found[0]["sentence"].endswith(".") and "!" not in said and "  " not in said
        return found[0]

    def material(self) -> Any:
        """The cube's material, made when it has none."""
        if not self.cube.data.materials:
            made = bpy.data.materials.new("Paint")
            if bpy.app.version < (5, 0, 0):
                made.use_nodes = True
            self.cube.data.materials.append(made)
        return self.cube.data.materials[0]

    def image_node(self, image: Any) -> Any:
        """An image in the cube's material."""
        node = self.material().node_tree.nodes.new("ShaderNodeTexImage")
        node.image = image
        return node

    def compositor(self) -> Any:
        """An empty compositor, in use."""
        self.scene.render.use_compositing = True
        if hasattr(self.scene, "compositing_node_group"):
            tree = bpy.data.node_groups.new("Comp", "CompositorNodeTree")
            self.scene.compositing_node_group = tree
            return tree
        self.scene.use_nodes = True
        self.scene.node_tree.nodes.clear()
        return self.scene.node_tree

    @staticmethod
    def composite(tree: Any) -> Any:
        """The node that gives the frame."""
        old = hasattr(bpy.types, "CompositorNodeComposite")
        return tree.nodes.new("CompositorNodeComposite" if old else "NodeGroupOutput")

    @staticmethod
    def folder_of(node: Any, folder: str) -> None:
        """Where a File Output node writes to."""
        setattr(node, "directory" if hasattr(node, "directory") else "base_path", folder)


def animated_scene() -> Look:
    """An empty file with a camera and a cube that moves; Cycles, without denoising."""
    bpy.ops.wm.read_homefile(use_empty=True)
    scene = bpy.context.scene
    mesh = bpy.data.meshes.new("Cube")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    cube = bpy.data.objects.new("Cube", mesh)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    for item in (cube, camera):
        scene.collection.objects.link(item)
    cube.keyframe_insert("location", frame=1)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.use_denoising = False
    bpy.context.view_layer.update()
    return Look()


def strip_of_colour(scene: Any) -> Any:
    """A strip that the sequencer renders."""
    editor = scene.sequence_editor or scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    end = {"length": 9} if bpy.app.version >= (5, 0, 0) else {"frame_end": 10}
    return strips.new_effect("Blue", "COLOR", 1, 1, **end)
