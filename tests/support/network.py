# SPDX-License-Identifier: GPL-3.0-or-later
"""No test reaches past this computer: an audit hook refuses every address but loopback.

An audit hook cannot be taken back and sees what every library does, also C code that uses Python's
socket module. What was refused is kept, so that code which swallows the refusal fails the session
all the same.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys

refused: list[str] = []
"""What was tried, with the test that tried it."""

# Reserved names that never resolve (RFC 2606, RFC 6761): a test may use them for "this host does
# not exist".
_NEVER = (".invalid", ".test", ".example")


def _is_loopback(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or host in ("", "localhost", "localhost.localdomain"):
        return True
    try:
        return ipaddress.ip_address(str(host).split("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse(what: str) -> None:
    test = os.environ.get("PYTEST_CURRENT_TEST", "outside a test")
    refused.append(f"{what} ({test})")
    raise ConnectionRefusedError(f"tests talk to this computer only: {what}")


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        # A path (a Unix socket) or None (a connected socket) stays on this computer.
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            _refuse(f"{event} {address[0]}:{address[1]}")
    elif event == "socket.getaddrinfo":
        host = arguments[0]
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
        if name.rstrip(".").endswith(_NEVER):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if host is not None and not _is_loopback(host):
            try:
                ipaddress.ip_address(
                    name.split("%")[0]
                )  # needs no look-up: connecting will be refused
            except ValueError:
                _refuse(f"looking up {name}")


_installed = False


def install() -> None:
    """Put the guard in place for the rest of this process."""
    global _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True
