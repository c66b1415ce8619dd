#pragma once

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// Names that differ, since equal lookups would share a query.
namespace caravan::test {

inline Question numbered_question(int number) {
  return {"app" + std::to_string(number) + ".example", RecordType::kSrv};
}

// Answers with the name as the target.
inline void echo(MockDnsServer::Exchange& exchange) {
  exchange.reply(srv_reply_to(exchange.query(), exchange.query().name));
}

// Starts `count` lookups, each for another name.
inline std::vector<std::future<Answer>> start_many(LookupClient& client, int count, const LookupOptions& options) {
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < count; ++i) {
    answers.push_back(client.start(numbered_question(i), options));
  }
  return answers;
}

// Checks that each lookup has the answer that echo() gives to its name.
inline void check_own_answers(std::vector<std::future<Answer>> answers) {
  int number = 0;
  for (auto& answer : answers) {
    const auto name = numbered_question(number++).name;
    CAPTURE(name);
    const auto reply = await(std::move(answer)).value();
    REQUIRE(outcome(reply) == "ok");
    REQUIRE(srv_lines(reply) == Lines{"0 0 4370 " + name + " 30"});
  }
}

}  // namespace caravan::test
