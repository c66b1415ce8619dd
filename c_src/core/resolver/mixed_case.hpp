#pragma once

#include <cstdint>
#include <span>

#include "core/resolver/recent_questions.hpp"

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

  // Looks at a reply, and gives its question the case that it had before, in `plain`: names in the reply may point to
  // it.
  Verdict restore(std::span<std::uint8_t> message, const RecentQuestions& plain) const noexcept;

 private:
  RecentQuestions mixed_;
};

}  // namespace caravan
