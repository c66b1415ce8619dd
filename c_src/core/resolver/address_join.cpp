#include "core/resolver/address_join.hpp"

#include <algorithm>
#include <optional>

namespace caravan {
namespace {

struct Join {
  explicit Join(Waiter waiter) noexcept : whole{std::move(waiter)} {}

  Waiter whole;
  std::optional<Reply> ipv4;
  std::optional<Reply> ipv6;
};

class Half final : public Receiver {
 public:
  Half(std::shared_ptr<Join> join, std::optional<Reply> Join::*part) noexcept : join_{std::move(join)}, part_{part} {}

  Interest interest() const noexcept override { return join_->whole.receiver->interest(); }

  Interest deliver(const Reply& reply) noexcept override {
    (*join_).*part_ = reply;
    if (join_->ipv4 && join_->ipv6) {
      join_->whole.finish(join_replies(*join_->ipv4, *join_->ipv6));
    }
    return Interest::kWaiting;
  }

 private:
  std::shared_ptr<Join> join_;
  std::optional<Reply> Join::*part_;
};

bool knows_all(const Reply& reply) noexcept { return reply.complete || (reply.error && !is_failure(reply)); }

std::optional<std::uint32_t> lesser(std::optional<std::uint32_t> a, std::optional<std::uint32_t> b) noexcept {
  return a && b ? std::min(*a, *b) : (a ? a : b);
}

}  // namespace

Reply join_replies(const Reply& ipv4, const Reply& ipv6) {
  if (ipv4.error && ipv6.error) {
    // "There is none" needs the word of both. A name with no address of one family exists.
    const auto& weightier = is_failure(ipv6) || (!is_failure(ipv4) && ipv6.error == Error::kNodata) ? ipv6 : ipv4;
    auto joined = failed_reply(*weightier.error);
    joined.ttl = is_failure(weightier) ? std::nullopt : lesser(ipv4.ttl, ipv6.ttl);
    return joined;
  }
  Reply joined;
  joined.complete = knows_all(ipv4) && knows_all(ipv6);
  for (const auto* part : {&ipv4, &ipv6}) {
    if (!part->error) {
      joined.addresses.insert(joined.addresses.end(), part->addresses.begin(), part->addresses.end());
      joined.ttl = lesser(joined.ttl, part->ttl);
    }
  }
  return joined;
}

std::pair<Waiter, Waiter> split_waiter(Waiter whole) {
  const auto deadline = whole.deadline;
  const auto timeout = whole.timeout;
  const auto join = std::make_shared<Join>(std::move(whole));
  return {Waiter{std::make_unique<Half>(join, &Join::ipv4), {}, deadline, timeout},
          Waiter{std::make_unique<Half>(join, &Join::ipv6), {}, deadline, timeout}};
}

}  // namespace caravan
