#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/dns_reader.hpp"
#include "core/wire/dns_sections.hpp"
#include "core/wire/error.hpp"
#include "core/wire/ip_address.hpp"
#include "core/wire/srv.hpp"

namespace caravan {

struct Question {
  std::string name;  // without a trailing dot
  RecordType type = RecordType::kSrv;
};

struct AddressRecord {
  IpAddress address;
  std::uint32_t ttl = 0;
};

// The address of a target of the answer, from the answer or the additional section of the same message.
struct Glue {
  TextRef target;
  IpAddress address;
  std::uint32_t ttl = 0;
};

// A nameserver's reply to one question.
struct Reply {
  // nullopt if there are records of the type that was asked for, in `srv` or `addresses`.
  std::optional<Error> error;
  // The TC bit: records are missing from the answer section (RFC 2181, section 9).
  bool truncated = false;
  // Whether the answer is so large that the nameserver may have dropped records without setting TC.
  bool at_limit = false;
  // Whether the answer is known to hold all records. Only replies over TCP below the limit promise that: some
  // nameservers, Consul among them, cut answers over UDP without setting TC. decode_reply() leaves it false, since it
  // does not know the transport.
  bool complete = false;
  // In seconds. With records, the least TTL of the records and the aliases that lead to them. With a negative answer,
  // how long it may be cached (RFC 2308, section 5); nullopt if the nameserver does not say.
  std::optional<std::uint32_t> ttl;

  std::vector<SrvRecord> srv;
  std::vector<AddressRecord> addresses;
  // Sorted by target, without duplicates. Addresses of one target are in the order of the reply.
  std::vector<Glue> glue;
  std::string text;

  std::string_view view(TextRef ref) const noexcept { return std::string_view{text}.substr(ref.offset, ref.size); }
};

// The size of a UDP message that we advertise to nameservers (RFC 6891, section 6.2.3) is at most this: c-ares 1.18
// truncates the datagrams that it receives to 4,096 octets.
inline constexpr std::uint16_t kMaxEdnsSize = 4096;

// Returns a reply that holds `error` and no records.
Reply failed_reply(Error error);

// Returns whether the question could not be asked. False for records and for negative answers.
inline bool is_failure(const Reply& reply) noexcept { return reply.error && !is_negative_answer(*reply.error); }

// Returns whether `message` has the header of a reply with exactly one question (RFC 1035, section 4.1.1).
bool is_reply(std::span<const std::uint8_t> message) noexcept;

// Returns whether the question in `message` has the name and the type of `question`. `message` must satisfy is_reply().
bool asks(std::span<const std::uint8_t> message, const Question& question);

// Decodes the reply to `question`. The work is linear in the number of records that fit into `message`, whatever its
// counts, lengths and compression pointers claim. Ignores records of other names, types and classes. Returns kBadresp
// for a malformed message and for the reply to another question.
Reply decode_reply(std::span<const std::uint8_t> message, const Question& question);

}  // namespace caravan
