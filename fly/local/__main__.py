"""`python -m fly.local`: the embedded platform in the foreground, until it is told to end."""

import argparse
import asyncio
import logging
import signal
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

import uvloop

from fly.errors import PlatformError
from fly.local.gauges import EVERY_S
from fly.local.service import Options, platform

LOG_BYTES = 5 << 20


def main() -> int:
    options, log_file = _options()
    _log_to(log_file)
    try:
        uvloop.run(_run(options))
    except PlatformError as error:
        hint = f"\n  Try: {error.hint}" if error.hint else ""
        print(f"{error}{hint}", file=sys.stderr)
        return 2
    return 0


def _options() -> tuple[Options, Path | None]:
    parser = argparse.ArgumentParser(prog="python -m fly.local", description=__doc__)
    parser.add_argument(
        "--state-dir", type=Path, required=True, help="where its records, its token and its logs lie"
    )
    parser.add_argument(
        "--api-port", type=_port, default=4280, help="0 for any free one (default: %(default)s)"
    )
    parser.add_argument(
        "--door-port", type=_port, default=8080, help="0 for any free one (default: %(default)s)"
    )
    parser.add_argument(
        "--certificate", type=Path, help="a certificate (PEM): the door then speaks https; needs --key"
    )
    parser.add_argument("--key", type=Path, help="its private key (PEM)")
    parser.add_argument("--log", type=Path, help="a file to log to instead of stderr")
    parser.add_argument(
        "--idle-after",
        type=_seconds,
        default=300.0,
        metavar="SECONDS",
        help="a machine sleeps so long after its last use (default: %(default)g)",
    )
    parser.add_argument(
        "--max-awake",
        type=_seconds,
        metavar="SECONDS",
        help="a machine that has been awake so long sleeps, whatever happens (default: never)",
    )
    parser.add_argument(
        "--look-every",
        type=_seconds,
        default=EVERY_S,
        metavar="SECONDS",
        help="how often it looks at what machines use (default: %(default)g)",
    )
    parser.add_argument(
        "--label",
        type=_label,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another label for all that it makes in the engine",
    )
    parser.add_argument(
        "--like-fly",
        action=argparse.BooleanOptionalAction,
        help="as slow and as strict as Fly; kept until it is said otherwise",
    )
    given = parser.parse_args()
    if bool(given.certificate) is not bool(given.key):
        parser.error("--certificate and --key belong together")
    options = Options(
        state_dir=given.state_dir.resolve(),
        api_port=given.api_port,
        door_port=given.door_port,
        idle_after_s=given.idle_after,
        max_awake_s=given.max_awake,
        look_every_s=given.look_every,
        labels=dict(given.label),
        certificate=given.certificate.resolve() if given.certificate else None,
        key=given.key.resolve() if given.key else None,
        like_fly=given.like_fly,
    )
    return options, given.log


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _log_to(path: Path | None) -> None:
    handler: logging.Handler = logging.StreamHandler()
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=2)
        path.chmod(0o600)
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, handlers=[handler], format=form)


async def _run(options: Options) -> None:
    ended = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, ended.set)
    async with platform(options) as about:
        logging.getLogger("fly.local").info(
            "the API is at %s, the door at %s", about["api_url"], about["door_url"]
        )
        await ended.wait()


if __name__ == "__main__":
    sys.exit(main())
