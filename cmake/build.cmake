# cmake [-DBUILD_DIR=directory] -P build.cmake
# How Mix and rebar3 build the NIF: configures when something has changed, builds, is silent on success and prints all
# of the output on failure. CARAVAN_CMAKE_ARGS in the environment is passed on to the configure.

include("${CMAKE_CURRENT_LIST_DIR}/Requirements.cmake")
if(CMAKE_VERSION VERSION_LESS 3.25)
  caravan_note_missing("CMake 3.25 or later (this is ${CMAKE_VERSION})" cmake cmake cmake cmake)
  caravan_stop_without_project()
endif()
cmake_minimum_required(VERSION 3.25...4.3)

cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH source_dir)
if(NOT BUILD_DIR)
  if(NOT DEFINED ENV{REBAR_BUILD_DIR})
    message(FATAL_ERROR "BUILD_DIR is not set")
  endif()
  # One level up: the library is the same in all of rebar3's profiles.
  set(BUILD_DIR "$ENV{REBAR_BUILD_DIR}/../cmake-caravan")
endif()
cmake_path(ABSOLUTE_PATH BUILD_DIR NORMALIZE)

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message("${output}")
    message(FATAL_ERROR "Caravan's C++ library did not build; the output is above.")
  endif()
endfunction()

# A user builds once and from clean: most of the time of each file goes into the standard library's headers.
set(default_arguments -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=10)

# CMake keeps the first answers to these in its cache, also when another OTP or compiler has come in between. So a build
# tree is thrown away when one of them is no longer what it was.
set(fingerprint "${source_dir}\n${BUILD_DIR}\n${CMAKE_VERSION}\n${default_arguments}\n")
foreach(variable
    CARAVAN_CMAKE_ARGS CMAKE_BUILD_TYPE CMAKE_GENERATOR CMAKE_TOOLCHAIN_FILE CXX CXXFLAGS CPPFLAGS LDFLAGS
    ERTS_INCLUDE_DIR ERL_EI_INCLUDE_DIR ERLANG_ROOT_DIR PKG_CONFIG_PATH PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR)
  string(APPEND fingerprint "${variable}=$ENV{${variable}}\n")
endforeach()

set(fingerprint_file "${BUILD_DIR}/caravan_fingerprint.txt")
set(configured "")
if(EXISTS "${fingerprint_file}")
  file(READ "${fingerprint_file}" configured)
endif()

if(NOT configured STREQUAL fingerprint)
  separate_arguments(arguments UNIX_COMMAND "$ENV{CARAVAN_CMAKE_ARGS}")
  list(PREPEND arguments ${default_arguments})
  caravan_choose_generator()
  if(CARAVAN_GENERATOR STREQUAL "none")
    caravan_stop_without_project()
  elseif(CARAVAN_GENERATOR)
    list(PREPEND arguments -G "${CARAVAN_GENERATOR}")
  endif()
  file(REMOVE "${fingerprint_file}")
  run("${CMAKE_COMMAND}" --fresh -S "${source_dir}" -B "${BUILD_DIR}" ${arguments})
  file(WRITE "${fingerprint_file}" "${fingerprint}")
endif()
run("${CMAKE_COMMAND}" --build "${BUILD_DIR}" --parallel)
