# SPDX-License-Identifier: GPL-3.0-or-later
"""The environments that building and testing need: made once, kept in a cache outside the clone.

    python .ci/env.py                 make what is missing, all of it
    python .ci/env.py b50 lint        only these
    python .ci/env.py --list          what there is and where
    python .ci/env.py --exec b52 -m bridge --version     run something in one of them
    python .ci/env.py --exec newest script.py            ... in the newest Blender that is present

There is one environment for each Blender (the ``bpy`` package of that version, on the Python that
version is made for), one for NVIDIA's validator and one for the linters; ``.ci/requirements`` pins
their contents. The cache is ``SCENE_COURIER_CACHE``, by default ``~/.cache/scene-courier``.

It uses the standard library only, runs on any Python from 3.11 on, and never touches the clone, the
user's site-packages or a system Python. As root, and only then, it installs the system libraries
Blender links to.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from machine import (
    INSTALL_SECONDS,
    EnvError,
    cache_dir,
    clean_environment,
    ensure_python,
    ensure_system_libraries,
    locked,
    log_file,
    say,
)

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
REQUIREMENTS = HERE / "requirements"

PROBE_SECONDS = 180


@dataclass(frozen=True)
class Env:
    """One environment: its Python, and a statement that proves that it works.

    ``title`` is what a person calls it; ``blender`` says whether it holds a Blender.
    """

    name: str
    title: str
    python: str
    probe: str
    blender: bool = False

    @property
    def requirements(self) -> Path:
        return REQUIREMENTS / f"{self.name}.txt"

    def pins(self) -> str:
        """The requirements with every ``-r`` put in: what the environment is keyed by."""
        lines = []
        for line in self.requirements.read_text(encoding="utf-8").splitlines():
            if line.startswith("-r "):
                lines.append((REQUIREMENTS / line[3:].strip()).read_text(encoding="utf-8"))
            else:
                lines.append(line)
        return "\n".join(lines)

    def key(self) -> str:
        return hashlib.sha256(f"{self.python}\n{self.pins()}".encode()).hexdigest()[:12]

    def folder(self) -> Path:
        return cache_dir() / "envs" / f"{self.name}-{self.key()}"

    def executable(self) -> Path:
        scripts = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        return self.folder() / scripts


BPY_PROBE = "import bpy; print(bpy.app.version_string)"
ENVS = {
    env.name: env
    for env in (
        Env("b52", "Blender 5.2.3", "3.13", BPY_PROBE, blender=True),
        Env("b50", "Blender 5.0.1", "3.11", BPY_PROBE, blender=True),
        Env("b45", "Blender 4.5.15", "3.11", BPY_PROBE, blender=True),
        Env("b42", "Blender 4.2.23", "3.11", BPY_PROBE, blender=True),
        Env("validator", "SimReady validator", "3.11", "import pxr.Usd, PIL"),
        Env("lint", "linters", "3.11", "import mypy, ruff"),
    )
}
BLENDERS = tuple(env.name for env in ENVS.values() if env.blender)


def is_complete(env: Env) -> bool:
    """Whether the environment was finished and its Python still runs (its base may have been
    removed).
    """
    if not (env.folder() / "complete.json").is_file():
        return False
    try:
        done = subprocess.run(
            [env.executable(), "-I", "-c", "import pip"],
            capture_output=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _run(
    env: Env, what: str, command: list[str | Path], log: Path, seconds: float, lock: int
) -> None:
    """Run one step of an installation, with a line of progress now and then.

    The step inherits the lock, and so keeps it if this process is killed: nobody else starts on the
    same folder while it still writes. Raises EnvError if the step fails.
    """
    started = time.monotonic()
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=clean_environment(),
            cwd=cache_dir(),
            pass_fds=() if os.name == "nt" else (lock,),
        )
        while True:
            try:
                code = process.wait(timeout=20)
                break
            except subprocess.TimeoutExpired:
                passed = time.monotonic() - started
                say(f"[env] {env.name}: {what}, {passed:.0f} s so far")
                if passed > seconds:
                    process.kill()
                    process.wait()
                    code = -1
                    break
            except BaseException:
                process.kill()
                process.wait()
                raise
    if code:
        tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-12:]
        raise EnvError(
            f"{env.title}: {what} failed (exit code {code}). The end of {log}:\n    "
            + "\n    ".join(tail)
        )


def build(env: Env, base: Path, lock: int) -> None:
    """Make the environment from nothing. It counts only once ``complete.json`` is there.

    It is built where it will stay, as a virtual environment holds its own path; whatever an
    interrupted build left is removed first. One call of pip for everything, so that it chooses one
    numpy that suits both Blender and the rest.
    """
    folder = env.folder()
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = log_file(f"env-{env.name}")
    log.write_bytes(b"")
    started = time.monotonic()
    say(f"[env] {env.name}: installing {env.title} on Python {env.python} ({base})")
    _run(env, "creating", [base, "-I", "-m", "venv", folder], log, 300, lock)
    pip: list[str | Path] = [env.executable(), "-I", "-m", "pip", "--disable-pip-version-check"]
    pip += ["--no-input", "install", "--progress-bar", "off", "--retries", "8", "--timeout", "60"]
    for attempt in (1, 2, 3):
        try:
            _run(env, "installing", [*pip, "-r", env.requirements], log, INSTALL_SECONDS, lock)
            break
        except EnvError:
            if attempt == 3:
                raise
            say(f"[env] {env.name}: the installation failed, trying again")
            time.sleep(5 * attempt)
    _run(env, "checking", [env.executable(), "-I", "-c", env.probe], log, PROBE_SECONDS, lock)
    marker = {"name": env.name, "python": env.python, "pins": env.pins().splitlines()}
    temporary = folder / "complete.json.part"
    temporary.write_text(json.dumps(marker, indent=1), encoding="utf-8")
    temporary.replace(folder / "complete.json")
    say(f"[env] {env.name}: ready after {time.monotonic() - started:.0f} s")


def ensure(env: Env) -> Path:
    """The environment's Python, made if need be; EnvError when that cannot be done."""
    if is_complete(env):
        return env.executable()
    base, reason = ensure_python(env.python)
    if base is None:
        raise EnvError(f"{env.title} needs Python {env.python}: {reason}")
    waiting = f"[env] {env.name}: another process is installing it, waiting"
    with locked(cache_dir() / "envs" / f"{env.name}.lock", waiting) as lock:
        if not is_complete(env):
            build(env, base, lock)
            _remove_older(env)
    return env.executable()


def _remove_older(env: Env) -> None:
    """Remove environments of the same name with other pins; each takes about a gigabyte.

    One that was used within the last day may belong to another clone, and stays.
    """
    for folder in env.folder().parent.glob(f"{env.name}-*"):
        marker = folder / "complete.json"
        if folder == env.folder() or not folder.is_dir():
            continue
        if not marker.is_file() or time.time() - marker.stat().st_mtime > 86400:
            shutil.rmtree(folder, ignore_errors=True)


def ensure_all(names: list[str], workers: int = 2) -> tuple[dict[str, Path], dict[str, str]]:
    """Make environments side by side: name -> Python, and name -> why it could not be made."""
    ready: dict[str, Path] = {}
    failed: dict[str, str] = {}
    todo = list(names)
    guard = threading.Lock()

    def work() -> None:
        while True:
            with guard:
                if not todo:
                    return
                name = todo.pop(0)
            try:
                ready[name] = ensure(ENVS[name])
                if ENVS[name].folder().joinpath("complete.json").is_file():
                    os.utime(ENVS[name].folder() / "complete.json")
            except EnvError as error:
                failed[name] = str(error)
            except Exception as error:
                failed[name] = f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=work) for _ in range(max(1, workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: ready[name] for name in names if name in ready}, failed


def newest_blender() -> Env:
    """The newest Blender whose Python this computer has."""
    for name in BLENDERS:
        if is_complete(ENVS[name]) or ensure_python(ENVS[name].python)[0]:
            return ENVS[name]
    pythons = " or ".join(sorted({ENVS[name].python for name in BLENDERS}))
    raise EnvError(f"Blender as a Python package needs Python {pythons}; neither was found.")


def main(arguments: list[str]) -> int:
    """The command line; 0 when everything asked for is there."""
    if arguments[:1] == ["--exec"] and len(arguments) > 1:
        name, *command = arguments[1:]
        env = newest_blender() if name == "newest" else ENVS[name]
        if env.blender:
            ensure_system_libraries()
        python = ensure(env)
        environment = clean_environment()
        environment.setdefault("LIBGL_ALWAYS_SOFTWARE", "1")
        os.execve(python, [str(python), *command], environment)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", choices=[*ENVS, []], help="environments; all by default"
    )
    parser.add_argument("--list", action="store_true", help="only say what there is")
    chosen = parser.parse_args(arguments)
    names = chosen.names or list(ENVS)
    if chosen.list:
        for name in names:
            state = "ready" if is_complete(ENVS[name]) else "not made yet"
            say(f"{name:10} {ENVS[name].title:20} {state:13} {ENVS[name].executable()}")
        return 0
    if any(ENVS[name].blender for name in names):
        ensure_system_libraries()
    ready, failed = ensure_all(names)
    for name, python in ready.items():
        say(f"[env] {name}: {python}")
    for name, reason in failed.items():
        say(f"[env] {name}: left out. {reason}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except EnvError as problem:
        sys.exit(f"[env] {problem}")
