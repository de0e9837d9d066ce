# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the panel share: a session of their own, jobs to show, and a strict layout.

Without a window Blender hands out no layout. ``Layout`` stands in for it and is stricter than the
real one: each call, argument, icon, property and operator is looked up in Blender's own description
of its API, so that what passes here also draws there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy

from tests.support.extension import Extension


@dataclass
class Courier:
    """The installed extension with a data folder of this test's own."""

    extension: Extension
    home: Path

    def part(self, name: str) -> Any:
        """A module of the extension: ``part("addon.pump")``."""
        return self.extension.module(name)

    @property
    def now(self) -> Any:
        """The add-on's session."""
        return self.part("addon.session").current()

    def tick(self, times: int = 1) -> float:
        """Turn the pump by hand: without a window no timer fires."""
        pause = 0.0
        for _time in range(times):
            pause = self.part("addon.pump").tick()
        return pause

    def look(self) -> None:
        """Behave as if the panel had just been drawn, and let the pump see it."""
        self.now.drawn()
        self.tick()

    def store(self) -> Any:
        """Another process's connection to the store; what a click still writes is waited for."""
        for name, thread in list(self.now._chores.items()):
            if name.startswith("write "):
                thread.join(20)
        return self.part("bridge.store").Store.open(self.home)

    def rows(self) -> list[str]:
        """The job ids of the list in the window manager, from the top."""
        return [row.job_id for row in bpy.context.window_manager.scene_courier.jobs]

    def job(self, name: str = "Chair", state: str = "queued", **more: Any) -> Any:
        """A job, not yet in the store."""
        jobs = self.part("bridge.jobs")
        more.setdefault("account", "sandbox")
        service = more.pop("service", "rigyd")
        return jobs.Job(service, name, state=jobs.State(state), source="blender", **more)

    def settle(self) -> None:
        """Wait for the session's chores."""
        for thread in list(self.now._chores.values()):
            thread.join(10)
            assert not thread.is_alive()


@contextlib.contextmanager
def newly_registered(extension: Extension, home: Path) -> Iterator[Courier]:
    """The extension with a session of its own, for the data folder ``home``.

    Does what enabling does, without Blender's own work on all extensions around it (seconds).
    """
    addon = extension.module("addon")
    addon.unregister()
    addon.register()
    made = Courier(extension, home)
    yield made
    made.settle()
    addon.unregister()
    addon.register()


def cube(name: str = "Chair", location: tuple[float, float, float] = (2.0, 1.0, 3.0)) -> Any:
    """A selected cube, two units wide, its middle at ``location``."""
    mesh = bpy.data.meshes.new(name)
    corners = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh.from_pydata(corners, [], sides)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.collection.objects.link(item)
    item.location = location
    item.select_set(True)
    bpy.context.view_layer.objects.active = item
    bpy.context.view_layer.update()
    return item


# -- a layout that knows Blender's own --------------------------------------------------------


_FUNCTIONS = bpy.types.UILayout.bl_rna.functions
_ICONS = set(_FUNCTIONS["label"].parameters["icon"].enum_items.keys())


@dataclass
class Drawn:
    """What was drawn: all texts, and the operators as (name, text, enabled, properties)."""

    texts: list[str]
    buttons: list[tuple[str, str, bool, dict[str, Any]]]
    properties: list[str]
    progress: list[tuple[float, str]]
    pictures: list[int] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All texts in one line, as broken labels belong together."""
        return " ".join(self.texts)

    def button(self, name: str, text: str = "") -> tuple[str, str, bool, dict[str, Any]]:
        """The one button with this operator (and a text that begins so)."""
        found = [b for b in self.buttons if b[0] == name and b[1].startswith(text)]
        assert len(found) == 1, (name, text, self.buttons)
        return found[0]

    def has(self, name: str, text: str = "") -> bool:
        """Whether such a button was drawn."""
        return any(b[0] == name and b[1].startswith(text) for b in self.buttons)


class _Properties:
    """The properties of an operator button; only those that the operator has can be set."""

    def __init__(self, rna: Any, values: dict[str, Any]) -> None:
        object.__setattr__(self, "_rna", rna)
        object.__setattr__(self, "_values", values)

    def __setattr__(self, name: str, value: Any) -> None:
        prop = self._rna.properties[name]
        if prop.type == "ENUM":
            assert value in set(prop.enum_items.keys()), (name, value)
        elif prop.type == "STRING":
            assert isinstance(value, str), (name, value)
        else:
            float(value)
        self._values[name] = value


class Layout:
    """A layout that records; unknown calls, arguments, icons and properties are errors."""

    def __init__(self, drawn: Drawn | None = None, above: Layout | None = None) -> None:
        self.drawn = drawn or Drawn([], [], [], [])
        self._above = above
        self.enabled = True

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name != "drawn":
            prop = bpy.types.UILayout.bl_rna.properties[name]
            if prop.type == "ENUM":
                assert value in set(prop.enum_items.keys()), (name, value)
        object.__setattr__(self, name, value)

    def _is_enabled(self) -> bool:
        return self.enabled and (self._above is None or self._above._is_enabled())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        function = _FUNCTIONS[name]
        parameters = [p.identifier for p in function.parameters if not p.is_output]

        def call(*args: Any, **given: Any) -> Any:
            given = {**dict(zip(parameters, args, strict=False)), **given}
            unknown = set(given) - set(parameters)
            assert not unknown, f"UILayout.{name} has no {unknown}"
            assert given.get("icon", "NONE") in _ICONS, given["icon"]
            assert isinstance(given.get("text", ""), str)
            return self._record(name, given)

        return call

    def _record(self, name: str, given: dict[str, Any]) -> Any:
        drawn, text = self.drawn, given.get("text", "")
        if text and name != "operator":
            drawn.texts.append(text)
        if name == "operator":
            rna = operator_type(given["operator"])
            values: dict[str, Any] = {}
            label = text or rna.name
            drawn.buttons.append((given["operator"], label, self._is_enabled(), values))
            return _Properties(rna, values)
        if name == "operator_menu_enum":
            rna = operator_type(given["operator"])
            assert given["property"] in rna.properties, given
            values = {"menu": given["property"]}
            drawn.buttons.append((given["operator"], text or rna.name, self._is_enabled(), values))
            return _Properties(rna, values)
        if name == "prop_search":
            assert given["search_property"] in given["search_data"].bl_rna.properties, given
        if name in ("prop", "prop_search"):
            data, prop = given["data"], given["property"]
            assert prop in data.bl_rna.properties, (data, prop)
            drawn.properties.append(prop)
            return None
        if name == "progress":
            assert 0.0 <= given["factor"] <= 1.0
            drawn.progress.append((given["factor"], text))
            return None
        if name == "template_list":
            assert hasattr(bpy.types, given["listtype_name"])
            assert given["propname"] in given["dataptr"].bl_rna.properties
            assert given["active_propname"] in given["active_dataptr"].bl_rna.properties
            return None
        if name == "template_icon":
            drawn.pictures.append(given["icon_value"])
            return None
        if name in ("label", "separator"):
            return None
        if name == "panel":
            # Folds are drawn open, so that everything in them is checked.
            return Layout(drawn, self), Layout(drawn, self)
        assert name in ("row", "column", "box", "split", "grid_flow"), name
        return Layout(drawn, self)


def operator_type(name: str) -> Any:
    """Blender's description of an operator ("scene_courier.send"), with its properties."""
    group, _dot, rest = name.partition(".")
    return getattr(getattr(bpy.ops, group), rest).get_rna_type()


def draw(panel: str) -> Drawn:
    """Draw one of our panels (its class name) as Blender would for the first window."""
    cls = getattr(bpy.types, panel)
    layout = Layout()
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window):
        if getattr(cls, "poll", None) is None or cls.poll(bpy.context):
            cls.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout.drawn
