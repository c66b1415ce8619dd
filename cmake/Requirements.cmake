# What must be on the machine. Each check notes what is missing and the packages that bring it, and
# caravan_report_missing() stops with all of it. Nothing here needs a version of CMake that we do not accept.

# caravan_note_missing(what debian alpine fedora homebrew): lists of packages, which may be empty.
function(caravan_note_missing what debian alpine fedora homebrew)
  set_property(GLOBAL APPEND_STRING PROPERTY CARAVAN_MISSING "  ${what}\n")
  foreach(system debian alpine fedora homebrew)
    set_property(GLOBAL APPEND PROPERTY "CARAVAN_MISSING_${system}" ${${system}})
  endforeach()
endfunction()

function(caravan_report_missing)
  get_property(missing GLOBAL PROPERTY CARAVAN_MISSING)
  if(NOT missing)
    return()
  endif()
  set(text "Caravan cannot be built. This is missing:\n${missing}These commands install it:\n")
  foreach(line
      "debian=Debian, Ubuntu:  apt-get install" "alpine=Alpine:          apk add"
      "fedora=Fedora:          dnf install" "homebrew=macOS:           brew install")
    string(REGEX MATCH "^([a-z]+)=(.*)$" line "${line}")
    set(command "${CMAKE_MATCH_2}")
    get_property(packages GLOBAL PROPERTY "CARAVAN_MISSING_${CMAKE_MATCH_1}")
    if(packages)
      list(REMOVE_DUPLICATES packages)
      string(REPLACE ";" " " packages "${packages}")
      set(text "${text}  ${command} ${packages}\n")
    endif()
  endforeach()
  message(FATAL_ERROR "${text}")
endfunction()

function(caravan_note_compiler what)
  caravan_note_missing("${what}" g++ g++ gcc-c++ llvm)
endfunction()

# Sets CARAVAN_GENERATOR in the caller's scope: Ninja, a generator that CMake takes by itself (empty), or none.
function(caravan_choose_generator)
  # An up-to-date build costs Ninja some milliseconds and make ten times that.
  find_program(CARAVAN_NINJA NAMES ninja ninja-build)
  find_program(CARAVAN_MAKE NAMES make gmake)
  set(generator none)
  if(NOT "$ENV{CMAKE_GENERATOR}" STREQUAL "" OR (CARAVAN_MAKE AND NOT CARAVAN_NINJA))
    set(generator "")
  elseif(CARAVAN_NINJA)
    set(generator Ninja)
  endif()
  set(CARAVAN_GENERATOR "${generator}" PARENT_SCOPE)
endfunction()

# A macro: enable_language must run in the scope of the directory.
macro(caravan_require_cxx20)
  include(CheckLanguage)
  check_language(CXX)
  if(CMAKE_CXX_COMPILER)
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
      caravan_note_compiler(
        "a compiler with C++20, GCC 10, Clang 14 or later (${CMAKE_CXX_COMPILER} is ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION})")
    endif()
  else()
    caravan_note_compiler("a C++ compiler with C++20: GCC 10, Clang 14 or later")
  endif()
endmacro()

# Where no language can be enabled, it must do that there is a compiler.
function(caravan_require_compiler_command)
  separate_arguments(command UNIX_COMMAND "$ENV{CXX}")
  if(command)
    list(GET command 0 names)
  else()
    set(names c++ g++ clang++)
  endif()
  find_program(compiler NAMES ${names})
  if(NOT compiler)
    caravan_note_compiler("a C++ compiler with C++20: GCC 10, Clang 14 or later")
  endif()
endfunction()

function(caravan_note_cares)
  set(what "c-ares 1.18 or later, with its headers")
  if(CMAKE_CROSSCOMPILING)
    string(APPEND what ", for ${CMAKE_SYSTEM_PROCESSOR}; in a Nerves system of your own: BR2_PACKAGE_C_ARES=y")
  endif()
  caravan_note_missing("${what}" libc-ares-dev c-ares-dev c-ares-devel c-ares)
endfunction()

# A macro: sets CARAVAN_CARES where nobody has.
macro(caravan_check_cares_option)
  if("${CARAVAN_CARES}" STREQUAL "")
    set(CARAVAN_CARES shared)
  endif()
  if(NOT CARAVAN_CARES MATCHES "^(shared|static)$")
    message(FATAL_ERROR "CARAVAN_CARES is \"${CARAVAN_CARES}\", and can be \"shared\" or \"static\".")
  endif()
endmacro()

# Makes the target PkgConfig::CARES in a project; for CARAVAN_CARES=static, sets CARAVAN_CARES_ARCHIVE too.
function(caravan_require_cares)
  find_package(PkgConfig QUIET)
  if(PKG_CONFIG_FOUND)
    set(target)
    if(NOT CMAKE_SCRIPT_MODE_FILE)
      set(target IMPORTED_TARGET)
    endif()
    # Debian's package has no CMake files for c-ares, so pkg-config is asked everywhere.
    pkg_check_modules(CARES QUIET ${target} libcares>=1.18)
    if(NOT CARES_FOUND)
      caravan_note_cares()
    endif()
  else()
    caravan_note_missing("pkg-config" pkg-config pkgconf pkgconf-pkg-config pkgconf)
    # What pkg-config would say nobody knows; without the header it is clear.
    find_path(CARAVAN_CARES_HEADER ares.h PATHS /usr/include /usr/local/include /opt/homebrew/include)
    if(NOT CARAVAN_CARES_HEADER)
      caravan_note_cares()
    endif()
  endif()
  if(CARAVAN_CARES STREQUAL "static")
    caravan_require_archives()
  endif()
endfunction()

function(caravan_require_archives)
  # Beside the shared library alone: an archive from elsewhere need not be of the version of the headers.
  set(libdir "${CARES_LIBDIR}")
  string(FIND "${libdir}" "$ENV{PKG_CONFIG_SYSROOT_DIR}" begins)
  if(NOT begins EQUAL 0)
    set(libdir "$ENV{PKG_CONFIG_SYSROOT_DIR}${libdir}")
  endif()
  find_library(CARAVAN_CARES_ARCHIVE NAMES libcares.a HINTS ${CARES_LIBRARY_DIRS} "${libdir}"
    NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
  if(CARES_FOUND AND NOT CARAVAN_CARES_ARCHIVE)
    caravan_note_missing(
      "libcares.a in ${libdir}, for CARAVAN_CARES=static (without a package: c-ares built with CARES_STATIC and CARES_STATIC_PIC)"
      libc-ares-dev c-ares-static "" c-ares)
  endif()
  if(NOT APPLE AND CMAKE_CXX_COMPILER)
    # A bare name when there is none.
    execute_process(
      COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libstdc++.a OUTPUT_VARIABLE archive OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(NOT IS_ABSOLUTE "${archive}")
      caravan_note_missing("libstdc++.a, for CARAVAN_CARES=static" g++ g++ libstdc++-static "")
    endif()
  endif()
endfunction()

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
    if(candidate AND EXISTS "${candidate}/erl_nif.h")
      set(CARAVAN_ERL_INCLUDE_DIR "${candidate}" PARENT_SCOPE)
      return()
    endif()
  endif()

  list(APPEND candidates ${candidate})
  list(FILTER candidates EXCLUDE REGEX "^$")
  set(looked_in)
  if(candidates)
    list(REMOVE_DUPLICATES candidates)
    string(REPLACE ";" ", " looked_in "${candidates}")
    set(looked_in " (looked in: ${looked_in})")
  endif()
  caravan_note_missing(
    "erl_nif.h, a header of Erlang/OTP; ERTS_INCLUDE_DIR can name its directory${looked_in}"
    erlang-dev erlang-dev erlang-erts erlang)
endfunction()

# Where there can be no project, since CMake is too old or there is nothing that builds: names all that is missing, and stops.
function(caravan_stop_without_project)
  caravan_require_compiler_command()
  caravan_choose_generator()
  if(CARAVAN_GENERATOR STREQUAL "none")
    caravan_note_missing("make or Ninja" make make make ninja)
  endif()
  caravan_require_cares()
  caravan_require_erl_nif_h()
  caravan_report_missing()
endfunction()
