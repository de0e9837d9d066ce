# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches what a Renderjuice job offers, by ``bridge.fetching``; archives are unpacked.

The files of an archive come to lie where they would lie if they had come alone. Addresses expire:
then the list is asked for again. What the list may look like is in ``outputs``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...archive import extract_zip, folded
from ...fetching import Fetch, File, Task
from ...media import check_media
from ...names import safe_parts
from ...problems import Problem, ProblemError
from .explain import explain_storage
from .outputs import Downloads, Output, frame_numbers, missing_frames, read_downloads

if TYPE_CHECKING:
    from .client import RenderjuiceClient

__all__ = [
    "Arrived",
    "Downloads",
    "Fetched",
    "Output",
    "fetch_all",
    "frame_numbers",
    "missing_frames",
    "read_downloads",
]

#: the folder for the outputs of compositor nodes, beside the frames
PASSES = "passes"


@dataclass(frozen=True)
class Fetched:
    """A file that is there and whole. ``kind``: frame, pass, video; ``output`` is what it was on
    the list (one made of an archive's member has no address).
    """

    path: Path
    bytes: int
    kind: str
    output: Output


class Arrived(list[Fetched]):
    """What came, in the list's order; ``failed`` is what did not, with the reason of each."""

    def __init__(self, files: list[Fetched], failed: list[tuple[Output, Problem]]) -> None:
        super().__init__(files)
        self.failed = failed


def fetch_all(
    client: RenderjuiceClient,
    job_id: str,
    outputs: Downloads | Iterable[Output],
    folder: Path,
    *,
    parallel: int = 4,
    on_file: Callable[[Path, int, int], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Arrived:
    """Fetch ``outputs`` into ``folder``, each to its ``path``.

    Given ``Downloads``, it fetches what is ``wanted`` of it, and compositor outputs go to a folder
    of their own below. ``on_file(path, done, total)`` hears of each file that is whole,
    ``on_progress(done, total)`` counts bytes (``total`` is an estimate while sizes are still
    unknown, 0 at first). All functions are called in the caller's thread. Files that an earlier
    call brought are not fetched again.

    Raises HttpError when the service or its storage cannot be reached, ProblemError(DISK) for lack
    of room, Canceled; ProblemError(SERVICE) when nothing at all arrived whole. A file that stays
    damaged or is gone does not stop the others: it is in ``failed``.
    """
    tasks = _tasks(outputs, folder)
    Fetch(
        client.http,
        folder,
        job_id,
        lambda: {mark: item.url for mark, item in _marked(client.downloads(job_id).everything())},
        "Renderjuice's storage",
        explain_storage,
        unpack=lambda task, stopped: _unpacked(task, folder, stopped),
        on_file=on_file or (lambda _path, _done, _total: None),
        on_progress=on_progress or (lambda _done, _total: None),
        cancelled=cancelled or (lambda: False),
    ).run(tasks, parallel)
    files = [
        Fetched(file.path, file.bytes, file.kind, _output(task, file, folder))
        for task in tasks
        for file in task.files
    ]
    failed = [(task.item, task.problem) for task in tasks if task.problem is not None]
    if failed and not files:
        raise ProblemError.of(failed[0][1])
    return Arrived(files, failed)


def _output(task: Task, file: File, folder: Path) -> Output:
    output: Output = task.item
    if not output.kind.endswith("_zip"):
        return output
    name = file.path.relative_to(folder).as_posix()
    return Output("", file.path.name, path=name, kind=file.kind)


def _unpacked(task: Task, folder: Path, stopped: Callable[[], bool]) -> list[File] | None:
    """The files of an archive, each verified, where they would lie if they came alone."""
    if not task.kind.endswith("_zip"):
        return None
    kind = task.kind.removesuffix("_zip")
    staging = task.goal.with_name(f".{task.goal.name}.unpacked")
    shutil.rmtree(staging, ignore_errors=True)
    target = folder / PASSES if kind == "pass" else folder
    files = []
    try:
        paths = extract_zip(task.goal, staging, cancelled=stopped)
        base = Path(os.path.commonpath([path.parent for path in paths]))
        for path in paths:
            check_media(path, cancelled=stopped)
        for path in paths:
            goal = target / path.relative_to(base)
            goal.parent.mkdir(parents=True, exist_ok=True)
            size = path.stat().st_size
            os.replace(path, goal)
            files.append(File(goal, size, kind))
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    task.goal.unlink(missing_ok=True)
    return files


def _tasks(outputs: Downloads | Iterable[Output], folder: Path) -> list[Task]:
    apart = isinstance(outputs, Downloads)
    listed = outputs.wanted() if isinstance(outputs, Downloads) else list(outputs)
    tasks: list[Task] = []
    taken: set[str] = set()
    for mark, output in _marked(listed):
        parts = safe_parts(output.path or output.file_name) or ["file"]
        if apart and output.kind == "pass":
            parts = [PASSES, *parts]
        while folded("/".join(parts)) in taken:
            parts = [output.kind, *parts]
        taken.add(folded("/".join(parts)))
        tasks.append(Task(output.url, mark, folder.joinpath(*parts), output.kind, output))
    return tasks


def _marked(outputs: list[Output]) -> Iterator[tuple[tuple[Any, ...], Output]]:
    """Each output with what finds it again in a later list."""
    repeated: dict[tuple[Any, ...], int] = {}
    for output in outputs:
        repeated[output.key] = repeated.get(output.key, 0) + 1
        yield (*output.key, repeated[output.key]), output
