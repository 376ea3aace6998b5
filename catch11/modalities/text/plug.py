"""Text as a kind of data: keys of encoders, releases of recoded embeddings, their verification."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import torch

from catch11.errors import InvalidArgument
from catch11.evaluation.record import Record, Verdict
from catch11.evaluation.roles import role_of
from catch11.evaluation.verify import Verification
from catch11.keys.key import Key, build_key
from catch11.modalities.frame import Facts, Plug, Progress, Result, take
from catch11.modalities.text.corpus import encode_all, originals
from catch11.modalities.text.file import load_text, reads_text
from catch11.modalities.text.model import TextModel
from catch11.modalities.text.scores import (
    drop,
    fed_answers,
    own_answers,
    read_back,
    record,
    scores,
    similarities,
)
from catch11.modalities.views import summary_view, verification_view
from catch11.recoding.choose import options_of, recoder_for
from catch11.releases.engine import release
from catch11.releases.manifest import signer_of
from catch11.releases.read import read_release

_KEY = ("energy", "tau", "cumulative", "rank", "layer")
_OPTIONS = ("agreement", "margin", "steps", "radius", "client", "half", "psnr")
_RECODE = (
    "method", "model", "check", "names", "ledger", "workers", "resume", "column", "long", "format",
    "device", "allow_code", *_OPTIONS,
)  # fmt: skip
_ATTACK = (
    "model", "source", "target", "ledger", "limit", "training", "seed", "device", "allow_code",
)  # fmt: skip
_VERIFY = (
    "model", "source", "rival", "target", "ledger", "max_drop", "max_rival", "limit", "device",
    "allow_code",
)  # fmt: skip


def _key(spec: str, asked: Facts, device: str, allow_code: bool) -> Key:
    given = take(asked, _KEY, kind="text")
    return build_key(load_text(spec, device=device, allow_code=allow_code), **given)


def _recode(src: Path, dst: Path, key: Key, asked: Facts, progress: Progress) -> Result:
    given = take(asked, _RECODE, kind="text")
    if given.get("format", "tensor") != "tensor":
        raise InvalidArgument("--format", expected="tensor for text", found=given["format"])
    if "model" not in given:
        raise InvalidArgument(
            "--model", expected="the text model, whose tokenizer is needed", found="none"
        )
    model = load_text(given["model"], device=given["device"], allow_code=given["allow_code"])
    options = options_of({name: given[name] for name in _OPTIONS if name in given})
    done = release(
        src, dst, recoder_for(key, method=given.get("method"), model=model, **options), model=model,
        columns=given.get("column") or (), long=given.get("long", "truncate"),
        check=model if given.get("check") else None, names=given.get("names", "keep"),
        ledger=given.get("ledger"), workers=given.get("workers") or 1,
        resume=given.get("resume", True), progress=progress,
    )  # fmt: skip
    count, unknown, cut = (done.counts.get(name, 0) for name in ("tokens", "unknown", "cut"))
    tokens = f"tokens    {count:,}, of them {unknown:,} unknown; {cut} documents cut short"
    view = summary_view(done, dst, lines=[tokens])
    return Result(facts=done.to_dict(), view=view)


def _verify(dst: Path, spec: str, asked: Facts, progress: Progress) -> Result:
    given = take(asked, (*_VERIFY, "key"), kind="text")
    where = {"device": given["device"], "allow_code": given["allow_code"]}
    model, *rivals = [load_text(one, **where) for one in (spec, *(given.get("rival") or ()))]
    found = verify_texts(
        dst, model, rivals=rivals, source=given.get("source"), target=given.get("target"),
        ledger=given.get("ledger"), max_drop=given.get("max_drop"),
        max_rival=given.get("max_rival"), limit=given.get("limit"), key=given.get("key"),
        command=shlex.join(["catch11", *sys.argv[1:]]), progress=progress,
    )  # fmt: skip
    foot = f"{found.files} documents; control: the authorized model's clean embeddings"
    return Result(facts=found.to_dict(), view=verification_view(found, foot), failed=found.failed)


def verify_texts(
    dst: Path,
    model: TextModel,
    *,
    rivals: list[TextModel],
    source: Path | None,
    target: str | None = None,
    ledger: Path | None = None,
    max_drop: float | None = None,
    max_rival: float | None = None,
    limit: int | None = None,
    key: Key | None = None,
    command: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Score a release of texts: the authorized model and its rivals on the clean documents, the
    released embeddings, noise of the same size, and (rivals) the authorized model's clean
    embeddings; and the words that the public table gives back.

    source: the originals; everything needs them, because embeddings hold no text to judge by.
    target: the source's column with the class or score; else the model's own clean answers are the
    truth. key: the one that the release must be signed with. Raises ReleaseError, InvalidArgument.
    """
    if source is None:
        raise InvalidArgument("--source", expected="the originals, for texts", found="none")
    held = read_release(dst, signer=signer_of(key))
    corpus, kept, problems = originals(held, dst, source, target, ledger, limit, model)
    passages = [held.item(entry) for entry in kept]
    released, types = [p.embeds for p in passages], [p.types for p in passages]
    encoded = encode_all(model, corpus)
    clean = [model.embed(row) for row in encoded]
    noise = _noise(model, released)
    found: list[Record] = []
    verdict: dict[str, Any] = {}
    said: list[str] = []
    for number, one in enumerate((model, *rivals)):
        if progress is not None:
            progress(number, 1 + len(rivals), one.name)
        role = "authorized" if one is model else role_of(model, one)
        own = own_answers(one, corpus)
        note = {"key": held.key, "command": command}
        classes = len(one.labels)
        fed = {"nte": released, "gaussian": noise, "control": clean}
        made = {"clean": own}
        if one.width == model.width:
            made |= {name: fed_answers(one, rows, types) for name, rows in fed.items()}
        else:
            said.append(f"{one.name} takes {one.width} features and cannot be fed these embeddings")
        for name, answers in made.items():
            for score in scores(corpus, answers, own, classes=classes):
                found.append(
                    record(score, model=one, role=role, condition=name, **note)  # type: ignore[arg-type]
                )
        if one is model:
            verdict["drop"] = drop(corpus, own, made["nte"], classes=classes)
            before, after = (scores(corpus, made[n], own, classes=classes)[0].value.estimate
                             for n in ("clean", "nte"))  # fmt: skip
            verdict["retention"] = after / before if before else None
    best = [r for r in found if r.condition == "nte" and r.role in ("ga", "ta")]
    best = [r for r in best if r.metric == best[0].metric]
    if best:
        top = max(best, key=lambda r: r.value)
        verdict |= {"rival": top.interval, "rival_name": top.model}
    for name, rows in (("clean", clean), ("gaussian", noise), ("attack", released)):
        share, words = read_back(model, encoded, rows)
        attack = "nearest tokens" if name == "attack" else None
        found.append(
            record(share, model=model, role="authorized", condition=name, metric="token recovery",  # type: ignore[arg-type]
                   n=words, attack=attack, knowledge=("table",) if attack else (), key=held.key,
                   command=command)
        )  # fmt: skip
    found += similarities(corpus, released, model=model, key=held.key, command=command)
    if not held.complete:
        said.append("the list has no closing line: the release was cut short or is still written")
    judged = Verdict(max_drop=max_drop, max_rival=max_rival, disagreements=len(problems), **verdict)
    return Verification(
        records=tuple(found), verdict=judged, warnings=tuple(said), problems=tuple(problems),
        files=len(kept),
    )  # fmt: skip


def _noise(model: TextModel, rows: list[torch.Tensor]) -> list[torch.Tensor]:
    """The control: noise of the table's size and the documents' lengths, keyed by nothing."""
    generator = torch.Generator().manual_seed(0)
    return [model.rms * torch.randn(row.shape, generator=generator) for row in rows]


def _attack(dst: Path, asked: Facts, progress: Progress) -> Result:
    given = take(asked, _ATTACK, kind="text")
    for option in ("model", "source"):
        if option not in given:
            raise InvalidArgument(f"--{option}", expected="it, to attack texts", found="none")
    from catch11.modalities.text.attacks import attack_texts

    model = load_text(given["model"], device=given["device"], allow_code=given["allow_code"])
    found = attack_texts(
        dst, model, source=given["source"], target=given.get("target"),
        ledger=given.get("ledger"), judged=given.get("limit", 60), training=given.get("training", 200),
        seed=given.get("seed", 0), command=shlex.join(["catch11", *sys.argv[1:]]),
        progress=lambda name, done, total: progress(done, total, name),
    )  # fmt: skip
    lines = [
        f"{one.attack:<15} {', '.join(one.knowledge):<24} of {one.settings['of']:<9} "
        f"{one.metric:<16} {one.value:.3f} [{one.low:.3f}, {one.high:.3f}] n = {one.n}"
        for one in found
    ]
    facts = {"records": [json.loads(one.to_line()) for one in found]}
    return Result(facts=facts, view="\n".join(lines))


PLUG = Plug(claims=reads_text, key=_key, recode=_recode, verify=_verify, attack=_attack)
