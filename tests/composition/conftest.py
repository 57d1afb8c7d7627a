"""Modules such as a user may have, and configs that are complete."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

NUMBERS = itertools.count()


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Write a module that can be imported; return its name."""
    folder, names = tmp_path / "user", []
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def write(text: str) -> str:
        names.append(f"users_module_{next(NUMBERS)}")
        (folder / f"{names[-1]}.py").write_text(dedent(text))
        importlib.invalidate_caches()
        return names[-1]

    yield write
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def plain_config() -> dict[str, Any]:
    """A resolved config, as small as it may be."""
    return {
        "objective": {"monitor": "val_loss", "mode": "min"},
        "model": {"_target_": "a.Model"},
        "data": {"_target_": "a.Data"},
        "trainer": {"_target_": "a.Trainer"},
        "callbacks": {"early_stopping": {"_target_": "a.Stop", "patience": 3}},
        "logger": None,
        "seed": 1,
        "verification": {"tolerance": "auto"},
    }
