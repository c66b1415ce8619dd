#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace caravan {

// A pattern of helper names, beside the built-in ones, such as `foo-{number}-*`. `*` stands for any characters,
// including none, and `{number}` for all digits of a number. Matching takes one step for each character of a name.
class HelperPattern {
 public:
  static constexpr std::size_t kMaxBytes = 64;

  // Returns nullopt if `text` is longer than kMaxBytes, has characters other than those of names, `*` and `{number}`,
  // has no literal character, or has a number next to a digit or another number. A `*` does not separate them.
  static std::optional<HelperPattern> parse(std::string_view text);

  bool matches(std::string_view name) const noexcept;

  std::string_view text() const noexcept { return text_; }

 private:
  // A set of pieces, one bit for each in the order of the text. A piece is a literal character or a number. A `*` is no
  // piece of its own: it belongs to the piece before it, or to the beginning.
  using Pieces = std::uint64_t;
  static_assert(kMaxBytes <= 64, "every byte may be a piece");

  bool add(std::string_view& rest);
  bool add_literal(char c);
  bool add_number();
  void add_star() noexcept;
  Pieces last_piece() const noexcept { return size_ == 0 ? 0 : Pieces{1} << (size_ - 1); }

  static constexpr std::size_t kCharacters = 128;

  std::string text_;
  std::array<Pieces, kCharacters> literals_{};  // the pieces that a character may match
  Pieces numbers_ = 0;
  Pieces starred_ = 0;  // the pieces that a `*` follows
  bool star_first_ = false;
  std::size_t size_ = 0;
};

// The ports of helpers, and the patterns of their names. The built-in names and the way from a name to its port are the
// same in every version, because two nodes of different versions must agree on a port.
struct HelperRule {
  static constexpr std::size_t kMinPorts = 3;  // helper_port() may skip two of them
  static constexpr std::size_t kMaxPatterns = 16;

  std::uint16_t first = 61000;
  std::uint16_t last = 65535;
  std::vector<HelperPattern> patterns;
};

// Returns the 32-bit FNV-1a hash, with offset basis 2166136261 and prime 16777619.
constexpr std::uint32_t fnv1a(std::string_view octets) noexcept {
  std::uint32_t hash = 2166136261U;
  for (const char octet : octets) {
    hash = (hash ^ static_cast<std::uint8_t>(octet)) * 16777619U;
  }
  return hash;
}

// Returns the port of the helper that has `name` before the '@': `first + fnv1a(name) mod (last - first + 1)`. If that
// is `default_port` or the number at the end of the name, returns the next port that is neither, where `first` follows
// `last`: the node that the helper talks to may listen there.
std::uint16_t helper_port(std::string_view name, const HelperRule& rule, std::uint16_t default_port) noexcept;

// Returns the pattern that `name`, the part before the '@', matches: the name of a built-in pattern, or otherwise the
// text of one of the rule's. Returns nullopt if no pattern matches. The view lives as long as the rule.
std::optional<std::string_view> helper_pattern(std::string_view name, const HelperRule& rule) noexcept;

}  // namespace caravan
