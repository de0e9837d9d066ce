# SPDX-License-Identifier: GPL-3.0-or-later
"""The Glossi client over real sockets: the bodies of both guides, every shape, every refusal."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.faults import HttpError
from bridge.outcomes import Lost, Refused, Unsent
from bridge.problems import Canceled, Category, Problem, ProblemError
from bridge.redact import redact
from bridge.services.glossi import GLOSSI
from bridge.services.glossi.client import GlossiClient, UploadExpired, connection
from bridge.services.glossi.explain import error_text, not_ready
from bridge.settings import Settings
from tests.tools.faultserver import Exchange, FaultServer

KEY = "glsi_" + "k" * 20
FAST = Settings(
    connect_seconds=5, read_seconds=5, answer_seconds=5, retries=2, retry_cap_seconds=0.02
)
SETTINGS = {
    "renderBookmarks": True,
    "renderShots": False,
    "renderVariants": False,
    "imageQuality": 1,
    "videoQuality": 1,
    "videoResolution": 1,
}
Script = Callable[[Exchange], None]


def client(server: FaultServer, settings: Settings = FAST) -> GlossiClient:
    return GlossiClient(connection(server.url, KEY, settings=settings))


def answering(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.read_body()
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        exchange.reply(status, raw, headers)

    return script


def told(exchange: Exchange) -> Any:
    return json.loads(exchange.body)


# --- the calls of the guides ---------------------------------------------------------------------


def test_the_service_entry_names_the_client() -> None:
    with GLOSSI.http("http://127.0.0.1:9", KEY) as http:
        assert isinstance(GLOSSI.client(http), GlossiClient)


@pytest.mark.parametrize("name", ["render_base_url", "webhook_url"])
def test_addresses_are_looked_at_before_anything_is_sent(name: str) -> None:
    for good in ("https://files.example/x", "http://127.0.0.1:8000/glossi/files/"):
        assert GLOSSI.checked({name: good})[name] == good
    for bad in ("files.example", "http://files.example", "ftp://x/y", "https://", "https://[",
                "https://user:word@files.example"):  # fmt: skip
        with pytest.raises(ProblemError, match="does not fit the option"):
            GLOSSI.checked({name: bad})


def test_an_address_with_a_signature_is_not_kept() -> None:
    """An option lies in the store and in the .blend."""
    with pytest.raises(ProblemError, match="without a") as caught:
        GLOSSI.checked({"render_base_url": "https://files.example/x?sv=1&sig=abcdefgh"})
    assert "abcdefgh" not in f"{caught.value.problem}"


def test_the_jobs_workflow_as_the_guide_has_it() -> None:
    models = [
        {"fileName": "chair.glb", "fileType": "glb"},
        {"fileName": "table.glb", "fileType": "glb"},
    ]
    answers: dict[str, Any] = {
        "POST /jobs": {
            "jobId": "job-uuid",
            "status": "AWAITING_UPLOADS",
            "models": [
                {"id": f"m{n}", "fileName": models[n]["fileName"], "uploadUrl": f"https://s3/{n}?x",
                 "uploadKey": "workspaces/model.glb"}
                for n in range(2)
            ],
        },
        "POST /jobs/job-uuid/confirm-uploads": {
            "jobId": "job-uuid", "status": "PROCESSING", "modelsConfirmed": 2,
        },
        "GET /jobs/job-uuid": {
            "jobId": "job-uuid", "status": "COMPLETE", "progress": {"modelsReady": 2},
            "batchProject": {"id": "b", "title": "API Job"}, "results": [{"model": {"id": "m0"}}],
        },
    }  # fmt: skip

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.reply(200, json.dumps(answers[f"{exchange.method} {exchange.target}"]).encode())

    with FaultServer(script) as server:
        api = client(server)
        made = api.create_job(models, "your-template-uuid")
        assert made["jobId"] == "job-uuid" and made["status"] == "AWAITING_UPLOADS"
        assert [(row["id"], row["fileName"]) for row in made["models"]] == [
            ("m0", "chair.glb"),
            ("m1", "table.glb"),
        ]
        assert api.confirm_uploads("job-uuid")["modelsConfirmed"] == 2
        assert api.job("job-uuid") == answers["GET /jobs/job-uuid"]
        # With rendering, and a webhook, as the options' table has them.
        api.create_job(
            models[:1],
            "your-template-uuid",
            create_projects=None,
            render_settings={"renderBookmarks": True, "imageQuality": 1},
            webhook_url="https://your-app.com/webhooks/glossi",
        )
    create, confirm, look, rendering = server.seen
    assert all(e.headers["x-api-key"] == KEY for e in server.seen)
    assert all("authorization" not in e.headers for e in server.seen)
    assert create.headers["content-type"] == "application/json"
    assert told(create) == {
        "models": models,
        "templateId": "your-template-uuid",
        "createProjects": True,
    }
    assert confirm.length == 0 and "content-type" not in confirm.headers and not confirm.body
    assert look.method == "GET" and look.length == 0
    assert told(rendering) == {
        "models": models[:1],
        "templateId": "your-template-uuid",
        "renderSettings": {"renderBookmarks": True, "imageQuality": 1},
        "webhookUrl": "https://your-app.com/webhooks/glossi",
    }


def test_the_complete_workflow_as_the_guide_has_it() -> None:
    rows = {
        "POST /models": {"models": [{"modelId": "a", "name": "My Product",
                                     "uploadUrl": "https://s3/a?x", "uploadKey": "k"}]},
        "POST /models/a/confirm": {"modelId": "a", "name": "My Product", "status": "PENDING",
                                   "filePath": "workspaces/model.glb"},
        "POST /models/status": {"models": [{"modelId": "a", "name": "My Product",
                                            "status": "READY", "ready": True}],
                                "allReady": True, "notFound": []},
        "GET /templates": {"templates": [{"templateId": "t", "name": "Studio Light",
                                          "description": "Clean"}]},
        "GET /templates?internal=false": {"templates": []},
        "GET /templates?public=false": {"templates": [{"templateId": "t", "name": "S"}]},
        "POST /projects": {"projects": [{"projectId": "p", "name": "Product Photoshoot",
                                         "status": "PENDING", "modelIds": ["a"],
                                         "templateId": "t"}]},
        "POST /renders": {"jobs": [{"jobId": "r", "status": "QUEUED", "projectId": "p"}],
                          "totalProjects": 1},
        "GET /renders/r": {"jobId": "r", "status": "FAILED", "projectId": "p",
                           "errorMessage": "out of light"},
        "POST /renders/r/retry": {"jobId": "r", "status": "QUEUED", "projectId": "p",
                                  "batchId": "b2"},
    }  # fmt: skip

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.reply(200, json.dumps(rows[f"{exchange.method} {exchange.target}"]).encode())

    with FaultServer(script) as server:
        api = client(server)
        (model,) = api.create_models(
            [{"name": "My Product", "fileName": "product.glb", "fileType": "glb"}]
        )
        assert model["modelId"] == "a" and model["uploadUrl"] == "https://s3/a?x"
        assert api.confirm_model("a", "glb")["status"] == "PENDING"
        assert api.models_status(["a"]) == rows["POST /models/status"]
        assert api.templates() == rows["GET /templates"]["templates"]
        assert api.templates(internal=False) == []
        assert api.templates(public=False)[0]["description"] == ""
        assert api.templates_by_scope() == [
            {"id": "t", "name": "Studio Light", "description": "Clean", "scope": "workspace"}
        ]
        api.create_projects(["a"], "t", name="Product Photoshoot")
        (project,) = api.create_projects(["a", "b", "c"], "t", create_per_model=True)
        assert project["projectId"] == "p" and project["modelIds"] == ["a"]
        assert api.create_renders(["p"], SETTINGS) == rows["POST /renders"]["jobs"]
        render = api.render("r")
        assert (render["status"], error_text(render)) == ("FAILED", "out of light")
        assert api.retry_render("r")["batchId"] == "b2"
        assert api.pricing() == {} and api.me() == {"available": False}
    by_target = {f"{e.method} {e.target}": e for e in server.seen}
    assert told(by_target["POST /models"]) == {
        "models": [{"name": "My Product", "fileName": "product.glb", "fileType": "glb"}]
    }
    assert told(by_target["POST /models/a/confirm"]) == {"fileType": "glb"}
    assert told(by_target["POST /models/status"]) == {"modelIds": ["a"]}
    first, second = (told(e) for e in server.seen if e.target == "/projects")
    assert first == {"name": "Product Photoshoot", "modelIds": ["a"], "templateId": "t"}
    assert second == {"modelIds": ["a", "b", "c"], "templateId": "t", "createPerModel": True}
    assert told(by_target["POST /renders"]) == {"projectIds": ["p"], "settings": SETTINGS}
    assert not by_target["POST /renders/r/retry"].body
    assert all(e.headers["x-api-key"] == KEY for e in server.seen)
    for path in ("/models", "/projects", "/renders"):
        assert by_target[f"POST {path}"].headers["content-type"] == "application/json"


def test_the_webhook_setting() -> None:
    setting = {"id": "w", "url": "https://your-app.com/w", "secret": "s3cr3t-of-glossi",
               "events": ["job.complete"], "enabled": False, "new": 1}  # fmt: skip

    def script(exchange: Exchange) -> None:
        exchange.read_body()
        body = b"" if exchange.method == "DELETE" else json.dumps(setting).encode()
        exchange.reply(200, body)

    with FaultServer(script) as server:
        api = client(server)
        present = api.webhook()
        assert present is not None and "secret" not in present
        assert (present["enabled"], present["new"]) == (False, 1)
        made = api.set_webhook("https://your-app.com/w", ["job.complete"], enabled=False)
        assert made["secret"] == setting["secret"] and setting["secret"] not in redact(made)
        api.set_webhook("https://x", ["job.failed"], description="for n8n")
        api.delete_webhook()
    assert [(e.method, e.target) for e in server.seen] == [
        ("GET", "/webhooks"),
        ("PUT", "/webhooks"),
        ("PUT", "/webhooks"),
        ("DELETE", "/webhooks"),
    ]
    assert told(server.seen[1]) == {
        "url": "https://your-app.com/w",
        "events": ["job.complete"],
        "enabled": False,
    }
    assert told(server.seen[2]) == {
        "url": "https://x",
        "events": ["job.failed"],
        "enabled": True,
        "description": "for n8n",
    }


@pytest.mark.parametrize(("status", "body"), [(404, {"error": "none"}), (200, None), (200, {})])
def test_no_webhook(status: int, body: Any) -> None:
    with FaultServer(answering(body, status)) as server:
        assert client(server).webhook() is None
        client(server).delete_webhook()
    with FaultServer(answering(b"", 204)) as server:
        assert client(server).webhook() is None


# --- shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"data": value}])
def test_any_good_status_and_an_envelope(status: int, wrap: Callable[[Any], Any]) -> None:
    job = {"jobId": 7, "status": "processing", "progress": None, "surprise": [1]}
    with FaultServer(answering(wrap(job), status)) as server:
        assert client(server).job("7") == job | {"jobId": "7", "status": "PROCESSING"}
    upload = {"id": 3, "uploadUrl": "https://s3/x"}
    with FaultServer(answering(wrap({"jobId": 7, "models": [upload]}), status)) as server:
        made = client(server).create_job([{"fileName": "a.glb", "fileType": "glb"}], "t")
        assert (made["jobId"], made["status"], made["models"][0]["id"]) == (
            "7",
            "AWAITING_UPLOADS",
            "3",
        )
    with FaultServer(answering(wrap({"projects": [{"id": "p"}]}), status)) as server:
        assert client(server).create_projects(["m"], "t")[0]["projectId"] == "p"


def test_both_words_for_the_end() -> None:
    with FaultServer(answering({"status": "COMPLETED"})) as server:
        assert client(server).job("j")["status"] == "COMPLETE"
        assert client(server).render("r")["status"] == "COMPLETED"
    with FaultServer(answering({"status": "Complete"})) as server:
        assert client(server).job("j")["status"] == "COMPLETE"
        assert client(server).render("r")["status"] == "COMPLETED"
    with FaultServer(answering({"status": "napping gently"})) as server:
        assert client(server).render("r")["status"] == "NAPPING_GENTLY"


def test_models_status_in_other_shapes() -> None:
    body = {
        "models": [
            {"modelId": "a", "status": "analyzing"},
            {"modelId": "b", "status": "READY"},
            {"modelId": "c", "status": "READY", "ready": False},
            {"modelId": "d", "ready": True},
            {"status": "READY"},
            "nonsense",
        ],
        "notFound": ["e", {"modelId": "f"}, 5, None],
    }
    with FaultServer(answering(body)) as server:
        found = client(server).models_status(["a", "b"])
    assert [(row["modelId"], row["status"], row["ready"]) for row in found["models"]] == [
        ("a", "ANALYZING", False),
        ("b", "READY", True),
        ("c", "READY", False),
        ("d", "", True),
    ]
    assert found["notFound"] == ["e", "f", "5"] and found["allReady"] is False
    with FaultServer(answering({"notFound": ["a"]})) as server:
        assert client(server).models_status(["a"])["models"] == []


@pytest.mark.parametrize("body", [[], {}, "yes", 7, None, {"status": 7}, {"models": "no"}])
def test_answers_that_are_none(body: Any) -> None:
    with FaultServer(answering(body)) as server:
        api = client(server)
        for call in (
            lambda: api.job("j"),
            lambda: api.render("r"),
            lambda: api.create_models([]),
            lambda: api.create_job([], "t"),
            lambda: api.models_status(["a"]),
        ):
            if body == [] and call.__code__.co_names[-1] == "models_status":
                continue  # an empty list of models is an answer
            with pytest.raises(HttpError) as caught:
                call()
            assert caught.value.problem.sentence == "Glossi gave an answer that cannot be read."
        with pytest.raises(Lost):
            api.create_projects(["m"], "t")
        with pytest.raises(Lost):
            api.create_renders(["p"], SETTINGS)


def test_confirms_and_retry_may_answer_nothing() -> None:
    with FaultServer(answering(b"", 204)) as server:
        api = client(server)
        assert api.confirm_uploads("j") == {"jobId": "j", "status": "PROCESSING"}
        assert api.confirm_model("m", "glb") == {"modelId": "m", "status": "PENDING"}
        assert api.retry_render("r") == {"jobId": "r", "status": "QUEUED", "batchId": ""}


def test_one_address_missing_is_no_job() -> None:
    rows = [{"id": "a", "uploadUrl": "https://s3/a"}, {"id": "b"}]
    with FaultServer(answering({"jobId": "j", "models": rows})) as server:
        with pytest.raises(HttpError, match="cannot be read") as caught:
            client(server).create_job([], "t")
        assert len(server.seen) == 1 and caught.value.transient


def test_ids_cannot_lead_elsewhere() -> None:
    with FaultServer(answering({"status": "QUEUED"})) as server:
        client(server).render("../webhooks?x=1")
    assert server.seen[0].target == "/renders/..%2Fwebhooks%3Fx%3D1"


# --- what is repeated, and what never is ---------------------------------------------------------


def failing_first(body: Any, status: int = 503) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.read_body()
        if exchange.number == 1:
            exchange.reply(status, b"{}") if status else exchange.reset()
        else:
            exchange.reply(200, json.dumps(body).encode())

    return script


@pytest.mark.parametrize("status", [503, 429, 0])
def test_what_starts_nothing_is_repeated(status: int) -> None:
    body = {
        "jobId": "j",
        "status": "QUEUED",
        "models": [{"id": "m", "modelId": "m", "uploadUrl": "https://s3/m"}],
        "templates": [],
    }
    calls: list[Callable[[GlossiClient], Any]] = [
        lambda api: api.create_job([], "t"),
        lambda api: api.create_models([]),
        lambda api: api.models_status(["m"]),
        lambda api: api.templates(),
        lambda api: api.job("j"),
        lambda api: api.render("j"),
        lambda api: api.set_webhook("https://x", []),
    ]
    for call in calls:
        with FaultServer(failing_first(body, status)) as server:
            call(client(server))
            assert len(server.seen) == 2


@pytest.mark.parametrize("status", [503, 429, 0])
def test_confirms_and_retry_are_one_attempt(status: int) -> None:
    calls: list[Callable[[GlossiClient], Any]] = [
        lambda api: api.confirm_uploads("j"),
        lambda api: api.confirm_model("m", "glb"),
        lambda api: api.retry_render("r"),
    ]
    for call in calls:
        with FaultServer(failing_first({}, status)) as server:
            with pytest.raises(HttpError) as caught:
                call(client(server))
            assert caught.value.transient and len(server.seen) == 1


def making(kind: str, api: GlossiClient, **hooks: Any) -> Any:
    if kind == "projects":
        return api.create_projects(["m"], "t", **hooks)
    return api.create_renders(["p"], SETTINGS, **hooks)


@pytest.mark.parametrize("kind", ["projects", "renders"])
def test_projects_and_renders_are_made_once(kind: str) -> None:
    def lost(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.reset()

    marks: list[str] = []
    with FaultServer(lost) as server:
        with pytest.raises(Lost) as caught:
            making(kind, client(server), before_last_piece=lambda: marks.append("complete"))
        assert len(server.seen) == 1 and marks == ["complete"]
        assert caught.value.problem.category is Category.IN_DOUBT
    for status in (500, 502, 504, 200):
        with FaultServer(answering(b"<html>gateway</html>", status)) as server:
            with pytest.raises(Lost):
                making(kind, client(server))
            assert len(server.seen) == 1
    for status, wanted in ((400, Refused), (401, Refused), (409, Refused), (429, Refused)):
        with FaultServer(answering({"error": "no"}, status)) as server:
            with pytest.raises(wanted) as refused:
                making(kind, client(server))
            assert len(server.seen) == 1 and refused.value.status == status
    gone = GlossiClient(connection("http://127.0.0.1:9", KEY, settings=FAST))
    with pytest.raises(Unsent):
        making(kind, gone)
    with FaultServer(answering({})) as server, pytest.raises(Canceled):
        making(kind, client(server), cancelled=lambda: True)


# --- uploads -------------------------------------------------------------------------------------


def glb(tmp_path: Path, size: int = 3_000_000) -> Path:
    path = tmp_path / "chair.glb"
    path.write_bytes(b"glTF" + b"\x00" * (size - 4))
    return path


class Storage:
    """Gives upload addresses of its own, and takes what is put there as ``take`` says."""

    def __init__(self, take: Script, query: str = "X-Amz-Signature=abcdef0123456789") -> None:
        self.take, self.query = take, query
        self.server = FaultServer(self._script)

    def _script(self, exchange: Exchange) -> None:
        if exchange.method == "PUT":
            self.take(exchange)
            return
        exchange.read_body()
        url = f"{self.server.url}/bucket/model.glb?{self.query}"
        rows = [{"id": "m", "fileName": "chair.glb", "uploadUrl": url}]
        exchange.reply(200, json.dumps({"jobId": "j", "models": rows}).encode())

    def __enter__(self) -> Storage:
        self.server.__enter__()
        self.api = client(self.server)
        made = self.api.create_job([{"fileName": "chair.glb", "fileType": "glb"}], "t")
        self.url = str(made["models"][0]["uploadUrl"])
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.__exit__(*exc)

    @property
    def puts(self) -> list[Exchange]:
        return [exchange for exchange in self.server.seen if exchange.method == "PUT"]


def taken(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.reply(200, b"")


def test_a_put_has_the_documented_headers_and_no_key(tmp_path: Path) -> None:
    path = glb(tmp_path)
    heard: list[tuple[int, int]] = []
    with Storage(taken) as storage:
        size = storage.api.put(storage.url, path, on_progress=lambda *at: heard.append(at))
    (put,) = storage.puts
    assert put.headers["content-type"] == "model/gltf-binary"
    assert put.length == size == path.stat().st_size and put.body == path.read_bytes()
    assert "transfer-encoding" not in put.headers
    assert KEY not in str(put.headers) and "x-api-key" not in put.headers
    assert "authorization" not in put.headers
    assert heard[-1] == (size, size)
    assert "abcdef0123456789" not in redact(f"about {storage.url}")


def test_several_puts_at_once(tmp_path: Path) -> None:
    path = glb(tmp_path, 300_000)
    gate = threading.Barrier(3)

    def together(exchange: Exchange) -> None:
        exchange.read_body()
        gate.wait(60)
        exchange.reply(200, b"")

    with Storage(together) as storage:
        threads = [
            threading.Thread(target=storage.api.put, args=(storage.url, path)) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert [put.length for put in storage.puts] == [300_000] * 3


def xml(code: str, message: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()  # noqa: E501


def test_an_expired_address(tmp_path: Path) -> None:
    path = glb(tmp_path, 1000)
    for status, body in (
        (403, xml("AccessDenied", "Request has expired")),
        (400, xml("ExpiredToken", "The provided token has expired.")),
    ):
        with Storage(answering(body, status)) as storage:
            with pytest.raises(UploadExpired) as caught:
                storage.api.put(storage.url, path)
            assert caught.value.expired and len(storage.puts) == 1
            assert "abcdef0123456789" not in str(caught.value.problem)


def test_the_hour_runs_on_the_monotonic_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = glb(tmp_path, 1000)
    from bridge.services.glossi import client as module

    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    with Storage(taken) as storage:
        now += 3600 - 20
        storage.api.put(storage.url, path)
        now += 10  # within the last seconds nothing is begun
        with pytest.raises(UploadExpired):
            storage.api.put(storage.url, path)
        assert len(storage.puts) == 1
    # A plain 403 after the hour is the address's end, before it is not.
    with Storage(answering(b"", 403)) as storage:
        with pytest.raises(HttpError) as caught:
            storage.api.put(storage.url, path)
        assert not isinstance(caught.value, UploadExpired)
        assert "key" not in caught.value.problem.sentence
    # An address that says how long it lives is believed where that is shorter.
    with Storage(taken, "X-Amz-Expires=100&X-Amz-Signature=abcdef0123") as storage:
        now += 80
        storage.api.put(storage.url, path)
        now += 15
        with pytest.raises(UploadExpired):
            storage.api.put(storage.url, path)


def test_storage_faults(tmp_path: Path) -> None:
    path = glb(tmp_path, 1000)

    def hiccup(exchange: Exchange) -> None:
        exchange.read_body()
        if len(storage.puts) == 1:
            exchange.reply(500, xml("InternalError", "We encountered an internal error."))
        else:
            exchange.reply(200, b"")

    with Storage(hiccup) as storage:
        storage.api.put(storage.url, path)
        assert len(storage.puts) == 2

    for status, code, sentence in (
        (403, "SignatureDoesNotMatch", "does not accept the address"),
        (400, "EntityTooLarge", "larger than Glossi's storage takes"),
        (400, "InvalidArgument", "refused the transfer"),
        (404, "NoSuchBucket", "not in Glossi's storage"),
    ):
        with Storage(answering(xml(code, "x"), status)) as storage:
            with pytest.raises(HttpError) as caught:
                storage.api.put(storage.url, path)
            assert sentence in caught.value.problem.sentence
            assert code in caught.value.problem.technical or caught.value.body["code"] == code
            assert len(storage.puts) == 1


def test_a_put_hears_a_cancel(tmp_path: Path) -> None:
    path = glb(tmp_path, 20_000_000)
    stop = threading.Event()

    def slowly(exchange: Exchange) -> None:
        exchange.read_body(100_000)
        stop.set()
        exchange.released.wait(60)

    with Storage(slowly) as storage, pytest.raises(Canceled):
        storage.api.put(storage.url, path, cancelled=stop.is_set)


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"error": "Template is missing"},
        {"error": {"message": "Template is missing", "code": 400}},
        {"errorMessage": "Template is missing"},
        {"message": "Template is missing"},
        {"errors": ["Template is missing"]},
        {"errors": [{"message": "Template is missing"}]},
    ],
)
def test_error_bodies(body: Any) -> None:
    with FaultServer(answering(body, 400)) as server, pytest.raises(HttpError) as caught:
        client(server).create_models([])
    assert caught.value.message == "Template is missing"
    assert caught.value.problem.hint == "It says: Template is missing"
    assert caught.value.problem.category is Category.INPUT
    assert error_text(body) == "Template is missing"


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (401, Category.CREDENTIALS),
        (402, Category.CREDITS),
        (403, Category.CREDENTIALS),
        (404, Category.SERVICE),
        (409, Category.SERVICE),
        (413, Category.LIMIT),
        (418, Category.INPUT),
        (422, Category.INPUT),
        (429, Category.SERVICE),
        (500, Category.SERVICE),
        (503, Category.SERVICE),
    ],
)
@pytest.mark.parametrize("body", [b"", b"oops", b"<html><title>Bad</title></html>", b'{"error":1}'])
def test_statuses(status: int, category: Category, body: bytes) -> None:
    quick = Settings(connect_seconds=5, read_seconds=5, retries=0)
    with FaultServer(answering(body, status)) as server, pytest.raises(HttpError) as caught:
        client(server, quick).check_key()
    problem = caught.value.problem
    assert problem.category is category and problem.sentence and KEY not in str(problem)
    assert f"HTTP {status}" in problem.technical


@pytest.mark.parametrize(
    "answer",
    [{}, {"error": None}, {"error": 7}, {"error": []}, {"error": {}}, {"errors": [[]]}],
)
def test_no_reason(answer: Any) -> None:
    assert error_text(answer) == ""


def test_a_reason_is_one_bounded_line_without_addresses() -> None:
    long = "bad\nmesh <b>here</b> https://s3/x?X-Amz-Signature=abcdef " + "x" * 1000
    text = error_text({"error": {"message": long}})
    assert text.startswith("bad mesh here https://s3/") and len(text) <= 300
    assert "abcdef" not in text and "\n" not in text
    assert error_text({"error": {"error": {"message": "deep"}}}) == "deep"
    assert error_text({"error": "", "errorMessage": "second"}) == "second"


@pytest.mark.parametrize(
    ("status", "said", "wanted"),
    [
        (409, "Project p is not ready yet", True),
        (400, "Project is not yet ready", True),
        (422, "Model still processing", True),
        (409, "The project is still being created", True),
        (400, "Project isn't ready", True),
        (425, "", True),
        (409, "", False),
        (409, "A render is already in progress", False),
        (409, "Already being processed", False),
        (400, "projectIds must not be empty", False),
        (404, "Project not found, not ready", False),
        (401, "not ready", False),
        (400, "Template already deleted", False),
    ],
)
def test_not_ready(status: int, said: str, wanted: bool) -> None:
    with (
        FaultServer(answering({"error": said}, status)) as server,
        pytest.raises(Refused) as caught,
    ):
        client(server).create_renders(["p"], SETTINGS)
    assert not_ready(caught.value) is wanted


def test_not_ready_needs_a_status() -> None:
    problem = Problem(Category.NETWORK, "x", "", "not ready")
    assert not not_ready(Refused.wrap(problem))
