"""What a run ran on."""

from __future__ import annotations

import platform
import socket
import subprocess
import sys
from pathlib import Path

from keepbest.records.run_record import Environment
from keepbest.records.versions import installed_version

_PACKAGES = ("keepbest", "lightning", "torch", "torchmetrics", "hydra-core", "omegaconf", "numpy")


def describe_environment() -> Environment:
    """Return where and with what this process runs; cheap enough for a launcher, it imports nothing heavy."""
    return Environment(
        git_sha=_git("rev-parse", "HEAD"),
        git_dirty=_is_dirty(),
        versions={"python": platform.python_version()} | _versions(),
        argv=sys.argv,
        host=socket.gethostname(),
        cwd=str(Path.cwd()),
    )


def _versions() -> dict[str, str]:
    found = {package: installed_version(package) for package in _PACKAGES}
    return {package: version for package, version in found.items() if version is not None}


def _is_dirty() -> bool | None:
    status = _git("status", "--porcelain", "--untracked-files=no")
    return None if status is None else bool(status)


def _git(*arguments: str) -> str | None:
    """Ask git about the working directory; None outside a repository, or without git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
