"""Rows of Table 3 that hand over files: clean, encrypted, scrambled, noisy, recoded, unlearnable."""

import copy
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from catch11.attacks.adaptation import Sweep, forget, trained
from catch11.baselines import files, scrambling, unlearnable
from catch11.canvas.grid import GRIDS, psnr
from catch11.evaluation.gaussian import item_generator, noise_at
from catch11.evaluation.record import Record
from catch11.keys.key import build_key
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.frame import Recoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.studies.table3.rows import BYTES, SECONDS, Row, timed
from catch11.studies.table3.tasks import InPixels, Task
from catch11.studies.trial import DIGITS_RADIUS, ENERGY, SECRET, STRENGTH

UNTRAINED = ("blur", "resize", "bit-depth", "mean-patch", "blind-wiener")
TRAINED = ("fine-tune", "learned-front")
# Large nets: the filter, the pattern search and the training that did most on the digits.
FEWER = ("blur", "mean-patch", "blind-wiener", "fine-tune")
NOTHING = "nothing"
MEASURED = "that the authorized weights read it; that others do not is measured, not proved"
KNOWN_PAIRS = 3  # pictures that an attacker of scrambling knows in both forms


def clean(task: Task, judged: int) -> list[Record]:
    """The pictures as they are."""
    row = Row(task=task, method="clean files", guarantee=NOTHING, condition="clean")
    made, spent = timed(lambda: task.files(task.windows))
    sizes = [len(one) for one in made]
    return [
        row.authorized(task.windows),
        *row.rivals(task.windows),
        row.figure(SECONDS, spent / len(made), n=len(made)),
        row.figure(BYTES, sum(sizes) / len(sizes), n=len(sizes)),
    ]


def encrypted(task: Task, judged: int) -> list[Record]:
    """AES-256-GCM of the PNG files; the licensee has the key, decrypts and does what he likes."""
    row = Row(task=task, method="AES-256-GCM of the file", guarantee=files.PROTECTS)
    plain, key = task.files(task.windows), secrets.token_bytes(files.KEY_BYTES)
    made, spent = timed(lambda: [files.encrypt_file(one, key) for one in plain])
    back = [files.decrypt_file(one, key) for one in made]
    assert back == plain  # so the authorized model, with the key, reads clean files
    return [
        row.authorized(task.windows),
        row.reason(
            "rival",
            "without the key there is no picture to read; with it, all is read",
            shown="no picture",
        ),
        row.figure(SECONDS, spent / len(made), n=len(made)),
        row.figure(BYTES, sum(map(len, made)) / len(made), n=len(made)),
    ]


def scrambled(task: Task, judged: int) -> list[Record]:
    """One keyed permutation of every block; the licensee restores with the key."""
    row = Row(task=task, method="block scrambling", guarantee=scrambling.PROTECTS)
    size = 4 if task.name == "digits" else 16 if task.name == "photographs" else 8
    scramble = scrambling.BlockScramble(SECRET, size=size)
    made, spent = timed(lambda: scramble.scramble(task.windows))
    known = task.lessons[:KNOWN_PAIRS]
    order = scrambling.recover_order(known, scramble.scramble(known), size=size)
    restored = scrambling.reorder(made, order, size=size)
    attacked = [
        row.share(
            "attacked", name, task.hits(rival, restored), attack="known pairs",
            pairs=len(known),
        )
        for name, rival in task.rivals.items()
    ]  # fmt: skip
    stored = task.files(made)
    return [
        row.authorized(scramble.restore(made)),
        *row.rivals(made),
        *attacked,
        row.figure(SECONDS, spent / len(made), n=len(made)),
        row.figure(BYTES, sum(map(len, stored)) / len(stored), n=len(stored)),
    ]


def noisy(task: Task, judged: int) -> list[Record]:
    """Gaussian noise at the PSNR of the spectral release, picture by picture."""
    row = Row(task=task, method="Gaussian noise", guarantee=NOTHING, condition="gaussian")
    recoder = recoder_of(task, "spectral")
    made, spent = _noise(task.windows, recoder, "judged")
    lessons = _noise(task.lessons, recoder, "lesson")[0] if _teaches(task) else task.lessons
    return _released(row, made, tuple(range(len(made))), lessons, spent, judged=judged)


def recoded(task: Task, judged: int, method: str) -> list[Record]:
    """Non-transferable examples, spectral or deep; withheld ones are left out and counted."""
    row = Row(task=task, method=f"NTE, {method}", guarantee=MEASURED, condition="nte")
    recoder = recoder_of(task, method)
    (made, kept), spent = timed(lambda: recode(recoder, task.windows))
    whole = task.lessons.clone()
    if _teaches(task) and judged:
        lessons, taught = recode(recoder, task.lessons)
        whole[list(taught)] = lessons  # a withheld lesson stays clean: that favours the attacker
    return _released(row, made, kept, whole, spent, judged=judged)


def poisoned(task: Task, judged: int) -> list[Record]:
    """Error-minimising noise on what a thief would train on; finished models read it as before."""
    row = Row(task=task, method="unlearnable (by class, 16/255)", guarantee=unlearnable.PROTECTS)
    surrogate = InPixels(_fresh(task), task.authorized.canvas.normalise)
    settings = unlearnable.ErrorMinimising(radius=16.0, per="class")
    made, spent = timed(
        lambda: unlearnable.unlearnable(
            task.lessons, task.lesson_labels, surrogate, settings,
            generator=torch.Generator().manual_seed(0),
        )
    )  # fmt: skip
    seen = replace(row, task=replace(task, windows=task.lessons, labels=task.lesson_labels))
    stored = task.files(made[:judged])
    return [
        seen.authorized(made[:judged]),
        *seen.rivals(made[:judged]),
        *_taught(row, made, "trained"),
        *_taught(row, task.lessons, "fact"),
        row.figure(SECONDS, spent / len(made), n=len(made)),
        row.figure(BYTES, sum(map(len, stored)) / len(stored), n=len(stored)),
    ]


def recoder_of(task: Task, method: str) -> Recoder:
    """The recoder of this project, with the settings its other studies use for the family."""
    patch = task.authorized.front().tiled and task.name != "digits"
    energy = ENERGY[task.name] if patch else None
    key = build_key(task.authorized, energy=energy, secret=SECRET)
    if method == "spectral":
        return SpectralRecoder(key, psnr=STRENGTH[task.name])
    radius: float | Literal["auto"] = DIGITS_RADIUS if task.name == "digits" else "auto"
    return DeepRecoder(task.authorized, key, radius=radius)


def recode(recoder: Recoder, windows: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """Released windows and which of the inputs they are of."""
    made = [recoder(part) for part in windows.split(recoder.batch)]
    reasons = [reason for part in made for reason in part.reasons]
    kept = tuple(place for place, reason in enumerate(reasons) if reason is None)
    return torch.cat([part.images for part in made])[list(kept)], kept


def _released(
    row: Row, made: Tensor, kept: Sequence[int], lessons: Tensor, spent: float, *, judged: int
) -> list[Record]:
    """The records of released windows; the task is cut to what was not withheld."""
    task, index = row.task, list(kept)
    cut = replace(task, windows=task.windows[index], labels=task.labels[index])
    row = replace(row, task=cut)
    names = UNTRAINED + TRAINED if task.name == "digits" else FEWER[: 4 if _teaches(task) else 3]
    decibels = psnr(made, cut.windows)
    stored = cut.files(made)
    names = names if judged else ()
    facts = {"withheld": len(task.windows) - len(kept)}
    return [
        row.authorized(made, **facts),
        *row.rivals(made),
        *row.attacked(made, lessons, names, judged=judged),
        row.figure("PSNR, dB", float(decibels.mean()), n=len(made), quantity="fact"),
        row.figure(SECONDS, spent / max(len(task.windows), 1), n=len(made)),
        row.figure(BYTES, sum(map(len, stored)) / len(stored), n=len(stored)),
    ]


def _teaches(task: Task) -> bool:
    """Whether attackers of this task train: a few photographs of 1,000 classes teach nothing."""
    return task.name != "photographs"


def _noise(windows: Tensor, recoder: Recoder, name: str) -> tuple[Tensor, float]:
    """Noise as strong as the recoder's, and the CPU seconds of the noise alone."""
    made = [recoder(part) for part in windows.split(recoder.batch)]
    strength = tuple(value for part in made for value in part.psnr)
    generators = tuple(item_generator(f"{name} {i}", seed=0) for i in range(len(windows)))
    return timed(lambda: noise_at(windows, strength, grid=GRIDS["png8"], generators=generators))


def _taught(row: Row, lessons: Tensor, quantity: str) -> list[Record]:
    """Every trainable rival trained from scratch on these, judged on clean pictures."""
    task, made = row.task, []
    sweep = Sweep(starts=("scratch",), rates=(2e-3,), epochs=(5, 15), batch=64)
    for name, rival in task.rivals.items():
        if rival.module is None:
            continue
        generator = torch.Generator().manual_seed(1)
        for setting, reader, _ in trained(
            rival, lessons, task.lesson_labels, sweep, generator=generator
        ):
            with torch.no_grad():
                given = torch.cat([reader(part).argmax(1) for part in task.windows.split(64)])
            hits = tuple((given == task.labels).tolist())
            what = f"{'unlearnable' if quantity == 'trained' else 'clean'}: {setting}"
            made.append(
                row.share("trained" if quantity == "trained" else "fact", name, hits, setting=what)
            )
    return made


def _fresh(task: Task) -> torch.nn.Module:
    """An untrained net of the strongest rival's architecture."""
    rival = list(task.rivals.values())[-1]
    assert rival.module is not None
    net = copy.deepcopy(rival.module)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        forget(net)
    return net
