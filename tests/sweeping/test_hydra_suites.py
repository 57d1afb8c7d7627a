"""Hydra's own tests of launchers and sweepers, with keepbest's sweeper in the place of the basic one.

The applications in them are not keepbest's: for them it has to be the basic sweeper.
"""

import pytest
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hydra.version import VersionBase

SWEEPER = "hydra/sweeper=keepbest"


@pytest.fixture(autouse=True)
def _no_version_base():
    """Keepbest's commands that other tests run in this process set one; the applications here have none."""
    before = Singleton._instances.pop(VersionBase, None)
    yield
    Singleton._instances.pop(VersionBase, None)
    if before:
        VersionBase.set_instance(before)


def test_hydra_discovers_the_sweeper():
    assert "KeepbestSweeper" in [plugin.__name__ for plugin in Plugins.instance().discover(Sweeper)]


@pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", [SWEEPER])])
class TestBesideBasicLauncher(LauncherTestSuite):
    """Hydra's tests of a launcher."""


@pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", [SWEEPER, "hydra.sweeper.max_batch_size=2"])])
class TestBatches(BatchedSweeperTestSuite):
    """Hydra's tests of a sweeper that hands over its jobs in batches."""


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [({"defaults": [{"override hydra/sweeper": "keepbest"}]}, ["-m"])],
    ids=["basic"],
)
class TestApplications(IntegrationTestSuite):
    """Hydra's tests of whole applications, each in a process of its own."""
