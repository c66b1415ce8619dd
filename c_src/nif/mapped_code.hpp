#pragma once

namespace caravan {

// Keeps the code of this library mapped until the process ends, even after the VM has unloaded it. Returns false if the
// dynamic loader refuses.
bool keep_code_mapped() noexcept;

}  // namespace caravan
