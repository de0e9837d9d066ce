# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs in words: what a state is called, how far it is, what it costs. One voice for all."""

from __future__ import annotations

import math

from .jobs import Job, State
from .paths import readable_bytes

_LABELS = {
    State.QUEUED: "Queued",
    State.PACKAGING: "Packaging",
    State.UPLOADING: "Uploading",
    State.SUBMITTING: "Waiting for the answer",
    State.IN_DOUBT: "In doubt",
    State.AWAITING_APPROVAL: "Waiting for your approval",
    State.REMOTE: "Converting",
    State.DOWNLOADING: "Downloading",
    State.WAITING: "Waiting",
    State.DONE: "Done",
    State.FAILED: "Failed",
    State.CANCELED: "Canceled",
}
_WAITING = {
    "network": "Waiting for the network",
    "credentials": "Waiting for a key",
    "online_access": "Waiting: Blender's online access is off",
    "person": "Waiting for you",
    "blender": "Waiting for Blender",
    "disk": "Waiting for disk space",
}

#: what Renderjuice says before it renders; nothing at all until its first answer
_BEFORE_RENDER = (None, "created", "validating", "validated")
#: listed by Renderjuice's documentation and explained nowhere; neither ends a job
_HELD = {"suspended": "Suspended", "debugging": "Needs attention"}


def state_label(job: Job) -> str:
    """The state in a word or two."""
    if job.cancel_requested and not job.state.terminal:
        return "Canceling"
    if job.state is State.WAITING:
        return _WAITING.get(job.waiting_reason, "Waiting")
    if job.state is State.REMOTE and job.service == "renderjuice":
        status = job.remote.get("status")
        return "Validating" if status in _BEFORE_RENDER else _HELD.get(status, "Rendering")
    if job.state is State.REMOTE and job.service == "glossi":
        return "Rendering" if renders(job) else "Preparing the models"
    return _LABELS[job.state]


def renders(job: Job) -> bool:
    """Whether Glossi's render jobs have begun: its last answer is then a list of them."""
    return isinstance(job.remote.get("rows"), list)


def credits_text(credits: float) -> str:
    """1 -> "1 credit", 0 -> "free", infinity (the price list does not say) -> in words."""
    if credits == 0:
        return "free"
    if math.isinf(credits):
        return "an unknown number of credits"
    number = f"{credits:g}"
    return f"{number} credit" if credits == 1 else f"{number} credits"


def gpu_text(minutes: float) -> str:
    """0.52 -> "0.5 GPU minutes", 1 -> "1 GPU minute"."""
    number = f"{minutes:,.1f}".removesuffix(".0") if minutes >= 0.05 else f"{minutes:.2g}"
    return f"{number} GPU minute" if number == "1" else f"{number} GPU minutes"


def agreement(job: Job) -> str:
    """What a person agrees to with their yes, as a sentence."""
    if job.price is not None:
        return f"It costs {credits_text(job.price)}."
    about = f"{job.state_text}. " if job.state_text else ""
    if job.sandboxed:
        return f"{about}It costs nothing on this computer."
    if job.service == "glossi":
        return f"{about}Glossi does not tell prices; your plan is charged for what is rendered."
    # No price list and no estimate are documented: a number is never made up.
    return f"{about}It uses GPU minutes of your plan; how many is known afterwards."


def progress_text(job: Job) -> str:
    """ "12.3 MB of 40.0 MB, 3.1 MB/s", "42 %", or ""."""
    if job.phase_total <= 0:
        return ""
    if job.phase_unit == "frames":
        return f"{job.phase_done:.0f} of {job.phase_total:.0f} frames"
    if job.phase_unit == "products":
        plural = "" if job.phase_total == 1 else "s"
        return f"{job.phase_done:.0f} of {job.phase_total:.0f} product{plural}"
    if job.phase_unit == "bytes":
        text = f"{readable_bytes(job.phase_done)} of {readable_bytes(job.phase_total)}"
        return f"{text}, {readable_bytes(job.rate)}/s" if job.rate > 0 else text
    return f"{100 * job.phase_done / job.phase_total:.0f} %"


def status_line(job: Job) -> str:
    """State, what the service says, and progress in one line."""
    label, told = state_label(job), job.state_text if not job.state.terminal else ""
    parts = [label, told if told != label else "", progress_text(job)]
    return " · ".join(part for part in parts if part)


def cost_line(job: Job) -> str:
    """What the job cost, or would cost."""
    minutes = job.report.get("gpu_minutes")
    if minutes is not None:
        return f"{gpu_text(minutes)}, free on this computer" if job.sandboxed else gpu_text(minutes)
    if job.credits_charged is not None:
        cost = credits_text(job.credits_charged)
        if job.sandboxed:
            return f"{cost}, pretend money of the sandbox" if job.credits_charged else "free"
        if job.state is State.FAILED:
            return f"{cost} held, given back by the service"
        return f"{cost} charged"
    if job.price is not None:
        return f"would cost {credits_text(job.price)}" if job.price else "free"
    return ""
