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

# expect_told OUTPUT MISSING DEBIAN ALPINE FEDORA HOMEBREW: these packages and no others.
expect_told() {
  expect_in "$1" "^ +$2"
  expect_in "$1" "apt-get install $3\$"
  expect_in "$1" "apk add $4\$"
  expect_in "$1" "dnf install $5\$"
  expect_in "$1" "brew install $6\$"
}

commands() {
  grep -oE '(apt-get install|apk add|dnf install|brew install) .*' <<<"$1"
}

configure() {
  cmake -S "$root" -B build "-DCARAVAN_PRIV_DIR=$work/priv" "$@"
}

build() {
  cmake -DBUILD_DIR=build -P caravan/cmake/build.cmake
}

test_without_cmake() {
  copy_tree caravan
  cd caravan
  local path expected
  path=$(path_without cmake)
  expected=$(commands "$(cat cmake/without_cmake.txt)")
  expect_in "$expected" '^apt-get install cmake g\+\+ '
  local tool output
  for tool in mix rebar3; do
    output=$(PATH=$path expect_failure $tool compile)
    expect_in "$output" 'cmake was not found'
    expect_equal "$(commands "$output")" "$expected"
  done
}

test_with_an_old_cmake_and_nothing_else_all_is_named_at_once() {
  copy_tree caravan
  sed -i 's/3\.25/99.0/' caravan/cmake/build.cmake
  local path output
  # A path with nothing but what is needed to find out.
  mkdir bin
  ln -s "$(command -v cmake)" bin/
  path=$work/bin
  output=$(PATH=$path ERLANG_ROOT_DIR=/nonexistent expect_failure build)
  local what
  for what in 'CMake 99\.0 or later \(this is [0-9.]+\)$' 'a C\+\+ compiler with C\+\+20: GCC 10, Clang 14 or later$' \
    'make or Ninja$' 'pkg-config$' 'erl_nif\.h.*looked in: /nonexistent/usr/include\)$'; do
    expect_in "$output" "^ +$what"
  done
  # The header of c-ares is on this machine, and its package is all that is not named.
  expect_equal "$(commands "$output")" "$(commands "$(cat caravan/cmake/without_cmake.txt)" |
    sed -E 's/ (lib)?c-ares(-dev(el)?)?//')"
}

test_the_document_has_the_commands() {
  local line
  while IFS= read -r line; do
    grep -qF -- "$line" "$root/docs/building.md" || fail "docs/building.md does not say: $line"
  done < <(commands "$(cat "$root/cmake/without_cmake.txt")")
}

# variables_of_the_build: those of the environment that the files of CMake and Mix name, also in lists whose elements are read.
variables_of_the_build() {
  cat "$root/CMakeLists.txt" "$root"/cmake/*.cmake >cmake_files
  grep -oE 'ENV[{][A-Z_]+[}]' cmake_files | sed -E 's/ENV[{](.*)[}]/\1/'
  tr '\n' ' ' <cmake_files | grep -oE 'foreach[(]variable [^)]*[)]' | grep -oE '\b[A-Z_]+\b'
  grep -oE 'System\.get_env\("[A-Z_]+"' "$root/mix.exs" | sed -E 's/.*"(.*)"/\1/'
}

test_the_document_has_each_variable_of_the_build() {
  local table documented
  table=$(sed -n '/^## Environment variables/,/^## /p' "$root/docs/building.md" | grep '^| `')
  documented=$(cut -d '|' -f 2 <<<"$table" | grep -oE '[A-Z_]{2,}' | sort)
  expect_equal "$(uniq -d <<<"$documented")" ""
  variables_of_the_build | sort -u >variables
  # These are read by CMake and by Mix themselves.
  printf '%s\n' CMAKE_BUILD_PARALLEL_LEVEL MIX_BUILD_ROOT >>variables
  expect_equal "$documented" "$(sort -u variables)"
}

test_without_make_and_ninja() {
  copy_tree caravan
  local path
  path=$(path_without make gmake ninja)
  expect_told "$(PATH=$path expect_failure build)" 'make or Ninja$' make make make ninja
}

test_a_build_names_all_that_is_missing_at_once() {
  copy_tree caravan
  local path output
  path=$(path_without make gmake ninja c++ g++ clang++)
  output=$(PATH=$path PKG_CONFIG_LIBDIR=/nonexistent expect_failure build)
  expect_told "$output" 'make or Ninja$' 'g\+\+ make libc-ares-dev' 'g\+\+ make c-ares-dev' 'gcc-c\+\+ make c-ares-devel' \
    'llvm ninja c-ares'
  rm -r bin
  printf '#!/bin/sh\nexec c++ "$@" -std=c++17\n' >c++17
  chmod +x c++17
  path=$(path_without erl)
  output=$(CXX=$work/c++17 PATH=$path ERLANG_ROOT_DIR=/nonexistent PKG_CONFIG_LIBDIR=/nonexistent expect_failure build)
  expect_told "$output" 'a compiler with C\+\+20' 'g\+\+ libc-ares-dev erlang-dev' 'g\+\+ c-ares-dev erlang-dev' \
    'gcc-c\+\+ c-ares-devel erlang-erts' 'llvm c-ares erlang'
}

test_without_cares() {
  expect_told "$(PKG_CONFIG_LIBDIR=/nonexistent expect_failure configure)" 'c-ares 1\.18 or later' \
    libc-ares-dev c-ares-dev c-ares-devel c-ares
}

test_without_pkg_config() {
  expect_told "$(expect_failure configure -DPKG_CONFIG_EXECUTABLE=/nonexistent)" 'pkg-config$' \
    pkg-config pkgconf pkgconf-pkg-config pkgconf
}

test_without_pkg_config_and_the_headers_of_cares() {
  expect_told "$(expect_failure configure -DPKG_CONFIG_EXECUTABLE=/nonexistent -DCARAVAN_CARES_HEADER=CARAVAN_CARES_HEADER-NOTFOUND \
    -DCMAKE_FIND_ROOT_PATH="$work" -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY)" 'c-ares 1\.18 or later' \
    'pkg-config libc-ares-dev' 'pkgconf c-ares-dev' 'pkgconf-pkg-config c-ares-devel' 'pkgconf c-ares'
}

test_without_a_compiler() {
  expect_told "$(CXX=/nonexistent expect_failure configure)" 'a C\+\+ compiler with C\+\+20' 'g\+\+' 'g\+\+' 'gcc-c\+\+' llvm
}

test_with_a_compiler_that_has_no_cxx20() {
  # Takes the option and knows nothing of the library, as compilers of that time do.
  printf '#!/bin/sh\nexec c++ "$@" -std=c++17\n' >c++17
  chmod +x c++17
  expect_told "$(CXX=$work/c++17 expect_failure configure)" "a compiler with C\\+\\+20, GCC 10, .*$work/c\\+\\+17" \
    'g\+\+' 'g\+\+' 'gcc-c\+\+' llvm
}

test_without_erl_nif_h() {
  local path
  path=$(path_without erl)
  expect_told \
    "$(PATH=$path ERLANG_ROOT_DIR=/nonexistent expect_failure configure)" 'erl_nif\.h' \
    erlang-dev erlang-dev erlang-erts erlang
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
