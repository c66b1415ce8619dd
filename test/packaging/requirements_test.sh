# shellcheck shell=bash disable=SC2154,SC2164 # lib.sh sets $root, run sets $work and -e
# Whoever lacks something is told which package to install; whoever's build fails sees why.

# path_without COMMAND...: a PATH that has everything else.
path_without() {
  local file
  mkdir "$work/bin"
  for file in /bin/* /usr/bin/* /usr/local/bin/*; do
    ln -sf "$file" "$work/bin/"
  done
  (cd "$work/bin" && rm -f "$@")
  printf '%s' "$work/bin"
}

# expect_told OUTPUT MISSING DEBIAN ALPINE HOMEBREW
expect_told() {
  expect_in "$1" "$2"
  expect_in "$1" "apt-get install.*$3"
  expect_in "$1" "apk add.*$4"
  expect_in "$1" "brew install.*$5"
}

configure() {
  cmake -S "$root" -B build "-DCARAVAN_PRIV_DIR=$work/priv" "$@"
}

test_without_cmake() {
  copy_tree caravan
  cd caravan
  local path
  path=$(path_without cmake)
  expect_told "$(PATH=$path expect_failure mix compile)" 'needs cmake' cmake cmake cmake
  expect_told "$(PATH=$path expect_failure rebar3 compile)" 'needs cmake' cmake cmake cmake
}

test_without_make_and_ninja() {
  copy_tree caravan
  local path
  path=$(path_without make gmake ninja)
  expect_told "$(PATH=$path expect_failure cmake -DBUILD_DIR=build -P caravan/cmake/build.cmake)" \
    'neither ninja nor make' ninja-build ninja ninja
}

test_without_cares() {
  expect_told "$(PKG_CONFIG_LIBDIR=/nonexistent expect_failure configure)" c-ares libc-ares-dev c-ares-dev c-ares
}

test_without_pkg_config() {
  expect_told "$(expect_failure configure -DPKG_CONFIG_EXECUTABLE=/nonexistent)" pkg-config pkg-config pkgconf pkgconf
}

test_without_a_compiler() {
  expect_told "$(CXX=/nonexistent expect_failure configure)" 'no C\+\+ compiler' g++ g++ llvm
}

test_with_a_compiler_that_has_no_cxx20() {
  # Takes the option and knows nothing of the library, as compilers of that time do.
  printf '#!/bin/sh\nexec c++ "$@" -std=c++17\n' >c++17
  chmod +x c++17
  expect_told "$(CXX=$work/c++17 expect_failure configure)" 'C\+\+20; GCC 10' g++ g++ llvm
}

test_without_erl_nif_h() {
  local path
  path=$(path_without erl)
  expect_told \
    "$(PATH=$path ERLANG_ROOT_DIR=/nonexistent expect_failure configure)" 'erl_nif\.h' erlang-dev erlang-dev erlang
}

# The build machine's erl must not be asked for another machine's headers.
test_cross_compilation_does_not_ask_erl() {
  expect_in "$(ERLANG_ROOT_DIR='' expect_failure configure -DCMAKE_SYSTEM_NAME=Linux)" 'erl_nif\.h'
}

test_erl_nif_h_is_taken_from_where_the_environment_says() {
  local headers
  headers=$(dirname "$(erl -noshell -eval 'io:format("~ts", [code:root_dir()]), halt().')/usr/include/erl_nif.h")
  mkdir first second
  cp "$headers"/*.h first
  cp "$headers"/*.h second
  ERTS_INCLUDE_DIR=$work/first ERL_EI_INCLUDE_DIR=$work/second configure -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
  expect_in "$(cat build/compile_commands.json)" "$work/first"
}

test_a_compiler_error_is_shown() {
  copy_tree caravan
  cd caravan
  echo 'static_assert(false, "broken on purpose");' >>c_src/nif/nif.cpp
  expect_in "$(expect_failure mix compile)" 'error: .*broken on purpose'
  expect_in "$(expect_failure rebar3 compile)" 'error: .*broken on purpose'
}
