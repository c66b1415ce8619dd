# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# What docs/servers.md says of RabbitMQ, of ejabberd and of test suites of OTP, as they are, with `-epmd_module caravan_epmd`. `scripts/setup foreign` unpacks
# them. No test may bring an epmd to life: one would stay, at the tests' ERL_EPMD_PORT.

foreign=$root/_build/foreign
caravan=$root/_build/rebar3/default/lib/caravan/ebin

# Each is the leader of a process group, which ends with the test.
groups=()

# prepare: builds Caravan, and makes what servers and their tools share: the cookie, a port for an epmd that is not there.
prepare() {
  [ -e "$foreign/ready" ] || fail "scripts/setup foreign has not been run"
  # The tests of this file run side by side. The build is that of the other steps, not that of the packaging tests.
  (cd "$root" && env -u CMAKE_BUILD_TYPE -u CMAKE_CXX_COMPILER_LAUNCHER flock "$foreign/ready" rebar3 compile)
  export HOME=$work ERL_CRASH_DUMP=/dev/null ERL_EPMD_PORT
  printf 'caravan%d' "$RANDOM" >.erlang.cookie
  chmod 400 .erlang.cookie
  # Not the directory above: it has a path of the C library's, too.
  LD_LIBRARY_PATH=$(echo "$foreign"/usr/lib/*-linux-gnu)
  export LD_LIBRARY_PATH
  unused_ports 1
  ERL_EPMD_PORT=${ports[0]}
  trap end_groups EXIT
}

end_groups() {
  local group
  for group in "${groups[@]}"; do
    kill -KILL -- "-$group" 2>/dev/null || true
  done
  # One that a test has brought to life after all.
  ! is_listening "$ERL_EPMD_PORT" || epmd -kill
}

# unused_ports NUMBER: "${ports[@]}", of which none is given twice.
taken=' '
unused_ports() {
  local port
  ports=()
  while [ ${#ports[@]} -lt "$1" ]; do
    port=$(unused_port)
    [[ $taken == *" $port "* ]] || ports+=("$port")
    taken+="$port "
  done
}

is_listening() {
  (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

expect_no_epmd() {
  ! is_listening "$ERL_EPMD_PORT" || fail "an epmd runs"
}

# start LOG COMMAND...: in the background.
start() {
  local log=$1
  shift
  : >"$log"
  setsid "$@" >"$log" 2>&1 </dev/null &
  groups+=($!)
}

# await_log LOG PATTERN: until the log has a line that matches. The time limit is for a server that hangs.
await_log() {
  local line lines reader
  exec {lines}< <(exec tail -n +1 -f "$1")
  reader=$!
  while IFS= read -r -t 300 -u "$lines" line; do
    if grep -qE -- "$2" <<<"$line"; then
      kill "$reader"
      exec {lines}<&-
      return 0
    fi
  done
  kill "$reader"
  fail "no line matches /$2/ in: $(cat "$1")"
}

# await_answer PATTERN COMMAND...: until the command, which asks a server, prints a line that matches.
await_answer() {
  local pattern=$1 attempt answer=''
  shift
  for attempt in {1..60}; do
    answer=$("$@" 2>&1) || true
    ! grep -qE -- "$pattern" <<<"$answer" || return 0
  done
  fail "after $attempt times, no line matches /$pattern/ in: $answer"
}

# kill_and_await PID
kill_and_await() {
  kill -KILL "$1"
  timeout 60 tail --pid="$1" -f /dev/null || fail "process $1 does not end"
}

# run_suite SUITE DIRECTORY FLAG...: in the background; all cases, or those in "${cases[@]}".
run_suite() {
  local suite=$1 directory=$2
  unused_ports 1
  mkdir -p "$directory/log"
  start "$directory/output" env ERL_FLAGS="${*:3} -kernel inet_dist_use_interface {127,0,0,1}" \
    ct_run -noshell -sname "ct-${ports[0]}@localhost" -pa "$work/suite" -no_auto_compile -dir "$work/suite" -suite "$suite" ${cases:+-case "${cases[@]}"} \
    -logdir "$directory/log"
}
# suite_result DIRECTORY: how many cases passed, once all of them have run.
suite_result() {
  await_log "$1/output" 'TEST COMPLETE'
  sed -n 's/.*TEST COMPLETE, //p' "$1/output"
}

# expect_suite SUITE RESULT [CASE]...: the suite without these cases has the result on Caravan, and the same one with epmd.
expect_suite() {
  local -a cases=()
  local left_out
  prepare
  mkdir suite
  erlc -o suite "$foreign/otp/lib/kernel/test/$1.erl" "$foreign/otp/lib/common_test/test_server/ts_install_cth.erl"
  [ $# -eq 2 ] ||
    mapfile -t cases < <(erl -noshell -pa suite -eval "[io:format(\"~ts~n\", [Case]) || Case <- $1:all(), is_atom(Case)], halt().")
  for left_out in "${@:3}"; do
    [[ " ${cases[*]} " == *" $left_out "* ]] || fail "$1 has no case $left_out"
    mapfile -t cases < <(printf '%s\n' "${cases[@]}" | grep -vx "$left_out")
  done
  unused_ports 1
  start epmd.log env ERL_EPMD_ADDRESS=127.0.0.1 epmd -d -d -port "${ports[0]}"
  await_log epmd.log 'entering the main select'
  ERL_EPMD_PORT=${ports[0]} run_suite "$1" epmd -start_epmd false
  run_suite "$1" caravan -pa "$caravan" -start_epmd false -epmd_module caravan_epmd
  expect_equal "$(suite_result caravan)" "$2"
  expect_no_epmd
  expect_equal "$(suite_result epmd)" "$2"
}

test_otp_pg_suite() {
  expect_suite pg_SUITE '25 ok, 0 failed of 25 test cases'
}

# The cases that are skipped want an older release of OTP.
test_otp_rpc_suite() {
  expect_suite rpc_SUITE '16 ok, 0 failed, 4 skipped of 20 test cases'
}

# The cases that are skipped want an older release of OTP. Those that are left out start a node of erl_interface, which registers with
# epmd and is found through it.
test_otp_erpc_suite() {
  expect_suite erpc_SUITE '13 ok, 0 failed, 2 skipped of 15 test cases' call_against_ei_node cast send_request send_request_fun \
    send_request_against_ei_node multicall multicast
}

# address_of NODE: a host in the tests is localhost, or an address of the loopback interface.
address_of() {
  local host=${1#*@}
  printf '%s' "${host/localhost/127.0.0.1}"
}

# rabbitmq BROKER TOOL ARGUMENT...: the time limit is for a tool that hangs.
rabbitmq() {
  local tool
  tool=$(echo "$foreign"/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin)/$2
  RABBITMQ_CONF_ENV_FILE=$work/$1/rabbitmq-env.conf timeout 180 "$tool" "${@:3}"
}

# make_broker NAME NODE DIST_PORT AMQP_PORT [CHECKED_PORT]: RabbitMQ checks that a port is free, on all addresses of the machine
# and so on those of the other hosts of a test.
make_broker() {
  local directory=$work/$1 address flags
  address=$(address_of "$2")
  flags="-erl_epmd_port $3 -kernel inet_dist_use_interface {${address//./,}}"
  mkdir "$directory"
  cat >"$directory/rabbitmq-env.conf" <<END
NODENAME=$2
export ERL_LIBS=$foreign/usr/lib/erlang/lib
export ERL_AFLAGS="-start_epmd false"
SERVER_ADDITIONAL_ERL_ARGS="-pa $caravan -epmd_module caravan_epmd $flags"
CTL_ERL_ARGS="-pa $caravan -epmd_module caravan_epmd $flags"
NODE_IP_ADDRESS=$address
NODE_PORT=$4
DIST_PORT=${5:-$3}
MNESIA_BASE=$directory/mnesia
LOG_BASE=$directory/log
PID_FILE=$directory/pid
CONFIG_FILE=$directory/rabbitmq
ENABLED_PLUGINS_FILE=$directory/enabled_plugins
END
  [[ $2 != *.* ]] || echo 'USE_LONGNAME=true' >>"$directory/rabbitmq-env.conf"
}

start_broker() {
  start "$1/output" env RABBITMQ_CONF_ENV_FILE="$work/$1/rabbitmq-env.conf" \
    "$(echo "$foreign"/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin)/rabbitmq-server"
}

await_broker() {
  await_log "$1/output" 'completed with [0-9]+ plugins'
}

running_brokers() {
  rabbitmq "$1" rabbitmqctl -q cluster_status --formatter json |
    sed -nE 's/.*"running_nodes":\[([^]]*)\].*/\1/p' | tr -d '"' | tr ',' '\n' | sort | paste -sd ' '
}

# start_client HOST AMQP_PORT: declares a queue of each kind, with a message in it, and stays connected.
start_client() {
  cat >client.escript <<'END'
#!/usr/bin/env escript
-include_lib("amqp_client/include/amqp_client.hrl").
main([Host, Port]) ->
    {ok, Connection} = amqp_connection:start(#amqp_params_network{host = Host, port = list_to_integer(Port)}),
    {ok, Channel} = amqp_connection:open_channel(Connection),
    #'confirm.select_ok'{} = amqp_channel:call(Channel, #'confirm.select'{}),
    [publish(Channel, Queue, Type) || {Queue, Type} <- [{<<"old">>, <<"classic">>}, {<<"new">>, <<"quorum">>}]],
    true = amqp_channel:wait_for_confirms(Channel, 60),
    io:format("published~n"),
    timer:sleep(infinity).
publish(Channel, Queue, Type) ->
    Arguments = [{<<"x-queue-type">>, longstr, Type}],
    Declare = #'queue.declare'{queue = Queue, durable = true, arguments = Arguments},
    #'queue.declare_ok'{} = amqp_channel:call(Channel, Declare),
    Message = #amqp_msg{props = #'P_basic'{delivery_mode = 2}, payload = <<"kept">>},
    ok = amqp_channel:call(Channel, #'basic.publish'{routing_key = Queue}, Message).
END
  start client.log env ERL_LIBS="$(echo "$foreign"/usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins)" \
    escript client.escript "$@"
  await_log client.log '^published$'
}

# start_brokers BROKER...
start_brokers() {
  local broker
  for broker in "$@"; do
    start_broker "$broker"
  done
  for broker in "$@"; do
    await_broker "$broker"
  done
  expect_no_epmd
}

# join BROKER NODE
join() {
  rabbitmq "$1" rabbitmqctl stop_app
  rabbitmq "$1" rabbitmqctl join_cluster "$2"
  rabbitmq "$1" rabbitmqctl start_app
}

sorted() {
  printf '%s\n' "$@" | sort | paste -sd ' '
}

# A tool's helper asks one broker, and the others send it what they have: they dial it at its helper port. If they did not
# reach it, there would be no answer before the time is up.
test_rabbitmq() {
  prepare
  local broker one two three all amqp_port
  unused_ports 6
  one=rabbit-${ports[0]}@localhost two=rabbit-${ports[1]}@localhost three=rabbit-${ports[2]}@localhost
  all=$(sorted "$one" "$two" "$three") amqp_port=${ports[5]}
  make_broker one "$one" "${ports[0]}" "${ports[3]}"
  make_broker two "$two" "${ports[1]}" "${ports[4]}"
  make_broker three "$three" "${ports[2]}" "$amqp_port"
  start_brokers one two three
  expect_in "$(rabbitmq one rabbitmqctl status)" '^RabbitMQ version: '
  expect_in "$(rabbitmq two rabbitmq-diagnostics ping)" '^Ping succeeded'

  join two "$one"
  join three "$one"
  for broker in one two three; do
    expect_equal "$(running_brokers "$broker")" "$all"
  done

  start_client localhost "$amqp_port"
  expect_in "$(rabbitmq one rabbitmqctl -q --timeout 30 list_queues name messages state)" $'^old\t1\trunning$'
  # A quorum queue counts its messages now and then.
  await_answer $'^new\t1\trunning$' rabbitmq one rabbitmqctl -q --timeout 30 list_queues name messages state
  expect_in "$(rabbitmq one rabbitmqctl -q --timeout 30 list_connections port user state)" "^$amqp_port"$'\tguest\trunning$'
  expect_in "$(rabbitmq two rabbitmqctl -q --timeout 30 list_channels user confirm)" $'^guest\ttrue$'
  expect_no_epmd

  kill_and_await "$(cat three/pid)"
  await_answer "^$(sorted "$one" "$two")$" running_brokers one
  await_answer $'^old\tdown$' rabbitmq one rabbitmqctl -q --timeout 30 list_queues name state
  await_answer $'^new\trunning$' rabbitmq two rabbitmqctl -q --timeout 30 list_queues name state
  expect_in "$(expect_failure rabbitmq three rabbitmqctl status)" 'nodedown|not running|unable to'

  rm three/pid
  start_broker three
  await_broker three
  for broker in one two three; do
    await_answer "^$all$" running_brokers "$broker"
  done
  await_answer $'^new\t1\trunning$' rabbitmq two rabbitmqctl -q --timeout 30 list_queues name messages state
  expect_in "$(rabbitmq two rabbitmqctl -q --timeout 30 list_queues name messages state)" $'^old\t1\trunning$'
  expect_no_epmd

  for broker in three two one; do
    rabbitmq "$broker" rabbitmqctl stop "$broker/pid"
  done
  expect_no_epmd
}

# As the package has it: one broker on a host, no digits in its name, and one port for all.
test_rabbitmq_with_a_node_on_each_host() {
  prepare
  local one=rabbit@127.0.0.1 two=rabbit@127.0.0.2 broker
  unused_ports 5
  make_broker one "$one" "${ports[0]}" "${ports[1]}" "${ports[3]}"
  make_broker two "$two" "${ports[0]}" "${ports[2]}" "${ports[4]}"
  start_brokers one two
  join two "$one"
  for broker in one two; do
    expect_equal "$(running_brokers "$broker")" "$one $two"
  done
  start_client 127.0.0.2 "${ports[2]}"
  expect_in "$(rabbitmq one rabbitmqctl -q --timeout 30 list_queues name messages state)" $'^old\t1\trunning$'
  expect_no_epmd
}

ejabberd() {
  timeout 180 "$foreign/usr/sbin/ejabberdctl" --config-dir "$work/$1" "${@:2}"
}

# make_ejabberd NAME NODE CLIENT_PORT
make_ejabberd() {
  local directory=$work/$1 address library
  address=$(address_of "$2")
  mkdir -p "$directory/log"
  cp "$foreign/etc/ejabberd/inetrc" "$directory/"
  cat >"$directory/ejabberdctl.cfg" <<END
ERLANG_NODE=$2
INET_DIST_INTERFACE=$address
LOGS_DIR=$directory/log
SPOOL_DIR=$directory/spool
EJABBERD_PID_PATH=$directory/pid
END
  cat >"$directory/ejabberd.yml" <<END
hosts:
  - localhost
listen:
  -
    port: $3
    ip: "$address"
    module: ejabberd_c2s
api_permissions:
  "console commands":
    from: ejabberd_ctl
    who: all
    what: "*"
modules:
  mod_admin_extra: {}
END
  # ejabberdctl sets ERL_LIBS itself, to where the package would be installed.
  for library in "$foreign"/usr/lib/erlang/lib/*/ebin "$foreign"/usr/lib/*/ejabberd-*/ebin; do
    printf -- '-pa %s\n' "$library"
  done >"$directory/vm.args"
  printf '%s\n' "-pa $caravan" '-start_epmd false' '-epmd_module caravan_epmd' >>"$directory/vm.args"
}

start_ejabberd() {
  start "$1/output" "$foreign/usr/sbin/ejabberdctl" --config-dir "$work/$1" foreground
}

await_ejabberd() {
  await_log "$1/output" 'ejabberd .* is started in the node'
}

list_cluster() {
  ejabberd "$1" list_cluster 2>/dev/null | tr -d "'" | sort | paste -sd ' '
}

# start_ejabberds NODE...
start_ejabberds() {
  local node
  for node in "$@"; do
    start_ejabberd "$node"
  done
  for node in "$@"; do
    await_ejabberd "$node"
    expect_in "$(ejabberd "$node" status 2>/dev/null)" 'started with status: started$'
  done
  expect_no_epmd
}

# With ERL_DIST_PORT, which two of the nodes have, ejabberdctl starts helpers that listen nowhere; those of the third have a
# helper port.
test_ejabberd() {
  prepare
  local node one two three all
  unused_ports 6
  one=ejabberd-${ports[0]}@localhost two=ejabberd-${ports[1]}@localhost three=ejabberd-${ports[2]}@localhost
  all=$(sorted "$one" "$two" "$three")
  make_ejabberd one "$one" "${ports[3]}"
  make_ejabberd two "$two" "${ports[4]}"
  make_ejabberd three "$three" "${ports[5]}"
  echo "ERL_DIST_PORT=${ports[0]}" >>one/ejabberdctl.cfg
  echo "ERL_DIST_PORT=${ports[1]}" >>two/ejabberdctl.cfg
  start_ejabberds one two three

  expect_success ejabberd two join_cluster "$one"
  expect_success ejabberd three join_cluster "$one"
  for node in one two three; do
    await_answer "^$all$" list_cluster "$node"
  done
  expect_success ejabberd one register user localhost secret
  for node in one two three; do
    await_answer '^user$' ejabberd "$node" registered_users localhost
  done
  expect_in "$(ejabberd three ping "$two" 2>/dev/null)" '^pong$'
  expect_in "$(ejabberd one ping "$three" 2>/dev/null)" '^pong$'
  expect_no_epmd

  kill_and_await "$(cat two/pid)"
  await_answer "^$(sorted "$one" "$three")$" list_cluster three
  expect_in "$(ejabberd one ping "$two" 2>/dev/null)" '^pang$'
  start_ejabberd two
  await_ejabberd two
  for node in one two three; do
    await_answer "^$all$" list_cluster "$node"
    await_answer '^user$' ejabberd "$node" registered_users localhost
  done
  expect_no_epmd

  local pid
  for node in three two one; do
    pid=$(cat "$node/pid")
    expect_success ejabberd "$node" stop
    timeout 180 tail --pid="$pid" -f /dev/null || fail "$node does not end"
  done
  expect_no_epmd
}

# As the package has it: one node on a host, no digits in its name, and one port for all.
test_ejabberd_with_a_node_on_each_host() {
  prepare
  local one=ejabberd@127.0.0.1 two=ejabberd@127.0.0.2 node
  unused_ports 3
  make_ejabberd one "$one" "${ports[1]}"
  make_ejabberd two "$two" "${ports[2]}"
  for node in one two; do
    echo "ERL_DIST_PORT=${ports[0]}" >>"$node/ejabberdctl.cfg"
  done
  start_ejabberds one two
  expect_success ejabberd two join_cluster "$one"
  for node in one two; do
    await_answer "^$one $two$" list_cluster "$node"
  done
  expect_no_epmd
}
