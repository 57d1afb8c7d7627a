"""One way to the version of a package."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import keepbest
from keepbest.records.versions import installed_version


def test_the_version_of_what_is_installed_and_none_of_what_is_not():
    assert installed_version() == version("keepbest")
    assert installed_version("torch") == version("torch")
    assert installed_version("no-such-package-anywhere") is None


def test_nothing_else_asks_for_versions():
    package = Path(keepbest.__file__).parent
    asking = {path.name for path in package.rglob("*.py") if "importlib.metadata" in path.read_text(encoding="utf-8")}
    assert asking == {"versions.py"}
