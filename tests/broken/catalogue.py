"""Images that are broken on purpose, each in one way, and the promise that each of them breaks.

Every one is the good image and a layer or two. What cannot be told from the good one by the tests would reach
a user: so each names the tests that have to fail, and what they have to complain of.
"""

from __future__ import annotations

from tests.broken.making import (
    ENTRYPOINT,
    LOGS_IN,
    STANDS_ALONE,
    WEBAPP,
    WHILE_IT_RUNS,
    Broken,
    at_start,
    edit,
    give_capability,
    in_page,
    wrapper,
)
from tests.broken.seen import CHATS, CONVERSATIONS, FILES, REACH, SEEN, SETTINGS, TERMINALS

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
    Broken(
        "root-makes-the-folders",
        "What a new volume lacks is made by root",
        (at_start("install -d -m 777 /data/workspace"),),
        ("image/test_data.py::test_a_new_volume_becomes_a_workspace",),
        r"'workspace': '0:0'",
    ),
    Broken(
        "home-to-look-at",
        "She cannot write in her home folder",
        (edit(ENTRYPOINT, ("umask 022\n", "umask 022\nchmod a-w /data/home\n")),),
        ("image/test_data.py::test_jarvis_can_write_where_a_person_writes",),
        r"/data/home/a: Permission denied",
    ),
    Broken(
        "forgets-settings",
        "Each start forgets what she has chosen",
        (at_start("rm -f /data/app/settings.json"),),
        ("release/test_upgrade.py::test_a_workspace_goes_to_this_release_and_back",),
        r"'theme': 'system'",
    ),
    Broken(
        "grows-with-every-start",
        "Each start leaves another file on the volume",
        (at_start("date > /data/started-$(date +%N)"),),
        ("release/test_persistence.py::test_many_nights_change_nothing",),
        r"new: started-\d+",
    ),
    Broken(
        "settings-in-a-while",
        "What she chose is said to be kept, and written down a minute later",
        (
            edit(
                f"{WEBAPP}/settings.py",
                (
                    'await asyncio.to_thread(save_object, self._path, stored, "The settings")',
                    'asyncio.get_running_loop().call_later(60, save_object, self._path, stored, "The settings")',
                ),
            ),
        ),
        ("release/test_chat.py::test_a_loss_of_power_breaks_no_file",),
        r"invalid literal for int\(\) with base 10: ''",
    ),
    Broken(
        "nothing-before-the-end",
        "What Claude says is kept only once it is whole",
        (
            edit(
                f"{WEBAPP}/draft.py",
                (
                    "        if not self._timer:\n            self._timer = asyncio",
                    "        if False:\n            self._timer = asyncio",
                ),
            ),
        ),
        (
            "release/test_chat.py::test_a_loss_of_power_costs_no_message",
            "browser/test_trouble.py::test_a_crash_in_the_middle_says_so_and_she_lets_claude_go_on",
        ),
        r"what was seen most of a second before|data-role=assistant",
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
        (
            "image/test_life.py::test_a_crash_of_the_server_is_visible",
            "image/test_life.py::test_a_server_that_died_is_started_again",
        ),
        r"assert 0 != 0|waited .* for the page again",
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
        (
            "image/test_speed.py::test_at_rest_it_is_small",
            "release/test_chat.py::test_a_small_machine_is_enough",
        ),
        r"\d{3} MB\nassert \d+\.\d+ < 150|no close frame received",
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
    Broken(
        "waits-for-shells",
        "It ends once every shell in it has ended",
        (
            edit(
                ENTRYPOINT,
                (
                    'exec tini -s -- "$@"',
                    'exec tini -s -- sh -c \'trap "kill \\$!" TERM; "$@" & wait $!; wait $!; '
                    'while pgrep bash; do sleep 1; done\' sh "$@"',
                ),
            ),
        ),
        ("image/test_life.py::test_it_ends_cleanly_with_a_shell_open",),
        r"the end after SIGTERM",
    ),
    Broken(
        "one-exit-code",
        "Whatever goes wrong, the exit code is 1",
        (edit(ENTRYPOINT, ('exec tini -s -- "$@"', 'exec tini -s -- sh -c \'"$@" || exit 1\' sh "$@"')),),
        ("image/test_life.py::test_any_command_can_be_run_instead",),
        r"\(1, \['jarvis', '42'\]\)",
    ),
    Broken(
        "nothing-without-a-network",
        "It does not start where there is no network",
        (at_start('[ "$(wc -l < /proc/net/route)" -gt 1 ] || { echo no network; exit 1; }'),),
        ("image/test_locked_down.py::test_it_works_without_any_network",),
        r"no network",
    ),
    Broken(
        "only-from-root",
        "It starts as root alone",
        (
            edit(
                ENTRYPOINT,
                (
                    "\numask 077\n",
                    '\n[ -n "${JARVIS_USER-}" ] || fail "this has to begin as root"\numask 077\n',
                ),
            ),
        ),
        ("image/test_locked_down.py::test_it_may_start_as_jarvis",),
        r"this has to begin as root",
    ),
    Broken(
        "does-not-say-why",
        "Where the volume cannot be written it ends, and does not say why",
        (
            edit(
                ENTRYPOINT,
                (
                    '[ -d "$1" ] || said=$(mkdir "$1" 2>&1) || fail "uid $(id -u) cannot prepare /data: $said"',
                    '[ -d "$1" ] || mkdir "$1" 2>/dev/null || fail "something went wrong"',
                ),
            ),
        ),
        ("image/test_locked_down.py::test_a_volume_that_cannot_be_written_is_said",),
        r"'/data' in 'my-jarvis: something went wrong",
    ),
    Broken(
        "breaks-over-a-gap",
        "Claude is ended where it says nothing for a second, as in a sleep",
        (
            edit(
                f"{WEBAPP}/conversation.py",
                (
                    "        if heard.begins and not self._turn:\n",
                    "        before, self.heard_at = getattr(self, 'heard_at', 0.0), time.monotonic()\n"
                    "        if self._translator.words() and self.heard_at - before > 1.2: self._process.kill()\n"
                    "        if heard.begins and not self._turn:\n",
                ),
            ),
        ),
        (
            "release/test_chat.py::test_a_gap_in_time_does_no_harm",
            "browser/test_chat.py::test_an_answer_survives_a_sleep_in_the_middle",
        ),
        r"'word\d+'",
    ),
)

AS_EVER = (
    LOGS_IN,
    'exec /opt/claude/claude "$@"',
)
"""What the wrapper does."""

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
        (
            "image/test_claude.py::test_authenticate_takes_the_logins_options",
            "image/test_claude.py::test_authenticate_is_the_login",
        ),
        r"Usage: claude \[options\]|waited .* for 'Paste code here'",
    ),
    Broken(
        "login-goes-on",
        "A login that was given up goes on where nobody sees it",
        (
            wrapper(
                """[ "$1" = authenticate ] && setsid -f sh -c 'while sleep 1; do :; done # auth login' >/dev/null""",
                *AS_EVER,
            ),
        ),
        ("image/test_claude.py::test_a_given_up_login_leaves_nothing",),
        r"waited .* for no login process",
    ),
    Broken(
        "login-for-nothing",
        "A login is forgotten as soon as it was made",
        (
            wrapper(
                LOGS_IN,
                'if [ "${1-} ${2-}" != "auth login" ]; then exec /opt/claude/claude "$@"; fi',
                'stty -F /dev/tty sane; /opt/claude/claude "$@" && rm /data/claude/.credentials.json',
            ),
        ),
        (
            "release/test_first_login.py::test_she_logs_in_and_claude_answers",
            "release/test_first_login.py::test_she_talks_with_claude_in_the_terminal",
            "browser/test_first_day.py::test_she_logs_in_by_typing_and_claude_answers_her",
        ),
        r"\(False, None|waited .* for .You|Connected as|You said: Good morning",
    ),
    Broken(
        "any-code-will-do",
        "Whatever code she types, the login calls itself a success",
        (wrapper(LOGS_IN, '/opt/claude/claude "$@"; exit 0'),),
        (
            "release/test_first_login.py::test_wrong_codes_are_refused",
            "release/test_first_login.py::test_a_code_holds_once",
        ),
        r"assert 0 != 0",
    ),
    Broken(
        "logs-in-but-once",
        "Who is logged in already cannot log in again",
        (
            wrapper(
                LOGS_IN,
                'if [ "${1-} ${2-}" = "auth login" ] && [ -s /data/claude/.credentials.json ]; then',
                "  echo You are logged in already; exit 1",
                "fi",
                'exec /opt/claude/claude "$@"',
            ),
        ),
        ("release/test_first_login.py::test_she_logs_in_twice",),
        r"waited .* for .Paste code here.",
    ),
    Broken(
        "a-key-for-everybody",
        "The image brings an API key along: nobody is ever logged out",
        ("ENV ANTHROPIC_API_KEY=sk-ant-api03-of-the-builder",),
        (
            "image/test_claude.py::test_nobody_is_logged_in_at_first",
            "image/test_page.py::test_it_comes_to_know_that_nobody_is_logged_in",
        ),
        r"assert True is False|waited .* for signed out",
    ),
    Broken(
        "never-looks-again",
        "The page is told of the login as it was when somebody first looked",
        (
            edit(
                f"{WEBAPP}/auth.py",
                (
                    "            if anybody() and self._traces() != self._seen:\n",
                    "            if anybody() and self._seen is None:\n",
                ),
            ),
        ),
        ("release/test_chat.py::test_a_login_in_the_terminal_reaches_the_chat",),
        r"waited .* for the page to know of the login",
    ),
    Broken(
        "asks-all-the-same",
        "Claude asks before each command, though she said that it need not",
        (
            edit(
                f"{WEBAPP}/session.py",
                ("permission_mode=cast(PermissionMode, way.mode),", 'permission_mode="default",'),
            ),
        ),
        ("image/test_chat_modes.py::test_bypass_runs_commands_without_asking",),
        r"nobody should be asked",
    ),
    Broken(
        "plain-shell",
        "She gets sh for a shell",
        ("RUN usermod --shell /bin/sh jarvis",),
        ("image/test_life.py::test_jarvis_is_who_a_person_is_inside",),
        r"/bin/sh",
    ),
    Broken(
        "commits-of-nobody",
        "git does not know whose workspace it is",
        (edit(ENTRYPOINT, ('if [ -n "${USER_NAME-}" ]', "if false")),),
        ("image/test_access.py::test_git_knows_her_from_the_first_commit_on",),
        r"tell me who you are",
    ),
    Broken(
        "knows-better-who-she-is",
        "Each start puts git's name for her back to how it came",
        (edit(ENTRYPOINT, ("[ ! -e /data/home/.gitconfig ] && ", "")),),
        ("image/test_access.py::test_git_knows_her_from_the_first_commit_on",),
        r"'Noam' == 'L'",
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
        (
            "image/test_access.py::test_a_container_that_was_told_nothing_lets_nobody_in",
            "browser/test_access.py::test_where_nothing_was_set_up_it_says_so",
        ),
        r"assert 200 == 401|Nobody can come in yet",
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
        "half-a-page",
        "A file that the page loads at first is missing",
        ("RUN rm /opt/jarvis/app/static/assets/place-*",),
        (
            "image/test_page.py::test_the_page_is_whole",
            "image/test_speed.py::test_the_page_comes_at_once",
        ),
        r"/assets/place-|\{200, 404\}|\{404, 200\}",
    ),
    Broken(
        "way-out-of-the-page",
        "An address may lead out of the page's folder",
        (
            edit(
                f"{WEBAPP}/assets.py",
                (
                    '        if any(part.startswith(".") or set(part) & STRANGE for part in path.split("/")):',
                    "        if False:",
                ),
                (" or Path(path).suffix not in TYPES:", ":"),
                ("media_type=TYPES[file.suffix])", 'media_type=TYPES.get(file.suffix, "text/plain"))'),
                (
                    "        if file is None and path.startswith(FILES_ALONE):",
                    "        if file is None and path.startswith(FILES_ALONE) and '..' not in path:",
                ),
            ),
        ),
        ("image/test_page.py::test_only_the_page_is_served",),
        r"200 in \{|root:x:0",
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
    Broken(
        "another-claude",
        "Claude is not the one that its SDK was made for",
        (
            "RUN sed -i 's/^__cli_version__ = .*/__cli_version__ = \"1.0.0\"/'"
            " /opt/jarvis/venv/lib/python3*/site-packages/claude_agent_sdk/_cli_version.py",
        ),
        (
            "image/test_contents.py::test_claude_is_the_one_that_the_sdk_was_made_for",
            "image/test_page.py::test_it_knows_its_person",
        ),
        r"'1\.0\.0'",
    ),
    Broken(
        "not-in-the-list",
        "Debian's list of packages lacks one",
        ("RUN sed -i '/^Package: tini$/,/^$/d' /var/lib/dpkg/status",),
        ("image/test_contents.py::test_what_is_inside_can_be_listed",),
        r"left set:\s+'tini'",
    ),
)

SHELL = "/etc/bash.bashrc"


def in_each_shell(command: str) -> str:
    """A line that makes each interactive shell begin with this."""
    return edit(SHELL, ("HISTCONTROL=ignoreboth", f"{command}\nHISTCONTROL=ignoreboth"))


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
        (in_each_shell("export LC_ALL=C"),),
        (
            "release/test_shell.py::test_every_script_is_written_right",
            "release/test_shell.py::test_a_line_is_edited_by_whole_characters",
        ),
        r"assert .*\.txt|é.ok",
    ),
    Broken(
        "deaf-to-ctrl-c",
        "Programs in a terminal ignore Ctrl-C",
        (in_each_shell("stty -isig"),),
        (
            "release/test_shell.py::test_ctrl_c_ends_a_command",
            "release/test_shell.py::test_ctrl_c_ends_a_flood",
        ),
        r"waited .*<<exit",
    ),
    Broken(
        "deaf-to-ctrl-d",
        "Ctrl-D does not leave a shell",
        (in_each_shell("IGNOREEOF=100"),),
        ("release/test_shell.py::test_ctrl_d_leaves",),
        r"waited .* for the end of the session",
    ),
    Broken(
        "deaf-to-a-resize",
        "Programs in a terminal never hear that the window has another size",
        (in_each_shell("trap '' WINCH"),),
        ("release/test_shell.py::test_a_resize_reaches_programs",),
        r"waited .*<<exit",
    ),
    Broken(
        "small-files-only",
        "What a shell writes may be no longer than 8 KB",
        (in_each_shell("ulimit -f 8"),),
        ("release/test_shell.py::test_a_long_paste_arrives_whole",),
        r"line: command not found",
    ),
    Broken(
        "git-warns",
        "git warns of the ends of lines in each file",
        ("RUN git config --system core.autocrlf true && git config --system core.safecrlf warn",),
        ("release/test_shell.py::test_git_keeps_versions",),
        r"LF will be replaced by CRLF",
    ),
    Broken(
        "no-editor",
        "nano is missing",
        ("RUN rm /usr/bin/nano",),
        ("release/test_shell.py::test_a_file_can_be_edited",),
        r"waited .* for 'letter\.txt'",
    ),
    Broken(
        "dies-in-its-sleep",
        "A shell that nobody has used for a second ends",
        (in_each_shell("TMOUT=1"),),
        ("release/test_persistence.py::test_a_shell_lives_through_a_suspend",),
        r"the session ended before",
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
        "any-password",
        "Any password opens",
        (
            edit(
                f"{WEBAPP}/credential.py",
                ("            PasswordHasher().verify(self.hash, password)\n", "            pass\n"),
            ),
        ),
        (
            "image/test_access.py::test_name_and_password_open",
            "browser/test_access.py::test_name_and_password_open_too",
        ),
        r"assert 204 == 401|get_by_role\(\"alert\"\)",
    ),
    Broken(
        "any-key",
        "Any welcome link opens",
        (
            edit(
                f"{WEBAPP}/credential.py",
                ("self.login == LINK and hmac.compare_digest(given, self.hash)", "self.login == LINK"),
            ),
        ),
        (
            "image/test_access.py::test_the_key_opens_one_container_and_no_other",
            "browser/test_access.py::test_a_link_that_is_no_longer_valid_says_so_and_a_pasted_one_opens",
        ),
        r"assert 204 == 401|This link is no longer valid",
    ),
    Broken(
        "cookie-for-scripts",
        "Whatever runs in the page can read what keeps her signed in",
        (edit(f"{WEBAPP}/access.py", ("httponly=True", "httponly=False")),),
        ("browser/test_access.py::test_her_link_lets_her_in_and_the_bare_address_nobody",),
        r"'jarvis=",
    ),
    Broken(
        "cookie-from-elsewhere",
        "A page elsewhere can have her browser ask in her name",
        (edit(f"{WEBAPP}/access.py", ('samesite="strict"', 'samesite="lax"')),),
        ("browser/test_access.py::test_a_link_in_a_mail_opens_although_the_first_request_has_no_cookie",),
        r"\[200\] == \[401, 200\]",
    ),
    Broken(
        "link-lost-on-the-way",
        "A welcome link is forgotten where the network fails once",
        (in_page((r"(\w+)\.onclick=\(\)=>void (\w+)\(\w\)", r"\1.onclick=()=>void \2(null)")),),
        ("browser/test_access.py::test_a_bad_network_costs_nobody_her_link",),
        r"Message Claude",
    ),
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
            "browser/test_access.py::test_one_device_is_put_out_from_another",
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
        "other-health",
        "The engine's health check asks another address than the platform does",
        ("HEALTHCHECK CMD curl -fs http://127.0.0.1:3000/api/login",),
        ("image/test_shared_facts.py::test_the_health_path_is_the_plans",),
        r"assert '/health' in",
        holds=STANDS_ALONE[:2] + WHILE_IT_RUNS,
    ),
    Broken(
        "does-not-know-her",
        "It does not read whose workspace it is",
        (edit(f"{WEBAPP}/config.py", ('"USER_EMAIL"', '"EMAIL"')),),
        (
            "image/test_shared_facts.py::test_a_machine_as_planned_works",
            "image/test_page.py::test_it_knows_its_person",
        ),
        r"'email': ''",
    ),
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
        "no-login-shell",
        "What the page opens is no login shell",
        (edit(f"{WEBAPP}/terminal.py", ('"bash", "-l"]', '"bash"]')),),
        ("image/test_terminal.py::test_it_is_jarviss_shell_in_the_workspace",),
        r"'off'",
    ),
    Broken(
        "deaf-terminal",
        "Ctrl-C in the page's terminal reaches nobody",
        (
            edit(
                f"{WEBAPP}/terminal.py",
                (
                    "            self._drop_input()  # as the kernel does",
                    "            return self._drop_input()  # as the kernel does",
                ),
            ),
        ),
        (
            "image/test_terminal.py::test_a_flood_stops_at_ctrl_c",
            "browser/test_terminal.py::test_an_endless_flood_ends_at_ctrl_c",
        ),
        r"'\$ ' has not come in|waited .* for 'alive-42'",
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

CATALOGUE: tuple[Broken, ...] = (
    *(*DATA, *LIFE, *PERSON, *PAGE, *SHELLS, *CONTENT, *ENTRY, *FACTS),
    *(*SEEN, *CHATS, *CONVERSATIONS, *FILES, *SETTINGS, *REACH, *TERMINALS),
)
