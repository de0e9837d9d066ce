# SPDX-License-Identifier: GPL-3.0-or-later
"""A sandbox for each test, and a plain client that shares no code with it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.problems import ProblemError
from bridge.sandbox import Sandbox, glossi_hook
from bridge.sandbox.canned import CannedConverter, tiny_glb
from bridge.sandbox.glossi_canned import CannedStudio
from bridge.sandbox.renderjuice_canned import CannedRenderer

from .gloss import Ear, Gloss
from .juice import Juice

MakeBox = Callable[..., Sandbox]
END = ("completed", "failed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests marked ``blender``, with the reason, where no Blender with USD is."""
    marked = [item for item in items if item.get_closest_marker("blender")]
    reason = _no_blender() if marked else ""
    for item in marked if reason else []:
        item.add_marker(pytest.mark.skip(reason=reason))


def _no_blender() -> str:
    from bridge.blender import find_blender

    try:
        find_blender(need_usd=True)
    except ProblemError as error:
        return f"{error.problem.sentence} ({error.problem.technical[:200]})"
    return ""


class Api:
    """Calls the vendor API of a sandbox with ``requests``, as an independent client would."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.url = box.rigyd.base_url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {box.rigyd.api_key}"

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """One request below the base URL."""
        return self.session.request(method, self.url + path, timeout=30, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        """GET below the base URL."""
        return self.call("GET", path, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        """POST below the base URL."""
        return self.call("POST", path, **more)

    def submit(
        self, name: str = "chair.glb", data: bytes | None = None, **fields: str
    ) -> requests.Response:
        """Submit a model."""
        content = tiny_glb() if data is None else data
        return self.post("/conversions", files={"file": (name, content)}, data=fields)

    def accepted(self, name: str = "chair.glb", data: bytes | None = None, **fields: str) -> str:
        """Submit a model that is accepted; its id."""
        answer = self.submit(name, data, **fields)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["data"]["id"])

    def job(self, identifier: str) -> dict[str, Any]:
        """A job's data."""
        answer = self.get(f"/conversions/{identifier}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    def until(self, identifier: str, *states: str, patience: float = 120) -> dict[str, Any]:
        """Poll until the job is in one of ``states`` (default: at its end)."""
        end = time.monotonic() + patience
        while (job := self.job(identifier))["status"] not in (states or END):
            assert time.monotonic() < end, f"still {job['status']}, {job['stage']}"
            time.sleep(0.02)
        return job

    def credits(self) -> int:
        """The balance that the account call tells."""
        return int(self.get("/me").json()["data"]["subscription"]["credits_remaining"])


@pytest.fixture
def make_box(tmp_path: Path) -> Iterator[MakeBox]:
    """Starts sandboxes (with the canned converter, on one folder, unless told) and stops them."""
    boxes: list[Sandbox] = []

    def make(folder: Path | None = None, **options: Any) -> Sandbox:
        options.setdefault("converter", CannedConverter())
        options.setdefault("renderer", CannedRenderer())
        options.setdefault("studio", CannedStudio())
        box = Sandbox(folder or tmp_path / "sandbox", **options).start()
        boxes.append(box)
        return box

    yield make
    for box in boxes:
        box.stop()


@pytest.fixture
def box(make_box: MakeBox) -> Sandbox:
    """A sandbox with the canned converter."""
    return make_box()


@pytest.fixture
def api(box: Sandbox) -> Iterator[Api]:
    """A client of ``box``."""
    client = Api(box)
    yield client
    client.session.close()


@pytest.fixture
def client_of() -> Iterator[Callable[[Sandbox], Api]]:
    """Makes clients of other sandboxes."""
    clients: list[Api] = []

    def make(box: Sandbox) -> Api:
        clients.append(Api(box))
        return clients[-1]

    yield make
    for client in clients:
        client.session.close()


@pytest.fixture
def juice_of() -> Iterator[Callable[[Sandbox], Juice]]:
    """Makes clients of sandboxes' Renderjuice."""
    clients: list[Juice] = []

    def make(box: Sandbox) -> Juice:
        clients.append(Juice(box))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def juice(box: Sandbox, juice_of: Callable[[Sandbox], Juice]) -> Juice:
    """A client of ``box``'s Renderjuice."""
    return juice_of(box)


@pytest.fixture
def gloss_of() -> Iterator[Callable[[Sandbox], Gloss]]:
    """Makes clients of sandboxes' Glossi."""
    clients: list[Gloss] = []

    def make(box: Sandbox) -> Gloss:
        clients.append(Gloss(box))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def gloss(box: Sandbox, gloss_of: Callable[[Sandbox], Gloss]) -> Gloss:
    """A client of ``box``'s Glossi."""
    return gloss_of(box)


@pytest.fixture
def event_ear(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    """A web server that hears Glossi's events, which are tried again soon."""
    monkeypatch.setattr(glossi_hook, "PAUSES", (0.05, 0.1, 0.2))
    made = Ear()
    yield made
    made.close()


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The environment for a child process of a test."""
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}
