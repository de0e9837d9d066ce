# SPDX-License-Identifier: GPL-3.0-or-later
"""What Renderjuice's documentation leaves open, and the ways in which the sandbox can do it.

A client must not rely on any of these, so each can be changed while the sandbox runs: the fault
plan's ``ways``, or ``Sandbox(ways={...})``. The first value is the default.

  errors          "message" {"message", "statusCode"}, "error", "nested" {"error": {"message"}},
                  "detail", "list" {"errors": [{"message"}]}, "text", "html", "empty"
  validate        "bare" Job, "data" {"data": Job}, "empty" {}, "nothing" (no body)
  cancel          the same
  cancel_timing   "now"; "later", after ``cancel_seconds`` (1.0); "never": accepted, yet completed
  progress        "array" [{counters}], "object", "data" {"data": [{counters}]}, "words" (names that
                  nobody expects), "text" (no numbers). Idle is always []
  video           "map" {name: url}, "output" Output, "string" url, "array" [url], "null", "absent"
  zip_outputs     "output" Output, "array" [Output], "map" {name: Output}, "string" url, "null",
                  "absent"
  omit            [] names of keys that are left out of jobs, downloads and Outputs
  final           {} keys that ``finalConfig`` has, whatever was asked
  slug            "once", "again": whether a second job can be made from one upload
  slug_status     404, 400: of an unknown slug
  render_ended    "refuse" (400), "replay": render again after the job has ended
  unknown_fields  "refuse" (400), "ignore": in a render config
  order           "newest", "oldest": of the list
  upload_seconds  3600: how long an upload's URL works; 0 and less: it has expired already
  download_seconds  3600: the same of a download's
  signed_headers  "host", "content-type": what an upload's URL is signed for
  put_status      200, 201, 204: of an upload
  puts            "once", "again": whether an upload's URL takes a second PUT
  hook_signature  "hex", "base64", "prefixed" (sha256=hex), "wrong"
  hook_age        0: seconds by which the webhook's timestamp is too old
"""

from __future__ import annotations

from typing import Any

from ..problems import Category, ProblemError
from .wire import Response, html_response, json_response

#: each way's values, the default first; a type where any value of it will do
WAYS: dict[str, tuple[Any, ...]] = {
    "errors": ("message", "error", "nested", "detail", "list", "text", "html", "empty"),
    "validate": ("bare", "data", "empty", "nothing"),
    "cancel": ("bare", "data", "empty", "nothing"),
    "cancel_timing": ("now", "later", "never"),
    "cancel_seconds": (1.0, float),
    "progress": ("array", "object", "data", "words", "text"),
    "video": ("map", "output", "string", "array", "null", "absent"),
    "zip_outputs": ("output", "array", "map", "string", "null", "absent"),
    "omit": ([], list),
    "final": ({}, dict),
    "slug": ("once", "again"),
    "slug_status": (404, 400),
    "render_ended": ("refuse", "replay"),
    "unknown_fields": ("refuse", "ignore"),
    "order": ("newest", "oldest"),
    "upload_seconds": (3600, float),
    "download_seconds": (3600, float),
    "signed_headers": ("host", "content-type"),
    "put_status": (200, 201, 204),
    "puts": ("once", "again"),
    "hook_signature": ("hex", "base64", "prefixed", "wrong"),
    "hook_age": (0, float),
}
DEFAULTS: dict[str, Any] = {name: values[0] for name, values in WAYS.items()}


def checked(ways: dict[str, Any]) -> dict[str, Any]:
    """The same ways. Raises ProblemError(INPUT) for a way or a value that there is not."""
    for name, value in ways.items():
        values = WAYS.get(name, ())
        kind = next((item for item in values if isinstance(item, type)), None)
        number = kind is float and isinstance(value, (int, float))
        if not (number or (kind is not None and isinstance(value, kind)) or value in values):
            raise ProblemError(
                Category.INPUT,
                "The fault plan cannot be used.",
                "docs/sandbox.md describes the format.",
                f"there is no way {name} = {value!r}",
            )
    return ways


def refusal(status: int, text: str, shape: str) -> Response:
    """An error answer in the form that ``errors`` names."""
    forms: dict[str, Any] = {
        "message": {"message": text, "statusCode": status},
        "error": {"error": text},
        "nested": {"error": {"message": text, "code": status}},
        "detail": {"detail": text},
        "list": {"errors": [{"message": text}]},
    }
    if shape == "text":
        return Response(status, {"Content-Type": "text/plain"}, text.encode())
    if shape == "html":
        return html_response(status, text)
    if shape == "empty":
        return Response(status)
    return json_response(status, forms[shape])


def job_answer(job: dict[str, Any], shape: str) -> Response:
    """The answer of validate and cancel, whose body is not documented."""
    if shape == "nothing":
        return Response(200)
    bodies = {"bare": job, "data": {"data": job}, "empty": {}}
    return json_response(200, bodies[shape])


def progress_answer(counters: list[dict[str, Any]], shape: str) -> Any:
    """The body of progress. ``counters`` are {"jobId", "status", "completed", "total"}."""
    if not counters:
        return []
    if shape == "object":
        return counters[0]
    if shape == "data":
        return {"data": counters}
    if shape == "words":
        return [
            {"task": item["jobId"], "ready": item["completed"], "ofAll": {"n": item["total"]}}
            for item in counters
        ]
    if shape == "text":
        return [f"{item['completed']} of {item['total']} frames" for item in counters]
    return counters


def video(outputs: list[dict[str, Any]], shape: str) -> Any:
    """``transforms.video``; ``outputs`` are Outputs, at most one. An example shows it as {}."""
    if shape == "null":
        return None
    if shape == "array":
        return [item["url"] for item in outputs]
    if shape == "map":
        return {item["fileName"]: item["url"] for item in outputs}
    if not outputs:
        return {}
    return outputs[0]["url"] if shape == "string" else outputs[0]


def zip_outputs(output: dict[str, Any] | None, shape: str) -> Any:
    """``transforms.framesZipOutputs`` or ``compositeNodesZipOutputs``; None for no archive."""
    if shape == "null":
        return None
    if shape == "array":
        return [output] if output else []
    if output is None:
        return {}
    if shape == "map":
        return {output["fileName"]: output}
    return output["url"] if shape == "string" else output
