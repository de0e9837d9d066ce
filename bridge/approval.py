# SPDX-License-Identifier: GPL-3.0-or-later
"""The stop before a paid step: nothing that costs something happens without a person's yes.

A price in credits is agreed to as a number, and a higher one is asked about again. Where a service
has no price list (a farm charges the GPU minutes that were used) the yes is to the step itself. The
yes is kept in ``Job.approved_credits``: credits, or infinity for a step or for "whatever it costs".
"""

from __future__ import annotations

import math

from .flow import STILL, Flow, Later
from .jobs import State


def approve(flow: Flow, price: float) -> None:
    """Stop at ``awaiting_approval`` unless a person agreed to at least this price (credits)."""
    if flow.job.price != price:
        flow.update(price=price)
    if price <= 0 or flow.job.sandboxed or covers(flow.job.approved_credits, price):
        return
    raise _ask("")


def consent(flow: Flow, text: str) -> None:
    """The step "consent": stop at ``awaiting_approval`` until a person said yes to go on.

    ``text`` is what the job shows meanwhile. Asked on the sandbox too: the findings are what the
    answer depends on, not only the money.
    """
    if flow.finished("consent"):
        return
    if flow.job.approved_credits != math.inf:
        raise _ask(text)
    flow.step("consent", lambda: True)


def _ask(text: str) -> Later:
    return Later(
        None,
        state=State.AWAITING_APPROVAL,
        waiting_reason="person",
        state_text=text,
        problem=None,
        **STILL,
    )


def covers(agreed: float | None, price: float) -> bool:
    """True when the agreed credits reach the price; Blender keeps seven digits of a number."""
    return agreed is not None and (agreed >= price or math.isclose(agreed, price, rel_tol=1e-6))
