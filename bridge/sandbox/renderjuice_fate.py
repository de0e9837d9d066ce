# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fault plan makes of a Renderjuice job (a rule's ``job``).

A rule gives it with the create, the validate or the render of the job; later ones add to it.

  {"fail": text, "type": text, "at": phase, "frame": n}
                          fails at the start of that phase ("validating", the default, "booting",
                          "rendering", "finalizing"), or before that frame; ``type`` of failedReason
  {"stuck": status, "at": phase}
                          stays there, shown as that status ("debugging", "suspended", a word that
                          nobody knows), until it is canceled
  {"visit": status, "at": phase, "seconds": n}
                          is shown as that status for so long, then goes on
  {"seconds": n}          each phase takes at least so long
  {"seconds_per_frame": n}  added to normalizedSeconds for each frame, though none passes
  {"lose": [frames]}      these frames are rendered and then not offered
  {"purge": true}         its outputs are deleted when it has completed
"""

from __future__ import annotations

from typing import Any


def failure(fate: dict[str, Any], phase: str, frame: int | None = None) -> dict[str, str] | None:
    """The ``failedReason`` if the job is to fail now: when a phase begins, or before a frame."""
    if "fail" not in fate:
        return None
    if frame is not None:
        if fate.get("frame") != frame:
            return None
    elif "frame" in fate or fate.get("at", "validating") != phase:
        return None
    return {"name": str(fate["fail"]), "type": str(fate.get("type", "SANDBOX_FAULT"))}


def overlay(fate: dict[str, Any], phase: str) -> tuple[str, float | None] | None:
    """What is shown instead of ``phase``, and for how many seconds (None: for good)."""
    if fate.get("at", "validating") != phase:
        return None
    if "stuck" in fate:
        return str(fate["stuck"]), None
    if "visit" in fate:
        return str(fate["visit"]), float(fate.get("seconds", 1))
    return None


def least_seconds(fate: dict[str, Any]) -> float:
    """How long each phase takes at least."""
    return 0.0 if "visit" in fate else float(fate.get("seconds", 0))


def frames_left(result: dict[str, Any], fate: dict[str, Any]) -> dict[str, Any]:
    """A render's result without the frames that are to be missing."""
    lost = set(fate.get("lose", []))
    if not lost:
        return result
    return {**result, "frames": [item for item in result["frames"] if item["frame"] not in lost]}
