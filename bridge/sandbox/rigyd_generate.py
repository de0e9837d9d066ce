# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of text and image requests, as Rigyd's error table has them.

The generation itself belongs to a later stage; this module only decides whether a request is right
and which kind of job it would be.
"""

from __future__ import annotations

from pathlib import PurePath

from .uploads import Form
from .wire import HttpError, json_response

_IMAGES = (".jpg", ".jpeg", ".png", ".webp")
_MAX_IMAGE = 10 * 1024 * 1024
_MAX_PROMPT = 500


def _error(status: int, text: str) -> HttpError:
    return HttpError(json_response(status, {"error": text}))


def check(form: Form, image_field: str | None) -> str:
    """The job type of a right request. Raises HttpError.

    ``image_field`` is the only name accepted for images; None accepts both that are in use.
    """
    names = (image_field,) if image_field else ("images", "images[]")
    images = [item for item in form.files if item.field in names]
    prompt = form.fields.get("prompt", "").strip()
    if prompt and images:
        raise _error(422, "Provide either a text prompt or image(s), not both")
    if not prompt and not images:
        raise _error(422, "Provide a text prompt or at least one image")
    if len(prompt) > _MAX_PROMPT:
        raise _error(422, "Prompt must be 500 characters or less")
    if prompt:
        return "text_to_simready"
    if len(images) > 4:
        raise _error(422, "Maximum 4 images are supported")
    if len(images) not in (1, 4):
        raise _error(422, "Provide 1 image, or 4 images (front, right, back, left)")
    for item in images:
        if PurePath(item.filename).suffix.lower() not in _IMAGES:
            raise _error(422, f"Unsupported image format: {item.filename}")
        if item.size > _MAX_IMAGE:
            raise _error(413, f"Image too large (max 10MB): {item.filename}")
    return "image_to_simready" if len(images) == 1 else "multiview_to_simready"
