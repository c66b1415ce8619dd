#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace caravan::fuzz {

// Reads the input of a fuzzer front to back. Returns zeros after the end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) noexcept : rest_{data, size} {}

  bool empty() const noexcept { return rest_.empty(); }

  std::uint8_t u8() noexcept {
    const std::uint8_t octet = rest_.empty() ? std::uint8_t{0} : rest_.front();
    rest_ = rest_.subspan(std::min<std::size_t>(1, rest_.size()));
    return octet;
  }
  std::uint16_t u16() noexcept {
    const auto high = u8();
    return static_cast<std::uint16_t>(high << 8 | u8());
  }
  std::size_t below(std::size_t limit) noexcept { return u8() % limit; }

  std::span<const std::uint8_t> octets(std::size_t most) noexcept {
    const auto octets = rest_.first(std::min(most, rest_.size()));
    rest_ = rest_.subspan(octets.size());
    return octets;
  }

  // Returns the text up to the next line feed, which it skips, or up to the end.
  std::string_view line() noexcept {
    const auto text = view();
    const auto line = text.substr(0, text.find('\n'));
    rest_ = rest_.subspan(std::min(line.size() + 1, rest_.size()));
    return line;
  }
  std::string_view view() const noexcept { return {reinterpret_cast<const char*>(rest_.data()), rest_.size()}; }

 private:
  std::span<const std::uint8_t> rest_;
};

}  // namespace caravan::fuzz
