"""Numbers in prose, filled in from records: `… gets <!-- n: FILE WHO WHAT -->.58 [.48, .67]<!-- /n -->`.

FILE: the name of a file of records. WHO: authorized, ta, sibling, ga, `rival` (ta or ga), or how a
model's name begins. WHAT: a condition, an attack, `attack` (any), or `knows:public+labels`, every
attack that holds these and the released files. Of the accuracies that match, the best counts, which
favours the attacker. A fourth word says what of it is shown: `interval` unless given, `share`, `n`,
`clean` (the same model's clean score), `attack` or `model`. `<!-- n: FILE attacks -->` counts them.
Of a study: `<!-- n: keep thumbnails answer same answer -->`, the family, the keep, and the row's label.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from catch11.errors import InvalidArgument
from catch11.evaluation.groups import clean_of
from catch11.evaluation.record import Record
from catch11.report.card.words import share
from catch11.report.studies import found as found_in
from catch11.report.words import interval

MARK = re.compile(r"(?<=<!-- n: )([^>]+?)( -->)(.*?)(?=<!-- /n -->)", re.DOTALL)
RIVALS = ("ta", "ga")

Files = Mapping[str, Sequence[Record]]


def filled(text: str, files: Files, studied: Files = MappingProxyType({})) -> str:
    """A page with every marked number as the records have it now. Raises InvalidArgument for a mark
    that no record answers, and for one that begins a line: there Markdown takes it for a block."""
    if start := re.search("^<!-- n:.*", text, re.MULTILINE):
        raise InvalidArgument("mark", expected="words of the sentence before it", found=start[0])
    return MARK.sub(lambda mark: f"{mark[1]}{mark[2]}{number(mark[1], files, studied)}", text)


def number(mark: str, files: Files, studied: Files = MappingProxyType({})) -> str:
    """What a mark stands for."""
    name, *words = mark.split()
    if name in studied and len(words) > 2 and (text := found_in(studied[name], words)):
        return text
    held = [record for record in files.get(name, ()) if record.metric == "accuracy"]
    if words == ["attacks"]:
        return str(len({record.attack for record in held if _attacked(record)}))
    if held and 2 <= len(words) <= 3 and (show := _SHOWN.get((*words, "interval")[2])):
        found = [record for record in held if _is(record, words[0]) and _under(record, words[1])]
        if found:
            return show(max(found, key=lambda record: record.value), held)
    raise InvalidArgument("mark", expected="a file of records, who, and what", found=mark)


def _is(record: Record, who: str) -> bool:
    roles = RIVALS if who == "rival" else (who,)
    return record.role in roles or record.model.startswith(who)


def _under(record: Record, what: str) -> bool:
    if what.startswith("knows:"):
        known = {*what.removeprefix("knows:").split("+"), "released"} - {""}
        return _attacked(record) and known == {*record.knowledge, "released"}
    if what == "attack":
        return _attacked(record)
    return what in (record.condition, record.attack)


def _attacked(record: Record) -> bool:
    return record.condition == "attack" and record.attack != "none" and record.role in RIVALS


def _clean(record: Record, held: Sequence[Record]) -> str:
    found = clean_of(record, held)
    return "unknown" if found is None else share(found.value)


_SHOWN: Mapping[str, Callable[[Record, Sequence[Record]], str]] = {
    "interval": lambda record, _: interval(record),
    "share": lambda record, _: share(record.value),
    "n": lambda record, _: str(record.n),
    "clean": _clean,
    "attack": lambda record, _: f"`{record.attack}`",
    "model": lambda record, _: record.model,
}
