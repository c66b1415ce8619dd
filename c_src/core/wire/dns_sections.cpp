#include "core/wire/dns_sections.hpp"

#include <algorithm>
#include <array>

namespace caravan {
namespace {

constexpr std::uint16_t kTypeOpt = 41;

// The least size of a record: an owner of one octet, then type, class, TTL and data size.
constexpr std::size_t kLeastRecordBytes = 1 + 2 + 2 + 4 + 2;

constexpr unsigned kResponse = 0x8000;
constexpr unsigned kAuthoritative = 0x0400;
constexpr unsigned kTruncated = 0x0200;
constexpr unsigned kRecursionAvailable = 0x0080;
constexpr unsigned kRcode = 0x000F;

bool is_known(std::uint16_t type) noexcept {
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

class Parser {
 public:
  Parser(std::span<const std::uint8_t> message, std::string& text) : message_{message}, text_{text}, reader_{message} {}

  std::optional<DnsSections> parse() {
    reader_.skip(sizeof(std::uint16_t));  // the ID, which c-ares matches
    const unsigned flags = reader_.u16();
    std::array<std::uint16_t, 4> counts{};  // question, answer, authority, additional
    for (auto& count : counts) {
      count = reader_.u16();
    }
    if (reader_.failed() || (flags & kResponse) == 0 || counts[0] != 1 || !read_question()) {
      return std::nullopt;
    }
    sections_.authoritative = (flags & kAuthoritative) != 0;
    sections_.truncated = (flags & kTruncated) != 0;
    sections_.recursion_available = (flags & kRecursionAvailable) != 0;
    sections_.answers = read_records(counts[1], true);
    sections_.authority = read_records(counts[2], false);
    sections_.additional = read_records(counts[3], true);
    // A truncated message may end within a record. The records before it are valid.
    if (reader_.failed() && !sections_.truncated) {
      return std::nullopt;
    }
    sections_.rcode |= flags & kRcode;
    return std::move(sections_);
  }

 private:
  bool read_question() {
    // The owners of most records are compression pointers to the question.
    owner_pointer_ = static_cast<std::uint16_t>(reader_.position());
    owner_ = sections_.question = reader_.name(text_);
    sections_.question_type = reader_.u16();
    const auto question_class = reader_.u16();
    return !reader_.failed() && question_class == kClassIn;
  }

  std::vector<DnsRecord> read_records(std::uint16_t count, bool with_owners) {
    std::vector<DnsRecord> records;
    const auto most = std::min<std::size_t>(count, (message_.size() - reader_.position()) / kLeastRecordBytes);
    for (std::uint16_t i = 0; i < count; ++i) {
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
        // An OPT record has a size in place of the class, and the upper eight bits of the RCODE are the top of its TTL
        // (RFC 6891, section 6.1.3).
        sections_.rcode = ttl >> 24U << 4U;
      } else if (record_class == kClassIn && is_known(type)) {
        if (records.empty()) {
          records.reserve(most);
        }
        // A TTL with the top bit set counts as zero (RFC 2181, section 8).
        const std::uint32_t valid_ttl = ttl > 0x7FFFFFFFU ? 0 : ttl;
        records.push_back({with_owners ? read_owner(owner) : TextRef{}, static_cast<RecordType>(type), valid_ttl, data,
                           size, reader_.position() - owner});
      }
    }
    return records;
  }

  // Returns the owner at `position`. Nameservers compress the owners of an RRset to one pointer, so an owner that
  // equals the one before it is not read again.
  TextRef read_owner(std::size_t position) {
    DnsReader reader{message_, position};
    const auto pointer = reader.pointer();
    if (pointer && pointer == owner_pointer_) {
      return owner_;
    }
    if (text_.size() > kMaxNamesText) {
      sections_.broken = true;
      return {};
    }
    owner_ = reader.name(text_);
    owner_pointer_ = reader.failed() ? std::nullopt : pointer;
    sections_.broken = sections_.broken || reader.failed();
    return owner_;
  }

  std::span<const std::uint8_t> message_;
  std::string& text_;
  DnsReader reader_;
  DnsSections sections_;
  TextRef owner_;
  std::optional<std::uint16_t> owner_pointer_;
};

}  // namespace

std::optional<DnsSections> read_sections(std::span<const std::uint8_t> message, std::string& text) {
  return Parser{message, text}.parse();
}

}  // namespace caravan
