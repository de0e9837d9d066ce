# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the worker and the sandbox: detached, without a window, from a copy of this code.

The copy (``<home>/runtime/<version>-<python tag>-<digest>/``) is why an update or a disabled
extension never pulls files from under a running worker. Whether a worker runs is said by an OS file
lock, never by a process id. Nothing here touches bpy; call it from a plain thread inside Blender.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path
from typing import IO, Any

from . import __version__
from .disk import disk_problem, no_room
from .paths import ensure_home
from .problems import Category, ProblemError

ROOT = Path(__file__).resolve().parents[1]
WORKER_LOCK = "worker.lock"
#: held by the one process that waits for an older worker to leave
NEXT_LOCK = "worker.next.lock"
SANDBOX_LOCK = "sandbox.lock"
#: which Blender the running sandbox was given; empty when none with USD was known
_PROGRAM = "program"
_STARTING_LOCK = "starting.lock"
#: the Blenders that sent scenes here: the sandbox renders a scene with the one that fits it
_BLENDERS = "blenders.json"
_MOST_BLENDERS = 8
#: set in tests and by people who run the worker themselves
NO_WORKER = "SCENE_COURIER_NO_WORKER"
_LOG_BYTES = 2_000_000

_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); sys.path.append(sys.argv[2]); "
    "from bridge.{module} import {function}; raise SystemExit({function}(sys.argv[3]))"
)
_SOURCES = ("bridge", "addon/__init__.py", "addon/recipes")


# -- the runtime copy ----------------------------------------------------------------------------


def runtime_copy(home: Path) -> Path:
    """A private copy of the bridge, the recipes and the fitting wheels; made once per version.

    Code that runs from such a copy (the worker, when it starts the sandbox) uses that same one: it
    has its wheels unpacked and no archives to make another from.
    """
    if (ROOT / "complete").is_file() and (ROOT / "site").is_dir():
        return ROOT
    files = _source_files()
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes())
    wheels = _fitting_wheels()
    for wheel in wheels:
        digest.update(wheel.name.encode())
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    target = home / "runtime" / f"{__version__}-{tag}-{digest.hexdigest()[:12]}"
    if (target / "complete").exists():
        return target
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        for path in files:
            copy = temporary / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        (temporary / "site").mkdir(parents=True, exist_ok=True)
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(temporary / "site")
        (temporary / "complete").touch()
        os.replace(temporary, target)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        # Another process may have been faster; its copy has the same digest.
        if not (target / "complete").exists():
            raise
    _remove_old_runtimes(target)
    return target


def _source_files() -> list[Path]:
    found: list[Path] = []
    for name in _SOURCES:
        path = ROOT / name
        found += [path] if path.is_file() else sorted(path.rglob("*"))
    return [
        path
        for path in found
        if path.is_file() and path.suffix != ".pyc" and "__pycache__" not in path.parts
    ]


def _fitting_wheels() -> list[Path]:
    """The extension's wheels that fit this Python and system; none in a pip installation."""
    folder = ROOT / "wheels"
    return [wheel for wheel in sorted(folder.glob("*.whl")) if _fits(wheel.name)]


def _fits(name: str) -> bool:
    """Does a wheel's file name (name-version-python-abi-platform.whl) fit this interpreter?"""
    pythons, abi, platforms = name.removesuffix(".whl").split("-")[-3:]
    minor = sys.version_info[1]
    if abi == "abi3":
        lowest = [int(tag[3:]) for tag in pythons.split(".") if re.fullmatch(r"cp3\d+", tag)]
        right_python = any(number <= minor for number in lowest)
    else:
        right_python = bool({"py3", f"py3{minor}", f"cp3{minor}"} & set(pythons.split(".")))
    system = {"linux": ("manylinux", "musllinux"), "darwin": ("macosx",), "win32": ("win",)}
    machine = platform.machine().lower().replace("amd64", "x86_64")
    here = sysconfig.get_platform().replace("-", "_").replace(".", "_")

    def right(tag: str) -> bool:
        if tag == "any" or tag == here:
            return True
        if not tag.startswith(system.get(sys.platform, ())):
            return False
        ending = tag.replace("amd64", "x86_64").replace("arm64", "aarch64")
        return ending.endswith((machine.replace("arm64", "aarch64"), "universal2"))

    return right_python and any(right(tag) for tag in platforms.split("."))


def _remove_old_runtimes(current: Path, keep: int = 4) -> None:
    """Drop the oldest copies; the ones in use are younger than the kept few, or locked."""
    others = [path for path in current.parent.iterdir() if path != current and path.is_dir()]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    month = time.time() - 30 * 86400
    for path in others[keep:]:
        if path.stat().st_mtime < month:
            shutil.rmtree(path, ignore_errors=True)


# -- processes -----------------------------------------------------------------------------------


def _spawn(module: str, function: str, home: Path, log: IO[bytes], extra: dict[str, str]) -> None:
    root = runtime_copy(home)
    command = [
        sys.executable,
        "-I",
        "-c",
        _BOOT.format(module=module, function=function),
        str(root),
        str(root / "site"),
        str(home),
    ]
    environment = {**os.environ, "SCENE_COURIER_HOME": str(home), **extra}
    for name in ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP"):
        environment.pop(name, None)
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    options: dict[str, Any] = {}
    if sys.platform == "win32":
        options["creationflags"] = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    else:
        options["start_new_session"] = True
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=home,
        env=environment,
        close_fds=True,
        **options,
    )
    _children.append(process)


#: what this process started and has not yet seen to end
_children: list[subprocess.Popen[bytes]] = []


def _reap() -> None:
    """Let go of children that have ended; in a long session of Blender they would pile up."""
    _children[:] = [child for child in _children if child.poll() is None]


@atexit.register
def _leave_children() -> None:
    for child in _children:
        # It lives on by itself; without this Python warns that a child was left running.
        child.returncode = 0


def _log(home: Path) -> IO[bytes]:
    """What the detached processes print; the last one is kept when it has grown large."""
    path = home / "worker.log"
    with contextlib.suppress(OSError):
        # Windows refuses while a process writes to it; then it waits for the next start.
        if path.stat().st_size > _LOG_BYTES:
            os.replace(path, path.with_name("worker.log.1"))
    return open(path, "ab")


def locked(path: Path) -> bool:
    """True when a living process holds this lock file."""
    from filelock import FileLock, Timeout

    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def worker_running(home: Path) -> bool:
    """True when this data folder's worker lives."""
    return locked(home / WORKER_LOCK)


def ensure_worker(home: Path) -> bool:
    """Start the worker unless it runs; a running one of another version or account makes room.

    True when one was started. Raises ProblemError(DISK, INTERNAL) when it cannot be started.
    Harmless to call often.
    """
    if os.environ.get(NO_WORKER):
        return False
    _reap()
    ensure_home(home)
    if worker_running(home) and not _must_make_room(home):
        return False
    try:
        with _log(home) as log:
            _spawn("worker", "main", home, log, {})
        return True
    except OSError as error:
        if no_room(error):
            raise disk_problem(error, home / "runtime") from None
        raise ProblemError(
            Category.INTERNAL,
            "The background worker cannot be started.",
            f"Look at “{home / 'worker.log'}”; antivirus programs may block it.",
            f"{type(error).__name__}: {error}",
        ) from None


def wait_for_worker(home: Path, seconds: float = 15.0) -> bool:
    """Wait until a worker holds the lock; True when it does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if worker_running(home):
            return True
        time.sleep(0.05)
    return False


def _must_make_room(home: Path) -> bool:
    """Ask a running worker to leave if it is older, or lacks the keys of this environment."""
    from .accounts import environment_print
    from .store import Store

    with Store.open(home) as store:
        info = store.setting("worker", {})
        mine = environment_print(store)
        lacks = {name for name, value in mine.items() if info.get("env", {}).get(name) != value}
        older = _version(str(info.get("version", "0"))) < _version(__version__)
        if not lacks and not older:
            return False
        if locked(home / NEXT_LOCK):
            # A successor waits already; a step of the old one may take long.
            return False
        store.set_setting("worker_leave", {"pid": info.get("pid"), "at": time.time()})
        return True


def stop_worker(home: Path) -> None:
    """Ask the worker to finish its step and leave, for no successor."""
    from .store import Store

    with Store.open(home) as store:
        info = store.setting("worker", {})
        store.set_setting("worker_leave", {"pid": info.get("pid"), "at": time.time(), "stop": True})


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


# -- the sandbox ---------------------------------------------------------------------------------


def ensure_sandbox(home: Path, captured: dict[str, Any] | None = None) -> dict[str, Any]:
    """Start this computer's sandbox unless it runs, and return its addresses and keys.

    ``captured`` is the Blender that captured the scene; it converts if it can write USD, and
    renders what it saved. Returns ``{"rigyd": {"base_url": ..., "api_key": ...}, "renderjuice":
    ...}``. Raises ProblemError(BLENDER, INTERNAL).
    """
    from filelock import FileLock, Timeout

    folder = home / "sandbox"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _note_blender(folder, captured)
    known = _running_sandbox(folder)
    if known and not _lacks_blender(folder):
        return known
    with contextlib.suppress(Timeout), FileLock(folder / _STARTING_LOCK, timeout=300):
        # Several jobs may need it at once; one of them starts it, the others find it running.
        known = _running_sandbox(folder)
        if known and _lacks_blender(folder) and sandbox_blender(home, captured):
            # A Blender that can convert was named since; the sandbox's jobs lie on disk.
            _end_sandbox(folder, known)
            known = None
        if known is None:
            known = _start_sandbox(home, folder, captured)
        if known:
            return known
    raise ProblemError(
        Category.INTERNAL,
        "The sandbox does not start.",
        f"Look at “{home / 'worker.log'}”.",
        "no address after 30 s",
    )


def _note_blender(folder: Path, captured: dict[str, Any] | None) -> None:
    """Let the sandbox know of the Blender that captured; one that runs reads it for each job."""
    executable = str((captured or {}).get("executable") or "")
    path = folder / _BLENDERS
    found: list[str] = []
    with contextlib.suppress(OSError, ValueError, TypeError):
        found = [str(item) for item in json.loads(path.read_text(encoding="utf-8"))]
    if not executable or found[:1] == [executable]:
        return
    known = [executable, *(item for item in found if item != executable)][:_MOST_BLENDERS]
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(known), encoding="utf-8")
    os.replace(temporary, path)


def _running_sandbox(folder: Path) -> dict[str, Any] | None:
    """The address of a sandbox that lives; a killed one leaves its address behind."""
    known = _read_address(folder / "address.json")
    return known if known and locked(folder / SANDBOX_LOCK) else None


def _start_sandbox(
    home: Path, folder: Path, captured: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Start a sandbox unless one is just starting; its address, or None after half a minute."""
    if not locked(folder / SANDBOX_LOCK):
        (folder / "address.json").unlink(missing_ok=True)
        extra = {}
        program = sandbox_blender(home, captured)
        if program:
            extra["SCENE_COURIER_BLENDER"] = program
        (folder / _PROGRAM).write_text(program or "", encoding="utf-8")
        with _log(home) as log:
            _spawn("sandbox.managed", "main", home, log, extra)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        known = _read_address(folder / "address.json")
        if known:
            return known
        time.sleep(0.05)
    return None


def _read_address(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _lacks_blender(folder: Path) -> bool:
    """True for a sandbox that was started when no Blender with USD was known."""
    try:
        return not (folder / _PROGRAM).read_text(encoding="utf-8").strip()
    except OSError:
        return False


def _end_sandbox(folder: Path, known: dict[str, Any]) -> None:
    with contextlib.suppress(OSError, KeyError, TypeError, ValueError):
        os.kill(int(known["pid"]), signal.SIGTERM)
    end = time.monotonic() + 15
    while locked(folder / SANDBOX_LOCK) and time.monotonic() < end:
        time.sleep(0.05)


def sandbox_blender(home: Path, captured: dict[str, Any] | None) -> str | None:
    """The Blender that converts: as asked, the job's own, or another one that sent a job here.

    One that is there but cannot write USD is passed over; what SCENE_COURIER_BLENDER names wrongly
    is not, so that it is reported. The last choice is this Python, if it has bpy. None means that
    none can; the sandbox says so itself.
    """
    from .blender import probe
    from .store import Store

    asked = os.environ.get("SCENE_COURIER_BLENDER", "").strip()
    candidates = [asked] if asked else []
    if captured and captured.get("executable"):
        candidates.append(str(captured["executable"]))
    with Store.open(home) as store:
        seen = store.setting("blenders", {})
    candidates += sorted(seen, key=lambda path: float(seen[path]), reverse=True)
    candidates.append(sys.executable)
    for executable in dict.fromkeys(candidates):
        try:
            if probe(executable).usd:
                return executable
        except ProblemError:
            if executable == asked:
                return asked
    return None
