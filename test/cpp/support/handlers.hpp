#pragma once

#include "support/gate.hpp"
#include "support/mock_dns_server.hpp"

// Handlers that several tests share.
namespace caravan::test {

inline void say_nothing(MockDnsServer::Exchange&) {}

inline DnsBuilder srv_reply_to(const Query& query, const WireName& target) {
  return query.reply().srv(query.name, 30, 0, 0, 4370, target);
}

// Answers with one SRV record that has this target.
inline MockDnsServer::Handler answer_with(const char* target) {
  return [target](auto& exchange) { exchange.reply(srv_reply_to(exchange.query(), target)); };
}

// Does the same once the gate is open.
inline MockDnsServer::Handler answer_after(const Gate& gate, const char* target) {
  return [&gate, target](auto& exchange) {
    gate.pass();
    exchange.reply(srv_reply_to(exchange.query(), target));
  };
}

inline MockDnsServer::Handler fail_with(unsigned rcode) {
  return [rcode](auto& exchange) { exchange.reply(exchange.query().reply().rcode(rcode)); };
}

// Over UDP, answers with TC and part of the records. Over TCP, does what `over_tcp` does.
inline MockDnsServer::Handler truncate_over_udp(const char* target, MockDnsServer::Handler over_tcp) {
  return [target, over_tcp = std::move(over_tcp)](auto& exchange) {
    if (exchange.query().tcp) {
      over_tcp(exchange);
    } else {
      exchange.reply(srv_reply_to(exchange.query(), target).truncated());
    }
  };
}

}  // namespace caravan::test
