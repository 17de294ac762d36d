#!/usr/bin/env bash
# What is handed out, from an environment of its own: the program as one file (out/dist/sungaze, with contents.txt beside
# it), the wheel, and on Debian the package.
#   WINDOW=no build/dist.sh      without the window, where its headers are not
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly room=out/freeze
readonly python=$room/venv/bin/python
readonly again="Mend what the log says and type the command again."

mkdir -p $room out/dist
if command -v flock >/dev/null; then
  exec 9>$room/lock
  flock --nonblock 9 || { echo "Another one is building here; waiting for it."; flock 9; }
fi

locks=(requirements/core.txt requirements/build.txt)
if [[ $(uname) == Linux && ${WINDOW:-} != no ]]; then
  # PyGObject and pycairo come as sources.
  pkg-config --exists gobject-introspection-1.0 cairo-gobject 2>/dev/null || {
    echo "The window's headers are missing: sudo apt-get install libgirepository1.0-dev libcairo2-dev pkg-config"
    echo "Type that line, and then the command again; or WINDOW=no before it makes a program that serves browsers only."
    exit 1
  }
  locks+=(requirements/window.txt)
fi

environment() {
  rm -rf $room/venv
  .venv/bin/python -m venv $room/venv
  $python -m pip install --disable-pip-version-check --no-input --require-hashes --no-deps "${locks[@]/#/-r}"
  echo "$wanted" >$room/venv/.sungaze
}
wanted="$(.venv/bin/python -VV) $(fingerprint "${locks[@]}")"

freeze() {
  $python build/icon.py out/icons
  rm -rf $room/stripped out/dist/sungaze out/dist/sungaze-folder
  $python -m PyInstaller build/sungaze.spec --noconfirm --log-level WARN --distpath out/dist --workpath $room/work
}

wheel() {
  rm -f out/dist/sungaze-*.whl
  .venv/bin/python -m pip wheel --disable-pip-version-check --no-input --no-deps --no-build-isolation --no-index \
    --wheel-dir out/dist .
}

if same $room/venv/.sungaze "$wanted"; then
  echo "Environment … there"
else
  step "Environment" dist-environment "$again" environment
fi
[[ -f out/web/index.html ]] || step "Pages" pages "Mend what the log says in web/ and type the command again." npm run build
step "Program" dist-program "$again" freeze
step "Wheel" dist-wheel "$again" wheel
if [[ $(uname) == Linux ]] && command -v dpkg-deb >/dev/null && [[ ${WINDOW:-} != no ]]; then
  step "Debian package" dist-deb "$again" build/deb.sh
fi

echo
head -n 12 out/dist/contents.txt
echo "         …"
grep ' in all, ' out/dist/contents.txt
echo
for made in out/dist/sungaze out/dist/*.whl out/dist/*.deb; do
  [[ ! -f $made ]] || wc -c "$made" | awk '{ printf "%6.1f MB  %s\n", $1 / 1e6, $2 }'
done
