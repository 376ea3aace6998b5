"""Workers: each takes the next job, has the engine do it, and notes what became of it.

A job that was stopped, by a signal or a power cut, is taken up again: the engine finds what it finished.
Between two files a worker asks whether the key still stands and the job is still wanted.
"""

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from typing import Any

from catch11.errors import Catch11Error, InvalidArgument
from catch11.keys.authorized import Authorized
from catch11.modalities.open import loaded
from catch11.modalities.options import Options, RecodeOptions
from catch11.modalities.recode import recode
from catch11.serve import jobs, listing, turns
from catch11.serve.asks import Ask
from catch11.serve.ledgers import Ledgers
from catch11.serve.outcomes import items, one_file, outcomes, write_lists
from catch11.serve.refusals import Refused
from catch11.serve.settings import Settings, job_place, ledger_of
from catch11.serve.store import Store
from catch11.serve.vault import Opened, Vault

log = logging.getLogger(__name__)
_POLL = 1.0  # seconds between two looks for jobs that another process brought
_TELL = 0.2  # seconds between two notes of progress


class Interrupted(Exception):
    """The job is not to go on here: the gateway stops, or it was cancelled."""


@dataclass(eq=False)
class Workers:
    """The threads that work off jobs. told: called with the id of a job that moved."""

    store: Store
    vault: Vault
    settings: Settings
    told: Callable[[str], None] = lambda job: None
    _stop: Event = field(default_factory=Event)
    ledgers: Ledgers = field(default_factory=Ledgers)
    _models: dict[str, Authorized] = field(default_factory=dict)
    _threads: list[Thread] = field(default_factory=list)

    def start(self) -> None:
        """Take up what an earlier run left, and begin."""
        if left := turns.recover(self.store):
            log.info("%d jobs taken up again", left)
        for number in range(self.settings.workers):
            thread = Thread(target=self._run, name=f"worker-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, *, wait: float = 60.0) -> None:
        """End after the files at hand; what is not done waits in the database."""
        self._stop.set()
        self.wake()
        for thread in self._threads:
            thread.join(wait)

    def wake(self) -> None:
        """A job waits."""
        with self.ledgers.jobs:
            self.ledgers.jobs.notify_all()

    @property
    def stopping(self) -> bool:
        """Whether no job is begun any more."""
        return self._stop.is_set()

    def model(self, opened: Opened) -> Authorized | None:
        """The authorized model of a key, loaded once; None where the vault names none."""
        return self._loaded(opened, opened.models.model) if opened.models.model else None

    def rivals(self, opened: Opened) -> list[Authorized]:
        """The models that are shown beside it."""
        return [self._loaded(opened, spec) for spec in opened.models.rivals]

    def _loaded(self, opened: Opened, spec: str) -> Authorized:
        if spec not in self._models:
            asked = Options(device=opened.models.device, allow_code=opened.models.code)
            self._models[spec] = loaded(spec, asked)
        return self._models[spec]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                work = self._next()
            except Exception as error:  # noqa: BLE001 - the database may be away for a while
                log.error("no job can be taken: %s", type(error).__name__)
                self._stop.wait(_POLL)
                continue
            if work is None:
                continue
            try:
                self._work(work)
            finally:
                self.ledgers.free((work.tenant, work.ledger))

    def _next(self) -> turns.Work | None:
        with self.ledgers.jobs:
            work = turns.claim(self.store, busy=self.ledgers.busy)
            if work is None:
                self.ledgers.jobs.wait(_POLL)
            else:
                self.ledgers.take((work.tenant, work.ledger))
            return work

    def _work(self, work: turns.Work) -> None:
        state = jobs.RUNNING
        try:
            self.recode(work)
            state = jobs.DONE
        except Interrupted:
            state = jobs.CANCELLED
        except Exception as error:  # noqa: BLE001 - whatever it is, one job fails and the next is taken
            if jobs.state_of(self.store, work.id) != jobs.RUNNING:
                state = jobs.CANCELLED  # its files went from under it
            else:
                # The sentence of an error may name a model or a path: the log gets its class alone.
                log.error("job %s failed: %s", work.id, type(error).__name__)
                turns.fail(self.store, work, sentence(error))
                state = jobs.FAILED
        if state == jobs.CANCELLED and jobs.state_of(self.store, work.id) is None:
            shutil.rmtree(job_place(self.settings.home, work.id).root, ignore_errors=True)
        self.told(work.id)

    def recode(self, work: turns.Work) -> None:
        """One job, from its uploads to its bundle. Raises Interrupted, Catch11Error."""
        place = job_place(self.settings.home, work.id)
        opened = self.vault.opened(work.key)
        ledger = ledger_of(self.settings.home, work.tenant, work.ledger)
        names = [part["name"] for part in listing.view(self.store, work.tenant, work.id)["parts"]]
        told = [0.0]

        def tick(done: int, total: int, _: str) -> None:
            if self._stop.is_set():
                raise Interrupted
            now = time.monotonic()
            if now - told[0] >= _TELL:
                told[0] = now
                self.vault.check(work.key)
                if turns.progress(self.store, work.id, done) != jobs.RUNNING:
                    raise Interrupted
                self.told(work.id)

        options = replace(self.options(work.ask, opened), ledger=ledger)
        source = one_file(place, opened.key, names) or place.source
        if work.ask["counted"]:
            joined = len(options.columns) == 2 and bool(getattr(self.model(opened), "labels", ()))
            turns.count(self.store, work, items(place, opened.key, names, columns=options.columns, joined=joined))  # fmt: skip
        self.ledgers.close((work.tenant, work.ledger))
        recode(source, place.release, opened.key, options, apart=True, marks=opened.marks, progress=tick)  # fmt: skip
        write_lists(place, ledger, opened.key, names)
        found = outcomes(place, ledger, opened, names)
        self.vault.check(work.key)
        turns.finish(self.store, work, found)

    def options(self, ask: Mapping[str, Any], opened: Opened) -> RecodeOptions:
        """What the engine is asked with a key. ask: with keep and method as the grant gave them."""
        facts = dict(ask)
        method = facts.pop("method")
        keep = facts.pop("keep")
        own = {name: value for name, value in facts.items() if name in Ask.model_fields and name != "purpose"}  # fmt: skip
        model = self.model(opened)
        given: dict[str, Any] = {
            **own, "method": method, "keep": keep if method == "deep" else None, "copy": opened.secret,
            "workers": self.settings.threads, "check": model is not None,
        }  # fmt: skip
        if model is not None:
            given["model"] = model
        if "columns" in given:
            given["columns"] = tuple(given["columns"])
        return RecodeOptions(**given)


def sentence(error: Exception) -> str:
    """What the sender of a job is told of an error: sentences that concern what was sent alone."""
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, InvalidArgument) and error.name in Ask.model_fields:
        return str(error)
    if isinstance(error, Catch11Error):
        return "the gateway could not do this with this key; try other settings, or tell its operator the job's id."
    return "the gateway failed at this job; tell its operator the job's id."
