# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain client of the sandbox's Glossi and an ear for its events: no code is shared with the
sandbox or the bridge.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import requests

from bridge.sandbox import Sandbox
from bridge.sandbox.canned import tiny_glb
from bridge.sandbox.glossi_hook import EVENTS

GLB = "model/gltf-binary"
BROKEN = b"this is no model"
STILLS = {"renderBookmarks": True, "renderShots": False, "renderVariants": False}


class Gloss:
    """Calls the API with ``requests``; moves bytes without a key."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.url = box.glossi.base_url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["X-API-Key"] = box.glossi.api_key
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

    def made(self, path: str, body: Any = None) -> dict[str, Any]:
        """The answer of a POST that works."""
        answer = self.post(path, body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def put(self, url: str, data: Any = None, **headers: str) -> requests.Response:
        """Send bytes to a signed URL."""
        given = {"Content-Type": GLB, **headers}
        content = tiny_glb() if data is None else data
        return self.storage.put(url, data=content, headers=given, timeout=120)

    def fetch(self, url: str, **headers: str) -> requests.Response:
        """Get a URL without a key."""
        return self.storage.get(url, headers=headers, timeout=60)

    def file(self, key: str, **headers: str) -> requests.Response:
        """Get the file of a bare key."""
        return self.fetch(self.box.glossi.files_url + key, **headers)

    def template(self, name: str = "Studio Light") -> str:
        """A template's id."""
        rows = self.get("/templates").json()["templates"]
        return next(str(row["templateId"]) for row in rows if row["name"] == name)

    # -- the Jobs workflow -----------------------------------------------------------------------

    def job_body(self, *names: str, **more: Any) -> dict[str, Any]:
        """A body of POST /jobs."""
        models = [{"fileName": name, "fileType": "glb"} for name in names or ("chair.glb",)]
        return {"models": models, "templateId": self.template(), **more}

    def job(self, identifier: str) -> dict[str, Any]:
        """A workflow job."""
        answer = self.get(f"/jobs/{identifier}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def started(self, files: dict[str, bytes | None] | None = None, **more: Any) -> str:
        """A workflow job that was confirmed; ``files`` are names and contents."""
        files = files or {"chair.glb": None}
        made = self.made("/jobs", self.job_body(*files, **more))
        for model in made["models"]:
            assert self.put(model["uploadUrl"], files[model["fileName"]]).status_code == 200
        self.made(f"/jobs/{made['jobId']}/confirm-uploads")
        return str(made["jobId"])

    def until(self, identifier: str, *states: str, patience: float = 120) -> dict[str, Any]:
        """Poll until a workflow job is in one of ``states`` (default: at an end)."""
        end = time.monotonic() + patience
        while (job := self.job(identifier))["status"] not in (states or ("COMPLETE", "FAILED")):
            assert time.monotonic() < end, f"still {job['status']}"
            time.sleep(0.02)
        return job

    # -- step by step ----------------------------------------------------------------------------

    def model(self, data: bytes | None = None, name: str = "Chair") -> str:
        """A model that was uploaded and confirmed."""
        body = {"models": [{"name": name, "fileName": "chair.glb", "fileType": "glb"}]}
        made = self.made("/models", body)["models"][0]
        assert self.put(made["uploadUrl"], data).status_code == 200
        self.made(f"/models/{made['modelId']}/confirm", {"fileType": "glb"})
        return str(made["modelId"])

    def status(self, *models: str) -> dict[str, Any]:
        """The status of models."""
        return self.made("/models/status", {"modelIds": list(models)})

    def settled(self, model: str, patience: float = 120) -> dict[str, Any]:
        """The row of a model that was processed."""
        end = time.monotonic() + patience
        while (row := self.status(model)["models"][0])["status"] in ("PENDING", "ANALYZING"):
            assert time.monotonic() < end, f"still {row['status']}"
            time.sleep(0.02)
        return dict(row)

    def ready(self, data: bytes | None = None, name: str = "Chair") -> str:
        """A model that is ready."""
        model = self.model(data, name)
        assert self.settled(model)["ready"] is True
        return model

    def project(self, *models: str, template: str = "Studio Light", **more: Any) -> str:
        """A project; of a new model if none is given."""
        ids = list(models) or [self.ready()]
        body = {"modelIds": ids, "templateId": self.template(template), **more}
        return str(self.made("/projects", body)["projects"][0]["projectId"])

    def rendering(self, project: str = "", **settings: Any) -> str:
        """A render job of a project."""
        body = {"projectIds": [project or self.project()], "settings": {**STILLS, **settings}}
        return str(self.made("/renders", body)["jobs"][0]["jobId"])

    def render(self, identifier: str) -> dict[str, Any]:
        """A render job."""
        answer = self.get(f"/renders/{identifier}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def rendered(self, identifier: str, *states: str, patience: float = 240) -> dict[str, Any]:
        """Poll until a render job is in one of ``states`` (default: at an end)."""
        end = time.monotonic() + patience
        while (job := self.render(identifier))["status"] not in (states or ("COMPLETED", "FAILED")):
            assert time.monotonic() < end, f"still {job['status']}"
            time.sleep(0.02)
        return job


class Ear:
    """A web server that hears events; answers with the next of ``answers``, then 204."""

    def __init__(self, *answers: int) -> None:
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        self.left = list(answers)
        ear = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                given = {key.lower(): item for key, item in self.headers.items()}
                ear.heard.append((self.path, given, body))
                self.send_response(ear.left.pop(0) if ear.left else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?to=me"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def events(self) -> list[str]:
        """The names of the events that came."""
        return [json.loads(body)["event"] for _, _, body in self.heard]

    def of(self, name: str) -> list[dict[str, Any]]:
        """The data of the events of that name."""
        found = [json.loads(body) for _, _, body in self.heard]
        return [item["data"] for item in found if item["event"] == name]

    def close(self) -> None:
        """Hear no more."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def listen(gloss: Gloss, ear: Ear, **more: Any) -> str:
    """Have all events sent to ``ear``; the secret."""
    body = {"url": ear.url, "events": list(EVENTS), "enabled": True, **more}
    answer = gloss.call("PUT", "/webhooks", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["secret"])
