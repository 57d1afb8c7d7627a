"""The directory of a sweep: its record, and where its jobs lie."""

from __future__ import annotations

from pathlib import Path

from keepbest.reading.run_files import LARGEST_SWEEP, require_file, require_inside
from keepbest.records.store import SWEEP_FILE, read_sweep


class SweepDirectory:
    """A sweep's directory, looked at by the rules of `keepbest.open_sweep`.

    Args:
        place: absolute and without links.
        trust: see `keepbest.open_run`.

    Attributes:
        record: `sweep.json`.
        jobs: the directory of each job by its number, absolute.

    Raises:
        RecordError: when there is no sweep, or its record cannot be read or leads out of the directory.
        IntegrityError: when its record is not as it was written.
    """

    def __init__(self, place: Path, *, trust: bool = False) -> None:
        self.place, self._trust = place, trust
        if not trust:
            require_file(place, SWEEP_FILE, LARGEST_SWEEP)
        self.record = read_sweep(place, verify=not trust)
        self.jobs = {job.number: self.inside(job.directory) for job in self.record.jobs}
        for trajectory in {job.trajectory for job in self.record.jobs if job.trajectory}:
            self.inside(trajectory)

    def inside(self, name: str) -> Path:
        """Return the absolute path of something in the directory; there may be nothing there.

        Raises:
            RecordError: when it leads out of the directory.
        """
        return (self.place / name).resolve() if self._trust else require_inside(self.place, name, "sweep")
