#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/wire/dns_name.hpp"

namespace caravan {

// Questions whose letters are upper or lower case at random (draft-vixie-dnsext-dns0x20). A nameserver repeats a
// question as it came, and DNS takes both cases for the same name (RFC 4343): who forges a reply without having seen
// the question has to guess a bit more for each letter. Owned by one thread.
class MixedCase {
 public:
  // Mixes the case of a question, which is a whole message, and remembers it. Without random numbers it stays as it is.
  void mix(std::span<std::uint8_t> message) noexcept;

  enum class Verdict : std::uint8_t {
    kOther,    // the reply is to none of the questions that are remembered
    kKept,     // it repeats the question as it was
    kChanged,  // it repeats the question, but for the case of letters
  };

  // Looks at a reply, and gives its question the case that it had before: names in the reply may point to it.
  Verdict restore(std::span<std::uint8_t> message) noexcept;

 private:
  struct Question {
    std::uint16_t id = 0;
    std::uint16_t size = 0;  // of the name; 0: none
    std::array<std::uint8_t, kMaxDnsNameWire> plain{};
    std::array<std::uint8_t, kMaxDnsNameWire> mixed{};
  };
  // More than are in flight over one channel.
  static constexpr std::size_t kRemembered = 32;

  std::array<Question, kRemembered> questions_;
  std::size_t next_ = 0;
};

}  // namespace caravan
