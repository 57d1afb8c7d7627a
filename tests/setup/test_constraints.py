"""constraints.txt pins everything that is installed, and says nothing about where it comes from."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
LINES = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
# What CUDA builds of torch bring along, which torch pins itself.
OF_THE_PLATFORM = re.compile(r"nvidia-|cuda-|triton$")


def python(version: str) -> dict[str, str]:
    return {"python_version": version, "python_full_version": f"{version}.9"}


def pins(environment: dict[str, str]) -> dict[str, list[str]]:
    """Return the versions that are pinned there for each name; more than one is a fault."""
    pinned: dict[str, list[str]] = {}
    for requirement in map(Requirement, LINES):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            pinned.setdefault(requirement.name, []).append(str(requirement.specifier).removeprefix("=="))
    return pinned


def stated() -> list[str]:
    """Return the requirements of the project, of each of its extras and of its build."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    texts = [*PROJECT["build-system"]["requires"], *PROJECT["project"]["dependencies"], *(r for e in extras for r in e)]
    return [text for text in texts if not text.startswith("keepbest[")]  # an extra that includes another


def test_each_line_is_a_plain_pin() -> None:
    plain = re.compile(
        r'[a-z0-9]+(-[a-z0-9]+)*==[0-9]+(\.[0-9]+)*((a|b|rc|\.post)[0-9]+)?(; python_version (<|>=) "3\.1[0-9]")?'
    )
    assert [line for line in LINES if not plain.fullmatch(line)] == []


def test_lines_are_sorted() -> None:
    assert sorted(LINES, key=lambda line: re.split("==|; ", line)[0]) == LINES


@pytest.mark.parametrize("version", PYTHONS)
def test_each_name_is_pinned_once_per_python(version: str) -> None:
    assert {name: found for name, found in pins(python(version)).items() if len(found) > 1} == {}


@pytest.mark.parametrize("line", ["hydra-core==1.3.8", "lightning==2.6.6", "torch==2.13.0"])
def test_the_libraries_that_results_depend_on_are_pinned_for_every_python(line: str) -> None:
    assert line in LINES


@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("text", stated())
def test_each_requirement_of_the_project_is_pinned_within_its_bounds(text: str, version: str) -> None:
    requirement = Requirement(text)
    (pinned,) = pins(python(version))[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pinned, prereleases=True)


def installed_with(texts: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name and version of each installed distribution that the requirements lead to, directly or not."""
    todo, seen = [Requirement(text) for text in texts], set()
    while todo:
        requirement = todo.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        yield name, Version(distribution.version).public
        todo += [needed for needed in map(Requirement, distribution.requires or []) if applies(needed, extras)]


def applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    return requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in extras | {""})


def test_what_is_installed_is_what_is_pinned() -> None:
    pinned = pins(dict(default_environment()))
    installed = {name: v for name, v in installed_with(stated()) if not OF_THE_PLATFORM.match(name)}
    assert len(installed) > 30
    differ = {
        name: f"{v} is installed, {pinned.get(name)} pinned" for name, v in installed.items() if [v] != pinned.get(name)
    }
    assert differ == {}, "pip install -c constraints.txt, or `make test`, installs the pinned versions"
