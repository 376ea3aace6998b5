"""The error tree. Constructors take facts and write the sentence: what was expected, found, to do."""

from collections.abc import Sequence

_SHOWN = 6  # of the layers tried, in the sentence; `tried` holds them all


class Catch11Error(Exception):
    """Base of every error this package raises on purpose; its text is one clear sentence. It goes from process to
    process as it is, though constructors take facts."""

    def __reduce__(self) -> tuple[object, ...]:
        return _as_it_was, (type(self), self.args), self.__dict__


def _as_it_was(kind: type[Catch11Error], args: tuple[object, ...]) -> Catch11Error:
    error = kind.__new__(kind, *args)
    error.args = args
    return error


class InvalidArgument(Catch11Error, ValueError):
    """An argument outside its range, of the wrong shape, or contradicting another."""

    def __init__(self, name: str, *, expected: str, found: object, remedy: str = "") -> None:
        self.name, self._said = name, (expected, found, remedy)
        tail = f"; {remedy}" if remedy else ""
        super().__init__(f"{name}: expected {expected}, found {found}{tail}.")

    def called(self, name: str) -> "InvalidArgument":
        """The same of an argument as its user calls it."""
        expected, found, remedy = self._said
        return InvalidArgument(name, expected=expected, found=found, remedy=remedy)


class NoFront(Catch11Error, ValueError):
    """No usable first linear map; names every layer tried and why it was refused."""

    def __init__(self, tried: Sequence[tuple[str, str]]) -> None:
        self.tried = tuple(tried)
        rows = "; ".join(f"{layer}: {why}" for layer, why in tried[:_SHOWN]) or "it has no layers"
        rows += f"; and {len(tried) - _SHOWN} more" if len(tried) > _SHOWN else ""
        super().__init__(
            "the model has no usable front (a dense, patch or convolution layer that is the first "
            f"map of its input); tried {rows}; name one with --layer, or make a key for --method deep "
            "alone with --layer none."
        )


class EmptySubspace(Catch11Error, ValueError):
    """The rule admits no direction; the text carries the spectrum so the user can choose."""

    def __init__(self, rule: str, smallest: Sequence[float], largest: float) -> None:
        low = ", ".join(f"{s:.3g}" for s in smallest[:6])
        super().__init__(
            f"the insensitive subspace is empty: the rule {rule} admits no direction; the smallest "
            f"singular values are {low} and the largest is {largest:.3g}; loosen the rule, or make a key "
            "for --method deep alone with --layer none."
        )


class CanvasRefused(Catch11Error, ValueError):
    """The model's own preprocessing does not leave any picture size untouched."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"no canvas: {reason}; give the canvas explicitly or use a pipeline with a fixed resize and crop."
        )


class KeyMismatch(Catch11Error, ValueError):
    """A key was used with a model it was not built from."""

    def __init__(self, what: str, *, expected: str, found: str) -> None:
        super().__init__(
            f"the key was built from another model: expected {what} {expected[:16]}…, found "
            f"{found[:16]}…; use the model the key was built from, or build a new key."
        )


class KeyFileError(Catch11Error, ValueError):
    """A key file, or another that only its owner may read, that cannot be read as one. what: it should be."""

    def __init__(self, path: object, reason: str, what: str = "key") -> None:
        super().__init__(f"{path}: not a usable {what} file: {reason}.")


class ModelRefused(Catch11Error, ValueError):
    """A model that cannot or must not be loaded."""

    def __init__(self, spec: object, reason: str, remedy: str = "") -> None:
        tail = f"; {remedy}" if remedy else ""
        super().__init__(f"{spec}: cannot load the model: {reason}{tail}.")


class MissingExtra(Catch11Error, ImportError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, otherwise: str = "") -> None:
        self.package = package
        tail = f", {otherwise}" if otherwise else ""
        super().__init__(
            f"{package} is needed here and is not installed; install it with: pip install 'catch11[{extra}]'{tail}."
        )


class UnreadableSource(Catch11Error, ValueError):
    """A source file that cannot be used; `reason` goes to the ledger."""

    kind = "source"

    def __init__(self, path: object, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{path}: not a usable {self.kind}: {reason}.")


class UnreadablePicture(UnreadableSource):
    """A source file that is not a usable picture."""

    kind = "picture"


class UnreadableSound(UnreadableSource):
    """A source file that is not a usable sound."""

    kind = "sound"


class UnreadableTable(UnreadableSource):
    """A source file that is not a usable table."""

    kind = "table"


class ReleaseError(Catch11Error, OSError):
    """A release that cannot be written or read; what was already written is intact."""

    def __init__(self, path: object, reason: str, remedy: str = "") -> None:
        tail = f"; {remedy}" if remedy else ""
        Exception.__init__(self, f"{path}: {reason}{tail}.")
        self.text = f"{path}: {reason}{tail}."

    def __str__(self) -> str:
        return self.text


class SecondStrength(ReleaseError):
    """A source that was released before with other settings: the two together give it away."""


class LabelsRefused(Catch11Error, ValueError):
    """Labels that cannot be used as they are."""

    def __init__(self, path: object, reason: str, remedy: str = "") -> None:
        tail = f"; {remedy}" if remedy else ""
        super().__init__(f"{path}: cannot use the labels: {reason}{tail}.")


class Unsuited(Catch11Error, ValueError):
    """An attack that has nothing to work on here, though its knowledge is there."""

    def __init__(self, attack: str, reason: str) -> None:
        super().__init__(f"attack {attack}: {reason}.")
