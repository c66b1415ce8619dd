#pragma once

#include <erl_nif.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace caravan {

// Caches the ports of atoms. Reading the text of an atom takes half the time of an empty NIF call, and a node resolves
// the same few names again and again. The term of an atom stays the same while the VM runs, and no other kind of term
// has the same bits. A lossy cache of fixed size that all schedulers share without a lock.
class PortMemo {
 public:
  std::optional<std::uint16_t> find(ERL_NIF_TERM atom, std::uint16_t generation) const noexcept {
    const auto entry = entries_[index_of(atom)].load(std::memory_order_relaxed);
    if (entry >> kPortBits != key_of(atom, generation)) {
      return std::nullopt;
    }
    return static_cast<std::uint16_t>(entry);
  }

  void put(ERL_NIF_TERM atom, std::uint16_t generation, std::uint16_t port) noexcept {
    if (fits(atom)) {
      entries_[index_of(atom)].store(key_of(atom, generation) << kPortBits | port, std::memory_order_relaxed);
    }
  }

  void clear() noexcept {
    for (auto& entry : entries_) {
      entry.store(0, std::memory_order_relaxed);
    }
  }

 private:
  static constexpr std::size_t kEntries = 256;
  static constexpr unsigned kPortBits = 16;
  static constexpr unsigned kGenerationBits = 10;
  static constexpr unsigned kAtomBits = 64 - kPortBits - kGenerationBits;
  // The low bits of the term are the tag of atoms. The others are the index of the atom.
  static constexpr unsigned kTagBits = 6;

  static constexpr bool fits(std::uint64_t atom) noexcept { return atom >> kAtomBits == 0; }
  static constexpr std::size_t index_of(std::uint64_t atom) noexcept { return (atom >> kTagBits) % kEntries; }
  // The key of an atom that does not fit differs from all entries in its top bits, so find() never finds it.
  static constexpr std::uint64_t key_of(std::uint64_t atom, std::uint16_t generation) noexcept {
    return atom << kGenerationBits | (generation % (1U << kGenerationBits));
  }

  std::array<std::atomic<std::uint64_t>, kEntries> entries_{};
};

}  // namespace caravan
