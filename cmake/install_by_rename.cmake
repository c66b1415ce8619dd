# cmake -DFROM=file -DTO=file -P install_by_rename.cmake
# A running VM has TO mapped: writing into that inode would crash it. A renamed copy leaves the old inode to whoever has it.

if(EXISTS "${TO}")
  file(SHA256 "${FROM}" from_hash)
  file(SHA256 "${TO}" to_hash)
  if(from_hash STREQUAL to_hash)
    return()
  endif()
endif()

cmake_path(GET TO PARENT_PATH directory)
file(MAKE_DIRECTORY "${directory}")
string(RANDOM LENGTH 12 suffix)
# In the same directory, since rename(2) does not cross file systems.
set(temporary "${TO}.${suffix}")
file(COPY_FILE "${FROM}" "${temporary}")
file(RENAME "${temporary}" "${TO}")
