# SPDX-License-Identifier: GPL-3.0-or-later
"""``scene-courier diagnose``: what somebody who helps needs to know, without secrets.

Every text passes through ``redact``; keys are looked for, never read out. The network check asks
each service for its address, a connection and the time; it sends no key.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import time
from pathlib import Path
from typing import Any

from .. import __version__, accounts, credentials, launch, settings
from ..jobs import State
from ..paths import data_home, free_space, readable_bytes, writable
from ..problems import ProblemError
from ..redact import redact
from ..services import SERVICES, Service
from . import OK
from .output import emit

_PACKAGES = ("requests", "keyring", "filelock", "platformdirs", "multipart", "tqdm", "bpy")
_SECONDS = 8.0
# Signed addresses and certificates start to fail beyond a few minutes.
_SKEW_SECONDS = 120.0


def diagnose(args: argparse.Namespace) -> int:
    """Run the command; returns 0: what it finds is in its answer."""
    home = data_home()
    report: dict[str, Any] = {
        "version": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": {name: _package(name) for name in _PACKAGES},
        "data_folder": _data_folder(home),
        "worker": _worker(home),
        "jobs": _jobs(home),
        "blender": _blender(),
        "keyring": _keyring(),
        "services": [_service(service, home, args.offline) for service in SERVICES.values()],
    }
    report = _clean(report)
    if args.json:
        emit(report)
    else:
        _print(report)
    return OK


def _clean(value: Any) -> Any:
    """Every text redacted, user names in paths included."""
    if isinstance(value, str):
        return redact(value, people=True)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def _print(value: Any, indent: str = "", name: str = "") -> None:
    if isinstance(value, dict):
        if name:
            print(f"{indent}{name}")
        for key, item in value.items():
            _print(item, indent + "  " if name else indent, key)
    elif isinstance(value, list):
        for item in value:
            _print(item, indent, name)
    else:
        shown = "-" if value is None else str(value).lower() if isinstance(value, bool) else value
        print(f"{indent}{name:18} {shown}")


def _package(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # Blender bundles some without their metadata.
        return "present" if importlib.util.find_spec(name) else None


def _data_folder(home: Path) -> dict[str, Any]:
    there = home.is_dir()
    answer: dict[str, Any] = {"path": str(home), "exists": there}
    if there:
        answer["writable"] = writable(home)
    answer["free"] = readable_bytes(free_space(home))
    answer["chosen_by"] = (
        "SCENE_COURIER_HOME" if os.environ.get("SCENE_COURIER_HOME") else "default"
    )
    loaded = settings.load(home)
    answer["proxy"] = loaded.proxy_mode
    if loaded.warnings:
        answer["settings"] = "; ".join(loaded.warnings)
    return answer


def _worker(home: Path) -> dict[str, Any]:
    answer: dict[str, Any] = {"running": launch.worker_running(home)}
    log = home / "worker.log"
    if log.is_file():
        answer["log"] = str(log)
        lines = log.read_text("utf-8", "replace").splitlines()
        answer["last_lines"] = [line[:300] for line in lines[-5:]]
    return answer


def _jobs(home: Path) -> dict[str, Any]:
    from ..store import FILE_NAME, Store

    if not (home / FILE_NAME).exists():
        return {"store": "none yet"}
    try:
        with Store.open(home) as store:
            found = store.jobs()
    except ProblemError as error:
        return {"store": f"{error.problem.sentence} ({error.problem.technical})"}
    counts = {state.value: sum(job.state is state for job in found) for state in State}
    failed = [job for job in found if job.problem is not None][:3]
    return {
        "store": "good",
        "count": {state: count for state, count in counts.items() if count},
        "last_problems": [
            f"{job.short_id} {job.problem.category.value}: {job.problem.sentence} "
            f"({job.problem.technical})"
            for job in failed
            if job.problem is not None
        ],
    }


def _blender() -> dict[str, Any]:
    from ..blender import find_blender

    try:
        program = find_blender()
    except ProblemError as error:
        return {"found": None, "why": f"{error.problem.sentence} ({error.problem.technical})"}
    return {
        "found": program.executable,
        "kind": program.kind,
        "version": ".".join(map(str, program.version)),
        "usd": program.usd,
    }


def _keyring() -> str:
    try:
        import keyring
        import keyring.errors

        backend = keyring.get_keyring()
        name = f"{type(backend).__module__}.{type(backend).__qualname__}"
        if name.startswith("keyring.backends.fail"):
            return "none"
        return name
    except Exception as error:  # a broken backend must not end the diagnosis
        return f"not usable: {type(error).__name__}"


def _service(service: Service, home: Path, offline: bool) -> dict[str, Any]:
    address = accounts.environment_base_url(service.name) or service.default_base_url
    found = credentials.describe(service.name, home=home)
    answer: dict[str, Any] = {
        "name": service.name,
        "base_url": address,
        "key_source": found["key_source"],
    }
    if found["sentence"]:
        answer["key_problem"] = found["sentence"]
    if not offline:
        answer["network"] = _network(address, home)
    return answer


def _network(address: str, home: Path) -> dict[str, Any]:
    """Name, connection (with TLS) and clock, as far as each goes."""
    import socket

    from .. import route

    answer: dict[str, Any] = {}
    try:
        parts = route.check_url(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        answer["name"] = "found"
    except ProblemError as error:
        return {"address": error.problem.sentence}
    except OSError as error:
        # A proxy may still know the name.
        answer["name"] = f"not found ({error.strerror or error})"
    try:
        answer.update(_hello(address, home))
    except Exception as error:  # whatever the network does, it belongs into the report
        answer["connection"] = redact(f"{type(error).__name__}: {error}")[:300]
    return answer


def _hello(address: str, home: Path) -> dict[str, Any]:
    import requests

    from .. import route
    from ..answers import server_time

    loaded = settings.load(home)
    started = time.time()
    with requests.Session() as session:
        session.trust_env = False
        session.headers["User-Agent"] = f"scene-courier/{__version__}"
        answer = session.get(
            address,
            timeout=_SECONDS,
            allow_redirects=False,
            proxies=route.proxies_for(address, loaded),
            verify=route.ca_bundle(loaded),
            stream=True,
        )
        with answer:
            status, date = answer.status_code, answer.headers.get("Date", "")
    report: dict[str, Any] = {
        "connection": f"good ({address.partition(':')[0]}, status {status})",
        "milliseconds": round(1000 * (time.time() - started)),
    }
    there = server_time(date)
    if there is not None:
        skew = time.time() - there
        report["clock"] = "good" if abs(skew) < _SKEW_SECONDS else f"off by {skew:+.0f} s"
    return report
