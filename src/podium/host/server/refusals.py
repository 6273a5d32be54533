"""What the server refuses, with the HTTP status that says why."""

from __future__ import annotations

from podium.errors import BoardError


class Refusal(BoardError):
    """A request that the host cannot or will not serve.

    Attributes:
        status: The HTTP status: 400 wrong, 401 who are you, 403 not yours, 404 no such thing, 409 at odds with what is
            there, 413 too large, 416 no such range, 429 too often, 503 not now.
    """

    status = 400

    def __init__(self, found: str, *, where: str = "", expected: str = "", remedy: str = "", status: int = 0) -> None:
        super().__init__(found, where=where, expected=expected, remedy=remedy)
        self.status = status or type(self).status

    @property
    def message(self) -> str:
        """All of it in one line, as clients print it."""
        parts = [f"expected: {self.expected}" if self.expected else "", self.remedy]
        return "; ".join([self.found, *filter(None, parts)])


class Unknown(Refusal):
    """No such competition, team, submission or file, or none that this user may see."""

    status = 404


class Forbidden(Refusal):
    """Something that this user may not do."""

    status = 403


class Unauthorised(Refusal):
    """No valid token, key or session."""

    status = 401


class Conflict(Refusal):
    """Something that does not go together with what is there."""

    status = 409


class TooMany(Refusal):
    """More than the limits allow."""

    status = 429
