"""The demo: a gateway with EfficientNet-Lite0 authorized, in a folder that is gone afterwards."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from catch11.keys.key import build_key
from catch11.serve.grants import add_grant
from catch11.serve.service import Service
from catch11.serve.settings import Settings
from catch11.serve.store import open_store
from catch11.serve.tokens import create_token
from catch11.serve.vault import Models, add_key
from catch11.studies.nets.lite import lite
from catch11.studies.nets.pupil import pupil
from catch11.studies.photographs import write_pictures

NETS = "py:catch11.studies.nets.lite:lite"
SAMPLES = 6
_COST = 12  # of scrypt: the folder and its secret end together


@dataclass(frozen=True, slots=True)
class Demo:
    """service: not running yet. token: of a tenant who may do everything. samples: photographs to drop."""

    service: Service
    token: str
    samples: Path


@contextmanager
def demo_gateway() -> Iterator[Demo]:
    """Lite0 authorized; Lite1, Lite2 and a small net that is trained now beside it. Nothing is downloaded.
    Raises MissingExtra."""
    key = build_key(lite(0))
    small = pupil().spec
    with TemporaryDirectory(prefix="catch11-demo-") as folder:
        home = Path(folder)
        write_pictures(home / "samples", count=SAMPLES)
        store = open_store(f"sqlite:///{home / 'gateway.db'}", secrets.token_hex(32), cost=_COST)
        models = Models(model=f"{NETS}0", rivals=(f"{NETS}1", f"{NETS}2", small))
        add_key(store, "EfficientNet-Lite0", key, models=models)
        add_grant(store, "EfficientNet-Lite0", "demo", keep=("answer", "scores", "all"), purpose="demo", quota=20)  # fmt: skip
        token = create_token(store, "demo", ["recode", "verify", "admin"], days=1.0)
        yield Demo(Service(store, Settings(home=home)), token, home / "samples")
        store.close()
