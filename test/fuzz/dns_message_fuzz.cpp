#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/wire/dns_message.hpp"
#include "core/wire/dns_name.hpp"
#include "core/wire/dns_reader.hpp"
#include "support/entry.hpp"
#include "support/require.hpp"

// Decodes any bytes as the reply to the question in them, and checks the invariants of Reply.
namespace {

using caravan::Question;
using caravan::RecordType;
using caravan::Reply;
using caravan::TextRef;
using caravan::fuzz::require;

constexpr std::size_t kHeaderBytes = 12;
// A name takes at least one octet, the fixed fields of a record ten. SRV data take six octets and a target.
constexpr std::size_t kLeastSrvRecord = 1 + 10 + 6 + 1;
constexpr std::size_t kLeastAddressRecord = 1 + 10 + 4;
// A name of 255 octets in which every octet is escaped to four characters.
constexpr std::size_t kLongestNameText = 4 * caravan::kMaxDnsNameWire;
// Names are read from the question, and at most twice from each record.
constexpr std::size_t kLeastRecord = 1 + 10;

Question question_in(std::span<const std::uint8_t> message) {
  caravan::DnsReader reader{message, kHeaderBytes};
  Question question;
  reader.name(question.name);
  const auto type = static_cast<RecordType>(reader.u16());
  // The types that a caller can ask for.
  question.type = type == RecordType::kA || type == RecordType::kAaaa ? type : RecordType::kSrv;
  return question;
}

void check_text(const Reply& reply, TextRef ref) {
  require(ref.offset <= reply.text.size() && ref.size <= reply.text.size() - ref.offset);
  require(ref.size > 0 && ref.size <= kLongestNameText);
  const auto text = reply.view(ref);
  require(std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; }));
}

void check_records(const Reply& reply, const Question& question, std::size_t size) {
  const bool has_records = !reply.srv.empty() || !reply.addresses.empty();
  require(has_records != reply.error.has_value());
  require(!has_records || reply.ttl);
  require(reply.ttl.value_or(0) <= 0x7FFFFFFFU);
  require(!reply.complete);
  require(question.type == RecordType::kSrv ? reply.addresses.empty() : reply.srv.empty());
  require(reply.srv.size() * kLeastSrvRecord <= size);
  require(reply.addresses.size() * kLeastAddressRecord <= size);
  require(reply.text.size() <= (1 + 2 * (size / kLeastRecord)) * kLongestNameText);
  for (const auto& srv : reply.srv) {
    check_text(reply, srv.target);
    require(srv.ttl >= *reply.ttl && srv.ttl <= 0x7FFFFFFFU);
  }
  for (const auto& record : reply.addresses) {
    require(record.ttl >= *reply.ttl && record.ttl <= 0x7FFFFFFFU);
    require((record.address.family == caravan::Family::kInet) == (question.type == RecordType::kA));
  }
}

void check_glue(const Reply& reply, std::size_t size) {
  require(reply.glue.empty() || !reply.srv.empty());
  require(reply.glue.size() * kLeastAddressRecord <= size);
  for (std::size_t i = 0; i < reply.glue.size(); ++i) {
    const auto& glue = reply.glue[i];
    check_text(reply, glue.target);
    const auto target = reply.view(glue.target);
    if (i > 0) {
      require(!caravan::less_names(target, reply.view(reply.glue[i - 1].target)));
    }
    // Quadratic, so only for answers of a usual size.
    if (reply.srv.size() < 32 && reply.glue.size() < 32) {
      require(
          std::none_of(reply.glue.begin(), reply.glue.begin() + static_cast<std::ptrdiff_t>(i), [&](const auto& other) {
            return other.address == glue.address && caravan::equal_names(reply.view(other.target), target);
          }));
      require(std::any_of(reply.srv.begin(), reply.srv.end(),
                          [&](const auto& srv) { return caravan::equal_names(reply.view(srv.target), target); }));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> message{data, size};
  const auto question = question_in(message);
  const auto reply = caravan::decode_reply(message, question);
  check_records(reply, question, size);
  check_glue(reply, size);
  return 0;
}
