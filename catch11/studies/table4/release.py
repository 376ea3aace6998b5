"""What Table 4 shows the models: MMBench's questions, their pictures as released, and the prompt's layout."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from PIL import Image

from catch11.evaluation.conditions import find_sources, read_batch
from catch11.evaluation.record import Condition
from catch11.keys.key import Key, build_key
from catch11.models.frame import Model
from catch11.models.vlm.load import with_prompt
from catch11.recoding.deep.recoder import DeepRecoder
from catch11.recoding.frame import Recoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release
from catch11.releases.read import read_release
from catch11.studies.nets.tiny_vlm import write_bench
from catch11.studies.place import Place, Unavailable
from catch11.studies.tasks import mmbench
from catch11.studies.tasks.mmbench import Bench, Question
from catch11.studies.trial import SECRET

FILE = "MMBench_DEV_EN.tsv"
WORDS = 8  # that a model says, and that a recoder which knows the prompt holds to a margin
ONE = "one picture"
CONDITIONS: tuple[Condition, ...] = ("clean", "control", "gaussian", "nte")


@lru_cache(maxsize=2)
def bench_of(place: Place, count: int) -> Bench:
    """MMBench's development questions, or generated ones; the first `count`, abilities in turn."""
    if place.config == "paper":
        if place.assets is None or not (place.assets / "mmbench" / FILE).is_file():
            raise Unavailable(
                f"mmbench/{FILE} in the folder of assets",
                "download it from OpenCompass, put it there and give --assets DIR",
            )
        held = mmbench.read_mmbench(place.assets / "mmbench" / FILE)
    else:
        with tempfile.TemporaryDirectory(prefix="catch11-table4-") as folder:
            held = mmbench.read_mmbench(write_bench(Path(folder) / "tiny.tsv", count=count))
    if not count:
        return held
    by_ability: dict[str, list[Question]] = {}
    for question in held.questions:
        by_ability.setdefault(question.ability, []).append(question)
    turns = max(map(len, by_ability.values()))
    mixed = [q[i] for i in range(turns) for q in by_ability.values() if i < len(q)]
    return Bench(questions=tuple(mixed[:count]), pictures=held.pictures, problems=held.problems)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Made:
    """What was released: its questions, their pictures in each condition, mean PSNR, withheld."""

    questions: tuple[Question, ...]
    pictures: Mapping[Condition, Sequence[Image.Image]]
    psnr: float | None
    withheld: int


@lru_cache(maxsize=8)
def made_once(
    place: Place, owner: Model, method: str, psnr: float, questions: int, steps: int
) -> Made:
    """One release serves every prompt that its pictures stand in."""
    bench, key = bench_of(place, questions), build_key(owner, secret=SECRET)
    with tempfile.TemporaryDirectory(prefix="catch11-table4-") as folder:
        if method != "deep, asked":
            return _release(bench, _recoder(owner, key, method, psnr, steps), Path(folder))
        parts = []
        for number, one in enumerate(bench.questions):
            asked = with_prompt(owner, one.prompt, tokens=WORDS)
            recoder = _recoder(asked, key, method, psnr, steps)
            part = replace(bench, questions=(one,))
            parts.append(_release(part, recoder, Path(folder) / str(number)))
    return _joined(parts)


def _release(bench: Bench, recoder: Recoder, folder: Path) -> Made:
    source = mmbench.write_pictures(bench, folder / "pictures")
    summary = release(source, folder / "released", recoder)
    held = read_release(folder / "released")
    if not held.entries:
        nothing: dict[Condition, Sequence[Image.Image]] = dict.fromkeys(CONDITIONS, ())
        return Made(questions=(), pictures=nothing, psnr=None, withheld=summary.withheld)
    sources = find_sources(held, source, {})
    batch, problems = read_batch(held, held.entries, sources, seed=0)
    assert not problems, problems
    named = {f"{mmbench.file_name(question)}.png": question for question in bench.questions}
    return Made(
        questions=tuple(named[file] for file in batch.files),
        pictures=batch.pictures,
        psnr=sum(batch.psnr["nte"]) / len(batch.files),
        withheld=summary.withheld,
    )


def _joined(parts: Sequence[Made]) -> Made:
    """Releases of one picture each as one."""
    kept = [part for part in parts if part.questions]
    strengths = [part.psnr for part in kept if part.psnr is not None]
    return Made(
        questions=tuple(part.questions[0] for part in kept),
        pictures={name: [part.pictures[name][0] for part in kept] for name in CONDITIONS},
        psnr=sum(strengths) / len(strengths) if strengths else None,
        withheld=sum(part.withheld for part in parts),
    )


def _recoder(owner: Model, key: Key, method: str, psnr: float, steps: int) -> Recoder:
    if method == "spectral":
        return SpectralRecoder(key, psnr=psnr)
    # The vision side's states first: behind its narrow projection a search gets stuck.
    return DeepRecoder(
        owner, key, at="tower.vision,tower", agreement="match<0.02",
        margin=0.05, radius=128.0, steps=steps,
    )  # fmt: skip


def shown_of(pictures: Sequence[Image.Image], place: int, layout: str) -> list[Image.Image]:
    """What a prompt shows: a picture, or it and the one behind it."""
    if layout in (ONE, "four tiles"):
        return [pictures[place]]
    pair = [pictures[place], pictures[(place + 1) % len(pictures)]]
    return [frame for frame in pair for _ in range(2)] if layout.endswith("twice") else pair
