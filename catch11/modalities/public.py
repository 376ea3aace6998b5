"""What people call from Python: a release scored, a release attacked, of any kind of data."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from catch11.copies.secretfile import Secret
from catch11.evaluation.verification import Verification
from catch11.keys.authorized import Authorized
from catch11.keys.key import Key
from catch11.modalities import commands
from catch11.modalities.frame import Progress
from catch11.modalities.options import AttackOptions, Folder, VerifyOptions

if TYPE_CHECKING:
    from catch11.attacks.session import Assault

Labels = Folder | Mapping[str, int]


def verify(
    dst: Folder,
    model: Authorized,
    *,
    rivals: Sequence[Authorized] = (),
    source: Folder | None = None,
    labels: Labels | None = None,
    target: str | None = None,
    key: Key | None = None,
    copy: Secret | None = None,
    keep: str | None = None,
    tolerance: float | None = None,
    ledger: Folder | None = None,
    prompt: str | None = None,
    max_drop: float | None = None,
    max_rival: float | None = None,
    limit: int | None = None,
    batch: int | None = None,
    seed: int | None = None,
    command: str | None = None,
    progress: Progress | None = None,
    engine: str = "local",
    workers: int | None = None,
    address: str | None = None,
) -> Verification:
    """Run the authorized model and its rivals, each through its own pipeline, on a release and, with
    `source`, on the originals, on Gaussian noise of the same strength and on files without noise.

    labels: a CSV of `file,label`, or the mapping; class folders are recognised. target: of tables
    and texts, the source's column with the class or score. Without either a model's own clean answer
    is the truth. key: the release must be signed with it; of pictures, adds the front shift. copy:
    the secret of `model`, a personalised or sealed copy; of a sealed one `model` may be the model that was sealed. keep, tolerance: what files
    are held to, in place of what the list says. ledger: the owner's list, beside `dst` unless given.
    prompt: what models that answer in words are asked. max_drop, max_rival: shares; the largest loss
    of the authorized model and the largest score of a rival that pass. limit: files to judge,
    evenly spaced. batch: files at a time. seed: of the Gaussian control. command: kept in records. engine: "ray" judges
    pictures and sounds in `workers` processes, of this machine or of the cluster at `address`.
    What means nothing to the kind of data is refused. Raises ReleaseError, KeyMismatch,
    InvalidArgument, LabelsRefused.
    """
    options = VerifyOptions(
        rivals=tuple(rivals), source=source, labels=labels, target=target, key=key, copy=copy,
        keep=keep, tolerance=tolerance, ledger=ledger, prompt=prompt, max_drop=max_drop, max_rival=max_rival, limit=limit,
        batch=batch, seed=seed, engine=engine, workers=workers, address=address,
    )  # fmt: skip
    return commands.verify(dst, model, options, command=command, progress=progress)


def attack(
    dst: Folder,
    *,
    rivals: Sequence[Authorized] = (),
    model: Authorized | None = None,
    copy: Secret | None = None,
    attacks: Sequence[str] = (),
    source: Folder | None = None,
    key: Key | None = None,
    public: Folder | None = None,
    others: Sequence[Folder] = (),
    labels: Labels | None = None,
    learn: Folder | None = None,
    records: Folder | None = None,
    ledger: Folder | None = None,
    target: str | None = None,
    question: str | None = None,
    limit: int | None = None,
    training: int | None = None,
    control: bool = False,
    seed: int | None = None,
    minutes: float | None = None,
    quick: bool = False,
    command: str | None = None,
    progress: Progress | None = None,
    engine: str = "local",
    workers: int | None = None,
    address: str | None = None,
) -> "Assault":
    """Attack a release and judge each attack with each rival, through the rival's own pipeline.

    model: the authorized one, judged beside them. copy: the secret of the copy that the release is sealed for, with the
    model that was sealed: its licensee attacks what the copy opens, others the files as they are. attacks: names; all that what is given here
    allows, unless given. source: the originals: judge restorations, and pairs to learn from. key:
    for attackers who know the front. public: data that attackers compare with and learn from.
    others: further releases of the same sources. labels, target, ledger: as of `verify`. learn: a
    labelled release for the same model to learn from. question: asked in place of the release's classes,
    see `evaluation.questions`. records: a file of JSON lines that a stopped
    run goes on from. limit: files judged. training: further ones that attackers learn from. control:
    attack Gaussian noise of the same PSNR instead. minutes: after which no further attack begins.
    quick: only attacks that train nothing. progress: called with a `Step` as an attack begins and
    ends. engine, workers, address: as of `verify`, for attacks that train nothing. What means nothing to the
    kind of data is refused. Raises ReleaseError, InvalidArgument.
    """
    options = AttackOptions(
        rivals=tuple(rivals), model=model, copy=copy, attacks=tuple(attacks), source=source, key=key,
        public=public, others=tuple(others), labels=labels, learn=learn, records=records,
        ledger=ledger, target=target, question=question, limit=limit, training=training, control=control, seed=seed,
        minutes=minutes, quick=quick, engine=engine, workers=workers, address=address,
    )  # fmt: skip
    return commands.attack(dst, options, command=command, progress=progress)
