"""Signing in and out, and the devices that are in."""

import asyncio
import contextlib
import math
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from webapp.config import Config
from webapp.credential import CLOSED, LINK, NONE, PASSWORD
from webapp.devices import Device, Devices, device_name
from webapp.jsonfile import read_object, save_object
from webapp.problem import Problem, json_object, not_found
from webapp.throttle import Throttle
from webapp.told import Places

FOR_GOOD_S = 400 * 24 * 3600  # browsers keep no cookie for longer; every visit begins it anew


class Access:
    def __init__(self, config: Config) -> None:
        self._credential = config.credential
        self._devices = Devices(config.app / "devices.json", config.credential.mark)
        self._attempts = config.app / "attempts.json"
        self._throttle = Throttle(read_object(self._attempts), config.credential.mark)
        self._is_public_secure = config.url.startswith("https://")
        self.places = Places()
        self._checking = asyncio.Semaphore(1)  # a password's check takes memory and a core
        self._saving: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the operator asked for no login at all."""
        return self._credential.login == NONE

    def device_of(self, headers: Headers) -> Device | None:
        """The signed-in device that sent these headers."""
        if self._credential.login not in {LINK, PASSWORD}:
            return None
        device = self._devices.of(self._token(headers))
        if device and self._devices.is_save_due and not (self._saving and not self._saving.done()):
            self._saving = asyncio.create_task(self._note())
        return device

    def is_in(self, device_id: str) -> bool:
        """Whether this device may still come in; "" is any, where nobody has to sign in."""
        return self._devices.get(device_id) is not None if device_id else self.is_open

    def came_in(self, scope: Scope, headers: Headers) -> None:
        """Somebody who may is here: counted by place, and not remembered."""
        self.places.note(_address(scope, headers))

    def renew(self, sent: MutableHeaders, asked: Headers) -> None:
        """Begins the cookie of a device that is in anew."""
        self._set_cookie(sent, asked, self._token(asked), FOR_GOOD_S)

    async def close(self) -> None:
        if self._credential.login in {LINK, PASSWORD}:
            await self._note()

    async def _note(self) -> None:
        """Writes down when each was here; a full disk keeps nobody out."""
        with contextlib.suppress(Problem):
            await self._devices.save()

    # --- the cookie -------------------------------------------------------------------------------

    def _is_secure(self, headers: Headers) -> bool:
        """Where the public address is one of https, whatever a proxy leaves out."""
        return self._is_public_secure or headers.get("x-forwarded-proto") == "https"

    def _cookie_name(self, headers: Headers) -> str:
        """Over https one that no other host and no plain http can have set."""
        return "__Host-jarvis" if self._is_secure(headers) else "jarvis"

    def _token(self, headers: Headers) -> str:
        scope = {"type": "http", "headers": headers.raw}
        return HTTPConnection(scope).cookies.get(self._cookie_name(headers), "")

    def _set_cookie(self, sent: MutableHeaders, asked: Headers, token: str, max_age_s: int) -> None:
        response = Response()
        name, secure = self._cookie_name(asked), self._is_secure(asked)
        response.set_cookie(name, token, max_age_s, secure=secure, httponly=True, samesite="strict")
        sent.append("set-cookie", response.headers["set-cookie"])

    # --- routes -----------------------------------------------------------------------------------

    def routes(self) -> list[Route]:
        return [
            Route("/api/login", self._way),
            Route("/api/login", self._sign_in, methods=["POST"]),
            Route("/api/access", self._list),
            Route("/api/access/sign-out", self._sign_out_this, methods=["POST"]),
            Route("/api/access/sign-out-everywhere", self._sign_out_all, methods=["POST"]),
            Route("/api/access/devices/{id}", self._sign_out_one, methods=["DELETE"]),
        ]

    async def _way(self, request: Request) -> Response:
        signed_in = self.is_open or self.device_of(request.headers) is not None
        return JSONResponse({"login": self._credential.login, "signed_in": signed_in})

    async def _sign_in(self, request: Request) -> Response:
        await self._prove(request, await json_object(request))
        response = Response(status_code=204)
        if self.device_of(request.headers):
            self.renew(response.headers, request.headers)
        elif not self.is_open:
            token = self._devices.admit(device_name(request.headers.get("user-agent", "")))
            await self._note()
            self._set_cookie(response.headers, request.headers, token, FOR_GOOD_S)
        return response

    async def _list(self, request: Request) -> Response:
        current = _current(request)
        devices = [device.json(current) for device in self._devices.listed(current)]
        return JSONResponse({"login": self._credential.login, "devices": devices})

    async def _sign_out_this(self, request: Request) -> Response:
        return await self._sign_out(request, [self._needed(request)])

    async def _sign_out_all(self, request: Request) -> Response:
        return await self._sign_out(request, self._devices.listed(self._needed(request)))

    async def _sign_out_one(self, request: Request) -> Response:
        device = self._devices.get(request.path_params["id"])
        if device is None:
            raise not_found("such device")
        return await self._sign_out(request, [device])

    async def _sign_out(self, request: Request, devices: list[Device]) -> Response:
        self._devices.sign_out(devices)
        await self._devices.save()
        response = Response(status_code=204)
        if _current(request) in devices:
            self._set_cookie(response.headers, request.headers, "", 0)
            # Drafts and what was shown last; attached files and pictures.
            response.headers["clear-site-data"] = '"storage", "cache"'
        return response

    def _needed(self, request: Request) -> Device:
        if device := _current(request):
            return device
        message = "Nobody is signed in here: this workspace is open to whoever has its address."
        raise Problem(409, "no_login", message)

    # --- what lets one in -------------------------------------------------------------------------

    async def _prove(self, request: Request, given: Mapping[str, object]) -> None:
        """Errors: Problem 401 for what is wrong, 403 where nobody is let in, 429 for too many attempts."""
        address = _address(request.scope, request.headers)
        match self._credential.login:
            case login if login == LINK:
                self._prove_key(_given(given, "key"), address)
            case login if login == PASSWORD:
                await self._prove_password(_given(given, "user"), _given(given, "password"), address)
            case login if login == CLOSED:
                message = "Nobody can sign in here: no way to do so was set up."
                raise Problem(403, "closed", message, "Ask the person who gave you this address.")

    def _prove_key(self, key: str, address: str) -> None:
        """The right key opens always: it cannot be guessed, so nobody who has it is kept waiting."""
        if self._credential.is_key(key):
            return
        self._slow_down(address)
        message = "This link is no longer valid."
        raise Problem(401, "wrong_key", message, "Ask the person who sent it for a new one.")

    async def _prove_password(self, user: str, password: str, address: str) -> None:
        self._slow_down(address)
        async with self._checking:
            await self._note_attempts()  # before the check: who kills the server in it has tried all the same
            right = await asyncio.to_thread(self._credential.is_password, user, password)
            if not right:
                raise Problem(401, "wrong_password", "The name or the password is wrong.")
            self._throttle.was_right(address)
            await self._note_attempts()

    async def _note_attempts(self) -> None:
        """Writes down what was tried; a full disk keeps nobody out."""
        with contextlib.suppress(Problem):
            await asyncio.to_thread(save_object, self._attempts, self._throttle.json(), "What was tried")

    def _slow_down(self, address: str) -> None:
        if wait_s := math.ceil(self._throttle.take(address)):
            message = f"Too many attempts. The next one is possible in {wait_s} s."
            raise Problem(429, "slow_down", message, headers={"retry-after": str(wait_s)})


def device_id(request: Request) -> str:
    """The device that asks; "" where nobody has to sign in."""
    device = _current(request)
    return device.id if device else ""


def _given(values: Mapping[str, object], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise Problem(400, "bad_login", f"{name} must be a text.")
    return value


def _current(request: Request) -> Device | None:
    """The device that asks, as the gate has found it."""
    device = request.scope.get("state", {}).get("device")
    return device if isinstance(device, Device) else None


def _address(scope: Scope, headers: Headers) -> str:
    """Where the browser is: Fly's proxy, and the embedded door, say so and let nobody else say it."""
    direct: str = (scope.get("client") or ("", 0))[0]
    return headers.get("fly-client-ip", "") or direct
