#pragma once

#include <cstddef>
#include <memory>

#include "core/resolver/attempt_plan.hpp"
#include "core/system/system_config.hpp"
#include "core/wire/dns_message.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {

// What is asked, and of whom.
struct Inquiry {
  Question question;  // a trailing dot in the name keeps the search list out
  Transport transport = Transport::kUdp;
  std::shared_ptr<const Nameservers> nameservers;  // null: the system's
  // When it was made: under another one, other nameservers and another search list may say other things.
  std::shared_ptr<const SystemConfig> system;
};

// Inquiries that get the same answer: names are compared without regard to case (RFC 4343).
struct SameInquiry {
  bool operator()(const Inquiry& a, const Inquiry& b) const noexcept;
};

struct InquiryHash {
  std::size_t operator()(const Inquiry& inquiry) const noexcept;
};

}  // namespace caravan
