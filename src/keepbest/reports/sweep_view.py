"""What `keepbest show` says of a sweep."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.text import Text

from keepbest.errors import printable
from keepbest.reading.job_records import MISSING
from keepbest.reading.opening import opening_expression
from keepbest.reading.overrides import common
from keepbest.reading.sweep_contents import SweepContents
from keepbest.records.run_record import Failure
from keepbest.reports.console import standard_console
from keepbest.reports.fitted_table import shortened
from keepbest.reports.run_view import print_facts
from keepbest.reports.sweep import named, show_sweep

_MOST_REFUSED = 5
_LONGEST_REFUSAL = 300  # characters


def show_sweep_view(
    contents: SweepContents, shown: Path, console: Console | None = None, *, traceback: bool = False
) -> None:
    """Print a sweep: its jobs by status, what they have in common, their table, and how to open it.

    Args:
        contents: of the sweep.
        shown: its directory, as a person would write it.
        console: where to; None: standard output.
        traceback: whether the traceback of the first error is printed whole.
    """
    output = console or standard_console()
    found = Counter(contents.statuses.values())
    facts = {"sweep": contents.record.id, "jobs": ", ".join(f"{count} {status}" for status, count in found.items())}
    if len(contents.jobs) > 1 and (shared := common(list(contents.jobs.values()))):
        facts["all with"] = " ".join(f"{key}={value}" for key, value in shared.items())
    print_facts(output, {name: text or "none" for name, text in facts.items()})
    if contents.records:
        show_sweep(shown, contents.jobs, contents.records, contents.trained_epochs(), output)
    if missing := [number for number, status in contents.statuses.items() if status == MISSING]:
        whose = "its directory has" if len(missing) == 1 else "their directories have"
        text = shortened(f"{named(missing)} missing: {whose} no record", _LONGEST_REFUSAL)
        output.print(Text(f"{'':<12}{text}", style="red"), soft_wrap=True)
    for number, error in list(contents.refused.items())[:_MOST_REFUSED]:
        text = shortened(printable(f"job {number} unreadable: {error}").partition("\n")[0], _LONGEST_REFUSAL)
        output.print(Text(f"{'':<12}{text}", style="red"), soft_wrap=True)
    if len(contents.refused) > _MOST_REFUSED:
        more = f"... and {len(contents.refused) - _MOST_REFUSED} more that cannot be read"
        output.print(f"{'':<12}{more}", style="red")
    if failed := [number for number, one in contents.records.items() if one.error and one.error.traceback]:
        if traceback:
            _show_traceback(failed[0], contents.records[failed[0]].error, output)
        else:
            output.print(Text(f"{'':<12}--traceback prints where", style="dim"))
    print_facts(output, {"open it": f"sweep = {opening_expression(shown, 'open_sweep')}"})


def _show_traceback(number: int, error: Failure | None, output: Console) -> None:
    if error is not None and error.traceback:
        output.print(Text(printable(f"job {number}:\n{error.traceback.rstrip()}")), soft_wrap=True)
