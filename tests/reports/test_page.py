"""Pages of runs and sweeps: what they say, that it is only said, and that they need nothing else."""

from __future__ import annotations

import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import keepbest
from keepbest.cli.main import main as command_line
from keepbest.cli.report import main
from keepbest.records.ownership import owned
from keepbest.records.run_record import Failure, Objective, RunStatus, Timing
from keepbest.reports.page import page_of

MARK = '<meta name="generator" content="keepbest report">'


class Reader(HTMLParser):
    """Collects tags, attributes, links, what has an id, and the text of each table row."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.attributes, self.links, self.ids = set(), set(), [], []
        self.rows, self.texts, self.scripts, self.in_cell = [], [], 0, False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.add(tag)
        self.attributes |= set(given)
        self.scripts += tag == "script"
        if "href" in given:
            self.links.append(given["href"])
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, data):
        self.texts.append(data.strip())
        if self.in_cell:
            self.rows[-1][-1] += data.strip()


def page(path: Path, output: Path | None = None) -> str:
    opened = keepbest.open_sweep(path) if (path / "sweep.json").is_file() else keepbest.open_run(path)
    return page_of(opened, path, output or path / "report.html")


def shows(text: str, *wanted: str) -> None:
    read = " ".join(Reader(text).texts)
    assert [one for one in wanted if one not in read] == []


def needs_nothing(text: str) -> None:
    outside = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", text, flags=re.DOTALL)
    read = Reader(text)
    assert read.scripts == 1
    assert "src" not in read.attributes
    assert not {name for name in read.attributes if name.startswith("on")}
    assert all(link.startswith(("#", "./", "data:image/png;base64,")) for link in read.links), read.links
    assert not re.search(r'(?:href|content|style)="[^"]*https?:', outside)
    assert not re.search(r"url\((?!#)|@import", text)
    assert text.isascii() or text.encode()
    assert len(read.ids) == len(set(read.ids)), "each id once"


def test_the_page_of_a_run_says_how_it_went(default_run):
    _, run_dir = default_run
    text, run = page(run_dir), keepbest.open_run(run_dir)
    needs_nothing(text)
    score = f"{run.record['best_model_score']:.6g}"
    shows(text, run.record["id"], "completed", "val_loss, lower is better", score, "verified", "bit for bit",
          "test_acc", "Stopping policy", "patience", "keepbest train", "torch", run.record["environment"]["host"],
          f'model = keepbest.open_run("{run_dir}").load_model()', "_target_: keepbest.models.MLPClassifier",
          "stopped in epoch", "train_acc")  # fmt: skip
    assert "cwd" not in text
    assert text.count("<svg") == 7, "the curve for three widths of a page, loss and accuracy for two"
    result = text[text.index('id="result"') : text.index('id="curve"')]
    assert score not in result, "a tile has said so"


def test_the_page_of_a_sweep_says_how_it_went(trained_sweep):
    sweep = keepbest.open_sweep(trained_sweep)
    text, table, best = page(trained_sweep), sweep.table(best_first=True), sweep.best()
    needs_nothing(text)
    read = Reader(text)
    number = table.index[0]
    shows(text, "4 completed", "4 diverged", "Without a result", "Best job", f"{best.record['best_model_score']:.6g}",
          "Means of val_loss over seeds", "Heat maps", "Curves", "Pareto front, the numbers are patience",
          "saved by sharing", "trainer.max_epochs=12", f"/{number}", "-m trainer=cpu", "4 trainings, 2 without a score",
          "means over 2 trainings", "Left out: training of jobs ", "it has no finite best val_loss",
          "no best yet")  # fmt: skip
    assert "keepbest train callbacks" not in text, "these policies belong to what was trained with"
    assert "best inf" not in text
    assert "The best first" not in text
    assert {f"job-{job}" for job in table.index} <= set(read.ids)
    first = next(row for row in read.rows if row[0] == f"★{number}")
    patience, rate, seed, _, epoch, *_ = first[1:]
    assert [int(patience), float(rate), int(seed), int(epoch)] == [
        *table.loc[number, ["patience", "lr", "seed", "best_epoch"]]
    ]
    assert [row[0].lstrip("★") for row in read.rows if row[0].lstrip("★").isdigit() and row[-1] == "recordconfig"] == [
        str(job) for job in table.index
    ]


def test_links_lead_to_the_files_of_jobs_wherever_the_page_is(hostile_sweep, trained_sweep, tmp_path):
    for sweep in (trained_sweep, hostile_sweep):
        for output in (sweep / "report.html", tmp_path / "report.html"):
            links = [link for link in Reader(page(sweep, output)).links if link.startswith("./")]
            assert len(links) == 2 * len(keepbest.open_sweep(sweep))
            assert all((output.parent / unquote(link)).is_file() for link in links)


def test_what_strangers_wrote_is_text(hostile_sweep):
    for directory in (hostile_sweep, hostile_sweep / "0", hostile_sweep / "javascript:window.hit=3'\"><i>"):
        text = page(directory)
        needs_nothing(text)
        assert Reader(text).tags.isdisjoint({"img", "i", "iframe", "object", "base", "form", "foreignobject"})
        assert "window.hit" in text
        assert "{{ 7*7 }}" in text
        assert text.encode().decode() == text
        assert all(sign.isprintable() or sign == "\n" for sign in text)


def test_only_our_script_is_named_by_the_policy(default_run):
    text = page(default_run[1])
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert re.fullmatch(
        r"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-[\w+/]{43}='; "
        r"base-uri 'none'; form-action 'none'", policy,
    )  # fmt: skip


def test_a_run_that_failed_shows_its_error(made_sweep, made_job, tmp_path):
    failed = {"status": RunStatus.FAILED, "error": Failure("OSError", "no space", "Traceback: here"),
              "best_model_score": None, "best_epoch": None, "stopping": None}  # fmt: skip
    sweep = made_sweep(tmp_path / "sweep", [made_job(["seed=1"], failed), made_job(["seed=2"], failed)])
    shows(page(sweep / "0"), "failed", "OSError", "no space", "Traceback: here", "failed before it ended",
          "the metrics of a run begin with its first check")  # fmt: skip
    text = page(sweep)
    shows(text, "2 failed", "jobs", "OSError: no space", "this sweep has none: 2 failed", "Traceback of job 0")
    assert text.count("OSError: no space") == 1, "jobs of one error together"


def test_a_run_that_diverged_at_once_has_no_picture_of_its_curve(made_sweep, made_job, tmp_path):
    record = {"status": RunStatus.DIVERGED, "best_model_score": None, "best_epoch": None}
    sweep = made_sweep(tmp_path / "sweep", [made_job(["seed=1"], record, [{"val_loss": float("inf")}])])
    text = page(sweep / "0")
    shows(text, "no check has a finite val_loss: there is no curve to draw.")
    assert "<svg" not in text


def test_a_sweep_without_a_result_has_a_page(made_sweep, made_job, tmp_path):
    jobs = [made_job([f"seed={number}"], None) for number in range(2)]
    text = page(made_sweep(tmp_path / "begun", jobs))
    shows(text, "2 missing", "the best job is one that has completed", "A column's name sorts by it.")
    assert "★" not in text, "of no best job"
    shows(page(made_sweep(tmp_path / "empty", [])), "this sweep has none: no jobs")


def test_a_sweep_that_goes_on_is_no_alarm(made_sweep, made_job, tmp_path):
    """Its epochs are those of the metrics so far; means of nothing are not shown."""
    before = {"best_model_score": None, "best_epoch": None, "stopping": None, "timing": Timing()}
    metrics = [{"val_loss": 1.0}] * 4
    jobs = [
        made_job(["seed=1"], {**before, "status": RunStatus.RUNNING}, metrics),
        made_job(["seed=2"], {**before, "status": RunStatus.PENDING}),
        made_job(["seed=3"], {**before, "status": RunStatus.INTERRUPTED}, metrics[:2]),
    ]
    sweep = made_sweep(tmp_path / "sweep", jobs)
    with owned(sweep / "0"):
        text = page(sweep)
    shows(text, "1 running", "1 pending", "3 trainings, 3 without a score")
    assert Reader(text).texts[Reader(text).texts.index("epochs trained") :][:3].count("6") == 1
    failures = text[text.index('id="failures"') : text.index('id="best"')]
    assert '"#job-2"' in failures
    assert '"#job-0"' not in failures
    assert '"#job-1"' not in failures
    assert 'id="means"' not in text
    with owned(sweep / "0"):
        well = made_sweep(tmp_path / "well", jobs[1:2])
    assert 'id="failures"' not in page(well)


def descents(made_job, *overrides, **config):
    """Return jobs that differ in their metrics, each with its overrides, whose policies stop before their end."""
    values = [[1.0, 0.5 + n / 9, 0.8, 0.8, 0.9, 0.95] for n in range(len(overrides))]
    return [
        made_job(given, {"best_model_score": one[1], "best_epoch": 1}, [{"val_loss": value} for value in one], config)
        for given, one in zip(overrides, values, strict=True)
    ]


def test_means_over_different_experiments_are_called_so(made_sweep, made_job, tmp_path, capsys):
    jobs = descents(made_job, ["model=mlp", "seed=1"], ["model=cnn", "seed=2"])
    shows(page(made_sweep(tmp_path / "models", jobs)), "Mind that the histories differ in more than the seed: model;",
          "means over 2 trainings")  # fmt: skip
    assert command_line(["replay", str(tmp_path / "models")]) == 0
    assert "differing    the histories differ in more than the seed: model; means" in capsys.readouterr().out
    text = page(made_sweep(tmp_path / "seeds", descents(made_job, ["seed=1"], ["seed=2"])))
    assert "Mind that" not in text
    shows(text, "To be added to what the histories were trained with", "callbacks.early_stopping.patience=1 ")
    repeated = [*descents(made_job, ["a=1"], ["a=2"]), *descents(made_job, ["a=1"])]
    shows(page(made_sweep(tmp_path / "repeated", repeated)), "3 trainings", "means over 2 distinct histories")
    assert command_line(["replay", str(tmp_path / "repeated")]) == 0
    assert "of 2 distinct histories" in capsys.readouterr().out


def test_settings_that_replay_kept_from_the_runs_are_named(made_sweep, made_job, tmp_path):
    settings = {"early_stopping": {"start_from_epoch": 1, "patience": 3}}
    text = page(made_sweep(tmp_path / "late", descents(made_job, ["seed=1"], ["seed=2"], callbacks=settings)))
    shows(text, "All of these policies keep start_from_epoch=1 , as the histories were trained.")
    text = page(made_sweep(tmp_path / "plain", descents(made_job, ["seed=1"], ["seed=2"])))
    assert "policies keep" not in text


def test_a_policy_that_saves_nothing_is_not_recommended(made_sweep, made_job, tmp_path):
    values = [{"val_loss": value} for value in (1.0, 1.1, 0.5)]
    job = made_job(["seed=1"], {"best_model_score": 0.5, "best_epoch": 2}, values, {"trainer": {"max_epochs": 3}})
    text = page(made_sweep(tmp_path / "sweep", [job]))
    shows(text, "No policy without regret takes fewer than all 3 epochs.")
    assert "To be added to" not in text


def test_no_policy_is_recommended_where_all_end_alike(made_sweep, made_job, tmp_path):
    jobs = descents(made_job, ["seed=1"], ["seed=2"], trainer={"max_epochs": 3})
    for job in jobs:
        job.metrics = job.metrics[:2]
    text = page(made_sweep(tmp_path / "sweep", jobs))
    assert "own limit" not in text, "of a training that ended before it nothing is known"
    for job in jobs:
        job.config = {"trainer": {"max_epochs": 2}}
    text = page(made_sweep(tmp_path / "limited", jobs))
    shows(text, "All policies end alike: the training's own limit came first.")
    assert "callbacks.early_stopping.patience=1" not in text


def test_jobs_of_several_objectives_are_listed_and_not_compared(made_sweep, made_job, tmp_path):
    jobs = [made_job(["a=1"], {"objective": Objective("f1", "max")}), made_job(["a=2"])]
    shows(page(made_sweep(tmp_path / "sweep", jobs)), "2 completed", "the jobs of this sweep have 2: f1 (max)")


def test_a_score_is_sorted_from_the_better_end(made_sweep, made_job, tmp_path):
    for mode, first in (("min", "ascending"), ("max", "descending")):
        jobs = [made_job([f"a={number}"], {"objective": Objective("f1", mode)}) for number in range(2)]
        text = page(made_sweep(tmp_path / mode, jobs))
        assert f'data-first="{first}" title="the best score"><button type="button">f1</button>' in text


def test_a_record_that_was_changed_is_named_and_the_others_are_shown(made_sweep, made_job, tmp_path):
    sweep = made_sweep(tmp_path / "sweep", [made_job([f"seed={number}"]) for number in range(3)])
    record = sweep / "1" / "run.json"
    record.write_text(record.read_text().replace("0.5", "0.1"))
    shows(page(sweep), "1 unreadable", "2 completed", "It was changed or damaged after it was written")
    with pytest.raises(keepbest.errors.KeepbestError, match="changed or damaged"):
        page(sweep / "1")


def test_metrics_that_were_changed_take_only_their_pictures_with_them(default_run, tmp_path):
    run = shutil.copytree(default_run[1], tmp_path / "run")
    (run / "metrics.csv").write_text("epoch,step,val_loss\n0,1,0.1\n")
    text = page(run)
    shows(text, "a table of metrics must have the sha256", "bit for bit", "_target_")
    assert "<svg" not in text


def test_many_jobs_make_a_page_of_bounded_size(made_sweep, made_job, tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)  # of two thousand files
    metrics = [{"val_loss": 1 / epoch} for epoch in range(1, 9)]
    rows = [["a", "b", "c"][n % 3] for n in range(600)]
    jobs = [made_job([f"lr={n}", f"name={rows[n]}"], {"best_model_score": n / 7}, metrics) for n in range(600)]
    text = page(made_sweep(tmp_path / "sweep", jobs))
    assert len(text) < 1_500_000
    shows(text, "600 completed", "a page replays at most 200 trainings")


# The command


def said(capsys, status: int, *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == status
    out = capsys.readouterr()
    assert "Traceback" not in out.err
    return out.out + out.err


@pytest.fixture
def sweep(made_sweep, made_job, tmp_path) -> Path:
    return made_sweep(tmp_path / "sweep", [made_job([f"seed={number}"]) for number in range(2)])


def test_it_is_written_beside_what_it_is_about(sweep, capsys, monkeypatch):
    monkeypatch.chdir(sweep.parent)
    for given, place in (("sweep", "sweep"), ("sweep/sweep.json", "sweep"), ("sweep/1", "sweep/1")):
        assert said(capsys, 0, given) == f"report       {place}/report.html\n"
        text = Path(place, "report.html").read_text(encoding="utf-8")
        assert MARK in text
        assert f"<code>{place}</code>" in text
        assert str(sweep.parent) not in text
    before = {path: path.read_bytes() for path in sweep.rglob("*.json")}
    assert command_line(["report", "sweep", "--output", "elsewhere.html"]) == 0
    assert MARK in Path("elsewhere.html").read_text(encoding="utf-8")
    assert before == {path: path.read_bytes() for path in sweep.rglob("*.json")}


def test_it_takes_the_place_of_a_page_and_of_nothing_else(sweep, capsys, tmp_path):
    mine = tmp_path / "mine.html"
    mine.write_text("<p>mine</p>")
    refusal = "a page must not take the place of a file that is something else"
    assert refusal in said(capsys, 2, sweep, "--output", mine)
    assert mine.read_text() == "<p>mine</p>"
    os.mkfifo(tmp_path / "pipe")
    assert refusal in said(capsys, 2, sweep, "--output", tmp_path / "pipe")
    assert f"--output {tmp_path}/report.html" in said(capsys, 2, sweep, "--output", tmp_path)
    for _ in range(2):
        said(capsys, 0, sweep, "--output", tmp_path / "page.html")
    own = sweep / "report.html"
    own.write_text("anything")
    assert "Choose another name with --output" in said(capsys, 2, sweep)
    assert own.read_text() == "anything"
    own.unlink()
    os.mkfifo(own)
    assert refusal in said(capsys, 2, sweep)
    own.unlink()
    for _ in range(2):
        said(capsys, 0, sweep)


def test_a_link_in_its_place_is_replaced_and_not_followed(sweep, capsys, tmp_path):
    said(capsys, 0, sweep, "--output", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    (sweep / "report.html").symlink_to(tmp_path / "page.html")
    said(capsys, 0, sweep / "0")
    said(capsys, 0, sweep)
    assert (tmp_path / "page.html").read_text() == page
    assert not (sweep / "report.html").is_symlink()
    (tmp_path / "other").write_text("other")
    (sweep / "report.html").unlink()
    (sweep / "report.html").symlink_to(tmp_path / "other")
    assert "something else than a page" in said(capsys, 2, sweep)


def test_the_page_of_the_latest_run_opens_that_run_tomorrow(made_sweep, made_job, capsys, tmp_path, monkeypatch):
    made_sweep(tmp_path / "sweep", [made_job(["seed=1"], {"best_model_path": "best.ckpt"}) for _ in range(2)])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latest").symlink_to("sweep/1")
    assert said(capsys, 0, "latest") == "report       sweep/1/report.html\n"
    text = Path("sweep/1/report.html").read_text(encoding="utf-8")
    assert "<code>sweep/1</code>" in text
    assert "open_run(&#34;sweep/1&#34;)" in text
    assert "latest" not in text


def test_where_nothing_can_be_written_the_remedy_is_another_place(sweep, capsys, tmp_path):
    text = said(capsys, 2, sweep, "--output", tmp_path / "not there" / "page.html")
    assert "a page needs a directory that can be written to: No such file or directory" in text
    assert "--output report.html" in text


def test_it_is_shown_in_the_browser_on_request(sweep, keepbest, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/shown\n')
    browser.chmod(0o755)
    done = keepbest(["report", "sweep", "--open"], tmp_path, env={"BROWSER": f"{browser} %s"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shown").read_text().strip() == (sweep / "report.html").as_uri()


def test_wrong_usage_is_told(capsys, tmp_path):
    assert "unrecognized arguments: --outptu" in said(capsys, 2, tmp_path, "--outptu", "x")
    assert "usage: keepbest report" in said(capsys, 2)
    assert "examples:" in said(capsys, 0, "--help")
    assert "a run or sweep must be a directory with run.json" in said(capsys, 2, tmp_path)
