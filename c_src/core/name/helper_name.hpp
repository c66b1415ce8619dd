#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace caravan {

// Which names are those of helpers, beside the built-in ones: `foo-{number}-*`. `*` stands for any characters, also for
// none, and `{number}` for all digits of a number. Matching takes one step for each character of a name.
class HelperPattern {
 public:
  static constexpr std::size_t kMaxBytes = 64;

  // Nothing when the text is too long, when it has anything else in it than characters of names, `*` and `{number}`,
  // when it has no literal character, and when none but `*` stands between a number and a digit or another number.
  static std::optional<HelperPattern> parse(std::string_view text);

  bool matches(std::string_view name) const noexcept;

  std::string_view text() const noexcept { return text_; }

 private:
  // A bit for each piece, in the order of the text. A piece is a literal character or a number; a `*` belongs to the
  // piece before it, or to the beginning.
  using Pieces = std::uint64_t;
  static_assert(kMaxBytes <= 64, "every byte may be a piece");

  bool add(std::string_view& rest);
  bool add_literal(char c);
  bool add_number();
  void add_star() noexcept;
  Pieces last_piece() const noexcept { return size_ == 0 ? 0 : Pieces{1} << (size_ - 1); }

  static constexpr std::size_t kCharacters = 128;

  std::string text_;
  std::array<Pieces, kCharacters> literals_{};  // the pieces that a character may be
  Pieces numbers_ = 0;
  Pieces starred_ = 0;  // a `*` follows
  bool star_first_ = false;
  std::size_t size_ = 0;
};

// Ports and names of helpers. The built-in names and the way from a name to its port are the same in every version: two
// nodes of different versions must agree on them.
struct HelperRule {
  static constexpr std::size_t kMinPorts = 3;  // two may be left out
  static constexpr std::size_t kMaxPatterns = 16;

  std::uint16_t first = 61000;
  std::uint16_t last = 65535;
  std::vector<HelperPattern> patterns;
};

// 32-bit FNV-1a: offset basis 2166136261, prime 16777619, octet by octet.
constexpr std::uint32_t fnv1a(std::string_view octets) noexcept {
  std::uint32_t hash = 2166136261U;
  for (const char octet : octets) {
    hash = (hash ^ static_cast<std::uint8_t>(octet)) * 16777619U;
  }
  return hash;
}

// The port of the helper whose name before the '@' is given: `first + fnv1a(name) mod (last - first + 1)`, or the next
// one, from `last` on to `first`, that is neither `default_port` nor the number at the end of the name. Those may be
// ports of the node that the helper talks to.
std::uint16_t helper_port(std::string_view name, const HelperRule& rule, std::uint16_t default_port) noexcept;

// The pattern that the name before the '@' matches, built-in ones first: the name of a built-in one, or the text of one
// of the rule's. It lives as long as the rule.
std::optional<std::string_view> helper_pattern(std::string_view name, const HelperRule& rule) noexcept;

}  // namespace caravan
