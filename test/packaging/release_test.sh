# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# The examples as releases with -mode embedded: what the release's script does to a running node, with no epmd.

# expect_daemon LOG PATTERN APP: the node that a release runs in the background writes a matching line, and can be stopped.
expect_daemon() {
  "$3" daemon
  start_node tail -n +1 -F "$1"
  await_line "$2"
  daemon=$("$3" pid) || fail "the daemon does not answer"
  "$3" stop
  timeout 60 tail --pid="$daemon" -f /dev/null || fail "the daemon does not end"
  daemon=''
  kill "$node"
  wait "$node" || true
}

# expect_shell EXPRESSION PATTERN COMMAND...: the command gives a shell, which prints a matching line. The terminal shows the
# expression too, so the pattern is for what comes of it; from OTP 26 on that may follow a prompt on its line.
expect_shell() {
  local expression=$1 pattern=$2 keyboard screen line
  shift 2
  mkfifo "$work/keyboard" "$work/screen"
  # Shells of releases want a terminal, and with a dumb one OTP 25 gives a shell of another node.
  TERM=vt100 script -qefc "$*" /dev/null <"$work/keyboard" >"$work/screen" 2>&1 &
  shell=$!
  exec {keyboard}>"$work/keyboard" {screen}<"$work/screen"
  printf '%s\n' "$expression" >&"$keyboard"
  while IFS= read -r -t 60 -u "$screen" line; do
    if grep -qE -- "$pattern" <<<"$line"; then
      kill "$shell"
      wait "$shell" || true
      shell=''
      exec {keyboard}>&- {screen}<&-
      rm "$work/keyboard" "$work/screen"
      return 0
    fi
    output+=$line$'\n'
  done
  fail "the shell shows no line that matches /$pattern/: $output"
}

expect_no_epmd() {
  ! (exec 9<>"/dev/tcp/127.0.0.1/$ERL_EPMD_PORT") 2>/dev/null || fail "an epmd runs"
}

# break_library RELEASE
break_library() {
  local library
  library=$(echo "$1"/lib/caravan-*/priv/caravan_nif.so)
  [ -f "$library" ] || fail "$library is not there"
  echo nonsense >"$library"
}

# The script of relx says first where everything is.
expect_one_line_about_the_library() {
  local said
  await_end 1
  said=$(sed -E '/^((Exec|Root): )?\/[^:]*$/d' <<<"$output")
  expect_equal "$(wc -l <<<"$said")" 1
  expect_in "$said" '^caravan: .*/caravan_nif\.so: .*file too short'
}

test_mix_release() {
  copy_tree caravan
  cd caravan/examples/mix_app
  MIX_ENV=prod mix release
  local release=$PWD/_build/prod/rel/mix_app
  local app=$release/bin/mix_app boot
  DIST_PORT=$(unused_port) ERL_EPMD_PORT=$(unused_port)
  export DIST_PORT ERL_EPMD_PORT
  local name="mix_app-$DIST_PORT@127.0.0.1"

  start_node "$app" start
  for boot in first second; do
    await_line "members: .*$name"
    expect_equal "$("$app" rpc 'IO.inspect({node(), :code.get_mode()})')" "{:\"$name\", :embedded}"
    expect_equal "$("$app" pid)" "$node"
    [ $boot = second ] || "$app" restart
  done
  expect_shell 'IO.puts("shell of #{node()}")' "shell of $name" "$app" remote
  expect_equal "$("$app" eval 'IO.inspect({node(), :caravan_nif.load(), :caravan_nif.dist_port("a-4834")})')" \
    "{:nonode@nohost, :ok, 4834}"
  # A helper that is started as the node itself is has the port in its name, too.
  expect_equal "$(RELEASE_REMOTE_VM_ARGS="$(echo "$release"/releases/*/vm.args)" "$app" rpc 'IO.puts(node())')" "$name"
  expect_in "$(expect_failure timeout 60 "$app" start)" eaddrinuse
  expect_no_epmd
  "$app" stop
  await_end 0

  expect_daemon "$release/tmp/log/erlang.log.1" "members: .*$name" "$app"

  # The boot that only reads the configuration has no distribution; the restart after it has.
  sed -i 's/mix_app: \[/&reboot_system_after_config: true, /' mix.exs
  echo 'import Config' >config/runtime.exs
  MIX_ENV=prod mix release --overwrite
  start_node "$app" start
  await_line "members: .*$name"
  expect_equal "$("$app" rpc 'IO.inspect({node(), :code.get_mode()})')" "{:\"$name\", :embedded}"
  "$app" stop
  await_end 0

  break_library "$release"
  start_node "$app" start
  expect_one_line_about_the_library
}

test_rebar3_release() {
  copy_tree caravan
  cd caravan/examples/rebar3_app
  rebar3 release
  local release=$PWD/_build/default/rel/rebar3_app
  local app=$release/bin/rebar3_app boot
  ERL_DIST_PORT=$(unused_port) ERL_EPMD_PORT=$(unused_port)
  export ERL_DIST_PORT ERL_EPMD_PORT
  local name="rebar3_app-$ERL_DIST_PORT@127.0.0.1"

  start_node "$app" foreground
  for boot in first second; do
    await_line "members: .*$name"
    expect_equal "$("$app" eval '{node(), code:get_mode()}.')" "{'$name', embedded}"
    expect_equal "$("$app" ping)" pong
    expect_equal "$("$app" pid)" "$node"
    [ $boot = second ] || "$app" restart
  done
  expect_shell 'io:format("shell of ~s~n", [node()]).' "shell of $name" "$app" remote_console
  expect_equal "$("$app" rpc erlang node)" "'$name'"
  expect_in "$(expect_failure timeout 60 "$app" foreground)" eaddrinuse
  expect_no_epmd
  "$app" stop
  await_end 0

  expect_daemon "$release/log/erlang.log.1" "members: .*$name" "$app"

  break_library "$release"
  start_node "$app" foreground
  expect_one_line_about_the_library
}
