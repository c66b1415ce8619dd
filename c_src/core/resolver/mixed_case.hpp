#pragma once

#include <cstdint>
#include <span>

#include "core/resolver/recent_questions.hpp"

namespace caravan {

// Randomises the case of letters in questions (draft-vixie-dnsext-dns0x20). A nameserver copies the question into its
// reply, and DNS does not distinguish case (RFC 4343), so a forger who cannot see the question must guess one more bit
// for each letter. One thread owns it.
class MixedCase {
 public:
  // Randomises the case of a question, which is a whole message, and remembers it. Leaves the case unchanged if the
  // system has no random numbers.
  void mix(std::span<std::uint8_t> message) noexcept;

  enum class Verdict : std::uint8_t {
    kOther,    // the reply is to no question that is remembered
    kKept,     // the reply repeats the case of the question
    kChanged,  // the reply repeats the question in another case
  };

  // Checks the question in a reply, and restores its original case from `plain`, because names in the reply may be
  // compression pointers to it.
  Verdict restore(std::span<std::uint8_t> message, const RecentQuestions& plain) const noexcept;

 private:
  RecentQuestions mixed_;
};

}  // namespace caravan
