# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command line refuses before a job exists: sentence, hint, exit code and JSON."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Protocol

import pytest

from bridge import glb_size
from bridge.cli import main
from bridge.sandbox.canned import tiny_glb
from tests.support.cli import ROOT, Said, environment, run

KEY = "rgyd_live_" + "k" * 43
JOB_KEYS = ["id", "service", "state", "remote_id", "results", "problem"]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    good = tiny_glb()
    (folder / "good.glb").write_bytes(good)
    (folder / "cut.glb").write_bytes(good[:-10])
    (folder / "text.glb").write_text("this is no model")
    (folder / "empty.glb").touch()
    (folder / "notes.txt").write_text("hello")
    (folder / "no suffix").write_text("hello")
    (folder / "text.blend").write_text("this is no scene")
    (folder / "open.gltf").write_text(json.dumps({"buffers": [{"uri": "chair.bin"}]}))
    (folder / "broken.gltf").write_text("{")
    (folder / "folder.glb").mkdir()
    with open(folder / "huge.stl", "wb") as file:
        file.truncate(500_000_001)
    (folder / "occupied").write_text("a file where a folder should be")
    return folder


class Here(Protocol):
    def __call__(self, *words: object) -> Said: ...


@pytest.fixture
def here(home: Path, capsys: pytest.CaptureFixture[str]) -> Here:
    """Run the command line in this process: for what ends before anything is started."""

    def run_here(*words: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run_here


def test_pack_has_the_same_keys_when_it_cannot_begin(here: Here, files: Path) -> None:
    for words in (["good.glb"], ["text.blend", "--option", "frames=9-1"]):
        said = here("pack", files / words[0], "--out", files / "out", *words[1:], "--json")
        assert said.code == 2 and said.json["problem"]["category"] == "input"
        assert set(said.json) == {
            "path", "bytes", "mode", "blocked", "notes", "report", "problem"
        }  # fmt: skip
        assert said.json["path"] is None and said.json["blocked"] is False


def refused(said: Said, code: int, category: str) -> dict[str, str]:
    """Check a refusal from all sides and return its problem."""
    assert said.code == code, said.err
    answer = said.json
    assert list(answer) == JOB_KEYS
    assert (answer["id"], answer["state"], answer["results"]) == (None, None, [])
    problem = answer["problem"]
    assert set(problem) == {"category", "sentence", "hint", "technical"}
    assert problem["category"] == category
    assert problem["sentence"].endswith((".", "?")) and problem["hint"], problem
    assert problem["sentence"] in said.err and problem["hint"] in said.err
    assert "Traceback" not in said.err
    return dict(problem)


BAD_INPUT = [
    ([""], "input", "No file is named.", "path"),
    (["missing.glb"], "input", "There is no file “missing.glb”.", "Check the path."),
    (["folder.glb"], "input", "“folder.glb” is a folder.", ".zip or .glb"),
    (["empty.glb"], "input", "“empty.glb” is empty.", "Save or export it again"),
    (["notes.txt"], "input", "Rigyd does not take “.txt” files.", ".blend .glb .gltf .fbx .obj"),
    (["no suffix"], "input", "Rigyd does not take “no suffix” files.", ".blend .glb"),
    (["cut.glb"], "input", "cut.glb", "again"),
    (["text.glb"], "input", "text.glb", ".glb"),
    (["text.blend"], "input", "text.blend is not a Blender file.", "Blender"),
    (["open.gltf"], "input", "“open.gltf” needs other files beside it.", "Send a .glb, or a .zip"),
    (["broken.gltf"], "input", "“broken.gltf” is not a glTF file.", "Export it again."),
    (["huge.stl"], "limit", "“huge.stl” is larger than Rigyd takes.", "limit is 500.0 MB"),
    (
        ["good.glb", "--select", "Chair"],
        "input",
        "--select works with a .blend only.",
        "“good.glb” is sent as it is",
    ),
    (
        ["good.glb", "--option", "formt=usd"],
        "input",
        "Rigyd has no option “formt”.",
        "Did you mean “format”?",
    ),
    (
        ["good.glb", "--option", "colour=red"],
        "input",
        "Rigyd has no option “colour”.",
        "It knows: format, target_triangle_count",
    ),
    (
        ["good.glb", "--option", "format=step"],
        "input",
        "“step” does not fit the option “format”.",
        "It takes usd or mjcf or all.",
    ),
    (
        ["good.glb", "--option", "target_triangle_count=12"],
        "input",
        "“12” does not fit the option “target_triangle_count”.",
        "It takes a whole number from 1000 to 1000000.",
    ),
    (["good.glb", "--option", "triangles=many"], "input", "“many” does not fit", "a whole number"),
    (["good.glb", "--option", "threshold=nan"], "input", "“nan” does not fit", "a number"),
    (["good.glb", "--option", "draco=perhaps"], "input", "“perhaps” does not", "true or false"),
    (["good.glb", "--option", "format"], "input", "“format” is not an option.", "KEY=VALUE"),
    (
        ["good.glb", "--option", "format=usd", "export=mjcf"],
        "input",
        "The option “format” was given twice.",
        "once",
    ),
    (["good.glb", "--out", ""], "input", "--out names no folder.", "leave --out out"),
    (
        ["good.glb", "--out", "occupied"],
        "disk",
        "Nothing can be written to “occupied”.",
        "another folder for --out",
    ),
]


@pytest.mark.parametrize(("words", "category", "sentence", "hint"), BAD_INPUT)
def test_bad_input_is_refused_before_a_job_exists(
    words: list[str],
    category: str,
    sentence: str,
    hint: str,
    here: Here,
    home: Path,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RIGYD_API_KEY", KEY)
    monkeypatch.chdir(files)
    problem = refused(here("send", *words, "--to", "rigyd", "--yes", "--json"), 2, category)
    assert sentence in problem["sentence"] and hint in problem["hint"], problem
    assert not list(home.glob("jobs/*")) and here("jobs", "--json").json == {"jobs": []}


def test_a_service_that_is_not_there(here: Here, files: Path) -> None:
    said = here("send", files / "good.glb", "--to", "sketch", "--json")
    problem = refused(said, 2, "input")
    assert problem["sentence"] == "There is no service “sketch”."
    assert "rigyd" in problem["hint"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "The following arguments are required: FILE, --to."),
        (["good.glb"], "The following arguments are required: --to."),
        (["good.glb", "--to", "rigyd", "--fast"], "Unrecognized arguments: --fast."),
        (["good.glb", "--to"], "Argument --to: expected one argument."),
    ],
)
def test_wrong_usage_is_one_object_too(words: list[str], sentence: str, here: Here) -> None:
    problem = refused(here("send", *words, "--json"), 2, "input")
    assert problem["sentence"] == sentence and "--help" in problem["hint"]


def test_wrong_usage_without_json_says_it_on_stderr(here: Here) -> None:
    for words in ([], ["fly"], ["jobs", "show"], ["sandbox", "--port", "seventy"]):
        said = here(*words)
        assert (said.code, said.out) == (2, ""), words
        assert "--help" in said.err and "Traceback" not in said.err


def test_no_key(home: Path, files: Path) -> None:
    said = run("send", "good.glb", "--to", "rigyd", "--json", env=environment(home), cwd=files)
    problem = refused(said, 3, "credentials")
    assert problem["sentence"] == "There is no key for Rigyd on this computer."
    for way in ("scene-courier login rigyd", "RIGYD_API_KEY", "--sandbox"):
        assert way in problem["hint"]
    assert not list(home.glob("jobs/*"))


def test_a_key_that_cannot_be_one(home: Path, files: Path) -> None:
    env = environment(home, RIGYD_API_KEY="two words")
    problem = refused(
        run("send", "good.glb", "--to", "rigyd", "--json", env=env, cwd=files), 3, "credentials"
    )
    assert "RIGYD_API_KEY" in problem["sentence"] and "two words" not in json.dumps(problem)


@pytest.mark.parametrize(
    "address", ["http://rigyd.example/api", "ftp://127.0.0.1/", "rigyd", "https://"]
)
def test_an_address_that_no_key_may_be_sent_to(
    address: str, here: Here, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIGYD_API_KEY", KEY)
    monkeypatch.setenv("RIGYD_BASE_URL", address)
    said = here("send", files / "good.glb", "--to", "rigyd", "--json")
    problem = refused(said, 2, "input")
    assert "RIGYD_BASE_URL" in problem["sentence"] and "https" in problem["hint"]


def test_a_blender_that_is_not_there(home: Path, tmp_path: Path) -> None:
    blend = tmp_path / "scene.blend"
    blend.write_bytes(b"BLENDER-v402" + bytes(100))
    env = environment(home, SCENE_COURIER_BLENDER=str(tmp_path / "nowhere" / "blender"))
    said = run("send", blend, "--to", "rigyd", "--sandbox", "--json", env=env)
    problem = refused(said, 2, "blender")
    assert "SCENE_COURIER_BLENDER" in problem["sentence"]


def test_a_data_folder_that_cannot_be_used(home: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    said = run("jobs", "--json", env=environment(blocked / "home"))
    assert said.code == 2 and said.json["jobs"] == []
    assert said.json["problem"]["category"] == "disk"
    assert "SCENE_COURIER_HOME" in said.json["problem"]["hint"]


def test_version_and_help_import_nothing_heavy(home: Path) -> None:
    code = (
        "import sys\n"
        "from bridge.cli import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'requests', 'keyring', 'sqlite3', 'ssl', 'socket', 'tqdm', 'multipart', 'bpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment(home),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "scene-courier 0.1.0\n"
    assert not list(home.iterdir()), "asking for the version makes no files"


def test_a_closed_pipe_is_no_error(home: Path) -> None:
    line = f"{sys.executable} -m bridge services --offline --json | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env=environment(home),
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


@pytest.mark.parametrize(("scale", "said"), [(0.003, "3 mm"), (300, "300 m")])
def test_a_product_of_an_unlikely_size_is_asked_about(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float, said: str
) -> None:
    """A ready file too: nobody looks at it in Blender before it is sent."""
    monkeypatch.setenv("SCENE_COURIER_NO_WORKER", "1")
    chair, usual = tmp_path / "chair.glb", tmp_path / "usual.glb"
    usual.write_bytes(tiny_glb())
    chair.write_bytes(scaled(scale))
    words = ("send", usual, chair, "--to", "glossi", "--sandbox", "--option", "template=Studio")
    answer = here(*words)
    assert answer.code == 2 and f"chair.glb is {said}. Is that meant?" in answer.err
    assert "ignore_scale=true" in answer.err
    assert here(*words, "ignore_scale=true").code == 0
    assert here("send", usual, *words[3:]).code == 0
    assert glb_size.longest_side(usual) == 1.0


def test_products_need_a_template(here: Here, tmp_path: Path) -> None:
    chair = tmp_path / "chair.glb"
    chair.write_bytes(tiny_glb())
    answer = here("send", chair, "--to", "glossi", "--sandbox", "--json")
    assert answer.code == 2 and answer.json["id"] is None
    assert "No template is chosen." in answer.err and "templates" in answer.err
    assert here("jobs", "--json").json == {"jobs": []}


def scaled(scale: float) -> bytes:
    """A chair whose node, turned and below another one, has this scale."""
    raw = tiny_glb()
    size = int.from_bytes(raw[12:16], "little")
    document = json.loads(raw[20 : 20 + size])
    document["nodes"] = [
        {"children": [1], "translation": [5, 0, 0], "scale": [2, 2, 2]},
        {"mesh": 0, "scale": [scale / 2] * 3, "rotation": [0, 0.7071067811865476, 0,
                                                            0.7071067811865476]},
    ]  # fmt: skip
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + raw[20 + size :]
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


@pytest.mark.parametrize("names", [["a/scene.blend"], ["a.blend", "b.blend"], ["readme.txt"]])
def test_an_archive_without_its_scene_is_refused_here(
    home: Path, tmp_path: Path, names: list[str]
) -> None:
    path = tmp_path / "Szene.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    said = run("send", path, "--to", "renderjuice", "--sandbox", "--json", env=environment(home))
    assert said.code == 2 and "at its top" in said.json["problem"]["sentence"]
    path.write_bytes(path.read_bytes()[:20])
    said = run("send", path, "--to", "renderjuice", "--sandbox", "--json", env=environment(home))
    assert said.code == 2 and "not a whole .zip" in said.json["problem"]["sentence"]
