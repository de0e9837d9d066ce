# SPDX-License-Identifier: GPL-3.0-or-later
"""Glossi: products and a template in, stills and videos out."""

from __future__ import annotations

from ..base import Service
from .options import ACCEPTS, MAX_BYTES, OPTIONS

GLOSSI = Service(
    name="glossi",
    label="Glossi",
    default_base_url="https://api.glossi.app/api/v1",
    env="GLOSSI",
    options=OPTIONS,
    accepts=ACCEPTS,
    max_bytes=MAX_BYTES,
    key_page="https://app.glossi.io (the workspace's settings)",
    flow_at="glossi.flow:shoot",
    client_at="glossi.client:GlossiClient",
    http_at="glossi.client:connection",
    check_at="glossi.options:check_options",
    attempt_steps=(
        "template",
        "plan",
        "upload.*",
        "confirm.*",
        "processed",
        "ready",
        "projects",
        "projects.looks",
        "named",
        "consent",
        "renders",
        "renders.*",
        "rendered",
        "rendered.*",
        "retry.*",
        "retried.*",
        "place",
        "stills",
    ),
    once_step="renders",
    goes_on="What was started goes on at Glossi and may be charged: it cannot be stopped.",
    many=True,
    priced=False,
)
