# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# The build tree, the library in priv/ and what it exports.

build() {
  cmake "-DBUILD_DIR=$work/build" -P caravan/cmake/build.cmake
}

library=caravan/priv/caravan_nif.so

exported_symbols() {
  nm --dynamic --defined-only "$1" | awk '{ print $2, $3 }'
}

test_the_library_exports_nothing_but_nif_init() {
  copy_tree caravan
  build
  expect_equal "$(exported_symbols $library)" "T nif_init"
}

test_a_static_cxx_library_needs_no_libstdcxx_and_loads() {
  copy_tree caravan
  CARAVAN_CMAKE_ARGS=-DCARAVAN_STATIC_CXX=ON build
  expect_equal "$(exported_symbols $library)" "T nif_init"
  local needed
  needed=$(readelf --dynamic $library)
  expect_in "$needed" 'NEEDED.*libcares'
  ! grep -E 'NEEDED.*(libstdc\+\+|libgcc)' <<<"$needed" || fail "the library needs the C++ runtime"
  erlc -o . caravan/src/dns/caravan_nif.erl
  CARAVAN_NIF_DIR=caravan/priv erl -noshell -pa . -eval 'ok = caravan_nif:load(), halt().'
}

test_a_build_says_nothing_and_writes_only_where_it_should() {
  copy_tree caravan
  local before after
  before=$(cd caravan && find . -type f | sort)
  expect_equal "$(build 2>&1)" ""
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
