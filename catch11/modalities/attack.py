"""The attacks of every kind of data as an action of a command."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from catch11.keys.authorized import Authorized
from catch11.keys.key import Key
from catch11.modalities.frame import Progress
from catch11.modalities.options import Folder

if TYPE_CHECKING:
    from catch11.attacks.session import Assault


def attack_items(
    dst: Folder,
    *,
    rivals: Sequence[Authorized] = (),
    model: Authorized | None = None,
    attacks: Sequence[str] | None = None,
    source: Folder | None = None,
    key: Key | None = None,
    public: Folder | None = None,
    others: Sequence[Folder] = (),
    labels: Folder | Mapping[str, int] | None = None,
    target: str | None = None,
    learn: Folder | None = None,
    records: Folder | None = None,
    ledger: Folder | None = None,
    limit: int = 60,
    training: int = 200,
    control: bool = False,
    seed: int = 0,
    command: str | None = None,
    progress: Progress | None = None,
) -> "Assault":
    """See `attack_release`."""
    from catch11.attacks.effort import Effort
    from catch11.attacks.session import attack_release

    return attack_release(
        dst, rivals, attacks=attacks, source=source, ledger=ledger, key=key, model=model,
        labels=labels, target=target, public=public, others=others, learn=learn, records=records,
        effort=Effort(judged=limit, training=training, control=control, seed=seed),
        command=command, progress=progress,
    )  # fmt: skip
