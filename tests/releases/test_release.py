"""release: the tree mirrored, the same bytes whatever the workers, resumed by hash, judged."""

import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from catch11.canvas.frame import Canvas
from catch11.canvas.grid import Format, psnr
from catch11.data.pictures import fit_picture, open_picture
from catch11.errors import InvalidArgument, KeyMismatch, ReleaseError
from catch11.fronts.front import Front
from catch11.keys.key import Key
from catch11.models.frame import Model
from catch11.recoding.frame import Recoder
from catch11.recoding.spectral.recoder import SpectralRecoder
from catch11.recoding.windows import WindowDomain
from catch11.releases.engine import Summary, release
from catch11.releases.ledger import read_ledger
from catch11.releases.read import read_release, sources_of

Fill = Callable[..., Path]
Tree = Callable[[Path], dict[str, bytes]]
NAMES = ("a/one.jpg", "a/two.png", "b/one.webp", "b/one.gif", "three.jpg", "c/d/four")


def counts(done: Summary) -> tuple[int, int, int, int]:
    return done.written, done.reused, done.withheld, done.skipped


@pytest.fixture
def src(tmp_path: Path, fill: Fill) -> Path:
    return fill(tmp_path / "src", *NAMES)


@pytest.fixture
def dst(tmp_path: Path) -> Path:
    return tmp_path / "dst"


@dataclass(frozen=True, eq=False)
class Fussy(Recoder[Tensor]):
    """Answers with the stream's own noise, and withholds windows that are mostly dark."""

    method: ClassVar[str] = "fussy"

    key: Key
    _: KW_ONLY
    format: Format = "png8"
    limit: float = 0.0

    @cached_property
    def domain(self) -> WindowDomain:
        return WindowDomain(self.key, format=self.format)

    def run(self, items: Tensor, streams: Sequence) -> tuple[Tensor, Sequence[str | None]]:
        noise = torch.stack([stream.uniform(tuple(items.shape[1:])) for stream in streams])
        return noise, ["it is dark" if w.mean() < self.limit else None for w in items]


def test_pictures_are_recoded_on_as_many_threads_as_serve_the_recoder(
    src: Path, dst: Path, recoder: SpectralRecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From Python as by command, and whoever called gets its own back."""
    seen, run, before = set(), SpectralRecoder.run, torch.get_num_threads()

    def noted(self: SpectralRecoder, *given: object) -> object:
        seen.add(torch.get_num_threads())
        return run(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(SpectralRecoder, "run", noted)
    torch.set_num_threads(3)
    try:
        release(src, dst, recoder)
        release(src, dst.with_name("two"), recoder, workers=2)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == {1}


def test_tree_is_mirrored(src: Path, dst: Path, recoder: SpectralRecoder) -> None:
    done = release(src, dst, recoder)
    assert counts(done) == (6, 0, 0, 0)
    held = read_release(dst)
    assert [entry.file for entry in held.entries] == [
        "a/one.png", "a/two.png", "b/one.png", "b/one.webp.png", "c/d/four.png", "three.png",
    ]  # fmt: skip
    assert held.complete
    assert sorted(os.listdir(dst)) == ["a", "b", "c", "manifest.jsonl", "three.png"]
    assert done.ledger == dst.with_name("dst.ledger.jsonl")
    assert done.ledger.stat().st_mode & 0o777 == 0o600
    assert "src" not in done.manifest.read_text()


@pytest.mark.parametrize("format", ["png8", "tensor"])
def test_what_is_read_back_is_what_the_ledger_says(
    src: Path, dst: Path, key: Key, format: Format
) -> None:
    done = release(src, dst, SpectralRecoder(key, psnr=12.0, format=format))
    held = read_release(dst)
    rows = sources_of(held, done.ledger)
    assert len(rows) == len(held) == 6
    for entry in held.entries:
        row = rows[entry.file]
        pixels = fit_picture(open_picture(src / row.source), key.canvas)
        clean = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].float() / 255
        window, clean = held.windows([entry]), key.canvas.window(clean)
        assert row.psnr == psnr(window, clean).item()
        assert row.front_shift == key.front.relative_shift(window, clean).item()
        assert row.psnr == pytest.approx(12.0, abs=0.1)
        if format == "png8":
            stock = Image.open(dst / entry.file)
            assert stock.info == {}
            assert stock.size == (20, 20)
            assert np.array_equal(np.asarray(stock), np.asarray(held.picture(entry)))


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("batch", [1, 4, 100])
def test_bytes_do_not_depend_on_workers_or_batch(
    tmp_path: Path, fill: Fill, tree: Tree, key: Key, workers: int, batch: int
) -> None:
    src = fill(tmp_path / "src", *(f"{n:02}.png" for n in range(11)))
    (src / "05x.png").write_bytes(b"no picture")
    recoder = SpectralRecoder(key, psnr=12.0)
    recoder.domain.batch = batch
    release(src, tmp_path / "one", SpectralRecoder(key, psnr=12.0))
    release(src, tmp_path / "two", recoder, workers=workers)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    ledgers = [(tmp_path / f"{name}.ledger.jsonl").read_bytes() for name in ("one", "two")]
    assert ledgers[0] == ledgers[1]


def test_names_no_file_may_have_everywhere_are_replaced_and_read_again(
    tmp_path: Path, dst: Path, recoder: SpectralRecoder, fill: Fill
) -> None:
    names = ("train\\cat.png", "9:41.png", "a\nb.png", "con.png", "plain.png")
    src = fill(tmp_path / "odd", *names)
    done = release(src, dst, recoder)
    rows = sources_of(read_release(dst), done.ledger)
    assert {row.source: file for file, row in rows.items()} == dict(
        zip(names, ("train_cat.png", "9_41.png", "a_b.png", "_con.png", "plain.png"), strict=True)
    )
    assert counts(release(src, dst, recoder)) == (0, 5, 0, 0)


def test_finished_release_is_left_alone(
    src: Path, dst: Path, recoder: SpectralRecoder, tree: Tree
) -> None:
    done = release(src, dst, recoder)
    before, ledger = tree(dst), done.ledger.read_bytes()
    times = {path: path.stat().st_mtime_ns for path in dst.rglob("*.png")}
    assert counts(release(src, dst, recoder)) == (0, 6, 0, 0)
    assert tree(dst) == before
    assert done.ledger.read_bytes() == ledger
    assert times == {path: path.stat().st_mtime_ns for path in dst.rglob("*.png")}


def test_hashes_decide_what_is_done(
    src: Path, dst: Path, recoder: SpectralRecoder, tree: Tree
) -> None:
    release(src, dst, recoder)
    before = tree(dst)
    (dst / "three.png").write_bytes(before["a/one.png"])
    (dst / "a" / "two.png").unlink()
    assert counts(release(src, dst, recoder)) == (2, 4, 0, 0)
    assert tree(dst) == before


def test_new_and_changed_sources_are_added(
    src: Path, dst: Path, recoder: SpectralRecoder, fill: Fill
) -> None:
    release(src, dst, recoder)
    first = {entry.file: entry for entry in read_release(dst).entries}
    fill(src, "a/one.gif", "three.jpg", seed=7)
    assert counts(release(src, dst, recoder)) == (2, 5, 0, 0)
    second = {entry.file: entry for entry in read_release(dst).entries}
    assert set(second) - set(first) == {"a/one.gif.png"}
    assert {name for name in first if first[name] != second[name]} == {"three.png"}
    assert read_release(dst).complete


def test_lost_ledger_is_written_again(
    src: Path, dst: Path, recoder: SpectralRecoder, tree: Tree
) -> None:
    done = release(src, dst, recoder)
    before, ledger = tree(dst), done.ledger.read_bytes()
    done.ledger.unlink()
    release(src, dst, recoder)
    assert tree(dst) == before
    assert done.ledger.read_bytes() == ledger


def test_lost_manifest_is_written_again(
    src: Path, dst: Path, recoder: SpectralRecoder, tree: Tree
) -> None:
    release(src, dst, recoder)
    before = tree(dst)
    (dst / "manifest.jsonl").write_bytes(b"")
    release(src, dst, recoder)
    assert tree(dst) == before


def test_second_strength_is_refused_before_anything_is_written(
    src: Path, tmp_path: Path, key: Key
) -> None:
    done = release(src, tmp_path / "one", SpectralRecoder(key, psnr=12.0))
    ledger = done.ledger.read_bytes()
    stronger = SpectralRecoder(key, psnr=9.0)
    with pytest.raises(ReleaseError, match="two strengths of one picture together give the"):
        release(src, tmp_path / "two", stronger, ledger=done.ledger)
    assert not (tmp_path / "two").exists()
    assert done.ledger.read_bytes() == ledger
    # The same settings into another folder, and other sources at another strength, are fine.
    again = release(src, tmp_path / "three", SpectralRecoder(key, psnr=12.0), ledger=done.ledger)
    assert counts(again) == (6, 0, 0, 0)


def test_second_strength_of_the_same_pixels_is_withheld(
    src: Path, tmp_path: Path, key: Key, fill: Fill
) -> None:
    done = release(src, tmp_path / "one", SpectralRecoder(key, psnr=12.0))
    other = fill(tmp_path / "other", "new.png", seed=9)
    with Image.open(src / "three.jpg") as picture:
        picture.save(other / "disguised.bmp")
    summary = release(other, tmp_path / "two", SpectralRecoder(key, psnr=9.0), ledger=done.ledger)
    assert counts(summary) == (1, 0, 1, 0)
    row = read_ledger(done.ledger)[-2]
    assert row.source == "disguised.bmp"
    assert "its pixels were released before with other settings" in row.reason


@pytest.mark.parametrize("change", ["strength", "format", "key", "names", "method", "check"])
def test_release_of_other_settings_is_refused(
    src: Path, dst: Path, key: Key, tree: Tree, change: str, tmp_path: Path, model: Model
) -> None:
    release(src, dst, SpectralRecoder(key, psnr=12.0))
    before = tree(dst)
    other: Recoder = SpectralRecoder(key, psnr=12.0)
    if change == "strength":
        other = SpectralRecoder(key, psnr=9.0)
    elif change == "format":
        other = SpectralRecoder(key, psnr=12.0, format="tensor")
    elif change == "key":
        other = SpectralRecoder(replace(key, secret=bytes(32)), psnr=12.0)
    elif change == "method":
        other = Fussy(key)
    with pytest.raises(
        ReleaseError, match=r"holds a release made with another .*into a new folder"
    ):
        release(
            src, dst, other, ledger=tmp_path / "fresh.jsonl",
            names="opaque" if change == "names" else "keep",
            check=model if change == "check" else None,
        )  # fmt: skip
    assert tree(dst) == before


def test_reasons_of_the_recoder_withhold(tmp_path: Path, dst: Path, key: Key, fill: Fill) -> None:
    src = fill(tmp_path / "src", "light.png")
    Image.new("RGB", (30, 30)).save(src / "dark.png")
    recoder = Fussy(key, limit=0.1)
    for expected in ((1, 0, 1, 0), (0, 1, 1, 0)):
        done = release(src, dst, recoder)
        assert counts(done) == expected
        assert [entry.file for entry in read_release(dst).entries] == ["light.png"]
        rows = {row.source: row for row in read_ledger(done.ledger)}
        assert rows["dark.png"].outcome == "withheld"
        assert rows["dark.png"].reason == "it is dark"
    assert len(read_ledger(done.ledger)) == 2


@pytest.fixture
def model(key: Key) -> Model:
    """Answers by the brightness of one pixel, through a preprocessing of its own."""

    def prepare(pictures: Sequence[Image.Image]) -> Tensor:
        stack = np.stack([fit_picture(picture, key.canvas) for picture in pictures])
        images = torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 255
        return key.canvas.normalise(key.canvas.window(images))

    class Answer:
        def run(self, pixel_values: Tensor) -> Tensor:
            bright = key.canvas.denormalise(pixel_values)[:, 0, 8, 8] > 0.5
            return nn.functional.one_hot(bright.long(), 2).float()

        def front(self, canvas: Canvas, *, layer: str | None = None) -> Front:
            return key.front

    return Model(
        name="pixel", spec="pixel", module=None, graph=Answer(), canvas=key.canvas,
        labels=("dark", "light"), fingerprint="f" * 64, prepare=prepare,
    )  # fmt: skip


@pytest.mark.parametrize("format", ["png8", "tensor"])
def test_changed_answers_are_withheld(
    tmp_path: Path, dst: Path, key: Key, fill: Fill, model: Model, format: Format
) -> None:
    src = fill(tmp_path / "src", *(f"{n:02}.png" for n in range(24)))
    done = release(src, dst, Fussy(key, format=format), check=model, workers=2)
    held = read_release(dst)
    assert done.written + done.withheld == 24
    assert 0 < done.withheld < 24
    assert held.checked == model.fingerprint
    assert all(entry.agreement for entry in held.entries)
    files = {str(path.relative_to(dst)) for path in dst.rglob("*.*") if path.name[0].isdigit()}
    assert files == {entry.file for entry in held.entries}
    rows = read_ledger(done.ledger)
    for row in rows:
        pixels = fit_picture(open_picture(src / row.source), key.canvas)
        clean = int(pixels[10, 10, 0] > 127)
        if row.outcome == "released":
            entry = next(entry for entry in held.entries if entry.file == row.file)
            assert int(held.windows([entry])[0, 0, 8, 8] > 0.5) == clean
        else:
            assert row.reason == (
                f"the authorized model answers {1 - clean} and answered {clean} on the source"
            )
    again = release(src, dst, Fussy(key, format=format), check=model)
    assert counts(again) == (0, done.written, done.withheld, 0)


def test_check_needs_the_keys_canvas(src: Path, dst: Path, key: Key, model: Model) -> None:
    other = replace(model, canvas=replace(key.canvas, height=22))
    with pytest.raises(KeyMismatch, match="canvas"):
        release(src, dst, Fussy(key), check=other)
    assert not dst.exists()


def test_opaque_names_give_nothing_away(src: Path, dst: Path, recoder: SpectralRecoder) -> None:
    done = release(src, dst, recoder, names="opaque")
    held = read_release(dst)
    rows = sources_of(held, done.ledger)
    assert {row.source for row in rows.values()} == set(NAMES)
    assert all(len(entry.file) == 36 for entry in held.entries)
    assert [entry.file for entry in held.entries] == sorted(rows)
    text = done.manifest.read_text() + "".join(os.listdir(dst))
    for name in NAMES:
        assert Path(name).stem not in text


def test_identical_sources_become_identical_files(
    src: Path, dst: Path, recoder: SpectralRecoder
) -> None:
    (src / "copy.jpg").write_bytes((src / "three.jpg").read_bytes())
    release(src, dst, recoder)
    assert (dst / "copy.png").read_bytes() == (dst / "three.png").read_bytes()


def test_progress_counts_every_source(src: Path, dst: Path, recoder: SpectralRecoder) -> None:
    (src / "dead").symlink_to(src / "nowhere")
    told: list[tuple[int, int, str]] = []
    release(src, dst, recoder, progress=lambda *facts: told.append(facts), workers=2)
    assert [done for done, *_ in told] == list(range(1, 8))
    assert {total for _, total, _ in told} == {7}
    assert [source for *_, source in told] == ["dead", *sorted(NAMES)]


def test_nothing_to_release_is_a_whole_release(
    tmp_path: Path, dst: Path, recoder: SpectralRecoder
) -> None:
    (tmp_path / "empty").mkdir()
    assert counts(release(tmp_path / "empty", dst, recoder)) == (0, 0, 0, 0)
    assert read_release(dst).complete
    assert read_release(dst).windows([]).shape == (0, 3, 16, 16)


def test_arguments_are_checked(src: Path, dst: Path, recoder: SpectralRecoder) -> None:
    with pytest.raises(InvalidArgument, match="workers: expected at least 1, found 0"):
        release(src, dst, recoder, workers=0)
    with pytest.raises(InvalidArgument, match="format: expected png8, as the recoder was made"):
        release(src, dst, recoder, format="tensor")
    assert not dst.exists()


def test_second_run_at_once_is_refused(src: Path, dst: Path, recoder: SpectralRecoder) -> None:
    started, go_on = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        started.set()
        go_on.wait(20)

    first = threading.Thread(target=release, args=(src, dst, recoder), kwargs={"progress": wait})
    first.start()
    try:
        assert started.wait(20)
        with pytest.raises(ReleaseError, match="another process is writing"):
            release(src, dst, recoder)
    finally:
        go_on.set()
        first.join(20)
    assert read_release(dst).complete


def test_disk_that_lies_is_noticed(
    src: Path, dst: Path, recoder: SpectralRecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.read_bytes

    def read_bytes(self: Path) -> bytes:
        data = real(self)
        return data[:-1] if self.parent.name == ".catch11" else data

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(ReleaseError, match="the file read back differs from what was written"):
        release(src, dst, recoder)


def test_nothing_secret_is_public(src: Path, dst: Path, recoder: SpectralRecoder, key: Key) -> None:
    done = release(src, dst, recoder)
    header = json.loads(done.manifest.read_bytes().split(b"\n")[0])
    assert header["key"] == key.fingerprint
    for text in (done.manifest.read_bytes(), done.ledger.read_bytes()):
        assert key.secret.hex().encode() not in text
