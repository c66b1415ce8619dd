# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# The package that hex.pm would have, as `mix hex.build` makes it. Debian has Hex from trixie on (scripts/setup hex).

# unpack_hex_package DIRECTORY
unpack_hex_package() {
  mix hex.info >/dev/null 2>&1 || skip 'there is no Hex'
  copy_tree tree
  (
    cd tree
    commit_tree .
    HEX_OFFLINE=1 expect_success mix hex.build --output "$work/package.tar"
  )
  mkdir "$1"
  tar -xOf package.tar contents.tar.gz | tar -C "$1" -xzf -
}

test_hex_package_in_a_mix_project() {
  unpack_hex_package caravan
  make_mix_project taker '{:caravan, path: "../caravan"}'
  expect_mix_project_works taker
  # The commands that operators run are among the files.
  CARAVAN_EBIN=$work/taker/_build/dev/lib/caravan/ebin expect_success ../caravan/scripts/caravan --help
}

test_hex_package_in_a_rebar3_project() {
  unpack_hex_package caravan
  make_rebar3_project taker caravan
  mkdir taker/_checkouts
  mv caravan taker/_checkouts/caravan
  expect_rebar3_project_works taker
}

# What it has, and no more: the tests, the examples and the build of a checkout are not for users.
test_hex_package_has_the_files_of_the_package() {
  unpack_hex_package caravan
  copy_package expected
  expect_equal "$(cd caravan && find . -type f | sort)" "$(cd expected && find . -type f | sort)"
}
