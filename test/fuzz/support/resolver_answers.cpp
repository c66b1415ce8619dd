#include <algorithm>
#include <optional>
#include <string>

#include "core/wire/dns_name.hpp"
#include "support/dns_builder.hpp"
#include "support/require.hpp"
#include "support/resolver_world.hpp"

// What the nameservers of the world reply, and which results their replies allow.
namespace caravan::fuzz {
namespace {

using test::DnsBuilder;
using test::Section;
using test::WireName;

constexpr unsigned kFormerrCode = 1;
constexpr unsigned kServfailCode = 2;
constexpr unsigned kNxdomainCode = 3;
constexpr unsigned kNotimpCode = 4;
constexpr unsigned kRefusedCode = 5;

// Makes a reply with the ID of `message` and the question.
DnsBuilder reply_to(const Octets& message, const Octets& wire_name, RecordType type) {
  DnsBuilder builder{WireName{wire_name}, type};
  builder.id(static_cast<std::uint16_t>(message[0] << 8 | message[1]));
  return builder;
}

// Returns the number of the answer that the record came with.
std::size_t number_in(const IpAddress& address) {
  const auto* end = address.bytes.data() + address.size();
  return static_cast<std::size_t>(end[-2] << 8 | end[-1]);
}

}  // namespace

void ResolverWorld::answer() {
  const auto which = input_.u8();
  const auto kind = input_.below(16);
  if (queries_.empty()) {
    return;
  }
  const auto query = queries_[queries_.size() - 1 - which % queries_.size()];
  if (!network_.sockets().contains(query.fd)) {
    return;
  }
  switch (kind) {
    case 5:
      // NXDOMAIN holds for all record types (RFC 8020).
      for (const auto type : {RecordType::kA, RecordType::kAaaa, RecordType::kSrv}) {
        denied_.insert({query.question.first, type});
      }
      say(query, negative(query, kNxdomainCode));
      break;
    case 6:
      denied_.insert(query.question);
      say(query, negative(query, 0));
      break;
    case 7: {
      constexpr std::array words{std::pair{kServfailCode, Error::kServfail}, std::pair{kRefusedCode, Error::kRefused},
                                 std::pair{kFormerrCode, Error::kFormerr}, std::pair{kNotimpCode, Error::kNotimp}};
      const auto [rcode, error] = words[input_.below(words.size())];
      causes_.set(static_cast<std::size_t>(error));
      say(query, reply_to(query.message, query.wire_name, query.question.second).rcode(rcode).build());
      break;
    }
    case 8:
      say(query, records_for(query, true));
      break;
    case 9:
      say(query, reply_to(query.message, query.wire_name, query.question.second).truncated().build());
      break;
    case 10:
    case 11:
    case 12:
    case 13:
    case 14:
      answer_wrongly(query, kind);
      break;
    default:
      say(query, records_for(query, false));
  }
}

Octets ResolverWorld::records_for(const Query& query, bool truncated) {
  const auto number = served_.size();
  served_.push_back({query.question, query.tcp});
  const auto bits = input_.u8();
  auto builder = reply_to(query.message, query.wire_name, query.question.second);
  auto owner = WireName{query.wire_name};
  const std::uint32_t ttl = bits >> 4U;
  if ((bits & 4U) != 0) {
    builder.cname(owner, ttl, "alias.test");
    owner = "alias.test";
  }
  const auto octets = test::u16(number);
  for (std::size_t i = 0; i <= (bits & 3U); ++i) {
    switch (query.question.second) {
      case RecordType::kA:
        builder.record(owner, 1, ttl, test::concat({{10, static_cast<std::uint8_t>(i)}, octets}));
        break;
      case RecordType::kAaaa:
        builder.record(owner, 28, ttl, test::concat({Octets(13), {static_cast<std::uint8_t>(i)}, octets}));
        break;
      default:
        builder.srv(owner, ttl, 1, 1, static_cast<std::uint16_t>(number), "n" + std::to_string(i) + ".test");
    }
  }
  if (query.question.second == RecordType::kSrv && (bits & 8U) != 0) {
    builder.in(Section::kAdditional).a("n0.test", ttl, "10.0.0.1");
  }
  return (truncated ? builder.truncated() : builder).build();
}

Octets ResolverWorld::negative(const Query& query, unsigned rcode) {
  return reply_to(query.message, query.wire_name, query.question.second)
      .rcode(rcode)
      .in(Section::kAuthority)
      .soa("test", 30, input_.u8())
      .build();
}

// Sends a malformed reply, or the reply to another question.
void ResolverWorld::answer_wrongly(const Query& query, std::size_t kind) {
  auto message = records_for(query, false);
  switch (kind) {
    case 10:
      causes_.set(static_cast<std::size_t>(Error::kFormerr));
      message = query.message;
      message.resize(12);
      message[2] |= 0x80U;
      message[3] = kFormerrCode;
      break;
    case 11:
      message[1] ^= 1U;  // the ID of another question
      spoilt_.insert(query.question);
      break;
    case 12:
      message[13] ^= 1U;  // a letter of another name
      break;
    case 13:
      message = query.message;
      break;
    default:
      for (auto changes = 1 + input_.below(8); changes > 0; --changes) {
        message[2 + input_.u16() % (message.size() - 2)] ^= input_.u8();
      }
      // A reply with the right ID may say anything.
      spoilt_.insert(query.question);
  }
  causes_.set(static_cast<std::size_t>(Error::kBadresp));
  say(query, message);
}

// Sends octets from an attacker who knows neither the question nor its ID.
void ResolverWorld::send_garbage() {
  auto& sockets = network_.sockets();
  const auto which = input_.u8();
  const auto octets = input_.octets(input_.below(64));
  if (!sockets.empty()) {
    const auto fd = std::next(sockets.begin(), static_cast<std::ptrdiff_t>(which % sockets.size()))->first;
    network_.send_raw(fd, octets);
    // With the right ID, it may be a reply to any question that was sent over the socket.
    causes_.set();
    for (const auto& query : queries_) {
      if (query.fd == fd) {
        spoilt_.insert(query.question);
      }
    }
  }
}

void ResolverWorld::on_answer(Asked& asked, const Reply& reply) {
  require(!asked.has_ended);
  asked.has_ended = true;
  if (asked.interest != Interest::kWaiting) {
    return;
  }
  if (!reply.error) {
    check_records(asked, reply);
  } else {
    require(reply.srv.empty() && reply.addresses.empty() && !reply.complete);
    check_error(asked, *reply.error);
  }
}

bool ResolverWorld::is_spoilt(const Asked& asked) const {
  const auto types = types_of(asked);
  return std::any_of(asked.names.begin(), asked.names.end(), [&](const auto& name) {
    return std::any_of(types.begin(), types.end(), [&](auto type) { return spoilt_.contains({name, type}); });
  });
}

// Checks that the records are from an answer to a name of the lookup, and that only an answer over TCP is complete.
void ResolverWorld::check_records(const Asked& asked, const Reply& reply) const {
  require(reply.addresses.empty() != reply.srv.empty());
  require(reply.srv.empty() == (asked.type != LookupType::kSrv));
  require(reply.ttl.has_value());
  if (is_spoilt(asked)) {
    return;
  }
  const auto check = [&](std::size_t number, RecordType type) {
    require(number < served_.size());
    const auto& [question, tcp] = served_[number];
    require(question.second == type);
    require(std::find(asked.names.begin(), asked.names.end(), question.first) != asked.names.end());
    require(tcp || !reply.complete);
    return number;
  };
  for (const auto& srv : reply.srv) {
    // All records are from one answer.
    require(check(srv.port, RecordType::kSrv) == reply.srv.front().port);
    require(reply.view(srv.target).ends_with(".test"));
  }
  for (const auto& record : reply.addresses) {
    const auto is_ipv4 = record.address.family == Family::kInet;
    require(asked.type == LookupType::kAddresses || is_ipv4 == (asked.type == LookupType::kA));
    check(number_in(record.address), is_ipv4 ? RecordType::kA : RecordType::kAaaa);
  }
}

// Checks that a negative answer was given for each name of the lookup, and that any other error has a cause.
void ResolverWorld::check_error(const Asked& asked, Error error) const {
  if (is_negative_answer(error)) {
    for (const auto& name : asked.names) {
      for (const auto type : types_of(asked)) {
        require(denied_.contains({name, type}) || is_spoilt(asked));
      }
    }
    return;
  }
  require(error != Error::kCancelled && error != Error::kOverload && error != Error::kBadname);
  if (error == Error::kTimeout) {
    require(network_.now() >= asked.deadline);
  } else if (error != Error::kConnrefused) {
    require(causes_.test(static_cast<std::size_t>(error)) || is_spoilt(asked));
  }
}

// Called when the resolver has done everything that it can do by now.
void ResolverWorld::check_nobody_is_late() const {
  for (const auto& asked : asked_) {
    require(asked->has_ended || asked->deadline > network_.now());
  }
}

// Checks that each lookup was counted once.
void ResolverWorld::check_numbers() const {
  for (const auto& customer : customers_) {
    const auto& stats = customer.client->stats;
    auto ended = stats.answered() + stats.get(Counter::kAbandoned);
    for (const auto& info : kErrors) {
      ended += stats.failed(info.code);
    }
    require(ended == customer.taken + customer.refused);
  }
}

}  // namespace caravan::fuzz
