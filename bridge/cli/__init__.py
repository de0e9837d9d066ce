# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: the same jobs as in Blender's panel, from a terminal or a pipeline.

This module only reads the arguments; each command lives in a module of its own that is imported
when it is asked for, so that ``--version`` and ``--help`` cost nothing. It never takes a key as an
argument: argument lists are visible to everyone on the computer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from .. import __version__
from ..problems import Category, Problem, ProblemError

OK = 0
JOB_FAILED = 1
USAGE = 2
CREDENTIALS = 3
PERSON = 4
INTERRUPTED = 130

_EPILOG = """\
exit codes: 0 done, 1 the job failed, 2 wrong usage or bad input, 3 credentials,
4 in doubt or a person has to decide, 130 interrupted (the job lives on)

environment: RIGYD_API_KEY, RIGYD_BASE_URL (and RENDERJUICE_…, GLOSSI_…),
SCENE_COURIER_HOME (data folder), SCENE_COURIER_BLENDER (the Blender, or the Python with
bpy, that packages scenes)
"""


class _Parser(argparse.ArgumentParser):
    """Wrong usage becomes a problem like any other, so that ``--json`` can carry it."""

    def error(self, message: str) -> NoReturn:
        raise ProblemError(
            Category.INPUT,
            f"{message[:1].upper()}{message[1:]}.".replace("..", "."),
            f"“{self.prog} --help” shows the arguments.",
        )


def _add_json(parser: argparse.ArgumentParser) -> None:
    # SUPPRESS: a sub-command without the flag must not undo the one before it.
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print exactly one JSON object to stdout; everything else goes to stderr",
    )


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar of the command line."""
    parser = _Parser(
        prog="scene-courier",
        description="Send scenes and models to web services and bring the results back.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"scene-courier {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    send = commands.add_parser("send", help="send a .blend or a ready file", allow_abbrev=False)
    send.add_argument(
        "file",
        nargs="+",
        metavar="FILE",
        help="a .blend, or a file that the service takes; several where one job takes several",
    )
    send.add_argument("--to", required=True, metavar="SERVICE", help="for example: rigyd")
    send.add_argument(
        "--select",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="only these objects of the .blend (default: all visible meshes)",
    )
    send.add_argument(
        "--option",
        nargs="+",
        action="extend",
        metavar="KEY=VALUE",
        help="an option of the service; “scene-courier services” lists them",
    )
    send.add_argument("--out", metavar="DIR", help="folder for the results")
    send.add_argument("--sandbox", action="store_true", help="work on this computer, free")
    send.add_argument("--wait", action="store_true", help="follow the job to its end")
    send.add_argument("--yes", action="store_true", help="agree to what the job costs")
    _add_json(send)

    jobs = commands.add_parser("jobs", help="list, show and steer jobs", allow_abbrev=False)
    _add_json(jobs)
    actions = jobs.add_subparsers(dest="action", metavar="ACTION")
    for name, text in (
        ("show", "one job in full"),
        ("cancel", "stop a job"),
        ("retry", "try again from the last finished step"),
        ("forget", "remove an ended job and its folder from this computer"),
        ("approve", "agree to what a job costs, so that it goes on"),
        ("resolve", "say what became of a job that is in doubt"),
        ("again", "a new job from what a job sent: missing frames, other frames, or all"),
        ("override", "send although the check of the scene found something that blocks"),
    ):
        action = actions.add_parser(name, help=text, allow_abbrev=False)
        action.add_argument("id", metavar="ID", help="a job's id, or the beginning of it")
        _add_json(action)
        if name == "show":
            action.add_argument("--wait", action="store_true", help="follow the job to its end")
        if name in ("approve", "show", "again"):
            action.add_argument("--yes", action="store_true", help="agree without being asked")
        if name == "again":
            which = action.add_mutually_exclusive_group()
            which.add_argument("--frames", metavar="1-9,12", help="these frames")
            which.add_argument("--missing", action="store_true", help="those that did not come")
        if name == "resolve":
            found = action.add_mutually_exclusive_group(required=True)
            found.add_argument("--remote", metavar="ID", help="the service has it, under this id")
            found.add_argument(
                "--send-again",
                action="store_true",
                help="the service does not have it: send it again (it may cost again)",
            )

    adopt = actions.add_parser(
        "adopt", help="follow a job that was started elsewhere", allow_abbrev=False
    )
    adopt.add_argument("remote", metavar="ID", nargs="?", help="the service's id; none: list them")
    adopt.add_argument("--from", dest="service", default="renderjuice", metavar="SERVICE")
    adopt.add_argument("--sandbox", action="store_true", help="from the sandbox")
    adopt.add_argument("--out", metavar="DIR", help="folder for the results")
    adopt.add_argument("--wait", action="store_true", help="follow the job to its end")
    adopt.add_argument("--yes", action="store_true", help="agree to what the job costs")
    _add_json(adopt)

    pack = commands.add_parser(
        "pack", help="check and pack a .blend as for a farm, without sending it", allow_abbrev=False
    )
    pack.add_argument("file", metavar="FILE", help="a .blend")
    pack.add_argument("--out", required=True, metavar="DIR", help="folder for the package")
    pack.add_argument("--to", default="renderjuice", metavar="SERVICE", help=argparse.SUPPRESS)
    pack.add_argument("--option", nargs="+", action="extend", metavar="KEY=VALUE")
    _add_json(pack)

    templates = commands.add_parser(
        "templates", help="what a service can put products into", allow_abbrev=False
    )
    templates.add_argument("--from", dest="service", default="glossi", metavar="SERVICE")
    whose = templates.add_mutually_exclusive_group()
    whose.add_argument("--public", action="store_true", help="only those that everybody has")
    whose.add_argument("--workspace", action="store_true", help="only those of the workspace")
    templates.add_argument("--sandbox", action="store_true", help="of the sandbox")
    _add_json(templates)

    services = commands.add_parser("services", help="services, keys, limits, prices, options")
    services.add_argument(
        "--offline", action="store_true", help="do not ask the services for their prices"
    )
    _add_json(services)

    login = commands.add_parser("login", help="keep a service's key (asked for, never an argument)")
    login.add_argument("service", metavar="SERVICE")
    login.add_argument(
        "--allow-file",
        action="store_true",
        help="without a keyring, keep the key in a private file in the data folder",
    )
    login.add_argument("--offline", action="store_true", help="do not check the key first")
    login.add_argument(
        "--webhook", action="store_true", help="the secret that the service signs its events with"
    )
    _add_json(login)
    logout = commands.add_parser("logout", help="forget a service's key")
    logout.add_argument("service", metavar="SERVICE")
    logout.add_argument("--webhook", action="store_true", help="the webhook secret instead")
    _add_json(logout)

    webhooks = commands.add_parser("webhooks", help="receive a service's events")
    hooks = webhooks.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_webhooks(hooks)

    commands.add_parser("worker", help="run the worker here until it is interrupted")
    sandbox = commands.add_parser("sandbox", help="serve the sandbox until it is interrupted")
    sandbox.add_argument("--port", type=_port, default=0, metavar="N", help="default: a free one")
    sandbox.add_argument(
        "--service",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="only these services (default: all)",
    )
    sandbox.add_argument("--faults", metavar="FILE", help="a fault plan (docs/sandbox.md)")
    sandbox.add_argument(
        "--renderjuice-webhook",
        metavar="URL",
        help="post Renderjuice's events there, on this computer; remembered, '' ends it",
    )
    _add_json(sandbox)

    demo = commands.add_parser("demo", help="the whole trip with small scenes, on this computer")
    demo.add_argument("--out", metavar="DIR", help="folder for the pictures and the results")
    demo.add_argument("--extension", metavar="ZIP", help="import with this built extension")
    demo.add_argument("--fast", action="store_true", help="small pictures with few samples")
    _add_json(demo)

    diagnose = commands.add_parser("diagnose", help="what a helper needs to know, without secrets")
    diagnose.add_argument("--offline", action="store_true", help="skip the network check")
    _add_json(diagnose)
    return parser


def _add_webhooks(hooks: Any) -> None:
    listen = hooks.add_parser(
        "listen", help="on this computer, behind your own tunnel", allow_abbrev=False
    )
    listen.add_argument("--service", required=True, metavar="NAME", help="renderjuice or glossi")
    listen.add_argument("--port", type=_open_port, required=True, metavar="N")
    listen.add_argument("--sandbox", action="store_true", help="the sandbox's events")
    show = hooks.add_parser("show", help="where the service posts its events", allow_abbrev=False)
    change = hooks.add_parser(
        "set", help="post them to an address; the secret goes to the keyring", allow_abbrev=False
    )
    change.add_argument("--url", required=True, metavar="URL")
    change.add_argument(
        "--event",
        nargs="+",
        action="extend",
        required=True,
        metavar="NAME",
        help="model.processed, model.failed, project.created, job.complete, job.failed, "
        "render.complete, render.failed, or all",
    )
    change.add_argument("--disabled", action="store_true", help="keep the setting, post nothing")
    change.add_argument("--description", metavar="TEXT")
    change.add_argument(
        "--allow-file",
        action="store_true",
        help="without a keyring, keep the secret in a private file in the data folder",
    )
    delete = hooks.add_parser("delete", help="post them nowhere", allow_abbrev=False)
    for parser in (show, change, delete):
        parser.add_argument("--service", default="glossi", metavar="NAME", help="default: glossi")
        parser.add_argument("--sandbox", action="store_true", help="of the sandbox")
    for parser in (change, delete):
        parser.add_argument("--yes", action="store_true", help="replace or remove what there is")
    for parser in (listen, show, change, delete):
        _add_json(parser)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port between 0 and 65535")
    return int(text)


def _open_port(text: str) -> int:
    if _port(text) == 0:
        raise argparse.ArgumentTypeError("a tunnel needs a port that stays: name one")
    return _port(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Never raises, except for ``--help``'s SystemExit."""
    given = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Names may hold characters that the terminal cannot show.
            stream.reconfigure(errors="backslashreplace")
    words = [word for word in given if not word.startswith("-")]
    # “jobs” alone lists, “jobs show ID” and its like are about one job.
    command = "job" if words[:1] == ["jobs"] and len(words) > 1 else "".join(words[:1])
    json_wanted = "--json" in given
    try:
        args = build_parser().parse_args(given)
        args.json = getattr(args, "json", False)
        return _run(args)
    except ProblemError as error:
        from . import output

        return output.refuse(error.problem, command, json_wanted)
    except KeyboardInterrupt:
        from . import output

        output.refuse(Problem(Category.CANCELED, "Interrupted."), command, json_wanted)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left; keep the interpreter from complaining at exit.
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        from . import output

        return output.refuse(output.fault(error), command, json_wanted)


def _run(args: argparse.Namespace) -> int:
    command = args.command
    if command == "send":
        from .send import send

        return send(args)
    if command == "pack":
        from .pack import pack

        return pack(args)
    if command == "templates":
        from .templates import templates

        return templates(args)
    if command == "jobs":
        from .jobs import jobs

        return jobs(args)
    if command == "services":
        from .services import services

        return services(args)
    if command in ("login", "logout"):
        from . import login

        return login.login(args) if command == "login" else login.logout(args)
    if command == "webhooks":
        from .webhooks import webhooks

        return webhooks(args)
    if command in ("worker", "sandbox"):
        from . import serve

        return serve.worker(args) if command == "worker" else serve.sandbox(args)
    if command == "demo":
        from .demo import demo

        return demo(args)
    from .diagnose import diagnose

    return diagnose(args)
