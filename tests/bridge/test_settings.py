# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings never fail to load, and keep what they do not know. Also: ways out of this computer."""

from __future__ import annotations

import json
import os
import ssl
from pathlib import Path

import pytest

from bridge import settings
from bridge.http import Http
from bridge.problems import Category, ProblemError
from bridge.route import ca_bundle, proxies_for
from bridge.settings import Settings
from tests.tools.faultserver import Exchange, FaultServer

# A throw-away certificate authority, made for these tests alone.
CA = """-----BEGIN CERTIFICATE-----
MIIBlzCCAT2gAwIBAgIUOaSt0Zs+KkLKATpjQswoyDIPjK8wCgYIKoZIzj0EAwIw
IDEeMBwGA1UEAwwVU2NlbmUgQ291cmllciB0ZXN0IENBMCAXDTI2MTEyMjA5MDkx
OVoYDzIxMjYxMDI5MDkwOTE5WjAgMR4wHAYDVQQDDBVTY2VuZSBDb3VyaWVyIHRl
c3QgQ0EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASbns3UAPdleYzRKI6D/RHd
s/YM6FNSFTJAU8zP1/KnqN26c1zzmJYt7suyt1KOP5Ef9/4cxzs/bcEqR9NdtNDp
o1MwUTAdBgNVHQ4EFgQUIKhXZFCsnvyItTaJW3TtTrzovCUwHwYDVR0jBBgwFoAU
IKhXZFCsnvyItTaJW3TtTrzovCUwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQD
AgNIADBFAiBPaPT7vHAGC1xqaeolZIHeq3zoykQMkxpVChCkeYK+hgIhALRVbiHT
LXewKnkSnCtBhZPnWgMKIVgeOFqbEgAg6R/8
-----END CERTIFICATE-----
"""


def test_defaults_without_a_file(home: Path) -> None:
    loaded = Settings.load(home, {})
    assert loaded == Settings(home=home) and loaded.warnings == ()
    assert loaded.reconcile_seconds == 60 and loaded.proxy_mode == "system"


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "\x00", "[" * 100_000])
def test_a_broken_file_gives_defaults_and_says_so(home: Path, text: str) -> None:
    (home / "settings.json").write_text(text)
    loaded = settings.load(home, {})
    assert loaded == Settings(home=home) and len(loaded.warnings) == 1


def test_values_are_typed_bounded_and_merged(home: Path) -> None:
    (home / "settings.json").write_text(
        '\ufeff{"poll_seconds": 9, "retries": 3.9, "stall_seconds": -5, "read_seconds": "soon", '
        '"proxy_mode": "magic", "idle_seconds": true, "of_the_future": {"a": 1}, "ca_file": null}'
    )
    environ = {"SCENE_COURIER_SETTINGS": '{"poll_seconds": 0.05, "idle_seconds": 1}'}
    loaded = settings.load(home, environ)
    assert loaded.poll_seconds == 0.05 and loaded.idle_seconds == 1.0
    assert loaded.retries == 3 and loaded.stall_seconds == 0.05
    assert loaded.read_seconds == Settings().read_seconds and loaded.proxy_mode == "system"
    assert len(loaded.warnings) == 3 and "read_seconds" in str(loaded.warnings)


def test_saving_keeps_unknown_fields_and_is_private(home: Path) -> None:
    path = home / "settings.json"
    path.write_text('{"of_the_future": {"a": 1}, "poll_seconds": 5}')
    saved = settings.save(home, proxy_mode="custom", proxy_url="http://u:p@proxy:3128")
    assert saved.proxy_mode == "custom" and saved.poll_seconds == 5
    assert json.loads(path.read_text())["of_the_future"] == {"a": 1}
    assert sorted(item.name for item in home.iterdir()) == ["settings.json"]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ValueError, match="unknown"):
        settings.save(home, api_key="x")
    with pytest.raises(ValueError, match="proxy_mode"):
        settings.save(home, proxy_mode="magic")


# --- proxies -------------------------------------------------------------------------------------

URL = "https://api.rigyd.com/api/x"


def test_proxy_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert proxies_for(URL, Settings()) == {}
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    for mode in ("system", "environment"):
        assert proxies_for(URL, Settings(proxy_mode=mode)) == {"https": "http://proxy.example:3128"}
    assert proxies_for(URL, Settings(proxy_mode="none")) == {}
    monkeypatch.setenv("no_proxy", "rigyd.com")
    assert proxies_for(URL, Settings()) == {}
    custom = Settings(proxy_mode="custom", proxy_url="p.example:1")
    assert proxies_for(URL, custom)["https"] == "http://p.example:1"
    assert proxies_for("http://127.0.0.1:1/", custom) == {}
    with pytest.raises(ProblemError) as caught:
        proxies_for(URL, Settings(proxy_mode="custom"))
    assert "do not name it" in caught.value.problem.sentence


def test_requests_go_through_the_proxy_and_the_key_does_not_reach_it() -> None:
    def script(exchange: Exchange) -> None:
        exchange.reply(407, b"")

    with FaultServer(script) as proxy:
        custom = Settings(proxy_mode="custom", proxy_url=f"http://u:pw@127.0.0.1:{proxy.port}")
        key = "rgyd_test_" + "k" * 43
        http = Http("https://api.example/api", key, settings=custom, label="Rigyd")
        with pytest.raises(ProblemError) as caught:
            http.get("/x")
    assert len(proxy.seen) == 1
    assert proxy.seen[0].method == "CONNECT" and proxy.seen[0].target == "api.example:443"
    assert key not in str(proxy.seen[0].headers)
    assert "proxy-authorization" in proxy.seen[0].headers
    assert caught.value.problem.sentence == "The proxy does not let the connection through."
    assert caught.value.problem.technical == "api.example: proxy error 407"
    assert "proxy settings" in caught.value.problem.hint


# --- certificates --------------------------------------------------------------------------------


def test_an_extra_ca_is_trusted_besides_the_usual_ones(home: Path, tmp_path: Path) -> None:
    import certifi

    extra = tmp_path / "company.pem"
    extra.write_text(CA)
    der = tmp_path / "company.der"
    der.write_bytes(ssl.PEM_cert_to_DER_cert(CA))
    for path in (extra, der):
        bundle = ca_bundle(Settings(home=home, ca_file=str(path)), {})
        assert isinstance(bundle, str) and Path(bundle).parent == home
        usual, both = ssl.create_default_context(), ssl.create_default_context(cafile=bundle)
        assert both.cert_store_stats()["x509"] >= 1 and usual is not both
        text = Path(bundle).read_text()
        assert text.startswith(Path(certifi.where()).read_text().rstrip()[:200])
        assert text.count("BEGIN CERTIFICATE") == 1 + Path(certifi.where()).read_text().count(
            "BEGIN CERTIFICATE"
        )
    assert ca_bundle(Settings(home=home), {}) is True
    assert isinstance(ca_bundle(Settings(home=home), {"SSL_CERT_FILE": str(extra)}), str)
    assert ca_bundle(Settings(home=home), {"SSL_CERT_FILE": str(tmp_path / "gone")}) is True


@pytest.mark.parametrize(
    "content", [None, b"", b"not a certificate", b"-----BEGIN CERTIFICATE-----"]
)
def test_a_bad_ca_file_is_a_problem(home: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProblemError) as caught:
        ca_bundle(Settings(home=home, ca_file=str(path)), {})
    assert caught.value.problem.sentence == "The extra certificate file cannot be used."
    assert caught.value.problem.category is Category.INPUT and caught.value.problem.hint
