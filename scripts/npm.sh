# shellcheck shell=bash
# To be sourced: installs the npm packages of a folder's package-lock.json once, in the cache.

# Prints the folder that has node_modules. If they cannot be installed, prints why and what is skipped to stderr.
make_npm() { # folder with package.json and package-lock.json, what is skipped without it
  local from=$1 without=$2 folder
  folder=${XDG_CACHE_HOME:-$HOME/.cache}/ipn-receiver/npm-$(cat "$from/package.json" "$from/package-lock.json" | cksum | cut -d ' ' -f 1)
  if [[ ! -f $folder/.complete ]]; then
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
      echo "skipped: $without, this machine has no node and npm (scripts/setup node)" >&2
      return 1
    fi
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$from/package.json" "$from/package-lock.json" "$folder"
    # No package's own script runs; none of them needs one.
    if ! npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --silent </dev/null >&2; then
      echo "skipped: $without, npm could not install the packages of $from/package-lock.json" >&2
      return 1
    fi
    touch "$folder/.complete"
  fi
  echo "$folder"
}
