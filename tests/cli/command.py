"""The command as a user calls it: in this process where that shows the same, in one of its own where it does not."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

from simulator.cli import main

# What would change colours or widths from outside. The tests say themselves what they want.
_OUTSIDE = (
    "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "CLICOLOR", "CLICOLOR_FORCE", "GITHUB_ACTIONS", "TERMINAL_WIDTH",
    "TTY_COMPATIBLE", "TTY_INTERACTIVE", "PYTHONIOENCODING", "COMP_WORDS", "COMP_CWORD", "_SIM_COMPLETE",
)  # fmt: skip
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Done:
    """What a call of the command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Standard output by lines, without the blanks that fill a line up."""
        return [line.rstrip() for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        """Standard output as one strict JSON object."""
        return strict(self.out)


def environment(**given: str) -> dict[str, str]:
    """This process's environment without what changes the output, and with `given`."""
    return {**{k: v for k, v in os.environ.items() if k not in _OUTSIDE}, "PYTHONUTF8": "1", **given}


def sim(*args: str, **env: str) -> Done:
    """`sim ARGS` in this process, through the entry point of the console script. An error that gets out is a bug: exit code
    1 and its traceback, as the interpreter does it.
    """
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["sim", *args]),
        mock.patch.dict(os.environ, environment(**env), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main.run()
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        except Exception:  # noqa: BLE001
            traceback.print_exc(file=err)
            code = 1
    return Done(code, out.getvalue(), err.getvalue())


def good(*args: str, **env: str) -> Done:
    """`sim ARGS`, which must succeed."""
    done = sim(*args, **env)
    assert done.code == 0, done.err or done.out
    assert "Traceback" not in done.err
    return done


def estimated(*args: str) -> Any:
    """The JSON object of `sim estimate ARGS`."""
    return good("estimate", *args, "--format", "json").json


def process(*args: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """`sim ARGS` as a process of its own."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(
        command(*args), env=environment(**(env or {})), text=True, encoding="utf-8", check=False, timeout=60, **pipes
    )


def command(*args: str) -> Sequence[str]:
    """The arguments of that process."""
    return [sys.executable, "-m", "simulator", *args]


def strict(text: str) -> Any:
    """JSON as its standard has it: no NaN, no Infinity, no key twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), f"a key stands twice among {keys}"
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, object_pairs_hook=once, parse_constant=refuse)
