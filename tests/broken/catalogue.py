"""Images that are broken on purpose, each in one way, and the promise that each of them breaks.

Every one is the good image and a layer or two. What cannot be told from the good one by the tests would reach
a user: so each names the tests that have to fail, and what they have to complain of.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

ENTRYPOINT = "/opt/jarvis/entrypoint.sh"
WEBAPP = "/opt/jarvis/app/webapp"
WRAPPER = "/usr/local/bin/claude"
LOGS_IN = 'if [ "${1-}" = authenticate ]; then shift; set -- auth login "$@"; fi'
"""The line of the wrapper by which `claude authenticate` is a login."""

STANDS_ALONE = (
    "image/test_contents.py::test_labels_say_what_it_is",
    "image/test_contents.py::test_nobody_has_a_password",
    "image/test_shared_facts.py::test_the_health_path_is_the_plans",
)
"""Promises that hold whether or not the server starts."""
WHILE_IT_RUNS = ("image/test_contents.py::test_the_clock_is_utc",)
"""Promises that hold as long as it starts at all."""


@dataclass(frozen=True)
class Broken:
    """One broken image."""

    name: str
    breaks: str
    layers: tuple[str, ...]
    """Dockerfile lines on top of the good image."""
    fails: tuple[str, ...]
    """Tests that must fail, from `tests/` on; without brackets: at least one case of it."""
    because: str
    """A regular expression that each of those failures shows."""
    holds: tuple[str, ...] = STANDS_ALONE + WHILE_IT_RUNS
    """Tests that must pass nevertheless."""
    whole: str = ""
    """What the whole of `verify` has to say of it, where that is more than the tests say."""


def edit(path: str, *changes: tuple[str, str]) -> str:
    """A line that replaces text in a file of the image; it fails where the text is missing.

    A module of the server is compiled anew: its bytecode is never compared with its source.
    """
    script = (
        "import compileall, json, pathlib, py_compile, sys\n"
        "path = pathlib.Path(sys.argv[1]); text = path.read_text()\n"
        "for old, new in json.loads(sys.argv[2]):\n"
        "    assert text.count(old) == 1, f'{text.count(old)} times in {path}: {old}'\n"
        "    text = text.replace(old, new)\n"
        "path.write_text(text)\n"
        "unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH\n"
        "good = path.suffix != '.py' or compileall.compile_file(path, force=True, quiet=1, "
        "invalidation_mode=unchecked)\n"
        "assert good, path\n"
    )
    return "RUN " + json.dumps(["python3", "-ISc", script, path, json.dumps(changes)])


def append_to_page(pattern: str, text: str) -> str:
    """A line that adds to a file of the built page; it fails where not exactly one has such a name.

    `WEIGHT` in the text becomes 80 KB that nothing compresses.
    """
    script = (
        "import gzip, os, pathlib, sys\n"
        "[path] = pathlib.Path('/opt/jarvis/app/static').glob(sys.argv[1])\n"
        "text = path.read_text() + sys.argv[2].replace('WEIGHT', os.urandom(40000).hex())\n"
        "path.write_text(text); path.with_name(path.name + '.br').unlink()\n"
        "path.with_name(path.name + '.gz').write_bytes(gzip.compress(text.encode()))\n"
    )
    return "RUN " + json.dumps(["python3", "-ISc", script, pattern, text])


def at_start(commands: str) -> str:
    """A line that makes each start do this too, as root, before anything else."""
    return edit(ENTRYPOINT, ("if [ -O / ]; then\n", f"if [ -O / ]; then\n  {commands}\n"))


def wrapper(*lines: str) -> str:
    """A line that puts another program in the place of `claude`."""
    script = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    return "RUN " + json.dumps(["python3", "-ISc", script, WRAPPER, "\n".join(("#!/bin/sh", *lines, ""))])


def give_capability(path: str) -> str:
    """A line that gives whoever starts a program root's right to be anybody (CAP_SETUID)."""
    script = (
        "import os, struct, sys\n"
        "permitted, effective, revision = 1 << 7, 1, 0x02000000\n"
        "value = struct.pack('<5I', revision | effective, permitted, 0, 0, 0)\n"
        "os.setxattr(sys.argv[1], 'security.capability', value)\n"
    )
    return "RUN " + json.dumps(["python3", "-ISc", script, path])


DATA = (
    Broken(
        "wipes-data",
        "Each start empties the workspace folder",
        (at_start("rm -rf /data/workspace/*"),),
        ("image/test_data.py::test_a_second_start_changes_nothing",),
        r"gone.*workspace/a",
    ),
    Broken(
        "chowns-everything",
        "Each start hands all files on the volume to jarvis",
        (at_start("chown -R jarvis:jarvis /data"),),
        (
            "image/test_data.py::test_strange_things_on_the_volume_are_left_alone",
            "image/test_data.py::test_a_start_goes_through_no_files",
        ),
        r"owner='0:0'.*owner='1000:1000'|assert 0 == 100000",
    ),
    Broken(
        "resets-settings",
        "Each start puts the shell's settings back to how they came",
        (at_start("rm -f /data/home/.bashrc"),),
        ("image/test_data.py::test_a_persons_own_settings_are_kept",),
        r"changed: home/\.bashrc",
    ),
    Broken(
        "state-outside-data",
        "Claude's folder is a link to a place that is lost with the container",
        (
            "RUN install -d -o jarvis -g jarvis /var/lib/claude",
            at_start("[ -e /data/claude ] || ln -s /var/lib/claude /data/claude"),
        ),
        ("image/test_data.py::test_state_lies_under_data_only",),
        r"/var/lib",
    ),
    Broken(
        "open-to-all",
        "What is made on a new volume can be read by everybody",
        (edit(ENTRYPOINT, ("umask 077", "umask 000")),),
        ("image/test_data.py::test_what_is_private_stays_private",),
        r"claude/\.claude\.json",
    ),
    Broken(
        "forgets-logins",
        "Each start logs Claude out",
        (at_start("rm -f /data/claude/.credentials.json"),),
        ("release/test_persistence.py::test_a_night_changes_nothing[cut off from its power and started]",),
        r"gone: claude/\.credentials\.json",
    ),
    Broken(
        "takes-what-is-foreign",
        "It hands the folders of another user id to itself, instead of saying so",
        (at_start("chown jarvis /data/* 2>/dev/null || :"),),
        ("image/test_data.py::test_a_volume_of_another_user_is_said",),
        r"waited .* for the end of the container",
    ),
    Broken(
        "needs-free-disk",
        "It writes a file at each start and ends where the disk is full",
        (
            edit(
                ENTRYPOINT,
                ("umask 022\n", "umask 022\nhead -c 65536 /dev/zero > /data/app/started-$(date +%N)\n"),
            ),
        ),
        ("image/test_full_disk.py::test_it_starts_on_a_full_disk",),
        r"No space left",
    ),
    Broken(
        "moves-house",
        "It moves the server's own state to where the release before does not look",
        (
            at_start("[ ! -d /data/app ] || mv /data/app /data/server"),
            edit(
                ENTRYPOINT,
                ("for folder in home claude workspace app", "for folder in home claude workspace server"),
            ),
            edit(f"{WEBAPP}/config.py", ('"app"', '"server"')),
        ),
        ("release/test_upgrade.py::test_a_stored_volume_serves",),
        r"app/settings",
    ),
)

LIFE = (
    Broken(
        "server-as-root",
        "The server stays root",
        (
            edit(
                ENTRYPOINT,
                (
                    'exec setpriv --reuid=jarvis --regid=jarvis --init-groups --inh-caps=-all --no-new-privs "$0" "$@"',
                    ":",
                ),
            ),
        ),
        (
            "image/test_life.py::test_nothing_runs_as_root",
            "image/test_locked_down.py::test_the_server_has_no_capability",
        ),
        r"\{'0'\} == \{'1000'\}|== \{'0{16}'\}",
    ),
    Broken(
        "no-init",
        "The server is process 1, and nobody reaps orphans",
        (edit(ENTRYPOINT, ('exec tini -s -- "$@"', 'exec "$@"')),),
        (
            "image/test_life.py::test_the_first_process_is_an_init",
            "image/test_life.py::test_orphans_are_reaped",
        ),
        r"'python\\n'|waited .* for no zombie",
    ),
    Broken(
        "deaf-to-the-end",
        "SIGTERM never reaches the server",
        (
            edit(
                ENTRYPOINT,
                (
                    'exec tini -s -- "$@"',
                    'exec tini -s -- sh -c \'trap : TERM INT; "$@" & while kill -0 $!; do wait $!; done\' sh "$@"',
                ),
            ),
        ),
        ("image/test_life.py::test_it_ends_cleanly",),
        r"the end after SIG",
    ),
    Broken(
        "drops-the-answer",
        "An answer under way is lost when the workspace is ended",
        (
            edit(
                f"{WEBAPP}/conversation.py",
                (
                    "        self._closing = True\n        deadline",
                    "        import os; os._exit(0)\n        deadline",
                ),
            ),
            edit(f"{WEBAPP}/draft.py", ("        return _read(self._path)\n", "        return None\n")),
        ),
        ("release/test_chat.py::test_an_open_answer_is_kept_at_the_end",),
        r"'word1 word2 ' in ''",
    ),
    Broken(
        "hides-a-crash",
        "A server that died looks like one that ended",
        (edit(ENTRYPOINT, ('exec tini -s -- "$@"', 'exec tini -s -- sh -c \'"$@"; exit 0\' sh "$@"')),),
        ("image/test_life.py::test_a_crash_of_the_server_is_visible",),
        r"assert 0 != 0",
    ),
    Broken(
        "always-healthy",
        "The engine's health check asks nothing",
        ('HEALTHCHECK CMD ["true", "/health"]',),
        ("image/test_life.py::test_a_server_that_hangs_is_seen",),
        r"waited .* for unhealthy",
    ),
    Broken(
        "never-healthy",
        "The engine's health check asks the wrong port",
        ("HEALTHCHECK --start-period=1s --retries=1 CMD curl -fs http://127.0.0.1:3001/health",),
        ("image/test_life.py::test_health_is_known_to_the_engine",),
        r"waited .* for healthy",
    ),
    Broken(
        "believes-the-clock",
        "A device that was not seen for an hour, by the wall clock, is signed out",
        (
            edit(
                f"{WEBAPP}/devices.py",
                (
                    "        if device:\n            device.last_seen",
                    "        if device and datetime.now(UTC) - device.last_seen > timedelta(hours=1):\n"
                    "            self.sign_out([device])\n            return None\n"
                    "        if device:\n            device.last_seen",
                ),
            ),
        ),
        ("release/test_clock.py::test_a_jump_of_the_clock_breaks_nothing",),
        r"assert 401 == 200",
    ),
    Broken(
        "noisy",
        "A good day's log holds a warning",
        (
            edit(
                f"{WEBAPP}/__main__.py",
                ('    log.info("my-jarvis has ended")', '    log.warning("this is a good day")'),
            ),
        ),
        ("image/test_life.py::test_the_log_of_a_good_day_is_quiet",),
        r"this is a good day",
    ),
    Broken(
        "logs-the-token",
        "After a login the token stands in the container's log",
        (
            edit(
                f"{WEBAPP}/app.py",
                (
                    "    def _auth_changed(self, auth: Auth) -> None:\n",
                    "    def _auth_changed(self, auth: Auth) -> None:\n"
                    "        from pathlib import Path\n"
                    "        for path in Path('/data/claude').glob('.cred*'): log.info(path.read_text())\n",
                ),
            ),
        ),
        ("release/test_first_login.py::test_no_secret_reaches_the_log",),
        r"sk-ant",
    ),
    Broken(
        "loads-the-sdk-at-once",
        "The server imports the Agent SDK before its first page",
        (edit(f"{WEBAPP}/app.py", ("import asyncio\n", "import asyncio\nimport claude_agent_sdk\n")),),
        ("image/test_speed.py::test_nothing_of_the_sdk_is_loaded_before_it_is_needed",),
        r"site-packages/.*\.so",
    ),
    Broken(
        "slow-start",
        "Each start waits eight seconds for nothing",
        (at_start("sleep 8"),),
        ("release/test_latency.py::test_it_starts_from_stopped",),
        r"< 6\.0",
    ),
    Broken(
        "slow-to-answer",
        "Each answer takes half a second of nothing",
        (
            edit(
                f"{WEBAPP}/health.py",
                (
                    "        working = busy()\n",
                    "        __import__('time').sleep(0.5)\n        working = busy()\n",
                ),
            ),
        ),
        ("release/test_latency.py::test_it_wakes_from_a_suspend",),
        r"< 6\.0",
    ),
    Broken(
        "greedy",
        "The server holds 700 MB of memory from the start",
        (
            edit(
                f"{WEBAPP}/app.py",
                (
                    "WARM_AFTER_S = 3.0\n",
                    "WARM_AFTER_S = 3.0\nHELD = bytearray(b'x') * 700_000_000\n",
                ),
            ),
        ),
        ("image/test_speed.py::test_at_rest_it_is_small",),
        r"\d{3} MB\nassert \d+\.\d+ < 150",
    ),
    Broken(
        "slow-farewell",
        "It waits for a program that does not want to end, longer than the engine waits for it",
        (
            edit(
                f"{WEBAPP}/terminal.py",
                ("async def end(self, grace_s: float = 0.5)", "async def end(self, grace_s: float = 30)"),
            ),
            edit(f"{WEBAPP}/app.py", ("CLOSE_WITHIN_S = 2.5", "CLOSE_WITHIN_S = 30.0")),
        ),
        ("image/test_speed.py::test_it_ends_in_the_time_that_the_engine_gives_it",),
        r"assert 137 == 0",
    ),
    Broken(
        "writes-outside",
        "It cannot start on a read-only root file system",
        (at_start("date > /etc/started"),),
        ("image/test_locked_down.py::test_it_works_with[a read-only root file system]",),
        r"Read-only file system",
    ),
)

PERSON = (
    Broken(
        "no-claude",
        "Claude's binary is missing",
        ("RUN rm /opt/claude/claude",),
        ("image/test_contents.py::test_the_tool_is_there[claude]",),
        r"/opt/claude/claude: not found",
    ),
    Broken(
        "careless-wrapper",
        "`claude` takes arguments with blanks apart",
        (
            wrapper(
                LOGS_IN,
                "exec /opt/claude/claude $*",
            ),
        ),
        ("image/test_claude.py::test_everything_passes_through_the_wrapper",),
        r"unknown option '--no'",
    ),
    Broken(
        "diary-of-claude",
        "`claude` notes each start outside of /data, and does nothing where it cannot",
        (
            "RUN install -d -o jarvis -g jarvis /var/lib/diary",
            wrapper(
                LOGS_IN,
                "date > /var/lib/diary/last || exit 1",
                'exec /opt/claude/claude "$@"',
            ),
        ),
        ("image/test_locked_down.py::test_claude_works_locked_down_too",),
        r"Read-only file system",
    ),
    Broken(
        "wrapper-in-between",
        "`claude` starts Claude and waits, instead of becoming it",
        (
            wrapper(
                LOGS_IN,
                '/opt/claude/claude "$@"',
            ),
        ),
        ("image/test_claude.py::test_the_wrapper_leaves_no_process_between",),
        r"/bin/sh /usr/local/bin/claude authenticate",
    ),
    Broken(
        "dead-authenticate",
        "`claude authenticate` is no word that Claude knows",
        (wrapper('exec /opt/claude/claude "$@"'),),
        ("image/test_claude.py::test_authenticate_takes_the_logins_options",),
        r"Usage: claude \[options\]",
    ),
    Broken(
        "updates-itself",
        "Claude may replace itself, and tells its makers of every use",
        (
            "ENV DISABLE_AUTOUPDATER= DISABLE_TELEMETRY= CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=",
            edit(
                f"{WEBAPP}/environment.py",
                (
                    '    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",\n    "DISABLE_AUTOUPDATER": "1",\n',
                    "",
                ),
            ),
        ),
        ("image/test_claude.py::test_claude_stays_the_one_of_the_image",),
        r"'DISABLE_AUTOUPDATER=1'",
    ),
    Broken(
        "wizard",
        "A new volume lacks what spares a person Claude's first questions",
        ("RUN echo '{}' > /opt/jarvis/seed/claude/.claude.json",),
        ("image/test_claude.py::test_there_is_no_wizard",),
        r"waited .* for '❯'|text style",
    ),
    Broken(
        "wrong-folder",
        "A terminal begins beside the workspace",
        (
            edit(
                "/etc/profile.d/my-jarvis.sh", ("cd /data/workspace 2>/dev/null", "cd /data/home 2>/dev/null")
            ),
            edit(ENTRYPOINT, ("\ncd /data/workspace\n", "\ncd /data/home\n")),
        ),
        (
            "release/test_shell.py::test_it_begins_in_the_workspace",
            "image/test_data.py::test_a_start_without_a_volume_works_too",
        ),
        r"'/data/home' (==|!=) '/data/workspace'",
    ),
    Broken(
        "no-ripgrep",
        "ripgrep is missing",
        ("RUN rm /usr/bin/rg",),
        ("image/test_contents.py::test_the_tool_is_there[rg]",),
        r"\('rg', .* exited with 127",
    ),
    Broken(
        "no-git",
        "git is missing",
        ("RUN rm /usr/bin/git",),
        ("image/test_contents.py::test_the_tool_is_there[git]",),
        r"\('git', .* exited with 127",
    ),
    Broken(
        "wrong-locale",
        "Text is ASCII",
        ("ENV LANG=POSIX LC_ALL=POSIX",),
        ("image/test_contents.py::test_text_is_utf8",),
        r"'ANSI_X3.4-1968' == 'UTF-8'",
    ),
    Broken(
        "no-colours",
        "The terminal has no colours",
        (edit("/etc/bash.bashrc", ("ls='ls --color=auto'", "ls='ls --color=never'")),),
        ("release/test_shell.py::test_colours",),
        r"mfolder', 'folder",
    ),
)

PAGE = (
    Broken(
        "terminal-for-everybody",
        "A foreign page may open a terminal's socket",
        (
            edit(
                f"{WEBAPP}/guard.py",
                (
                    '    return scope["type"] == "http" and not _is_api(scope)\n',
                    '    return (scope["type"] == "http" and not _is_api(scope)) or scope["path"].endswith("/socket")\n',
                ),
            ),
        ),
        ("image/test_terminal.py::test_a_foreign_page_gets_no_terminal",),
        r"DID NOT RAISE InvalidStatus",
    ),
    Broken(
        "page-for-everybody",
        "A foreign page may ask and listen",
        (
            edit(
                f"{WEBAPP}/guard.py",
                ("    if len(hosts) != 1 or len(origins) > 1:\n        return False\n", "    return True\n"),
            ),
        ),
        (
            "image/test_page.py::test_foreign_pages_are_refused",
            "image/test_page.py::test_a_socket_needs_an_origin",
        ),
        r"200 == 403|DID NOT RAISE InvalidStatus",
    ),
    Broken(
        "open-to-strangers",
        "A workspace that was told nothing of a login lets anybody in",
        (edit(ENTRYPOINT, ("\n${JARVIS_LOGIN-}\n", "\n${JARVIS_LOGIN:-none}\n")),),
        ("image/test_access.py::test_a_container_that_was_told_nothing_lets_nobody_in",),
        r"assert 200 == 401",
    ),
    Broken(
        "shows-the-key",
        "What lets one in stands in the environment of the server's processes",
        (edit(ENTRYPOINT, ("unset JARVIS_LOGIN JARVIS_LOGIN_HASH JARVIS_LOGIN_USER JARVIS_USER\n", "")),),
        ("image/test_access.py::test_no_shell_can_read_what_lets_one_in",),
        r"b'JARVIS_LOGIN_HASH' not in",
    ),
    Broken(
        "inline-scripts",
        "The page's policy lets any script run that stands in it",
        (edit(f"{WEBAPP}/guard.py", ('f"script-src {scripts}"', "\"script-src 'self' 'unsafe-inline'\"")),),
        ("image/test_page.py::test_the_page_runs_only_its_own_scripts",),
        r"unsafe-inline",
    ),
    Broken(
        "no-page",
        "The server is healthy and has no page",
        ("RUN rm /opt/jarvis/app/static/index.html",),
        ("image/test_page.py::test_the_page_is_whole",),
        r"assert 500 == 200",
    ),
    Broken(
        "wrong-port",
        "The server listens where nobody asks",
        ("ENV JARVIS_PORT=3001",),
        ("image/test_page.py::test_health_is_ok",),
        r"/health to answer 200",
        holds=STANDS_ALONE,
    ),
    Broken(
        "never-answers-well",
        "The server calls itself ill for ever",
        (
            edit(
                f"{WEBAPP}/health.py",
                ('"busy": working}, headers=headers)', '"busy": working}, 503, headers)'),
            ),
        ),
        ("image/test_page.py::test_health_is_ok",),
        r"/health to answer 200",
        holds=STANDS_ALONE,
    ),
    Broken(
        "leaks-its-environment",
        "A terminal inherits all that the server knows",
        (
            edit(
                f"{WEBAPP}/environment.py",
                (
                    "        **QUIET,\n        **{name",
                    "        **QUIET,\n        **environ,\n        **{name",
                ),
            ),
        ),
        ("image/test_terminal.py::test_it_inherits_nothing_of_the_server",),
        r"assert not \[.*'JARVIS_",
    ),
)

CONTENT = (
    Broken(
        "secret-in-a-layer",
        "A token lies in a layer, and a later one only hides it",
        (
            "RUN echo token=sk-ant-oat01-$(printf 'Q%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24) > /opt/token",
            "RUN rm /opt/token",
        ),
        ("image/test_layers.py::test_no_layer_holds_a_secret_or_hides_a_file",),
        r"layer \d+: opt/token",
    ),
    Broken(
        "secret-in-the-settings",
        "A key stands among the image's settings",
        ("ENV BUILD_TOKEN=not-so-secret",),
        ("image/test_contents.py::test_the_description_keeps_no_secret",),
        r"TOKEN",
    ),
    Broken(
        "heavy",
        "300 MB that nobody needs",
        ("RUN head -c 300000000 /dev/zero > /opt/junk && chmod 444 /opt/junk",),
        (
            "image/test_size.py::test_claude_is_most_of_the_image",
            "image/test_contents.py::test_there_is_one_claude",
        ),
        r"/opt/junk|assert \(\d+ - \d+\) < \d+",
        whole=r"budget::image_mb .* are allowed; .*/opt/junk",
    ),
    Broken(
        "other-claude-in-chat",
        "The chat runs another Claude than the terminal",
        (
            "RUN ln -sf /usr/local/bin/claude /opt/jarvis/venv/lib/python3*/site-packages/claude_agent_sdk/_bundled/claude",
        ),
        ("image/test_contents.py::test_there_is_one_claude",),
        r"/usr/local/bin/claude",
    ),
    Broken(
        "setuid",
        "A program makes anybody root",
        ("RUN chmod u+s /usr/bin/su",),
        ("image/test_contents.py::test_no_setuid_surprises",),
        r"/usr/bin/su",
    ),
    Broken(
        "capable",
        "A program makes whoever starts it one who may become anybody",
        (give_capability("/usr/bin/git"),),
        ("image/test_layers.py::test_no_layer_holds_a_file_with_capabilities",),
        r"usr/bin/git",
    ),
    Broken(
        "open-root",
        "root has an empty password",
        ("RUN sed -i 's/^root:[^:]*:/root::/' /etc/shadow",),
        ("image/test_contents.py::test_nobody_has_a_password",),
        r"assert \[''\] == \[\]",
        holds=STANDS_ALONE[:1] + STANDS_ALONE[2:] + WHILE_IT_RUNS,
    ),
    Broken(
        "world-writable",
        "Anybody may change the server",
        (f"RUN chmod o+w {WEBAPP}/app.py",),
        ("image/test_contents.py::test_jarvis_cannot_change_the_server",),
        r"webapp/app\.py",
    ),
    Broken(
        "extra-authority",
        "The build's own certificate authority is trusted",
        (
            "RUN (echo; awk '/BEGIN/{n++} n==1' /etc/ssl/certs/ca-certificates.crt) > /tmp/one.pem"
            " && cat /tmp/one.pem >> /etc/ssl/certs/ca-certificates.crt && rm /tmp/one.pem",
        ),
        ("image/test_contents.py::test_no_authority_was_added",),
        r"assert '\d+' == '\d+'",
    ),
    Broken(
        "careless-shell",
        "Its start hands arguments on as the shell takes them apart",
        (edit(ENTRYPOINT, ('exec tini -s -- "$@"', "exec tini -s -- $@")),),
        ("image/test_lint.py::test_its_shell_scripts_are_clean",),
        r"SC2068",
    ),
    Broken(
        "stray-key",
        "A private key lies about",
        (
            "RUN printf '%s\\n' '-----BEGIN PRIVATE KEY-----' 'MIIB' '-----END PRIVATE KEY-----' > /srv/key.pem",
        ),
        ("image/test_contents.py::test_no_certificate_or_key_lies_about",),
        r"/srv/key\.pem",
    ),
    Broken(
        "package-lists",
        "Lists of packages are left in",
        (
            "RUN echo 'Package: bash' > /var/lib/apt/lists/deb.debian.org_dists_trixie_main_binary-amd64_Packages",
        ),
        ("image/test_contents.py::test_nothing_of_the_build_is_left",),
        r"_Packages",
    ),
    Broken(
        "compiler",
        "A compiler is left in",
        ("RUN ln -s /bin/true /usr/bin/gcc",),
        ("image/test_contents.py::test_no_build_tool_is_left",),
        r"gcc",
    ),
    Broken(
        "tests-inside",
        "Tests of the project are inside",
        ("RUN mkdir /opt/jarvis/app/tests && touch /opt/jarvis/app/tests/conftest.py",),
        ("image/test_contents.py::test_nothing_of_the_project_is_inside_but_the_product",),
        r"conftest",
    ),
    Broken(
        "uncompiled",
        "Every start compiles the server's Python anew",
        (f"RUN rm -r {WEBAPP}/__pycache__",),
        ("image/test_contents.py::test_no_bytecode_is_missing",),
        r"assert \d+ >= \d+",
    ),
    Broken(
        "nameless",
        "The image does not say under which licence it comes",
        ('LABEL org.opencontainers.image.licenses=""',),
        ("image/test_contents.py::test_labels_say_what_it_is",),
        r"licenses",
        holds=STANDS_ALONE[1:] + WHILE_IT_RUNS,
    ),
)

SHELL = "/etc/bash.bashrc"
AS_EVER = (
    LOGS_IN,
    'exec /opt/claude/claude "$@"',
)
"""What the wrapper does."""

SHELLS = (
    Broken(
        "no-history",
        "What she typed is forgotten with the terminal",
        (edit(SHELL, ("HISTSIZE=10000 HISTFILESIZE=20000", "HISTSIZE=0 HISTFILESIZE=0")),),
        ("release/test_shell.py::test_history_comes_back",),
        r"assert \(0, ''\)",
    ),
    Broken(
        "grey-prompt",
        "The prompt has no colour",
        (edit(SHELL, (r"PS1='\[\e[1;34m\]\w\[\e[0m\] \$ '", r"PS1='\w \$ '")),),
        ("release/test_shell.py::test_a_prompt_says_where_she_is",),
        r"\[1;3",
    ),
    Broken(
        "bytes-only",
        "Letters of other scripts count as bytes",
        (edit(SHELL, ("HISTCONTROL=ignoreboth", "export LC_ALL=C\nHISTCONTROL=ignoreboth")),),
        (
            "release/test_shell.py::test_every_script_is_written_right",
            "release/test_shell.py::test_a_line_is_edited_by_whole_characters",
        ),
        r"assert .*\.txt|é.ok",
    ),
    Broken(
        "deaf-to-ctrl-c",
        "Programs in a terminal ignore Ctrl-C",
        (edit(SHELL, ("HISTCONTROL=ignoreboth", "stty -isig\nHISTCONTROL=ignoreboth")),),
        ("release/test_shell.py::test_ctrl_c_ends_a_command",),
        r"waited .*<<exit",
    ),
    Broken(
        "no-search",
        "ripgrep is missing",
        ("RUN rm $(command -v rg)",),
        ("release/test_shell.py::test_search_and_python_work",),
        r"rg: command not found",
    ),
    Broken(
        "ignores-keys",
        "Claude never sees an API key",
        (wrapper("unset ANTHROPIC_API_KEY", *AS_EVER),),
        ("release/test_first_login.py::test_an_api_key_is_the_other_way",),
        r"Not logged in",
    ),
    Broken(
        "stays-logged-in",
        "Logging out does nothing",
        (wrapper('[ "$1 $2" = "auth logout" ] && exit 0', *AS_EVER),),
        ("release/test_first_login.py::test_she_logs_out",),
        r"assert True is False",
    ),
    Broken(
        "never-renews",
        "Claude forgets how to renew its login",
        (
            wrapper(
                'sed -i \'s/"refreshToken":"[^"]*"/"refreshToken":""/\' /data/claude/.credentials.json 2>/dev/null',
                *AS_EVER,
            ),
        ),
        ("release/test_first_login.py::test_an_expired_login_is_renewed",),
        r"exited with 1: Failed to authenticate",
    ),
    Broken(
        "local-time",
        "The clock is not UTC",
        ("ENV TZ=AWAY-5",),
        ("image/test_contents.py::test_the_clock_is_utc",),
        r"'AWAY' == 'UTC'",
        holds=STANDS_ALONE,
    ),
    Broken(
        "lost-folder",
        "A folder that was deleted is not made again",
        (
            edit(
                ENTRYPOINT,
                (
                    'for folder in home claude workspace app; do prepare_folder "/data/$folder"; done',
                    "[ -d /data/app ] || for folder in home claude workspace app; do "
                    'prepare_folder "/data/$folder"; done',
                ),
            ),
        ),
        ("image/test_data.py::test_a_folder_that_is_gone_comes_back",),
        r"cannot prepare /data|can't cd to",
    ),
)

OPEN_TO_ALL = 'r"/health|/api/login|/api/awake|'
"""What the gate lets anybody ask for, as far as it is replaced."""

ENTRY = (
    Broken(
        "open-route",
        "One route answers whoever asks",
        (edit(f"{WEBAPP}/gate.py", (OPEN_TO_ALL, f"{OPEN_TO_ALL}/api/boot|")),),
        ("image/test_access.py::test_no_route_of_the_server_answers_a_stranger",),
        r"\('GET', '/api/boot', 200\)",
    ),
    Broken(
        "gives-the-page-away",
        "A stranger gets the files of the page behind the sign-in",
        (edit(f"{WEBAPP}/gate.py", (OPEN_TO_ALL, f"{OPEN_TO_ALL}/assets/.+|")),),
        ("image/test_access.py::test_no_file_of_the_page_is_given_to_a_stranger",),
        r"/assets/",
    ),
    Broken(
        "one-cookie-for-all",
        "A cookie that another workspace has given is believed",
        (
            edit(
                f"{WEBAPP}/devices.py",
                (
                    "self._by_token.get(_hash(token)) if token else None",
                    "self._by_token.get(_hash(token)) or (Device('d', 'd', datetime.now(UTC), datetime.now(UTC),"
                    " _hash(token), self._mark) if len(token) == 43 else None) if token else None",
                ),
            ),
        ),
        ("image/test_access.py::test_the_key_opens_one_container_and_no_other",),
        r"assert 200 == 401",
    ),
    Broken(
        "forgets-devices",
        "Each start signs every device out",
        (at_start("rm -f /data/app/devices.json"),),
        ("image/test_access.py::test_a_device_stays_in_over_a_restart_until_the_key_is_another",),
        r"assert 401 == 200",
    ),
    Broken(
        "stays-signed-in",
        "What is open stays open when its device is signed out",
        (
            edit(
                f"{WEBAPP}/gate.py",
                (
                    "asyncio.create_task(device.signed_out.wait())",
                    "asyncio.create_task(asyncio.Event().wait())",
                ),
            ),
        ),
        (
            "image/test_access.py::test_signing_out_everywhere_closes_what_is_open",
            "browser/test_access.py::test_out_everywhere_means_out_everywhere",
        ),
        r"TimeoutError|timed out|This workspace is private",
    ),
    Broken(
        "guess-at-will",
        "Keys may be guessed as fast as anybody can",
        (edit(f"{WEBAPP}/throttle.py", ("        return wait_s\n", "        return 0.0\n")),),
        ("image/test_access.py::test_guessing_is_slow_over_new_connections_too",),
        r"none was refused",
    ),
)

FACTS = (
    Broken(
        "second-port",
        "It names a second port",
        ("EXPOSE 22",),
        ("image/test_shared_facts.py::test_the_port_is_the_plans",),
        r"22/tcp",
    ),
    Broken(
        "volume-of-its-own",
        "The engine makes it a volume where the platform gives none",
        ("VOLUME /data",),
        ("image/test_shared_facts.py::test_the_mount_is_the_plans",),
        r"a volume of its own",
    ),
    Broken(
        "full-disk-unsaid",
        "With the disk full it says that all was saved",
        (
            edit(
                f"{WEBAPP}/jsonfile.py",
                (
                    '        raise Problem(507, "not_saved", f"{what} could not be saved: {error.strerror}.", hint) from error\n',
                    "        log.info(hint)\n",
                ),
            ),
        ),
        ("image/test_full_disk.py::test_a_full_disk_is_survived",),
        r"assert 200 >= 400",
    ),
    Broken(
        "no-licence",
        "A package of Debian comes without its licence",
        ("RUN rm /usr/share/doc/git/copyright",),
        ("image/test_contents.py::test_every_package_comes_with_its_licence",),
        r"'git'",
    ),
    Broken(
        "one-byte-twice",
        "A terminal that comes back sends one byte again",
        (
            edit(
                f"{WEBAPP}/viewer.py",
                ("self._position = self.acked = place", "self._position = self.acked = max(0, place - 1)"),
            ),
        ),
        ("image/test_terminal.py::test_it_comes_back_whole",),
        r"a byte was lost or came twice",
    ),
    Broken(
        "leaves-its-programs",
        "What runs in a terminal goes on when it is closed",
        (
            edit(
                f"{WEBAPP}/terminal.py",
                (
                    "        self._is_ending = True\n        self._regulate()\n",
                    "        self._is_ending = True\n        return self._regulate()\n",
                ),
            ),
        ),
        ("image/test_terminal.py::test_closing_it_ends_its_programs",),
        r"nothing left of the terminal",
    ),
)

SEEN = (
    Broken(
        "sideways",
        "The page is wider than its window",
        (
            append_to_page(
                "assets/index-*.css",
                'html::after{content:"";position:absolute;top:0;left:0;width:3000px;height:1px}',
            ),
        ),
        ("browser/test_reach.py::test_nothing_scrolls_sideways",),
        r"assert \d+ <= 0",
    ),
    Broken(
        "button-without-a-name",
        "Whoever cannot see does not learn what a button is for",
        (
            append_to_page(
                "assets/index-*.js",
                ';setInterval(()=>{if(document.getElementById("bare"))return;const one=document.createElement("button");'
                'one.id="bare";one.style.cssText="position:fixed;top:50%;left:0;width:24px;height:24px";'
                "document.body.append(one)},20);",
            ),
        ),
        ("browser/test_reach.py::test_axe_finds_nothing_serious[desktop]",),
        r"button-name|Buttons must have",
    ),
    Broken(
        "hides-the-focus",
        "Nobody sees which button the keyboard would press",
        (append_to_page("assets/index-*.css", "*{outline:none!important}"),),
        ("browser/test_reach.py::test_what_has_the_focus_is_seen",),
        r"assert \['<",
    ),
    Broken(
        "one-direction",
        "Hebrew and Arabic stand as if they were English",
        (append_to_page("assets/index-*.css", "*{direction:ltr!important}"),),
        ("browser/test_reach.py::test_words_of_both_directions_stand_right",),
        r"'ltr' == 'rtl'",
    ),
    Broken(
        "heavy-page",
        "The page brings 80 KB that it does not need",
        (append_to_page("assets/index-*.js", "/*WEIGHT*/"),),
        (
            "image/test_size.py::test_the_first_load_is_light",
            "browser/test_first_day.py::test_the_first_load_is_small",
        ),
        r"assert \d+ < \d+",
    ),
    Broken(
        "forgets-who-comes-back",
        "A page that was cut off is told nothing more once it is back",
        (
            edit(
                f"{WEBAPP}/board.py",
                (
                    "        self._followers[session] = reply\n",
                    "        if epoch is None: self._followers[session] = reply\n",
                ),
            ),
        ),
        ("browser/test_chat.py::test_an_answer_survives_a_network_that_is_cut",),
        r"Written while away|word\d+",
    ),
)

CATALOGUE: tuple[Broken, ...] = (*DATA, *LIFE, *PERSON, *PAGE, *SHELLS, *CONTENT, *ENTRY, *FACTS, *SEEN)
