# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault plan: how the sandbox is told to misbehave.

A plan is a JSON object (``scene-courier sandbox --faults FILE``, ``Sandbox(faults=...)``,
``Sandbox.set_faults``, ``PUT /_sandbox/faults``):

    {
      "credits": 3,
      "prices": {"glb_to_simready": 2},
      "sized_results": true,
      "max_upload_bytes": 100000,
      "image_field": "images[]",
      "rules": [
        {"method": "POST", "path": "/conversions", "nth": 1, "lose_answer": true},
        {"path": "/conversions/*", "times": 2, "status": 503, "headers": {"Retry-After": "1"}},
        {"path": "/conversions/*", "nth": [3, 4], "patch": {"status": "hibernating"}},
        {"path": "/conversions/*/result", "query": {"format": "usd"}, "times": 1, "cut": 5000},
        {"method": "POST", "path": "/conversions", "job": {"fail": "No mesh", "at": 0.5}}
      ]
    }

``credits`` sets the pretend balance, ``prices`` changes prices, ``sized_results`` sends results
with Content-Length and byte ranges (the service streams them), ``max_upload_bytes`` is the limit
of a 413 (default 524288000), ``image_field`` is the only name accepted for images (default: both).

``ways`` chooses, for what Renderjuice's documentation leaves open, how it is done here (see
``renderjuice_ways``), for example {"errors": "html", "cancel_timing": "later"}; ``glossi_ways`` the
same for Glossi's (see the module of that name).

Which requests a rule takes: ``service`` and ``method`` (default any), ``path`` below the API's
base, where ``*`` stands for one segment and ``**`` for any number (default any; Rigyd's assets are
"/assets/**", Renderjuice's uploads "/storage/uploads/**", its outputs "/storage/jobs/**", Glossi's
files "/storage/**" and "/files/**"),
``query`` (parameters that must have these values), ``nth`` (the how manieth request that fits, from
1: a number or a list), ``times`` (at most so often). Each rule counts on its own; of several armed
ones the first acts.

When it acts, ``when``: "early", before the body is read and anything is done; "received", when the
whole body has come, with nothing done; "done", when the request was carried out and only its
answer is changed. The default is "early", and "done" for what changes an answer.

What it does:
  status, headers, body      answer with this status; ``body`` is JSON, or text (with ``headers``)
  error, shape               an error text, in the form "plain" {"error": text} (default), "nested"
                             {"error": {"message", "name"}}, "data" {"data": {"error"}}, "message"
                             {"message"}, "text" (no JSON)
  html: true                 an HTML page of a proxy with that status
  expired: true              the XML of an object store whose signed URL has expired (403)
  garbage: true              JSON that breaks off, with status 200 unless given
  delay                      seconds to wait before answering
  cut                        break the connection: "before_headers", "after_headers", or after that
                             many bytes of the answer's body (or a share, as "90%");
                             ``reset: true`` as a reset
  lose_answer: true          the same as when "done" and cut "before_headers": carried out, unheard
  cut_upload                 break the connection after that many bytes of the request's body, or
                             after a share of it, as "90%"
  truncate                   an answer's body shortened to so many bytes, or to a share, as "50%";
                             correctly framed
  read_rate, send_rate       bytes per second at which the body is read, the answer sent
  patch, remove, wrap        of a JSON answer's ``data``, else its ``jobs``, else all of it (each
                             item, if a list): set these keys; drop these keys; put it below this
                             key
  zip                        instead of the result: "garbage", "corrupt", "empty", "traversal",
                             "absolute", "symlink", "no_main", "oversize" (``zip_bytes``, default
                             256 MiB, of zeros)
  job                        for a submit: what becomes of the job: {"fail": text, "at": fraction},
                             {"stuck": status, "progress": n}, {"mjcf": false}, {"seconds": n} (it
                             takes at least so long). Renderjuice's (``renderjuice_fate``) may be
                             given with its create, validate or render, Glossi's (``glossi_fate``)
                             with each call that begins something

Counters live in memory: a restart begins anew. Everything that a plan does not name is honest.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..problems import Category, ProblemError
from . import glossi_ways
from .renderjuice_ways import checked
from .wire import Response, html_response, json_response, share, xml_error

_OPTIONS = {
    "credits": int,
    "prices": dict,
    "sized_results": bool,
    "max_upload_bytes": int,
    "image_field": str,
    "ways": dict,
    "glossi_ways": dict,
    "rules": list,
}
_MATCH = {"service", "method", "path", "query", "nth", "times"}
_REPLACING = {"status", "error", "html", "garbage", "body", "expired"}
_CHANGING = {"truncate", "send_rate", "patch", "remove", "wrap", "zip", "lose_answer", "job"}
_OTHER = {
    "when",
    "headers",
    "shape",
    "delay",
    "cut",
    "reset",
    "cut_upload",
    "read_rate",
    "zip_bytes",
}
_ACTIONS = _REPLACING | _CHANGING | _OTHER
_ZIPS = {"garbage", "corrupt", "empty", "traversal", "absolute", "symlink", "no_main", "oversize"}
_TITLES = {413: "Request Entity Too Large", 429: "Too Many Requests", 502: "Bad Gateway",
           503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}  # fmt: skip


def _wrong(text: str) -> ProblemError:
    return ProblemError(
        Category.INPUT,
        "The fault plan cannot be used.",
        "docs/sandbox.md describes the format.",
        text,
    )


@dataclass
class Rule:
    """One rule of a plan, with its counters."""

    action: dict[str, Any]
    service: str = ""
    method: str = ""
    pattern: re.Pattern[str] | None = None
    query: dict[str, str] = field(default_factory=dict)
    nth: frozenset[int] = frozenset()
    times: int | None = None
    seen: int = 0
    acted: int = 0

    @classmethod
    def parse(cls, data: Any) -> Rule:
        """Read a rule. Raises ProblemError(INPUT) for what this sandbox does not know."""
        if not isinstance(data, dict):
            raise _wrong(f"a rule is an object, not {data!r}")
        unknown = set(data) - _MATCH - _ACTIONS
        if unknown:
            raise _wrong(f"unknown keys in a rule: {', '.join(sorted(unknown))}")
        if data.get("when", "early") not in ("early", "received", "done"):
            raise _wrong(f"when is early, received or done, not {data['when']!r}")
        if data.get("zip", "empty") not in _ZIPS:
            raise _wrong(f"zip is one of {', '.join(sorted(_ZIPS))}, not {data['zip']!r}")
        cut = data.get("cut", 0)
        if not _amount(cut) and cut not in ("before_headers", "after_headers"):
            raise _wrong(f"cut is before_headers, after_headers or a number, not {cut!r}")
        for name in ("cut_upload", "truncate"):
            if not _amount(data.get(name, 0)):
                raise _wrong(f"{name} is a number or a share like 90%, not {data[name]!r}")
        nth = data.get("nth", [])
        path = data.get("path")
        return cls(
            action={key: value for key, value in data.items() if key in _ACTIONS},
            service=str(data.get("service", "")),
            method=str(data.get("method", "")).upper(),
            pattern=None if path is None else _pattern(str(path)),
            query={name: str(value) for name, value in data.get("query", {}).items()},
            nth=frozenset([nth] if isinstance(nth, int) else nth),
            times=data.get("times"),
        )

    def takes(self, service: str, method: str, path: str, query: dict[str, list[str]]) -> bool:
        """Count a request that fits; True when the rule is armed for it."""
        if service and self.service and self.service != service:
            return False
        if self.method and self.method != method:
            return False
        if self.pattern is not None and not self.pattern.fullmatch(path):
            return False
        if any(query.get(name, [""])[-1] != value for name, value in self.query.items()):
            return False
        self.seen += 1
        if self.nth and self.seen not in self.nth:
            return False
        return self.times is None or self.acted < self.times


def _amount(value: Any) -> bool:
    """Whether a value is a number of bytes, or a share of them like "90%"."""
    try:
        return share(value, 1) is not None
    except ValueError:
        return False


def _pattern(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", glob)
    kinds = {"**": ".*", "*": "[^/]+"}
    return re.compile("".join(kinds.get(part, re.escape(part)) for part in parts))


class Fault:
    """What the rule that took a request does to it."""

    def __init__(self, action: dict[str, Any]) -> None:
        self.action = action
        in_answer = action.get("cut", "before_headers") != "before_headers"
        changing = _CHANGING & set(action) or in_answer
        replacing = _REPLACING & set(action)
        default = "done" if changing and not replacing else "early"
        self.when: str = action.get("when", default)

    @property
    def job(self) -> dict[str, Any]:
        """The fate of the job that this request creates."""
        return dict(self.action.get("job", {}))

    @property
    def acts_early(self) -> bool:
        """Whether it replaces the answer or cuts before the request is carried out."""
        return self.when != "done" and bool({"cut", *_REPLACING} & set(self.action))

    def replacement(self) -> Response | None:
        """The whole answer that it makes up, if it makes one up."""
        action = self.action
        if not _REPLACING & set(action):
            return None
        status = int(action.get("status", 200 if {"garbage", "body"} & set(action) else 500))
        if action.get("expired"):
            response = xml_error(
                int(action.get("status", 403)), "AccessDenied", "Request has expired"
            )
        elif action.get("html"):
            response = html_response(status, _TITLES.get(status, "Internal Server Error"))
        elif action.get("garbage"):
            response = json_response(status, {})
            response.body = b'{"data": {"id": "abc", "status": "comp'
        elif "body" in action:
            body = action["body"]
            response = json_response(status, body)
            if isinstance(body, str):
                response.body = body.encode()
        else:
            text = str(action.get("error", "Something went wrong"))
            response = _shaped(status, text, str(action.get("shape", "plain")))
        response.headers.update({k: str(v) for k, v in action.get("headers", {}).items()})
        return response

    def change(self, response: Response) -> Response:
        """Change an honest answer, and say what happens on the wire."""
        action = self.action
        if action.get("lose_answer"):
            response.wire["cut"] = "before_headers"
        if "cut" in action:
            response.wire["cut"] = action["cut"]
        for name in ("reset", "send_rate"):
            if name in action:
                response.wire[name] = action[name]
        if {"patch", "remove", "wrap"} & set(action):
            response.body = _patched(response.body, action)
        if "truncate" in action:
            response.body = response.body[: share(action["truncate"], len(response.body))]
            response.wire["truncate"] = action["truncate"]
        if self.when == "done" and not _REPLACING & set(action):
            response.headers.update({k: str(v) for k, v in action.get("headers", {}).items()})
        return response


def _shaped(status: int, text: str, shape: str) -> Response:
    shapes: dict[str, Any] = {
        "plain": {"error": text},
        "nested": {"error": {"message": text, "name": "ApplicationError"}},
        "data": {"data": {"error": text}},
        "message": {"message": text},
    }
    if shape == "text":
        return Response(status, {"Content-Type": "text/plain"}, text.encode())
    return json_response(status, shapes.get(shape, shapes["plain"]))


def _patched(body: bytes, action: dict[str, Any]) -> bytes:
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    place = next(
        (key for key in ("data", "jobs") if isinstance(answer, dict) and key in answer), None
    )
    data = answer if place is None else answer[place]
    for item in data if isinstance(data, list) else [data]:
        if isinstance(item, dict):
            item.update(action.get("patch", {}))
            for name in action.get("remove", []):
                item.pop(name, None)
    if "wrap" in action:
        wrapped = {str(action["wrap"]): data}
        if place is None:
            answer = wrapped
        else:
            answer[place] = wrapped
    return json.dumps(answer, ensure_ascii=False).encode()


class FaultPlan:
    """A plan in force. Safe to ask from any thread."""

    def __init__(self, data: dict[str, Any] | None = None) -> None:
        data = data or {}
        if not isinstance(data, dict):
            raise _wrong("the plan is an object")
        for name, value in data.items():
            kind = _OPTIONS.get(name)
            if kind is None:
                raise _wrong(f"unknown key {name!r}")
            if not isinstance(value, kind):
                raise _wrong(f"{name} has the wrong type")
        self.credits: int | None = data.get("credits")
        self.prices: dict[str, int] = data.get("prices", {})
        self.sized_results: bool = data.get("sized_results", False)
        self.max_upload_bytes: int | None = data.get("max_upload_bytes")
        self.image_field: str | None = data.get("image_field")
        self.ways: dict[str, Any] = checked(data.get("ways", {}))
        self.glossi_ways: dict[str, Any] = glossi_ways.checked(data.get("glossi_ways", {}))
        self._rules = [Rule.parse(rule) for rule in data.get("rules", [])]
        self._lock = threading.Lock()

    @classmethod
    def load(cls, source: FaultPlan | dict[str, Any] | Path | str | None) -> FaultPlan:
        """From a plan, an object, a file, or nothing. Raises ProblemError(INPUT)."""
        if isinstance(source, FaultPlan):
            return source
        if source is None or isinstance(source, dict):
            return cls(source)
        try:
            return cls(json.loads(Path(source).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise _wrong(f"{source}: {error}") from None

    def take(
        self, method: str, path: str, query: dict[str, list[str]], service: str = ""
    ) -> Fault | None:
        """The fault for a request, if a rule is armed for it. Counts the request."""
        with self._lock:
            chosen: Rule | None = None
            for rule in self._rules:
                if rule.takes(service, method, path, query) and chosen is None:
                    chosen = rule
                    rule.acted += 1
            return None if chosen is None else Fault(chosen.action)
