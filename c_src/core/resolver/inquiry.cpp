#include "core/resolver/inquiry.hpp"

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
  // FNV-1a.
  std::uint64_t hash = 0xCBF2'9CE4'8422'2325;
  for (const char c : inquiry.question.name) {
    hash = (hash ^ static_cast<unsigned char>(to_lower_ascii(c))) * 0x100'0000'01B3;
  }
  return hash ^ static_cast<std::size_t>(inquiry.question.type);
}

}  // namespace caravan
