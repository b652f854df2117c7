"""`sim whatif`."""

import json
from typing import Annotated

import typer

from simulator.cli import options as opt
from simulator.cli.output import checked_folder, console, emit, plain_console
from simulator.cli.pictures import draw, is_picture
from simulator.cli.study_options import Format, Set, settings_of
from simulator.errors import UsageError


def whatif(
    model: opt.Model,
    hw: opt.Hardware,
    set_: Set = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", metavar="'NAME: A=1 B=2'", help="A scenario of its own, settings by spaces; repeatable"),
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="Every --set alone, then all of them together")] = False,
    base: Annotated[
        list[str] | None, typer.Option("--base", metavar="NAME=VALUE", help="A setting that holds before and after; repeatable")
    ] = None,
    precision: opt.Precision = None,
    batch: opt.Batch = None,
    runtime: opt.Runtime = None,
    overlap: opt.Overlap = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=0, help="Kernels to show")] = 8,
    format: Annotated[Format, typer.Option("--format", help="How to print")] = Format.TABLE,  # noqa: A002
    output: opt.Output = None,
    allow_unknown: opt.AllowUnknown = False,
) -> None:
    """Say what changes of MODEL or HW bring: before, after, ratio, and the kernels that make the difference.

    --precision, --batch, --runtime and --overlap are changes here, like --set; --base NAME=VALUE holds before and after.
    """
    from simulator import studies
    from simulator.report.whatif import show_what_if

    if output is not None:
        checked_folder(output)
    changed = settings_of(set_, precision=precision, batch=batch, runtime=runtime, overlap=overlap)
    found = studies.whatif(
        model, hw, _scenarios(changed, scenario or [], each=each), base=base or [], allow_unknown=allow_unknown
    )
    if all(outcome.estimate is None for outcome in found.after):
        raise UsageError("\n".join(f"{outcome.name}: {outcome.reason}" for outcome in found.after).removeprefix("changed: "))
    if output is not None and is_picture(output):
        from simulator.report import pictures

        show_what_if(found, console(), top)
        draw(lambda: pictures.of_what_if(found), output)
    elif format is Format.JSON:
        emit(json.dumps(found.to_dict(), allow_nan=False), output)
    elif output is not None:
        plain = plain_console()
        with plain.capture() as capture:
            show_what_if(found, plain, top)
        emit(capture.get(), output)
    else:
        show_what_if(found, console(), top)


def _scenarios(changed: list[str], scenarios: list[str], *, each: bool) -> dict[str, list[str]]:
    """Settings by the name of their scenario."""
    found: dict[str, list[str]] = {}
    if each:
        found.update({setting: [setting] for setting in changed})
    if changed and not (each and len(changed) == 1):
        found["all together" if each else "changed"] = changed
    for text in scenarios:
        name, colon, settings = text.partition(": ")
        name, settings = (name.strip(), settings) if colon else (text, text)
        if name in ("", "before", *found) or not settings.split():
            raise UsageError(f"--scenario '{text}': write 'NAME: SETTING SETTING', each NAME once, and none of them 'before'")
        found[name] = settings.split()
    if not found:
        raise UsageError("nothing is changed: --set memories.dram.bandwidth=2x, --precision int8, --batch 8 …")
    return found
