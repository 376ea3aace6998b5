"""A classification head, trained on clean sentence embeddings of SST-2, on released development texts.

    catch11 recode sentences.csv released --key text.key --model MODEL --column sentence --check
    python benchmarks/text_head.py released sentences.csv --assets assets

sentences.csv has the columns sentence, label (0 or 1). Prints accuracy on clean and released
embeddings and on noise, with Wilson's intervals, and the paired drop with Newcombe's.
"""

import argparse
from pathlib import Path

import torch

from catch11.data.texts import read_documents, row_name
from catch11.evaluation.interval import paired_difference
from catch11.evaluation.metrics import accuracy
from catch11.keys.key import build_key
from catch11.modalities.text.recoder import NoiseTokens, passages
from catch11.modalities.text.release import columns_of
from catch11.releases.ledger import read_ledger
from catch11.releases.read import read_release
from catch11.studies.nets.encoders import known_encoder
from catch11.studies.tasks.glue import load_glue

SECRET = bytes(range(32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("released", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--taught", type=int, default=1500, help="training sentences of the head")
    given = parser.parse_args()
    torch.set_num_threads(1)
    from sklearn.linear_model import LogisticRegression

    model = known_encoder()
    taught = load_glue("sst2", "train", folder=given.assets / "text").some(given.taught)
    features = model.answers([model.embed(model.encode(text)) for text in taught.first])
    head = LogisticRegression(max_iter=500).fit(features.numpy(), taught.labels)
    release = read_release(given.released)
    held = read_documents(given.source, columns=columns_of(release)[0], target="label")
    texts = {item.name: item.text for item in held.items}
    entries = {entry.file: entry for entry in release.entries}
    rows = [r for r in read_ledger(Path(f"{given.released}.ledger.jsonl")) if r.file in entries]
    truth = [int(float(held.targets[row_name(row.source)])) for row in rows]
    clean = [model.embed(model.encode(texts[row.source])) for row in rows]
    noise = NoiseTokens(build_key(model, secret=SECRET), rms=model.rms)(passages(clean)).items
    made = [release.item(entries[row.file]).embeds for row in rows]
    hits = {}
    for name, some in (
        ("clean", clean),
        ("released", made),
        ("noise", [one.embeds for one in noise]),
    ):
        said = head.predict(model.answers(some).numpy()).tolist()
        hits[name] = [int(a) == b for a, b in zip(said, truth, strict=True)]
        share = accuracy(hits[name])
        print(f"{name:<9} {share.estimate:.4f} [{share.low:.4f}, {share.high:.4f}] n {len(truth)}")
    lost = paired_difference(hits["clean"], hits["released"])
    print(f"drop      {lost.estimate:.4f} [{lost.low:.4f}, {lost.high:.4f}], paired")


if __name__ == "__main__":
    main()
