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

// An address that came along in the additional section for a target of the answer.
struct Glue {
  TextRef target;
  IpAddress address;
  std::uint32_t ttl = 0;
};

// What a nameserver said to one question.
struct Reply {
  // Nothing: there are records of the type asked for, in `srv` or `addresses`.
  std::optional<Error> error;
  // RFC 2181, section 9: the TC bit says that the answer section is cut.
  bool truncated = false;
  // Whether the answer is as large as some servers let one become: they leave out the other records and do not set TC.
  bool at_limit = false;
  // Whether all records are known to be here. Only TCP can promise it, and only below the limit: servers such as Consul
  // cut UDP answers to their size without setting TC.
  bool complete = false;
  // Seconds. With records: the least TTL on the way to them, aliases included. With a negative answer: how long it may
  // be believed (RFC 2308, section 5), nothing when the server does not say.
  std::optional<std::uint32_t> ttl;

  std::vector<SrvRecord> srv;
  std::vector<AddressRecord> addresses;
  std::vector<Glue> glue;  // sorted by target, without duplicates; of a target in the reply's order
  std::string text;

  std::string_view view(TextRef ref) const noexcept { return std::string_view{text}.substr(ref.offset, ref.size); }
};

// RFC 6891: what a nameserver may send over UDP when we say so. Never above 4096: c-ares 1.18 cuts what it receives
// there.
inline constexpr std::uint16_t kMaxEdnsSize = 4096;

// A reply that reports `error` and nothing else.
Reply failed_reply(Error error);

// Nobody could be asked, as opposed to an answer or the word that there is none.
inline bool is_failure(const Reply& reply) noexcept { return reply.error && !is_negative_answer(*reply.error); }

// Whether it has the header of a reply to one question (RFC 1035, section 4.1.1).
bool is_reply(std::span<const std::uint8_t> message) noexcept;

// Whether `message` repeats `question`.
bool asks(std::span<const std::uint8_t> message, const Question& question);

// Reads the reply to `question`. Bounded: the work is linear in the number of records that fit into `message`, whatever
// its counts, lengths and compression pointers claim. Records of other names, types and classes are passed over.
Reply decode_reply(std::span<const std::uint8_t> message, const Question& question);

}  // namespace caravan
