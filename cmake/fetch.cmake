# cmake -DFROM=file|url -DTO=file -DTIMEOUT=seconds -P fetch.cmake
# Copies or downloads one file. Where that fails, the reason is the one line on standard output.

function(give_up reason)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "${reason}")
endfunction()

cmake_path(GET FROM FILENAME name)
if(FROM MATCHES "^[A-Za-z]+://")
  # A redirect may lead anywhere, and a server may lie: the checksum decides, for whoever calls this.
  file(DOWNLOAD "${FROM}" "${TO}" STATUS status TIMEOUT ${TIMEOUT} INACTIVITY_TIMEOUT 30 TLS_VERIFY ON)
  list(GET status 0 code)
  list(GET status 1 text)
  if(NOT code EQUAL 0)
    give_up("${name} cannot be downloaded: ${text}")
  endif()
  return()
endif()

# A size of 0 is also that of a device or a pipe, where reading does not end.
set(size 0)
if(EXISTS "${FROM}" AND NOT IS_DIRECTORY "${FROM}")
  file(SIZE "${FROM}" size)
endif()
if(NOT EXISTS "${FROM}")
  give_up("there is no ${name}")
elseif(size EQUAL 0)
  give_up("${name} is empty, or no regular file")
else()
  file(COPY_FILE "${FROM}" "${TO}" RESULT status)
  if(NOT status EQUAL 0)
    give_up("${name} cannot be copied: ${status}")
  endif()
endif()
