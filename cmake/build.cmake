# cmake [-DBUILD_DIR=directory] [-DLOCK_TIMEOUT=seconds] -P build.cmake
# How Mix and rebar3 build the NIF: configures when something has changed, builds, and installs the library. A build that
# has something to do says so before and after, on standard output; one that fails prints all of the output; all else is
# silent. docs/building.md has the variables of the environment that count.

include("${CMAKE_CURRENT_LIST_DIR}/Requirements.cmake")
if(CMAKE_VERSION VERSION_LESS 3.25)
  caravan_note_missing("CMake 3.25 or later (this is ${CMAKE_VERSION})" cmake cmake cmake cmake)
  caravan_stop_without_project()
endif()
cmake_minimum_required(VERSION 3.25...4.3)
include("${CMAKE_CURRENT_LIST_DIR}/Prebuilt.cmake")

cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH source_dir)
if(NOT BUILD_DIR)
  if(NOT DEFINED ENV{REBAR_BUILD_DIR})
    message(FATAL_ERROR "BUILD_DIR is not set")
  endif()
  # One level up: the library is the same in all of rebar3's profiles.
  set(BUILD_DIR "$ENV{REBAR_BUILD_DIR}/../cmake-caravan")
endif()
cmake_path(ABSOLUTE_PATH BUILD_DIR NORMALIZE)

# At once: message() writes to standard error, or with a prefix.
function(say text)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "Caravan: ${text}")
endfunction()

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message("${output}")
    message(FATAL_ERROR "Caravan's C++ library did not build; the output is above.")
  endif()
endfunction()

# The environments of Mix, and the profiles of rebar3, share a build tree, and may be built at the same time.
if(NOT DEFINED LOCK_TIMEOUT)
  set(LOCK_TIMEOUT 1800)
endif()
file(MAKE_DIRECTORY "${BUILD_DIR}")
set(lock "${BUILD_DIR}/caravan.lock")
file(LOCK "${lock}" GUARD PROCESS TIMEOUT 0 RESULT_VARIABLE locked)
# Any other result is of a file system that has no locks, on which builds do without.
if(locked STREQUAL "Timeout reached")
  say("waiting for another build of its C++ library")
  file(LOCK "${lock}" GUARD PROCESS TIMEOUT ${LOCK_TIMEOUT} RESULT_VARIABLE locked)
  if(NOT locked STREQUAL "0")
    message(FATAL_ERROR
      "Caravan's C++ library was not built: for ${LOCK_TIMEOUT} s another build has held ${lock}.")
  endif()
endif()

# Nerves names its compilers and flags, and has what is linked in a directory, without a word to pkg-config, whose files of this
# machine would be taken.
set(cross_arguments "")
if(NOT "$ENV{CROSSCOMPILE}" STREQUAL "")
  if("$ENV{CMAKE_TOOLCHAIN_FILE}" STREQUAL "")
    set(cross_arguments "-DCMAKE_TOOLCHAIN_FILE=${CMAKE_CURRENT_LIST_DIR}/crosscompile.cmake")
  endif()
  set(sysroot "$ENV{NERVES_SDK_SYSROOT}")
  if(NOT sysroot STREQUAL "" AND "$ENV{PKG_CONFIG_LIBDIR}$ENV{PKG_CONFIG_SYSROOT_DIR}" STREQUAL "")
    set(ENV{PKG_CONFIG_SYSROOT_DIR} "${sysroot}")
    set(ENV{PKG_CONFIG_LIBDIR} "${sysroot}/usr/lib/pkgconfig:${sysroot}/usr/share/pkgconfig")
  endif()
endif()

# A user builds once and from clean: most of the time of each file goes into the standard library's headers.
set(default_arguments -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=10)

# CMake keeps the first answers to these in its cache, also when another OTP or compiler has come in between. So a build
# tree is thrown away when one of them is no longer what it was. The files that come from other packages count by size and
# time: a package's files are often older than what was built from the ones before them, and then no build tool looks again.
function(fingerprint result)
  set(text "${source_dir}\n${BUILD_DIR}\n${CMAKE_VERSION}\n${default_arguments}\n")
  foreach(variable
      CARAVAN_CARES CARAVAN_CMAKE_ARGS CARAVAN_PREBUILT CMAKE_BUILD_TYPE CMAKE_GENERATOR CMAKE_TOOLCHAIN_FILE CROSSCOMPILE CXX CXXFLAGS
      LDFLAGS ERTS_INCLUDE_DIR ERL_EI_INCLUDE_DIR ERLANG_ROOT_DIR MIX_TARGET NERVES_SDK_SYSROOT PKG_CONFIG PKG_CONFIG_PATH
      PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR)
    string(APPEND text "${variable}=$ENV{${variable}}\n")
  endforeach()
  # A file that is put there after a build from source is tried then.
  if(IS_DIRECTORY "$ENV{CARAVAN_PREBUILT}")
    file(TIMESTAMP "$ENV{CARAVAN_PREBUILT}" time "%s")
    string(APPEND text "${time}\n")
  endif()
  set(packages "${BUILD_DIR}/caravan_packages.txt")
  if(EXISTS "${packages}")
    file(STRINGS "${packages}" files)
    foreach(file IN LISTS files)
      set(size none)
      if(EXISTS "${file}")
        file(SIZE "${file}" size)
      endif()
      file(TIMESTAMP "${file}" time "%s")
      string(APPEND text "${file} ${size} ${time}\n")
    endforeach()
  endif()
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

fingerprint(now)
set(fingerprint_file "${BUILD_DIR}/caravan_fingerprint.txt")
set(configured "")
if(EXISTS "${fingerprint_file}")
  file(READ "${fingerprint_file}" configured)
endif()

# Whether there is something to do is for the build tool to know, and it says so only while it does it. This is for the lines
# alone: the sources, when they were built last.
file(GLOB_RECURSE sources "${source_dir}/c_src/*.cpp" "${source_dir}/c_src/*.hpp")
list(APPEND sources
  "${source_dir}/CMakeLists.txt" "${source_dir}/cmake/Cares.cmake" "${source_dir}/cmake/Nif.cmake"
  "${source_dir}/cmake/crosscompile.cmake" "${source_dir}/cmake/nif_exports.map" "${source_dir}/cmake/prebuilt.sha256"
  "${source_dir}/cmake/Requirements.cmake")
list(JOIN sources "\n" source_lines)
set(built_file "${BUILD_DIR}/caravan_built.txt")
set(built "")
if(EXISTS "${built_file}")
  file(READ "${built_file}" built)
endif()
set(builds NO)
if(NOT configured STREQUAL now OR NOT built STREQUAL source_lines)
  set(builds YES)
endif()
foreach(source IN LISTS sources)
  if("${source}" IS_NEWER_THAN "${built_file}")
    set(builds YES)
  endif()
endforeach()

if(builds AND NOT "$ENV{CARAVAN_PREBUILT}" STREQUAL "")
  # A password in a URL is nobody's to read in the log of a build.
  string(REGEX REPLACE "//[^/]*@" "//" place "$ENV{CARAVAN_PREBUILT}")
  caravan_take_prebuilt("$ENV{CARAVAN_PREBUILT}" "${BUILD_DIR}/prebuilt" reason name)
  if(reason STREQUAL "")
    if(name)
      say("took ${name} from ${place}")
    endif()
    return()
  endif()
  say("no prebuilt library is taken from ${place}: ${reason}")
endif()

if(NOT configured STREQUAL now)
  caravan_choose_generator()
  if(CARAVAN_GENERATOR STREQUAL "none")
    caravan_stop_without_project()
  endif()
endif()
if(builds)
  say("building its C++ library")
  string(TIMESTAMP began "%s")
  file(WRITE "${built_file}.new" "${source_lines}")
endif()
if(NOT configured STREQUAL now)
  separate_arguments(arguments UNIX_COMMAND "$ENV{CARAVAN_CMAKE_ARGS}")
  list(PREPEND arguments ${default_arguments} ${cross_arguments})
  if(CARAVAN_GENERATOR)
    list(PREPEND arguments -G "${CARAVAN_GENERATOR}")
  endif()
  file(REMOVE "${fingerprint_file}")
  run("${CMAKE_COMMAND}" --fresh -S "${source_dir}" -B "${BUILD_DIR}" ${arguments})
  fingerprint(now)
  file(WRITE "${fingerprint_file}" "${now}")
endif()
run("${CMAKE_COMMAND}" --build "${BUILD_DIR}" --parallel)
if(builds)
  file(RENAME "${built_file}.new" "${built_file}")
  string(TIMESTAMP ended "%s")
  math(EXPR seconds "${ended} - ${began}")
  say("built its C++ library in ${seconds} s")
  file(READ "${BUILD_DIR}/caravan_linked.txt" linked)
  if(linked)
    say("linked into it: ${linked}")
  endif()
endif()
