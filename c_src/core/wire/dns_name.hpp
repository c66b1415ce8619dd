#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace caravan {

// RFC 1035, section 2.3.4. A name of 255 octets in a message has at most 253 characters of text.
inline constexpr std::size_t kMaxDnsNameText = 253;
inline constexpr std::size_t kMaxDnsNameWire = 255;
inline constexpr std::size_t kMaxDnsLabel = 63;

constexpr char to_lower_ascii(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// These two compare names without regard to the case of ASCII letters (RFC 4343).
bool equal_names(std::string_view a, std::string_view b) noexcept;
bool less_names(std::string_view a, std::string_view b) noexcept;

// Returns whether `text` consists of dot-separated labels of letters, digits, '-' and '_' within the limits of RFC
// 1035. Accepts one trailing dot.
bool is_dns_name(std::string_view text) noexcept;

// The search list of resolv.conf(5).
struct SearchList {
  std::vector<std::string> domains;
  std::size_t ndots = 1;
};

// Returns the fully qualified names to look up for `name`, in order. A name that ends in a dot is the only candidate,
// without the dot. Otherwise `name` itself comes first if it has at least `ndots` dots, and last if it has fewer.
std::vector<std::string> search_candidates(std::string_view name, const SearchList& search);

}  // namespace caravan
