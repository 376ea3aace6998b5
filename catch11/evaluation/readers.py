"""Readers: batches of a release, answered by every model under each condition, measured, held against the ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from catch11.canvas.grid import psnr
from catch11.copies.seal import SealSecret
from catch11.copies.secretfile import Secret
from catch11.data.labels import Labels
from catch11.data.windows import as_pictures
from catch11.evaluation.conditions import Batch, Sources, read_batch
from catch11.evaluation.kept import broken, measures
from catch11.evaluation.record import Condition
from catch11.evaluation.score import Tally
from catch11.keys.authorized import seal_of
from catch11.keys.key import Key
from catch11.models.frame import Model
from catch11.recoding.keep import Keep
from catch11.releases.ledger import Row
from catch11.releases.read import Release

_DECIBEL = 1e-3  # a re-read PSNR this far from the ledger's is another file's
_SHIFT = 1e-3  # relative; the ledger's shift is float32 of another batch size


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Pictures or sounds of a release, and what reads them; see `verify`. models: by name, the authorized one first.
    keep: what files are held to; asked: whether that was asked for, or stands in the list."""

    release: Release
    models: Mapping[str, Model]
    sources: Sources | None
    truth: Labels | None
    rows: Mapping[str, Row]
    copy: Secret | None
    key: Key | None
    seed: int
    keep: Keep | None
    asked: bool

    def answered(self, parts: Iterable[Sequence[Any]]) -> Iterator[tuple[int, Tally]]:
        """Each batch, read and answered; files without a label are left out where others have one."""
        heard = next(iter(self.models.values())).heard
        for entries in parts:
            kept = [e for e in entries if self.truth is None or self.truth.of(e.file) is not None]
            made, problems = read_batch(
                self.release, kept, self.sources, seed=self.seed, heard=heard
            )
            tally = Tally(files=list(made.files), problems=[*problems, *self._disagreements(made)])
            tally.truth = [self.truth.of(f) if self.truth else None for f in made.files]
            if made.files:
                self._answer(made, tally)
            if made.files and "clean" in made.windows:
                self._measure(made, tally)
            yield len(entries), tally

    def _answer(self, made: Batch, tally: Tally) -> None:
        """Every model on every condition; the authorized one reads formats beyond 8 bits as they are."""
        authorized = next(iter(self.models))
        for condition, pictures in made.pictures.items():
            fine = not self.release.form.exact_for_stock_pipelines and condition != "clean"
            for name, model in self.models.items():
                windows = made.windows[condition]
                if self.opens and name == authorized:
                    shown = as_pictures(self._read(windows, condition), self.release.canvas)
                    given = answers(model, shown)
                elif self.copy is not None and name == authorized and condition != "nte":
                    given = window_answers(model, self._read(windows, condition))
                elif fine and name == authorized:
                    given = window_answers(model, windows)
                else:
                    given = answers(model, pictures)
                tally.answers[name, condition] += given.tolist()
            tally.psnr[condition] += made.psnr.get(condition, ())
            tally.ssim[condition] += made.ssim.get(condition, ())

    def _measure(self, made: Batch, tally: Tally) -> None:
        """What the authorized model still gets of the files, and which break what the list says."""
        name, model = next(iter(self.models.items()))
        seen, clean = (self._read(made.windows[which], which) for which in ("nte", "clean"))
        found = measures(model, self.keep, seen, clean)
        for measure, values in found.items():
            tally.kept[measure] += values
        answered = (tally.answers[name, condition] for condition in ("nte", "clean"))
        alike = [a == b for a, b in zip(*answered, strict=True)]
        said = "asked was" if self.asked else "the list says that it keeps"
        tally.problems += broken(self.keep, made.files, found, alike, said=said)

    @property
    def opens(self) -> bool:
        """Whether the authorized model is the one that was sealed, and reads what its copy would open."""
        return isinstance(self.copy, SealSecret) and not seal_of(next(iter(self.models.values())))

    def _read(self, windows: Tensor, condition: Condition) -> Tensor:
        """What the authorized model reads of windows: scrambled or sealed ones where it is a copy, and of
        sealed files what they hold where it is the model that was sealed."""
        if self.copy is None:
            return windows
        if self.opens:
            assert isinstance(self.copy, SealSecret)
            return self.copy.opened(windows) if condition == "nte" else self.copy.cleared(windows)
        return windows if condition == "nte" else self.copy.as_read(windows)

    def _disagreements(self, made: Batch) -> list[tuple[str, str]]:
        """Files whose re-read PSNR or front shift is not the one in the ledger, or whose seal does not
        hold."""
        found, released = [], made.windows["nte"]
        if isinstance(self.copy, SealSecret) and made.files:
            held = zip(made.files, self.copy.intact(released), strict=True)
            found = [
                (file, "it was changed after it was sealed") for file, good in held if not good
            ]
        if "clean" not in made.windows or not made.files:
            return found
        seen = clean = made.windows["clean"]
        decibels: Sequence[float] = made.psnr["nte"]
        if isinstance(self.copy, SealSecret):
            released, seen = self.copy.opened(released), self.copy.cleared(clean)
            decibels = psnr(released, clean).tolist()
        elif self.copy is not None:
            seen = self.copy.as_read(clean)
        shifts: list[float] = []
        if self.key is not None:
            shifts = self.key.front.relative_shift(released, seen).tolist()
        for index, file in enumerate(made.files):
            row = self.rows.get(file)
            if row is None:
                continue
            measured = decibels[index]
            if row.psnr is not None and abs(measured - row.psnr) > _DECIBEL:
                found.append(
                    (file, f"its PSNR is {measured:.3f} dB and {row.psnr:.3f} in the ledger")
                )
            elif shifts and row.front_shift is not None:
                gap = abs(shifts[index] - row.front_shift)
                if gap > _SHIFT * max(1e-3, row.front_shift):
                    reason = f"its front shift is {shifts[index]:.3g} and {row.front_shift:.3g}"
                    found.append((file, f"{reason} in the ledger"))
        return found


def answers(model: Model, pictures: Sequence[Any]) -> Int[Tensor, " batch"]:
    """A model's answer to each picture or sound, through its own preprocessing: a class, or its words."""
    return model.answers(model.preprocess(pictures))


def window_answers(
    model: Model, windows: Float[Tensor, "batch channel height width"]
) -> Int[Tensor, " batch"]:
    """A model's answer to each window of its own, in pixel units (formats beyond 8 bits)."""
    return model.answers(model.canvas.normalise(windows))
