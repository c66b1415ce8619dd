#include "core/resolver/attempt_plan.hpp"

#include <algorithm>
#include <span>

namespace caravan {
namespace {

// How often a single nameserver is asked over TCP before UDP. The second attempt is for a nameserver that closed its
// connection just as the question was written (RFC 7766, section 6.2.4).
constexpr unsigned kTcpTries = 2;

// How much an error says about the cause. The error with the greatest weight is reported.
constexpr int weight(Error error) noexcept {
  switch (error) {
    case Error::kTimeout:
      return 0;
    case Error::kSystem:
    case Error::kOverload:
      return 1;
    case Error::kConnrefused:
      return 2;
    case Error::kBadresp:
      return 3;
    case Error::kFormerr:
      return 4;
    case Error::kNotimp:
      return 5;
    case Error::kRefused:
      return 6;
    default:
      return 7;
  }
}

constexpr bool is_final_word(Error error) noexcept {
  return error == Error::kServfail || error == Error::kRefused || error == Error::kNotimp;
}

}  // namespace

AttemptPlan::AttemptPlan(std::size_t servers, Transport transport, unsigned tries, std::size_t first) noexcept
    : servers_{std::clamp<std::size_t>(servers, 1, kMaxNameservers)},
      tries_{std::max(tries, 1U)},
      tcp_{transport != Transport::kUdp},
      fallback_{transport == Transport::kTcpFirst} {
  for (std::size_t i = 0; i < servers_; ++i) {
    order_[i] = static_cast<std::uint8_t>((first + i) % servers_);
  }
  start_stage(tcp_, fallback_ ? (servers_ == 1 ? kTcpTries : 1U) : tries_);
}

void AttemptPlan::put_last(std::uint8_t server) noexcept {
  const std::span order{order_.data(), servers_};
  const auto found = std::find(order.begin(), order.end(), server);
  if (found != order.end()) {
    std::rotate(found, found + 1, order.end());
  }
}

void AttemptPlan::start_stage(bool tcp, unsigned tries) noexcept {
  tcp_ = tcp;
  made_ = 0;
  limit_ = (only_server_ ? 1 : servers_) * tries;
}

std::size_t AttemptPlan::attempts_before_fallback() const noexcept { return fallback_ ? limit_ : 0; }

std::optional<Attempt> AttemptPlan::next() noexcept {
  while (true) {
    while (made_ < limit_) {
      const auto server = only_server_.value_or(order_[made_ % servers_]);
      ++made_;
      if (!given_up_[server]) {
        return Attempt{server, tcp_};
      }
    }
    if (!fallback_) {
      return std::nullopt;
    }
    fallback_ = false;
    start_stage(false, tries_);
  }
}

void AttemptPlan::fail(Attempt attempt, Error error) noexcept {
  if (weight(error) > weight(error_)) {
    error_ = error;
  }
  if (is_final_word(error)) {
    given_up_.set(attempt.server);
  }
}

void AttemptPlan::time_out(Attempt attempt) noexcept {
  if (fallback_ && attempt.tcp && made_ >= servers_) {
    limit_ = std::min(limit_, made_);
  }
}

void AttemptPlan::repeat(Attempt attempt) noexcept {
  if (attempt.tcp == tcp_) {
    ++limit_;
  }
}

void AttemptPlan::add_round() noexcept { limit_ = made_ + (only_server_ ? 1 : servers_); }

void AttemptPlan::truncated(Attempt attempt) noexcept {
  if (only_server_) {
    return;
  }
  only_server_ = attempt.server;
  given_up_.reset(attempt.server);
  fallback_ = false;
  start_stage(true, kTcpTries);
}

}  // namespace caravan
