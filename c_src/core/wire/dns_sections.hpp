#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/wire/dns_reader.hpp"

namespace caravan {

enum class RecordType : std::uint16_t { kA = 1, kNs = 2, kCname = 5, kSoa = 6, kAaaa = 28, kSrv = 33 };

// RFC 1035, section 3.2.4.
inline constexpr std::uint16_t kClassIn = 1;

// A record whose data are still octets of the message.
struct DnsRecord {
  TextRef owner;  // empty in the authority section, of which nobody asks whose records they are
  RecordType type = RecordType::kA;
  std::uint32_t ttl = 0;
  std::size_t data = 0;  // where they begin
  std::size_t data_size = 0;
  std::size_t octets = 0;  // of the whole record in the message
};

// A response taken apart (RFC 1035, section 4.1). What it means is dns_message's business.
struct DnsSections {
  bool authoritative = false;
  bool truncated = false;
  bool recursion_available = false;
  unsigned rcode = 0;  // with the upper bits of RFC 6891
  // Whether a record has a name that is none. The others may be believed as far as an error code goes.
  bool broken = false;

  TextRef question;
  std::uint16_t question_type = 0;

  // Of class IN and a known type; others are passed over.
  std::vector<DnsRecord> answers;
  std::vector<DnsRecord> authority;
  std::vector<DnsRecord> additional;
};

// How much text the names of a message may have. Escapes and compression make up to eighty octets of text of one in the
// message, which only those use who want to cost time and memory.
inline constexpr std::size_t kMaxNamesText = std::size_t{512} * 1024;

// Appends the names to `text`. Nothing when the message is no response to one question, or ends before what it counts
// without being truncated.
std::optional<DnsSections> read_sections(std::span<const std::uint8_t> message, std::string& text);

}  // namespace caravan
