# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigyd's API, spoken by the sandbox: routes, checks, errors and envelopes after its public docs.

Base URL ``http://127.0.0.1:PORT/rigyd/api``. File conversions are done for real. Text, image and
simulation requests are checked like the service checks them and then refused with its 502, since
the sandbox does not do that work yet; no credit is held for them.

Where the docs are silent: an out-of-range triangle count is a 400; a list page holds at most 100
jobs; ids that never existed and paths of odd shape are the same 404.
"""

from __future__ import annotations

import hmac
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import archives, rigyd_generate, rigyd_views
from .convert import Converter
from .jobs import CreditsShort, JobStore, Record, now_iso, random_id
from .runner import Runner
from .uploads import Form, UploadedFile, bad_request, read_form, read_json, valid_filename
from .wire import HttpError, Request, Response, json_response

if TYPE_CHECKING:
    from . import Sandbox

FORMATS = ("glb", "gltf", "fbx", "obj", "stl", "ply", "usd", "usda", "usdc", "usdz", "zip")
# nginx' "500m": the whole request body, not the file alone.
MAX_UPLOAD = 500 * 1024 * 1024
PRICES = {
    "glb_to_simready": 1,
    "text_to_simready": 2,
    "image_to_simready": 3,
    "multiview_to_simready": 3,
    "simulate_usd": 0,
}
START_CREDITS = 100_000
_PARTS = {"usd": ("usd",), "mjcf": ("mjcf",), "all": ("usd", "mjcf")}
_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off", ""}


def error(code: int, text: str, **more: Any) -> HttpError:
    """The service's error form; ``more`` stands beside the text in the body."""
    return HttpError(json_response(code, {"error": text, **more}))


class Rigyd:
    """The service. ``folder`` keeps its database, key and job folders."""

    name = "rigyd"
    prefix = "/api"

    def __init__(
        self, box: Sandbox, folder: Path, api_key: str, converter: Converter, *,
        parallel: int = 1, timeout: float = 1800.0,
    ) -> None:  # fmt: skip
        self._box = box
        self.folder = folder
        self.api_key = api_key
        self._incoming = folder / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        self.store = JobStore(folder / "jobs.sqlite", START_CREDITS)
        self._runner = Runner(
            self.store, self.job_folder, converter, parallel=parallel, timeout=timeout
        )
        self._packing = threading.Lock()
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Response]]] = [
            ("GET", re.compile(r"/api/conversions"), self._list),
            ("POST", re.compile(r"/api/conversions"), self._submit),
            ("GET", re.compile(r"/api/conversions/pricing"), self._pricing),
            ("POST", re.compile(r"/api/conversions/generate"), self._generate),
            ("GET", re.compile(r"/api/conversions/([^/]+)"), self._retrieve),
            ("GET", re.compile(r"/api/conversions/([^/]+)/result"), self._result),
            ("POST", re.compile(r"/api/conversions/([^/]+)/simulate"), self._simulate),
            ("GET", re.compile(r"/api/me"), self._me),
        ]

    @property
    def base_url(self) -> str:
        """What RIGYD_BASE_URL is set to."""
        return f"{self._box.origin}/rigyd/api"

    @property
    def busy(self) -> bool:
        """Whether a conversion runs or waits."""
        return self._runner.busy

    def start(self) -> None:
        """Begin to work the queue."""
        self._runner.start()

    def stop(self) -> None:
        """Stop converting and close the database."""
        self._runner.stop()
        self.store.close()

    def job_folder(self, identifier: str) -> Path:
        """Where a job's upload and results lie."""
        return self.folder / "jobs" / identifier

    def handle(self, request: Request) -> Response:
        """Answer a request. Raises HttpError, and what reading a body raises."""
        if request.path.startswith("/assets/"):
            return self._asset(request)
        limit = self._box.plan.max_upload_bytes or MAX_UPLOAD
        if request.body.length is not None and request.body.length > limit:
            # The proxy in front speaks before the service sees the key.
            from .uploads import too_large

            return too_large()
        self._authenticate(request)
        method = "GET" if request.method == "HEAD" else request.method
        allowed = set()
        for verb, pattern, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if match is None:
                continue
            if verb == method:
                return handler(request, *match.groups())
            allowed.add(verb)
        status, name = (405, "Method Not Allowed") if allowed else (404, "Not Found")
        kind = f"{name.title().replace(' ', '')}Error"
        body = {"data": None, "error": {"status": status, "name": kind, "message": name}}
        headers = {"Allow": ", ".join(sorted(allowed))} if allowed else {}
        return json_response(status, body, headers)

    def _authenticate(self, request: Request) -> None:
        scheme, _, key = request.header("Authorization").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise error(401, "Authentication required")
        if not hmac.compare_digest(key.strip().encode(), self.api_key.encode()):
            raise error(401, "Invalid API key")

    # -- reads ---------------------------------------------------------------------------------

    def price(self, job_type: str) -> int:
        """Credits for a job type, as the pricing call tells."""
        return {**PRICES, **self._box.plan.prices}[job_type]

    def _pricing(self, request: Request) -> Response:
        return json_response(200, {"data": {kind: self.price(kind) for kind in PRICES}})

    def _me(self, request: Request) -> Response:
        return json_response(200, {"data": rigyd_views.account(self.store.credits)})

    def _list(self, request: Request) -> Response:
        page = _number(request.parameter("page"), 1, 1, 1 << 31)
        size = _number(request.parameter("pageSize"), 25, 1, 100)
        records, total = self.store.page(page, size)
        meta = {"page": page, "pageSize": size, "pageCount": -(-total // size), "total": total}
        return json_response(200, {"data": [self._view(item) for item in records], "meta": meta})

    def _retrieve(self, request: Request, identifier: str) -> Response:
        return json_response(200, {"data": self._view(self._record(identifier))})

    def _view(self, record: Record) -> dict[str, Any]:
        return rigyd_views.job(record, f"{self._box.origin}/rigyd/assets")

    def _record(self, identifier: str) -> Record:
        record = self.store.get(identifier)
        if record is None:
            raise error(404, "Conversion job not found")
        return record

    def _result(self, request: Request, identifier: str) -> Response:
        record = self._record(identifier)
        wanted = request.parameter("format", "all") or "all"
        if wanted not in _PARTS:
            raise error(400, "Invalid format. Expected one of: usd, mjcf, all")
        if record.status != "completed":
            raise error(409, "Job not yet completed", status=record.status)
        has_mjcf = "mjcf_package" in record.private
        if wanted == "mjcf" and not has_mjcf:
            raise error(404, "MJCF package is not available for this conversion")
        folder = self.job_folder(identifier)
        archive = folder / f"{wanted}.zip"
        with self._packing:
            if not archive.exists():
                parts = _PARTS[wanted] if has_mjcf else ("usd",)
                archives.pack(folder / "output", parts, archive)
        action = request.fault.action if request.fault is not None else {}
        if "zip" in action:
            size = int(action.get("zip_bytes", 256 << 20))
            archive = archives.spoil(archive, action["zip"], folder / "spoilt.zip", size)
        name = f"{record.private['base']}-{wanted}.zip"
        headers = {
            "Content-Type": "application/zip",
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        sized = self._box.plan.sized_results
        if sized:
            headers["ETag"] = f'"{identifier}-{wanted}"'
        return Response(200, headers, file=archive, sized=sized)

    def _asset(self, request: Request) -> Response:
        """A file under its unguessable path; like a CDN's, without a key."""
        match = re.fullmatch(r"/assets/([a-z0-9]{24})/([0-9a-f]{32})/[^/]+", request.path)
        record = self.store.get(match[1]) if match else None
        if match is None or record is None or request.method not in ("GET", "HEAD"):
            raise error(404, "Not Found")
        for asset in rigyd_views.assets(record):
            if hmac.compare_digest(asset["token"], match[2]):
                path = self.job_folder(record.id) / asset["path"]
                if path.is_file():
                    headers = {"Content-Type": "application/octet-stream"}
                    return Response(200, headers, file=path)
        raise error(404, "Not Found")

    # -- submits -------------------------------------------------------------------------------

    def _submit(self, request: Request) -> Response:
        staging = self._incoming / random_id()
        limit = self._box.plan.max_upload_bytes or MAX_UPLOAD
        try:
            form = read_form(request, staging, limit)
            upload, suffix = _model(form)
            parameters = _parameters(form)
            client = request.header("X-Rigyd-Client")
            if client:
                parameters["client"] = client[:100]
            primary = _primary(upload) if suffix == "zip" else None
            record = self._accept(request, upload, suffix, primary, parameters)
        except OSError as problem:
            reason = problem.strerror or type(problem).__name__
            raise error(502, f"Conversion service unavailable: {reason}") from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return json_response(202, {"data": rigyd_views.submission(record)})

    def _accept(
        self, request: Request, upload: UploadedFile, suffix: str, primary: str | None,
        parameters: dict[str, Any],
    ) -> Record:  # fmt: skip
        fate = request.fault.job if request.fault is not None else {}
        price = self.price("glb_to_simready")
        doc = rigyd_views.new_job(
            filename=upload.filename,
            size=upload.size,
            parameters=parameters,
            price=price,
            preprocess=suffix != "glb",
        )
        private: dict[str, Any] = {
            "input": f"input.{suffix}",
            "format": suffix,
            "primary": primary,
            "base": asset_name(upload.filename),
            "fate": fate,
        }
        try:
            record = self.store.accept(price, doc, private)
        except CreditsShort:
            raise error(402, "Insufficient credits") from None
        folder = self.job_folder(record.id)
        try:
            folder.mkdir(parents=True)
            upload.path.replace(folder / private["input"])
        except OSError:
            self._runner.fail(record.id, "The upload could not be kept.")
            raise

        def staged(job: Record) -> None:
            job.private["input_asset"] = rigyd_views.asset(private["input"], upload)
            status = fate.get("stuck", "queued" if suffix == "glb" else "preprocessing")
            job.doc.update(status=status, stage="queued", progress=int(fate.get("progress", 0)))
            if suffix == "glb":
                job.doc["timing"]["queued_at"] = now_iso()

        changed = self.store.change(record.id, staged)
        request.entry.update(job_id=record.id, paid=price)
        self._runner.wake()
        return changed or record

    def _generate(self, request: Request) -> Response:
        staging = self._incoming / random_id()
        try:
            limit = self._box.plan.max_upload_bytes or MAX_UPLOAD
            form = read_form(request, staging, limit)
            job_type = rigyd_generate.check(form, self._box.plan.image_field)
            if self.store.credits < self.price(job_type):
                raise error(402, "Insufficient credits")
            raise error(
                502, "Generation service unavailable: this sandbox does not generate models yet"
            )
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _simulate(self, request: Request, identifier: str) -> Response:
        scene = read_json(request).get("scene", "demo")
        record = self._record(identifier)
        if record.doc["job_type"] == "simulate_usd":
            raise error(422, "Cannot simulate a simulation job")
        if record.status != "completed":
            raise error(409, "Source job must be completed before simulation", status=record.status)
        if scene not in ("demo", "drop"):
            raise error(422, "Invalid scene. Expected one of: demo, drop")
        raise error(
            502, "Simulation service unavailable: this sandbox does not run simulations yet"
        )


def asset_name(filename: str) -> str:
    """The base name of a result: the file's name in letters, digits and underscores."""
    stem = filename.rpartition(".")[0]
    name = re.sub(r"[^A-Za-z0-9_]+", "_", stem).strip("_")[:80]
    if not name:
        return "asset"
    # A USD prim cannot begin with a digit.
    return f"_{name}" if name[0].isdigit() else name


def _model(form: Form) -> tuple[UploadedFile, str]:
    """The one model of a submit and its suffix, checked as at upload."""
    files = [item for item in form.files if item.field == "file"]
    if len(files) != 1 or len(form.files) != 1:
        raise bad_request("Exactly one model file is required in the field 'file'")
    upload = files[0]
    if not valid_filename(upload.filename):
        raise bad_request("Invalid filename")
    suffix = Path(upload.filename).suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        shown = f".{suffix}" if suffix else upload.filename
        raise bad_request(f"Unsupported format: {shown}. Allowed: {', '.join(FORMATS)}")
    if upload.size == 0:
        raise bad_request("The uploaded file is empty")
    return upload, suffix


def _primary(upload: UploadedFile) -> str:
    try:
        return archives.check_archive(upload.path)
    except archives.ArchiveError as problem:
        raise bad_request(str(problem)) from None


def _parameters(form: Form) -> dict[str, Any]:
    """The submit's options, typed, as the job echoes them. Raises HttpError 400."""
    fields, known = form.fields, dict[str, Any]()
    if fields.get("target_triangle_count", "").strip():
        text = fields["target_triangle_count"].strip()
        if not re.fullmatch(r"\d{1,9}", text) or not 1000 <= int(text) <= 1_000_000:
            raise bad_request("target_triangle_count must be an integer from 1000 to 1000000")
        known["target_triangle_count"] = int(text)
    if fields.get("threshold", "").strip():
        try:
            known["threshold"] = float(fields["threshold"])
        except ValueError:
            raise bad_request("threshold must be a number") from None
        if not abs(known["threshold"]) < 1e9:
            raise bad_request("threshold must be a number")
    if fields.get("llm_provider"):
        known["llm_provider"] = fields["llm_provider"][:200]
    for name in ("optimize", "skip_validation"):
        if name in fields:
            text = fields[name].strip().lower()
            if text not in _TRUE | _FALSE:
                raise bad_request(f"{name} must be true or false")
            known[name] = text in _TRUE
    return known


def _number(text: str, default: int, low: int, high: int) -> int:
    return min(high, max(low, int(text))) if re.fullmatch(r"\d{1,9}", text) else default
