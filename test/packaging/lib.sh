# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# What the packaging tests share. Each test has an empty directory, $work, which is also where it starts.

root=$(cd ../.. && pwd)
export root

# These tests ask whether it builds, not how fast it runs.
export CMAKE_BUILD_TYPE=Debug
# Most of them build the same files, each in a directory of its own.
export CMAKE_CXX_COMPILER_LAUNCHER=$PWD/object_cache

fail() {
  printf 'not as expected: %s\n' "$*" >&2
  exit 1
}

# skip REASON: ends a test that this machine cannot run.
skip() {
  printf 'SKIP: %s\n' "$*"
  exit 0
}

# expect_in TEXT PATTERN: the text has a line that matches.
expect_in() {
  grep -qE -- "$2" <<<"$1" || fail "no line matches /$2/ in: $1"
}

expect_equal() {
  [ "$1" = "$2" ] || fail "'$1' is not '$2'"
}

# expect_success COMMAND...: its output, when it succeeds.
expect_success() {
  local output
  output=$("$@" 2>&1) || fail "$* failed: $output"
  printf '%s\n' "$output"
}

# expect_failure COMMAND...: its output, when it fails.
expect_failure() {
  local output
  if output=$("$@" 2>&1); then
    fail "$* succeeded: $output"
  fi
  printf '%s\n' "$output"
}

# copy_tree DIRECTORY: the files that a clone would have if the working tree were committed.
copy_tree() {
  mkdir -p "$1"
  git -C "$root" ls-files -z --cached --others --exclude-standard |
    tar -C "$root" --null --ignore-failed-read -T - -cf - | tar -C "$1" -xf -
}

# copy_package DIRECTORY: the files that `mix hex.build` would take.
copy_package() {
  mkdir -p "$1"
  (
    cd "$root"
    # shellcheck disable=SC2046 # a list of words without spaces, some of them patterns
    tar -cf - $(package_files)
  ) | tar -C "$1" -xf -
}

package_files() {
  mix run --no-compile --no-start --no-deps-check -e '
    for pattern <- Mix.Project.config()[:package][:files] do
      case Path.wildcard(pattern, match_dot: true) do
        [] -> raise("no file matches #{pattern}")
        paths -> IO.puts(Enum.join(paths, " "))
      end
    end'
}

# commit_tree DIRECTORY: makes a git repository of what it holds.
commit_tree() {
  git -C "$1" init -q -b main
  git -C "$1" add -A
  git -C "$1" -c user.name=test -c user.email=test@localhost commit -q -m tree
}

# A project that takes Caravan as the dependency that $2 says, and a command that calls the library.
make_mix_project() {
  mkdir -p "$1/lib"
  cat >"$1/mix.exs" <<END
defmodule Taker.MixProject do
  use Mix.Project
  def project, do: [app: :taker, version: "0.1.0", deps: [$2]]
  def application, do: [extra_applications: [:logger]]
end
END
  cat >"$1/lib/taker.ex" <<'END'
defmodule Taker do
  def run do
    :ok = :caravan_nif.load()
    IO.puts("port #{:caravan_nif.dist_port(:"app-4834@host")}")
  end
end
END
}

make_rebar3_project() {
  mkdir -p "$1/src"
  printf '{deps, [%s]}.\n' "$2" >"$1/rebar.config"
  printf '{application, taker, [{vsn, "0.1.0"}, {applications, [kernel, stdlib, caravan]}]}.\n' >"$1/src/taker.app.src"
  cat >"$1/src/taker.erl" <<'END'
-module(taker).
-export([run/0]).
run() ->
    ok = caravan_nif:load(),
    io:format("port ~p~n", [caravan_nif:dist_port('app-4834@host')]),
    halt().
END
}

expect_mix_project_works() {
  cd "$1"
  expect_success mix deps.get
  expect_in "$(expect_success mix run -e 'Taker.run()')" 'port 4834$'
}

expect_rebar3_project_works() {
  cd "$1"
  expect_success rebar3 compile
  export ERL_LIBS=_build/default/lib:_build/default/checkouts
  expect_in "$(expect_success erl -noshell -s taker run)" 'port 4834$'
}

# A port that nobody listens on, from below those that the system gives to outgoing connections.
unused_port() {
  local port
  while :; do
    port=$((10000 + RANDOM % 20000))
    (exec 9<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  printf '%d' "$port"
}

node='' server=''

# start_node COMMAND...: in the background; its output is $log, its process $node, which ends with the test.
start_node() {
  exec {log}< <(exec "$@" 2>&1)
  node=$!
  trap 'kill -KILL $node $server 2>/dev/null || true' EXIT
  output=
}

# await_line PATTERN: reads on in the node's output until a line matches. The time limit is for a node that hangs.
await_line() {
  local line
  while IFS= read -r -t 60 -u "$log" line; do
    output+=$line$'\n'
    ! grep -qE -- "$1" <<<"$line" || return 0
  done
  fail "no line matches /$1/ in: $output"
}

await_end() {
  local rest status=0
  rest=$(timeout 60 cat <&"$log") || fail "the node does not end: $output$rest"
  output+=$rest
  wait "$node" || status=$?
  node=''
  expect_equal "$status" "$1"
}

exported_symbols() {
  nm --dynamic --defined-only "$1" | awk '{ print $2, $3 }'
}
