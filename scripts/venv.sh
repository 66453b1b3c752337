# shellcheck shell=bash
# To be sourced: creates a virtual environment with Python packages once.

# If it cannot be created, prints why and what is skipped.
make_venv() { # folder, what is skipped without it, requirement…
  local venv=$1 without=$2
  shift 2
  [[ ! -f $venv/.complete ]] || return 0
  rm -rf "$venv"
  if ! python3 -m venv "$venv" >/dev/null 2>&1; then
    echo "skipped: $without, this machine has no working 'python3 -m venv' (Debian: python3-venv)"
    return 1
  fi
  if ! "$venv/bin/pip" install -q --disable-pip-version-check "$@"; then
    echo "skipped: $without, pip could not install $*"
    return 1
  fi
  touch "$venv/.complete"
}
