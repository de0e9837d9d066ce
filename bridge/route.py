# SPDX-License-Identifier: GPL-3.0-or-later
"""How a request leaves this computer: which addresses are allowed, proxies, trusted certificates.

Plain http only to this computer itself. Proxies come from the system, the environment, the
settings, or not at all, and are never used for loopback. An extra CA file (a company's own) is
trusted besides the usual ones, never instead of them. No request is made here.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from .paths import private_write
from .problems import Category, ProblemError
from .redact import technical
from .settings import Settings

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def is_loopback(host: str | None) -> bool:
    """True for this computer's own addresses: localhost, 127.0.0.0/8, ::1."""
    name = (host or "").strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port) of an address, for telling whether two are the same place."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme.lower() == "https" else 80)
    return parts.scheme.lower(), (parts.hostname or "").lower(), port


def check_url(url: str, what: str = "The address of the service") -> SplitResult:
    """The address in parts; ProblemError(INPUT) unless it is https, or http on this computer."""
    hint = "Use an address that starts with https://."
    try:
        parts = urlsplit(url.strip())
        parts.port  # noqa: B018  (raises ValueError for a port that is no number)
    except ValueError as error:
        raise ProblemError(
            Category.INPUT, f"{what} is not a web address.", hint, technical(error)
        ) from None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https") or not parts.hostname:
        raise ProblemError(
            Category.INPUT, f"{what} is not a web address.", hint, technical(f"scheme {scheme!r}")
        )
    if parts.username is not None or parts.password is not None:
        raise ProblemError(
            Category.INPUT, f"{what} holds a user name or a password.", "Remove it and try again."
        )
    if scheme == "http" and not is_loopback(parts.hostname):
        raise ProblemError(
            Category.INPUT,
            f"{what} is not encrypted.",
            "Use https://. Plain http is only for a service on this computer.",
            technical(f"host {parts.hostname}"),
        )
    return parts


def proxies_for(
    url: str, settings: Settings, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The proxies to hand to ``requests`` for this address; empty for a direct connection."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if settings.proxy_mode == "none" or is_loopback(host):
        return {}
    if settings.proxy_mode == "custom":
        proxy = settings.proxy_url.strip()
        if not proxy:
            raise ProblemError(
                Category.INPUT,
                "The settings ask for a proxy but do not name it.",
                "Enter the proxy's address, or choose the system's proxy settings.",
            )
        if "://" not in proxy:
            proxy = f"http://{proxy}"
        return {"http": proxy, "https": proxy}
    known = _found_proxies(settings.proxy_mode)
    place = f"{host}:{parts.port}" if parts.port else host
    if settings.proxy_mode == "environment":
        skip = urllib.request.proxy_bypass_environment(place, known)  # type: ignore[attr-defined]
    else:
        skip = urllib.request.proxy_bypass(place)
    if skip:
        return {}
    scheme = parts.scheme.lower()
    chosen = known.get(scheme) or known.get("all")
    if not chosen:
        return {}
    return {scheme: chosen if "://" in chosen else f"http://{chosen}"}


def _found_proxies(mode: str) -> dict[str, str]:
    if mode == "environment":
        return urllib.request.getproxies_environment()
    try:
        return urllib.request.getproxies()
    except OSError:  # an unreadable registry or system configuration
        return urllib.request.getproxies_environment()


def ca_bundle(settings: Settings, environ: Mapping[str, str] | None = None) -> str | bool:
    """What ``requests`` shall verify against: True, or a file of the usual CAs and the extra ones.

    The extra file is the settings' ``ca_file``, else what REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or
    SSL_CERT_FILE name. Raises ProblemError(INPUT) for a named file that holds no certificate.
    """
    env = os.environ if environ is None else environ
    named = settings.ca_file.strip()
    if not named:
        named = next((env[name] for name in _CA_VARIABLES if env.get(name)), "")
        if not named or not Path(named).is_file():
            return True
    import certifi

    extra = _certificates(Path(named).expanduser())
    usual = Path(certifi.where()).read_bytes()
    combined = usual.rstrip() + b"\n" + extra.rstrip() + b"\n"
    name = f"ca-{hashlib.sha256(combined).hexdigest()[:16]}.pem"
    folder = settings.home or Path(tempfile.gettempdir()) / f"scene-courier-{os.getpid()}"
    path = folder / name
    try:
        if not path.is_file() or path.read_bytes() != combined:
            private_write(path, combined.decode("utf-8", "replace"))
    except OSError as error:
        raise ProblemError(
            Category.DISK,
            "The list of trusted certificates cannot be written.",
            "Check that the data folder is writable and that the disk has room.",
            technical(type(error).__name__, error.strerror),
        ) from None
    return str(path)


def _certificates(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        if b"-----BEGIN" not in raw:
            raw = ssl.DER_cert_to_PEM_cert(raw).encode()
        ssl.create_default_context(cadata=raw.decode("utf-8", "replace"))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ProblemError(
            Category.INPUT,
            "The extra certificate file cannot be used.",
            "Choose a PEM or DER file with the certificate of your company or proxy.",
            technical(type(error).__name__, path.name),
        ) from None
    return raw
