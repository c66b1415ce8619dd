# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# scripts/setup with stand-ins for the commands that would change this machine.

# stand_in COMMAND SCRIPT: found before the real one.
stand_in() {
  mkdir -p bin
  printf '#!/bin/sh\n%s\n' "$2" >"bin/$1"
  chmod +x "bin/$1"
}

setup() {
  PATH="$work/bin:$PATH" "$root/scripts/setup" "$@"
}

all_installed="printf installed"
all_but_catch2="case \"\$*\" in *catch2) exit 1 ;; *) printf installed ;; esac"

test_nothing_missing_calls_nobody() {
  stand_in dpkg-query "$all_installed"
  stand_in apt-get 'exit 99'
  stand_in sudo 'exit 99'
  expect_equal "$(setup build test)" ""
}

test_only_what_is_missing_is_installed() {
  stand_in dpkg-query "$all_but_catch2"
  stand_in id 'echo 0'
  stand_in apt-get "echo \"\$@\" >>$work/calls"
  setup test
  expect_in "$(cat calls)" 'install -y --no-install-recommends catch2$'
}

test_sudo_is_used_by_others_than_root() {
  stand_in dpkg-query "$all_but_catch2"
  stand_in id 'echo 1000'
  stand_in apt-get "echo \"\$@\" >>$work/calls"
  stand_in sudo "echo sudo >>$work/calls; exec \"\$@\""
  setup test
  expect_equal "$(grep -c sudo calls)" 2
  expect_in "$(cat calls)" 'install -y --no-install-recommends catch2$'
}

test_who_cannot_install_is_told_what_to_run() {
  stand_in dpkg-query "$all_but_catch2"
  stand_in id 'echo 1000'
  stand_in apt-get 'exit 99'
  # command -v looks at the path alone, so sudo is hidden by a path without it.
  local command
  for command in bash dirname; do
    ln -s "$(command -v $command)" "bin/$command"
  done
  expect_in "$(PATH="$work/bin" expect_failure "$root/scripts/setup" test)" \
    'as root: apt-get install --no-install-recommends catch2$'
}

test_a_failed_installation_fails() {
  stand_in dpkg-query "$all_but_catch2"
  stand_in id 'echo 0'
  stand_in apt-get 'exit 100'
  expect_failure setup test
}

test_another_system_is_told_the_names() {
  mkdir bin
  local command
  for command in bash dirname cat; do
    ln -s "$(command -v $command)" "bin/$command"
  done
  local output
  output=$(PATH="$work/bin" expect_failure "$root/scripts/setup" build)
  expect_in "$output" 'apk add .*c-ares-dev'
  expect_in "$output" 'brew install .*c-ares'
  expect_in "$output" 'missing: .*cmake'
}

test_consul_that_cannot_be_had_gives_the_reason() {
  mkdir -p copy/scripts
  cp "$root/scripts/setup" copy/scripts/
  stand_in apt-get 'echo the archive is out of reach >&2; exit 100'
  local output
  output=$(PATH="$work/bin:$PATH" expect_failure copy/scripts/setup consul)
  expect_in "$output" 'consul is not available: .*the archive is out of reach'
}

test_foreign_servers_that_cannot_be_had_give_the_reason() {
  mkdir -p copy/scripts
  cp "$root/scripts/setup" copy/scripts/
  stand_in apt-get 'echo the archive is out of reach >&2; exit 100'
  local output
  output=$(PATH="$work/bin:$PATH" expect_failure copy/scripts/setup foreign)
  expect_in "$output" 'RabbitMQ and ejabberd are not available: .*the archive is out of reach'
  [ ! -e copy/_build/foreign/ready ]
}

test_an_unknown_word_fails() {
  expect_in "$(expect_failure setup nonsense)" 'unknown word: nonsense'
}
