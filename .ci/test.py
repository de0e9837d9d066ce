# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole test suite, in every Blender whose Python this computer has.

    python .ci/test.py                              everything
    python .ci/test.py --only b50 -k capture        some suites, some tests (what pytest's -k takes)
    python .ci/test.py --only addon-b50 tests/addon/test_capture.py
    python .ci/test.py --list                       the suites and what each runs

It makes the environments, builds the extension once, and runs the suites side by side. Each suite
is a process of its own with a limit in time; its output goes to a file and is shown when it fails.
The last line is the sum, ``N passed, N failed, N skipped``, and the exit code says the same.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import build
import env
import lint
import machine

ROOT = env.ROOT
SHOWN_LINES = 250


@dataclass(frozen=True)
class Suite:
    """One process of tests: where it runs, what it runs, and how many seconds it may take."""

    name: str
    env: str
    paths: tuple[str, ...]
    seconds: int = 1800

    def present(self) -> list[str]:
        """Those of its paths that this clone has."""
        return [path for path in self.paths if (ROOT / path.split("::")[0]).exists()]

    def narrowed(self, chosen: list[str]) -> Suite:
        """The same suite with only those of the chosen paths that are its own."""
        own = [path for path in chosen if any(path.startswith(mine) for mine in self.paths)]
        return replace(self, paths=tuple(own))


@dataclass
class Outcome:
    """What came of a suite."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    log: str = ""
    why_skipped: list[str] = field(default_factory=list)


IN_BLENDER = ("tests/addon", "tests/recipes")
IN_NO_SUITE = ("tests/benchmarks", "tests/support", "tests/tools", "tests/window")
# Everything else needs no Blender in its own process; a new folder of tests is run without being
# named here.
PLAIN = tuple(
    path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "tests").iterdir())
    if (path.is_dir() and any(path.rglob("test_*.py"))) or path.match("test_*.py")
    if path.relative_to(ROOT).as_posix() not in (*IN_BLENDER, *IN_NO_SUITE, "tests/build")
    and path.name != "contract"
)


def contract(*beginnings: str, others: bool = False) -> tuple[str, ...]:
    """Files of tests/contract whose names begin so, or all the others."""
    names = tuple(f"test_{beginning}_" for beginning in beginnings)
    return tuple(
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "tests" / "contract").glob("test_*.py"))
        if f"{path.stem}_".startswith(names) is not others
    )


# Whole jobs with real workers, killed and led astray: they wait more than they work.
WITH_WORKERS = ("farm", "shoot", "kill", "flow")

# The longest first, so that the short ones fill the gaps.
SUITES = (
    Suite("farm-3.13", "b52", contract("farm")),
    *(Suite(f"addon-{name}", name, ("tests/addon",)) for name in env.BLENDERS),
    Suite("shoot-3.13", "b52", contract("shoot")),
    *(Suite(f"recipes-{name}", name, ("tests/recipes",)) for name in env.BLENDERS),
    Suite("flow-3.13", "b52", contract("kill", "flow")),
    Suite("flow-3.11", "b50", contract("kill", "flow")),
    Suite("contract-3.13", "b52", contract(*WITH_WORKERS, others=True)),
    Suite("contract-3.11", "b50", contract(*WITH_WORKERS, others=True)),
    Suite("bridge-3.13", "b52", PLAIN),
    Suite("bridge-3.11", "b50", PLAIN),
    *(Suite(f"build-{name}", name, ("tests/build",), 600) for name in env.BLENDERS),
)


def converter(name: str, pythons: dict[str, Path]) -> Path | None:
    """The Blender that runs recipes for a suite whose own has no USD (4.2's package)."""
    if name != "b42":
        return None
    for other in ("b50", "b52", "b45"):
        if other in pythons:
            return pythons[other]
    return None


def environment(
    suite: Suite, pythons: dict[str, Path], archive: Path, folder: Path
) -> dict[str, str]:
    """What a suite's process sees. The tests isolate themselves further; see tests/conftest.py."""
    given = machine.clean_environment()
    for variable in ("HOME", "TMPDIR", "BLENDER_USER_RESOURCES", "SCENE_COURIER_HOME"):
        path = folder / variable.lower()
        path.mkdir()
        given[variable] = str(path)
    given["SCENE_COURIER_CACHE"] = str(machine.cache_dir())
    given["SCENE_COURIER_ZIP"] = str(archive)
    given["LIBGL_ALWAYS_SOFTWARE"] = "1"
    given["PYTHONUNBUFFERED"] = "1"
    given["PYTHONDONTWRITEBYTECODE"] = "1"
    given.pop("SCENE_COURIER_BLENDER", None)
    if "validator" in pythons:
        given["SCENE_COURIER_VALIDATOR"] = str(pythons["validator"])
    other = converter(suite.env, pythons)
    if other is not None:
        given["SCENE_COURIER_BLENDER"] = str(other)
    return given


def read_report(path: Path) -> Outcome:
    """Figures from pytest's JUnit file; a suite that did not write one has failed once."""
    outcome = Outcome()
    try:
        tree = ElementTree.parse(path)
    except (OSError, ElementTree.ParseError):
        outcome.failed = 1
        return outcome
    for case in tree.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
        elif (skip := case.find("skipped")) is not None:
            outcome.skipped += 1
            outcome.why_skipped.append(skip.get("message") or "no reason given")
        else:
            outcome.passed += 1
    return outcome


def _end_group(process: subprocess.Popen) -> None:
    """End a suite and what it started; the session itself ends what has detached itself."""
    with contextlib.suppress(OSError):
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_suite(
    suite: Suite, python: Path, given: dict[str, str], folder: Path, more: list[str]
) -> Outcome:
    """Run one suite to its end or its limit."""
    report, log = folder / "report.xml", folder / "output.log"
    command = [str(python), "-X", "faulthandler", "-m", "pytest", "-p", "no:cacheprovider"]
    command += [f"--junitxml={report}", *more, *suite.present()]
    started = time.monotonic()
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        overtime = False
        try:
            code = process.wait(timeout=suite.seconds)
        except subprocess.TimeoutExpired:
            overtime = True
            code = -1
        finally:
            if process.poll() is None:
                _end_group(process)
    outcome = read_report(report)
    outcome.seconds = time.monotonic() - started
    outcome.log = log.read_text(encoding="utf-8", errors="replace")
    if overtime:
        outcome.log += f"\nended after its limit of {suite.seconds} s"
    nothing_chosen = code == 5 and bool(more)
    if code and not outcome.failed and not nothing_chosen:
        outcome.failed = 1  # the session itself was at fault, or Blender crashed
        outcome.log += f"\nexit code {code} though no test failed"
    if not code and not outcome.passed and not outcome.skipped and not more:
        outcome.failed = 1
        outcome.log += "\nno test was run"
    return outcome


def failures(lines: list[str]) -> list[str]:
    """The part of pytest's output that tells what went wrong, with its end if it is long."""
    for number, line in enumerate(lines):
        if line.startswith("===") and line.strip("= ") in ("FAILURES", "ERRORS"):
            lines = lines[number:]
            break
    if len(lines) > SHOWN_LINES:
        half = SHOWN_LINES // 2
        lines = [*lines[:half], f"… {len(lines) - 2 * half} lines …", *lines[-half:]]
    return lines


def show(name: str, outcome: Outcome, *, everything: bool = False) -> None:
    """One line for each suite; on a failure, the end of its output as well."""
    figures = f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped"
    machine.say(f"[test] {name:14} {figures} in {outcome.seconds:.0f} s")
    if outcome.failed or everything:
        lines = outcome.log.strip().splitlines()
        shown = lines if everything else failures(lines)
        machine.say("\n".join(f"    {line}" for line in shown))
    for reason, count in Counter(outcome.why_skipped).most_common():
        machine.say(f"    skipped {count}: {reason}")


@contextlib.contextmanager
def work_folder(keep: bool) -> Iterator[Path]:
    """A folder for logs and homes, removed afterwards unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="courier-suites-"))
    try:
        yield folder
    finally:
        if keep:
            machine.say(f"[test] logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def run_all(
    suites: list[Suite], pythons: dict[str, Path], archive: Path, workers: int, more: list[str]
) -> dict[str, Outcome]:
    """Run suites side by side, as many at a time as ``workers``."""
    outcomes: dict[str, Outcome] = {}
    todo = list(suites)
    guard = threading.Lock()
    with work_folder(bool(os.environ.get("SCENE_COURIER_KEEP_TESTS"))) as folder:

        def work() -> None:
            while True:
                with guard:
                    if not todo:
                        return
                    suite = todo.pop(0)
                try:
                    place = folder / suite.name
                    place.mkdir()
                    given = environment(suite, pythons, archive, place)
                    outcome = run_suite(suite, pythons[suite.env], given, place, more)
                except Exception as error:
                    outcome = Outcome(failed=1, log=f"{type(error).__name__}: {error}")
                with guard:
                    outcomes[suite.name] = outcome
                    show(suite.name, outcome, everything=len(suites) == 1)

        threads = [threading.Thread(target=work) for _ in range(max(1, workers))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return outcomes


def run_lint(python: Path) -> Outcome:
    """The linters as a suite: each tool counts as one test."""
    started = time.monotonic()
    outcome = Outcome()
    for title, passed, output in lint.run(python):
        if passed:
            outcome.passed += 1
        else:
            outcome.failed += 1
            outcome.log += f"{title}\n{output}\n"
    outcome.seconds = time.monotonic() - started
    return outcome


def choose(only: list[str]) -> tuple[list[Suite], bool]:
    """The suites that ``--only`` names by suite, environment or kind; whether lint is one."""
    names = {word for given in only for word in given.split(",")}
    suites = [
        suite
        for suite in SUITES
        if suite.present()
        and (not names or names & {suite.name, suite.env, suite.name.split("-")[0]})
    ]
    known = {word for suite in SUITES for word in (suite.name, suite.env, suite.name.split("-")[0])}
    if names - known - {"lint"}:
        raise SystemExit(f"[test] unknown: {', '.join(sorted(names - known))}; see --list")
    return suites, not names or "lint" in names


def main(arguments: list[str]) -> int:
    """The command line; 0 only when something passed and nothing failed."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="Other arguments go to pytest."
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="suite, env, kind"
    )
    parser.add_argument(
        "--workers", type=int, default=0, help="suites side by side (one more than cores)"
    )
    parser.add_argument("--list", action="store_true", help="the suites and what each runs")
    parser.add_argument("--require-all", action="store_true", help="fail if a Blender is left out")
    chosen, more = parser.parse_known_args(arguments)
    suites, with_lint = choose(chosen.only)
    paths = [argument for argument in more if argument.startswith("tests/")]
    if paths:
        more = [argument for argument in more if argument not in paths]
        suites = [suite for suite in (suite.narrowed(paths) for suite in suites) if suite.present()]
        with_lint = with_lint and bool(chosen.only)
    if chosen.list:
        for suite in suites:
            machine.say(
                f"{suite.name:14} {env.ENVS[suite.env].title:16} {' '.join(suite.present())}"
            )
        return 0

    started = time.monotonic()
    wanted = {suite.env for suite in suites} | ({"lint"} if with_lint else set())
    if suites:
        machine.ensure_system_libraries()
        wanted.add("validator")
        if "b42" in wanted:
            wanted.add("b50")
    pythons, missing = env.ensure_all([name for name in env.ENVS if name in wanted])
    outcomes: dict[str, Outcome] = {}
    for name, reason in missing.items():
        machine.say(f"[test] {env.ENVS[name].title} is LEFT OUT: {reason}")
        if chosen.require_all or not env.ENVS[name].blender:
            outcomes[name] = Outcome(failed=1)
    if not any(name in pythons for name in env.BLENDERS) and suites:
        machine.say("[test] There is no Blender to test with.")
        return 1
    if with_lint and "lint" in pythons:
        outcomes["lint"] = run_lint(pythons["lint"])
        show("lint", outcomes["lint"])
    suites = [suite for suite in suites if suite.env in pythons]
    if suites:
        archive = build.build()
        # One more than cores: some suites wait most of the time.
        workers = chosen.workers or min(5, (os.cpu_count() or 2) + 1)
        outcomes |= run_all(suites, pythons, archive, workers, more)

    passed = sum(outcome.passed for outcome in outcomes.values())
    failed = sum(outcome.failed for outcome in outcomes.values())
    skipped = sum(outcome.skipped for outcome in outcomes.values())
    machine.say(f"[test] {len(outcomes)} suites in {time.monotonic() - started:.0f} s")
    machine.say(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (build.BuildError, machine.EnvError) as problem:
        sys.exit(f"[test] {problem}")
