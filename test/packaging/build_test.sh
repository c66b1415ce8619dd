# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# The build tree, the library in priv/ and what it exports.

build() {
  cmake "-DBUILD_DIR=$work/build" -P caravan/cmake/build.cmake
}

library=caravan/priv/caravan_nif.so

test_the_library_exports_nothing_but_nif_init() {
  copy_tree caravan
  build
  expect_equal "$(exported_symbols $library)" "T nif_init"
}

# expect_lines OUTPUT: what a build that has something to do says.
expect_lines() {
  expect_equal "$(sed -E 's/ [0-9]+ s$/ N s/' <<<"$1")" "\
Caravan: building its C++ library
Caravan: built its C++ library in N s"
}

test_a_build_says_so_when_it_has_something_to_do() {
  copy_tree caravan
  expect_lines "$(build 2>/dev/null)"
  expect_equal "$(build 2>&1)" ""
  rm $library
  expect_equal "$(build 2>&1)" ""
  touch caravan/c_src/core/wire/srv.hpp
  expect_lines "$(build 2>&1)"
  expect_equal "$(build 2>&1)" ""
  rm caravan/c_src/core/wire/srv.cpp
  expect_in "$(build 2>&1)" '^Caravan: building'
}

# A package's files are often older than what was built from the ones before them.
test_a_header_of_another_version_is_built_from_though_it_is_old() {
  copy_tree caravan
  mkdir headers
  cp "$(erl -noshell -eval 'io:format("~ts", [code:root_dir()]), halt().')"/usr/include/*.h headers
  export ERTS_INCLUDE_DIR=$work/headers
  build
  expect_equal "$(build 2>&1)" ""
  touch -d '2001-01-01 00:00:00' headers/erl_nif.h
  expect_lines "$(build 2>&1)"
  expect_equal "$(build 2>&1)" ""
}

# With a compiler that waits until the line was read.
test_mix_and_rebar3_say_that_they_build_while_they_do() {
  copy_tree caravan
  cd caravan
  printf '#!/bin/sh\nflock --shared %s/gate true\nexec %s "$@"\n' "$work" "$CMAKE_CXX_COMPILER_LAUNCHER" >"$work/launcher"
  chmod +x "$work/launcher"
  export CMAKE_CXX_COMPILER_LAUNCHER=$work/launcher
  local tool line said
  for tool in mix rebar3; do
    exec {gate}>"$work/gate"
    flock "$gate"
    exec {output}< <($tool compile 2>/dev/null {gate}>&-)
    said=
    while [[ $said != *'Caravan: building its C++ library'* ]]; do
      read -r -t 60 -u "$output" line || fail "$tool does not say that it builds: $said"
      said+=$line
    done
    exec {gate}>&-
    expect_in "$(cat <&"$output")" 'Caravan: built its C\+\+ library in [0-9]+ s$'
    exec {output}<&-
    ! grep 'Caravan: ' <<<"$($tool compile 2>&1)" || fail "$tool says something of an up-to-date build"
  done
}

test_builds_of_one_tree_wait_for_each_other() {
  copy_tree caravan
  mkdir build
  mkfifo held release
  cat >hold.cmake <<END
file(LOCK "$work/build/caravan.lock")
execute_process(COMMAND sh -c "echo yes >'$work/held'; cat '$work/release'")
END
  cmake -P hold.cmake &
  expect_equal "$(cat held)" yes
  expect_in "$(expect_failure cmake "-DBUILD_DIR=$work/build" -DLOCK_TIMEOUT=1 -P caravan/cmake/build.cmake)" \
    'for 1 s another build has held'
  local line
  exec {output}< <(build 2>&1)
  read -r -t 60 -u "$output" line
  expect_equal "$line" 'Caravan: waiting for another build of its C++ library'
  echo >release
  expect_lines "$(cat <&"$output")"
}

test_a_build_writes_only_where_it_should() {
  copy_tree caravan
  local before after
  before=$(cd caravan && find . -type f | sort)
  build
  after=$(cd caravan && find . -type f ! -name caravan_nif.so | sort)
  expect_equal "$before" "$after"
}

test_an_up_to_date_build_changes_no_file() {
  copy_tree caravan
  build
  local before after
  before=$(find build caravan \( -name '*.o' -o -name '*.a' -o -name '*.so' -o -name CMakeCache.txt \) -printf '%p %i %T@\n')
  build
  after=$(find build caravan \( -name '*.o' -o -name '*.a' -o -name '*.so' -o -name CMakeCache.txt \) -printf '%p %i %T@\n')
  expect_equal "$before" "$after"
}

# As after a switch from MIX_ENV=dev to test: this build tree is up to date, priv/ holds the other one's library.
test_a_library_from_elsewhere_is_replaced_by_rename() {
  copy_tree caravan
  build
  local inode
  echo another >$library
  inode=$(stat -c %i $library)
  exec 3<$library
  build
  cmp $library build/caravan_nif.so
  [ "$(stat -c %i $library)" != "$inode" ] || fail "the file was written in place"
  expect_equal "$(cat <&3)" another
  expect_equal "$(ls -A caravan/priv)" "$(printf '.gitkeep\ncaravan_nif.so')"
}

test_a_running_vm_survives_a_new_build() {
  copy_tree caravan
  build
  erlc -o . caravan/src/dns/caravan_nif.erl
  mkfifo built
  exec 3< <(CARAVAN_NIF_DIR=caravan/priv erl -noshell -pa . -eval '
    ok = caravan_nif:load(),
    4834 = caravan_nif:dist_port(list_to_atom("app-4834@host")),
    io:format("loaded~n"),
    {ok, _} = file:read_file("built"),
    4835 = caravan_nif:dist_port(list_to_atom("app-4835@host")),
    io:format("alive~n"),
    halt().' 2>&1)
  local line old
  read -r line <&3
  expect_equal "$line" loaded
  old=$(sha256sum $library)
  CXXFLAGS=-O1 build
  [ "$(sha256sum $library)" != "$old" ] || fail "the second build is the same as the first"
  echo yes >built
  expect_in "$(cat <&3)" '^alive$'
}

test_the_build_type_is_the_users_and_release_by_default() {
  copy_tree caravan
  build
  expect_in "$(cat build/CMakeCache.txt)" '^CMAKE_BUILD_TYPE:.*=Debug$'
  unset CMAKE_BUILD_TYPE
  build
  expect_in "$(cat build/CMakeCache.txt)" '^CMAKE_BUILD_TYPE:.*=Release$'
}
