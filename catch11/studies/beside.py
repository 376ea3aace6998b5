"""Studies beside one another, a process each: small nets gain little from a second thread, and much
from a second study. Each process keeps its own models and releases in memory."""

import os
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from threading import Thread

import torch

from catch11.errors import Catch11Error, InvalidArgument
from catch11.studies.frame import Progress, Scale, Study, run_study, study_of
from catch11.studies.place import Place, Unavailable

Step = tuple[str, int, str]  # a study, how many of its cells are done, the one at hand
_POLL = 0.2  # seconds
_told: "SimpleQueue[Step]"


class Ended(Catch11Error, RuntimeError):
    """A process went away with its study undone; what its files hold is whole."""

    def __init__(self) -> None:
        super().__init__(
            "a study's process was ended from outside, perhaps as memory ran out; its cells done so "
            "far are kept: run it again, with fewer --jobs."
        )


def run_beside(
    chosen: Sequence[Study],
    place: Place,
    *,
    scale: Scale = "quick",
    out: Path,
    only: str = "",
    jobs: int,
    progress: Progress | None = None,
) -> None:
    """Work out the cells of several studies, `jobs` studies at a time, the longest begun first.

    Studies that measure times are left out, and a study that is refused stops where it is:
    `run_studies` on the same folder runs the former, says why of the latter, and takes up all that
    is done. Raises InvalidArgument for jobs below 1, Ended, and, once the others are through, the first
    error of a study that is none of this package's.
    """
    if jobs < 1:
        raise InvalidArgument("jobs", expected="1 or more", found=jobs)
    able = sorted((s for s in chosen if not s.alone), key=lambda study: -study.minutes)
    totals = {study.name: _count(study, place, scale, only) for study in able}
    done = dict.fromkeys(totals, 0)
    context = get_context("spawn")
    told: SimpleQueue[Step] = context.SimpleQueue()
    threads = max(1, (os.cpu_count() or 1) // jobs)
    others = active_children()
    failed: list[BaseException] = []
    with ProcessPoolExecutor(jobs, context, _begin, (told, threads)) as pool:
        try:
            waiting: set[Future[None]] = {
                pool.submit(_run, study.name, place, scale, out, only) for study in able
            }
            while waiting:
                ended, waiting = wait(waiting, timeout=_POLL, return_when="FIRST_COMPLETED")
                while not told.empty():
                    name, cells, cell = told.get()
                    done[name] = cells
                    if progress is not None:
                        progress(sum(done.values()), sum(totals.values()), f"{name}: {cell}")
                failed += [error for future in ended if (error := future.exception())]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                if process not in others:
                    process.terminate()
            raise
    if any(isinstance(error, BrokenProcessPool) for error in failed):
        raise Ended
    if failed:
        raise failed[0]


def _count(study: Study, place: Place, scale: Scale, only: str) -> int:
    try:
        return sum(only in cell.name for cell in study.cells(scale, place))
    except Unavailable:
        return 0


def _begin(told: "SimpleQueue[Step]", threads: int) -> None:
    """A worker ends at once on Ctrl-C, and with the process that began it."""
    global _told
    _told = told
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run(name: str, place: Place, scale: Scale, out: Path, only: str) -> None:
    def tell(done: int, total: int, cell: str) -> None:
        _told.put((name, done, cell))

    # Errors of this package do not cross over to another process, which meets them itself.
    with suppress(Catch11Error):
        run_study(study_of(name), place, scale=scale, out=out, only=only, progress=tell)
