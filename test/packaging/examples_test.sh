# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# What the documents tell a stranger to do, letter for letter: the examples, the quick starts and docs/consul.md on a real Consul, and
# docs/development.md.

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
  timeout -s KILL 600 "${alone[@]}" "$BASH" -c '
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

# run_example LOG: all of the README.md here. The log is that of a node that runs until the end and starts after the others of
# those that do, at ports from 4380 on. A node that stops may still connect to it.
run_example() {
  local heading headings=()
  mapfile -t headings < <(headings README.md)
  for heading in "${headings[@]}"; do
    [[ $heading = '## The end' ]] || run_section README.md "$heading"
  done
  expect_in "$(cat "$1")" 'cannot look up .*; keeping the last answer'
  ! grep -E 'nodedown [a-z0-9_]+-438' "$1" || fail "nodes went down: $(cat "$1")"
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
  shell_node=mix_app-4371@127.0.0.1
  run_example _build/prod/rel/mix_app/tmp/mix_app-4382@127.0.0.1/log/erlang.log.1
}

test_the_mix_example() { with_consul the_mix_example; }

the_rebar3_example() {
  copy_tree caravan
  cd caravan/examples/rebar3_app
  shell_node=rebar3_app-4371@127.0.0.1
  run_example _build/run/4382/erlang.log.1
}

test_the_rebar3_example() { with_consul the_rebar3_example; }

stop_all() {
  local node
  for node in 4370 4371; do
    DIST_PORT=$node "$app" stop
  done
  consul leave
  wait
  expect_no_epmd
  expect_all_ended
}

the_quick_start_with_mix_and_names_by_target() {
  copy_tree caravan
  commit_tree caravan
  run_section caravan/docs/getting-started.md '## Mix'
  shell_node=shop-4370@127.0.0.1
  run_section ../caravan/docs/development.md '## Tools without Caravan'
  stop_all
  run_section ../caravan/docs/consul.md '## SRV records of a registration'
  shell_node=shop-4370@7f000001.addr.dc1.consul
  run_section ../caravan/docs/consul.md '## Names by the targets of Consul'
  stop_all
}

the_quick_start_with_rebar3() {
  copy_tree caravan
  commit_tree caravan
  run_section caravan/docs/getting-started.md '## rebar3'
  expect_no_epmd
}

test_the_quick_start_with_mix_and_names_by_target() { with_consul the_quick_start_with_mix_and_names_by_target; }
test_the_quick_start_with_rebar3() { with_consul the_quick_start_with_rebar3; }

# command_of_document FILE PATTERN PORT: the line of it that matches, for another port.
command_of_document() {
  grep -E "$2" "$1" | sed "s/4371/$3/"
}

# start_shell COMMAND LOG: a shell on a terminal of its own; it stays until the test ends.
start_shell() {
  local keyboard
  # The end of its input would be the end of the shell.
  exec {keyboard}<>"$work/never"
  : >"$2"
  TERM=vt100 script -qefc "$1" /dev/null <&"$keyboard" >"$2" 2>&1 &
}

# await_in LOG PATTERN
await_in() {
  timeout 120 grep -qE -m 1 -- "$2" <(tail -n +1 -f "$1") || fail "no line matches /$2/ in: $(cat "$1")"
}

# expect_two_shells FILE PATTERN: two of them, by the command that matches, find each other.
expect_two_shells() {
  local port
  for port in 4371 4372; do
    start_shell "$(command_of_document "$1" "$2" "$port")" "$work/$port.log"
    await_in "$work/$port.log" "shop-$port listens on port $port"
  done
  await_in "$work/4371.log" 'connected to .*shop-4372@127.0.0.1'
  await_in "$work/4372.log" 'connected to .*shop-4371@127.0.0.1'
  expect_no_epmd
}

development_with_mix() {
  copy_tree caravan
  mix new shop --sup
  sed -i "s#defp deps do#defp deps do\n    [{:caravan, path: \"$work/caravan\"}]\n  end\n\n  def unused do#" shop/mix.exs
  cd shop
  run_block elixir "$(section ../caravan/docs/development.md '## Two nodes without DNS' | sed -n '/^```elixir/,/^```$/p' | sed '1d;$d')"
  expect_two_shells ../caravan/docs/development.md '^iex .*Node.start'
}

development_with_rebar3() {
  copy_tree caravan
  commit_tree caravan
  rebar3 new release shop
  cd shop
  printf '{deps, [{caravan, {git, "file://%s/caravan", {branch, "main"}}}]}.\n{relx, [{release, {shop, "0.1.0"}, [shop]}]}.\n' "$work" \
    >rebar.config
  sed -i 's/stdlib$/stdlib, caravan/' apps/shop/src/shop.app.src
  eval "$(command_of_document ../caravan/docs/development.md '^export CARAVAN_CLUSTER_NODES' 4371)"
  expect_two_shells ../caravan/docs/development.md '^ERL_FLAGS='
}

# A shell with the document's commands, and one with the other name in place of the first.
development_from_a_checkout() {
  local commands
  copy_tree caravan
  cd caravan
  rebar3 compile
  commands=$(section docs/development.md '## Two nodes from a checkout' | sed -n '/^```sh/,/^```$/p' | sed '1d;$d')
  start_shell "$commands" "$work/a.log"
  await_in "$work/a.log" 'a-24371 listens on port 24371'
  start_shell "${commands/-name a-24371/-name b-24372}" "$work/b.log"
  await_in "$work/a.log" 'connected to .*b-24372@127.0.0.1'
  await_in "$work/b.log" 'connected to .*a-24371@127.0.0.1'
  expect_no_epmd
}

test_development_with_mix() { with_consul development_with_mix; }
test_development_from_a_checkout() { with_consul development_from_a_checkout; }
test_development_with_rebar3() { with_consul development_with_rebar3; }
