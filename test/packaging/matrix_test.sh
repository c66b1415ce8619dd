# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# What scripts/matrix says when it cannot run, with stand-ins for the commands that would install a suite.

# stand_in COMMAND SCRIPT: found before the real one.
stand_in() {
  mkdir -p bin
  printf '#!/bin/sh\n%s\n' "$2" >"bin/$1"
  chmod +x "bin/$1"
}

# Of a checkout without suites.
matrix() {
  [ -d caravan ] || copy_tree caravan
  PATH="$work/bin:$PATH" caravan/scripts/matrix "$@"
}

no_suite_can_be_had() {
  stand_in id 'echo 0'
  stand_in dpkg-query 'printf installed'
  # shellcheck disable=SC2016 # the stand-in's variable
  stand_in apt-get '. /etc/os-release; echo "$VERSION_CODENAME main http://packages.invalid/"'
  stand_in debootstrap 'echo no such mirror; exit 1'
}

test_others_than_root_are_told_that_it_needs_root() {
  stand_in id 'echo 1000'
  local said
  said=$(expect_failure matrix)
  expect_equal "$said" 'scripts/matrix: needs root, to install suites of Debian and to run the tests in them'
  expect_equal "$(expect_success matrix --optional)" "$said"
}

test_a_suite_that_cannot_be_had_has_failed() {
  no_suite_can_be_had
  local said
  said=$(expect_failure matrix trixie sid)
  expect_in "$said" '^no such mirror$'
  expect_in "$said" '^trixie +not available '
  expect_in "$said" '^sid +not available '
}

test_an_optional_suite_that_cannot_be_had_is_said_to_be_so() {
  no_suite_can_be_had
  expect_in "$(expect_success matrix trixie --optional)" '^trixie +not available '
}

test_unknown_words_are_refused() {
  local words
  for words in woody '--step lint' --step --suite; do
    # shellcheck disable=SC2086 # words
    expect_in "$(expect_failure matrix $words)" 'scripts/matrix \[bookworm'
  done
}
