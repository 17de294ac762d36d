#!/usr/bin/env bash
# Every check, one line each with its time, and pytest last; ends at the first that fails.
#   build/check.sh quick|all|dist
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly quick=$([[ ${1:-all} != quick ]] || echo yes)
readonly bin=.venv/bin
readonly mend="Mend what is named above and type the command again."

api_client() { $bin/sungaze openapi >out/openapi.json && npx --no-install openapi-typescript out/openapi.json -o "$1"; }
api_client_is_fresh() {
  api_client out/schema.d.ts
  diff -u web/src/lib/api/schema.d.ts out/schema.d.ts
}

if [[ ${1:-} == dist ]]; then
  echo "Tests of what was built (pytest):"
  $bin/pytest -m dist tests/dist
  echo "Tests of the whole program, with the folder that was frozen (pytest):"
  # The one file is two processes, of which a test that kills would end the wrong one.
  export SUNGAZE_PROGRAM=$PWD/out/dist/sungaze-folder/sungaze
  exec $bin/pytest -n 2 --dist loadfile -m "not soak and not dist" tests/api tests/web tests/test_cli.py \
    tests/test_demo_truth.py tests/test_diagnostics.py tests/test_load.py tests/test_program_keyring.py \
    tests/test_rough_ground.py tests/test_file_care.py tests/test_cli_import.py tests/jobs/test_kill.py
elif [[ ${1:-} == api-client ]]; then
  step "The web client from the API's contract" api-client "$mend" api_client web/src/lib/api/schema.d.ts
  exit
elif [[ ${1:-} == api-client-check ]]; then
  step "The web client against the API's contract" api-client "Type: make api-client" api_client_is_fresh
  exit
fi

step "Lint (ruff)" ruff "Much of it mends itself: .venv/bin/ruff check --fix" $bin/ruff check
step "Format (ruff)" format "It mends itself: .venv/bin/ruff format" $bin/ruff format --check
step "Types (mypy)" mypy "$mend" $bin/mypy sungaze
step "Imports between rooms (import-linter)" imports "DESIGN.md, section 2, tells which way imports may point." \
  $bin/lint-imports --cache-dir out/cache/imports
step "The web client against the API's contract" api-client "Type: make api-client" api_client_is_fresh
step "Types of the pages (svelte-check)" svelte-check "$mend" npm run check
step "Tests of the pages (vitest)" vitest "$mend" npm test

if [[ $quick ]]; then
  echo "Tests (pytest), without the slow, browser and window ones:"
  exec $bin/pytest -n 2 --dist loadfile -m "not slow and not browser and not window and not soak and not dist"
fi
echo "Tests (pytest):"
# Three workers on two cores: a third of the time they wait for a simulated vendor's minute.
exec $bin/pytest -n 3 --dist loadfile --no-loadscope-reorder --durations 20 -m "not soak and not dist"
