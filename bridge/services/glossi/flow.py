# SPDX-License-Identifier: GPL-3.0-or-later
"""The Glossi flow: products, template, models, projects, a yes, renders once, follow, fetch.

Two ways lead to projects: the Jobs workflow (``workflow_jobs``) and the step-by-step one
(``workflow_steps``). Rendering is the same for both: POST /renders for these projects, since only
render jobs name the finished files. That call has no list to look for its answer in, so a lost
answer is a person's to decide.
"""

from __future__ import annotations

from ...approval import consent
from ...connect import connect
from ...flow import Flow
from ...package import captured_blender, package_products
from ...problems import Category, ProblemError
from .. import SERVICES
from . import in_job, renders, results, table, workflow_jobs, workflow_steps
from .client import GlossiClient
from .options import MAX_BYTES
from .templates import find_template


def shoot(flow: Flow) -> None:
    """Several products, one template: from the selection to stills and videos on disk."""
    package = package_products(flow, max_bytes=MAX_BYTES)
    products = table.begin(flow, package)
    with connect(
        flow.store,
        SERVICES["glossi"],
        flow.job,
        flow.settings,
        cancelled=flow.canceled,
        captured=captured_blender(flow),
        log=flow.log,
    ) as http:
        client = GlossiClient(http)
        template = flow.step(
            "template", lambda: find_template(client, flow.job.options.get("template"))
        )
        table.tell(flow, template=template)
        steps = flow.job.options.get("workflow") == "steps"
        workflow = workflow_steps if steps else workflow_jobs
        if in_job.asked(flow):
            in_job.agree(flow, len(products))
        projects = workflow.projects(flow, client, products, template)
        table.with_projects(flow, projects)
        if not projects:
            raise ProblemError(
                Category.REMOTE,
                f"{_who(flow)} could not use any of the models.",
                "The table of products says why. Change them and send again.",
            )
        if in_job.asked(flow):
            in_job.fetch(flow, client, projects)
        elif renders.wanted(flow):
            consent(flow, renders.question(flow, projects))
            jobs = renders.start(flow, client, projects)
            if int(flow.job.origin.get("retries", 0)) > int(flow.answer("retried") or 0):
                renders.start_failed_again(flow, client)
                flow.step_aside("retried", flow.job.origin["retries"])
            final = renders.follow(flow, client, jobs)
            results.fetch(flow, client, final)
        else:
            flow.note("No stills and no videos were asked for: the projects are ready at Glossi.")
            flow.done([])
        for text in http.notes():
            flow.note(text)


def _who(flow: Flow) -> str:
    return "The sandbox" if flow.job.sandboxed else "Glossi"
