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

// A record whose data are not decoded.
struct DnsRecord {
  TextRef owner;  // empty in the authority section, whose owners no caller needs
  RecordType type = RecordType::kA;
  std::uint32_t ttl = 0;
  std::size_t data = 0;  // the position of the data in the message
  std::size_t data_size = 0;
  std::size_t octets = 0;  // the size of the whole record in the message
};

// The sections of a DNS message (RFC 1035, section 4.1). dns_message.hpp says what they mean as the reply to a
// question.
struct DnsSections {
  bool authoritative = false;
  bool truncated = false;
  bool recursion_available = false;
  unsigned rcode = 0;  // including the upper bits of an OPT record (RFC 6891)
  // Whether the owner of a record could not be read. The RCODE of such a message is still valid.
  bool broken = false;

  TextRef question;
  std::uint16_t question_type = 0;

  // The sections hold records of class IN and the types of RecordType only.
  std::vector<DnsRecord> answers;
  std::vector<DnsRecord> authority;
  std::vector<DnsRecord> additional;
};

// The most text that the names of one message may take, in octets. With compression and escapes, one octet of a message
// can become up to eighty octets of text, which only an attacker does.
inline constexpr std::size_t kMaxNamesText = std::size_t{512} * 1024;

// Splits `message` into its sections, and appends the names to `text`. Returns nullopt if the message is no response to
// exactly one question, or if it ends before its last record and is not truncated.
std::optional<DnsSections> read_sections(std::span<const std::uint8_t> message, std::string& text);

}  // namespace caravan
