#include "core/wire/dns_name.hpp"

#include <algorithm>

namespace caravan {
namespace {

constexpr bool is_label_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

bool equal_names(std::string_view a, std::string_view b) noexcept {
  // Nameservers nearly always repeat a name with the case in which it was asked.
  return a == b || std::equal(a.begin(), a.end(), b.begin(), b.end(),
                              [](char x, char y) { return to_lower_ascii(x) == to_lower_ascii(y); });
}

bool less_names(std::string_view a, std::string_view b) noexcept {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](char x, char y) { return to_lower_ascii(x) < to_lower_ascii(y); });
}

bool is_dns_name(std::string_view text) noexcept {
  if (text.ends_with('.')) {
    text.remove_suffix(1);
  }
  if (text.empty() || text.size() > kMaxDnsNameText) {
    return false;
  }
  std::size_t label = 0;
  for (const char c : text) {
    if (c == '.') {
      if (label == 0) {
        return false;
      }
      label = 0;
    } else if (!is_label_character(c) || ++label > kMaxDnsLabel) {
      return false;
    }
  }
  return label > 0;
}

std::vector<std::string> search_candidates(std::string_view name, const SearchList& search) {
  if (name.ends_with('.')) {
    return {std::string{name.substr(0, name.size() - 1)}};
  }
  std::vector<std::string> candidates;
  candidates.reserve(search.domains.size() + 1);
  for (const auto& domain : search.domains) {
    auto candidate = domain.empty() ? std::string{name} : std::string{name} + '.' + domain;
    if (is_dns_name(candidate)) {
      candidates.push_back(std::move(candidate));
    }
  }
  const auto dots = static_cast<std::size_t>(std::count(name.begin(), name.end(), '.'));
  if (dots >= search.ndots) {
    std::erase(candidates, name);
    candidates.insert(candidates.begin(), std::string{name});
  } else if (std::find(candidates.begin(), candidates.end(), name) == candidates.end()) {
    candidates.emplace_back(name);
  }
  return candidates;
}

}  // namespace caravan
