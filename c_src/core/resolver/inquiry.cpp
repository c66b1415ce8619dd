#include "core/resolver/inquiry.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/wire/dns_name.hpp"

namespace caravan {

bool SameInquiry::operator()(const Inquiry& a, const Inquiry& b) const noexcept {
  const auto same_nameservers = [&] {
    return a.nameservers == b.nameservers || (a.nameservers && b.nameservers && *a.nameservers == *b.nameservers);
  };
  return a.question.type == b.question.type && a.transport == b.transport && a.system == b.system &&
         equal_names(a.question.name, b.question.name) && same_nameservers();
}

std::size_t InquiryHash::operator()(const Inquiry& inquiry) const noexcept {
  // FNV-1a over eight octets at a time. Setting the case bit also maps some octets that are no letters to each other,
  // which only causes collisions.
  constexpr std::uint64_t lower_case = 0x2020'2020'2020'2020;
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325 ^ static_cast<std::uint64_t>(inquiry.question.type);
  std::string_view rest = inquiry.question.name;
  while (!rest.empty()) {
    std::uint64_t octets = 0;
    const auto size = std::min(rest.size(), sizeof octets);
    std::memcpy(&octets, rest.data(), size);
    hash = (hash ^ (octets | lower_case)) * 0x100'0000'01B3;
    hash ^= hash >> 32U;
    rest.remove_prefix(size);
  }
  return hash;
}

}  // namespace caravan
