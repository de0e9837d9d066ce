# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigyd: a 3D file in, a physics-ready SimReady USD asset and a MuJoCo package out."""

from __future__ import annotations

from ..base import Service
from .options import ACCEPTS, MAX_BYTES, OPTIONS

RIGYD = Service(
    name="rigyd",
    label="Rigyd",
    default_base_url="https://api.rigyd.com/api",
    env="RIGYD",
    options=OPTIONS,
    accepts=ACCEPTS,
    max_bytes=MAX_BYTES,
    key_page="https://app.rigyd.com (Settings, API Keys)",
    flow_at="rigyd.flow:convert",
    client_at="rigyd.client:RigydClient",
    http_at="rigyd.client:connection",
    goes_on="The conversion goes on at Rigyd and is charged: it cannot be stopped.",
    attempt_steps=("submit", "submit.looks", "named", "follow", "download", "place", "unpack"),
)
