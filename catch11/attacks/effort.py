"""How much an assault looks at."""

from dataclasses import dataclass

from catch11.errors import InvalidArgument


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much an assault looks at. judged: files that are attacked and scored, evenly spaced.
    training: other files of the release that labelled and paired attackers learn from. public:
    pictures read from the public folder. control: attack Gaussian noise of the same PSNR instead,
    which says what an attack does to ordinary noise. minutes: after which no further attack begins.
    quick: only attacks that train nothing."""

    judged: int = 60
    training: int = 200
    public: int = 200
    control: bool = False
    seed: int = 0
    minutes: float | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        for name, least in (("judged", 1), ("training", 0), ("public", 1)):
            if getattr(self, name) < least:
                found = getattr(self, name)
                raise InvalidArgument(name, expected=f"{least} or more", found=found)
        if self.minutes is not None and not self.minutes > 0:
            raise InvalidArgument("minutes", expected="above 0", found=self.minutes)
