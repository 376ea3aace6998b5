"""The real DeiT-tiny on real pictures: its stock pipeline reads released files as they were made."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from catch11.data.pictures import fit_picture, open_picture
from catch11.keys.key import build_key
from catch11.models.load import load_picture_model
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.releases.engine import release
from catch11.releases.ledger import read_ledger
from catch11.releases.read import read_release


@pytest.mark.real
def test_stock_pipeline_reads_what_was_recoded(assets: Path, tmp_path: Path) -> None:
    model = load_picture_model(f"hf:{assets / 'models' / 'deit-tiny-patch16-224'}")
    src = tmp_path / "src"
    src.mkdir()
    for path in sorted((assets / "images" / "nips2017").glob("*.jpg"))[:8]:
        shutil.copy(path, src)
    recoder = SpectralRecoder(build_key(model), psnr=10.0)
    done = release(src, tmp_path / "dst", recoder, check=model)
    held = read_release(tmp_path / "dst")
    assert done.written + done.withheld == 8
    assert done.written >= 6
    stock = model.preprocess([Image.open(held.root / entry.file) for entry in held.entries])
    windows = held.windows(held.entries)
    assert torch.allclose(stock, model.canvas.normalise(windows), atol=1e-6)
    rows = [row for row in read_ledger(done.ledger) if row.outcome == "released"]
    sources = [open_picture(src / row.source) for row in rows]
    answers = model.logits(model.preprocess(sources)).argmax(1)
    assert torch.equal(model.logits(stock).argmax(1), answers)
    # The canvas law on real pictures: fitting first changes nothing the model sees.
    fitted = [Image.fromarray(fit_picture(source, model.canvas)) for source in sources]
    assert torch.equal(model.preprocess(fitted), model.preprocess(sources))
    assert all(row.psnr is not None and row.psnr < 10.2 for row in rows)
