# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks up on the disk what a scene refers to. Reads names and sizes, opens no file.

A name that is not there as spelled is looked for with the other Unicode form of its accents, then
with other capital letters, as it would be found on the computer where it was written. Folders are
listed once; a scan of a sequence with thousands of files is one listing.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator

from addon.recipes import places
from addon.recipes.dependencies.model import (
    CASE,
    EMPTY,
    LOOP,
    UNICODE,
    UNREADABLE,
    FileEntry,
)


class Disk:
    """What is on this computer's disks, remembered for one scan.

    ``folded``: names are found whatever their case (Windows, macOS), so that being found says
    nothing about the spelling, and it is compared with the folder's listing.
    """

    def __init__(self, folded: bool = os.name == "nt" or sys.platform == "darwin") -> None:
        self.folded = folded
        self._names: dict[str, list[str]] = {}
        self._by_fold: dict[str, dict[str, list[str]]] = {}
        self._spelled: dict[str, str | None] = {}

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; [] when it is none or may not be read."""
        known = self._names.get(folder)
        if known is None:
            try:
                known = sorted(os.listdir(places.extended(folder)))
            except (OSError, ValueError):
                known = []
            self._names[folder] = known
        return known

    def find(self, path: str) -> tuple[str, str] | None:
        """What is at an absolute path: (path as spelled on the disk, problem code or ""), or None.

        A symbolic link that leads to itself is found, with `LOOP`.
        """
        if not places.is_absolute(path) or places.is_windows(path) != (os.name == "nt"):
            return None
        try:
            os.stat(places.extended(path))
        except OSError as error:
            if error.errno == errno.ELOOP:
                return path, LOOP
            if error.errno == errno.EACCES:
                return path, UNREADABLE
        except ValueError:  # a zero byte in the name
            return None
        else:
            if not self.folded:
                return path, ""
        spelled = self._spelling(path)
        if spelled is None:
            return None
        try:
            os.stat(places.extended(spelled))
        except (OSError, ValueError):
            return None
        return spelled, self.difference(path, spelled)

    @staticmethod
    def difference(wanted: str, spelled: str) -> str:
        """In what two spellings of a path differ, as a problem code."""
        if wanted == spelled:
            return ""
        return UNICODE if places.same_form(wanted, spelled) else CASE

    def _spelling(self, path: str) -> str | None:
        """A path as the disk spells it, part for part; None when some part is not there."""
        known = self._spelled.get(path, "")
        if known != "":
            return known
        pieces = places.parts(path)
        if len(pieces) == 1:
            return path
        folder = self._spelling(places.join(pieces[:-1]))
        found = None
        if folder is not None:
            name = self.spelling_in(folder, pieces[-1])
            if name is not None:
                found = os.path.join(folder, name)
            elif os.path.lexists(places.extended(os.path.join(folder, pieces[-1]))):
                found = os.path.join(folder, pieces[-1])  # in a folder that may not be listed
        self._spelled[path] = found
        return found

    def spelling_in(self, folder: str, name: str) -> str | None:
        """How a folder spells a name: exactly so, or in another Unicode form, or in other case."""
        listed = self._by_fold.get(folder)
        if listed is None:
            listed = {}
            for each in self.names(folder):
                listed.setdefault(places.fold(each), []).append(each)
            self._by_fold[folder] = listed
        close = listed.get(places.fold(name), [])
        if name in close:
            return name
        return next((each for each in close if places.same_form(each, name)), None) or next(
            iter(close), None
        )

    def entry(
        self, path: str, frame: int | None = None, *, wanted: str = "", problem: str = ""
    ) -> FileEntry | None:
        """The entry for a file that was found at ``path``; None when it is no (more a) file."""
        wanted = wanted or path
        problem = problem or self.difference(wanted, path)
        if problem in (LOOP, UNREADABLE):
            return FileEntry(path, 0, frame, False, problem, wanted, path)
        try:
            facts = os.stat(places.extended(path))
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EACCES):
                code = LOOP if error.errno == errno.ELOOP else UNREADABLE
                return FileEntry(path, 0, frame, False, code, wanted, path)
            return None
        except ValueError:
            return None
        if stat.S_ISDIR(facts.st_mode):
            return None
        if not os.access(places.extended(path), os.R_OK):
            problem = UNREADABLE
        away = places.is_placeholder(
            facts.st_size,
            getattr(facts, "st_file_attributes", 0),
            getattr(facts, "st_flags", 0),
        )
        if not facts.st_size and not problem:
            problem = EMPTY
        real = places.plain(os.path.realpath(places.extended(path)))
        return FileEntry(path, facts.st_size, frame, away, problem, wanted, real)

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder at a path as spelled on the disk."""
        return os.path.isdir(places.extended(path))

    def tree(
        self, folder: str, keep: Callable[[str], bool] = lambda relative: True
    ) -> Iterator[tuple[str, str]]:
        """(path relative to the folder with slashes, absolute path) of the files in it, deeply.

        Follows symbolic links to folders, each folder once. ``keep`` is asked for files.
        """
        seen: set[str] = set()
        todo = [(folder, "")]
        while todo:
            place, prefix = todo.pop()
            real = os.path.realpath(places.extended(place))
            if real in seen:
                continue
            seen.add(real)
            for name in self.names(place):
                path = os.path.join(place, name)
                if self.is_folder(path):
                    todo.append((path, prefix + name + "/"))
                elif keep(prefix + name):
                    yield prefix + name, path
