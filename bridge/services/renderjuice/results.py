# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the frames home: what is offered, what is missing, where it lies.

Frames land in the artist's folder one by one, each under its own name once it is whole, so that a
broken line loses nothing and what is there can be used at once. Addresses are signed and never
kept; the list is read again whenever it is needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...deliver import place
from ...faults import HttpError
from ...flow import Flow, Later
from ...frames import FrameRanges, of
from ...jobs import Result, State
from ...problems import Category, Problem, ProblemError
from . import follow
from .client import outputs_deleted
from .downloads import Downloads, Output, fetch_all, frame_numbers

if TYPE_CHECKING:
    from .client import RenderjuiceClient

_LOOKS = 10
_LOOK_SECONDS = 15.0
_MOST_NOTES = 5


def fetch(flow: Flow, client: RenderjuiceClient, remote_id: str, final: dict[str, Any]) -> None:
    """End the job: done with its frames, or failed with those that were ready.

    A job that failed, was canceled there, or reached the spending cap may have frames that were
    paid for: they are fetched all the same, as far as they are offered.
    """
    trouble = _trouble(flow, final)
    arrived = flow.answer("frames")
    if arrived is None:
        offered = _offered(flow, client, remote_id, final, trouble)
        if trouble is not None and offered.empty:
            raise _trouble(flow, final, frames=False) or trouble
        target = Path(place(flow))
        arrived = flow.step(
            "frames",
            lambda: _download(flow, client, remote_id, offered, target),
            state=State.DOWNLOADING,
        )
    target = Path(place(flow))
    kept = [Result(**item) for item in arrived["results"]]
    _tell_missing(flow, of(arrived["numbers"]), target)
    results = [*_joined(flow, kept), _last_answer(flow, target)]
    if trouble is not None:
        flow.update(results=results)
        raise trouble
    flow.done(results)


def _trouble(flow: Flow, final: dict[str, Any], *, frames: bool = True) -> ProblemError | None:
    """Why the job does not end well, if so. ``frames``: it has some all the same."""
    cap = flow.answer("cap")
    if cap and final["status"] != "completed":
        return follow.capped(float(cap["used"]), float(cap["cap"]), frames=frames)
    if final["status"] == "failed":
        return follow.failed(flow, final, "render the scene")
    if final["status"] == "canceled":
        return follow.canceled_there()
    return None


def _offered(
    flow: Flow,
    client: RenderjuiceClient,
    remote_id: str,
    final: dict[str, Any],
    trouble: ProblemError | None,
) -> Downloads:
    """What can be downloaded now; waits a little where a completed job offers nothing yet."""
    if trouble is not None:
        return _anything(client, remote_id)
    if outputs_deleted(final):
        # What the flag means exactly is not documented; there is nothing to fetch then.
        raise _nothing("Renderjuice has deleted the output of this job.")
    offered = client.downloads(remote_id)
    if not offered.empty:
        return offered
    looks = int(flow.answer("frames.looks") or 0) + 1
    if looks > _LOOKS:
        raise _nothing("The job is completed, but Renderjuice offers no frames.")
    flow.step_aside("frames.looks", looks)
    raise Later(
        0.3 if flow.job.sandboxed else _LOOK_SECONDS,
        state=State.DOWNLOADING,
        state_text="Waiting for the frames to be offered",
    )


def _anything(client: RenderjuiceClient, remote_id: str) -> Downloads:
    try:
        return client.downloads(remote_id)
    except HttpError as error:
        if error.status is None or error.status >= 500:
            raise
        return Downloads()


def _nothing(sentence: str) -> ProblemError:
    return ProblemError(
        Category.SERVICE,
        sentence,
        "Look at the job on Renderjuice's website. Retry looks once more.",
    )


def _download(
    flow: Flow, client: RenderjuiceClient, remote_id: str, offered: Downloads, target: Path
) -> dict[str, Any]:
    """Fetch frames, outputs of the compositor and the video.

    Answers ``{"results": [...], "numbers": [...]}``: what lies where, and which frames that is.
    """
    from .flow import expected_frames

    wanted = offered if flow.job.options.get("video", True) else offered.without_videos()
    arrived = fetch_all(
        client,
        remote_id,
        wanted,
        target,
        parallel=max(4, flow.settings.parallel_transfers),
        on_file=lambda _path, done, total: _say(flow, done, total),
        on_progress=flow.progress,
        cancelled=flow.canceled,
    )
    results = [Result(str(file.path), file.bytes, file.kind) for file in arrived]
    lost = [(output, problem) for output, problem in arrived.failed if output.kind != "video"]
    if lost:
        # Rendered and paid for: kept open, so that a retry fetches them and renders nothing.
        flow.update(results=results)
        raise _not_fetched(lost)
    for output, problem in arrived.failed[:_MOST_NOTES]:
        flow.note(f"“{output.path}” could not be fetched: {problem.sentence}")
    frames = [file.output for file in arrived if file.kind == "frame"]
    return {
        "results": [result.to_dict() for result in results],
        "numbers": sorted(frame_numbers(frames, expected_frames(flow))),
    }


def _not_fetched(lost: list[tuple[Output, Problem]]) -> ProblemError:
    first, why = lost[0]
    count = f"{len(lost)} files" if len(lost) > 1 else f"“{first.path}”"
    return ProblemError(
        Category.SERVICE,
        f"{count} could not be fetched: {why.sentence}",
        "Retry fetches what is missing; nothing is rendered again.",
        ", ".join(output.path for output, _why in lost)[:300],
    )


def _say(flow: Flow, done: int, total: int) -> None:
    flow.job.state_text = f"{done} of {total} files"


def _tell_missing(flow: Flow, got: FrameRanges, target: Path) -> None:
    """Compare with the frames that were asked for; says which are missing."""
    from .flow import expected_frames

    asked = expected_frames(flow)
    missing = asked.minus(got) if asked is not None and got else FrameRanges()
    flow.update(
        report={
            **flow.job.report,
            "frames": {
                "asked": asked.text() if asked is not None else "",
                "count": asked.count if asked is not None else got.count,
                "arrived": got.count,
                "missing": missing.text(),
                "folder": str(target),
            },
        }
    )
    if missing and asked is not None:
        flow.note(f"{missing.count} of {asked.count} frames are missing: {missing.short()[:200]}.")


def _joined(flow: Flow, kept: list[Result]) -> list[Result]:
    """With the frames of the job that these complete, where both lie in one folder."""
    earlier = flow.store.job(str(flow.job.origin.get("again") or ""))
    mine = {item.path for item in kept}
    if (
        earlier is None
        or earlier.report.get("frames", {}).get("folder") != (flow.job.report["frames"]["folder"])
    ):
        return kept
    others = [
        item
        for item in earlier.results
        if item.kind in ("frame", "pass") and item.path not in mine and Path(item.path).is_file()
    ]
    return sorted([*others, *kept], key=lambda item: (item.kind != "frame", item.path))


def _last_answer(flow: Flow, target: Path) -> Result:
    """Keep Renderjuice's last answer beside the frames: what was used, what was found."""
    path = target / f"renderjuice-{flow.job.short_id}.json"
    text = json.dumps(flow.job.remote, indent=1, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return Result(str(path), path.stat().st_size, "report")
