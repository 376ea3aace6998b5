"""The database: made by its migrations, opened by one master secret, holding nothing secret in the plain."""

import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from catch11.errors import Catch11Error, InvalidArgument
from catch11.serve.master import read_master
from catch11.serve.store import Store, open_store
from catch11.serve.tables import Base
from tests.serve.conftest import MASTER


def test_migrations_make_the_tables_that_the_code_reads(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_opens_again_with_its_master_secret_alone(tmp_path: Path, store: Store) -> None:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    assert open_store(url, MASTER, cost=10).data_key == store.data_key
    with pytest.raises(Catch11Error, match="the vault does not open"):
        open_store(url, "another master secret", cost=10)


def test_the_file_is_its_owners_and_the_repr_says_nothing(tmp_path: Path, store: Store) -> None:
    assert stat.S_IMODE((tmp_path / "gateway.db").stat().st_mode) == 0o600
    assert repr(store) == "Store(sqlite)"


@pytest.mark.parametrize("url", ["nonsense", "nodb://x", "mysql://user:hidden@host/db"])
def test_bad_urls_are_one_sentence_without_the_password(url: str) -> None:
    with pytest.raises(InvalidArgument, match="db: expected sqlite:") as caught:
        open_store(url, MASTER, cost=10)
    assert "hidden" not in str(caught.value)


def test_master_from_file_environment_or_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "master"
    made = read_master(path, make=True)
    assert read_master(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.setenv("CATCH11_MASTER", MASTER)
    assert read_master() == MASTER
    monkeypatch.setenv("CATCH11_MASTER_FILE", str(path))
    assert read_master() == made
    monkeypatch.delenv("CATCH11_MASTER_FILE")
    monkeypatch.setenv("CATCH11_MASTER", "short")
    with pytest.raises(InvalidArgument, match="16 characters or more, found 5"):
        read_master()
    monkeypatch.delenv("CATCH11_MASTER")
    monkeypatch.setattr("catch11.serve.master._from_keyring", lambda: None)
    with pytest.raises(InvalidArgument, match="expected one in CATCH11_MASTER"):
        read_master()
    monkeypatch.setattr("catch11.serve.master._from_keyring", lambda: MASTER)
    assert read_master() == MASTER
