"""Table 4: vision-language models on MMBench, either model authorized, through files and stock pipelines.

At a model hub: the paper's families on MMBench's own questions. Everywhere else: tiny models of the
same classes with random weights on generated questions. Those are untrained, so that their accuracy
is chance and says nothing; what they show is agreement: the same generated words or not.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from PIL import Image
from rich.console import RenderableType

from catch11.cells import Cell, Value
from catch11.conditions import find_sources, read_batch
from catch11.data import mmbench
from catch11.data.mmbench import Bench, Question, Reply
from catch11.errors import InvalidArgument
from catch11.key import Key, build_key
from catch11.metrics import Interval, accuracy
from catch11.models.frame import Model, load_model
from catch11.models.vision_language import ask, with_prompt
from catch11.recode.deep import DeepRecoder
from catch11.recode.frame import Recoder
from catch11.recode.spectral import SpectralRecoder
from catch11.record import Condition, Record
from catch11.release import read_release, release
from catch11.studies.frame import Scale, Study
from catch11.studies.place import Place, Unavailable
from catch11.studies.tables import model as shown_model
from catch11.studies.tables import number, pivot, setting
from catch11.studies.tiny_vlm import Family, write_bench, write_tiny
from catch11.trust import role_of

PAPER: Mapping[Scale, Mapping[str, str]] = {
    "quick": {
        "InternVL3-1B": "hf:OpenGVLab/InternVL3-1B-hf",
        "Qwen2.5-VL-3B": "hf:Qwen/Qwen2.5-VL-3B-Instruct",
    },
    "full": {
        "InternVL3-8B": "hf:OpenGVLab/InternVL3-8B-hf",
        "Qwen2.5-VL-7B": "hf:Qwen/Qwen2.5-VL-7B-Instruct",
    },
}
# Name: family and seed. A twin has the same classes and other weights.
TINY: Mapping[str, tuple[Family, int]] = {
    "tiny InternVL": ("internvl", 0), "tiny Qwen2.5-VL": ("qwen2_5_vl", 0),
    "tiny InternVL twin": ("internvl", 1), "tiny Qwen2.5-VL twin": ("qwen2_5_vl", 1),
}  # fmt: skip
TINY_SIZE = "?size=56x56"
QUESTIONS = {"quick": 12, "full": 60}
# What else a prompt may hold, on tiny models: name, settings of the spec, families, methods. A film has
# two frames; deep recoding matches stills, so each frame of its film is shown twice, as a still is.
LAYOUTS: Mapping[str, tuple[str, tuple[Family, ...], tuple[str, ...]]] = {
    "four tiles": ("?size=112x112&stack=0", ("internvl",), ("deep",)),
    "two pictures": (TINY_SIZE, ("internvl", "qwen2_5_vl"), ("spectral", "deep")),
    "film": (f"{TINY_SIZE}&video=1", ("qwen2_5_vl",), ("spectral",)),
    "film, frames twice": (TINY_SIZE, ("qwen2_5_vl",), ("deep",)),
}
ONE = "one picture"
FILE = "MMBench_DEV_EN.tsv"
WORDS = 8
STEPS = 1500
SECRET = bytes(range(32))  # of a study, so that it repeats; a release draws its own
# deep, asked: the prompt is known when the picture is recoded, and its words are held to a margin.
METHODS = ("spectral", "deep", "deep, asked")
_CONDITIONS: tuple[Condition, ...] = ("clean", "control", "gaussian", "nte")
_NAMES = {"clean": "clean", "control": "zero noise", "gaussian": "Gaussian", "nte": "released"}
CAPTION = (
    "agreement: the same generated words as to the clean picture on the authorized canvas. accuracy: "
    "MMBench letters, options in their order; AR … RR its abilities. 95 % intervals: Wilson"
)
UNTRAINED = (
    "THE MODELS ARE UNTRAINED (random weights): accuracy is chance and means nothing here; agreement "
    "is what counts. "
)


def cells(scale: Scale, place: Place) -> Sequence[Cell]:
    """Either family authorized, either method."""
    hub = place.config == "paper"
    owners = tuple(PAPER[scale]) if hub else tuple(TINY)[:2]
    rows = []
    for owner in owners:
        for method in METHODS:
            facts: dict[str, Value] = {"authorized": owner, "method": method, "scale": scale}
            facts |= {"questions": (0 if scale == "full" else 200) if hub else QUESTIONS[scale]}
            facts |= {"psnr": 15.0 if hub else 10.0, "layout": ONE}
            rows.append(Cell(name=f"{owner}, {method}", settings=facts))
    return rows if hub else [*rows, *_layouts(scale)]


def _layouts(scale: Scale) -> list[Cell]:
    """Tiny models on prompts of other shapes."""
    return [
        Cell(
            name=f"{owner}, {layout}, {method}",
            settings={
                "authorized": owner, "method": method, "scale": scale, "psnr": 10.0,
                "questions": QUESTIONS[scale], "layout": layout,
            },
        )
        for layout, (_, families, methods) in LAYOUTS.items()
        for owner, (family, seed) in TINY.items()
        for method in methods
        if family in families and not seed
    ]  # fmt: skip


def work(cell: Cell, place: Place) -> Sequence[Record]:
    """Release the questions' pictures for one model; every model answers on every condition."""
    facts = cell.settings
    scale: Scale = "full" if facts["scale"] == "full" else "quick"
    layout = str(facts["layout"])
    _bench(place, int(facts["questions"] or 0))  # before the models, which take longer to miss
    models = _models(place, scale, layout)
    owner = models[str(facts["authorized"])]
    made = _once(
        place,
        owner,
        str(facts["method"]),
        float(facts["psnr"] or 0.0),
        int(facts["questions"] or 0),
    )
    return [
        record
        for name, one in models.items()
        for record in _judged(name, one, owner, made, layout, trained=place.config == "paper")
    ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Made:
    """What was released: its questions, their pictures in each condition, mean PSNR, withheld."""

    questions: tuple[Question, ...]
    pictures: Mapping[Condition, Sequence[Image.Image]]
    psnr: float | None
    withheld: int


@lru_cache(maxsize=8)
def _once(place: Place, owner: Model, method: str, psnr: float, questions: int) -> _Made:
    """One release serves every prompt that its pictures stand in."""
    bench, key = _bench(place, questions), build_key(owner, secret=SECRET)
    with tempfile.TemporaryDirectory(prefix="catch11-table4-") as folder:
        if method != "deep, asked":
            return _release(bench, _recoder(owner, key, method, psnr), Path(folder))
        parts = []
        for number, one in enumerate(bench.questions):
            asked = with_prompt(owner, one.prompt, tokens=WORDS)
            recoder = _recoder(asked, key, method, psnr)
            part = replace(bench, questions=(one,))
            parts.append(_release(part, recoder, Path(folder) / str(number)))
    return _joined(parts)


def _release(bench: Bench, recoder: Recoder, folder: Path) -> _Made:
    source = mmbench.write_pictures(bench, folder / "pictures")
    summary = release(source, folder / "released", recoder)
    held = read_release(folder / "released")
    if not held.entries:
        nothing: dict[Condition, Sequence[Image.Image]] = dict.fromkeys(_CONDITIONS, ())
        return _Made(questions=(), pictures=nothing, psnr=None, withheld=summary.withheld)
    sources = find_sources(held, source, {})
    batch, problems = read_batch(held, held.entries, sources, seed=0)
    assert not problems, problems
    named = {f"{mmbench.file_name(question)}.png": question for question in bench.questions}
    return _Made(
        questions=tuple(named[file] for file in batch.files),
        pictures=batch.pictures,
        psnr=sum(batch.psnr["nte"]) / len(batch.files),
        withheld=summary.withheld,
    )


def _joined(parts: Sequence[_Made]) -> _Made:
    """Releases of one picture each as one."""
    kept = [part for part in parts if part.questions]
    strengths = [part.psnr for part in kept if part.psnr is not None]
    return _Made(
        questions=tuple(part.questions[0] for part in kept),
        pictures={name: [part.pictures[name][0] for part in kept] for name in _CONDITIONS},
        psnr=sum(strengths) / len(strengths) if strengths else None,
        withheld=sum(part.withheld for part in parts),
    )


def _recoder(owner: Model, key: Key, method: str, psnr: float) -> Recoder:
    if method == "spectral":
        return SpectralRecoder(key, psnr=psnr)
    # The vision side's states first: behind its narrow projection a search gets stuck.
    return DeepRecoder(
        owner, key, at="tower.vision,tower", agreement="match<0.03",
        margin=0.05, radius=128.0, steps=STEPS,
    )  # fmt: skip


def _judged(
    name: str, one: Model, owner: Model, made: _Made, layout: str, *, trained: bool
) -> list[Record]:
    said: dict[Condition, tuple[Reply, ...]] = {}
    for condition in _CONDITIONS:
        names = [question.index for question in made.questions]
        shown = [_shown_of(made.pictures[condition], place, layout) for place in range(len(names))]
        pictures = dict(zip(names, shown, strict=True))

        def say(question: Question, held: Mapping[str, list[Image.Image]] = pictures) -> str:
            film = layout.startswith("film")
            return ask(one, held[question.index], question.prompt, tokens=WORDS, video=film)

        said[condition] = mmbench.run_mmbench(made.questions, say)
    records = []
    for condition, replies in said.items():
        same = [a.text == b.text for a, b in zip(replies, said["control"], strict=True)]
        rows = {"agreement": (accuracy(same), len(same))}
        found = mmbench.scores(replies) if replies else {}
        rows |= {f"accuracy {k}": v for k, v in found.items()}
        for metric, (share, n) in rows.items():
            records.append(_record(name, one, owner, made, condition, metric, share, n, trained))
    return records


def _shown_of(pictures: Sequence[Image.Image], place: int, layout: str) -> list[Image.Image]:
    """What a prompt shows: a picture, or it and the one behind it."""
    if layout in (ONE, "four tiles"):
        return [pictures[place]]
    pair = [pictures[place], pictures[(place + 1) % len(pictures)]]
    return [frame for frame in pair for _ in range(2)] if layout.endswith("twice") else pair


def _record(
    name: str, one: Model, owner: Model, made: _Made, condition: Condition, metric: str,
    share: Interval, n: int, trained: bool,
) -> Record:  # fmt: skip
    return Record(
        model=name,
        role="authorized" if one is owner else role_of(owner, one),
        condition=condition,
        metric=metric,
        value=share.estimate,
        low=share.low,
        high=share.high,
        n=n,
        psnr=made.psnr if condition in ("nte", "gaussian") else None,
        model_fingerprint=one.fingerprint,
        settings={
            "trained": trained, "withheld": made.withheld, "chance": mmbench.chance(made.questions)
        },
    )  # fmt: skip


def view(records: Sequence[Record]) -> RenderableType:
    """A row a model, a column a metric on clean or released pictures; of untrained models agreement
    alone."""
    trained = any(record.settings.get("trained") for record in records)
    return pivot(
        [record for record in records if _shown(record, trained=trained)],
        row={
            "authorized": setting("authorized"),
            "method": _method,
            "model": shown_model,
        },
        column=lambda record: (
            f"{record.metric.removeprefix('accuracy ')}, {_NAMES[record.condition]}"
        ),
        cell=_cell,
        caption=("" if trained else UNTRAINED) + CAPTION,
    )


def _method(record: Record) -> str:
    withheld = record.settings.get("withheld")
    layout = record.settings.get("layout", ONE)
    name = f"{record.settings.get('method')}{'' if layout == ONE else f', {layout}'}"
    return f"{name}{f', {withheld} withheld' if withheld else ''}"


def _shown(record: Record, *, trained: bool) -> bool:
    if record.metric == "agreement":
        return record.condition in ("gaussian", "nte")
    whole = record.metric.endswith(mmbench.OVERALL)
    return trained and (whole or record.condition in ("clean", "nte"))


def _cell(record: Record) -> str:
    ends = (number(x, share=True, digits=2) for x in (record.value, record.low, record.high))
    value, low, high = ends
    whole = record.metric == "agreement" or record.metric.endswith(mmbench.OVERALL)
    return f"{value} [{low}, {high}]" if whole else value


@lru_cache(maxsize=2)
def _bench(place: Place, count: int) -> Bench:
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


def _models(place: Place, scale: Scale, layout: str) -> dict[str, Model]:
    if place.config == "paper":
        return {name: _loaded(spec, place.device) for name, spec in PAPER[scale].items()}
    if layout == ONE:
        return {name: _tiny(*kind, TINY_SIZE) for name, kind in TINY.items()}
    size, families, _ = LAYOUTS[layout]
    # A film is no prompt for the other family, nor are tiles: the twin is the rival there.
    return {name: _tiny(*kind, size) for name, kind in TINY.items() if kind[0] in families}


@lru_cache(maxsize=4)
def _loaded(spec: str, device: str) -> Model:
    return load_model(spec, device=device)


@lru_cache(maxsize=8)
def _tiny(family: Family, seed: int, query: str) -> Model:
    if family not in ("internvl", "qwen2_5_vl"):
        raise InvalidArgument("family", expected="internvl or qwen2_5_vl", found=family)
    with tempfile.TemporaryDirectory(prefix="catch11-table4-") as folder:
        write_tiny(Path(folder) / "model", family, seed=seed)
        return load_model(f"hf:{folder}/model{query}")


STUDY = Study(
    name="table4",
    title="Vision-language models: who reads whose pictures",
    source="paper, Table 4",
    cells=cells,
    work=work,
    view=view,
)
