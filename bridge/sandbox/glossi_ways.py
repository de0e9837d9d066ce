# SPDX-License-Identifier: GPL-3.0-or-later
"""What Glossi's documentation leaves open, and the ways in which the sandbox can do it.

A client must not rely on any of these, so each can be changed while the sandbox runs: the fault
plan's ``glossi_ways``, or ``Sandbox(glossi_ways={...})``. The first value is the default.

  errors          "error" {"error": text}, "message" {"message", "statusCode"}, "nested" {"error":
                  {"message"}}, "errorMessage", "list" {"errors": [text]}, "text", "html", "empty"
  success         200, 201, 202: of the calls that are no GET
  job_error       "string", "object" {"message"}: ``error`` of a failed job
  files           "key", a bare ``filePath``; "path_url", ``filePath`` is a signed URL; "url",
                  "downloadUrl", "signedUrl", "fileUrl": the key, and a signed URL of that name
  job_renders     "hidden"; "results", "top": where a job that rendered shows its ``renders``
  partial         "keep", a job completes with what is good; "keep_error", and has an ``error``;
                  "fail", one failed model or render fails the job; "fail_results", which then shows
                  what is good
  confirm_again   409, 400, 200: a second confirm, of a job's uploads or of a model
  confirm_early   "refuse" (400); "accept": a confirm while files are missing. Those models fail
  no_template     "refuse" (400); "accept": projects without a template, which cannot be rendered
  project_seconds 0: how long a new project cannot be rendered yet
  not_ready       409, 400, 422, 425: of a render of such a project
  failed_status   "FAILED", or any other word: the status of a model that failed
  model_error     "absent", "error", "errorMessage": whether a failed model's status has its reason
  retry_status    409, 400, 422: of a retry of what has not failed
  unknown_fields  "refuse" (400), "ignore": in a body
  order           "same", "reversed": of models, projects, jobs and renders in answers
  omit            [] names of keys that are left out of answers
  upload_seconds  3600: how long an upload's URL works; 0 and less: it has expired already
  download_seconds  3600: the same of a signed URL of a file
  puts            "again", "once": whether an upload's URL takes a second PUT before the confirm
  no_webhook      404, "null", "empty" {}: the answer when there is no webhook setting
  delete_status   200, 204: of DELETE /webhooks
  webhook_secret  "keep", "new": what a PUT does to the secret that there is
  job_hook        "signed" (where there is a webhook setting), "unsigned": what goes to a job's
                  ``webhookUrl``
  hook_signature  "hex", "prefixed" (sha256=hex), "wrong", "absent"
  hook_body       "compact", as JSON.stringify writes it; "spaced", the same with other bytes
  hook_order      "same", "reversed": of events that happen at about the same time
  hook_times      1: how often each event is delivered, though it arrived
  hook_age        0: seconds by which ``timestamp`` is too old
"""

from __future__ import annotations

from typing import Any

from ..problems import Category, ProblemError
from .wire import Response, html_response, json_response

#: each way's values, the default first; a type where any value of it will do
WAYS: dict[str, tuple[Any, ...]] = {
    "errors": ("error", "message", "nested", "errorMessage", "list", "text", "html", "empty"),
    "success": (200, 201, 202),
    "job_error": ("string", "object"),
    "files": ("key", "path_url", "url", "downloadUrl", "signedUrl", "fileUrl"),
    "job_renders": ("hidden", "results", "top"),
    "partial": ("keep", "keep_error", "fail", "fail_results"),
    "confirm_again": (409, 400, 200),
    "confirm_early": ("refuse", "accept"),
    "no_template": ("refuse", "accept"),
    "project_seconds": (0, float),
    "not_ready": (409, 400, 422, 425),
    "failed_status": ("FAILED", str),
    "model_error": ("absent", "error", "errorMessage"),
    "retry_status": (409, 400, 422),
    "unknown_fields": ("refuse", "ignore"),
    "order": ("same", "reversed"),
    "omit": ([], list),
    "upload_seconds": (3600, float),
    "download_seconds": (3600, float),
    "puts": ("again", "once"),
    "no_webhook": (404, "null", "empty"),
    "delete_status": (200, 204),
    "webhook_secret": ("keep", "new"),
    "job_hook": ("signed", "unsigned"),
    "hook_signature": ("hex", "prefixed", "wrong", "absent"),
    "hook_body": ("compact", "spaced"),
    "hook_order": ("same", "reversed"),
    "hook_times": (1, float),
    "hook_age": (0, float),
}
DEFAULTS: dict[str, Any] = {name: values[0] for name, values in WAYS.items()}


def checked(ways: dict[str, Any]) -> dict[str, Any]:
    """The same ways. Raises ProblemError(INPUT) for a way or a value that there is not."""
    for name, value in ways.items():
        values = WAYS.get(name, ())
        kind = next((item for item in values if isinstance(item, type)), None)
        number = kind is float and isinstance(value, (int, float)) and not isinstance(value, bool)
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
        "error": {"error": text},
        "message": {"message": text, "statusCode": status},
        "nested": {"error": {"message": text, "code": status}},
        "errorMessage": {"errorMessage": text},
        "list": {"errors": [text]},
    }
    if shape == "text":
        return Response(status, {"Content-Type": "text/plain"}, text.encode())
    if shape == "html":
        return html_response(status, text)
    if shape == "empty":
        return Response(status)
    return json_response(status, forms[shape])


def ordered(items: list[Any], ways: dict[str, Any]) -> list[Any]:
    """The same, or the other way round."""
    return items[::-1] if ways["order"] == "reversed" else items


def without(value: Any, names: list[str]) -> Any:
    """A JSON value without the keys of these names, at any depth."""
    if not names:
        return value
    if isinstance(value, dict):
        return {key: without(item, names) for key, item in value.items() if key not in names}
    if isinstance(value, list):
        return [without(item, names) for item in value]
    return value
