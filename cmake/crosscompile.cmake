# The toolchain of a build that CROSSCOMPILE says is for another machine: the prefix of its compilers, such as
# /opt/toolchain/bin/aarch64-nerves-linux-gnu. Nerves and other Buildroot environments set it, with CXX, CXXFLAGS and LDFLAGS, which
# CMake reads by itself. This adds what they do not say: that the machine runs Linux, also where the one that builds does not.

set(CMAKE_SYSTEM_NAME Linux)
get_filename_component(target "$ENV{CROSSCOMPILE}" NAME)
string(REGEX MATCH "^[^-]+" CMAKE_SYSTEM_PROCESSOR "${target}")
if("$ENV{CXX}" STREQUAL "")
  set(CMAKE_CXX_COMPILER "$ENV{CROSSCOMPILE}-g++")
endif()
# Libraries are looked for there first; those that pkg-config names lie there already.
if(NOT "$ENV{NERVES_SDK_SYSROOT}" STREQUAL "")
  set(CMAKE_FIND_ROOT_PATH "$ENV{NERVES_SDK_SYSROOT}")
  set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
endif()
