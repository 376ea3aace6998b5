"""Models that a command is given, loaded where they are named by what they are loaded by."""

from collections.abc import Sequence

from catch11.copies.secretfile import Secret
from catch11.errors import InvalidArgument
from catch11.keys.authorized import Authorized, seal_of
from catch11.modalities.frame import Modality
from catch11.modalities.known import check_pairing, modality_of, named, stated_modality
from catch11.modalities.options import Named, Options


def loaded(model: Named, options: Options) -> Authorized:
    """A model of whatever kind of data."""
    if not isinstance(model, str):
        return model
    return modality_of(model).load(model, device=options.device, allow_code=options.allow_code)


def readers(
    models: Sequence[Named], kind: Modality, options: Options, *, what: str
) -> list[Authorized]:
    """Models of one kind of data. Raises InvalidArgument for one of another kind than `what` (a
    key, a release) is made for, before any is loaded where that is known before."""
    for one in models:
        stated = stated_modality(one) if isinstance(one, str) else named(one.modality)
        check_pairing(kind, stated or kind, one if isinstance(one, str) else one.spec, what=what)
    found = []
    for one in models:
        if isinstance(one, str):
            one = kind.load(one, device=options.device, allow_code=options.allow_code)
            check_pairing(kind, named(one.modality), one.spec, what=what)
        found.append(one)
    return found


def check_unsealed(models: Sequence[Authorized]) -> None:
    """Raises InvalidArgument for a sealed copy, which reads nothing but files that are done."""
    for one in models:
        if seal_of(one):
            raise InvalidArgument(
                "model", expected="the model that the copy was sealed from", found=one.spec,
                remedy="a sealed copy reads sealed files alone, and is what verify takes",
            )  # fmt: skip


def check_copy(whose: str, secret: Secret | None) -> None:
    """Raises InvalidArgument for a personalised copy, or a key of one, without the copy's secret:
    it reads no clean picture."""
    if secret is None:
        raise InvalidArgument(
            "--secret", expected=f"the secret of the personalised copy {whose}", found="none",
            remedy="a copy reads scrambled pictures only; personalize wrote its secret",
        )  # fmt: skip
