# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies that are sent: sized iterables of 1 MiB pieces, read from disk as they leave.

``requests`` sends their Content-Length and hands each piece on as it is (a file object would go out
in 8 KiB pieces, at half the speed). Progress counts the bytes that have really left. They know when
they are about to become complete, which is what decides whether a paid request may be repeated.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .problems import Canceled, Category, ProblemError
from .redact import technical

if TYPE_CHECKING:
    from .wire import Watch

PIECE = 1024 * 1024


class Upload:
    """A body of known length, in pieces; what ``Http.once`` and ``Http.put_file`` send.

    ``before_last_piece()`` is called once, right before the final piece leaves: until then nothing
    can have started at the service. ``on_progress(done, total)`` counts bytes that left.
    Iterating raises Canceled when ``cancelled()`` says so before the last piece.
    """

    content_type = "application/octet-stream"

    def __init__(
        self,
        total: int,
        *,
        on_progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        before_last_piece: Callable[[], None] | None = None,
    ) -> None:
        self.total = total
        self.sent = 0
        self.committed = False
        self.cancelled = cancelled or (lambda: False)
        self.watch: Watch | None = None
        self._on_progress = on_progress or (lambda _done, _total: None)
        self._before_last_piece = before_last_piece or (lambda: None)

    def __len__(self) -> int:
        return self.total

    def __iter__(self) -> Iterator[memoryview]:
        self.sent = 0
        if self.watch is not None:
            self.watch.in_body = True
        pieces = self._pieces()
        left = self.total
        for piece in pieces:
            left -= len(piece)
            self._before(piece, left)
            yield piece
        if left:
            raise _changed("the body is shorter than it was said to be")

    def _pieces(self) -> Iterator[memoryview]:
        raise NotImplementedError

    def _unchanged(self) -> None:
        """Raise if what is being sent is no longer what it was at the start."""

    def _before(self, piece: memoryview, left: int) -> None:
        if left < 0:
            raise _changed("the body is longer than it was said to be")
        if self.cancelled():
            raise Canceled
        if self.watch is not None and self.watch.answered_early():
            raise BrokenPipeError  # urllib3 reads the answer then
        if left:
            return
        self._unchanged()
        try:
            self._before_last_piece()
        except (ProblemError, Canceled):
            raise
        except Exception as error:  # else an OSError of the store would look like a lost network
            raise ProblemError(
                Category.INTERNAL,
                "The upload could not be recorded.",
                "Nothing was sent. Try again.",
                technical(type(error).__name__, error),
            ) from error
        self.committed = True
        if self.watch is not None:
            self.watch.committed = True

    def moved(self, count: int) -> None:
        """``count`` more bytes of the body have left (called by the connection)."""
        self.sent += count
        self._on_progress(self.sent, self.total)


class JsonUpload(Upload):
    """A small JSON body for a call that may happen once."""

    content_type = "application/json"

    def __init__(self, value: Any, **hooks: Any) -> None:
        self._raw = json.dumps(value, allow_nan=False).encode()
        super().__init__(len(self._raw), **hooks)

    def _pieces(self) -> Iterator[memoryview]:
        yield memoryview(self._raw)


class _FileReader:
    """Reads one file in pieces and notices when it changes meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.stat = path.stat()
        except OSError as error:
            raise _unreadable(path, error) from None
        if self.stat.st_size == 0:
            raise ProblemError(
                Category.INPUT, f"“{path.name}” is empty.", "Export it again, then send it."
            )

    def pieces(self) -> Iterator[memoryview]:
        buffer = bytearray(PIECE)
        view = memoryview(buffer)
        left = self.stat.st_size
        try:
            file = self.path.open("rb", buffering=0)
        except OSError as error:
            raise _unreadable(self.path, error) from None
        with file:
            while left:
                try:
                    count = file.readinto(view[: min(PIECE, left)]) or 0
                except OSError as error:
                    raise _unreadable(self.path, error) from None
                if not count:
                    raise _changed("the file became shorter")
                left -= count
                yield view[:count]

    def unchanged(self) -> None:
        try:
            now = self.path.stat()
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if (now.st_size, now.st_mtime_ns) != (self.stat.st_size, self.stat.st_mtime_ns):
            raise _changed("size or time of the file changed")


class FileUpload(Upload):
    """A whole file as the body, for a PUT to a presigned address."""

    def __init__(
        self, path: Path, content_type: str = "application/octet-stream", **hooks: Any
    ) -> None:
        self._file = _FileReader(path)
        self.content_type = content_type
        super().__init__(self._file.stat.st_size, **hooks)

    def _pieces(self) -> Iterator[memoryview]:
        return self._file.pieces()

    def _unchanged(self) -> None:
        self._file.unchanged()


class MultipartUpload(Upload):
    """``multipart/form-data``: text fields, then one file.

    ``filename`` is what the service sees, not the name on disk. The last piece is the closing
    boundary, so nothing is complete before the whole file was read and found unchanged.
    """

    def __init__(
        self,
        fields: Mapping[str, str],
        path: Path,
        filename: str,
        *,
        field: str = "file",
        file_type: str = "application/octet-stream",
        **hooks: Any,
    ) -> None:
        from urllib3.fields import RequestField

        self._file = _FileReader(path)
        boundary = uuid.uuid4().hex
        head = b""
        for name, value in fields.items():
            part = RequestField(name, value)
            part.make_multipart()
            head += f"--{boundary}\r\n{part.render_headers()}{value}\r\n".encode()
        part = RequestField(field, b"", filename=filename)
        part.make_multipart(content_type=file_type)
        self._head = head + f"--{boundary}\r\n{part.render_headers()}".encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.file_bytes = self._file.stat.st_size
        super().__init__(len(self._head) + self.file_bytes + len(self._tail), **hooks)

    def _pieces(self) -> Iterator[memoryview]:
        yield memoryview(self._head)
        yield from self._file.pieces()
        yield memoryview(self._tail)

    def _unchanged(self) -> None:
        self._file.unchanged()


def _changed(detail: str) -> ProblemError:
    return ProblemError(
        Category.INPUT,
        "The file changed while it was being sent.",
        "Wait until it is written, then send it again. Nothing was started.",
        detail,
    )


def _unreadable(path: Path, error: OSError) -> ProblemError:
    return ProblemError(
        Category.INPUT,
        f"“{path.name}” cannot be read.",
        "Check that it is still there and that you may read it.",
        technical(type(error).__name__, error.strerror),
    )
