#!/bin/sh
# Prepares /data, stops being root, and becomes the command (without one: the server). What exists is never touched.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin  # /data has programs too, and this begins as root

fail() {
  printf 'my-jarvis: %s\n' "$1" >&2
  exit 1
}

prepare_folder() {
  [ -d "$1" ] || said=$(mkdir "$1" 2>&1) || fail "uid $(id -u) cannot prepare /data: $said"
  if [ -w "$1" ]; then return; fi
  me=$(id -u) owner=$(stat -c %u "$1")
  [ "$owner" = "$me" ] && fail "$1 cannot be written: is the volume mounted read-only?"
  fail "$1 belongs to uid $owner, and this is uid $me: as root, once: chown -R $me:$me on the whole volume"
}

prepare_file() {
  if [ -e "/data/$1" ] || [ -L "/data/$1" ]; then return; fi
  said=$({ cp "/opt/jarvis/seed/$1" "/data/$1.new" && mv "/data/$1.new" "/data/$1"; } 2>&1) && return
  rm -f "/data/$1.new"
  fail "uid $(id -u) cannot prepare /data: $said"
}

# Somebody waits for the page. So no process is begun where the shell itself can tell: / belongs to root alone.
# shellcheck disable=SC3067  # Debian's sh knows -O
if [ -O / ]; then
  # A new volume is root's. Its content is not looked at: from here on jarvis makes what is missing, so that it is his.
  [ "$(stat -c %U /data)" = jarvis ] || chown jarvis:jarvis /data 2>/dev/null || :
  export JARVIS_USER=jarvis
  exec setpriv --reuid=jarvis --regid=jarvis --init-groups --inh-caps=-all --no-new-privs "$0" "$@"
fi

umask 077
for folder in home claude workspace app; do prepare_folder "/data/$folder"; done
for file in home/.bashrc home/.profile claude/.claude.json; do prepare_file "$file"; done
# So that her first commit works: in her name, unless she has said anything about git herself.
if [ -n "${USER_NAME-}" ] && [ -n "${USER_EMAIL-}" ] && [ ! -e /data/home/.gitconfig ] && [ ! -L /data/home/.gitconfig ] \
  && [ ! -e /data/home/.config/git/config ]; then
  { git config --file /data/home/.gitconfig.new user.name "$USER_NAME" \
    && git config --file /data/home/.gitconfig.new user.email "$USER_EMAIL" \
    && mv /data/home/.gitconfig.new /data/home/.gitconfig; } 2>/dev/null || rm -f /data/home/.gitconfig.new
fi
umask 022

# Who may come in is the server's business alone: it reads that from a pipe, and no process shows it in its environment.
exec 3<<LOGIN
${JARVIS_LOGIN-}
${JARVIS_LOGIN_HASH-}
${JARVIS_LOGIN_USER-}
LOGIN
USER=${JARVIS_USER-$(id -un 2>/dev/null || echo jarvis)}
unset JARVIS_LOGIN JARVIS_LOGIN_HASH JARVIS_LOGIN_USER JARVIS_USER
export JARVIS_LOGIN_FD=3
export HOME=/data/home USER LOGNAME="$USER" SHELL=/bin/bash PATH="/data/home/.local/bin:$PATH"
cd /data/workspace
exec tini -s -- "$@"  # the init is jarvis too; -s, since on Fly another one stands before it
