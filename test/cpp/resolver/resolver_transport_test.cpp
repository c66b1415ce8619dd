#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "core/resolver/pace.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/many_lookups.hpp"
#include "support/reply_text.hpp"

// From TCP to UDP if TCP does not work, and from UDP to TCP if the reply is truncated.
namespace caravan {
namespace {

using std::chrono::milliseconds;

using test::at;
using test::Lines;
using test::MockDnsServer;
using test::outcome;
using test::srv_lines;
using Exchange = MockDnsServer::Exchange;
using Listen = MockDnsServer::Listen;

const Question kQuestion{"app.example", RecordType::kSrv};

TEST_CASE("when TCP is refused the answer comes over UDP and does not claim to be complete") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example"), Listen::kUdp};
  const auto reply = client.ask(kQuestion, at(Transport::kTcpFirst, server));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 n1.example 30"});
  CHECK_FALSE(reply.complete);
  CHECK(server.transports() == Lines{"udp"});
}

TEST_CASE("an answer over TCP of the size at which Consul drops records is not complete") {
  test::LookupClient client;
  const auto with_records = [](int records) {
    return [records](auto& exchange) {
      auto reply = exchange.query().reply();
      for (int i = 0; i < records; ++i) {
        reply.srv(test::question_pointer(), 30, 0, 0, 4370, "n1.example");
      }
      exchange.reply(reply);
    };
  };
  MockDnsServer below{with_records(1023)};
  CHECK(client.ask(kQuestion, at(Transport::kTcpFirst, below)).complete);
  MockDnsServer at_limit{with_records(1024)};
  const auto reply = client.ask(kQuestion, at(Transport::kTcpFirst, at_limit));
  CHECK(reply.srv.size() == 1024);
  CHECK_FALSE(reply.complete);
}

// c-ares alone and inet_res repeat the question over TCP.
TEST_CASE("a reply over UDP above the advertised size counts as truncated") {
  const std::uint16_t edns_size = GENERATE(std::uint16_t{0}, std::uint16_t{1232});
  const int records = edns_size == 0 ? 20 : 100;
  MockDnsServer server{[records](auto& exchange) {
    auto reply = exchange.query().reply();
    for (int i = 0; i < records; ++i) {
      reply.srv(test::question_pointer(), 30, 0, 0, 4370, "n1.example");
    }
    exchange.reply(reply);
  }};
  auto options = test::once_at(server);
  options.edns_size = edns_size;
  options.transport = Transport::kUdp;
  test::LookupClient client{options};
  const auto reply = client.ask(LookupType::kSrv, "app.example");
  CHECK(outcome(reply) == "ok");
  CHECK(reply.srv.size() == static_cast<std::size_t>(records));
  CHECK(reply.complete);
  CHECK(server.transports() == Lines{"udp", "tcp"});
}

TEST_CASE("when TCP is accepted but silent the answer comes over UDP") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) {
    if (!exchange.query().tcp) {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kTcpFirst, milliseconds{2400}, server));
  CHECK(outcome(reply) == "ok");
  CHECK_FALSE(reply.complete);
  CHECK(server.transports() == Lines{"tcp", "udp"});
}

// Like a nameserver behind a firewall that accepts connections and drops what is sent over them.
TEST_CASE("silent TCP is not waited for again until it answers") {
  test::LookupClient client;
  std::atomic<bool> is_mended{false};
  MockDnsServer server{[&](auto& exchange) {
    if (!exchange.query().tcp || is_mended) {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  const auto lookup = at(Transport::kTcpFirst, milliseconds{20'000}, server);
  CHECK_FALSE(client.ask(kQuestion, lookup).complete);
  const auto asked = server.queries().size();
  SECTION("those that follow are answered over UDP") {
    for (int i = 0; i < 20; ++i) {
      const auto reply = client.ask(kQuestion, lookup);
      CHECK(outcome(reply) == "ok");
      CHECK_FALSE(reply.complete);
    }
    // One more question is the probe.
    client.settle();
    CHECK(server.queries().size() == asked + 21);
  }
  SECTION("an answer to a question that no caller waits for brings it back") {
    is_mended = true;
    bool is_complete = false;
    for (int i = 0; i < 1000 && !is_complete; ++i) {
      is_complete = client.ask(kQuestion, lookup).complete;
    }
    CHECK(is_complete);
  }
}

// Like a load balancer that has dropped an idle connection: only the first question of each connection is answered.
TEST_CASE("a connection that is silent after it was idle is replaced before UDP is asked") {
  test::LookupClient client;
  MockDnsServer server{[ports = std::set<std::uint16_t>{}](auto& exchange) mutable {
    if (!exchange.query().tcp || ports.insert(exchange.query().client_port).second) {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  const auto lookup = at(Transport::kTcpFirst, milliseconds{40'000}, server);
  CHECK(client.ask(kQuestion, lookup).complete);
  // The connection is a second old, so that it may be replaced.
  std::this_thread::sleep_for(milliseconds{1000});
  CHECK(client.ask(kQuestion, lookup).complete);
  CHECK(server.transports() == Lines{"tcp", "tcp", "tcp"});
}

// A proxy without a server accepts connections, and closes them after a while.
TEST_CASE("many questions are in flight over a connection to a distant nameserver") {
  constexpr int kQuestions = 64;
  std::vector<test::Query> open;
  MockDnsServer server{[&](auto& exchange) {
    if (exchange.query().name == "first.example") {
      std::this_thread::sleep_for(milliseconds{100});
      exchange.reply(test::srv_reply_to(exchange.query(), "first.example"));
      return;
    }
    open.push_back(exchange.query());
    if (open.size() == kQuestions) {
      for (const auto& query : open) {
        exchange.reply(test::srv_reply_to(query, query.name));
      }
    }
  }};
  test::LookupClient client;
  const auto options = at(Transport::kTcp, test::kHangGuard, server);
  CHECK(client.ask({"first.example", RecordType::kSrv}, options).complete);
  test::check_own_answers(test::start_many(client, kQuestions, options));
}

// Longer than the lookup waits for TCP, and than a connection without replies is kept.
TEST_CASE("a connection that was slow to answer is used again") {
  std::set<std::uint16_t> ports;
  MockDnsServer server{[&](auto& exchange) {
    const auto& query = exchange.query();
    if (query.tcp && ports.insert(query.client_port).second) {
      std::this_thread::sleep_for(milliseconds{1500});
    }
    exchange.reply(test::srv_reply_to(query, query.tcp ? "tcp.example" : "udp.example"));
  }};
  test::LookupClient client;
  const auto options = at(Transport::kTcpFirst, milliseconds{5000}, server);
  CHECK(client.ask(kQuestion, options).complete);
  CHECK(client.ask(kQuestion, options).complete);
  CHECK(ports.size() == 1);
}

TEST_CASE("connections that end without a reply count as silence") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) {
    if (exchange.query().tcp) {
      std::this_thread::sleep_for(pace::kMinRetry);
      exchange.close();
    } else {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  const auto lookup = at(Transport::kTcpFirst, server);
  std::vector<std::string> last;
  for (int i = 0; i < 100 && last != Lines{"udp"}; ++i) {
    const auto before = server.transports().size();
    CHECK(outcome(client.ask(kQuestion, lookup)) == "ok");
    last = server.transports();
    last.erase(last.begin(), last.begin() + static_cast<std::ptrdiff_t>(before));
  }
  CHECK(last == Lines{"udp"});
}

TEST_CASE("a truncated answer is given at once if TCP is silent") {
  test::LookupClient client;
  MockDnsServer server{test::truncate_over_udp("cut.example", test::say_nothing)};
  const auto lookup = at(Transport::kTcpFirst, milliseconds{20'000}, server);
  for (int i = 0; i < 3; ++i) {
    const auto reply = client.ask(kQuestion, lookup);
    CHECK(srv_lines(reply) == Lines{"0 0 4370 cut.example 30"});
    CHECK_FALSE(reply.complete);
  }
  const auto transports = server.transports();
  CHECK(std::count(transports.begin(), transports.end(), "udp") == 3);
}

TEST_CASE("an answer over UDP is held while one over TCP may come") {
  test::LookupClient client;
  std::optional<test::Query> over_tcp;
  MockDnsServer server{[&](auto& exchange) {
    if (exchange.query().tcp) {
      over_tcp = exchange.query();
      return;
    }
    exchange.reply(srv_reply_to(exchange.query(), "cut.example"));
    // By then the resolver has read it.
    client.settle();
    server.reply_over_tcp(srv_reply_to(over_tcp.value(), "n1.example"));
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kTcpFirst, milliseconds{40'000}, server));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 n1.example 30"});
  CHECK(reply.complete);
  CHECK(server.transports() == Lines{"tcp", "udp"});
}

TEST_CASE("an answer comes over UDP if the connection is closed without one") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) {
    if (exchange.query().tcp) {
      exchange.close();
    } else {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kTcpFirst, server));
  CHECK(outcome(reply) == "ok");
  CHECK_FALSE(reply.complete);
  CHECK(server.transports() == Lines{"tcp", "tcp", "udp"});
}

TEST_CASE("a connection that is closed once does not cost the complete answer") {
  test::LookupClient client;
  MockDnsServer server{[asked = 0](auto& exchange) mutable {
    if (++asked == 1) {
      exchange.close();
    } else {
      exchange.reply(srv_reply_to(exchange.query(), "n1.example"));
    }
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kTcpFirst, server));
  CHECK(outcome(reply) == "ok");
  CHECK(reply.complete);
  CHECK(server.transports() == Lines{"tcp", "tcp"});
}

TEST_CASE("a server without TCP refuses lookups over TCP only") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example"), Listen::kUdp};
  CHECK(outcome(client.ask(kQuestion, at(Transport::kTcp, server))) == "connrefused");
  CHECK(server.queries().empty());
}

TEST_CASE("a truncated answer is fetched over TCP from the same server") {
  test::LookupClient client;
  MockDnsServer first{test::truncate_over_udp("cut.example", test::answer_with("n1.example"))};
  MockDnsServer second{test::answer_with("n2.example")};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, first, second));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 n1.example 30"});
  CHECK(reply.complete);
  CHECK_FALSE(reply.truncated);
  CHECK(first.transports() == Lines{"udp", "tcp"});
  CHECK(second.queries().empty());
}

TEST_CASE("a truncated answer without any record is fetched over TCP too") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) {
    exchange.reply(exchange.query().tcp ? srv_reply_to(exchange.query(), "n1.example")
                                        : exchange.query().reply().truncated());
  }};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, server));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 n1.example 30"});
  CHECK(reply.complete);
}

TEST_CASE("a truncated answer is given if TCP is silent") {
  test::LookupClient client;
  const auto over_tcp = GENERATE(
      as<MockDnsServer::Handler>{}, test::say_nothing, [](Exchange& exchange) { exchange.close(); },
      test::fail_with(2));
  MockDnsServer server{test::truncate_over_udp("cut.example", over_tcp)};
  const auto reply = client.ask(kQuestion, at(Transport::kUdp, milliseconds{1500}, server));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 cut.example 30"});
  CHECK(reply.truncated);
  CHECK_FALSE(reply.complete);
}

TEST_CASE("a truncated answer is given if TCP is refused") {
  test::LookupClient client;
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcpFirst);
  MockDnsServer server{test::truncate_over_udp("cut.example", test::say_nothing), Listen::kUdp};
  const auto reply = client.ask(kQuestion, at(transport, server));
  CHECK(srv_lines(reply) == Lines{"0 0 4370 cut.example 30"});
  CHECK(reply.truncated);
  CHECK_FALSE(reply.complete);
}

TEST_CASE("a truncated answer without records is no answer if TCP is silent") {
  test::LookupClient client;
  MockDnsServer server{[](auto& exchange) { exchange.reply(exchange.query().reply().truncated()); }, Listen::kUdp};
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp, server))) == "connrefused");
}

TEST_CASE("an answer over TCP takes precedence over the truncated one") {
  test::LookupClient client;
  MockDnsServer server{test::truncate_over_udp("cut.example", test::fail_with(3))};
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp, server))) == "nxdomain");
}

#ifdef __linux__
TEST_CASE("a nameserver with a scope is asked through that interface") {
  std::optional<MockDnsServer> server;
  try {
    server.emplace(test::answer_with("n1.example"), MockDnsServer::Listen::kUdpAndTcp, "::1");
  } catch (const std::system_error& error) {
    WARN("this machine has no IPv6: " << error.what());
    return;
  }
  test::LookupClient client;
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp);
  const auto through = [&](std::string_view interface) {
    auto nameserver = server->nameserver();
    interface.copy(nameserver.scope.data(), interface.size());
    LookupOptions options{std::make_shared<const Nameservers>(Nameservers{nameserver}), transport, {}, {}};
    return test::outcome(client.ask(kQuestion, options));
  };
  CHECK(through("lo") == "ok");
  CHECK(through("1") == "ok");
  CHECK(through("no-such") == "connrefused");
}
#endif

}  // namespace
}  // namespace caravan
