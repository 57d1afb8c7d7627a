"""The Makefile sets up .venv once, keeps it current and survives what interrupts it.

Real make, venv and pip, on a project of a few lines whose requirements are wheels of a few bytes: no network, seconds.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"
PYPROJECT = """\
[build-system]
requires = ["tool"]
build-backend = "backend"
backend-path = ["."]
[project]
name = "keepbest"
version = "0.1.0"
"""
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
NEEDS = "Requires-Dist: base\nProvides-Extra: test\nRequires-Dist: checker; extra == 'test'\n"
BACKEND = f'''\
"""Builds the editable wheel; notes that it did, with which tool, and waits for as long as a file `hold` is there."""
import pathlib, time, tool, zipfile

FILES = {{
    "keepbest.pth": str(pathlib.Path("src").resolve()),
    "keepbest-0.1.0.dist-info/METADATA": {METADATA.format(name="keepbest", version="0.1.0") + NEEDS!r},
    "keepbest-0.1.0.dist-info/WHEEL": {WHEEL!r},
    "keepbest-0.1.0.dist-info/RECORD": "",
}}

def build_editable(directory, config_settings=None, metadata_directory=None):
    with open("builds", "a") as builds:
        print(tool.__version__, file=builds)
    while pathlib.Path("hold").exists():
        time.sleep(0.05)
    if pathlib.Path("broken").exists():
        raise RuntimeError("the back end says why")
    with zipfile.ZipFile(pathlib.Path(directory) / "keepbest-0.1.0-py3-none-any.whl", "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(name, text)
    return "keepbest-0.1.0-py3-none-any.whl"
'''
MAIN = """\
import base, importlib.util, sys
print(sys.argv[1:], "base", base.__version__, "checker", bool(importlib.util.find_spec("checker")))
"""


def write_wheel(folder: Path, name: str, version: str) -> None:
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"__version__ = '{version}'\n")
        wheel.writestr(f"{info}/METADATA", METADATA.format(name=name, version=version))
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


class Checkout:
    """A directory with the real Makefile and a project whose build and requirements are under the test's control."""

    def __init__(self, root: Path, wheels: Path) -> None:
        self.root = root
        (root / "src" / "keepbest").mkdir(parents=True)
        (root / "src" / "keepbest" / "__main__.py").write_text(MAIN)
        (root / "pyproject.toml").write_text(PYPROJECT)
        (root / "backend.py").write_text(BACKEND)
        shutil.copy(MAKEFILE, root)
        self.pin(base="1.0", tool="1.0")
        hidden = ("PIP_", "MAKE", "MFLAGS", "PYTHON", "ARGS", "V", "VIRTUAL_ENV")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        self.environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels.as_uri()}

    def pin(self, **versions: str) -> None:
        text = "".join(f"{name}=={version}\n" for name, version in versions.items())
        (self.root / "constraints.txt").write_text(text)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start make in a process group of its own, so that `kill` ends pip too."""
        command = ["make", f"PYTHON={sys.executable}", *arguments]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(
            command, cwd=self.root, env=self.environment, start_new_session=True, text=True, **streams
        )

    def make(self, *arguments: str, status: int = 0) -> str:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == status, output
        return output

    def first_line_of_make(self, *arguments: str) -> str:
        """Return what make says first, and kill it."""
        process = self.start(*arguments)
        assert process.stdout is not None
        line = process.stdout.readline()
        kill(process)
        return line

    def builds(self) -> list[str]:
        """Return the version of the build tool, once for each time that pip built the project."""
        return (self.root / "builds").read_text().split() if (self.root / "builds").exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for name, version in [("base", "1.0"), ("base", "2.0"), ("checker", "1.0"), ("tool", "1.0"), ("tool", "2.0")]:
        write_wheel(tmp_path / "wheels", name, version)
    root = tmp_path / "a checkout"
    root.mkdir()
    return Checkout(root, tmp_path / "wheels")


def kill(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_sets_up_once_then_only_what_changed(checkout: Checkout) -> None:
    first = checkout.make("train", "ARGS=seed=1 model=cnn")
    assert "creating .venv" in first
    assert "['train', 'seed=1', 'model=cnn'] base 1.0 checker False" in first
    assert checkout.builds() == ["1.0"]

    (pip,) = checkout.root.glob(".venv/lib/python*/site-packages/pip/__main__.py")
    working_pip = pip.read_text()
    pip.write_text("raise SystemExit('pip was called')")
    begin = time.monotonic()
    second = checkout.make("train")
    assert time.monotonic() - begin < 2
    assert "install" not in second
    pip.write_text(working_pip)

    assert "checker True" in checkout.make("set-up-test", "train")
    checkout.pin(base="2.0", tool="2.0")
    updated = checkout.make("train")
    assert "base 2.0" in updated
    assert "creating" not in updated
    assert checkout.builds() == ["1.0", "1.0", "2.0"]
    assert "installing" in checkout.make("set-up-test"), "make train updated only what training needs"
    assert checkout.make("set-up-train") == ""

    (checkout.root / "broken").touch()
    checkout.pin(base="1.0", tool="1.0")
    failed = checkout.make("train", status=2)
    assert "the back end says why" in failed
    assert "the installation failed" in failed
    assert "building it anew" in checkout.first_line_of_make("train")


@pytest.mark.slow
def test_recovers_from_a_kill(checkout: Checkout) -> None:
    creating = checkout.start("train")
    wait_for((checkout.root / ".venv" / "pyvenv.cfg").exists, creating)
    kill(creating)

    (checkout.root / "hold").touch()
    installing = checkout.start("train")
    wait_for(checkout.builds, installing)
    kill(installing)
    (checkout.root / "hold").unlink()
    leftover = checkout.root / ".venv" / "leftover"
    leftover.touch()

    recovered = checkout.make("train")
    assert "building it anew" in recovered
    assert "base 1.0" in recovered
    assert not leftover.exists()


def test_builds_anew_what_is_damaged_or_moved(checkout: Checkout) -> None:
    checkout.make("set-up-train")
    venv, whole = checkout.root / ".venv", checkout.root / "whole"
    venv.rename(whole)
    for damaged in ["lib/python*/site-packages/base.py", "bin/python", "bin/python*", "pyvenv.cfg", ".set-up/complete"]:
        shutil.copytree(whole, venv, symlinks=True)
        for path in venv.glob(damaged):
            path.unlink()
        assert "building it anew" in checkout.first_line_of_make("train"), damaged
        shutil.rmtree(venv)

    whole.rename(venv)
    assert checkout.first_line_of_make("train").startswith(".venv/bin/python"), "nothing to set up"
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert "building it anew" in checkout.first_line_of_make("train")


def test_a_second_make_waits_and_finds_the_work_done(checkout: Checkout) -> None:
    (checkout.root / "hold").touch()
    first = checkout.start("set-up-test")
    wait_for(checkout.builds, first)
    second = checkout.start("train")
    assert second.stdout is not None
    assert "waiting for another make" in second.stdout.readline()
    (checkout.root / "hold").unlink()
    first.communicate()
    output, _ = second.communicate()
    assert "base 1.0" in output
    assert "install" not in output
    assert len(checkout.builds()) == 1


def pretend(checkout: Checkout, assignment: str) -> str:
    """Return the argument that names an interpreter in which `assignment` was made first."""
    program = checkout.root / "pretender"
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c 'import sys; {assignment}; exec(sys.argv[-1])' \"$@\"\n")
    program.chmod(0o755)
    return "PYTHON=./pretender"


def test_refuses_an_old_python(checkout: Checkout) -> None:
    old = pretend(checkout, 'sys.version_info = (3, 9, 18, "final", 0)')
    assert "needs Python 3.10 or newer, got Python 3.9 from " in checkout.make("train", old, status=2)
    assert not (checkout.root / ".venv").exists()


def test_says_what_to_do_without_python_or_its_venv_module(checkout: Checkout) -> None:
    assert "nowhere-python is not a command" in checkout.make("train", "PYTHON=nowhere-python", status=2)
    without_venv = pretend(checkout, 'sys._base_executable = "false"')
    assert "apt install python3-venv" in checkout.make("train", without_venv, status=2)


def test_make_alone_lists_the_commands(checkout: Checkout) -> None:
    output = checkout.make()
    for target in ["train", "test", "lint", "format", "clean"]:
        assert f"make {target} " in output
