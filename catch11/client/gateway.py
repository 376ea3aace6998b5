"""Gateway: the HTTP calls of a client, each of which says what was refused in the gateway's own sentence."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from catch11.errors import Catch11Error, InvalidArgument
from catch11.lab import needed

_TRIES = 6  # of a call that fails on the way
_WAIT = 0.5  # seconds before the second; doubled each time
_POLL = 0.5  # seconds between two looks at a job
_ENDED = ("done", "failed", "cancelled")
Method = Literal["GET", "POST", "PUT", "DELETE"]


class GatewayError(Catch11Error, OSError):
    """What a gateway refused, or that it cannot be reached. status: of HTTP, 0 where there was no answer."""

    def __init__(self, sentence: str, *, status: int = 0) -> None:
        self.status, self.text = status, sentence
        Exception.__init__(self, sentence)

    def __str__(self) -> str:
        return self.text


class Gateway:
    """A gateway at an address, asked with a token. Its repr shows the address alone.

    Tokens go over https, or to this machine itself. Raises InvalidArgument otherwise, MissingExtra.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 60.0) -> None:
        httpx = needed("httpx", "serve")
        parts = urlsplit(url)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or (parts.scheme == "http" and not local)
        ):
            expected = "https://HOST, or http:// on this machine, as a token goes there"
            raise InvalidArgument("server", expected=expected, found=url)
        if not token or not token.isascii() or not token.isprintable():
            raise InvalidArgument(
                "token", expected="the gateway's token in CATCH11_TOKEN", found="none"
            )
        self.url = url.rstrip("/")
        self._faults = (httpx.TransportError,)
        self._client = httpx.Client(
            base_url=self.url, timeout=timeout, headers={"authorization": f"Bearer {token}"}
        )

    def __repr__(self) -> str:
        return f"Gateway({self.url!r})"

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def granted_keys(self) -> list[dict[str, Any]]:
        """The keys that this token may use."""
        return list(self._json("GET", "/v1/keys"))

    def create(self, ask: Mapping[str, Any], *, again: str | None = None) -> str:
        """A new job; its id. again: a name of this request, so that asking twice makes one job."""
        headers = {} if again is None else {"idempotency-key": again}
        return str(self._json("POST", "/v1/jobs", json=dict(ask), headers=headers)["id"])

    def upload(self, job: str, name: str, data: bytes) -> None:
        """One file of a job. Raises GatewayError."""
        self._json("PUT", f"/v1/jobs/{job}/parts/{quote(name)}", content=data)

    def start(self, job: str) -> None:
        """The job has all its files."""
        self._json("POST", f"/v1/jobs/{job}/start")

    def job(self, job: str) -> dict[str, Any]:
        """A job and what became of its files."""
        return dict(self._json("GET", f"/v1/jobs/{job}"))

    def cancel(self, job: str) -> None:
        """End a job, or delete one that ended."""
        self._call("DELETE", f"/v1/jobs/{job}")

    def moves(self, job: str) -> Iterator[dict[str, Any]]:
        """A job again and again, until it ended."""
        while True:
            found = self.job(job)
            yield found
            if found["state"] in _ENDED:
                return
            time.sleep(_POLL)

    def ledger(self, job: str) -> bytes:
        """Which source became which file."""
        return bytes(self._call("GET", f"/v1/jobs/{job}/ledger").content)

    def fetch(self, job: str, name: str, path: Path) -> None:
        """One released file to a path; what is there of it already is not fetched again."""
        rough = path.with_name(f"{path.name[:200]}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        for last in self._tries():
            have = rough.stat().st_size if rough.exists() else 0
            headers = {"range": f"bytes={have}-"} if have else {}
            address = f"/v1/jobs/{job}/files/{quote(name)}"
            try:
                with self._client.stream("GET", address, headers=headers) as answer:
                    if answer.status_code == 416:
                        rough.unlink()
                        continue
                    if answer.status_code >= 400:
                        answer.read()
                    self._check(answer)
                    with open(rough, "ab" if answer.status_code == 206 else "wb") as file:
                        for block in answer.iter_bytes():
                            file.write(block)
            except self._faults as error:
                self._give_up(last, error)
                continue
            rough.replace(path)
            return
        raise GatewayError(
            f"{self.url}: {name[:60]} could not be fetched whole; run the same again."
        )

    def _json(self, method: Method, path: str, **said: Any) -> Any:
        try:
            return self._call(method, path, **said).json()
        except ValueError:
            raise GatewayError(
                f"{self.url}: expected a catch11 gateway, found something else."
            ) from None

    def _call(self, method: Method, path: str, **said: Any) -> Any:
        """A call, again where it failed on the way or the gateway asks to wait. All calls bear repeating."""
        for last in self._tries():
            try:
                answer = self._client.request(method, path, **said)
            except self._faults as error:
                self._give_up(last, error)
                continue
            if answer.status_code in (429, 503) and not last:
                time.sleep(min(30.0, float(answer.headers.get("retry-after", "1"))))
                continue
            self._check(answer)
            return answer
        raise AssertionError("the last try returns or raises")

    @staticmethod
    def _tries() -> Iterator[bool]:
        for number in range(_TRIES):
            yield number == _TRIES - 1
            time.sleep(_WAIT * 2**number)

    def _give_up(self, last: bool, error: Exception) -> None:
        if last:
            sentence = f"{self.url}: the gateway cannot be reached ({type(error).__name__}); run the same again."
            raise GatewayError(sentence) from None

    def _check(self, answer: Any) -> None:
        if answer.status_code < 400:
            return
        try:
            sentence = str(answer.json()["error"])
        except (ValueError, LookupError, TypeError):
            sentence = f"{self.url}: expected a catch11 gateway, found status {answer.status_code}."
        raise GatewayError(sentence, status=answer.status_code)


@contextmanager
def told_once(sentence: str) -> Iterator[None]:
    """Trouble with the disk as one sentence."""
    try:
        yield
    except OSError as error:
        if isinstance(error, Catch11Error):
            raise
        raise GatewayError(f"{sentence}: {error.strerror or error}; run the same again.") from None
