"""The study of unlicensed training: each kind of lesson, and a net that learns from good ones."""

from pathlib import Path

import torch

from catch11.studies.frame import run_study
from catch11.studies.place import Place
from catch11.studies.training import LESSONS, STUDY, net, train

torch.set_num_threads(1)


def test_every_kind_of_lesson_is_judged_on_clean_pictures(tmp_path: Path) -> None:
    done = run_study(STUDY, Place(config="digits"), out=tmp_path)
    kinds = [record.settings["method"] for record in done.records]
    assert kinds == list(LESSONS)
    assert all(record.attack == "training-use" and record.n == 24 for record in done.records)
    assert all("study training" in str(record.command) for record in done.records)


def test_a_net_learns_and_repeats() -> None:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(120) % 3
    windows = 0.2 * torch.rand(120, 1, 16, 16, generator=generator)
    for place, label in enumerate(labels.tolist()):
        windows[place] += 0.3 * label  # brightness
    answers = []
    for _ in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            learner = net(1, 3, 8)
        seeded = torch.Generator().manual_seed(0)
        train(learner, windows, labels, epochs=10, generator=seeded)
        answers.append(learner(windows - 0.5))
    assert float((answers[0].argmax(1) == labels).float().mean()) > 0.9
    assert torch.equal(*answers)
