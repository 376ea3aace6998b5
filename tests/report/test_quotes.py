"""Sentences that quote figures of docs/records, filled in from the records: when the text or the
records change apart, the sentence is not found."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from catch11.evaluation.groups import clean_of
from catch11.evaluation.record import Record
from catch11.report import load_records
from catch11.report.card.threats import knows
from catch11.report.card.words import share

RECORDS = Path(__file__).parents[2] / "docs" / "records"
MOBILE, RESNET = "mobilenet_v2_1.0_224", "cifar10_resnet32"


@cache
def held(name: str) -> tuple[Record, ...]:
    """The accuracies of a file."""
    return tuple(r for r in load_records([RECORDS / f"{name}.jsonl"]) if r.metric == "accuracy")


def one(name: str, model: str, what: str) -> Record:
    """A model's record under a condition or after an attack."""
    (found,) = (r for r in held(name) if r.model == model and what in (r.condition, r.attack))
    return found


def tried(name: str, **limits: int) -> list[Record]:
    """What rivals got by attacks; n: of that many files."""
    return [
        r for r in held(name)
        if r.condition == "attack" and r.attack != "none" and r.role in ("ta", "ga")
        and limits.get("n", r.n) == r.n
    ]  # fmt: skip


def best(records: Sequence[Record]) -> Record:
    return max(records, key=lambda r: r.value)


def blind(name: str, model: str) -> Record:
    """The best of what needs the released files and public pictures alone."""
    return best([r for r in tried(name) if knows(r) == "public pictures" and r.model == model])


def v(record: Record) -> str:
    return share(record.value)


def i(record: Record) -> str:
    return f"{v(record)} [{share(record.low)}, {share(record.high)}]"


def attacks(name: str) -> int:
    return len({r.attack for r in tried(name)})


def clean(record: Record, name: str) -> str:
    found = clean_of(record, held(name))
    assert found is not None
    return v(found)


def spectral() -> str:
    name = "spectral-deit-tiny"
    (own,) = (r for r in held(name) if r.role == "authorized" and r.condition == "nte")
    wiener, released = one(name, MOBILE, "blind-wiener"), one(name, MOBILE, "nte")
    probe, front = one(name, MOBILE, "probe"), one(name, MOBILE, "project-inpaint")
    assert wiener == blind(name, MOBILE)
    assert str(probe.settings["setting"]).startswith("8 queries")
    return (
        f"On {own.n} photographs released for DeiT-tiny (it keeps {v(own)} of {clean(own, name)}) "
        f"MobileNetV2 falls from {clean(released, name)} to {v(released)}; a Wiener filter made "
        f"from the released files and {wiener.settings['public']} public pictures brings it back "
        f"to {i(wiener)}, knowing the first layer to {i(front)}, eight queries to the recoder to "
        f"{v(probe)}."
    )


def convolutions() -> str:
    found = blind("spectral-resnet20", RESNET)
    whole = clean(found, "spectral-resnet20")
    return (
        f"the blind filter gives back everything (ResNet-32 {v(found)} of {whole}, "
        f"{found.n} thumbnails)"
    )


def deep() -> str:
    name = "deep-deit-tiny"
    bm3d = best([r for r in tried(name) if r.attack == "bm3d"])
    top = best(tried(name))
    assert {r.n for r in tried(name) if r.attack != "bm3d"} == {top.n}
    assert max(i(r) for r in tried(name, n=top.n)) == i(top)
    labels = max(int(r.settings["training"]) for r in tried(name))
    before, after = (one("spectral-deit-tiny", MOBILE, what) for what in ("nte", "fine-tune"))
    assert "200 labelled" in str(after.settings["setting"])
    return (
        f"No attack of the suite lifted a rival above {i(top)}: {attacks(name)} attacks on {top.n} "
        f"photographs released for DeiT-tiny (BM3D on {bm3d.n}, {i(bm3d)}), with up to {labels} "
        f"labels, pairs or second releases where they help. {labels} labels over 1,000 classes are "
        f"few: as many files of the spectral release take MobileNetV2 from {v(before)} to "
        f"{v(after)}, and what as many clean pictures teach was not measured."
    )


def thumbnails() -> str:
    name = "deep-resnet20"
    top = best(tried(name))
    assert top.attack == "extrapolate"  # a second strength of each picture
    return (
        f"Of {top.n} thumbnails released for ResNet-20 the best of {attacks(name)} got {i(top)} "
        "(chance .10), and needs a second strength of each picture."
    )


def same_architecture() -> str:
    name = "deep-resnet20"
    anew = [r for r in tried(name) if r.model == "resnet20-twin"]
    assert {r.role for r in anew} == {"ta"}
    sibling = one(name, "resnet20-sibling", "nte")
    return (
        f"ResNet-20 trained anew gets at most {i(best(anew))} by {len(anew)} of them, while a "
        f"sibling, fine-tuned from the authorized weights, reads {i(sibling)} as they are."
    )


def colluders() -> str:
    weak, strong = (one(f"{kind}-deit-tiny", MOBILE, "collude") for kind in ("spectral", "deep"))
    whole = clean(weak, "spectral-deit-tiny")
    return (
        f"the one for SqueezeNet gives MobileNetV2 {i(weak)} of {whole}; two deep ones give "
        f"{i(strong)}."
    )


def as_they_are() -> str:
    released = one("deep-resnet20", RESNET, "nte")
    return f"ResNet-32 and a ResNet-20 trained anew read them at {v(released)},"


def row_spectral() -> str:
    found = blind("spectral-deit-tiny", MOBILE)
    whole = clean(found, "spectral-deit-tiny")
    return f"MobileNetV2 back to {v(found)} of {whole} by a blind filter, all of it knowing the first layer ({found.n} files)"  # fmt: skip


def row_convolutions() -> str:
    found = blind("spectral-resnet20", RESNET)
    whole = clean(found, "spectral-resnet20")
    return f"ResNet-32 back to all of it ({v(found)} of {whole}) by a blind filter ({found.n} files)"  # fmt: skip


def row_deep() -> str:
    name = "deep-deit-tiny"
    counts = sorted({r.n for r in tried(name)})
    labels = max(int(r.settings["training"]) for r in tried(name))
    return (
        f"no attack of the suite lifts a rival above {v(best(tried(name)))} ({attacks(name)} "
        f"attacks, {counts[0]} to {counts[-1]} files, at most {labels} labels or pairs)"
    )


QUOTES: list[tuple[str, Callable[[], str]]] = [
    ("README.md", spectral),
    ("README.md", convolutions),
    ("README.md", deep),
    ("README.md", thumbnails),
    ("README.md", as_they_are),
    ("README.md", same_architecture),
    ("README.md", colluders),
    ("docs/results.md", row_spectral),
    ("docs/results.md", row_convolutions),
    ("docs/results.md", row_deep),
]


@pytest.mark.parametrize(("page", "quote"), QUOTES, ids=[q.__name__ for _, q in QUOTES])
def test_what_a_page_quotes_stands_in_the_records(
    page: str, quote: Callable[[], str], root: Path
) -> None:
    text = re.sub(r"\s+", " ", (root / page).read_text(encoding="utf-8"))
    assert quote() in text


@pytest.mark.parametrize("name", ["report-wide.png", "report-phone.png"])
def test_the_pictures_of_the_report_show_all_records(name: str, root: Path) -> None:
    """Whoever takes them anew writes into the file how many measurements the page names."""
    with Image.open(root / "docs" / name) as picture:
        assert picture.info["measurements"] == str(len(load_records(RECORDS.glob("*.jsonl"))))
