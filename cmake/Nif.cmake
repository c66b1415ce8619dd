# The shared object that the BEAM loads, and its way into priv/.

file(GLOB nif_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/c_src/nif/*.cpp")
add_library(caravan_nif MODULE ${nif_sources})
target_link_libraries(caravan_nif PRIVATE caravan_core ${CMAKE_DL_LIBS})
# SYSTEM: the warnings of OTP's headers are not ours.
target_include_directories(caravan_nif SYSTEM PRIVATE "${CARAVAN_ERL_INCLUDE_DIR}")
# erlang:load_nif/2 appends .so on every Unix, macOS included.
set_target_properties(caravan_nif PROPERTIES PREFIX "" SUFFIX ".so" OUTPUT_NAME caravan_nif)

# Hidden visibility does not reach instantiations of std templates (namespace std is declared visible), and with
# CARAVAN_CARES=static all of libstdc++ and c-ares would be exported into the VM. So the linker is told the one name too.
if(APPLE)
  # enif_* are found in the emulator when the library is loaded.
  target_link_options(caravan_nif PRIVATE -undefined dynamic_lookup -Wl,-exported_symbol,_nif_init)
else()
  set(version_script "${CMAKE_CURRENT_SOURCE_DIR}/cmake/nif_exports.map")
  # -z text: an archive that is not position-independent is an error, not a library that the loader must write into.
  target_link_options(caravan_nif PRIVATE "-Wl,--version-script=${version_script}" -Wl,-z,text)
  set_property(TARGET caravan_nif APPEND PROPERTY LINK_DEPENDS "${version_script}")
endif()
# macOS has its C++ runtime everywhere, and no archive of it.
if(CARAVAN_CARES STREQUAL "static" AND NOT APPLE)
  # Most of libstdc++ is for what nobody calls.
  target_link_options(caravan_nif PRIVATE -static-libstdc++ -static-libgcc -Wl,--gc-sections)
endif()

# Runs on every build, not only after linking: priv/ is shared by all build trees, so it can hold another one's library
# while this tree is up to date.
add_custom_target(caravan_priv ALL
  COMMAND ${CMAKE_COMMAND}
    "-DFROM=$<TARGET_FILE:caravan_nif>" "-DTO=${CARAVAN_PRIV_DIR}/caravan_nif.so"
    -P "${CMAKE_CURRENT_SOURCE_DIR}/cmake/install_by_rename.cmake"
  DEPENDS caravan_nif
  VERBATIM)
