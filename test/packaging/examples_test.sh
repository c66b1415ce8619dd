# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# The projects in examples/ are built as releases and started.

# A port that nobody listens on now.
free_port() {
  erl -noshell -eval '{ok, S} = gen_tcp:listen(0, []), {ok, P} = inet:port(S), io:format("~b", [P]), halt().'
}

# until_answers PID COMMAND...: the command's output as soon as it succeeds; fails when the process ends first.
until_answers() {
  local pid=$1 output tries=0
  shift
  until output=$("$@" 2>&1); do
    kill -0 "$pid" 2>/dev/null || fail "the node ended before it answered: $output"
    tries=$((tries + 1))
    [ $tries -lt 100 ] || fail "the node does not answer: $output"
  done
  printf '%s\n' "$output"
}

# end_with_the_test PID: no node outlives a test that failed.
end_with_the_test() {
  started=$1
  trap 'kill "$started" 2>/dev/null || true' EXIT
}

# Nobody answers DNS in these tests: the node must come up all the same.
test_mix_release_starts_answers_and_stops() {
  copy_tree caravan
  cd caravan/examples/mix_app
  MIX_ENV=prod mix release
  local app=$PWD/_build/prod/rel/mix_app/bin/mix_app node output
  DIST_PORT=$(free_port)
  export DIST_PORT
  "$app" start >"$work/node.log" 2>&1 &
  node=$!
  end_with_the_test $node
  output=$(until_answers $node "$app" rpc 'IO.inspect(MixApp.Members.list())')
  expect_in "$output" "^\[:\"mix_app-$DIST_PORT@127.0.0.1\"\]$"
  "$app" stop
  wait $node || fail "the node ended badly: $(cat "$work/node.log")"
}

test_rebar3_release_starts_answers_and_stops() {
  copy_tree caravan
  cd caravan/examples/rebar3_app
  rebar3 release
  local app=$PWD/_build/default/rel/rebar3_app/bin/rebar3_app node output
  ERL_DIST_PORT=$(free_port)
  export ERL_DIST_PORT
  "$app" foreground >"$work/node.log" 2>&1 &
  node=$!
  end_with_the_test $node
  output=$(until_answers $node "$app" eval 'rebar3_app_members:list().')
  expect_in "$output" "^\['rebar3_app-$ERL_DIST_PORT@127.0.0.1'\]$"
  "$app" stop
  wait $node || fail "the node ended badly: $(cat "$work/node.log")"
}
