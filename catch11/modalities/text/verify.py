"""What models get from a release of texts, and what is read back of its words."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from catch11.evaluation.record import Record, Verdict
from catch11.evaluation.roles import role_of
from catch11.evaluation.verify import Verification
from catch11.keys.key import Key
from catch11.modalities.text.corpus import encode_all, originals
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
from catch11.releases.manifest import signer_of
from catch11.releases.read import read_release


def verify_texts(
    dst: Path,
    model: TextModel,
    *,
    source: Path,
    rivals: Sequence[TextModel] = (),
    target: str | None = None,
    ledger: Path | None = None,
    max_drop: float | None = None,
    max_rival: float | None = None,
    limit: int | None = None,
    key: Key | None = None,
    command: str | None = None,
    progress: Callable[..., None] | None = None,
) -> Verification:
    """Score a release of texts: the authorized model and its rivals on the clean documents, the
    released embeddings, noise of the same size, and (rivals) the authorized model's clean
    embeddings; and the words that the public table gives back.

    source: the originals; everything needs them, because embeddings hold no text to judge by.
    target: the source's column with the class or score; else the model's own clean answers are the
    truth. key: the one that the release must be signed with. Raises ReleaseError, InvalidArgument.
    """
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
