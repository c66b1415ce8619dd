# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# What the documents tell a stranger to do, letter for letter, on a real Consul: the examples, the quick starts, docs/consul.md.

# shellcheck source=test/packaging/document.sh
source ./document.sh

# with_consul FUNCTION: calls it where the ports that the documents name are free, with a consul(1) on the path. All processes
# that it starts end with it. Without Consul, or without namespaces(7), it says SKIP.
with_consul() {
  local why
  local -a alone=(unshare --net --mount --pid --fork --kill-child --mount-proc --map-root-user)
  why=$("$root/scripts/setup" consul 2>&1) || {
    printf 'SKIP: %s: %s\n' "$1" "$why"
    return 0
  }
  why=$("${alone[@]}" ip link set lo up 2>&1) || {
    printf 'SKIP: %s: no namespaces: %s\n' "$1" "$why"
    return 0
  }
  # The time is for what hangs. unshare(1) takes no notice of SIGTERM.
  # shellcheck disable=SC2016 # expanded by the other shell
  timeout -s KILL 900 "${alone[@]}" "$BASH" -c '
    set -euo pipefail
    cd "$0/test/packaging"
    source ./lib.sh
    source ./examples_test.sh
    work=$1
    cd "$work"
    ip link set lo up
    # Where relx keeps the pipes of all nodes on a machine.
    mkdir -p /tmp/erl_pipes
    mount -t tmpfs tmpfs /tmp/erl_pipes
    mkfifo never
    PATH=$root/_build/consul/usr/bin:$PATH
    unset ERL_EPMD_PORT ERL_DIST_PORT DIST_PORT DIST_HOST
    "$2"' "$root" "$work" "$1"
}

# run_example LOG: all of the README.md here. The log is that of a node that runs until the end and starts after the others.
run_example() {
  local heading headings=()
  mapfile -t headings < <(headings README.md)
  for heading in "${headings[@]}"; do
    [[ $heading = '## The end' ]] || run_section README.md "$heading"
  done
  expect_in "$(cat "$1")" 'cannot look up .*connrefused; the last good answer stands'
  ! grep nodedown "$1" || fail "nodes went down: $(cat "$1")"
  expect_no_epmd
  run_section README.md '## The end'
  expect_all_ended
}

expect_no_epmd() {
  ! (exec 9<>/dev/tcp/127.0.0.1/4369) 2>/dev/null || fail "an epmd runs"
}

expect_all_ended() {
  local left
  left=$(pgrep -af '/beam|consul agent') || return 0
  fail "still running: $left"
}

the_mix_example() {
  copy_tree caravan
  cd caravan/examples/mix_app
  # shellcheck disable=SC2016 # Elixir's
  shell_expression='IO.puts("shell of #{node()}")' shell_pattern='shell of mix_app-4371@127\.0\.0\.1'
  run_example _build/prod/rel/mix_app/tmp/mix_app-4382@127.0.0.1/log/erlang.log.1
}

test_the_mix_example() { with_consul the_mix_example; }

the_rebar3_example() {
  copy_tree caravan
  cd caravan/examples/rebar3_app
  shell_expression='io:format("shell of ~s~n", [node()]).' shell_pattern='shell of rebar3_app-4371@127\.0\.0\.1'
  run_example _build/run/4382/erlang.log.1
}

test_the_rebar3_example() { with_consul the_rebar3_example; }
