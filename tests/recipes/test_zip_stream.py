# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive's bytes: one pass, Zip64, the same each time, and nothing left behind on failure."""

from __future__ import annotations

import errno
import io
import os
import random
import shutil
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

from addon.recipes import zip_stream
from addon.recipes.zip_stream import Entry
from bridge.problems import Category, ProblemError

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("b.txt", "assets/Ärger/Müller 🎬.png", "assets/a.blend", "assets/empty.bin", "a.dat")


def _files(folder: Path) -> list[Entry]:
    content = {
        NAMES[0]: b"one line and another\n" * 5000,
        NAMES[1]: random.Random(1).randbytes(300_000),
        NAMES[2]: b"BLENDER" + bytes(200_000),
        NAMES[3]: b"",
        NAMES[4]: random.Random(2).randbytes(2_500_000),
    }
    entries = []
    for number, (name, data) in enumerate(content.items()):
        path = folder / f"source {number}{os.path.splitext(name)[1]}"
        path.write_bytes(data)
        entries.append(Entry(name, str(path), len(data)))
    return entries


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    entries = _files(tmp_path)
    output = tmp_path / "out.zip"
    written = zip_stream.write(output, entries)
    assert written.bytes == output.stat().st_size <= zip_stream.bound(entries)
    assert written.files == 5 and written.deflated == 2
    with zipfile.ZipFile(output) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(NAMES, key=str.encode)
        for entry in entries:
            assert archive.read(entry.name) == Path(entry.source).read_bytes()
        kinds = {info.filename: info.compress_type for info in archive.infolist()}
    assert kinds[NAMES[0]] == kinds[NAMES[2]] == zipfile.ZIP_DEFLATED
    assert kinds[NAMES[1]] == kinds[NAMES[3]] == kinds[NAMES[4]] == zipfile.ZIP_STORED
    if tool := shutil.which("unzip"):
        told = subprocess.run([tool, "-t", str(output)], capture_output=True, timeout=60)
        assert told.returncode == 0, told.stdout


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    entries = _files(tmp_path)
    first, second = tmp_path / "1.zip", tmp_path / "2.zip"
    zip_stream.write(first, entries)
    for entry in entries:
        os.utime(entry.source, (time.time() + 86400, time.time() - 86400))
        os.chmod(entry.source, 0o600)
    zip_stream.write(second, reversed(entries))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        for info in archive.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.external_attr >> 16 == 0o100644 and info.create_system == 3
            assert info.extra == b""
            assert bool(info.flag_bits & 0x800) == (not info.filename.isascii())
            assert not info.flag_bits & 0x8  # sizes are in the header, not behind the data


def test_each_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = _files(tmp_path)
    opened: list[str] = []

    class Counting(io.FileIO):
        def __init__(self, path: str, mode: str) -> None:
            opened.append(path)
            super().__init__(path, mode)

    monkeypatch.setattr(zip_stream, "FileIO", Counting)
    told: list[tuple[int, int]] = []
    zip_stream.write(tmp_path / "o.zip", entries, report=lambda *now: told.append(now))
    assert sorted(opened) == sorted(entry.source for entry in entries)
    total = sum(entry.bytes for entry in entries)
    assert told[-1] == (total, total) and {now[1] for now in told} == {total}
    assert [now[0] for now in told] == sorted(now[0] for now in told)


@pytest.mark.parametrize("change", ["longer", "shorter", "gone"])
def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path, change: str) -> None:
    entries = _files(tmp_path)
    victim = Path(entries[1].source)
    if change == "gone":
        victim.unlink()
    else:
        data = victim.read_bytes()
        victim.write_bytes(data + b"more" if change == "longer" else data[:-1])
    with pytest.raises(ProblemError) as caught:
        zip_stream.write(tmp_path / "o.zip", entries)
    assert caught.value.problem.category is Category.INPUT
    assert victim.name in caught.value.problem.sentence
    assert not [path for path in tmp_path.iterdir() if "zip" in path.name]


def test_the_limit_is_kept_while_writing(tmp_path: Path) -> None:
    entries = _files(tmp_path)
    before = tmp_path / "o.zip"
    before.write_bytes(b"an older package")
    with pytest.raises(ProblemError) as caught:
        zip_stream.write(before, entries, max_bytes=100_000)
    assert caught.value.problem.category is Category.LIMIT
    assert before.read_bytes() == b"an older package"
    assert not before.with_name("o.zip.part").exists()
    assert zip_stream.write(before, entries, max_bytes=3_000_000).bytes < 3_000_000


def test_two_files_never_share_a_name(tmp_path: Path) -> None:
    entries = _files(tmp_path)
    with pytest.raises(ValueError):
        zip_stream.write(tmp_path / "o.zip", [*entries, entries[0]])
    assert not (tmp_path / "o.zip.part").exists()


def test_a_folder_that_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ProblemError) as caught:
        zip_stream.write(tmp_path / "file" / "o.zip", _files(tmp_path))
    assert caught.value.problem.category is Category.DISK


def test_a_disk_that_becomes_full(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    linux = sys.platform.startswith("linux")
    if not linux or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        with pytest.raises(ProblemError) as caught:
            zip_stream.write(place / "o.zip", _files(tmp_path))
        assert caught.value.problem.category is Category.DISK
        assert "became full" in caught.value.problem.sentence
        assert os.strerror(errno.ENOSPC) in caught.value.problem.technical
        assert list(place.iterdir()) == []
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="once is enough for three gigabytes")
def test_three_gib_and_many_files_with_flat_memory(tmp_path: Path) -> None:
    """Past both limits of the old format (2 GiB are a file's, 65,535 files), in little memory."""
    if shutil.disk_usage(tmp_path).free < 8 * 1024**3:
        pytest.skip("needs 8 GiB of free disk")
    size = 3 * 1024**3 + 1
    script = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        from addon.recipes import zip_stream
        folder = Path(sys.argv[2])
        many = [zip_stream.Entry(f"many/{n:05}.png", str(folder / "small.png"), 3)
                for n in range(70_000)]
        zip_stream.write(folder / "small.zip", many)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        large = zip_stream.Entry("large.vdb", str(folder / "large.vdb"), int(sys.argv[3]))
        print(zip_stream.write(folder / "large.zip", [large, *many[:2]]).bytes)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """
    )
    (tmp_path / "small.png").write_bytes(b"abc")
    with open(tmp_path / "large.vdb", "wb") as file:
        file.truncate(size - 1)
        file.seek(0, os.SEEK_END)
        file.write(b"!")
    try:
        run = subprocess.run(
            [sys.executable, "-c", script, str(ROOT), str(tmp_path), str(size)],
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert run.returncode == 0, run.stderr
        written, growth = (int(line) for line in run.stdout.split())
        assert size < written < size + 1000
        assert growth < 8 * 1024  # KiB
        with zipfile.ZipFile(tmp_path / "small.zip") as archive:
            assert len(archive.namelist()) == 70_000
        with zipfile.ZipFile(tmp_path / "large.zip") as archive:
            info = archive.getinfo("large.vdb")
            assert info.file_size == info.compress_size == size
            assert archive.read("many/00001.png") == b"abc"
            following = archive.getinfo("many/00000.png").header_offset
        with open(tmp_path / "large.zip", "rb") as file:
            file.seek(following - 10)
            assert file.read(14) == bytes(9) + b"!" + b"PK\x03\x04"
    finally:
        (tmp_path / "large.zip").unlink(missing_ok=True)
