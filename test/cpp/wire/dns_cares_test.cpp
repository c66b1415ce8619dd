#include <arpa/nameser.h>
#include <netdb.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "core/system/cares.hpp"
#include "core/wire/dns_name.hpp"
#include "core/wire/dns_sections.hpp"
#include "support/random_text.hpp"
#include "support/reply_text.hpp"

// Compares the decoder with that of c-ares, through the functions for single record types, which all versions have and
// which use ares_dns_parse() from 1.28 on. Both read the seeds of the fuzzer and mutants of them. They may differ only
// for the reasons that the test lists.
namespace caravan {
namespace {

using test::Bytes;
using test::Lines;

// Records as lines in an order of their own, names as octets in hexadecimal: each side writes them its own way.
struct Outcome {
  bool is_ok = false;
  Lines records;
};

// Parses the text form of RFC 1035, section 5.1.
std::string octets_of(std::string_view text) {
  std::string octets;
  while (!text.empty()) {
    std::size_t size = 1;
    char octet = text.front();
    if (octet == '\\' && text.size() > 1) {
      const bool is_number = text.size() > 3 && text[1] >= '0' && text[1] <= '9';
      size = is_number ? 4 : 2;
      octet = is_number ? static_cast<char>(std::stoi(std::string{text.substr(1, 3)})) : text[1];
      // A dot in a label must differ from a dot between labels.
      octets += octet == '.' ? "\\" : "";
    }
    octets += to_lower_ascii(octet);
    text.remove_prefix(size);
  }
  return test::in_hex(octets);
}

std::string srv_line(unsigned priority, unsigned weight, unsigned port, std::string_view target) {
  return std::to_string(priority) + ' ' + std::to_string(weight) + ' ' + std::to_string(port) + ' ' + octets_of(target);
}

std::string address_line(const void* address, std::size_t size) {
  return test::in_hex({static_cast<const char*>(address), size});
}

Outcome in_order(Outcome outcome) {
  std::sort(outcome.records.begin(), outcome.records.end());
  return outcome;
}

Outcome of(const Reply& reply) {
  Outcome outcome{!reply.error, {}};
  for (const auto& srv : reply.srv) {
    outcome.records.push_back(srv_line(srv.priority, srv.weight, srv.port, reply.view(srv.target)));
  }
  for (const auto& record : reply.addresses) {
    outcome.records.push_back(address_line(record.address.bytes.data(), record.address.size()));
  }
  return in_order(outcome);
}

Outcome srv_by_cares(const Bytes& message) {
  ares_srv_reply* first = nullptr;
  Outcome outcome;
  outcome.is_ok = ::ares_parse_srv_reply(message.data(), static_cast<int>(message.size()), &first) == ARES_SUCCESS;
  const std::unique_ptr<ares_srv_reply, AresFreeData> owned{first};
  for (const auto* srv = first; srv != nullptr; srv = srv->next) {
    outcome.records.push_back(srv_line(srv->priority, srv->weight, srv->port, srv->host));
  }
  outcome.is_ok = outcome.is_ok && !outcome.records.empty();
  return in_order(outcome);
}

template <typename Ttl, typename Parse>
Outcome addresses_by_cares(const Bytes& message, Parse parse) {
  std::vector<Ttl> records(512);
  int count = static_cast<int>(records.size());
  const auto status =
      parse(message.data(), static_cast<int>(message.size()), static_cast<hostent**>(nullptr), records.data(), &count);
  Outcome outcome{status == ARES_SUCCESS && count > 0, {}};
  for (int i = 0; outcome.is_ok && i < count; ++i) {
    const auto& record = records[static_cast<std::size_t>(i)];
    if constexpr (std::is_same_v<Ttl, ares_addrttl>) {
      outcome.records.push_back(address_line(&record.ipaddr, sizeof record.ipaddr));
    } else {
      outcome.records.push_back(address_line(&record.ip6addr, sizeof record.ip6addr));
    }
  }
  return in_order(outcome);
}

Outcome by_cares(const Bytes& message, RecordType type) {
  switch (type) {
    case RecordType::kA:
      return addresses_by_cares<ares_addrttl>(message, ::ares_parse_a_reply);
    case RecordType::kAaaa:
      return addresses_by_cares<ares_addr6ttl>(message, ::ares_parse_aaaa_reply);
    default:
      return srv_by_cares(message);
  }
}

bool includes(const Lines& all, const Lines& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

// Records that the decoder ignores.
struct PassedOver {
  bool any = false;           // of another class, type or owner than asked for, in any section
  bool broken_owner = false;  // one in the answer section whose owner cannot be read
};

PassedOver passed_over(const Bytes& message, const Question& question) {
  PassedOver found;
  DnsReader counts{message, 6};
  DnsReader records{message, 12};
  records.skip_name();
  records.skip(4);
  for (int section = 0; section < 3; ++section) {
    for (auto count = counts.u16(); count > 0 && !records.failed(); --count) {
      std::string name;
      DnsReader owner{message, records.position()};
      owner.name(name);
      found.broken_owner |= section == 0 && owner.failed();
      records.skip_name();
      const auto type = records.u16();
      const auto record_class = records.u16();
      found.any |= type != static_cast<std::uint16_t>(question.type) || record_class != kClassIn ||
                   !equal_names(name, question.name);
      records.skip(4);
      records.skip(records.u16());
    }
  }
  return found;
}

// The properties of a message that explain differences.
struct Facts {
  unsigned flags = 0;
  std::optional<DnsSections> sections;
  bool has_aliases = false;  // in the answer section, of any name
  PassedOver passed_over;
  bool has_other_answers = false;  // of the type asked for, with another owner than the question
};

Facts facts_of(const Bytes& message, const Question& question) {
  Facts facts;
  facts.flags = static_cast<unsigned>(message[2] << 8 | message[3]);
  facts.passed_over = passed_over(message, question);
  std::string text;
  facts.sections = read_sections(message, text);
  if (!facts.sections) {
    return facts;
  }
  for (const auto& record : facts.sections->answers) {
    const auto owner = std::string_view{text}.substr(record.owner.offset, record.owner.size);
    facts.has_aliases |= record.type == RecordType::kCname;
    facts.has_other_answers |= record.type == question.type && !equal_names(owner, question.name);
  }
  return facts;
}

// Finds an octet in the name at the end of a line, which has two digits for each octet.
bool has_nul(const std::string& line) {
  for (auto i = line.rfind(' ') + 1; i + 1 < line.size(); i += 2) {
    if (line.compare(i, 2, "00") == 0) {
      return true;
    }
  }
  return false;
}

bool reads_every_record() {
  int version = 0;
  ::ares_version(&version);
  return version >= 0x011C00;
}

// Returns why the two may differ, or nullopt if they may not.
std::optional<std::string> reason(const Reply& reply, const Outcome& ours, const Outcome& theirs, const Facts& facts) {
  constexpr unsigned response = 0x8000;
  constexpr unsigned opcode = 0x7800;
  constexpr unsigned truncated = 0x0200;
  if (ours.is_ok && theirs.is_ok) {
    if (facts.has_other_answers && includes(theirs.records, ours.records)) {
      return "c-ares takes records of the answer section whoever owns them";
    }
    if (!reply.srv.empty() && std::any_of(ours.records.begin(), ours.records.end(), has_nul)) {
      return "c-ares 1.18 leaves out a label that is one NUL";
    }
    return std::nullopt;
  }
  if (!ours.is_ok) {
    if ((facts.flags & response) == 0) {
      return "a question is no reply, which c-ares leaves to its caller";
    }
    if (!facts.sections) {
      return "c-ares reads no farther than the answer section, and does not check the class of the question";
    }
    if (facts.sections->rcode != 0) {
      return "an error code is the answer, which c-ares leaves to its caller";
    }
    if (reply.error == Error::kBadresp) {
      return "one record that cannot be read makes the reply one, which c-ares does not see or passes over";
    }
    if (facts.has_other_answers || facts.has_aliases) {
      return "the records are of another name";
    }
    if (std::all_of(theirs.records.begin(), theirs.records.end(),
                    [](const std::string& record) { return record.ends_with(' '); })) {
      return "the target is the root: there is no service";
    }
    return std::nullopt;
  }
  if ((facts.flags & truncated) != 0) {
    return "a reply that says that it is cut may end anywhere";
  }
  if ((facts.flags & opcode) != 0) {
    return "what is no query has been kept away by is_reply()";
  }
  if (facts.passed_over.any && reads_every_record()) {
    return "a record that nobody asks for, or of an unknown class, makes the whole reply unreadable to c-ares since "
           "1.28";
  }
  if (facts.passed_over.broken_owner) {
    return "the owner of a record that nobody asks for is not read";
  }
  if (facts.has_other_answers) {
    return "what another name's records say is not read";
  }
  if (facts.has_aliases) {
    return "aliases may stand in any order";
  }
  return std::nullopt;
}

std::vector<Bytes> seeds() {
  const auto folder = std::filesystem::path{__FILE__}.parent_path() / "../../fuzz/corpus/dns_message_fuzz";
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator{folder}) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> messages;
  for (const auto& path : paths) {
    std::ifstream file{path, std::ios::binary};
    messages.emplace_back(std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{});
  }
  return messages;
}

Question question_in(const Bytes& message) {
  DnsReader reader{message, 12};
  Question question;
  reader.name(question.name);
  const auto type = static_cast<RecordType>(reader.u16());
  question.type = type == RecordType::kA || type == RecordType::kAaaa ? type : RecordType::kSrv;
  return question;
}

// Changes some octets, and sometimes truncates the message.
Bytes mutant(const Bytes& seed, test::RandomText& random) {
  auto message = seed;
  for (auto changes = 1 + random.below(3); changes > 0; --changes) {
    auto& octet = message[random.below(message.size())];
    octet = random.below(2) == 0 ? static_cast<std::uint8_t>(random.below(256))
                                 : static_cast<std::uint8_t>(octet ^ 1U << random.below(8));
  }
  if (random.below(8) == 0) {
    message.resize(12 + random.below(message.size() - 11));
  }
  return message;
}

// Requires that both read the same or differ for a known reason. Returns the reason, "same" with records, or "none".
std::string compare(const Bytes& message) {
  const auto question = question_in(message);
  const auto reply = test::decode(message, question);
  const auto ours = of(reply);
  const auto theirs = by_cares(message, question.type);
  if (ours.is_ok == theirs.is_ok && (!ours.is_ok || ours.records == theirs.records)) {
    return ours.is_ok ? "same" : "none";
  }
  const auto why = reason(reply, ours, theirs, facts_of(message, question));
  CAPTURE(test::in_hex({reinterpret_cast<const char*>(message.data()), message.size()}));
  CAPTURE(test::outcome(reply), ours.records, theirs.is_ok, theirs.records, cares_versions().running);
  REQUIRE(why);
  return *why;
}

TEST_CASE("the decoder and that of c-ares read the seeds of the fuzzer alike or differ for a known reason") {
  for (const auto& seed : seeds()) {
    compare(seed);
  }
}

TEST_CASE("the decoder and that of c-ares read mutants of the seeds alike or differ for a known reason") {
  constexpr int mutants_of_each = 200;
  const auto seed = GENERATE(range(1U, 6U));
  CAPTURE(seed);
  test::RandomText random{seed};
  std::map<std::string, int> counts;
  for (const auto& message : seeds()) {
    for (int i = 0; i < mutants_of_each; ++i) {
      ++counts[compare(mutant(message, random))];
    }
  }
  // Some messages had records that both read.
  CHECK(counts["same"] > mutants_of_each);
  CHECK(counts["none"] > mutants_of_each);
}

}  // namespace
}  // namespace caravan
