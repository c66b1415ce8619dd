#include "core/resolver/mixed_case.hpp"

#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#include <algorithm>
#include <string_view>

namespace caravan {
namespace {

constexpr std::size_t kHeaderSize = 12;
constexpr std::uint8_t kCaseBit = 0x20;

constexpr bool is_letter(std::uint8_t octet) noexcept {
  const auto lower = octet | kCaseBit;
  return lower >= 'a' && lower <= 'z';
}

std::uint16_t id_of(std::span<const std::uint8_t> message) noexcept {
  return static_cast<std::uint16_t>(message[0] << 8 | message[1]);
}

// The name of a question with the root label at its end: the octets that follow the header. Empty if it is none.
std::span<std::uint8_t> name_of(std::span<std::uint8_t> message) noexcept {
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

}  // namespace

void MixedCase::mix(std::span<std::uint8_t> message) noexcept {
  const auto name = name_of(message);
  std::array<std::uint8_t, kMaxDnsNameWire / 8 + 1> random{};
  if (name.empty() || ::getentropy(random.data(), random.size()) != 0) {
    std::fill(random.begin(), random.end(), std::uint8_t{0});
  }
  auto& question = questions_[next_++ % kRemembered];
  question.id = id_of(message);
  question.size = static_cast<std::uint16_t>(name.size());
  std::copy(name.begin(), name.end(), question.plain.begin());
  for (std::size_t i = 0; i < name.size(); ++i) {
    const unsigned bits = random[i / 8];
    const bool is_other = (bits >> (i % 8) & 1U) != 0;
    // A length is no letter: it is 63 at most.
    name[i] ^= is_other && is_letter(name[i]) ? kCaseBit : std::uint8_t{0};
  }
  std::copy(name.begin(), name.end(), question.mixed.begin());
}

MixedCase::Verdict MixedCase::restore(std::span<std::uint8_t> message) noexcept {
  const auto name = name_of(message);
  const auto id = id_of(message);
  for (const auto& question : questions_) {
    if (question.id != id || question.size == 0 || question.size != name.size()) {
      continue;
    }
    const std::span plain{question.plain.data(), question.size};
    const bool is_kept = std::equal(name.begin(), name.end(), question.mixed.begin());
    const bool is_same = std::equal(name.begin(), name.end(), plain.begin(), [](std::uint8_t a, std::uint8_t b) {
      return a == b || (is_letter(a) && is_letter(b) && (a | kCaseBit) == (b | kCaseBit));
    });
    if (is_same) {
      std::copy(plain.begin(), plain.end(), name.begin());
      return is_kept ? Verdict::kKept : Verdict::kChanged;
    }
  }
  return Verdict::kOther;
}

}  // namespace caravan
