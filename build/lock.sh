#!/usr/bin/env bash
# The locks again, from pyproject.toml, requirements/*.in and package.json.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Neither a registry's address nor a folder of this machine may come into a lock.
compile() {
  .venv/bin/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
    --no-emit-index-url --no-emit-find-links --output-file "requirements/$1.txt" "${@:2}"
}

npm_lock() {
  # Elsewhere: beside a node_modules npm takes what is installed and leaves the hashes out.
  rm -rf out/lock
  mkdir out/lock
  cp package.json .npmrc out/lock/
  (cd out/lock && npm install --package-lock-only --no-audit --no-fund)
  # Who takes donations is of no use here, and the addresses change without a package changing.
  node -e '
    const { readFileSync, writeFileSync } = require("node:fs");
    const lock = JSON.parse(readFileSync("out/lock/package-lock.json", "utf8"));
    for (const [name, entry] of Object.entries(lock.packages)) {
      delete entry.funding;
      if (entry.resolved || (name && !entry.integrity)) throw new Error(`${name}: an address, or no hash`);
    }
    writeFileSync("package-lock.json", JSON.stringify(lock, null, 2) + "\n");'
  rm -rf out/lock
}

readonly again="Mend what the log says and type the command again."
step "core" lock "$again" compile core pyproject.toml requirements/core.in
step "window" lock "$again" compile window requirements/window.in
step "test" lock "$again" compile test requirements/test.in
step "build" lock "$again" compile build requirements/build.in
step "npm" lock "$again" npm_lock
