"""What the gateway refuses: one sentence and the HTTP status that goes with it."""

from catch11.errors import Catch11Error


class Refused(Catch11Error):
    """A request or an order that is not carried out. status: of HTTP, 400 to 499, or 503."""

    status = 422

    def __init__(self, sentence: str, *, status: int | None = None, wait: float = 0.0) -> None:
        self.status = self.status if status is None else status
        self.wait = wait
        super().__init__(sentence)


class Unknown(Refused):
    """Something that is not there, or not there for this tenant: the two look alike."""

    status = 404

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"there is no {what} {name[:80]!r} here; see the list of them.")


class Unauthorized(Refused):
    """No token, or one that is not valid."""

    status = 401


class Forbidden(Refused):
    """A valid token without the scope, or a tenant without the grant."""

    status = 403


class Revoked(Refused):
    """A key that was revoked, also while a job of it ran."""

    status = 410

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the key {key[:80]} was revoked: nothing is recoded or handed out with it."
        )
