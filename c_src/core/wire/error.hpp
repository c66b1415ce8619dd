#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace caravan {

// Why a lookup has no records. kNxdomain and kNodata are negative answers: the nameserver says that there are no
// records. All others mean that the question could not be asked, and a caller must never take one of them for an empty
// answer.
enum class Error : std::uint8_t {
  kNxdomain,
  kNodata,
  kServfail,
  kRefused,
  kFormerr,
  kNotimp,
  kTimeout,
  kConnrefused,
  kBadname,
  kBadresp,
  kCancelled,
  kClosed,
  kOverload,
  kSystem,
};

struct ErrorInfo {
  Error code;
  const char* name;
  const char* meaning;
};

inline constexpr std::array kErrors{
    ErrorInfo{Error::kNxdomain, "nxdomain", "the name does not exist (RCODE 3)"},
    ErrorInfo{Error::kNodata, "nodata", "the name exists, but has no record of this type"},
    ErrorInfo{Error::kServfail, "servfail", "no nameserver answered, and one said that it failed (RCODE 2)"},
    ErrorInfo{Error::kRefused, "refused", "no nameserver answered, and one refused to (RCODE 5)"},
    ErrorInfo{Error::kFormerr, "formerr", "no nameserver answered, and one did not understand the query (RCODE 1)"},
    ErrorInfo{Error::kNotimp, "notimp",
              "no nameserver answered, and one does not implement the query (RCODE 4 or an unknown one)"},
    ErrorInfo{Error::kTimeout, "timeout", "no nameserver answered within the timeout"},
    ErrorInfo{Error::kConnrefused, "connrefused", "no nameserver can be reached: nothing listens there"},
    ErrorInfo{Error::kBadname, "badname", "the name is no DNS name (RFC 1035, section 2.3.4)"},
    ErrorInfo{Error::kBadresp, "badresp", "the reply is malformed or answers another question"},
    ErrorInfo{Error::kCancelled, "cancelled", "the caller cancelled the lookup"},
    ErrorInfo{Error::kClosed, "closed", "the resolver was closed while the lookup was open"},
    ErrorInfo{Error::kOverload, "overload", "too many lookups are waiting already"},
    ErrorInfo{Error::kSystem, "system", "the operating system gave no thread, socket or memory"},
};

constexpr bool errors_are_in_order() noexcept {
  for (std::size_t i = 0; i < kErrors.size(); ++i) {
    if (static_cast<std::size_t>(kErrors[i].code) != i) {
      return false;
    }
  }
  return true;
}
static_assert(errors_are_in_order(), "kErrors is indexed by Error");

constexpr const char* error_name(Error error) noexcept { return kErrors[static_cast<std::size_t>(error)].name; }

// Returns whether `error` is a negative answer, as opposed to a question that could not be asked.
constexpr bool is_negative_answer(Error error) noexcept { return error == Error::kNxdomain || error == Error::kNodata; }

}  // namespace caravan
