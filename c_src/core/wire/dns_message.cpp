#include "core/wire/dns_message.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/wire/dns_name.hpp"
#include "core/wire/dns_reader.hpp"
#include "core/wire/dns_sections.hpp"

namespace caravan {
namespace {

// A longer chain of CNAME records is a loop or an attack.
constexpr int kMaxAliases = 16;

// Consul 1.8 drops SRV records beyond the 1,024th, and records that would make the message larger than 65,523 octets,
// without setting TC (trimTCPResponse in its agent/dns.go). With each SRV record it drops the address of its target, so
// a message that was cut may be smaller than the limit by both records. 65,000 leaves room for them.
constexpr std::size_t kMaxSrvRecords = 1024;
constexpr std::size_t kMaxOctets = 65000;

constexpr std::size_t kHeaderSize = 12;

std::optional<Error> rcode_error(unsigned rcode) noexcept {
  switch (rcode) {
    case 0:
      return std::nullopt;
    case 1:
      return Error::kFormerr;
    case 2:
      return Error::kServfail;
    case 3:
      return Error::kNxdomain;
    case 5:
      return Error::kRefused;
    default:
      return Error::kNotimp;
  }
}

class Decoder {
 public:
  Decoder(std::span<const std::uint8_t> message, const Question& question) : message_{message}, question_{question} {}

  Reply decode() {
    reply_.text.reserve(message_.size());
    const auto sections = read_sections(message_, reply_.text);
    if (!sections || !question_matches(*sections)) {
      return failed_reply(Error::kBadresp);
    }
    reply_.truncated = sections->truncated;
    reply_.error = rcode_error(sections->rcode);
    if (reply_.error && *reply_.error != Error::kNxdomain) {
      return failed_reply(*reply_.error);
    }
    if (!reply_.error) {
      take_answers(sections->answers);
    }
    if (broken_ || sections->broken) {
      return failed_reply(Error::kBadresp);
    }
    if (reply_.srv.empty() && reply_.addresses.empty()) {
      return negative_reply(*sections);
    }
    reply_.at_limit = is_at_limit(sections->answers);
    take_glue(sections->answers);
    take_glue(sections->additional);
    order_glue();
    return std::move(reply_);
  }

 private:
  std::string_view view(TextRef ref) const noexcept { return reply_.view(ref); }

  // c-ares matches the question too, but how strictly depends on its version.
  bool question_matches(const DnsSections& sections) const noexcept {
    return sections.question_type == static_cast<std::uint16_t>(question_.type) &&
           equal_names(view(sections.question), question_.name);
  }

  Reply negative_reply(const DnsSections& sections) {
    if (!reply_.error && !reply_.truncated && !is_nodata(sections)) {
      return failed_reply(Error::kRefused);
    }
    reply_.error = reply_.error.value_or(Error::kNodata);
    // A negative answer expires with the first of the aliases that lead to it.
    if (const auto ttl = negative_ttl(sections.authority)) {
      lower_ttl(*ttl);
    } else {
      reply_.ttl.reset();
    }
    return std::move(reply_);
  }

  // Returns whether a reply without records is NODATA (RFC 2308, section 2.2), as opposed to one of a nameserver that
  // does not know.
  bool is_nodata(const DnsSections& sections) const {
    if (has_root_target_) {
      return true;
    }
    // A nameserver that does not recurse returns the alias alone if the alias leads to a zone that it does not serve.
    if (!alias_.empty() && !sections.recursion_available && !has(sections.authority, RecordType::kSoa)) {
      return false;
    }
    return sections.authoritative || !is_referral(sections.authority);
  }

  bool is_at_limit(const std::vector<DnsRecord>& answers) const noexcept {
    std::size_t largest = 0;
    for (const auto& record : answers) {
      largest = std::max(largest, record.octets);
    }
    return reply_.srv.size() == kMaxSrvRecords || message_.size() + largest > kMaxOctets;
  }

  void lower_ttl(std::uint32_t ttl) noexcept { reply_.ttl = std::min(reply_.ttl.value_or(ttl), ttl); }

  // Follows the aliases from the question (RFC 1034, section 3.6.2), whatever their order in the message. Returns the
  // name at the end of the chain. The view is valid until the next call.
  std::string_view resolve_aliases(const std::vector<DnsRecord>& answers) {
    std::string_view name = question_.name;
    for (int hop = 0; hop <= kMaxAliases; ++hop) {
      const auto alias = std::find_if(answers.begin(), answers.end(), [&](const DnsRecord& record) {
        return record.type == RecordType::kCname && equal_names(view(record.owner), name);
      });
      if (alias == answers.end()) {
        return name;
      }
      lower_ttl(alias->ttl);
      DnsReader reader{message_, alias->data};
      std::string target;
      reader.name(target);
      if (reader.failed() || reader.position() != alias->data + alias->data_size) {
        broken_ = true;
        return name;
      }
      alias_ = std::move(target);
      name = alias_;
    }
    broken_ = true;
    return name;
  }

  // Compares names only once for each owner: in most messages all owners are compression pointers to the same name, and
  // read_sections() gives those the same TextRef.
  bool is_owned_by(const DnsRecord& record, std::string_view name) {
    const bool is_known = record.owner.size > 0 && record.owner.offset == owner_.offset;
    if (!is_known && equal_names(view(record.owner), name)) {
      owner_ = record.owner;
      return true;
    }
    return is_known;
  }

  void take_answers(const std::vector<DnsRecord>& answers) {
    const auto name = resolve_aliases(answers);
    reply_.srv.reserve(question_.type == RecordType::kSrv ? answers.size() : 0);
    for (const auto& record : answers) {
      if (record.type != question_.type || !is_owned_by(record, name)) {
        continue;
      }
      lower_ttl(record.ttl);
      if (record.type == RecordType::kSrv) {
        take_srv(record);
      } else if (const auto address = address_of(record)) {
        reply_.addresses.push_back({*address, record.ttl});
      } else {
        broken_ = true;
      }
    }
  }

  void take_srv(const DnsRecord& record) {
    DnsReader reader{message_, record.data};
    SrvRecord srv{};
    srv.priority = reader.u16();
    srv.weight = reader.u16();
    srv.port = reader.u16();
    srv.ttl = record.ttl;
    srv.target = reader.name(reply_.text);
    if (reader.failed() || reply_.text.size() > kMaxNamesText || reader.position() != record.data + record.data_size) {
      broken_ = true;
      return;
    }
    // A target of "." says that the service is not available at this domain (RFC 2782).
    if (srv.target.size > 0) {
      reply_.srv.push_back(srv);
    } else {
      has_root_target_ = true;
    }
  }

  std::optional<IpAddress> address_of(const DnsRecord& record) const {
    IpAddress address;
    address.family = record.type == RecordType::kA ? Family::kInet : Family::kInet6;
    if (record.data_size != address.size()) {
      return std::nullopt;
    }
    std::memcpy(address.bytes.data(), message_.subspan(record.data).data(), address.size());
    return address;
  }

  // Takes the addresses of this reply's targets only. Other address records do not belong to the answer, and could
  // poison it.
  void take_glue(const std::vector<DnsRecord>& records) {
    if (reply_.srv.empty()) {
      return;
    }
    for (const auto& record : records) {
      if (record.type != RecordType::kA && record.type != RecordType::kAaaa) {
        continue;
      }
      sort_targets();
      const auto target = std::lower_bound(targets_.begin(), targets_.end(), view(record.owner),
                                           [this](TextRef a, std::string_view b) { return less_names(view(a), b); });
      if (target == targets_.end() || !equal_names(view(*target), view(record.owner))) {
        continue;
      }
      if (const auto address = address_of(record)) {
        reply_.glue.push_back({*target, *address, record.ttl});
      }
    }
  }

  // Sorts the glue by target and removes duplicates: Consul sends the address of a host once for each instance on it.
  // Addresses of one target keep the order of the reply, because nameservers rotate it to spread load.
  void order_glue() {
    struct Placed {
      Glue glue;
      std::size_t place;
    };
    std::vector<Placed> placed;
    placed.reserve(reply_.glue.size());
    for (const auto& glue : reply_.glue) {
      placed.push_back({glue, placed.size()});
    }
    const auto sort_by = [&](auto key) {
      std::sort(placed.begin(), placed.end(), [&](const Placed& a, const Placed& b) {
        const auto x = view(a.glue.target);
        const auto y = view(b.glue.target);
        return less_names(x, y) || (key(a) < key(b) && !less_names(y, x));
      });
    };
    sort_by([](const Placed& p) { return std::pair{p.glue.address, p.place}; });
    const auto duplicates = std::unique(placed.begin(), placed.end(), [this](const Placed& a, const Placed& b) {
      return a.glue.address == b.glue.address && equal_names(view(a.glue.target), view(b.glue.target));
    });
    placed.erase(duplicates, placed.end());
    sort_by([](const Placed& p) { return p.place; });
    reply_.glue.clear();
    for (const auto& p : placed) {
      reply_.glue.push_back(p.glue);
    }
  }

  void sort_targets() {
    if (!targets_.empty()) {
      return;
    }
    targets_.reserve(reply_.srv.size());
    for (const auto& srv : reply_.srv) {
      targets_.push_back(srv.target);
    }
    std::sort(targets_.begin(), targets_.end(), [this](TextRef a, TextRef b) { return less_names(view(a), view(b)); });
  }

  // Returns whether the nameserver only refers to other nameservers (RFC 2308, section 2.2). A server that does so does
  // not recurse, or not for this client.
  static bool is_referral(const std::vector<DnsRecord>& authority) {
    return has(authority, RecordType::kNs) && !has(authority, RecordType::kSoa);
  }

  static bool has(const std::vector<DnsRecord>& records, RecordType type) {
    return std::any_of(records.begin(), records.end(), [type](const DnsRecord& r) { return r.type == type; });
  }

  // Returns the lesser of the SOA record's TTL and its MINIMUM field, which ends its data (RFC 2308, section 5).
  // Returns nullopt if there is no SOA record.
  std::optional<std::uint32_t> negative_ttl(const std::vector<DnsRecord>& authority) const {
    const auto soa = std::find_if(authority.begin(), authority.end(),
                                  [](const DnsRecord& record) { return record.type == RecordType::kSoa; });
    if (soa == authority.end() || soa->data_size < sizeof(std::uint32_t)) {
      return std::nullopt;
    }
    DnsReader reader{message_, soa->data + soa->data_size - sizeof(std::uint32_t)};
    return std::min(soa->ttl, reader.u32());
  }

  std::span<const std::uint8_t> message_;
  const Question& question_;
  Reply reply_;
  std::vector<TextRef> targets_;
  TextRef owner_;      // the last owner that matched the name at the end of the aliases; empty if no owner has
  std::string alias_;  // the target of the last CNAME record that was followed
  bool has_root_target_ = false;
  bool broken_ = false;
};

}  // namespace

Reply failed_reply(Error error) {
  Reply reply;
  reply.error = error;
  return reply;
}

bool is_reply(std::span<const std::uint8_t> message) noexcept {
  if (message.size() < kHeaderSize) {
    return false;
  }
  const bool is_response = (message[2] & 0x80U) != 0;
  const bool is_query_opcode = (message[2] & 0x78U) == 0;
  const auto questions = message[4] << 8 | message[5];
  return is_response && is_query_opcode && questions == 1;
}

bool asks(std::span<const std::uint8_t> message, const Question& question) {
  std::string text;
  DnsReader reader{message, kHeaderSize};
  reader.name(text);
  const auto type = reader.u16();
  return !reader.failed() && type == static_cast<std::uint16_t>(question.type) && equal_names(text, question.name);
}

Reply decode_reply(std::span<const std::uint8_t> message, const Question& question) {
  return Decoder{message, question}.decode();
}

}  // namespace caravan
