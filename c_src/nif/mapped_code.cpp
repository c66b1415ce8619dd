#include "nif/mapped_code.hpp"

#include <dlfcn.h>

namespace caravan {

bool keep_code_mapped() noexcept {
  Dl_info here{};
  // Adds a reference to the loaded library that is never released.
  return ::dladdr(reinterpret_cast<const void*>(&keep_code_mapped), &here) != 0 &&
         ::dlopen(here.dli_fname, RTLD_LAZY | RTLD_NOLOAD) != nullptr;
}

}  // namespace caravan
