"""Who reads deep files that survive JPEG, on thumbnails: ResNet-20 authorized, 32 x 32 pixels.

Readers: ResNet-32 of the same makers, the twin (ResNet-20 trained anew, from the user's cache) and a plain net of
another family. Prints a line a way, with withheld files and forward passes an image, then a line a form and
reader: accuracy on clean pictures, as PNG and after JPEG 90, 75 and 50; the answers of the authorized model too.
"""

from typing import Annotated

import torch
import typer

from benchmarks.frame import ASSETS, WORK, Assets, Work, among
from benchmarks.learning import plain
from benchmarks.lines import Lines, right
from benchmarks.thumbnails import (
    WAYS,
    answers,
    files,
    forward_seconds,
    made_as,
    models,
    share,
    tests,
)  # fmt: skip
from catch11.recoding.codecs import Jpeg
from catch11.studies.nets.twin import Schooling
from catch11.studies.nets.twin import twin as trained_anew
from catch11.studies.place import Place


def deep_survival(
    count: Annotated[int, typer.Option(help="Pictures.")] = 1000,
    way: Annotated[list[str], typer.Option(callback=among(WAYS), help=f"How files are made: {', '.join(WAYS)}; repeatable.")] = ["as it is", "least", "auto"],
    twin: Annotated[int, typer.Option(help="Ask a twin of so many epochs too.")] = 0,
    assets: Assets = ASSETS,
    work: Work = WORK,
) -> None:  # fmt: skip
    model, key, other = models(assets)
    normalise = model.canvas.normalise
    pictures, truth = tests(assets, count)
    clean, forward = answers(model, pictures), forward_seconds(model, pictures)
    assert model.module is not None
    assert other.module is not None
    lines = Lines(work / "survival.jsonl")
    readers = {"ResNet-20": model.module, "ResNet-32": other.module}
    readers["plain"] = plain(assets, work, normalise).eval()
    if twin:
        schooling = Schooling(epochs=twin)
        readers["twin"] = trained_anew(Place(assets=assets), "resnet20", schooling, keep=True)
    for one in way:
        recoder = made_as(one, model, key)
        made = files(recoder, pictures, work / f"survival-{one.replace(' ', '-')}.npz")
        kept, cell = made.kept, {"way": one, "count": count}
        if not lines.has(**cell, what="cost"):
            lines.add({
                **cell, "what": "cost", "withheld": int((~kept).sum()),
                "forwards": made.seconds / forward, "margin": recoder.margin,
            })  # fmt: skip
        forms = {"clean": pictures, "png": made.images}
        forms |= {
            f"jpeg {quality}": Jpeg(quality).real(made.images, 1.0) for quality in (90, 75, 50)
        }
        for form, seen in forms.items():
            for name, net in readers.items():
                if lines.has(**cell, form=form, reader=name):
                    continue
                with torch.no_grad():
                    told = torch.cat([net(normalise(v)).argmax(1) for v in seen.split(200)])
                lines.add({
                    **cell, "form": form, "reader": name, **right((told == truth)[kept]),
                    "as authorized": share(told[kept], clean[kept]),
                })  # fmt: skip
