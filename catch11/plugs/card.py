"""describe: what hubs and catalogues read of a release folder: a data set card, metadata.csv, a Croissant description.

They say only what the public list says, and labels where they are given. They lie beside the released files, are not listed
and not signed, and can be written again at any time.
"""

import csv
import io
import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from catch11.data.labels import Labels, given_labels
from catch11.errors import InvalidArgument
from catch11.kinds import IMAGE
from catch11.plugs.croissant import croissant
from catch11.releases.form import digest
from catch11.releases.manifest import NAME
from catch11.releases.read import Release, read_release

# What those who read CSV take for a gap, unless told otherwise: pandas, which datasets reads by, does.
_GAPS = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL",
     "NaN", "None", "n/a", "nan", "null"]
)  # fmt: skip
CARD, METADATA, CROISSANT = "README.md", "metadata.csv", "croissant.json"


def describe(
    dst: str | os.PathLike[str],
    *,
    name: str | None = None,
    labels: Mapping[str, int] | str | os.PathLike[str] | None = None,
    names: Sequence[str] = (),
    licence: str = "other",
    url: str = "",
) -> tuple[Path, Path, Path]:
    """Write README.md, metadata.csv and croissant.json into a release folder of pictures; `load_dataset` of
    `datasets` then reads it. Returns their paths.

    name: of the data set, that of the folder unless given. labels: a CSV of `file,label`, or the mapping, by
    released names; without them none are written, since whoever gets the folder reads them. names: of the classes, in
    place of numbers. licence: an identifier of SPDX, or a hub's. url: where it will be published. Raises ReleaseError,
    LabelsRefused, InvalidArgument.
    """
    release, root = read_release(dst), Path(dst)
    if (
        release.modality != IMAGE
        or not (root / NAME).is_file()
        or not release.form.suffix == ".png"
    ):
        raise InvalidArgument(
            "DST", expected="a folder of released PNG files", found=f"{release.form.name} in {root}",
            remedy="tables, shards and data sets of datasets are read as they are",
        )  # fmt: skip
    if not release.complete:
        raise InvalidArgument("DST", expected="a finished release", found="one under way")
    if gaps := _GAPS.intersection(names):
        raise InvalidArgument(
            "names", expected="names of classes that readers of a CSV do not take for a gap", found=", ".join(map(repr, sorted(gaps))),
            remedy="give other names, or none",
        )  # fmt: skip
    known = None if labels is None else given_labels(labels, names=names)
    title = name or root.resolve().name
    rows = [(entry.file, _label(known, entry.file, names)) for entry in release.entries]
    _check_words({label for _, label in rows if label}, names)
    made = {
        METADATA: _table(rows),
        CARD: _card(release, title, licence, labelled=known is not None),
    }
    files = {METADATA: made[METADATA], NAME: (root / NAME).read_bytes()}
    facts = croissant(
        title, text=_said(release), licence=licence, url=url, files={n: digest(d) for n, d in files.items()},
        suffix=release.form.suffix, labelled=known is not None, named=bool(names), metadata=METADATA,
    )  # fmt: skip
    made[CROISSANT] = (json.dumps(facts, indent=2, sort_keys=True) + "\n").encode()
    for file, data in made.items():
        (root / file).write_bytes(data)
    return root / CARD, root / METADATA, root / CROISSANT


def _label(known: Labels | None, file: str, names: Sequence[str]) -> str:
    found = None if known is None else known.of(file)
    if found is None:
        return ""
    return names[found] if names else str(found)


def _check_words(labels: Collection[str], names: Sequence[str]) -> None:
    """Refuse names of classes that are all numbers or truth values: readers of a CSV would make those of them, and 007
    would be 7. Names that are the classes' own numbers are those."""
    if not labels or list(names) == list(map(str, range(len(names)))):
        return
    if names and all(map(_no_word, labels)):
        raise InvalidArgument(
            "names", expected="names of classes that readers of a CSV do not take for numbers", found=", ".join(sorted(labels)),
            remedy="give names with letters, or none",
        )  # fmt: skip


def _no_word(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.lower() in ("true", "false")
    return True


def _table(rows: Sequence[tuple[str, str]]) -> bytes:
    """What imagefolder reads: the name of a file, and its label where there is one."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    labelled = any(label for _, label in rows)
    writer.writerow(["file_name", "label"] if labelled else ["file_name"])
    writer.writerows(rows if labelled else [[file] for file, _ in rows])
    return text.getvalue().encode()


def _said(release: Release) -> str:
    keep = release.facts.get("keep", "all")
    return (
        f"{len(release):,} non-transferable examples made with catch11 (method {release.method}, keeps {keep}). The one "
        f"authorized model reads them through its own preprocessing; other models mostly do not. Key {release.key[:16]}. "
        "This is usage control, not encryption."
    )


def _card(release: Release, title: str, licence: str, *, labelled: bool) -> bytes:
    """A card as hubs read it: facts as YAML, then text."""
    tasks = "task_categories:\n- image-classification\n" if labelled else ""
    lines = [
        "---", f"pretty_name: {json.dumps(title)}", f"license: {json.dumps(licence)}",
        f"{tasks}tags:\n- catch11\n- non-transferable-examples",
        f"configs:\n- config_name: default\n  drop_labels: {str(not labelled).lower()}\n  data_dir: \".\"",
        "---", f"# {title}", "", _said(release), "",
        "| | |", "|---|---|",
        f"| files | {len(release):,}, listed and signed in `{NAME}` |",
        f"| public key of the list | `{release.public_key}` |",
        f"| size | {release.canvas.width} × {release.canvas.height} |",
        f"| checked with the model | {release.checked[:16] or 'no'} |", "",
        f"`catch11 inspect` on this folder holds every file against the list. This page and `{METADATA}` are not signed.", "",
    ]  # fmt: skip
    return "\n".join(lines).encode()
