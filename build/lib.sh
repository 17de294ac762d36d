# Sourced by the scripts beside it: where things are, and how a step is shown.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export NO_COLOR=1 PIP_NO_COLOR=1
mkdir -p out/log

# step TITLE LOG ADVICE COMMAND…: run it with its output in out/log/LOG.log, and print one line with its time.
# When it fails, say which step it was, the end of its log, and what to do; then give up.
step() {
  local title=$1 log=out/log/$2.log advice=$3 began=$SECONDS status=0
  shift 3
  printf '%s … ' "$title"
  # Not as a condition: bash switches `set -e` off inside one.
  set +e
  (set -e; "$@") >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if ((status)); then
    printf 'failed after %d s\n\nThe end of %s:\n' $((SECONDS - began)) "$log"
    tail -n 15 "$log" | sed 's/^/    /'
    printf '\nThe step "%s" failed. %s\n' "$title" "$advice"
    exit 1
  fi
  printf '%d s\n' $((SECONDS - began))
}

# fingerprint FILE…: one hash of this folder's place and of the files' names and contents.
fingerprint() { { pwd && sha256sum -- "$@"; } | sha256sum | cut -c1-32; }

# same STAMP HASH: whether what the stamp stands for was finished with just this.
same() { [[ -f $1 && $(<"$1") == "$2" ]]; }
