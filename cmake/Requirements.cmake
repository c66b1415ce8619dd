# What must be on the machine. Each check stops the configure with the packages that bring what is missing.

function(caravan_missing what debian alpine homebrew)
  message(FATAL_ERROR
    "Caravan cannot be built: ${what}\n"
    "  Debian, Ubuntu:  apt-get install ${debian}\n"
    "  Alpine:          apk add ${alpine}\n"
    "  macOS:           brew install ${homebrew}\n")
endfunction()

# A macro: enable_language must run in the scope of the directory.
macro(caravan_require_cxx20)
  include(CheckLanguage)
  check_language(CXX)
  if(NOT CMAKE_CXX_COMPILER)
    caravan_missing("no C++ compiler was found." "g++" "g++" "llvm")
  endif()
  enable_language(CXX)

  # Compilers say that they have C++20 before their library has, so the headers are tried as well.
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_FLAGS "${CMAKE_CXX20_STANDARD_COMPILE_OPTION}")
  check_cxx_source_compiles([[
    #include <compare>
    #include <concepts>
    #include <span>
    template <std::integral T> constexpr T first(std::span<const T> s) { return s.front(); }
    int main() { constexpr int a[] = {0}; return first(std::span<const int>{a}); }
  ]] CARAVAN_HAVE_CXX20)
  unset(CMAKE_REQUIRED_FLAGS)
  if(NOT CARAVAN_HAVE_CXX20)
    caravan_missing(
      "${CMAKE_CXX_COMPILER} (${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}) has no C++20; GCC 10, Clang 14 or later have."
      "g++" "g++" "llvm")
  endif()
endmacro()

macro(caravan_require_cares)
  find_package(PkgConfig QUIET)
  if(NOT PKG_CONFIG_FOUND)
    caravan_missing("pkg-config was not found." "pkg-config" "pkgconf" "pkgconf")
  endif()
  # Debian's package has no CMake files for c-ares, so pkg-config is asked everywhere.
  pkg_check_modules(CARES QUIET IMPORTED_TARGET libcares>=1.18)
  if(NOT CARES_FOUND)
    caravan_missing("c-ares 1.18 or later was not found by pkg-config."
      "libc-ares-dev" "c-ares-dev" "c-ares")
  endif()
endmacro()

# Sets CARAVAN_ERL_INCLUDE_DIR to the directory of erl_nif.h.
function(caravan_require_erl_nif_h)
  # Mix (elixir_make, Nerves) sets the first two, rebar3 the third.
  set(candidates)
  foreach(variable ERTS_INCLUDE_DIR ERL_EI_INCLUDE_DIR)
    list(APPEND candidates "${${variable}}" "$ENV{${variable}}")
  endforeach()
  foreach(root "${ERLANG_ROOT_DIR}" "$ENV{ERLANG_ROOT_DIR}")
    if(root)
      list(APPEND candidates "${root}/usr/include")
    endif()
  endforeach()
  foreach(candidate IN LISTS candidates)
    if(candidate AND EXISTS "${candidate}/erl_nif.h")
      set(CARAVAN_ERL_INCLUDE_DIR "${candidate}" PARENT_SCOPE)
      return()
    endif()
  endforeach()

  # The erl of the build machine says nothing about the target's headers.
  if(NOT CMAKE_CROSSCOMPILING)
    execute_process(
      COMMAND erl -noshell -eval
        "io:format(\"~ts/erts-~ts/include\", [code:root_dir(), erlang:system_info(version)]), halt()."
      OUTPUT_VARIABLE candidate ERROR_QUIET)
    if(EXISTS "${candidate}/erl_nif.h")
      set(CARAVAN_ERL_INCLUDE_DIR "${candidate}" PARENT_SCOPE)
      return()
    endif()
  endif()

  list(FILTER candidates EXCLUDE REGEX "^$")
  list(APPEND candidates ${candidate})
  list(REMOVE_DUPLICATES candidates)
  list(JOIN candidates ", " looked_in)
  caravan_missing(
    "erl_nif.h, a header of Erlang/OTP, was not found (looked in: ${looked_in}). ERTS_INCLUDE_DIR can name its directory."
    "erlang-dev" "erlang-dev" "erlang")
endfunction()
