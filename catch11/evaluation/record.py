"""One measurement as one frozen record, one JSON line; and the verdict drawn from a set of them."""

import json
import math
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from catch11.errors import InvalidArgument
from catch11.evaluation.interval import Interval

Role = Literal["authorized", "ta", "sibling", "ga"]
Condition = Literal["clean", "nte", "gaussian", "control", "attack"]
Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
_PACKAGES = ("catch11", "torch", "numpy", "pillow", "transformers", "onnxruntime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one model scored under one condition, how sure that is, and what reproduces it.

    role: the authorized model; ta, the same architecture with other weights; sibling, a
    descendant of the authorized weights; ga, any other model. condition: the clean source, the
    released NTE, Gaussian noise at the NTE's PSNR, the zero-noise control, or an attack on the
    NTE. psnr: mean dB over the window the authorized model sees, peak 1, None where it is
    infinite or was not measured. ssim likewise.
    """

    __pydantic_config__: ClassVar = ConfigDict(strict=True, extra="forbid")

    model: str
    role: Role
    condition: Condition
    metric: str
    value: Number
    low: Number
    high: Number
    n: int
    attack: str | None = None
    knowledge: tuple[str, ...] = ()
    psnr: float | None = None
    ssim: float | None = None
    confidence: float = 0.95
    model_fingerprint: str | None = None
    key_fingerprint: str | None = None
    seed: int | None = None
    command: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.n < 0:
            raise InvalidArgument("n", expected="0 or more", found=self.n)
        if (self.attack is not None) != (self.condition == "attack"):
            raise InvalidArgument(
                "attack",
                expected="a name exactly where the condition is attack",
                found=f"{self.attack!r} with the condition {self.condition}",
            )

    @property
    def interval(self) -> Interval:
        return Interval(
            low=self.low, estimate=self.value, high=self.high, confidence=self.confidence
        )

    def to_line(self) -> str:
        """One line of strict JSON, keys in the order of the fields; NaN and infinity are null."""
        row = {item.name: getattr(self, item.name) for item in fields(self)}
        return json.dumps(_finite(row), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_line(cls, line: str) -> "Record":
        """The record of such a line, which may be a stranger's: unknown fields, missing ones and
        values of another kind raise InvalidArgument."""
        try:
            return _LINE.validate_json(line)
        except ValidationError as error:
            raise _refusal(error) from None


_LINE = TypeAdapter(Record)
_WANTED = {
    "missing": "a value",
    "unexpected_keyword_argument": "no such field",
    "json_invalid": "one JSON line",
}


def _refusal(error: ValidationError) -> InvalidArgument:
    first = error.errors(include_url=False)[0]
    own = first.get("ctx", {}).get("error")
    if isinstance(own, InvalidArgument):  # of __post_init__
        return own
    name = ".".join(map(str, first["loc"])) or "record"
    expected = _WANTED.get(first["type"], first["msg"].removeprefix("Input should be "))
    return InvalidArgument(name, expected=expected, found=repr(first["input"])[:80])


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value if isinstance(value, str | int | bool | None) else str(value)


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """Append records to a file of JSON lines, flushed line by line so that a stop loses none."""
    with Path(path).open("a", encoding="utf-8") as file:
        for record in records:
            file.write(record.to_line() + "\n")
            file.flush()


def read_records(path: str | Path) -> Iterator[Record]:
    """The records of such a file. A last line cut short by a stop is left out; any other line
    that is no record raises InvalidArgument."""
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    for line in lines[:-1]:
        yield Record.from_line(line)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages a number depends on; absent ones are left out."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a release keeps the authorized model and stops the rivals: the paper's (ρ, γ).

    drop: authorized utility, clean minus released, paired; retention ρ: released over clean.
    rival: the strongest rival's utility on the released files; degradation γ: the smallest
    share of its clean utility that a rival lost. Each is None where it was not measured.
    A limit is held against the estimate; `unsure` says where the interval crosses it.
    """

    drop: Interval | None = None
    retention: float | None = None
    rival: Interval | None = None
    rival_name: str | None = None
    degradation: float | None = None
    max_drop: float | None = None
    max_rival: float | None = None
    disagreements: int = 0

    @property
    def failures(self) -> tuple[str, ...]:
        """One sentence for each promise that was not kept; empty when all were."""
        found = []
        if self.max_drop is not None and self.drop is None:
            found.append("the authorized model's loss could not be measured")
        if self.max_rival is not None and self.rival is None:
            found.append("the rivals could not be measured")
        if _above(self.drop, self.max_drop, safe=False):
            found.append(f"the authorized model lost {_show(self.drop)}, more than {self.max_drop}")
        if _above(self.rival, self.max_rival, safe=False):
            found.append(f"{self.rival_name} reaches {_show(self.rival)}, above {self.max_rival}")
        if self.disagreements:
            found.append(f"{self.disagreements} files disagree with the ledger or the manifest")
        return tuple(found)

    @property
    def unsure(self) -> tuple[str, ...]:
        """One sentence for each limit that holds for the estimate but not for its interval."""
        rows = (
            ("the authorized drop", self.drop, self.max_drop),
            (f"the utility of {self.rival_name}", self.rival, self.max_rival),
        )
        return tuple(
            f"{name} is {_show(interval)}: too few images to be sure it is below {limit}"
            for name, interval, limit in rows
            if _above(interval, limit, safe=True) and not _above(interval, limit, safe=False)
        )

    @property
    def failed(self) -> bool:
        return bool(self.failures)

    def to_dict(self) -> dict[str, Any]:
        """A JSON object: every field, and failed, failures, unsure."""
        row = {item.name: getattr(self, item.name) for item in fields(self)}
        for name in ("drop", "rival"):
            if row[name] is not None:
                row[name] = {end: getattr(row[name], end) for end in ("low", "estimate", "high")}
        row |= {"failed": self.failed, "failures": self.failures, "unsure": self.unsure}
        return dict(_finite(row))


def _above(interval: Interval | None, limit: float | None, *, safe: bool) -> bool:
    if interval is None or limit is None:
        return False
    value = interval.high if safe else interval.estimate
    # Wilson and Newcombe ends carry rounding: a share of exactly the limit keeps it.
    return not value <= limit + 1e-12


def _show(interval: Interval | None) -> str:
    if interval is None:
        return "unknown"
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
