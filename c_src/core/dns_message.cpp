#include "core/dns_message.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/dns_name.hpp"
#include "core/dns_reader.hpp"

namespace caravan {
namespace {

constexpr std::uint16_t kClassIn = 1;
constexpr std::uint16_t kTypeOpt = 41;
constexpr std::size_t kHeaderBytes = 12;
// A longer chain of aliases is a loop or an attack; BIND and Unbound stop there as well.
constexpr int kMaxAliases = 16;

struct Header {
  std::uint16_t flags;
  std::array<std::uint16_t, 4> counts;  // question, answer, authority, additional

  bool is_response() const noexcept { return (flags & 0x8000U) != 0; }
  bool authoritative() const noexcept { return (flags & 0x0400U) != 0; }
  bool truncated() const noexcept { return (flags & 0x0200U) != 0; }
  unsigned rcode() const noexcept { return flags & 0x000FU; }
};

struct Record {
  TextRef owner;
  RecordType type;
  std::uint32_t ttl;
  std::size_t data;
  std::size_t data_size;
};

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

bool is_wanted(std::uint16_t type) noexcept {
  switch (static_cast<RecordType>(type)) {
    case RecordType::kA:
    case RecordType::kNs:
    case RecordType::kCname:
    case RecordType::kSoa:
    case RecordType::kAaaa:
    case RecordType::kSrv:
      return true;
  }
  return false;
}

class Decoder {
 public:
  Decoder(std::span<const std::uint8_t> message, const Question& question)
      : message_{message}, question_{question}, reader_{message} {}

  Reply decode() {
    const auto header = read_header();
    if (reader_.failed() || !header.is_response() || !question_matches(header)) {
      return failed_reply(Error::kBadresp);
    }
    const auto answers = read_section(header.counts[1]);
    const auto authority = read_section(header.counts[2]);
    const auto additional = read_section(header.counts[3]);
    // A truncated message may end anywhere: what was read before counts.
    if (reader_.failed() && !header.truncated()) {
      return failed_reply(Error::kBadresp);
    }
    reply_.truncated = header.truncated();
    reply_.error = rcode_error(extended_rcode_ << 4U | header.rcode());
    if (reply_.error && *reply_.error != Error::kNxdomain) {
      return failed_reply(*reply_.error);
    }
    if (!reply_.error) {
      take_answers(answers);
    }
    if (broken_) {
      return failed_reply(Error::kBadresp);
    }
    if (reply_.srv.empty() && reply_.addresses.empty()) {
      if (!reply_.error && !header.authoritative() && is_referral(authority)) {
        return failed_reply(Error::kRefused);
      }
      reply_.error = reply_.error.value_or(Error::kNodata);
      reply_.ttl = negative_ttl(authority);
      return std::move(reply_);
    }
    take_glue(answers);
    take_glue(additional);
    order_glue();
    return std::move(reply_);
  }

 private:
  std::string_view view(TextRef ref) const noexcept { return reply_.view(ref); }

  Header read_header() noexcept {
    reader_.skip(2);
    Header header{};
    header.flags = reader_.u16();
    for (auto& count : header.counts) {
      count = reader_.u16();
    }
    return header;
  }

  // c-ares has matched the question already; we do not depend on its version for it.
  bool question_matches(const Header& header) {
    if (header.counts[0] != 1) {
      return false;
    }
    const auto name = reader_.name(reply_.text);
    const auto type = reader_.u16();
    const auto record_class = reader_.u16();
    return !reader_.failed() && type == static_cast<std::uint16_t>(question_.type) && record_class == kClassIn &&
           equal_names(view(name), question_.name);
  }

  std::vector<Record> read_section(std::uint16_t count) {
    std::vector<Record> records;
    for (std::uint16_t i = 0; i < count && !reader_.failed(); ++i) {
      const auto owner = reader_.position();
      reader_.skip_name();
      const auto type = reader_.u16();
      const auto record_class = reader_.u16();
      const auto ttl = reader_.u32();
      const std::size_t size = reader_.u16();
      const auto data = reader_.position();
      reader_.skip(size);
      if (reader_.failed()) {
        break;
      }
      if (type == kTypeOpt) {
        // RFC 6891, section 6.1.3: the class is a size, and the TTL begins with the upper eight bits of the RCODE.
        extended_rcode_ = ttl >> 24U;
      }
      if (record_class != kClassIn || !is_wanted(type)) {
        continue;
      }
      DnsReader owner_reader{message_, owner};
      const auto name = owner_reader.name(reply_.text);
      broken_ = broken_ || owner_reader.failed();
      // RFC 2181, section 8: a TTL with the top bit set counts as zero.
      const std::uint32_t valid_ttl = ttl > 0x7FFFFFFFU ? 0 : ttl;
      records.push_back({name, static_cast<RecordType>(type), valid_ttl, data, size});
    }
    return records;
  }

  void lower_ttl(std::uint32_t ttl) noexcept { reply_.ttl = std::min(reply_.ttl.value_or(ttl), ttl); }

  // Follows the aliases from the question (RFC 1034, section 3.6.2), in whatever order the server sent them.
  std::string_view resolve_aliases(const std::vector<Record>& answers) {
    std::string_view name = question_.name;
    for (int hop = 0; hop <= kMaxAliases; ++hop) {
      const auto alias = std::find_if(answers.begin(), answers.end(), [&](const Record& record) {
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

  void take_answers(const std::vector<Record>& answers) {
    const auto name = resolve_aliases(answers);
    for (const auto& record : answers) {
      if (record.type != question_.type || !equal_names(view(record.owner), name)) {
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

  void take_srv(const Record& record) {
    DnsReader reader{message_, record.data};
    SrvRecord srv{};
    srv.priority = reader.u16();
    srv.weight = reader.u16();
    srv.port = reader.u16();
    srv.ttl = record.ttl;
    srv.target = reader.name(reply_.text);
    if (reader.failed() || reader.position() != record.data + record.data_size) {
      broken_ = true;
      return;
    }
    // RFC 2782: a target of "." means that the service is decidedly not available here.
    if (srv.target.size > 0) {
      reply_.srv.push_back(srv);
    }
  }

  std::optional<IpAddress> address_of(const Record& record) const {
    IpAddress address;
    address.family = record.type == RecordType::kA ? Family::kInet : Family::kInet6;
    if (record.data_size != address.size()) {
      return std::nullopt;
    }
    std::memcpy(address.bytes.data(), message_.subspan(record.data).data(), address.size());
    return address;
  }

  // Only addresses of targets in this very answer: anything else is a record that nobody asked for.
  void take_glue(const std::vector<Record>& records) {
    if (reply_.srv.empty()) {
      return;
    }
    sort_targets();
    for (const auto& record : records) {
      if (record.type != RecordType::kA && record.type != RecordType::kAaaa) {
        continue;
      }
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

  // Consul sends the address of a host once for every instance on it.
  void order_glue() {
    auto& glue = reply_.glue;
    std::sort(glue.begin(), glue.end(), [this](const Glue& a, const Glue& b) {
      const auto x = view(a.target);
      const auto y = view(b.target);
      return less_names(x, y) || (a.address < b.address && !less_names(y, x));
    });
    const auto duplicates = std::unique(glue.begin(), glue.end(), [this](const Glue& a, const Glue& b) {
      return a.address == b.address && equal_names(view(a.target), view(b.target));
    });
    glue.erase(duplicates, glue.end());
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

  // RFC 2308, section 2.2: the nameserver names others and says nothing about the name. It does not recurse, or not for
  // us.
  static bool is_referral(const std::vector<Record>& authority) {
    const auto has = [&](RecordType type) {
      return std::any_of(authority.begin(), authority.end(), [type](const Record& r) { return r.type == type; });
    };
    return has(RecordType::kNs) && !has(RecordType::kSoa);
  }

  // RFC 2308, section 5: the lesser of the SOA's own TTL and its MINIMUM field, its last one.
  std::optional<std::uint32_t> negative_ttl(const std::vector<Record>& authority) const {
    const auto soa = std::find_if(authority.begin(), authority.end(),
                                  [](const Record& record) { return record.type == RecordType::kSoa; });
    if (soa == authority.end() || soa->data_size < sizeof(std::uint32_t)) {
      return std::nullopt;
    }
    DnsReader reader{message_, soa->data + soa->data_size - sizeof(std::uint32_t)};
    return std::min(soa->ttl, reader.u32());
  }

  std::span<const std::uint8_t> message_;
  const Question& question_;
  DnsReader reader_;
  Reply reply_;
  std::vector<TextRef> targets_;
  std::string alias_;
  unsigned extended_rcode_ = 0;
  bool broken_ = false;
};

}  // namespace

Reply failed_reply(Error error) {
  Reply reply;
  reply.error = error;
  return reply;
}

Reply decode_reply(std::span<const std::uint8_t> message, const Question& question) {
  if (message.size() < kHeaderBytes) {
    return failed_reply(Error::kBadresp);
  }
  return Decoder{message, question}.decode();
}

}  // namespace caravan
