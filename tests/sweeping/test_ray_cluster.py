"""What no machine of a Ray cluster has room for."""

import logging

import pytest

from keepbest.errors import ConfigError
from keepbest.sweeping.ray_cluster import require_room

SMALL, LARGE = {"CPU": 8.0, "memory": 1e9}, {"CPU": 2.0, "GPU": 2.0, "license": 1.0}


@pytest.mark.parametrize(
    "remote",
    [{}, {"num_cpus": 8}, {"num_gpus": 0.5}, {"num_gpus": 2, "resources": {"license": 1}}, {"num_cpus": 0}],
)
def test_what_one_machine_has_is_accepted_without_a_word(remote, caplog):
    require_room(remote, [SMALL, LARGE], may_grow=False)
    require_room(remote, [SMALL, LARGE], may_grow=True)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("remote", "said"),
    [
        ({"num_gpus": 1}, r"which is 8 CPU, 0 GPU, got '1 CPU, 1 GPU'"),
        ({"num_cpus": 9, "num_gpus": None}, r"which is 8 CPU, got '9 CPU'"),
        ({"resources": {"license": 1}}, r"which is 8 CPU, 0 license, got '1 CPU, 1 license'"),
    ],
)
def test_what_none_has_is_refused_naming_both(remote, said):
    with pytest.raises(ConfigError, match=rf"^hydra\.launcher\.ray\.remote: .*{said}\. Ask for less"):
        require_room(remote, [SMALL], may_grow=False)


def test_two_machines_are_not_one():
    with pytest.raises(ConfigError, match="8 CPU, 0 GPU or 2 CPU, 2 GPU"):
        require_room({"num_cpus": 4, "num_gpus": 1}, [SMALL, LARGE], may_grow=False)


def test_a_cluster_that_may_grow_is_waited_for(caplog):
    with caplog.at_level(logging.WARNING):
        require_room({"num_gpus": 1}, [SMALL], may_grow=True)
    assert "wait until the cluster has grown" in caplog.text
