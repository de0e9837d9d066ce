# SPDX-License-Identifier: GPL-3.0-or-later
"""Renderjuice: a scene goes to a render farm, its frames come back."""

from __future__ import annotations

from ..base import Service
from .options import ACCEPTS, MAX_BYTES, OPTIONS

RENDERJUICE = Service(
    name="renderjuice",
    label="Renderjuice",
    default_base_url="https://api.renderjuice.com/api/external/v1",
    env="RENDERJUICE",
    options=OPTIONS,
    accepts=ACCEPTS,
    max_bytes=MAX_BYTES,
    key_page="https://www.renderjuice.com (the dashboard; access to the API is given on request)",
    flow_at="renderjuice.flow:render",
    client_at="renderjuice.client:RenderjuiceClient",
    http_at="renderjuice.client:connection",
    attempt_steps=(
        "upload",
        "create",
        "create.looks",
        "named",
        "validate",
        "validated",
        "consent",
        "render",
        "follow",
        "cap",
        "cancel",
        "place",
        "frames",
        "frames.*",
    ),
    once_step="create",
    scope="scene",
    cancel_at="renderjuice.cancel:cancel",
    check_at="renderjuice.config:check_options",
    priced=False,
)
