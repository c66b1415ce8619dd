#include "core/system/hosts_file.hpp"

#include <string>
#include <string_view>

#include "catch.hpp"
#include "core/wire/dns_name.hpp"
#include "support/random_text.hpp"
#include "support/reply_text.hpp"

namespace caravan {
namespace {

using test::Lines;

HostsFile parse(std::string_view text) { return HostsFile{text}; }

Lines find(const HostsFile& hosts, std::string_view name) {
  Lines lines;
  for (const auto& address : hosts.find(name)) {
    lines.push_back(test::to_text(address));
  }
  return lines;
}

TEST_CASE("all names of a line have its address") {
  const auto hosts = parse("127.0.0.1 localhost\n10.0.0.1\tn1.example  n1\tdb\n");
  CHECK(find(hosts, "localhost") == Lines{"127.0.0.1"});
  CHECK(find(hosts, "n1.example") == Lines{"10.0.0.1"});
  CHECK(find(hosts, "n1") == Lines{"10.0.0.1"});
  CHECK(find(hosts, "db") == Lines{"10.0.0.1"});
  CHECK(find(hosts, "n2").empty());
  CHECK(find(hosts, "n1.exampl").empty());
  CHECK(find(hosts, "10.0.0.1").empty());
}

TEST_CASE("no file and an empty one have no names") {
  CHECK(find(HostsFile{}, "localhost").empty());
  CHECK(find(parse(""), "localhost").empty());
  CHECK(find(parse("\n\n"), "").empty());
}

TEST_CASE("text after a number sign is ignored") {
  const auto hosts = parse("# 10.0.0.9 whole\n10.0.0.1 n1 # n2\n10.0.0.3 n3#n4\n  #10.0.0.5 n5\n");
  CHECK(find(hosts, "n1") == Lines{"10.0.0.1"});
  CHECK(find(hosts, "n3") == Lines{"10.0.0.3"});
  for (const auto* name : {"whole", "n2", "n4", "#", "n5", "n3#n4"}) {
    CAPTURE(name);
    CHECK(find(hosts, name).empty());
  }
}

TEST_CASE("names are found in any case and with a trailing dot") {
  const auto hosts = parse("10.0.0.1 Node.Example dotted.example.\n");
  for (const auto* name : {"node.example", "NODE.EXAMPLE", "Node.Example.", "nOdE.example."}) {
    CAPTURE(name);
    CHECK(find(hosts, name) == Lines{"10.0.0.1"});
  }
  CHECK(find(hosts, "dotted.example") == Lines{"10.0.0.1"});
  CHECK(find(hosts, "dotted.example.") == Lines{"10.0.0.1"});
  CHECK(find(hosts, "dotted.example..").empty());
}

TEST_CASE("a name may have many addresses of both families in the order of the file") {
  const auto hosts = parse("10.0.0.2 db\n2001:db8::1 db\n10.0.0.1 other DB\n::1 localhost\n");
  CHECK(find(hosts, "db") == Lines{"10.0.0.2", "2001:db8::1", "10.0.0.1"});
  CHECK(find(hosts, "localhost") == Lines{"::1"});
}

TEST_CASE("a repeated address counts once") {
  const auto hosts = parse("10.0.0.1 db db\n10.0.0.2 db\n10.0.0.1 db\n2001:db8::1 db\n2001:DB8:0::1 db\n");
  CHECK(find(hosts, "db") == Lines{"10.0.0.1", "10.0.0.2", "2001:db8::1"});
}

TEST_CASE("lines without an address are passed over") {
  for (const auto* line : {"db", "db 10.0.0.1", "10.0.0 db", "10.0.0.256 db", "10.0.0.1:53 db", "[::1] db", "::g db",
                           "10.0.0.1", "\xFF\xFE db", "10.0.0.1,db", "nameserver 10.0.0.1 db"}) {
    CAPTURE(line);
    const auto hosts = parse(std::string{line} + "\n10.0.0.7 good\n");
    CHECK(find(hosts, "db").empty());
    CHECK(find(hosts, "10.0.0.1").empty());
    CHECK(find(hosts, "good") == Lines{"10.0.0.7"});
  }
}

TEST_CASE("lines may end as those of other systems and the last one need not end") {
  CHECK(find(parse("10.0.0.1 n1\r\n10.0.0.2 n2\r\n"), "n1") == Lines{"10.0.0.1"});
  CHECK(find(parse("10.0.0.1 n1\n10.0.0.2 n2"), "n2") == Lines{"10.0.0.2"});
  CHECK(find(parse(" \t 10.0.0.1 \t n1 \t \n"), "n1") == Lines{"10.0.0.1"});
}

TEST_CASE("valid lines around any text are read") {
  test::RandomText source{GENERATE(range(0U, 50U))};
  for (int round = 0; round < 20; ++round) {
    const auto garbage = source.text(300, "10.: ab#\n\t\r");
    INFO(test::in_hex(garbage));
    const auto hosts = parse("192.0.2.1 first\n" + garbage + "\n192.0.2.2 last\n");
    REQUIRE(find(hosts, "first") == Lines{"192.0.2.1"});
    REQUIRE(find(hosts, "last") == Lines{"192.0.2.2"});
  }
}

TEST_CASE("names longer than a DNS name are ignored") {
  const std::string longest(kMaxDnsNameText, 'n');
  const auto hosts = parse("10.0.0.1 " + longest + "n " + longest + " n1\n");
  CHECK(find(hosts, longest) == Lines{"10.0.0.1"});
  CHECK(find(hosts, longest + 'n').empty());
  CHECK(find(hosts, "n1") == Lines{"10.0.0.1"});
}

TEST_CASE("names are found in a file of many lines") {
  constexpr int lines = 20'000;
  std::string text;
  for (int i = 0; i < lines; ++i) {
    text += "10.0." + std::to_string(i / 250) + '.' + std::to_string(i % 250) + " n" + std::to_string(i) + " all\n";
  }
  const auto hosts = parse(text);
  for (const auto* name : {"n0", "n1", "n9999", "n19999"}) {
    CAPTURE(name);
    CHECK(hosts.find(name).size() == 1);
  }
  CHECK(find(hosts, "n19999") == Lines{"10.0.79.249"});
  CHECK(hosts.find("n20000").empty());
  CHECK(hosts.find("n").empty());
}

}  // namespace
}  // namespace caravan
