# SPDX-License-Identifier: GPL-3.0-or-later
"""The analysis says what a render of the file would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .render_support import lab


@pytest.fixture
def facts(session_root: Path) -> dict[str, Any]:
    """What the labs found."""
    return lab(session_root)


def test_a_simple_scene_is_told_in_full(facts: dict[str, Any]) -> None:
    found = dict(facts["analysis"]["simple"])
    assert found.pop("bytes") > 10_000
    assert found.pop("memoryBytes") > 0
    assert found.pop("fileVersion")[:2] == facts["version"][:2]
    assert found.pop("blender") == facts["version"]
    assert found.pop("tileSize") > 0
    assert found.pop("materials") >= 1
    assert found.pop("compositorDevice") in ("CPU", "GPU")
    assert found == {
        "schema": 1,
        "scene": "Scene",
        "scenes": ["Scene"],
        "camera": "Camera",
        "cameras": ["Camera"],
        "viewLayers": [{"name": "ViewLayer", "use": True}],
        "renderEngine": "CYCLES",
        "engineSupported": True,
        "sampleCount": 1,
        "resolution": [32, 18],
        "resolutionPercentage": 100,
        "fps": 24,
        "frameStart": 1,
        "frameEnd": 24,
        "frameStep": 1,
        "frameCount": 24,
        "frameRanges": ["1-24"],
        "outputFormat": "PNG",
        "outputSettings": {"colorMode": "RGBA", "colorDepth": "8", "compression": 15},
        "isMovie": False,
        "views": [],
        "motionBlur": False,
        "denoisingEnabled": False,
        "denoiserType": None,
        "useTiling": True,
        "computeDeviceType": "CPU",
        "colorManagementPreset": "default",
        "colorManagement": {
            "displayDevice": "sRGB",
            "viewTransform": "AgX",
            "look": "None",
            "exposure": 0.0,
            "gamma": 1.0,
        },
        "compositorOutputs": [],
        "useSequencer": False,
        "objects": 3,
        "triangles": 12,
        "images": 0,
        "missingFiles": [],
        "missingCount": 0,
        "autoexecFail": False,
        "autoexecMessage": "",
        "findings": [],
    }


def test_what_a_person_should_know_is_found(facts: dict[str, Any], session_root: Path) -> None:
    found = facts["analysis"]["rich"]
    assert found["isMovie"] and found["motionBlur"]
    assert (found["frameCount"], found["frameRanges"]) == (3, ["1", "5", "9"])
    assert {"name": "fog", "use": False} in found["viewLayers"]
    gone = session_root / "render lab/analysis/gone.png"
    assert found["missingFiles"] == [{"path": str(gone), "kind": "image", "users": ["gone.png"]}]
    assert found["missingCount"] == 1
    assert [(entry["code"], entry["severity"]) for entry in found["findings"]] == [
        ("missing_files", "warning"),
        ("scripts", "warning"),
        ("movie", "info"),
    ]


def test_scripts_of_the_file_do_not_run(facts: dict[str, Any]) -> None:
    found = facts["analysis"]["rich"]
    assert found["autoexecFail"]
    assert found["autoexecMessage"]


@pytest.mark.parametrize("name", ["analysis camera", "analysis damaged"])
def test_what_cannot_be_analyzed_is_a_problem(facts: dict[str, Any], name: str) -> None:
    assert facts["refusals"][name]["category"] == "input"
