"""Everything that goes wrong on purpose; each error carries `.hint`, the next thing to try.

JarvisError
├─ SettingsError      something needed is missing or malformed, before any request
├─ PlanError          the request makes no sense (name, e-mail, region, size), before any request
├─ LedgerError        the record refuses: no such workspace, two of that name, another process works on it
│   └─ AlreadyThere   that e-mail has a workspace; it is in `.workspace`
├─ EngineError        no Docker Engine, or it refuses
├─ BuildError         the image could not be built
├─ PlatformError      the embedded platform can not start or stop
├─ UntestedImage      an image that has not proved itself
├─ RegistryError      a registry refuses, or what was pushed did not arrive
├─ BackupError        a copy could not be made, found, proven or brought back
├─ Unreachable        no answer came; `.sent` says whether what was asked may have happened all the same
├─ ApiError           an answer came and it was no: status, code, message, method, path, request_id
│   └─ NotAllowed  NotFound  NameTaken  NoCapacity  TooMany  PlatformBroken
├─ NotInTime          what was waited for did not come: wanted, last seen, seconds waited
├─ ProvisionError     a step failed: which, what was undone, what was left behind; cause chained
└─ ChangeError        a workspace could not be changed: at which step, and how it was left; cause chained
"""

# ruff: noqa: N818 - they are read after "raise" and "except", where NotFound says it all.

from collections.abc import Sequence


class JarvisError(Exception):
    """What failed, in a sentence; `hint` is the next thing to try."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SettingsError(JarvisError):
    """Something needed is missing or malformed."""


class PlanError(JarvisError):
    """The request makes no sense."""


class LedgerError(JarvisError):
    """The record refuses."""


class AlreadyThere(LedgerError):
    """That e-mail has a workspace."""

    def __init__(self, message: str, *, workspace: object, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.workspace = workspace


class EngineError(JarvisError):
    """No Docker Engine, or it refuses."""


class BuildError(JarvisError):
    """The image could not be built."""


class PlatformError(JarvisError):
    """The embedded platform can not start or stop."""


class UntestedImage(JarvisError):
    """An image that has not proved itself."""


class RegistryError(JarvisError):
    """A registry refuses, or what was pushed did not arrive."""


class BackupError(JarvisError):
    """A copy could not be made, found, proven or brought back."""


class Unreachable(JarvisError):
    """No answer came. Where `sent` is false, nothing can have happened on the other side."""

    def __init__(self, message: str, *, sent: bool, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.sent = sent


class ApiError(JarvisError):
    """An answer came and it was no; `code` is the platform's own word (`name_taken`) or empty."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        method: str = "",
        path: str = "",
        request_id: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.method = method
        self.path = path
        self.request_id = request_id


class NotAllowed(ApiError):
    """The token is wrong, or may not do this."""


class NotFound(ApiError):
    """It is not there, or no longer."""


class NameTaken(ApiError):
    """An app of that name exists already: ours or another's."""


class NoCapacity(ApiError):
    """The region or the host is full."""


class TooMany(ApiError):
    """Too many requests; nothing was done. `retry_after_s` is 0 where the platform named no time."""

    retry_after_s: float = 0.0


class PlatformBroken(ApiError):
    """The platform failed, or its answer makes no sense: what was asked may or may not have happened."""


class NotInTime(JarvisError):
    """What was waited for did not come."""

    def __init__(self, message: str, *, wanted: str, seen: str, waited_s: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.wanted = wanted
        self.seen = seen
        self.waited_s = waited_s


class ProvisionError(JarvisError):
    """A step of making or unmaking a workspace failed."""

    def __init__(
        self,
        message: str,
        *,
        step: str,
        undone: Sequence[str] = (),
        left_behind: Sequence[str] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.step = step
        self.undone = tuple(undone)
        self.left_behind = tuple(left_behind)


class ChangeError(JarvisError):
    """A workspace could not be changed.

    `outcome` says how it was left: untouched, returned, restored, or the step where the next run goes on.
    """

    def __init__(self, message: str, *, outcome: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.outcome = outcome
