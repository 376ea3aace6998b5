"""Table 4: vision-language models on MMBench, either model authorized, through files and stock pipelines.

At a model hub: the paper's families on MMBench's own questions. Everywhere else: tiny models of the
same classes with random weights on generated questions. Those are untrained, so that their accuracy
is chance and says nothing; what they show is agreement: the same generated words or not.
"""

import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image
from rich.console import RenderableType

from catch11.errors import InvalidArgument
from catch11.evaluation.cells import Cell, Value
from catch11.evaluation.interval import Interval
from catch11.evaluation.metrics import accuracy
from catch11.evaluation.record import Condition, Record
from catch11.evaluation.roles import role_of
from catch11.models.frame import Model
from catch11.models.load import load_picture_model
from catch11.models.vlm.load import ask
from catch11.studies.frame import Scale, Study
from catch11.studies.nets.tiny_vlm import Family, write_tiny
from catch11.studies.place import Place
from catch11.studies.table4.release import (
    CONDITIONS,
    ONE,
    WORDS,
    Made,
    bench_of,
    made_once,
    shown_of,
)
from catch11.studies.tables import model as shown_model
from catch11.studies.tables import number, pivot, setting
from catch11.studies.tasks import mmbench
from catch11.studies.tasks.mmbench import Question, Reply

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
ASKED = {"quick": 12, "full": 24}  # deep, asked: a search of a thousand rounds a question
FEW = {"quick": 4, "full": 16}  # to prompts of other shapes
# What else a prompt may hold, on tiny models: name, settings of the spec, families, methods. A film has
# two frames; deep recoding matches stills, so each frame of its film is shown twice, as a still is.
LAYOUTS: Mapping[str, tuple[str, tuple[Family, ...], tuple[str, ...]]] = {
    "four tiles": ("?size=112x112&stack=0", ("internvl",), ("deep",)),
    "two pictures": (TINY_SIZE, ("internvl", "qwen2_5_vl"), ("spectral", "deep")),
    "film": (f"{TINY_SIZE}&video=1", ("qwen2_5_vl",), ("spectral",)),
    "film, frames twice": (TINY_SIZE, ("qwen2_5_vl",), ("deep",)),
}
STEPS = 300
# deep, asked: the prompt is known when the picture is recoded, and its words are held to a margin.
ASKING = "deep, asked"
METHODS = ("spectral", "deep", ASKING)
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
            some = QUESTIONS[scale] if method != ASKING else min(ASKED[scale], QUESTIONS[scale])
            facts |= {"questions": (0 if scale == "full" else 200) if hub else some}
            facts |= {"psnr": 15.0 if hub else 10.0, "layout": ONE}
            rows.append(Cell(name=f"{owner}, {method}", settings=facts))
    return rows if hub else [*rows, *_layouts(scale)]


def _layouts(scale: Scale) -> list[Cell]:
    """Tiny models on prompts of other shapes; films where torchvision, which cuts them, is there."""
    films = find_spec("torchvision") is not None
    return [
        Cell(
            name=f"{owner}, {layout}, {method}",
            settings={
                "authorized": owner, "method": method, "scale": scale, "psnr": 10.0,
                "questions": min(FEW[scale], QUESTIONS[scale]), "layout": layout,
            },
        )
        for layout, (_, families, methods) in LAYOUTS.items()
        for owner, (family, seed) in TINY.items()
        for method in methods
        if family in families and not seed and (films or not layout.startswith("film"))
    ]  # fmt: skip


def work(cell: Cell, place: Place) -> Sequence[Record]:
    """Release the questions' pictures for one model; every model answers on every condition."""
    facts = cell.settings
    scale: Scale = "full" if facts["scale"] == "full" else "quick"
    layout = str(facts["layout"])
    bench_of(place, int(facts["questions"] or 0))  # before the models, which take longer to miss
    models = _models(place, scale, layout)
    owner = models[str(facts["authorized"])]
    made = made_once(
        place,
        owner,
        str(facts["method"]),
        float(facts["psnr"] or 0.0),
        int(facts["questions"] or 0),
        STEPS,
    )
    return [
        record
        for name, one in models.items()
        for record in _judged(name, one, owner, made, layout, trained=place.config == "paper")
    ]


def _judged(
    name: str, one: Model, owner: Model, made: Made, layout: str, *, trained: bool
) -> list[Record]:
    said: dict[Condition, tuple[Reply, ...]] = {}
    for condition in CONDITIONS:
        names = [question.index for question in made.questions]
        shown = [shown_of(made.pictures[condition], place, layout) for place in range(len(names))]
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


def _record(
    name: str, one: Model, owner: Model, made: Made, condition: Condition, metric: str,
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
    return load_picture_model(spec, device=device)


@lru_cache(maxsize=8)
def _tiny(family: Family, seed: int, query: str) -> Model:
    if family not in ("internvl", "qwen2_5_vl"):
        raise InvalidArgument("family", expected="internvl or qwen2_5_vl", found=family)
    with tempfile.TemporaryDirectory(prefix="catch11-table4-") as folder:
        write_tiny(Path(folder) / "model", family, seed=seed)
        return load_picture_model(f"hf:{folder}/model{query}")


STUDY = Study(
    name="table4",
    title="Vision-language models: who reads whose pictures",
    source="paper, Table 4",
    cells=cells,
    work=work,
    view=view,
    minutes=22,
)
