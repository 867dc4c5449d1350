"""How the platform says no: the codes and the words that Fly uses."""


class Refusal(Exception):  # noqa: N818 — an answer, not a fault
    """An answer that is an error: `{"error": …, "status": …}` under a code."""

    def __init__(self, code: int, error: str, status: str | None = None) -> None:
        super().__init__(error)
        self.code = code
        self.error = error
        self.status = status

    def body(self) -> dict[str, str]:
        return {"error": self.error} | ({"status": self.status} if self.status else {})


def invalid(error: str) -> Refusal:
    return Refusal(400, f"invalid_argument: {error}")


def unprocessable(error: str, status: str | None = None) -> Refusal:
    return Refusal(422, f"Validation failed: {error}", status)


def missing(what: str) -> Refusal:
    """Such as `machine not found`."""
    return Refusal(404, f"{what} not found")


def precondition(error: str) -> Refusal:
    return Refusal(412, f"failed_precondition: {error}")


def aborted(error: str) -> Refusal:
    return Refusal(409, f"aborted: {error}")
