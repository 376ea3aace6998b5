"""`catch11 baseline`: bad parameters are one sentence and exit status 2; rows are those of Table 3."""

import json

import pytest
from typer.testing import CliRunner

from catch11.baselines.fhe_memory import Memory
from catch11.cli import app
from catch11.studies.table3 import compute as table3_compute

WIDE = {"COLUMNS": "240"}
NET = "31,26,26,26,26,26,26,31"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("dp-head --epsilon 0", "epsilon: expected a finite number above 0, found 0.0."),
        ("dp-net --epsilon -1", "epsilon: expected a finite number above 0, found -1.0."),
        ("diffprivlib --epsilon nan", "epsilon: expected a finite number above 0, found nan."),
        ("dp-head --epsilon 1 --epsilon inf", "epsilon: expected a finite number above 0"),
        ("dp-net --delta 0", "delta: expected a number between 0 and 1, found 0.0."),
        ("dp-net --delta 1", "delta: expected a number between 0 and 1"),
        ("dp-head --delta nan", "delta: expected a number between 0 and 1, found nan."),
        ("diffprivlib --delta 1e-5", "--delta: expected with dp-net or dp-head"),
        ("dp-net --degree 3", "--degree: expected with polynomials, found dp-net."),
        ("ckks-net --primes 31,26,26,31", "expected 6 primes between the first and the last"),
        ("ckks-net --primes 60,40,60", "for the convolutional net, found 1; add primes"),
        (f"ckks-net --ring 4096 --primes {NET}", "bits: expected at most 109 in all"),
        ("ckks-layer --ring 0", "degree: expected one of 1024"),
        ("ckks-layer --ring -8192", "degree: expected one of 1024"),
        ("ckks-layer --primes 60,60", "bits: expected three primes or more"),
        ("ckks-layer --primes 60,nan,60", "--primes: expected whole numbers"),
        ("ckks-layer --primes 60,-40,60", "bits: expected three primes or more of 20 to 60"),
        ("ckks-layer --primes 40,40,40", "scale: expected as many bits as each middle prime"),
        ("polynomials --degree 0", "degree: expected 1 to 64, found 0."),
        ("polynomials --degree 3 --degree -2", "degree: expected 1 to 64, found -2."),
        ("polynomials --fit splines", "fit: expected least-squares or chebyshev"),
        ("polynomials --count 0", "count: expected 1 or more, found 0."),
        ("magic", "way: expected one of dp-net"),
        ("polynomials --on stars", "task: expected one of digits"),
        ("dp-net --on thumbnails", "task: expected digits for dp-net"),
        ("dp-head --on photographs", "task: expected digits or thumbnails"),
    ],
)
def test_a_bad_parameter_is_one_sentence(words: str, said: str) -> None:
    done = CliRunner().invoke(app, ["baseline", *words.split()], env=WIDE)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_polynomials_of_the_degrees_asked_for() -> None:
    words = ["baseline", "polynomials", "--degree", "2", "--degree", "7", "--count", "20", "--json"]
    done = CliRunner().invoke(app, words, env=WIDE)
    assert done.exit_code == 0, done.output
    records = json.loads(done.stdout)["records"]
    methods = list(dict.fromkeys(r["settings"]["method"].split(", least")[0] for r in records))
    assert methods == ["clean files", "polynomials, degree 2", "polynomials, degree 7"]
    assert {r["command"] for r in records} == {"catch11 baseline polynomials"}
    assert all(r["versions"] and r["settings"]["task"] == "digits" for r in records)


def test_private_heads_print_what_they_protect() -> None:
    words = ["baseline", "dp-head", "--epsilon", "2", "--delta", "1e-4", "--count", "20"]
    done = CliRunner().invoke(app, words, env=WIDE)
    assert done.exit_code == 0, done.output
    (row,) = [line for line in done.stdout.splitlines() if "ε = 2" in line and "as clean" in line]
    assert "training members, against whoever holds the weights; inference is not gated" in row
    assert "0.0001" in done.stdout


def test_an_encrypted_layer_stands_beside_an_nte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table3_compute, "memory", lambda *asked: Memory(keys=10, peak=20))
    words = ["baseline", "ckks-layer", "--primes", "50,35,50", "--count", "2", "--json"]
    done = CliRunner().invoke(app, words, env=WIDE)
    assert done.exit_code == 0, done.output
    records = json.loads(done.stdout)["records"]
    seconds = {
        r["settings"]["method"]: r["value"]
        for r in records
        if r["metric"] == "CPU seconds an input"
    }
    assert seconds["CKKS, last layer"] > seconds["NTE, spectral"] > 0
    metrics = {r["metric"]: r["value"] for r in records}
    assert metrics["bytes of memory, both sides, at most"] == 20
    assert metrics["bytes of secret key, never sent"] > 0
    assert metrics["largest error of a logit, relative"] < 1e-3
