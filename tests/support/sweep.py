# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for secrets in everything that a test session wrote.

Store, logs, job folders, saved .blend files (Blender 5 compresses them), user preferences, archives
and whatever else lies in the session's folder. A key is known by the prefix that every key of the
tests has; a sandbox's key by the address file that names it; a presigned URL by its signature.

Two files hold a key by design, and only while nobody else can read them: the sandbox's
``address.json`` and the announced key file of a computer without a keyring.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# How a secret begins, and what must follow: documentation writes the beginnings alone. Plain texts,
# as looking for those in hundreds of megabytes is quick.
BEGINNINGS = {
    b"rgyd_": re.compile(rb"(?:test|live)_[A-Za-z0-9_-]{8,}"),
    b"-Signature=": re.compile(rb"[0-9A-Za-z%]{8,}"),
    b"-signature=": re.compile(rb"[0-9A-Za-z%]{8,}"),
}
MAY_HOLD_KEYS = ("address.json", "credentials.json")
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# Of a larger file, payload that a test made up, only both ends are read.
LARGEST = 64 * 1024 * 1024
ENDS = 4 * 1024 * 1024


@dataclass(frozen=True)
class Finding:
    """A secret in a file; ``where`` names the file (and the member of an archive)."""

    where: str
    secret: str


def _private(path: Path) -> bool:
    return os.name == "nt" or not path.stat().st_mode & 0o077


def sandbox_keys(root: Path) -> list[bytes]:
    """The random keys of the sandboxes that ran under ``root``."""
    keys = []
    for path in root.rglob("address.json"):
        try:
            data = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        for entry in data.values() if isinstance(data, dict) else ():
            if isinstance(entry, dict) and len(str(entry.get("api_key", ""))) >= 8:
                keys.append(str(entry["api_key"]).encode())
    return keys


def _decompressed(data: bytes) -> bytes:
    """What a zstd-compressed file holds; Blender writes many frames, one after the other."""
    try:
        from compression import zstd  # Python 3.14
    except ImportError:
        import zstandard

        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
            return bytes(reader.read())
    return bytes(zstd.decompress(data))


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """What is to be searched: the bytes, those within compression, those of each archive member."""
    if path.stat().st_size > LARGEST:
        with open(path, "rb") as handle:
            start = handle.read(ENDS)
            handle.seek(-ENDS, os.SEEK_END)
            yield str(path), start + handle.read()
        return
    data = path.read_bytes()
    yield str(path), data
    if data.startswith(ZSTD_MAGIC):
        try:
            yield f"{path} (decompressed)", _decompressed(data)
        except Exception:  # zstandard's own error class, or 3.14's; broken on purpose, as below
            return
    elif data.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    if member.file_size <= LARGEST:
                        yield f"{path}!{member.filename}", archive.read(member)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError):
            return  # tests make broken archives on purpose; their raw bytes were searched


def _secrets(data: bytes) -> set[bytes]:
    found = set()
    for beginning, rest in BEGINNINGS.items():
        at = data.find(beginning)
        while at >= 0:
            if match := rest.match(data, at + len(beginning)):
                found.add(beginning + match.group())
            at = data.find(beginning, at + 1)
    return found


def sweep(root: Path, keys: list[bytes] | None = None) -> list[Finding]:
    """Every secret in every file under ``root``; ``keys`` are looked for as well."""
    known = [*(keys or []), *sandbox_keys(root)]
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file():
                continue
            if name in MAY_HOLD_KEYS and _private(path):
                continue
            for where, data in _contents(path):
                secrets = _secrets(data)
                secrets.update(key for key in known if key in data)
                found += [Finding(where, secret.decode("latin-1")) for secret in sorted(secrets)]
    return found
