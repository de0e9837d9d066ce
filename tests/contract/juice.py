# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain client of the sandbox's Renderjuice, which shares no code with it or with the bridge."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import requests

from bridge.sandbox import Sandbox
from bridge.sandbox.renderjuice_canned import TINY_BLEND

END = ("completed", "failed", "canceled")
DEFAULT = {"colorManagementPreset": "default"}


class Juice:
    """Calls the API with ``requests``; moves bytes without a key."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.url = box.renderjuice.base_url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {box.renderjuice.api_key}"
        self.storage = requests.Session()
        self.storage.trust_env = False

    def close(self) -> None:
        """Let the connections go."""
        self.session.close()
        self.storage.close()

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """One request below the base URL."""
        return self.session.request(method, self.url + path, timeout=60, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        """GET below the base URL."""
        return self.call("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> requests.Response:
        """POST below the base URL, with a JSON body if there is one."""
        return self.call("POST", path, **({} if body is None else {"json": body}), **more)

    def target(self, name: str = "scene.blend", kind: str = "blend") -> dict[str, Any]:
        """A place for an upload."""
        answer = self.post("/uploads", {"fileName": name, "fileType": kind})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def put(self, url: str, data: Any = TINY_BLEND, **headers: str) -> requests.Response:
        """Send bytes to a signed URL."""
        return self.storage.put(url, data=data, headers=headers, timeout=120)

    def fetch(self, url: str, **headers: str) -> requests.Response:
        """Get a signed URL."""
        return self.storage.get(url, headers=headers, timeout=60)

    def uploaded(self, data: Any = TINY_BLEND, name: str = "scene.blend") -> str:
        """Upload a file; its slug."""
        target = self.target(name, name.rpartition(".")[2])
        answer = self.put(target["uploadUrl"], data)
        assert answer.status_code == 200, answer.text
        return str(target["slug"])

    def created(self, data: Any = TINY_BLEND, name: str = "scene.blend") -> str:
        """A new job's id."""
        answer = self.post("/jobs", {"slug": self.uploaded(data, name)})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def validated(self, data: Any = TINY_BLEND, name: str = "scene.blend") -> str:
        """A job that was validated."""
        identifier = self.created(data, name)
        assert self.post(f"/jobs/{identifier}/validate").status_code == 200
        job = self.until(identifier, "validated", *END)
        assert job["status"] == "validated", job.get("failedReason")
        return identifier

    def render(self, identifier: str, **config: Any) -> requests.Response:
        """Ask for a render."""
        body = {"requestedRenderConfig": {**DEFAULT, **config}}
        return self.post(f"/jobs/{identifier}/render", body)

    def rendering(self, data: Any = TINY_BLEND, name: str = "scene.blend", **config: Any) -> str:
        """A job whose render was asked for."""
        identifier = self.validated(data, name)
        answer = self.render(identifier, **config)
        assert answer.status_code == 200, answer.text
        return identifier

    def completed(self, data: Any = TINY_BLEND, name: str = "scene.blend", **config: Any) -> str:
        """A job that has completed."""
        identifier = self.rendering(data, name, **config)
        job = self.until(identifier)
        assert job["status"] == "completed", job.get("failedReason")
        return identifier

    def job(self, identifier: str) -> dict[str, Any]:
        """One job."""
        answer = self.get(f"/jobs/{identifier}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    def until(self, identifier: str, *states: str, patience: float = 120) -> dict[str, Any]:
        """Poll until the job is in one of ``states`` (default: at an end)."""
        end = time.monotonic() + patience
        while (job := self.job(identifier))["status"] not in (states or END):
            assert time.monotonic() < end, f"still {job['status']}"
            time.sleep(0.02)
        return job

    def downloads(self, identifier: str) -> dict[str, Any]:
        """What a job offers."""
        answer = self.get(f"/jobs/{identifier}/downloads")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def names(outputs: Iterable[dict[str, Any]]) -> list[str]:
    """The file names of Outputs."""
    return [str(item["fileName"]) for item in outputs]
