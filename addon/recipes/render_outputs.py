# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a render's files go: names as the scene has them, places of our own.

Everything is written into a staging folder and renamed from there when it is whole. Names come from
a stranger's .blend: only the last part of a path is used, and nothing is written outside.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from addon.recipes import versions
from bridge.problems import Category, ProblemError

FRAMES, COMPOSITOR = "frames", "compositor"
_STAGING = ".rendering"
_ODD = re.compile(r'[\x00-\x1f<>:"/\\|?*]')


def safe(name: str, otherwise: str) -> str:
    """One part of a path, as every system accepts it."""
    return _ODD.sub("_", name).strip(" .")[:100] or otherwise


def _templates(render: Any) -> bool:
    """Whether this Blender reads {…} in the output path as variables."""
    before = render.filepath
    try:
        render.filepath = os.path.join(os.sep, "{{x}}_")
        return "{{" not in render.frame_path(frame=1)
    finally:
        render.filepath = before


def _last_part(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]


class Outputs:
    """Names and places of one scene's render below ``folder``.

    ``expected`` says which files a frame has at the end, ``aim`` sends Blender's writing into the
    staging folder, ``settle`` moves what was written to its place.
    """

    def __init__(self, scene: Any, folder: Path) -> None:
        self._scene = scene
        self.folder = folder
        self.staging = folder / _STAGING
        render = scene.render
        render.use_file_extension = True
        render.use_overwrite = True
        render.use_placeholder = False
        self._braces = _templates(render)
        basename = _last_part(render.filepath)
        # The node tree may be shared with nothing else: this is a file of our own in memory.
        self.nodes = dict(_redirect(scene, self.staging / COMPOSITOR, self._escape))
        render.filepath = self._escape(str(self.staging / FRAMES)) + os.sep + basename
        self._pattern = render.filepath
        shutil.rmtree(self.staging, ignore_errors=True)
        for name in (FRAMES, COMPOSITOR):
            (self.staging / name).mkdir(parents=True)
            (folder / name).mkdir(parents=True, exist_ok=True)

    def _escape(self, path: str) -> str:
        return path.replace("{", "{{").replace("}", "}}") if self._braces else path

    def views(self) -> list[str]:
        """The views that get a file each; none for an ordinary picture."""
        render = self._scene.render
        if not render.use_multiview or render.image_settings.views_format != "INDIVIDUAL":
            return []
        stereo = render.views_format == "STEREO_3D"
        return [
            view.name
            for view in render.views
            if view.use and (not stereo or view.name in ("left", "right"))
        ]

    def expected(self, frame: int) -> dict[str, Path]:
        """{view: final path} of a frame; the view is "" where there is only one.

        Raises ProblemError(INPUT) when the scene's output path cannot be read.
        """
        render = self._scene.render
        render.filepath = self._pattern
        try:
            found = {
                view: Path(render.frame_path(frame=frame, view=view)).name
                for view in self.views() or [""]
            }
        except (RuntimeError, ValueError) as error:
            raise ProblemError(
                Category.INPUT,
                "The scene's output path cannot be used.",
                "Look at Output Properties, Output; a word in braces has to be one that Blender "
                "knows.",
                str(error).strip()[-300:],
            ) from None
        return {view: self.folder / FRAMES / name for view, name in found.items()}

    def present(self, frame: int) -> bool:
        """Whether all files of a frame are at their places."""
        return all(path.is_file() for path in self.expected(frame).values())

    def aim(self, frame: int, *, still: bool) -> None:
        """Point the scene's output at the staging folder; Blender adds views and ending, and the
        frame's number where it is not a ``still``.
        """
        render = self._scene.render
        render.filepath = self._pattern
        if not still:
            return
        name = Path(render.frame_path(frame=frame)).name
        stem = name.removesuffix(render.file_extension)
        render.filepath = self._escape(str(self.staging / FRAMES / stem))

    def settle(self, frame: int) -> list[Path]:
        """Move what the frame left in staging to its place, the frame's own files last.

        Returns all of them. Raises ProblemError(BLENDER) when a file of the frame is missing.
        """
        expected = self.expected(frame)
        missing = [
            path.name
            for path in expected.values()
            if not _written(self.staging / FRAMES / path.name)
        ]
        if missing:
            raise ProblemError(
                Category.BLENDER,
                f"Frame {frame} was rendered, but its file is not there.",
                "Is the disk full?",
                f"missing {', '.join(missing)}",
            )
        moved = []
        own = {path.name for path in expected.values()}
        written = sorted(_files(self.staging), key=lambda path: path.name in own)
        for path in written:
            place = self.folder / path.relative_to(self.staging)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place)
            moved.append(place)
        return moved

    def close(self) -> None:
        """Remove the staging folder."""
        shutil.rmtree(self.staging, ignore_errors=True)

    def told(self, frame: int) -> list[dict[str, Any]]:
        """The frame's files for the result."""
        return [
            {"path": self.relative(path), "view": view, "bytes": path.stat().st_size}
            for view, path in self.expected(frame).items()
            if path.is_file()
        ]

    def compositor(self) -> list[dict[str, Any]]:
        """Everything that the compositor's File Output nodes wrote, now or before."""
        found = []
        suffixes = {
            view.file_suffix: view.name
            for view in self._scene.render.views
            if view.name in self.views()
        }
        for path in sorted(_files(self.folder / COMPOSITOR)):
            node = path.relative_to(self.folder / COMPOSITOR).parts[0]
            views = [name for suffix, name in suffixes.items() if path.stem.endswith(suffix)]
            found.append(
                {
                    "path": self.relative(path),
                    "node": self.nodes.get(node, node),
                    "view": views[0] if views else "",
                    "bytes": path.stat().st_size,
                }
            )
        return found

    def relative(self, path: Path) -> str:
        """Relative to the output folder, with slashes."""
        return path.relative_to(self.folder).as_posix()


def _written(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.stat().st_size > 0
    return False


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path


# -- the compositor's own files ------------------------------------------------------------------


def compositor_tree(scene: Any) -> Any:
    """The node tree that the render runs through, or None."""
    if not scene.render.use_compositing:
        return None
    # From 5.0 on the tree is a data-block, and use_nodes is always on.
    if not hasattr(scene, "compositing_node_group") and not scene.use_nodes:
        return None
    return versions.compositor(scene)


def file_outputs(tree: Any, prefix: str = "", seen: tuple[Any, ...] = ()) -> Iterator[Any]:
    """(name, node) of every File Output node that is not muted, those in groups included."""
    if tree is None or tree in seen:
        return
    for node in tree.nodes:
        if node.mute:
            continue
        if node.bl_idname == "CompositorNodeOutputFile":
            yield prefix + node.name, node
        elif getattr(node, "node_tree", None) is not None:
            yield from file_outputs(node.node_tree, f"{prefix}{node.name} ", (*seen, tree))


def _redirect(scene: Any, folder: Path, escape: Any) -> Iterator[tuple[str, str]]:
    """Send each node's files into a folder of its own; yields (folder's name, node's name)."""
    taken: set[str] = set()
    for name, node in file_outputs(compositor_tree(scene)):
        part = safe(name, "output")
        while part.casefold() in taken:
            part += "_"
        taken.add(part.casefold())
        place = escape(str(folder / part))
        if hasattr(node, "directory"):
            node.directory = place
            node.file_name = _last_part(node.file_name)
            for item in node.file_output_items:
                item.name = _inside(item.name)
        elif node.format.file_format == "OPEN_EXR_MULTILAYER":
            node.base_path = place + os.sep + _last_part(node.base_path)
        else:
            node.base_path = place
            for slot in node.file_slots:
                slot.path = _inside(slot.path)
        yield part, name


def _inside(path: str) -> str:
    """A slot's name may hold folders; it may not leave ours."""
    parts = [part for part in re.split(r"[/\\]", path) if part not in ("", ".", "..")]
    return "/".join(_ODD.sub("_", part) for part in parts)
