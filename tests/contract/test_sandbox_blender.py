# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox converts for real: a model goes in over HTTP, a SimReady package comes out."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox import Sandbox
from bridge.sandbox.convert import BlenderConverter
from tests.support import processes

from .conftest import Api, MakeBox
from .models import chair_glb, checkered_png, crate_obj

pytestmark = pytest.mark.blender
ClientOf = Callable[[Sandbox], Api]


def _result(api: Api, identifier: str, kind: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(
        io.BytesIO(api.get(f"/conversions/{identifier}/result?format={kind}").content)
    )


def test_a_chair_becomes_usd_and_mjcf(make_box: MakeBox, client_of: ClientOf) -> None:
    api = client_of(make_box(converter=None))
    identifier = api.accepted("Oak chair.glb", chair_glb())
    progress: list[int] = []
    stages: set[str] = set()
    while (job := api.job(identifier))["status"] not in ("completed", "failed"):
        progress.append(job["progress"])
        stages.add(str(job["stage"]))
        time.sleep(0.02)
    assert job["status"] == "completed", job["error"]
    assert progress == sorted(progress)
    assert len(set(progress)) > 2, "true progress, not a jump from nothing to all"
    assert len(stages) > 2
    assert job["report"]
    with _result(api, identifier, "all") as archive:
        names = archive.namelist()
        main = job["output"]["model"]["name"]
        usd = next(name for name in names if re.fullmatch(rf"usd/[^/]+/{re.escape(main)}", name))
        folder = usd.rpartition("/")[0]
        assert "oak_chair" in folder.lower()
        textures = [name for name in names if name.startswith(f"{folder}/textures/")]
        assert textures
        assert f"{folder}/.thumbs/256x256/{main}.png" in names
        assert archive.read(usd).startswith(b"PXR-USDC")
        assert archive.getinfo(usd).file_size == job["output"]["model"]["size"]
        scene = next(name for name in names if re.fullmatch(r"mjcf/[^/]+\.xml", name))
        assert ElementTree.fromstring(archive.read(scene)).find(".//freejoint") is not None
    assert len(job["output"]["textures"]) == len(textures)
    with _result(api, identifier, "usd") as archive:
        assert all(name.startswith("usd/") for name in archive.namelist())


def test_an_archive_with_obj_is_preprocessed_for_real(
    make_box: MakeBox, client_of: ClientOf
) -> None:
    api = client_of(make_box(converter=None))
    obj, mtl = crate_obj()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("crate/crate.obj", obj)
        archive.writestr("crate/crate.mtl", mtl)
        archive.writestr("crate/textures/crate.png", checkered_png())
    answer = api.submit("crate.zip", buffer.getvalue())
    assert answer.json()["data"]["status"] == "preprocessing"
    job = api.until(answer.json()["data"]["id"])
    assert job["status"] == "completed", job["error"]
    stats = job["preprocess"]["input_stats"]
    assert stats["triangles"] == 12
    assert stats["images"] == 1
    assert stats["dimensions_m"] == pytest.approx([0.5, 0.5, 0.5], abs=1e-4)
    assert [step["name"] for step in job["preprocess"]["steps"]] == ["import", "process", "export"]
    assert job["output"]["textures"], "the texture came through the archive"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("broken.obj", b"v 0 0 0\n", "no mesh with faces"),
        ("broken.usd", b"garbage", "The USD file cannot be read"),
        ("broken.stl", b"garbage", "The STL file cannot be read"),
        ("broken.glb", b"glTF" + bytes(60), "version 0"),
    ],
)
def test_garbage_fails_with_a_sentence_and_a_refund(
    make_box: MakeBox, client_of: ClientOf, name: str, data: bytes, words: str
) -> None:
    api = client_of(make_box(converter=None))
    before = api.credits()
    job = api.until(api.accepted(name, data))
    assert job["status"] == "failed"
    assert words in job["error"]
    if not name.endswith(".glb"):
        assert job["preprocess"]["status"] == "failed"
        assert job["preprocess"]["error"] == job["error"]
    assert api.credits() == before


def test_a_damaged_chair_fails_with_a_sentence(make_box: MakeBox, client_of: ClientOf) -> None:
    api = client_of(make_box(converter=None))
    data = bytearray(chair_glb())
    place = data.index(b'"bufferView":0')
    data[place : place + 14] = b'"bufferView":9'
    job = api.until(api.accepted("damaged.glb", bytes(data)))
    assert job["status"] in ("failed", "completed")
    if job["status"] == "failed":
        assert job["error"].endswith(".")


def test_stopping_kills_the_blender_and_a_restart_does_the_job(
    make_box: MakeBox, client_of: ClientOf, tmp_path: Path
) -> None:
    folder = tmp_path / "sandbox"
    box = make_box(folder, converter=None)
    api = client_of(box)
    identifier = api.accepted("chair.glb", chair_glb())
    end = time.monotonic() + 60
    while not _blenders(folder):
        assert time.monotonic() < end, "no Blender was started"
        assert api.job(identifier)["status"] in ("queued", "running")
    box.stop()
    assert not _blenders(folder)
    job = client_of(make_box(folder, converter=None)).until(identifier)
    assert job["status"] == "completed", job["error"]


def test_a_killed_sandbox_takes_its_blender_with_it(
    make_box: MakeBox, client_of: ClientOf, tmp_path: Path, environment: dict[str, str]
) -> None:
    folder = tmp_path / "sandbox"
    program = (
        "import json, sys, pathlib, bridge.sandbox as s; "
        "s.serve(pathlib.Path(sys.argv[1]), on_ready=lambda a: print(json.dumps(a), flush=True))"
    )
    box = make_box(folder)  # its key serves for the next run
    api = client_of(box)
    box.stop()
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, env=environment
    ) as served:
        try:
            assert served.stdout is not None
            api.url = json.loads(served.stdout.readline())["rigyd"]["base_url"]
            identifier = api.accepted("chair.glb", chair_glb())
            end = time.monotonic() + 60
            while not _blenders(folder):
                assert time.monotonic() < end, "no Blender was started"
        finally:
            served.kill()
    end = time.monotonic() + 30
    while _blenders(folder):
        assert time.monotonic() < end, "Blender goes on without its sandbox"
        time.sleep(0.05)
    job = client_of(make_box(folder)).until(identifier)
    assert job["status"] == "completed", job["error"]


def _blenders(folder: Path) -> list[str]:
    found = processes.of_session(containing=str(folder)).values()
    return [line for line in found if "run.py" in line]


def test_a_conversion_that_takes_too_long_fails(make_box: MakeBox, client_of: ClientOf) -> None:
    api = client_of(make_box(converter=None, timeout=0.2))
    before = api.credits()
    job = api.until(api.accepted("chair.glb", chair_glb()))
    assert job["status"] == "failed"
    assert "too long" in job["error"]
    assert api.credits() == before


def test_without_a_fitting_blender_the_job_says_so(
    make_box: MakeBox, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from bridge import blender

    def none(*_: Any, **__: Any) -> Any:
        return blender.probe(str(tmp_path / "no blender here"))

    monkeypatch.setattr("bridge.sandbox.convert.find_blender", none)
    api = client_of(make_box(converter=BlenderConverter()))
    job = api.until(api.accepted("chair.glb", chair_glb()))
    assert job["status"] == "failed"
    assert job["error"] == (
        "The Blender that should do the work is not there. "
        "Set SCENE_COURIER_BLENDER to a Blender, or to a Python that has the bpy module."
    )
