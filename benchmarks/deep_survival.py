"""Who reads deep files that survive JPEG, on thumbnails: ResNet-20 authorized, 32 x 32 pixels.

Readers: ResNet-32 of the same makers, the twin (ResNet-20 trained anew, `catch11/studies/twin.py`, from the
user's cache) and a plain net of another family. As PNG and after JPEG 90, 75 and 50; Wilson's intervals. Files
are kept in WORK, where a second run goes on:

    python benchmarks/deep_survival.py ASSETS --work WORK --count 1000 [--ways least]
"""

import argparse
from pathlib import Path

import torch
from cifar import WAYS, Lines, answers, files, forward_seconds, made_as, models, share, tests
from deep_adaptation import plain

from catch11.evaluation.metrics import accuracy
from catch11.recoding.codecs import Jpeg
from catch11.studies.nets.twin import Schooling, twin
from catch11.studies.place import Place

QUALITIES = (90, 75, 50)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("assets", type=Path)
    ask.add_argument("--work", type=Path, required=True)
    ask.add_argument("--count", type=int, default=1000)
    ask.add_argument("--ways", nargs="*", choices=WAYS, default=["as it is", "least", "auto"])
    ask.add_argument("--twin", type=int, default=0, help="Ask a twin of so many epochs too.")
    given = ask.parse_args()
    torch.set_num_threads(1)
    model, key, other = models(given.assets)
    normalise = model.canvas.normalise
    pictures, truth = tests(given.assets, given.count)
    clean = answers(model, pictures)
    forward = forward_seconds(model, pictures)
    assert model.module is not None
    assert other.module is not None
    readers = {"ResNet-20": model.module, "ResNet-32": other.module}
    readers["plain"] = plain(given.assets, given.work, normalise).eval()
    if given.twin:
        place = Place(assets=given.assets)
        readers["twin"] = twin(place, "resnet20", Schooling(epochs=given.twin), keep=True)
    lines = Lines(given.work / "survival.jsonl")
    for way in given.ways:
        recoder = made_as(way, model, key)
        cache = given.work / f"survival-{way.replace(' ', '-')}.npz"
        made = files(recoder, pictures, cache)
        kept = made.kept
        cell = {"way": way, "count": given.count}
        if not lines.has(**cell, what="cost"):
            lines.add({
                **cell, "what": "cost", "withheld": int((~kept).sum()),
                "forwards": round(made.seconds / forward, 1), "margin": recoder.margin,
            })  # fmt: skip
        for form in ("clean", "png", *QUALITIES):
            seen = pictures if form == "clean" else made.images
            if isinstance(form, int):
                seen = Jpeg(form).real(seen, 1.0)
            for name, net in readers.items():
                if lines.has(**cell, form=form, reader=name):
                    continue
                with torch.no_grad():
                    told = torch.cat([net(normalise(v)).argmax(1) for v in seen.split(200)])
                right = accuracy((told == truth)[kept].tolist())
                lines.add({
                    **cell, "form": form, "reader": name, "accuracy": round(right.estimate, 4),
                    "low": round(right.low, 4), "high": round(right.high, 4),
                    "as authorized": share(told[kept], clean[kept]),
                })  # fmt: skip


if __name__ == "__main__":
    main()
