# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of services. Importing it is light; clients and flows are loaded when used."""

from __future__ import annotations

from .base import Option, Service
from .glossi import GLOSSI
from .renderjuice import RENDERJUICE
from .rigyd import RIGYD

__all__ = ["SERVICES", "Option", "Service"]

SERVICES: dict[str, Service] = {service.name: service for service in (RIGYD, RENDERJUICE, GLOSSI)}
