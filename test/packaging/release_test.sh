# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# The examples as releases with -mode embedded, one node without Consul: what nobody is told to do, and happens. What their
# documents tell is in examples_test.sh.

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
  expect_in "$said" '^caravan: .*/caravan_nif\.so: it is no shared library; compile the dependency again'
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
  expect_equal "$("$app" eval 'IO.inspect({node(), :caravan_nif.load(), :caravan_nif.dist_port("a-4834")})')" \
    "{:nonode@nohost, :ok, 4834}"
  # Consul does not run. A node that is asked goes on; a command beside it ends with the status.
  expect_in "$("$app" rpc 'IO.inspect({node(), :caravan_doctor.run()})')" "^cause: the nameserver 127.0.0.1:8600 does not answer"
  expect_in "$("$app" rpc 'IO.inspect(:caravan_command.main(["doctor"]))')" '^1$'
  expect_in "$(expect_failure "$app" eval ':caravan_command.main(["doctor"])')" "caravan doctor: $name"
  # A helper that is started as the node itself is has the port in its name, too.
  expect_equal "$(RELEASE_REMOTE_VM_ARGS="$(echo "$release"/releases/*/vm.args)" "$app" rpc 'IO.puts(node())')" "$name"
  expect_in "$(expect_failure timeout 60 "$app" start)" eaddrinuse
  expect_no_epmd
  "$app" stop
  await_end 0

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
  expect_equal "$("$app" rpc erlang node)" "'$name'"
  expect_in "$(expect_failure timeout 60 "$app" foreground)" eaddrinuse
  expect_no_epmd
  "$app" stop
  await_end 0

  break_library "$release"
  start_node "$app" foreground
  expect_one_line_about_the_library
}
