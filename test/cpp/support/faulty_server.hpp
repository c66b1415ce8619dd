#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "support/handlers.hpp"
#include "support/mock_dns_server.hpp"
#include "support/random_text.hpp"

namespace caravan::test {

// A server with faults that depend on a seed, and that a test changes while it runs. Its answers are right: each has
// the name as the target.
class FaultyServer {
 public:
  enum class Fault : std::uint8_t {
    kNone,
    kLossy,  // loses half of the questions and answers
    kSilent,
    kRefuses,
    kCloses,    // closes connections before it answers; is silent over UDP
    kRepeats,   // repeats answers, also to earlier questions
    kCuts,      // truncates messages anywhere
    kEchoes,    // sends the question before the answer
    kReorders,  // reorders answers, and so sends some late
    kCount,
  };

  explicit FaultyServer(std::uint32_t seed)
      : random_{seed}, server_{[this](MockDnsServer::Exchange& exchange) { handle(exchange); }} {}

  void set(Fault fault) noexcept { fault_.store(fault, std::memory_order_relaxed); }
  const Nameserver& nameserver() const noexcept { return server_.nameserver(); }

 private:
  static constexpr std::size_t kHeld = 4;

  static Bytes answer_to(const Query& query) {
    switch (query.type) {
      case RecordType::kA:
        return query.reply().a(query.name, 30, "10.0.0.1").build();
      case RecordType::kAaaa:
        return query.reply().aaaa(query.name, 30, "2001:db8::1").build();
      default:
        return srv_reply_to(query, query.name).build();
    }
  }

  void handle(MockDnsServer::Exchange& exchange) {
    const auto& query = exchange.query();
    auto answer = answer_to(query);
    switch (fault_.load(std::memory_order_relaxed)) {
      case Fault::kSilent:
        return;
      case Fault::kLossy:
        if (random_.below(2) == 0) {
          return;
        }
        break;
      case Fault::kRefuses:
        exchange.reply(query.reply().rcode(5));
        return;
      case Fault::kCloses:
        if (query.tcp) {
          exchange.close();
        }
        return;
      case Fault::kRepeats:
        exchange.reply(answer);
        if (!earlier_.empty()) {
          exchange.reply(earlier_);
        }
        break;
      case Fault::kCuts:
        answer.resize(random_.below(answer.size()));
        break;
      case Fault::kEchoes:
        exchange.reply(query.message);
        break;
      case Fault::kReorders:
        held_.push_back(std::move(answer));
        if (held_.size() < kHeld) {
          return;
        }
        std::swap(held_[random_.below(kHeld)], held_.back());
        answer = std::move(held_.back());
        held_.pop_back();
        break;
      case Fault::kNone:
      case Fault::kCount:
        break;
    }
    exchange.reply(answer);
    earlier_ = std::move(answer);
  }

  std::atomic<Fault> fault_{Fault::kNone};
  // Used by the server's thread only.
  RandomText random_;
  Bytes earlier_;
  std::vector<Bytes> held_;
  MockDnsServer server_;
};

}  // namespace caravan::test
