"""Which version of a package is installed."""

from __future__ import annotations


def installed_version(package: str = "keepbest") -> str | None:
    """Return the version of an installed package; None for one that is not, as when it is run from source."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
