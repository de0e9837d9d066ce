# SPDX-License-Identifier: GPL-3.0-or-later
"""The environments that building and testing need: made once, kept in a cache outside the clone.

    python .ci/env.py                 make what is missing, all of it
    python .ci/env.py b50 lint        only these
    python .ci/env.py --list          what there is and where
    python .ci/env.py --exec b52 -m bridge --version     run something in one of them
    python .ci/env.py --exec newest script.py            ... in the newest Blender that is present

There is one environment for each Blender (the ``bpy`` package of that version, on the Python that version
is made for), one for NVIDIA's validator and one for the linters; ``.ci/requirements`` pins their contents.
The cache is ``SCENE_COURIER_CACHE``, by default ``~/.cache/scene-courier``.

It uses the standard library only, runs on any Python from 3.11 on, and never touches the clone, the user's
site-packages or a system Python. As root, and only then, it installs the system libraries Blender links to.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
REQUIREMENTS = HERE / "requirements"

INSTALL_SECONDS = 1800
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
        """The text of the requirements with every ``-r`` put in: what the environment is keyed by."""
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

# What the bpy packages link to or load: shared library, package in Debian and Ubuntu, package in Fedora.
# The last two are what draws without a display.
SYSTEM_LIBRARIES = (
    ("libX11.so.6", "libx11-6", "libX11"),
    ("libXext.so.6", "libxext6", "libXext"),
    ("libXrender.so.1", "libxrender1", "libXrender"),
    ("libXfixes.so.3", "libxfixes3", "libXfixes"),
    ("libXi.so.6", "libxi6", "libXi"),
    ("libXxf86vm.so.1", "libxxf86vm1", "libXxf86vm"),
    ("libxkbcommon.so.0", "libxkbcommon0", "libxkbcommon"),
    ("libSM.so.6", "libsm6", "libSM"),
    ("libICE.so.6", "libice6", "libICE"),
    ("libXt.so.6", "libxt6", "libXt"),
    ("libgomp.so.1", "libgomp1", "libgomp"),
    ("libGL.so.1", "libgl1", "libglvnd-glx"),
    ("libEGL.so.1", "libegl1", "libglvnd-egl"),
    ("libEGL_mesa.so.0", "libegl-mesa0", "mesa-libEGL"),
    ("libGLX_mesa.so.0", "libglx-mesa0", "mesa-libGL"),
)
# libEGL_mesa loads without its drivers, so these are asked for whenever it is missing.
MESA_DRIVERS = ("libgl1-mesa-dri", "mesa-dri-drivers")


class EnvError(Exception):
    """An environment cannot be made; the text says why, and what to do."""


def say(text: str) -> None:
    """One line of progress, at once, also when the output is a pipe."""
    print(text, flush=True)


def cache_dir() -> Path:
    """The folder that outlives clones."""
    given = os.environ.get("SCENE_COURIER_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "scene-courier"


@contextlib.contextmanager
def locked(path: Path, waiting: str) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` between processes; ``waiting`` is said once if it takes time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as handle:
        said = False
        while True:
            try:
                if os.name == "nt":
                    import msvcrt

                    handle.seek(0)
                    msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
                else:
                    import fcntl

                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if not said:
                    say(waiting)
                    said = True
                time.sleep(0.5)
        yield  # closing the file gives the lock back


# ----------------------------------------------------------------------------------------------------------
# Finding Pythons


def _candidates(version: str) -> Iterator[Path]:
    given = os.environ.get("SCENE_COURIER_PYTHON" + version.replace(".", ""))
    if given:
        yield Path(given)
    if "{}.{}".format(*sys.version_info) == version:
        yield Path(sys.executable)
    name = f"python{version}" + (".exe" if os.name == "nt" else "")
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if folder:
            yield Path(folder) / name
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv")
    patterns = (
        (pyenv / "versions", f"{version}*/bin/{name}"),
        (home / ".local/share/uv/python", f"cpython-{version}*/bin/{name}"),
        (Path("/usr/local/bin"), name),
        (Path("/usr/bin"), name),
        (Path("/opt"), f"*/bin/{name}"),
        (Path("/Library/Frameworks/Python.framework/Versions"), f"{version}/bin/{name}"),
        (Path("/opt/homebrew/bin"), name),
    )
    for folder, pattern in patterns:
        if folder.is_dir():
            yield from sorted(folder.glob(pattern), reverse=True)


def find_python(version: str) -> tuple[Path | None, str]:
    """A Python of that version that really runs and can make environments, or None and the reason.

    A name on the PATH proves nothing: a version manager's shim is there for every version that it has ever
    heard of and fails when called, and Debian's Python comes without ``ensurepip`` unless asked.
    """
    check = (
        "import ctypes, ensurepip, sqlite3, ssl, sys, venv; print('%d.%d' % sys.version_info[:2])"
    )
    reasons = []
    seen = set()
    for candidate in _candidates(version):
        if candidate in seen or not candidate.is_file():
            continue
        seen.add(candidate)
        try:
            done = subprocess.run(
                [candidate, "-I", "-c", check],
                capture_output=True,
                text=True,
                timeout=60,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reasons.append(f"{candidate}: {error}")
            continue
        if done.returncode == 0 and done.stdout.strip() == version:
            return candidate, ""
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        reasons.append(f"{candidate} does not serve: {''.join(last) or done.returncode}")
    return None, "; ".join(reasons) or f"no python{version} was found"


# ----------------------------------------------------------------------------------------------------------
# System libraries


def missing_libraries() -> list[tuple[str, str, str]]:
    """The rows of SYSTEM_LIBRARIES that this computer's loader does not find. Linux only."""
    if sys.platform != "linux":
        return []
    missing = []
    for row in SYSTEM_LIBRARIES:
        try:
            ctypes.CDLL(row[0])
        except OSError:
            missing.append(row)
    return missing


def apt_install(packages: list[str]) -> bool:
    """Install Debian packages as root; False where that is not possible."""
    apt = shutil.which("apt-get")
    if not apt or os.geteuid() != 0:
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    log = log_file("apt")
    with locked(cache_dir() / "apt.lock", "[env] waiting for another installation"):
        for arguments in (
            ["update"],
            ["install", "-y", "--no-install-recommends", *packages],
        ):
            with open(log, "ab") as output:
                done = subprocess.run(
                    [apt, "-o", "DPkg::Lock::Timeout=300", *arguments],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=INSTALL_SECONDS,
                )
            # A failed update still leaves lists that may serve; a failed install is final.
            if done.returncode and arguments[0] == "install":
                say(f"[env] apt-get install failed; see {log}")
                return False
    return True


def ensure_system_libraries() -> None:
    """Install what Blender's libraries miss, or say exactly what is to be installed.

    Raises EnvError only on Linux, and only when something is missing that this process may not install.
    """
    missing = missing_libraries()
    if not missing:
        return
    debian = [row[1] for row in missing]
    fedora = [row[2] for row in missing]
    if any("mesa" in row[0] for row in missing):
        debian.append(MESA_DRIVERS[0])
        fedora.append(MESA_DRIVERS[1])
    say(f"[env] Blender needs system libraries that are missing: {', '.join(debian)}")
    if apt_install(debian):
        still = missing_libraries()
        if not still:
            return
        missing = still
    names = " ".join(row[0] for row in missing)
    raise EnvError(
        f"System libraries that Blender needs are missing ({names}). Please install them:\n"
        f"    Debian, Ubuntu:  sudo apt-get install {' '.join(debian)}\n"
        f"    Fedora:          sudo dnf install {' '.join(fedora)}"
    )


def ensure_python(version: str) -> tuple[Path | None, str]:
    """``find_python``, after a try to install it where the system's own packages have it (root only)."""
    found, reason = find_python(version)
    if found or sys.platform != "linux" or not shutil.which("apt-cache"):
        return found, reason
    policy = subprocess.run(
        ["apt-cache", "policy", f"python{version}-venv"], capture_output=True, text=True, timeout=60
    )
    if "Candidate:" not in policy.stdout or "Candidate: (none)" in policy.stdout:
        return None, reason
    if apt_install([f"python{version}", f"python{version}-venv"]):
        return find_python(version)
    return None, f"{reason}; the packages python{version} and python{version}-venv have it"


# ----------------------------------------------------------------------------------------------------------
# Environments


def log_file(name: str) -> Path:
    """Where the output of an installation goes."""
    folder = cache_dir() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"


def clean_environment() -> dict[str, str]:
    """This process's environment without what would lead another Python astray."""
    drop = {"PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    kept = {name: value for name, value in os.environ.items() if name not in drop}
    kept["PYTHONNOUSERSITE"] = "1"
    return kept


def is_complete(env: Env) -> bool:
    """Whether the environment was finished and its Python still runs (its base may have been removed)."""
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


def _run(env: Env, what: str, command: list[str | Path], log: Path, seconds: float) -> None:
    """Run one step of an installation, with a line of progress now and then; raise EnvError if it fails."""
    started = time.monotonic()
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=clean_environment(),
            cwd=cache_dir(),
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


def build(env: Env, base: Path) -> None:
    """Make the environment from nothing. It counts only once ``complete.json`` is there.

    It is built where it will stay, as a virtual environment holds its own path; whatever an interrupted
    build left is removed first. One call of pip for everything, so that it chooses one numpy that suits
    both Blender and the rest.
    """
    folder = env.folder()
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = log_file(f"env-{env.name}")
    log.write_bytes(b"")
    started = time.monotonic()
    say(f"[env] {env.name}: installing {env.title} on Python {env.python} ({base})")
    _run(env, "creating", [base, "-I", "-m", "venv", folder], log, 300)
    pip: list[str | Path] = [env.executable(), "-I", "-m", "pip", "--disable-pip-version-check"]
    pip += ["--no-input", "install", "--progress-bar", "off", "--retries", "8", "--timeout", "60"]
    for attempt in (1, 2, 3):
        try:
            _run(env, "installing", [*pip, "-r", env.requirements], log, INSTALL_SECONDS)
            break
        except EnvError:
            if attempt == 3:
                raise
            say(f"[env] {env.name}: the installation failed, trying again")
            time.sleep(5 * attempt)
    _run(env, "checking", [env.executable(), "-I", "-c", env.probe], log, PROBE_SECONDS)
    marker = {"name": env.name, "python": env.python, "pins": env.pins().splitlines()}
    temporary = folder / "complete.json.part"
    temporary.write_text(json.dumps(marker, indent=1), encoding="utf-8")
    temporary.replace(folder / "complete.json")
    say(f"[env] {env.name}: ready after {time.monotonic() - started:.0f} s")


def ensure(env: Env) -> Path:
    """The environment's Python, made if need be. Raises EnvError, also when its Python is missing."""
    if is_complete(env):
        return env.executable()
    base, reason = ensure_python(env.python)
    if base is None:
        raise EnvError(f"{env.title} needs Python {env.python}: {reason}")
    waiting = f"[env] {env.name}: another process is installing it, waiting"
    with locked(cache_dir() / "envs" / f"{env.name}.lock", waiting):
        if not is_complete(env):
            build(env, base)
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
    """Make several environments side by side: name -> Python, and name -> why it could not be made."""
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
    parser.add_argument("names", nargs="*", choices=[*ENVS, []], help="environments; all by default")
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
