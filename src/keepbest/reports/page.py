"""A page of a run or a sweep: one HTML file that needs nothing else.

Whatever runs say is escaped: their makers may be strangers. The only script that a browser runs in it is the one whose
hash the page's own policy names.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from keepbest.errors import printable
from keepbest.reading.run import Run
from keepbest.reading.sweep import Sweep
from keepbest.records.versions import installed_version
from keepbest.reports.run_page import run_page
from keepbest.reports.sweep_page import sweep_page

GENERATOR = "keepbest report"
"""What a page says of who made it."""


def page_of(opened: Run | Sweep, shown: Path, page: Path) -> str:
    """Return the page of a run or a sweep.

    Args:
        opened: what it is of.
        shown: its directory as a person would write it.
        page: where the page will lie, for its links to files of the jobs.
    """
    if isinstance(opened, Sweep):
        kind, content = "sweep", sweep_page(opened, shown, page)
    else:
        kind, content = "run", run_page(opened, shown)
    return (
        _templates()
        .get_template(f"{kind}.html.j2")
        .render(
            kind=kind,
            shown=str(shown),
            generator=GENERATOR,
            script=_script(),
            script_hash=base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode(),
            version=installed_version() or "from source",
            **content,
        )
    )


@functools.cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("keepbest", "reports/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalized(value: Any) -> Any:
    """Return what stands in the page for a value: characters that nobody sees are shown as in Python."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@functools.cache
def _script() -> Markup:
    return Markup(_templates().get_template("page.js.j2").render())
