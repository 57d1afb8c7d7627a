"""`keepbest train`: what a person types wrong, sees and gets back."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

from keepbest.cli.main import main
from keepbest.training.worker_process import GRACE_SECONDS


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


WRONG = {
    "unknown key": (["train", "trainer.max_epoch=3"], r"trainer has no key 'max_epoch'.* Did you mean 'max_epochs'\?"),
    "unknown key at the top": (["train", "sed=3"], r"the config has no key 'sed'.* Did you mean 'seed'\?"),
    "unknown option": (["train", "model=mpl"], r"model: it must be one of cnn, mlp.*got 'mpl'. Did you mean 'mlp'\?"),
    "unknown nested option": (
        ["train", "callbacks/early_stopping=simpel"],
        r"it must be one of complex, off, simple, got 'simpel'. Did you mean 'simple'\?",
    ),
    "unknown group": (["train", "modle/optimizer=sgd"], r"no such group.* Did you mean 'model/optimizer'\?"),
    "syntax": (["train", "trainer.max_epochs=[3"], r"an override reads group=option or some\.key=value"),
    "type": (["train", "callbacks.early_stopping.patience=abc"], "patience must be a whole number.*got 'abc'"),
    "range": (["train", "callbacks.early_stopping.patience=-1"], "patience must be.*at least 0, got -1"),
    "negative min_delta": (
        ["train", "callbacks.early_stopping.min_delta=-1"],
        "min_delta must not be negative, got -1",
    ),
    "mode": (
        ["train", "objective.mode=mni"],
        r"objective\.mode: it must be min or max, got 'mni'. Did you mean 'min'\?",
    ),
    "seed": (["train", "seed=-3"], "seed: it must be a whole number"),
    "missing value": (
        ["train", "data=csv", "data.path=a.csv"],
        r"data\.target: a value must be given. Add data.target=",
    ),
    "no interpolation": (["train", "seed=${nowhere}"], "nowhere"),
    "module that is not there": (
        ["train", "model._target_=nowhere.Net"],
        r"model\._target_: there is no module 'nowhere' here, got 'nowhere\.Net'",
    ),
    "class that is not there": (
        ["train", "model._target_=keepbest.models.MLPClasifier"],
        r"has no 'MLPClasifier'.* Did you mean 'MLPClassifier'\?",
    ),
    "argument that is not taken": (
        ["train", "+model.hiden_sizes=[3]"],
        r"takes no argument 'hiden_sizes'.* Did you mean 'hidden_sizes'\?",
    ),
    "argument of the wrong type": (
        ["train", "data.batch_size=many"],
        r"data\.batch_size: Digits wants int, got 'many'",
    ),
    "argument out of range": (["train", "data.batch_size=0"], "batch_size must be an integer of at least 1, got 0"),
    "trainer's argument": (["train", "trainer.max_epochs=-7"], r"trainer: it cannot be made: .*max_epochs"),
    "device that is not there": (["train", "trainer=gpu"], "trainer: it cannot be made: .*gpu backend"),
    "keeper against the objective": (
        ["train", "callbacks.model_checkpoint.monitor=val_acc"],
        r"must follow the objective's monitor, which is 'val_loss', got 'val_acc'",
    ),
    "stopping against the objective": (
        ["train", "callbacks.early_stopping.mode=max"],
        r"must follow the objective's mode, which is 'min', got 'max'",
    ),
    "no epoch": (["train", "trainer.max_epochs=0"], r"trainer\.max_epochs: it must be at least 1"),
    "no validation": (
        ["train", "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=5"],
        "validation must come at least once in the 3 epochs",
    ),
    "nothing kept": (["train", "+trainer.fast_dev_run=true"], "Use debug=quick"),
    "setting of sweeps": (["train", "hydra.sweeper.dry_run=true"], r"hydra\.sweeper are for sweeps, got .* Add -m\."),
    "sweep's truth value": (
        ["train", "-m", "hydra.sweeper.dry_run=treu"],
        r"hydra\.sweeper\.dry_run: it must be true or false, got 'treu'\. Write hydra\.sweeper\.dry_run=true",
    ),
    "sweep's list": (
        ["train", "-m", "hydra.sweeper.dry_run=true", "hydra.sweeper.reads_stop=mine"],
        r"hydra\.sweeper\.reads_stop: it must be a list, got 'mine'\. Write hydra\.sweeper\.reads_stop=\[mine\]",
    ),
    "sweep's number": (
        ["train", "-m", "hydra.sweeper.dry_run=true", "hydra.sweeper.retries=1.5"],
        r"hydra\.sweeper\.retries: it must be a whole number, got '1\.5'",
    ),
    "sweep's range": (
        ["train", "-m", "hydra.sweeper.dry_run=true", "hydra.sweeper.max_batch_size=0"],
        r"hydra\.sweeper\.max_batch_size: it must be at least 1 training at a time, got 0\. Write null",
    ),
    "sweep's callback": (
        ["train", "-m", "hydra.sweeper.dry_run=true", "seed=1,2", "hydra.sweeper.reads_stop=[erly_stopping]"],
        r"hydra\.sweeper\.reads_stop: .*got 'erly_stopping'\. Did you mean 'early_stopping'\?",
    ),
    "unknown command": (["trian"], r"there is no command 'trian'. Did you mean 'train'\?"),
}


@pytest.mark.parametrize(("command", "message"), WRONG.values(), ids=WRONG)
def test_wrong_input_ends_with_status_2_and_one_message(command, message, capfd):
    if "gpu" in command[-1]:
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
    assert main(command) == 2
    error = capfd.readouterr().err
    assert re.search(message, error, re.DOTALL), error
    assert "Traceback" not in error
    assert error.count("\n") <= 2, "one short message"


def test_faults_of_a_config_are_shown_together(capfd):
    assert main(["train", "seed=-1", "verification.tolerance=-1", "objective.mode=up"]) == 2
    error = capfd.readouterr().err
    assert "the config has 3 faults" in error
    assert all(key in error for key in ("seed:", "verification.tolerance:", "objective.mode:"))


def test_a_config_that_is_refused_leaves_no_run_behind(tmp_path):
    assert main(["train", "seed=-1"]) == 2
    assert not list((tmp_path / "outputs" / "runs").iterdir())


def test_what_fails_while_it_runs_has_status_1_a_short_message_and_a_record(tmp_path, capfd):
    assert main(["train", "trainer=cpu", "objective.monitor=val_los"]) == 1
    error = capfd.readouterr().err
    assert "Did you mean 'val_loss'?" in error
    assert "Traceback" not in error
    record = json.loads((tmp_path / "outputs" / "latest" / "run.json").read_text())
    assert record["status"] == "failed"
    assert record["error"]["type"] == "MonitorError"


def test_a_traceback_is_shown_to_whoever_asks_for_it(monkeypatch, capfd):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert main(["train", "model._target_=nowhere.Net"]) == 2
    assert "Traceback" in capfd.readouterr().err


def test_a_missing_data_file_is_told_with_its_name(tmp_path, capfd):
    assert main(["train", "data=fashion_mnist", f"data.data_dir={tmp_path}"]) == 1
    assert "train-images-idx3-ubyte.gz" in capfd.readouterr().err


@pytest.mark.parametrize("flags", [["--help"], ["--cfg", "job"], ["--info", "defaults"]], ids=" ".join)
def test_help_and_config_need_neither_torch_nor_lightning(flags, tmp_path):
    code = (
        "import sys; from keepbest.cli.main import main; status = main(['train', *sys.argv[1:]]);"
        "print(sorted({'torch', 'lightning', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules)), status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *flags], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout.endswith("[] 0\n"), done.stdout[-300:] + done.stderr


def test_help_speaks_of_keepbest_and_lists_every_group(capfd):
    assert main(["train", "--help"]) == 0
    text = capfd.readouterr().out
    assert "keeps the best weights" in text
    assert "powered by Hydra" not in text
    for group in (
        "callbacks/early_stopping: complex, off, simple",
        "data: breast_cancer, csv",
        "trainer: auto, cpu, ddp",
    ):
        assert group in text


def test_several_jobs_have_numbers_and_one_failing_job_fails_the_command(tmp_path, capfd):
    status = main(["train", "-m", "trainer=cpu", "debug=quick", "objective.monitor=val_loss,val_los,val_acc"])
    assert status == 1
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    found = {path.parent.name: json.loads(path.read_text())["status"] for path in sweep.glob("*/run.json")}
    assert found == {"0": "completed", "1": "failed", "2": "completed"}
    assert capfd.readouterr().err.count("Did you mean 'val_loss'?") == 1


def test_from_python_it_returns_the_run_or_raises(tmp_path):
    import keepbest
    from keepbest.errors import ConfigError

    run = keepbest.train(["trainer=cpu", "debug=quick"])
    assert run.record["status"] == "completed"
    assert run.directory.parent == tmp_path / "outputs" / "runs"
    with pytest.raises(ConfigError, match="Did you mean 'mlp'"):
        keepbest.train(["model=mpl"])
    with pytest.raises(ConfigError, match="takes a list of overrides, without flags"):
        keepbest.train("model=cnn")
    with pytest.raises(ConfigError, match="takes a list of overrides, without flags"):
        keepbest.train(["-m", "seed=1,2"])


def test_launches_in_the_same_second_get_different_directories(tmp_path):
    for _ in range(3):
        assert main(["train", "trainer=cpu", "debug=quick"]) == 0
    runs = [path.name for path in (tmp_path / "outputs" / "runs").iterdir()]
    assert len(runs) == 3
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_[0-9a-f]{6}", name) for name in runs)


def test_a_directory_that_holds_a_run_is_not_trained_into(tmp_path, capfd):
    command = ["train", "trainer=cpu", "debug=quick", "hydra.run.dir=run"]
    assert main(command) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert tmp_path / "run" / ".hydra" / "overrides.yaml" in before
    assert main([*command, "seed=5"]) == 2
    assert "a directory holds one run" in capfd.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_a_refused_launch_leaves_a_directory_of_the_users_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    assert main(["train", "seed=-1", "hydra.run.dir=mine"]) == 2
    assert (tmp_path / "mine").is_dir()


def test_flags_may_stand_behind_the_overrides(tmp_path):
    assert main(["train", "trainer=cpu", "debug=quick", "-m", "seed=1,2"]) == 0
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    assert sorted(path.parent.name for path in sweep.glob("*/run.json")) == ["0", "1"]


def test_a_reader_that_leaves_early_does_not_disturb_the_run(tmp_path):
    command = f"{sys.executable} -m keepbest train trainer=cpu trainer.max_epochs=2 | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert json.loads((tmp_path / "outputs" / "latest" / "run.json").read_text())["status"] == "completed"


@pytest.mark.slow
def test_a_reader_that_leaves_a_sweep_changes_neither_its_jobs_nor_its_status(tmp_path):
    for monitors, status in (("val_loss", 0), ("val_loss,val_los", 1)):
        sweep = f"-m trainer=cpu debug=quick seed=1,2 objective.monitor={monitors} hydra.sweep.dir=s{status}"
        command = f"{sys.executable} -m keepbest train {sweep} 2>errors | true; echo ${{PIPESTATUS[0]}} >status"
        subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
        assert (tmp_path / "status").read_text() == f"{status}\n", (tmp_path / "errors").read_text()
        records = [json.loads(path.read_text()) for path in (tmp_path / f"s{status}").glob("?/run.json")]
        assert {"pending", "running"}.isdisjoint(record["status"] for record in records)
        assert "BrokenPipe" not in (tmp_path / "errors").read_text()


@pytest.mark.slow
def test_a_worker_that_vanishes_fails_the_command_and_its_record(keepbest, tmp_path):
    (tmp_path / "vanishing.py").write_text(
        "import os\n"
        "from lightning.pytorch import Callback\n"
        "class Vanish(Callback):\n"
        "    def on_train_epoch_end(self, trainer, module):\n"
        "        os._exit(0)\n"
    )
    done = keepbest(["train", "trainer=ddp_cpu", "+callbacks.vanish._target_=vanishing.Vanish"], tmp_path)
    assert done.returncode == 1
    (run_dir,) = (tmp_path / "outputs" / "runs").iterdir()
    record = json.loads((run_dir / "run.json").read_text())
    assert (record["status"], record["error"]["type"]) == ("failed", "WorkerError")


def test_two_gloo_ranks_train_verify_and_leave_one_record(keepbest, tmp_path):
    done = keepbest(["train", "trainer=ddp_cpu", "trainer.max_epochs=3"], tmp_path)
    assert done.returncode == 0, done.stderr
    (run_dir,) = (tmp_path / "outputs" / "runs").iterdir()
    record = json.loads((run_dir / "run.json").read_text())
    assert record["status"] == "completed"
    assert record["verified"]["exact"]
    assert "Starting with 2 processes" in (run_dir / "train.log").read_text()
    assert done.stdout.count("epoch   0  val_loss") == 1, "one rank speaks"
    assert len((run_dir / "metrics.csv").read_text().splitlines()) == 4


def test_a_failing_rank_fails_the_command_and_no_rank_stays_behind(keepbest, tmp_path):
    done = keepbest(["train", "trainer=ddp_cpu", "objective.monitor=val_los"], tmp_path)
    assert done.returncode == 1
    assert "Did you mean 'val_loss'?" in done.stderr
    (run_dir,) = (tmp_path / "outputs" / "runs").iterdir()
    assert json.loads((run_dir / "run.json").read_text())["status"] == "failed"
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(run_dir) not in left


@pytest.mark.slow
def test_a_worker_gives_what_the_command_gives(keepbest, tmp_path, compose_config):
    import torch

    from keepbest.training.job import create_job

    config = compose_config(["trainer=cpu", "trainer.max_epochs=3"])
    create_job(tmp_path / "job", "job", config)
    worker = [sys.executable, "-m", "keepbest.training.worker", str(tmp_path / "job")]
    done = subprocess.run(worker, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert keepbest(["train", "trainer=cpu", "trainer.max_epochs=3"], tmp_path).returncode == 0
    latest = tmp_path / "outputs" / "latest"
    assert (latest / "metrics.csv").read_bytes() == (tmp_path / "job" / "metrics.csv").read_bytes()
    first, second = (
        torch.load(path / "checkpoints" / "best.ckpt", weights_only=True) for path in (latest, tmp_path / "job")
    )
    assert all(torch.equal(first["state_dict"][key], second["state_dict"][key]) for key in second["state_dict"])


@pytest.mark.parametrize(
    ("number", "status", "trainer"),
    [
        (signal.SIGINT, 130, "cpu"),
        (signal.SIGTERM, 143, "cpu"),
        pytest.param(signal.SIGINT, 130, "ddp_cpu", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, "ddp_cpu", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_says_so_in_status_record_and_message(number, status, trainer, tmp_path):
    command = [sys.executable, "-m", "keepbest", "train", f"trainer={trainer}", "trainer.max_epochs=100000"]
    more = ["callbacks/early_stopping=off", "hydra.run.dir=run"]
    process = subprocess.Popen(
        [*command, *more], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while "epoch   0" not in process.stdout.readline():
        assert time.monotonic() < deadline
    os.kill(process.pid, number)
    _, error = process.communicate(timeout=GRACE_SECONDS - 5)  # two ranks end by themselves, too
    assert process.returncode == status, error
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    assert error == f"keepbest: the training was interrupted by {signal.Signals(number).name}.\n"


AT_AN_IMPORT = """
import os
import signal
import sys

class Finder:
    '''Signals its own process when that comes to import a module.'''
    def find_spec(self, name, path=None, target=None):
        module, number = os.environ["SIGNAL_AT"].split(",")
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Finder())
"""
MOMENTS = {
    "before the config is composed": ("hydra._internal.hydra", signal.SIGTERM, []),
    "before the directory is claimed": ("torch.nn", signal.SIGINT, []),
    "before the job starts": ("keepbest.reports.terminal", signal.SIGTERM, ["interrupted"]),
    "before the trainer is made": ("keepbest.training.session", signal.SIGINT, ["interrupted"]),
}


@pytest.mark.parametrize(("module", "number", "left"), MOMENTS.values(), ids=MOMENTS)
def test_a_signal_before_the_training_leaves_an_honest_record_or_nothing(module, number, left, keepbest, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(AT_AN_IMPORT)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    env = {"SIGNAL_AT": f"{module},{int(number)}", "PYTHONPATH": path}
    done = keepbest(["train", "trainer=cpu", "debug=quick"], tmp_path, env=env)
    assert done.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], done.stderr
    assert done.stderr == f"keepbest: the training was interrupted by {number.name}.\n"
    records = [run_dir / "run.json" for run_dir in (tmp_path / "outputs").glob("runs/*")]
    assert [json.loads(record.read_text())["status"] for record in records] == left


def test_an_interrupted_multirun_does_not_go_on_to_the_next_job(tmp_path):
    command = [sys.executable, "-m", "keepbest", "train", "-m", "trainer=cpu", "trainer.max_epochs=100000", "seed=1,2"]
    more = ["callbacks/early_stopping=off", "hydra.sweep.dir=sweep"]
    process = subprocess.Popen(
        [*command, *more], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "sweep" / "0" / "metrics.csv").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    statuses = {p.parent.name: json.loads(p.read_text())["status"] for p in (tmp_path / "sweep").glob("*/run.json")}
    assert statuses == {"0": "interrupted", "1": "pending"}


def test_a_terminal_gets_a_progress_bar(tmp_path):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "keepbest", "train", "trainer=cpu", "debug=quick"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # the other side has closed
            break
        if not block:
            break
        shown += block
    assert process.wait(60) == 0
    assert re.search(rb"Epoch 0", shown), "Lightning's bar"
    assert b"\x1b[" in shown
    assert b"epoch   0  val_loss" in shown
