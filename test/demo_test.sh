#!/usr/bin/env bash
# Runs the two demos as a user would, and in the ways in which they can end early: test/demo_test.sh
# With CARAVAN_TEST_RECORD, that file gets a line for each test: its milliseconds and its name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work/tmp
passed=0 failed=0 skipped=0
# How long to wait for the end of a process whose parent has gone.
end_attempts=300

problem() {
  printf '  %s\n' "$*" >>"$work/problems"
}

expect_status() {
  [ "$1" -eq "$2" ] || problem "exit status $1, not $2"
}

# expect_lines COUNT PATTERN: so many lines of the output match.
expect_lines() {
  local count
  count=$(grep -cE -- "$2" "$work/output") || true
  [ "$count" -eq "$1" ] || problem "$count lines match /$2/, not $1"
}

# Those that the demo says it has started, the Consul agent included.
started_processes() {
  grep -oE '(starts as|agent -dev).* OS process [0-9]+' "$work/output" | grep -oE '[0-9]+$'
}

# One that has ended and that nobody has waited for yet does not run.
is_running() {
  case $(ps -o stat= -p "$1") in
    '' | Z*) return 1 ;;
  esac
}

expect_all_ended() {
  local pid
  [ -n "$(started_processes)" ] || problem "no process was started"
  for pid in $(started_processes); do
    ! is_running "$pid" || problem "process $pid still runs"
  done
}

# No event tells when a process ends that is not ours; so it is looked at again and again.
await_all_ended() {
  local pid attempt
  for pid in $(started_processes); do
    for ((attempt = 0; attempt < end_attempts; attempt++)); do
      is_running "$pid" || break
      read -r -t 0.1 <>"$work/never" || true
    done
  done
}

expect_no_files_left() {
  [ -z "$(ls -A "$TMPDIR")" ] || problem "left in the temporary directory: $(ls -A "$TMPDIR")"
}

expect_times_in_order() {
  grep -oE '^ *\+[0-9.]+ s' "$work/output" | tr -d ' +s' | sort -n -c 2>/dev/null || problem "times go backwards"
}

expect_whole_story() {
  expect_status "$1" 0
  expect_lines 4 's  app-[0-9]+ +starts as app-[0-9]+@.*, OS process [0-9]+$'
  expect_lines 4 's  app-[0-9]+ +is up and accepts connections on 127\.0\.0\.1:[0-9]+$'
  # 3 nodes with 2 others each, and the added one with 2 others, seen from both sides.
  expect_lines 10 's  app-[0-9]+ +is connected to app-[0-9]+$'
  expect_lines 1 's  app-[0-9]+ +SIGKILL to OS process [0-9]+$'
  expect_lines 1 's  app-[0-9]+ +OS process [0-9]+ ended, status 137$'
  expect_lines 2 's  app-[0-9]+ +has lost app-[0-9]+: '
  expect_lines 3 's  app-[0-9]+ +is connected to app-[0-9]+ and app-[0-9]+$'
  expect_lines 2 's  epmd +none: '
  expect_lines 3 's  app-[0-9]+ +OS process [0-9]+ ended, status 0$'
  expect_lines 1 '^OK: app-[0-9]+, app-[0-9]+, app-[0-9]+ are connected to one another and to no other node; '
  expect_lines 0 '^(FAILED|INTERRUPTED)'
  expect_times_in_order
  expect_all_ended
  expect_no_files_left
}

run_demo() {
  local status=0
  scripts/demo "$@" >"$work/output" 2>&1 </dev/null || status=$?
  printf '%d' "$status"
}

# In the background, CI and nohup, SIGINT is ignored, and a shell that inherits that cannot trap it. These commands run
# another one with the signal as a terminal leaves it. Not every env can (coreutils from 8.31 on, no BSD); macOS has perl.
default_sigint() {
  # shellcheck disable=SC2016 # perl's variable
  if env --default-signal=INT true 2>/dev/null; then
    printf '%s\n' env --default-signal=INT
  elif command -v perl >/dev/null; then
    printf '%s\n' perl -e '$SIG{INT} = "DEFAULT"; exec { $ARGV[0] } @ARGV or exit 127'
  elif [ -z "$(trap -p INT)" ]; then
    printf '%s\n' env
  fi
}

# signal_demo COMMAND... -- SIGNAL LINE [SIGNAL LINE]...: runs the command in a process group of its own, as a terminal
# does, and sends the group each signal at every line of output that matches.
signal_demo() {
  local status=0 line demo sent command=()
  while [ "$1" != -- ]; do
    command+=("$1")
    shift
  done
  shift
  rm -f "$work/pipe"
  mkfifo "$work/pipe"
  set -m
  "${command[@]}" >"$work/pipe" 2>&1 </dev/null &
  demo=$!
  set +m
  while IFS= read -r line; do
    printf '%s\n' "$line"
    for ((sent = 1; sent < $#; sent += 2)); do
      [[ ! $line =~ ${*:sent+1:1} ]] || kill -s "${*:sent:1}" -- "-$demo" 2>/dev/null || true
    done
  done <"$work/pipe" >"$work/output"
  wait "$demo" || status=$?
  printf '%d' "$status"
}

# interrupt_demo SIGNAL OPTION...: sends the signal when the first node starts.
interrupt_demo() {
  local signal=$1
  shift
  signal_demo "${from_terminal[@]}" scripts/demo "$@" -- "$signal" 'app-.*starts as'
}

expect_interrupted() {
  expect_status "$1" 130
  expect_lines 1 '^INTERRUPTED \('
  expect_lines 0 '^OK'
  expect_all_ended
  expect_no_files_left
}

test_embedded() {
  expect_whole_story "$(run_demo)"
  expect_lines 4 's  dns +added: app\.demo\.internal SRV 0 0 [0-9]+ node-[1-4]\.demo\.internal$'
  expect_lines 1 's  dns +removed: app\.demo\.internal SRV 0 0 [0-9]+ node-3\.demo\.internal$'
}

test_consul() {
  expect_whole_story "$(run_demo --consul)"
  expect_lines 4 's  consul +PUT /v1/agent/service/register '
  expect_lines 1 's  consul +PUT /v1/agent/service/deregister/app-[0-9]+$'
}

test_what_does_not_happen_in_time_is_named() {
  expect_status "$(run_demo --timeout 0)" 1
  expect_lines 1 '^FAILED: app-[0-9]+ is not up; app-[0-9]+ is not up; app-[0-9]+ is not up '
  expect_lines 0 '^OK'
  expect_all_ended
}

test_ctrl_c() {
  expect_interrupted "$(interrupt_demo INT)"
}

test_ctrl_c_consul() {
  expect_interrupted "$(interrupt_demo INT --consul)"
}

test_sigterm() {
  expect_interrupted "$(interrupt_demo TERM)"
}

# Who starts it like this wants Ctrl-C to be for others.
test_sigint_that_is_ignored_does_nothing_and_sigterm_interrupts() {
  expect_interrupted "$(
    trap '' INT
    signal_demo scripts/demo -- INT 'app-.*starts as' TERM 'has lost app-'
  )"
  expect_lines 1 '^One is killed'
}

# Nobody can clean up then but the processes themselves.
test_sigkill_leaves_nothing_running() {
  expect_status "$(interrupt_demo KILL)" 137
  await_all_ended
  expect_all_ended
}

test_sigkill_leaves_nothing_running_consul() {
  expect_status "$(interrupt_demo KILL --consul)" 137
  await_all_ended
  expect_all_ended
}

test_unknown_options_are_refused() {
  expect_status "$(run_demo --consull)" 2
  expect_lines 1 'scripts/demo --consul'
}

# An error here, and none for those who run the demo on a later OTP.
test_compiles_without_warnings() {
  mkdir -p "$work/ebin"
  erlc -Werror +warn_missing_spec +warn_unused_import +warn_export_vars -pa "$work/ebin" -o "$work/ebin" \
    examples/demo/caravan_demo_registry.erl examples/demo/*.erl >"$work/output" 2>&1 || problem "erlc failed"
}

run_test() {
  local name=$1 began=$(($(date +%s%N) / 1000000))
  : >"$work/problems"
  : >"$work/output"
  rm -rf "$TMPDIR"
  mkdir "$TMPDIR"
  "$name"
  printf '%d\tdemo: %s\n' $(($(date +%s%N) / 1000000 - began)) "$name" >>"$record"
  if [ -s "$work/problems" ]; then
    printf 'FAILED  %s\n' "$name"
    cat "$work/problems"
    sed 's/^/    /' "$work/output"
    failed=$((failed + 1))
  else
    printf 'ok      %s\n' "$name"
    passed=$((passed + 1))
  fi
}

record=${CARAVAN_TEST_RECORD:-/dev/null}
[ "$record" = /dev/null ] || : >"$record"
mkfifo "$work/never"
mkdir "$TMPDIR"
consul_reason=$(scripts/setup consul 2>&1) && consul_reason=''
mapfile -t from_terminal < <(default_sigint)
mapfile -t names < <(grep -oE '^test_[a-z0-9_]+' test/demo_test.sh)
for name in "${names[@]}"; do
  if [[ $name == *consul* && -n $consul_reason ]]; then
    printf 'SKIP: %s: %s\n' "$name" "$consul_reason"
    skipped=$((skipped + 1))
  elif [[ $name == *ctrl_c* && ${#from_terminal[@]} -eq 0 ]]; then
    printf 'SKIP: %s: SIGINT is ignored here, and neither env nor perl can change that\n' "$name"
    skipped=$((skipped + 1))
  else
    run_test "$name"
  fi
done

printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
