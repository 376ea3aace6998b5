"""The modality of readings, from outside the package: how they are loaded, keyed and verified."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from catch11.evaluation.roles import named
from catch11.evaluation.score import Run, Tally, release_id
from catch11.evaluation.verification import Verifiable, Verification, verified
from catch11.fronts.fingerprint import module_fingerprint
from catch11.keys.key import Key
from catch11.modalities.frame import Action, Modality, Takes, options
from catch11.releases.manifest import signer_of
from catch11.releases.read import read_release
from tests.extending.reading import DAT, READING, Meter, meter


def load(spec: str, *, device: str = "cpu", allow_code: bool = False) -> Meter:
    """A meter by the name of the function that makes it: ours or theirs."""
    name = spec.rpartition(":")[2]
    net = meter({"ours": 1, "theirs": 2}[name])
    return Meter(name=name, spec=spec, fingerprint=module_fingerprint(net), module=net)


def ours() -> None: ...


def theirs() -> None: ...


ours.modality = theirs.modality = READING  # type: ignore[attr-defined]


def verify_readings(
    dst: Path,
    model: Meter,
    *,
    rivals: Sequence[Meter] = (),
    source: Path | None = None,
    key: Key | None = None,
    command: str | None = None,
    progress: Any = None,
) -> Verification:
    """Every meter on the released readings and, with `source`, on the clean ones."""
    held = read_release(dst, signer=signer_of(key))
    models = named((model, *rivals))

    def answered() -> Iterator[tuple[int, Tally]]:
        for entry in held.entries:
            tally = Tally(files=[entry.file], truth=[None])
            given = {"nte": held.item(entry)}
            if source is not None:
                given["clean"] = DAT.decode((Path(source) / entry.file).read_bytes(), held.canvas)
            for name, one in models.items():
                for condition, reading in given.items():
                    tally.answers[name, condition] += one.answers(torch.stack([reading]))  # type: ignore[index]
            yield 1, tally

    trial = Verifiable(
        models=models, answered=answered, total=len(held.entries), complete=held.complete,
        run=Run(key=held.key, command=command, settings={"release": release_id(held.entries)}),
        sourced=source is not None, unit="readings",
    )  # fmt: skip
    return verified(trial, progress=progress)


KIND = Modality(
    name=READING,
    items="readings",
    models="a meter",
    sources="a folder of .dat files",
    peak="one",
    suffixes=frozenset({DAT.suffix}),
    claims=lambda facts: "meter" in facts,
    load=load,
    verify=Action(run=verify_readings, takes=options("rivals source key")),
    attack=Takes(takes=options("rivals")),
)
