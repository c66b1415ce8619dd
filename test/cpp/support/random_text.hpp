#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace caravan::test {

// Inputs for property tests. The same seed gives the same inputs.
class RandomText {
 public:
  explicit RandomText(std::uint32_t seed) : engine_{seed} {}

  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>{0, limit - 1}(engine_); }

  // Returns up to `max` octets. A few are arbitrary and most are from `likely`, so that interesting paths are taken
  // often.
  std::string text(std::size_t max, std::string_view likely) {
    std::string octets(below(max + 1), '\0');
    for (auto& octet : octets) {
      octet = below(8) == 0 ? static_cast<char>(below(256)) : likely[below(likely.size())];
    }
    return octets;
  }

 private:
  std::mt19937 engine_;
};

// Makes octets readable in messages.
inline std::string in_hex(std::string_view octets) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const char c : octets) {
    const auto octet = static_cast<unsigned char>(c);
    hex += kDigits[octet >> 4];
    hex += kDigits[octet & 0xF];
  }
  return hex;
}

}  // namespace caravan::test
