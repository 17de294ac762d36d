#!/usr/bin/env bash
# The program for macOS: out/dist/Sungaze.app, and out/dist/sungaze as one file for a terminal.
# Wants Python 3.11 or newer and the pages, built with Node. The window is the system's WKWebView.
# Not yet run on a Mac.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $(uname) == Darwin ]] || { echo "This one is for macOS; here it is make dist."; exit 1; }
readonly room=out/freeze
readonly python=$room/venv/bin/python
readonly again="Mend what the log says and type the command again."

environment() {
  rm -rf $room/venv
  python3 -m venv $room/venv
  $python -m pip install --disable-pip-version-check --no-input --require-hashes --no-deps \
    -r requirements/core.txt -r requirements/build.txt
}

freeze() {
  $python build/icon.py out/icons
  rm -rf out/dist/sungaze out/dist/sungaze-folder out/dist/Sungaze.app
  $python -m PyInstaller build/sungaze.spec --noconfirm --log-level WARN --distpath out/dist --workpath $room/work
}

sign() {
  # Without the two, the system's JIT of WKWebView is not touched, but Python's own foreign calls are refused.
  cat >$room/entitlements.plist <<'END'
<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
  <key>com.apple.security.cs.allow-unsigned-executable-memory</key><true/>
  <key>com.apple.security.cs.disable-library-validation</key><true/>
</dict></plist>
END
  codesign --force --deep --options runtime --timestamp --entitlements $room/entitlements.plist \
    --sign "$SIGNING_IDENTITY" out/dist/Sungaze.app
}

mkdir -p $room out/dist
[[ -f out/web/index.html ]] || step "Pages" pages "Mend what the log says in web/ and type the command again." npm run build
step "Environment" dist-environment "$again" environment
step "Program" dist-program "$again" freeze
# Without a signature the user allows the first start under Privacy & Security.
[[ ! ${SIGNING_IDENTITY:-} ]] || step "Signature" dist-signature "$again" sign
out/dist/sungaze --version
(cd out/dist && ditto -c -k --keepParent Sungaze.app Sungaze.zip)
head -n 12 out/dist/contents.txt
