# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a recipe in a headless Blender: streams its progress, bounds its time, reads its result.

A "program" is either the Blender application or a Python that has the ``bpy`` module (the wheel).
The result file decides whether a recipe worked, never the exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .problems import Canceled, Category, ProblemError

_RUN = Path(__file__).resolve().parents[1] / "addon" / "recipes" / "run.py"
_MARK = "@courier "
_PROBE = (
    "import json, bpy\n"
    "getattr(bpy.utils, 'expose_bundled_modules', lambda: None)()\n"
    "try:\n    import pxr; usd = True\nexcept ImportError:\n    usd = False\n"
    "print('@courier ' + json.dumps({'version': list(bpy.app.version), 'usd': usd}), flush=True)\n"
    "import os; os._exit(0)\n"
)


@dataclass(frozen=True)
class BlenderProgram:
    """A Blender that can run recipes.

    ``kind`` is "app" or "wheel"; ``version`` e.g. (5, 0, 1); ``usd`` says whether its Python has
    the bundled ``pxr`` modules (the 4.2 wheel and some distributions' builds have not).
    """

    executable: str
    kind: str
    version: tuple[int, int, int]
    usd: bool


def _looks_like_python(executable: str) -> bool:
    name = Path(executable).name.lower()
    return bool(re.fullmatch(r"python[\d.]*(\.exe)?", name))


def _environment(program_kind: str) -> dict[str, str]:
    """The child's environment: without secrets, and deaf to the user's Python settings."""
    keep = {
        key: value
        for key, value in os.environ.items()
        if not key.endswith(("_API_KEY", "_TOKEN", "_SECRET", "_PASSWORD"))
        and key not in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP")
    }
    keep["PYTHONDONTWRITEBYTECODE"] = "1"
    keep["PYTHONIOENCODING"] = "utf-8"
    if program_kind == "app":
        keep["PYTHONUTF8"] = "1"
    return keep


def _hidden() -> dict[str, Any]:
    """Popen arguments: no console window on Windows, a process group of its own elsewhere."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


_probed: dict[tuple[str, float], BlenderProgram] = {}
_probe_lock = threading.Lock()


def probe(executable: str) -> BlenderProgram:
    """Ask a Blender (application, or Python with bpy) what it is.

    Raises ProblemError(BLENDER) when it cannot be started or has no bpy. Answers are remembered
    for the life of the process, by path and modification time.
    """
    try:
        key = (executable, os.stat(executable).st_mtime)
    except OSError as error:
        raise ProblemError(
            Category.BLENDER,
            "The Blender that should do the work is not there.",
            "Set SCENE_COURIER_BLENDER to a Blender, or to a Python that has the bpy module.",
            f"{executable}: {error.strerror or error}",
        ) from None
    with _probe_lock:
        if key not in _probed:
            _probed[key] = _ask(executable)
        return _probed[key]


def _ask(executable: str) -> BlenderProgram:
    kind = "wheel" if _looks_like_python(executable) else "app"
    if kind == "wheel":
        command = [executable, "-I", "-c", _PROBE]
    else:
        command = [
            executable,
            "--background",
            "--factory-startup",
            "--disable-autoexec",
            "--python-expr",
            _PROBE,
        ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=120,
            env=_environment(kind),
            stdin=subprocess.DEVNULL,
            **_hidden(),
        )
        output, technical = done.stdout, done.stderr.strip()[-300:]
    except (OSError, subprocess.TimeoutExpired) as error:
        output, technical = "", str(error)
    for line in output.splitlines():
        if line.startswith(_MARK):
            answer = json.loads(line[len(_MARK) :])
            major, minor, patch = (int(number) for number in answer["version"])
            return BlenderProgram(executable, kind, (major, minor, patch), bool(answer["usd"]))
    raise ProblemError(
        Category.BLENDER,
        "The Blender that should do the work does not start.",
        "Set SCENE_COURIER_BLENDER to a Blender, or to a Python that has the bpy module.",
        f"{executable}: {technical}",
    )


def find_blender(
    captured: dict[str, Any] | None = None, *, need_usd: bool = False
) -> BlenderProgram:
    """The Blender that runs a recipe.

    The one that captured the scene (``capture.json``'s "blender" entry); without a capture,
    ``SCENE_COURIER_BLENDER``, else this Python if it has bpy. With ``need_usd`` (the sandbox's
    converter) a capturing Blender without USD gives way to the next choice.

    Raises ProblemError(BLENDER) when there is none.
    """
    asked = os.environ.get("SCENE_COURIER_BLENDER", "").strip()
    candidates = []
    if captured and captured.get("executable") and not (need_usd and asked):
        candidates.append(str(captured["executable"]))
    if asked:
        candidates.append(asked)
    if not candidates or need_usd:
        candidates.append(sys.executable)
    last: ProblemError | None = None
    for executable in candidates:
        try:
            program = probe(executable)
        except ProblemError as error:
            if executable == asked:
                # What somebody named wrongly is told, not replaced.
                raise
            last = last or error
            continue
        if need_usd and not program.usd:
            last = ProblemError(
                Category.BLENDER,
                f"Blender {'.'.join(map(str, program.version))} here cannot write USD.",
                "Install Blender 4.5 or newer and set SCENE_COURIER_BLENDER to it.",
                f"{program.executable}: no pxr",
            )
            continue
        return program
    assert last is not None
    raise last


def _command(program: BlenderProgram, name: str, params: Path, result: Path) -> list[str]:
    arguments = [name, str(params), str(result)]
    if program.kind == "wheel":
        return [program.executable, "-I", str(_RUN), *arguments]
    return [
        program.executable,
        "--background",
        "--factory-startup",
        "--disable-autoexec",
        "--python",
        str(_RUN),
        "--",
        *arguments,
    ]


def _stop(process: subprocess.Popen[str]) -> None:
    """End the child and what it started."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)


def _hang_up(process: subprocess.Popen[str], reader: threading.Thread) -> None:
    """Close the pipes of a child that has ended, without waiting for what it left running."""
    reader.join(2)
    if reader.is_alive() and sys.platform != "win32":
        # Something that it started holds its output open; a close would wait for the reader.
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        reader.join(2)
    for stream in (process.stdin, None if reader.is_alive() else process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _read_lines(
    process: subprocess.Popen[str],
    tail: deque[str],
    reports: deque[tuple[float, str]],
    extras: deque[dict[str, Any]],
    log: Callable[[str], None] | None,
) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        text = line.rstrip("\n")
        if text.startswith(_MARK):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                data = json.loads(text[len(_MARK) :])
                reports.append((float(data["fraction"]), str(data["text"])))
                if "extra" in data:
                    extras.append(dict(data["extra"]))
            continue
        tail.append(text)
        if log is not None and text.strip():
            log(text)


def run_recipe(
    name: str,
    params: dict[str, Any],
    *,
    workdir: Path,
    program: BlenderProgram,
    timeout: float = 3600.0,
    on_progress: Callable[[float, str], None] | None = None,
    on_extra: Callable[[dict[str, Any]], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    log: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run recipe ``name`` with ``params`` (JSON-able) and return its result.

    ``workdir`` keeps ``<name>.params.json`` and ``<name>.result.json``. ``timeout`` is in seconds.
    ``on_progress`` is called on the caller's thread with the latest report, ``on_extra`` with each
    extra that a recipe reported, in order, before this returns or raises the recipe's problem;
    ``log`` (a line of Blender's output) is called on another thread. Raises the recipe's own
    ProblemError, ProblemError(BLENDER) when it crashed or ran out of time, and Canceled. If this
    process dies, the recipe's process ends too.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    params_path = workdir / f"{name}.params.json"
    result_path = workdir / f"{name}.result.json"
    result_path.unlink(missing_ok=True)
    params_path.write_text(json.dumps(params, ensure_ascii=False), encoding="utf-8")
    process = subprocess.Popen(
        _command(program, name, params_path, result_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**_environment(program.kind), "SCENE_COURIER_WATCH": "1"},
        cwd=workdir,
        **_hidden(),
    )
    tail: deque[str] = deque(maxlen=40)
    reports: deque[tuple[float, str]] = deque(maxlen=1)
    extras: deque[dict[str, Any]] = deque()
    reader = threading.Thread(
        target=_read_lines, args=(process, tail, reports, extras, log), daemon=True
    )
    reader.start()

    def tell() -> None:
        if reports and on_progress is not None:
            on_progress(*reports.pop())
        while extras:
            extra = extras.popleft()
            if on_extra is not None:
                on_extra(extra)

    deadline = time.monotonic() + timeout
    try:
        while process.poll() is None:
            if cancelled():
                raise Canceled()
            tell()
            if time.monotonic() > deadline:
                raise ProblemError(
                    Category.BLENDER,
                    "Blender took too long and was stopped.",
                    "Try again with fewer or simpler objects; the job's log shows how far it came.",
                    f"recipe {name}: no result after {timeout:.0f} s",
                )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
    finally:
        if process.poll() is None:
            _stop(process)
        _hang_up(process, reader)
    tell()
    return _result(name, result_path, process.returncode, tail)


def _result(name: str, path: Path, code: int | None, tail: deque[str]) -> dict[str, Any]:
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        last = " | ".join(line for line in list(tail)[-3:] if line.strip())
        raise ProblemError(
            Category.BLENDER,
            "Blender stopped before it had finished.",
            "It may have crashed or run out of memory. Retry the job; if it happens again, "
            "look at the job's log.",
            f"recipe {name}: exit code {code}; {last}"[:500],
        ) from None
    if answer.get("ok"):
        return dict(answer["result"])
    from .problems import Problem

    raise ProblemError.of(Problem.from_dict(answer.get("problem") or {}))
