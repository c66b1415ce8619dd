#pragma once

#include <ares.h>

#include <memory>
#include <string_view>
#include <type_traits>

namespace caravan {

// Keeps the c-ares library initialised for as long as it lives. c-ares counts the calls to ares_library_init() without
// a lock, so create this object before any thread uses c-ares.
class CaresLibrary {
 public:
  CaresLibrary() noexcept : status_{::ares_library_init(ARES_LIB_INIT_ALL)} {}
  ~CaresLibrary() {
    if (ok() && !is_kept_) {
      ::ares_library_cleanup();
    }
  }
  CaresLibrary(const CaresLibrary&) = delete;
  CaresLibrary& operator=(const CaresLibrary&) = delete;

  bool ok() const noexcept { return status_ == ARES_SUCCESS; }

  // Makes the destructor skip ares_library_cleanup(). Required before this object is destroyed at an arbitrary time on
  // another thread, where the cleanup would race with other users of c-ares.
  void keep_initialised() noexcept { is_kept_ = true; }

 private:
  int status_;
  bool is_kept_ = false;
};

struct AresDestroy {
  void operator()(ares_channel channel) const noexcept { ::ares_destroy(channel); }
};
using AresChannel = std::unique_ptr<std::remove_pointer_t<ares_channel>, AresDestroy>;

struct AresFreeData {
  void operator()(void* data) const noexcept { ::ares_free_data(data); }
};
using AresServers = std::unique_ptr<ares_addr_port_node, AresFreeData>;

// The versions of c-ares that is loaded and that this library was compiled against, and whether c-ares is linked
// statically.
struct CaresVersions {
  std::string_view running;
  std::string_view built_against;
  bool is_static;
};

inline CaresVersions cares_versions() noexcept {
#ifdef CARES_STATICLIB
  constexpr bool is_static = true;
#else
  constexpr bool is_static = false;
#endif
  return {::ares_version(nullptr), ARES_VERSION_STR, is_static};
}

}  // namespace caravan
