"""Keep: what a file holds on to of what the authorized model makes of its source, the first dial."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from catch11.errors import InvalidArgument
from catch11.recoding.deep.agreement import Agreement, Kind

ANSWER, SCORES, FEATURES, LAYER, ALL = "answer", "scores", "features", "layer", "all"
KNOWN = f"{ANSWER}, {SCORES}, {FEATURES}, {LAYER}:NAME or {ALL}"
# Nats of KL(clean ‖ released); ‖made - clean‖₂ / ‖clean‖₂, at which cosines are .995.
_TOLERANCES = {SCORES: 0.01, FEATURES: 0.1, LAYER: 0.1}
_MEASURES: dict[str, Kind] = {SCORES: "kl", FEATURES: "match", LAYER: "match"}
_ALIKE = 1.001  # a bound is met by what another batch, which sums in another order, measures
_MORE = {
    ANSWER: "more needs --keep scores, features, layer:NAME or all",
    SCORES: "more needs --keep features, layer:NAME or all",
    FEATURES: "more needs --keep layer:NAME or all",
    LAYER: "more needs an earlier layer, or --keep all",
    ALL: "less needs --model and another --keep",
}

THE_DIAL = ("keep", "tolerance")  # of recoders, whose settings say the same in expert words


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What is kept, each beside the first class with its margin, but for `all`.

    answer: nothing more. scores: KL(clean ‖ released) within `tolerance` nats. features: what the last
    linear layer reads, within `tolerance` of the clean one, relative. layer: the output of the module
    `layer`, likewise; several with weights where it is so written. all: what the first layer makes.
    """

    what: str
    layer: str = ""
    tolerance: float | None = None

    @property
    def text(self) -> str:
        """As it is written: answer, scores, features, layer:blocks.3, all."""
        return f"{self.what}:{self.layer}" if self.layer else self.what

    @property
    def at(self) -> str:
        """Which maps of the model are matched; see `deep.target`."""
        return self.layer or (FEATURES if self.what == FEATURES else "logits")

    def agreement(self, *, margin: float) -> Agreement:
        """What a search asks of a model that answers in classes."""
        if self.tolerance is None:
            return Agreement(margin=margin)
        return Agreement(kind=_MEASURES[self.what], value=self.aim, margin=margin)

    @property
    def aim(self) -> float:
        """How near a search comes, so that another batch or machine finds the tolerance held."""
        assert self.tolerance is not None
        return 0.99 * self.tolerance

    @property
    def near(self) -> str:
        """What is kept near its clean value, and how near, in words."""
        return f"{self.text} within {self.tolerance:.3g}" if self.tolerance else self.text

    @property
    def more(self) -> str:
        """What keeping more would need."""
        return _MORE[self.what]

    def to_dict(self) -> dict[str, Any]:
        """The facts that a release states."""
        near = {} if self.tolerance is None else {"tolerance": self.tolerance}
        return {"keep": self.text, **near}

    def broken(self, distance: float | None) -> str | None:
        """Why a file of this distance does not keep it; None where it does."""
        if self.tolerance is None or distance is None or distance <= _ALIKE * self.tolerance:
            return None
        return f"its distance from what was to be kept is {distance:.3g} ({self.near})"


EVERYTHING = Keep(what=ALL)


def parse_keep(text: str, tolerance: float | None = None) -> Keep:
    """What is kept, from its written form. tolerance: in place of the usual one of what is kept.

    Raises InvalidArgument, naming the nearest word there is.
    """
    what, colon, layer = text.partition(":")
    if what not in _MORE or bool(colon) != (what == LAYER) or bool(layer) != bool(colon):
        near = "write layer:NAME" if what == LAYER else nearest(what.lower(), _MORE)
        raise InvalidArgument("keep", expected=KNOWN, found=repr(text), remedy=near)
    usual = _TOLERANCES.get(what)
    if tolerance is None or usual is None:
        if tolerance is not None:
            expected = "--keep scores, features or layer:NAME beside it"
            raise InvalidArgument("tolerance", expected=expected, found=f"--keep {text}")
        return Keep(what=what, layer=layer, tolerance=usual)
    if not 0.0 < tolerance <= 10.0:
        raise InvalidArgument("tolerance", expected="above 0, at most 10", found=tolerance)
    return Keep(what=what, layer=layer, tolerance=tolerance)


def keep_of(facts: Mapping[str, Any]) -> Keep | None:
    """What a release states that it keeps; None where it states nothing. Raises InvalidArgument for
    facts that are none."""
    text, tolerance = facts.get("keep"), facts.get("tolerance")
    if text is None:
        return None
    if not isinstance(text, str) or not isinstance(tolerance, int | float | None):
        raise InvalidArgument("keep", expected=KNOWN, found="something else")
    return parse_keep(text, tolerance)


def keep_asked(
    keep: str | None, tolerance: float | None, *, at: str, agreement: Agreement, usual: bool
) -> Keep:
    """What a deep recoder keeps, by its everyday words or by its expert ones: `at` (maps, as written)
    and `agreement`. usual: whether these two are none of the user's. Raises InvalidArgument where
    both say something."""
    said = _said(at, agreement)
    if keep is None:
        if tolerance is not None:
            expected = "--keep scores, features or layer:NAME beside it"
            raise InvalidArgument("tolerance", expected=expected, found="no --keep")
        return said
    asked = parse_keep(keep, tolerance)
    if asked.what == ALL:
        raise InvalidArgument("keep", expected=f"{ALL} with --method spectral", found="deep")
    if not usual and (said.what, asked.what) != (ANSWER, ANSWER):
        raise InvalidArgument(
            "keep", expected="no --at and no --agreement beside it, which say the same for experts",
            found=f"--keep {keep} with {at}, {agreement.text}",
        )  # fmt: skip
    return asked


def _said(at: str, agreement: Agreement) -> Keep:
    if agreement.kind in ("kl", "score"):
        return Keep(what=SCORES, tolerance=agreement.value)
    if agreement.kind == "cosine":
        return Keep(what=FEATURES, tolerance=math.sqrt(2.0 - 2.0 * agreement.value))
    if agreement.kind != "match":
        return Keep(what=ANSWER)
    layer = "" if at == FEATURES else at
    return Keep(what=LAYER if layer else FEATURES, layer=layer, tolerance=agreement.value)


def nearest(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """A sentence's end with the nearest known names, if any is near."""
    found = get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f"nearest: {', '.join(found)}" if found else ""
