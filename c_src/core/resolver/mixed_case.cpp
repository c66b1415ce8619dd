#include "core/resolver/mixed_case.hpp"

#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#include <algorithm>
#include <array>
#include <cstddef>

#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

constexpr auto kHeaderSize = RecentQuestions::kHeaderSize;
constexpr std::uint8_t kCaseBit = 0x20;

constexpr bool is_letter(std::uint8_t octet) noexcept {
  const auto lower = octet | kCaseBit;
  return lower >= 'a' && lower <= 'z';
}

std::uint16_t id_of(std::span<const std::uint8_t> message) noexcept {
  return static_cast<std::uint16_t>(message[0] << 8 | message[1]);
}

// Returns the name of the question: the octets behind the header, up to and including the root label. Returns an empty
// span if they are no name.
template <typename Octet>
std::span<Octet> name_of(std::span<Octet> message) noexcept {
  std::size_t size = 0;
  while (kHeaderSize + size < message.size()) {
    const std::size_t length = message[kHeaderSize + size];
    size += length + 1;
    if (length > kMaxDnsLabel || size > kMaxDnsNameWire || kHeaderSize + size > message.size()) {
      return {};
    }
    if (length == 0) {
      return message.subspan(kHeaderSize, size);
    }
  }
  return {};
}

bool is_same_but_for_case(std::uint8_t a, std::uint8_t b) noexcept {
  return a == b || (is_letter(a) && is_letter(b) && (a | kCaseBit) == (b | kCaseBit));
}

}  // namespace

void MixedCase::mix(std::span<std::uint8_t> message) noexcept {
  const auto name = name_of(message);
  std::array<std::uint8_t, kMaxDnsNameWire / 8 + 1> random{};
  if (name.empty() || ::getentropy(random.data(), random.size()) != 0) {
    std::fill(random.begin(), random.end(), std::uint8_t{0});
  }
  for (std::size_t i = 0; i < name.size(); ++i) {
    const unsigned bits = random[i / 8];
    const bool is_other = (bits >> (i % 8) & 1U) != 0;
    // A length octet is at most 63, so it is no letter.
    name[i] ^= is_other && is_letter(name[i]) ? kCaseBit : std::uint8_t{0};
  }
  mixed_.remember(message);
}

MixedCase::Verdict MixedCase::restore(std::span<std::uint8_t> message, const RecentQuestions& plain) const noexcept {
  const auto name = name_of(message);
  const auto id = id_of(message);
  const auto before = name_of(plain.find(id));
  if (before.empty() || !std::equal(name.begin(), name.end(), before.begin(), before.end(), is_same_but_for_case)) {
    return Verdict::kOther;
  }
  const auto sent = name_of(mixed_.find(id));
  const bool is_kept = std::equal(name.begin(), name.end(), sent.begin(), sent.end());
  std::copy(before.begin(), before.end(), name.begin());
  return is_kept ? Verdict::kKept : Verdict::kChanged;
}

}  // namespace caravan
