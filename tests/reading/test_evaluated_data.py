"""Other data for a best model: refused where their numbers mean others than those that it was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import keepbest
from keepbest.errors import ConfigError
from keepbest.reading.evaluated_data import require_same_names


def flowers(path: Path, columns: str = "wxyz", kinds: str = "abc") -> dict[str, object]:
    """Write a table of three kinds that differ in their columns; return the config of its data."""
    places = np.random.default_rng(5).normal(np.repeat([[0, 9, 1, 4], [3, 1, 8, 0], [9, 4, 2, 9]], 40, 0), 1.0)
    rows = [dict(zip("wxyz", map(str, row), strict=True)) for row in places]
    lines = [",".join([*(row[name] for name in columns), kinds[number // 40]]) for number, row in enumerate(rows)]
    path.write_text("\n".join([",".join([*columns, "kind"]), *lines]) + "\n")
    return {"_target_": "keepbest.data.CsvTable", "path": str(path), "target": "kind"}


@pytest.mark.filterwarnings("ignore:.*(the model was trained on|not looked at)")
def test_a_table_whose_classes_or_columns_have_other_names_or_another_order_is_refused(run_job, tmp_path):
    own = flowers(tmp_path / "own.csv")
    job_dir, _ = run_job("data=csv", f"data.path={own['path']}", "data.target=kind", "trainer.max_epochs=15")
    run = keepbest.open_run(job_dir)
    expected = run.evaluate()
    renamed = flowers(tmp_path / "renamed.csv", kinds="zbc")
    with pytest.raises(ConfigError, match=r"classes \['a', 'b', 'c'\], CsvTable has \['b', 'c', 'z'\]\. .*the labels"):
        run.evaluate(data=renamed)
    swapped = flowers(tmp_path / "swapped.csv", columns="zyxw")
    rule = r"feature_names \['w', 'x', 'y', 'z'\], CsvTable has \['z', 'y', 'x', 'w'\]\. .* data\.features=\["
    with pytest.raises(ConfigError, match=rule):
        run.evaluate(data=swapped)
    assert run.evaluate(data={**swapped, "features": list("wxyz")}) == expected, "the remedy holds"
    named = tmp_path / "named.csv"
    named.write_text((tmp_path / "own.csv").read_text().replace("w,", "v,", 1))
    with pytest.raises(ConfigError, match=r"CsvTable has \['v', 'x', 'y', 'z'\]"):
        run.evaluate(data={**own, "path": str(named)})
    assert run.evaluate(data=own) == expected
    Path(str(own["path"])).unlink()
    assert run.evaluate(data=renamed)["val_acc"] < expected["val_acc"], "nobody knows the names any more"


def names(**stated: object) -> object:
    return type("Data", (), stated)()


class Unready:
    @property
    def classes(self) -> list[str]:
        raise ValueError("oh")


NOT_COMPARED = {
    "nothing": names(),
    "no classes": names(classes=()),
    "a number": names(classes=3),
    "a mapping": names(classes={"b": 0}),
    "an array": names(classes=np.array(["b", "a"])),
    "a list of arrays": names(classes=[np.zeros(2), np.zeros(2)]),
    "the same": names(classes=["a", "b"]),
    "their numbers": names(classes=[0, 1]),
    "others": names(feature_names=("x",)),
    "none yet": Unready(),
}


@pytest.mark.parametrize("other", NOT_COMPARED.values(), ids=NOT_COMPARED)
def test_names_that_a_data_module_does_not_state_are_not_compared(other):
    own = names(classes=("a", "b"))
    require_same_names(other, own)
    require_same_names(own, other)


def test_of_many_names_those_from_the_first_that_differs_are_told():
    own, other = names(classes=list(range(1, 101))), names(classes=[*range(1, 51), *range(52, 102)])
    with pytest.raises(
        ConfigError, match=r"classes \[\.\.\., 51, 52, .*, 70, \.\.\.\], Data has \[\.\.\., 52, 53, .*, 71, "
    ):
        require_same_names(other, own)
