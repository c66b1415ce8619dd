#include "core/resolver/inquiry.hpp"

#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "catch.hpp"
#include "core/resolver/lookup_request.hpp"
#include "core/wire/dns_name.hpp"
#include "support/random_text.hpp"

namespace caravan {
namespace {

using List = std::shared_ptr<const Nameservers>;

List nameservers(const std::vector<const char*>& texts) {
  Nameservers list;
  for (const auto* text : texts) {
    list.push_back(parse_nameserver(text).value());
  }
  return std::make_shared<const Nameservers>(list);
}

Inquiry inquiry(std::string name, RecordType type = RecordType::kSrv, Transport transport = Transport::kUdp,
                List asked = nullptr) {
  return {{std::move(name), type}, transport, std::move(asked), nullptr};
}

// Equal inquiries must have equal hashes.
bool same(const Inquiry& a, const Inquiry& b) {
  const bool equal = SameInquiry{}(a, b);
  CHECK(SameInquiry{}(b, a) == equal);
  CHECK((!equal || InquiryHash{}(a) == InquiryHash{}(b)));
  return equal;
}

TEST_CASE("names that differ in case make equal inquiries") {
  CHECK(same(inquiry("App.Example"), inquiry("aPP.eXAMPLE")));
  CHECK(same(inquiry("_caravan._tcp.example"), inquiry("_CARAVAN._TCP.EXAMPLE")));
  CHECK(same(inquiry(""), inquiry("")));
  // These characters differ in the case bit, but are no letters.
  CHECK_FALSE(same(inquiry("app@"), inquiry("app`")));
  CHECK_FALSE(same(inquiry("app["), inquiry("app{")));
}

TEST_CASE("inquiries differ by question, transport and nameservers") {
  const std::vector<List> lists{nullptr,
                                nameservers({}),
                                nameservers({"10.0.0.1"}),
                                nameservers({"10.0.0.1", "10.0.0.2"}),
                                nameservers({"10.0.0.2", "10.0.0.1"}),
                                nameservers({"10.0.0.1:54"}),
                                nameservers({"::1"})};
  std::unordered_set<Inquiry, InquiryHash, SameInquiry> different;
  std::size_t count = 0;
  // A trailing dot disables the search list.
  for (const auto* name : {"app.example", "app.example.", "app", "ap.pexample", ""}) {
    for (const auto type : {RecordType::kSrv, RecordType::kA, RecordType::kAaaa}) {
      for (const auto transport : {Transport::kUdp, Transport::kTcp, Transport::kTcpFirst}) {
        for (const auto& asked : lists) {
          different.insert(inquiry(name, type, transport, asked));
          ++count;
        }
      }
    }
  }
  CHECK(different.size() == count);
}

TEST_CASE("equal lists of nameservers make equal inquiries") {
  CHECK(same(inquiry("app", RecordType::kSrv, Transport::kUdp, nameservers({"10.0.0.9", "::1"})),
             inquiry("app", RecordType::kSrv, Transport::kUdp, nameservers({"10.0.0.9", "::1"}))));
}

TEST_CASE("names make equal inquiries if they are the same name") {
  test::RandomText source{GENERATE(range(0U, 20U))};
  for (int round = 0; round < 200; ++round) {
    const auto a = source.text(4, "aAbB.");
    const auto b = source.text(4, "aAbB.");
    CAPTURE(test::in_hex(a), test::in_hex(b));
    CHECK(same(inquiry(a), inquiry(b)) == equal_names(a, b));
  }
}

TEST_CASE("names that differ little seldom have the same hash") {
  // A client may ask for the same name under a thousand prefixes.
  std::unordered_set<std::size_t> hashes;
  for (int i = 0; i < 10'000; ++i) {
    hashes.insert(InquiryHash{}(inquiry("app" + std::to_string(i) + ".example")));
  }
  CHECK(hashes.size() > 9'990);
}

TEST_CASE("by default nameservers of a system that uses TCP only are asked over TCP") {
  LookupRequest request{GENERATE(LookupType::kSrv, LookupType::kA), "app.example", {}, {}};
  const auto usual = std::make_shared<const SystemConfig>();
  SystemConfig over_tcp;
  over_tcp.use_vc = true;
  const auto use_vc = std::make_shared<const SystemConfig>(over_tcp);
  CHECK(inquiry_of(request, {}, use_vc).transport == Transport::kTcp);
  CHECK(inquiry_of(request, {}, usual).transport != Transport::kTcp);
  request.options.transport = Transport::kUdp;
  CHECK(inquiry_of(request, {}, use_vc).transport == Transport::kUdp);
  request.options = {nameservers({"10.0.0.1"}), {}, {}, {}};
  CHECK(inquiry_of(request, {}, use_vc).transport != Transport::kTcp);
}

TEST_CASE("inquiries under different configurations differ") {
  const auto inquiry_under = [](const std::shared_ptr<const SystemConfig>& system) {
    LookupRequest request{LookupType::kA, "app.example", {}, {}};
    return inquiry_of(request, {}, system);
  };
  const auto before = std::make_shared<const SystemConfig>();
  const auto since = std::make_shared<const SystemConfig>();
  CHECK(same(inquiry_under(before), inquiry_under(before)));
  CHECK_FALSE(same(inquiry_under(before), inquiry_under(since)));
}

}  // namespace
}  // namespace caravan
