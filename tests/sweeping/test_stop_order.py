"""The order that reaches all processes of a sweep, and how a launcher that does not end is ended."""

import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from keepbest.sweeping.stop_order import StopOrder

# signals belong to the main thread of a process, which a test need not have
COMMON = """
import signal, sys, threading, time
from pathlib import Path
from keepbest.sweeping import stop_order
from keepbest.training.interruption import Interrupted, ended_by_signals

order, main_thread = stop_order.StopOrder(Path()), threading.get_ident()

def native_wait():
    '''Wait as Ray does: native code that passes on a KeyboardInterrupt, and drops everything else.'''
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            time.sleep(0.05)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None
        except BaseException:
            pass
"""
WAITS_FOR_NOTHING = """
stop_order._IDLE_SECONDS = 0.7 if sys.argv[1] == "1" else 100
for number in range(int(sys.argv[1])):
    threading.Timer(0.3 * (number + 1), lambda: signal.pthread_kill(main_thread, signal.SIGINT)).start()
began = time.monotonic()
try:
    with ended_by_signals(), order.given_by_signals(lambda: False):
        native_wait()
except Interrupted as interruption:
    print(interruption.signal_name, order.ending.name, time.monotonic() - began < 5)
"""
HAS_NO_PARENT = """
threading.Timer(0.3, lambda: order.give(signal.SIGTERM)).start()
try:
    with ended_by_signals(), order.obeyed():
        time.sleep(20)
except Interrupted as interruption:
    print(interruption.signal_name)
"""


def output_of(script: str, place, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + script, *arguments],
        cwd=place, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("signals", ["1", "2"])
def test_a_launcher_that_waits_for_nothing_is_ended(signals, tmp_path):
    assert output_of(WAITS_FOR_NOTHING, tmp_path, signals) == "SIGINT SIGINT True\n"


def test_an_order_reaches_a_process_whose_parent_is_gone(tmp_path):
    assert output_of(HAS_NO_PARENT, tmp_path) == "SIGTERM\n"


def test_an_order_lasts_as_long_as_its_command_unless_that_ends_early(tmp_path):
    order = StopOrder(tmp_path)
    order.give(signal.SIGTERM)
    with order.of_this_command():
        assert not order.is_given
        order.give()
    assert not order.is_given
    with suppress(ValueError), order.of_this_command():
        order.give()
        raise ValueError
    assert order.is_given
