"""What an operator types about workspaces and the platform that they run on."""

import os
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit

from fly import console, ledger, plan, provision, settings
from fly.client import Client
from fly.console import say, step, verb
from fly.ledger import Ledger
from fly.local import process
from fly.settings import Platform, Settings

ROOT = Path(__file__).resolve().parent.parent
