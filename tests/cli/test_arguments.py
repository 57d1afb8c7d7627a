"""What all commands that read do: here, how they end where a signal came."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from keepbest.cli.arguments import Arguments, run_reading
from keepbest.cli.main import main as command_line
from keepbest.training.interruption import Interrupted, ended_by_signals

MODULE = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        pass
except BaseException:
    raise ImportError("cannot import name 'x' from partially initialized module 'y'")
"""


def test_what_a_signal_brings_about_is_told_as_an_interruption(capsys: pytest.CaptureFixture[str]) -> None:
    """As where it comes in the middle of an import, which calls it an error of its own."""

    def read(_: object) -> int:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
        except BaseException as error:
            raise ImportError("partially initialized module") from error
        return 0

    with ended_by_signals(), pytest.raises(Interrupted, match="SIGINT"):
        run_reading(Arguments("x", "", ""), [], read, needs_arguments=False)
    assert "partially" not in capsys.readouterr().err

    def fail(_: object) -> int:
        raise ImportError("no such module")

    assert run_reading(Arguments("x", "", ""), [], fail, needs_arguments=False) == 1
    assert "keepbest: ImportError: no such module" in capsys.readouterr().err


@pytest.mark.parametrize("broken", ["keepbest.reading.catalogue", "keepbest.cli.ls"])
def test_an_import_that_is_interrupted_ends_the_command_with_130(
    broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "interrupted_import_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)

    class Finder:
        """Puts the module above in the place of one of ours."""

        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> object:
            from importlib.util import spec_from_file_location

            return spec_from_file_location(name, tmp_path / "interrupted_import_module.py") if name == broken else None

    monkeypatch.delitem(sys.modules, broken, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    assert command_line(["ls", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "keepbest: interrupted by SIGINT.\n"
