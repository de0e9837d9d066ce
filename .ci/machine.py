# SPDX-License-Identifier: GPL-3.0-or-later
"""What this computer offers to the environments: a cache, its Pythons, its system libraries.

Only ``ensure_system_libraries`` and ``ensure_python`` change anything, and only as root, by the
system's own package manager; everybody else is told what to install.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

INSTALL_SECONDS = 1800

# What the bpy packages link to or load: shared library, package in Debian and Ubuntu, package in
# Fedora. The last two are what draws without a display.
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
def locked(path: Path, waiting: str) -> Iterator[int]:
    """Hold an exclusive lock on ``path`` between processes; yields its file descriptor.

    ``waiting`` is said once if it takes time. A child that inherits the descriptor holds it too.
    """
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
        yield handle.fileno()  # closing the file gives the lock back


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


# --------------------------------------------------------------------------------------------------
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

    A name on the PATH proves nothing: a version manager's shim is there for every version that it
    has ever heard of and fails when called, and Debian's Python comes without ``ensurepip`` unless
    asked.
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


# --------------------------------------------------------------------------------------------------
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

    Raises EnvError only on Linux, and only when something is missing that this process may not
    install.
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
    """``find_python``, after a try to install it where the system's own packages have it (root
    only).
    """
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
