# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the installable extension into ``dist/``, with Blender's own builder, and validate it.

    python .ci/build.py               fetch wheels, build, validate
    python .ci/build.py --pin         write .ci/wheels.sha256 anew: the manifest's wheels changed

The manifest's list of wheels is the only list: each file name says project, version, Python and
platform, and pip fetches exactly that file. What came is compared with the recorded checksum, kept
in the cache outside the clone, and linked into ``wheels/``, where the manifest looks for it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import env
import machine

ROOT = env.ROOT
MANIFEST = ROOT / "blender_manifest.toml"
CHECKSUMS = env.HERE / "wheels.sha256"


class BuildError(Exception):
    """The extension cannot be built; the text says why."""


def manifest() -> dict:
    """What ``blender_manifest.toml`` says."""
    return tomllib.loads(MANIFEST.read_text(encoding="utf-8"))


def wheel_names() -> list[str]:
    """The file names of the wheels in the manifest."""
    return [Path(wheel).name for wheel in manifest()["wheels"]]


def checksums() -> dict[str, str]:
    """File name -> SHA-256, as recorded."""
    if not CHECKSUMS.is_file():
        return {}
    rows = (line.split() for line in CHECKSUMS.read_text(encoding="utf-8").splitlines())
    return {name: digest for digest, name in rows}


def sha256(path: Path) -> str:
    """The file's checksum in hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _download(python: Path, names: list[str], folder: Path) -> None:
    """Fetch these wheels into ``folder``: the pure ones in one call, the others one by one."""
    pure = [name for name in names if name.endswith("-none-any.whl")]
    calls: list[tuple[list[str], list[str]]] = [([], pure)] if pure else []
    for name in names:
        if name in pure:
            continue
        python_tag, abi, platforms = name.removesuffix(".whl").split("-")[-3:]
        major, minor = python_tag[2], python_tag[3:]
        target = ["--implementation", "cp", "--python-version", f"{major}.{minor}", "--abi", abi]
        for platform in platforms.split("."):
            target += ["--platform", platform]
        calls.append((target, [name]))
    for target, wanted in calls:
        requirements = ["{}=={}".format(*name.split("-")[:2]) for name in wanted]
        machine.say(f"[build] fetching {', '.join(requirements)}")
        command = [str(python), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        command += ["download", "--quiet", "--retries", "8", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run(
            [*command, *target, "--dest", str(folder), *requirements],
            env=machine.clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=machine.INSTALL_SECONDS,
        )
        if done.returncode:
            raise BuildError(
                f"pip could not fetch {', '.join(requirements)}:\n{done.stderr[-2000:]}"
            )


def fetch_wheels(python: Path, *, pin: bool = False) -> Path:
    """Have every wheel of the manifest in the cache, checked; returns the cache's folder.

    ``python`` is any Python with pip. Raises BuildError when a wheel is not to be had or differs
    from its recorded checksum.
    """
    folder = machine.cache_dir() / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    known = {} if pin else checksums()
    names = wheel_names()
    if not pin and set(known) != set(names):
        raise BuildError(
            f"{CHECKSUMS.name} does not list the manifest's wheels: "
            f"{sorted(set(known) ^ set(names))}. Run: python .ci/build.py --pin"
        )
    with machine.locked(folder / ".lock", "[build] another process is fetching wheels, waiting"):
        missing = [
            name
            for name in names
            if not (folder / name).is_file() or (not pin and sha256(folder / name) != known[name])
        ]
        if missing:
            with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as temporary:
                _download(python, missing, Path(temporary))
                for name in missing:
                    fetched = Path(temporary, name)
                    if not fetched.is_file():
                        raise BuildError(f"{name} does not exist; got {os.listdir(temporary)}")
                    if not pin and sha256(fetched) != known[name]:
                        raise BuildError(f"{name} is not the file whose checksum is recorded.")
                    fetched.replace(folder / name)
    if pin:
        lines = [f"{sha256(folder / name)}  {name}\n" for name in sorted(names)]
        CHECKSUMS.write_text("".join(lines), encoding="utf-8")
    return folder


def place_wheels(source: Path) -> None:
    """Make ``wheels/`` hold exactly the manifest's files: links where possible, else copies."""
    folder = ROOT / "wheels"
    folder.mkdir(exist_ok=True)
    names = set(wheel_names())
    for stranger in folder.iterdir():
        if stranger.name not in names:
            stranger.unlink()
    for name in sorted(names):
        target = folder / name
        if target.is_file() and sha256(target) == sha256(source / name):
            continue
        target.unlink(missing_ok=True)
        try:
            os.link(source / name, target)
        except OSError:
            shutil.copyfile(source / name, target)


def builder(python: Path) -> Path:
    """Blender's command-line builder; it lies in every bpy package and needs no Blender to run."""
    packages = subprocess.run(
        [str(python), "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    found = sorted(Path(packages).glob("bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    if not found:
        raise BuildError(f"Blender's extension builder was not found in {packages}.")
    return found[-1]


def blender_ext(python: Path, *arguments: str) -> None:
    """Run one command of the builder that ``python`` has; BuildError has its words."""
    done = subprocess.run(
        [str(python), "-I", str(builder(python)), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    words = (done.stdout + done.stderr).strip()
    if done.returncode or "error" in words.lower():
        raise BuildError(f"blender_ext {arguments[0]}: {words}")


def build(*, pin: bool = False) -> Path:
    """Build and validate; returns the archive. Raises BuildError or EnvError."""
    python = env.ensure(env.newest_blender())
    place_wheels(fetch_wheels(python, pin=pin))
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    data = manifest()
    archive = dist / f"{data['id']}-{data['version']}.zip"
    blender_ext(python, "build", f"--source-dir={ROOT}", f"--output-filepath={archive}")
    blender_ext(python, "validate", str(archive))
    machine.say(f"[build] {archive} ({archive.stat().st_size / 1e6:.1f} MB), valid")
    return archive


def main(arguments: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pin", action="store_true", help="record the wheels' checksums anew")
    chosen = parser.parse_args(arguments)
    try:
        build(pin=chosen.pin)
    except (BuildError, machine.EnvError) as problem:
        print(f"[build] {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
