#!/usr/bin/env bash
# What a fresh machine needs: `setup.sh system` sees to the system packages, `setup.sh environment` makes .venv from the lock;
# `setup.sh browser` sees to the browser that the tests look at the report with. All are quick when there is nothing to do.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
LOCK="$ROOT/requirements-dev.lock"
STAMP="$VENV/.made-from"
MINIMUM_JAVA=17
PATH="${PATH//"$VENV/bin:"/}" # an environment is not made from itself

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# --- the interpreter ---------------------------------------------------------------------------------------------------------------

fits() { "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; }

can_make_environments() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# The first interpreter of a fitting version that can make environments, else the first of a fitting version; $PYTHON goes before all.
find_python() {
  local candidate found=""
  for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if fits "$candidate"; then
      found="${found:-$candidate}"
      if can_make_environments "$candidate"; then
        echo "$candidate"
        return
      fi
    fi
  done
  [ -n "$found" ] || fail "Dawnlist needs Python 3.11, 3.12 or 3.13. Install one, or name it: make PYTHON=/path/to/python3.11 env"
  echo "$found"
}

# --- the system packages: the one list ---------------------------------------------------------------------------------------------

has_java() {
  local java="${JAVA_HOME:+$JAVA_HOME/bin/}java" version
  version="$("$java" -version 2>&1 | sed -nE 's/.*version "(1\.)?([0-9]+).*/\2/p' | head -n 1)" || return 1
  [ "${version:-0}" -ge "$MINIMUM_JAVA" ]
}

has_libgomp() { "$1" -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null; }

java_package() {
  if [ -z "$(command -v apt-cache)" ] || apt-cache show openjdk-17-jre-headless >/dev/null 2>&1; then
    echo openjdk-17-jre-headless
  else
    echo default-jre-headless # a newer release of the distribution has a newer Java
  fi
}

has_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

missing_browser() { has_chromium >/dev/null || echo chromium; }

missing_packages() {
  local python
  python="$(find_python)"
  has_java || java_package
  has_libgomp "$python" || echo libgomp1
  can_make_environments "$python" || echo python3-venv
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() { command -v apt-get >/dev/null && as_root true 2>/dev/null; }

system() {
  find_python >/dev/null # or say that there is none
  install_missing missing_packages
}

browser() { install_missing missing_browser; }

# Install what the command $1 names, one package a line, and see that it names nothing any more.
install_missing() {
  local missing
  mapfile -t missing < <("$1")
  [ "${#missing[@]}" -gt 0 ] || return 0
  may_install || fail "These system packages are missing. Type: sudo apt-get install -y ${missing[*]}"
  echo "Installing ${missing[*]}"
  as_root apt-get update -qq || echo "The lists of packages could not be brought up to date: trying with those that are here." >&2
  mapfile -t missing < <("$1") # the release's Java is known only now
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install ${missing[*]}: see above."
  mapfile -t missing < <("$1")
  [ "${#missing[@]}" -eq 0 ] || fail "Installed, but still not found: ${missing[*]}.${JAVA_HOME:+ JAVA_HOME is $JAVA_HOME: is that the right one?}"
}

# --- the environment ---------------------------------------------------------------------------------------------------------------

# What the environment is made from: an environment cannot be moved, so its place belongs to it.
fingerprint() { cat "$LOCK" "${BASH_SOURCE[0]}" <(echo "$VENV") | sha256sum; }

is_made() { [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(fingerprint)" ] && fits "$VENV/bin/python"; }

# The lines of the lock, hashes included, of one package.
locked() { sed -n "/^$1==/,/[^\\\\]\$/p" "$LOCK"; }

pip_setting() { "$VENV/bin/python" -m pip config list | sed -n "s/.*\\.$1='\\(.*\\)'\$/\\1/p" | head -n 1; }

# uv reads no pip.conf: hand it the indexes that pip is set up with, unless it has its own. Every file is checked against the lock.
lend_pip_settings() {
  local index extra links
  index="$(pip_setting index-url)" extra="$(pip_setting extra-index-url)" links="$(pip_setting find-links)"
  [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
  [ -z "$extra" ] || export UV_INDEX="${UV_INDEX:-$extra}"
  [ -z "$links" ] || export UV_FIND_LINKS="${UV_FIND_LINKS:-${links// /,}}"
  export UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"
}

install_with_uv() {
  "$VENV/bin/python" -m pip install --quiet --no-deps --require-hashes -r <(locked uv) || return 1
  (
    lend_pip_settings
    export VIRTUAL_ENV="$VENV"
    "$VENV/bin/uv" pip sync --quiet --require-hashes --compile-bytecode "$LOCK" &&
      "$VENV/bin/uv" pip install --quiet --no-deps --no-build-isolation --no-index --editable "$ROOT"
  )
}

install_with_pip() {
  "$VENV/bin/python" -m pip install --quiet --no-deps --require-hashes -r "$LOCK" &&
    "$VENV/bin/python" -m pip install --quiet --no-deps --no-build-isolation --no-index --editable "$ROOT"
}

environment() {
  local python
  is_made && return 0
  python="$(find_python)"
  can_make_environments "$python" || fail "$python cannot make environments: run \`make system\`, or install python3-venv."
  echo "Making the environment in .venv with $("$python" --version): about a minute, and longer over a slow network."
  rm -f "$STAMP"
  fits "$VENV/bin/python" && "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$VENV"
  install_with_uv || { echo "uv could not install the lock: trying with pip." >&2 && install_with_pip; } ||
    fail "The packages of $LOCK could not be installed: see above. Is a package index within reach?"
  fingerprint >"$STAMP"
}

case "${1:-}" in
system | environment | browser) "$1" ;;
*) fail "Usage: setup.sh system | environment | browser" ;;
esac
