#pragma once

namespace caravan {

// Keeps the code of this library in memory until the process ends, whoever unloads it. Returns false if the loader
// refuses.
bool keep_code_mapped() noexcept;

}  // namespace caravan
