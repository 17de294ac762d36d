#!/usr/bin/env bash
# Everything that Sungaze needs, in five steps; a step whose inputs did not change does nothing.
#   build/setup.sh [--test]      with --test also what only the tests need
#   build/setup.sh --test --dist and what the tests of the executable need
#   WINDOW=no build/setup.sh     without what only the window needs
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

tests= dist=
for word in "$@"; do
  case $word in
    --test) tests=yes ;;
    --dist) dist=yes ;;
  esac
done
window=yes
[[ ${WINDOW:-} != no ]] || window=

readonly WINDOW_PACKAGES=(gir1.2-webkit2-4.1 gir1.2-gtk-3.0 libgirepository1.0-dev libcairo2-dev pkg-config)
readonly TEST_PACKAGES=(chromium dbus-daemon gnome-keyring mosquitto mosquitto-clients xvfb)
readonly DIST_PACKAGES=(systemd tesseract-ocr xdotool)
readonly NETWORK="Mend what the log says (is the network there?) and type the command again; what was done stays done."

# Two at once would write into each other's folders.
if command -v flock >/dev/null; then
  exec 9>out/setup.lock
  flock --nonblock 9 || { echo "Another set-up is running here; waiting for it."; flock 9; }
fi

find_python() {
  local name
  for name in python3.11 python3 python3.12 python3.13; do
    # What a pyenv shim or a link stands for, so that a changed one is seen.
    "$name" -c 'import sys; sys.version_info < (3, 11) and sys.exit(1); print(sys.executable)' 2>/dev/null && return
  done
  return 1
}

# Debian's packages that are missing for this set-up, one a line.
missing_packages() {
  local packages=() package
  "$python" -c 'import ensurepip, venv' 2>/dev/null || echo "$("$python" -c "$version")-venv"
  [[ ! $tests ]] || packages+=("${TEST_PACKAGES[@]}")
  [[ ! $dist ]] || packages+=("${DIST_PACKAGES[@]}")
  if [[ $window ]]; then
    packages+=("${WINDOW_PACKAGES[@]}")
    # PyGObject and pycairo come as sources and are compiled here.
    command -v cc >/dev/null || packages+=(gcc libc6-dev)
    "$python" -c "$headers" || echo "$("$python" -c "$version")-dev"
  fi
  for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || echo "$package"
  done
}
readonly version='import sys; print("python%d.%d" % sys.version_info[:2])'
readonly headers='import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'

install_packages() {
  local root=()
  ((EUID == 0)) || root=(sudo -n)
  local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --quiet -o DPkg::Lock::Timeout=120)
  "${apt[@]}" update
  "${apt[@]}" install --yes --no-install-recommends "$@"
}

system_packages() {
  local title="[1/5] System packages" missing line
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || { echo "$title … there"; return; }
  line="sudo apt-get install --no-install-recommends ${missing[*]}"
  if ((EUID == 0)) || sudo -n true 2>/dev/null; then
    step "$title" system "Type this line, and then the command again:
    $line" install_packages "${missing[@]}"
    return
  fi
  echo "$title … missing, and only root may install them. The line for it:"
  echo "    $line"
  if [[ $tests || ${missing[0]} == *-venv ]]; then
    echo "Type that line, and then the command again."
    exit 1
  fi
  echo "Going on without a window."
  window=
}

install_lock() {
  .venv/bin/python -m pip install --disable-pip-version-check --no-input --require-hashes --no-deps \
    -r "requirements/$1.txt"
}

python_packages() {
  if [[ $1 == *core* ]]; then
    rm -rf .venv
    "$python" -m venv .venv
  fi
  local lock
  for lock in $1; do
    install_lock "$lock"
    lock_hash "$lock" >".venv/.$lock"
  done
}

lock_hash() { fingerprint "requirements/$1.txt" "$python"; }

the_checkout() {
  .venv/bin/python -m pip install --disable-pip-version-check --no-input --no-deps --no-build-isolation \
    --no-index --editable .
  fingerprint pyproject.toml >.venv/.checkout
}

npm_packages() {
  npm ci --no-audit --no-fund
  fingerprint package-lock.json >node_modules/.sungaze
}

pages() {
  npm run build
  pages_hash >out/web.stamp
}
pages_hash() {
  local files
  mapfile -d '' -t files < <(find web -type f ! -name '*.test.ts' -print0 | LC_ALL=C sort -z)
  fingerprint "${files[@]}" package-lock.json vite.config.ts svelte.config.js tsconfig.json
}

python=$(find_python) || {
  echo "Sungaze needs Python 3.11 or newer. On Debian: sudo apt-get install python3 python3-venv"
  exit 1
}
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null || ! command -v npm >/dev/null; then
  echo "Sungaze's pages are built with npm and Node 20.19 or newer ($(node --version 2>/dev/null || echo none) is here). Install them and type the command again."
  exit 1
fi

if [[ $(uname) != Linux ]]; then
  window= # the system's own web view serves there, and core.txt brings what it needs
elif command -v dpkg-query >/dev/null; then
  system_packages
elif [[ $window ]] && ! pkg-config --exists gobject-introspection-1.0 cairo-gobject 2>/dev/null; then
  echo "[1/5] System packages … for a window install WebKitGTK 4.1 and the headers of gobject-introspection and cairo."
  echo "Going on without a window."
  window=
fi

locks=core
[[ ! $window ]] || locks+=" window"
[[ ! $tests ]] || locks+=" test"
todo=
for lock in $locks; do
  same ".venv/.$lock" "$(lock_hash "$lock")" || todo+=" $lock"
done
# A new environment starts empty: what else was in it is wanted again.
if [[ $todo == *core* ]]; then
  [[ ! -e .venv/.test || $tests ]] || locks+=" test"
  todo=$locks
fi
if [[ $todo ]]; then
  step "[2/5] Python packages" python "$NETWORK
Should it be the window's part that fails, WINDOW=no before the command goes on without a window." python_packages "$todo"
else
  echo "[2/5] Python packages … there"
fi

if same .venv/.checkout "$(fingerprint pyproject.toml)"; then
  echo "[3/5] Sungaze in .venv … there"
else
  step "[3/5] Sungaze in .venv" checkout "Mend what the log says and type the command again." the_checkout
fi

if same node_modules/.sungaze "$(fingerprint package-lock.json)"; then
  echo "[4/5] JavaScript packages … there"
else
  step "[4/5] JavaScript packages" npm "$NETWORK" npm_packages
fi

if [[ -f out/web/index.html ]] && same out/web.stamp "$(pages_hash)"; then
  echo "[5/5] Pages … there"
else
  step "[5/5] Pages" pages "Mend what the log says in web/ and type the command again." pages
fi
