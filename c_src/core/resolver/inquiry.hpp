#pragma once

#include <cstddef>
#include <memory>

#include "core/resolver/attempt_plan.hpp"
#include "core/system/system_config.hpp"
#include "core/wire/dns_message.hpp"
#include "core/wire/ip_address.hpp"

namespace caravan {

// What is asked, which nameservers are asked, and how.
struct Inquiry {
  Question question;  // a trailing dot in the name disables the search list
  Transport transport = Transport::kUdp;
  std::shared_ptr<const Nameservers> nameservers;  // null for those of the system
  // The configuration at the time of the request. Under another one, the nameservers and the search list may differ.
  std::shared_ptr<const SystemConfig> system;
};

// Equal inquiries get the same answer. Names are compared without regard to case (RFC 4343).
struct SameInquiry {
  bool operator()(const Inquiry& a, const Inquiry& b) const noexcept;
};

struct InquiryHash {
  std::size_t operator()(const Inquiry& inquiry) const noexcept;
};

}  // namespace caravan
