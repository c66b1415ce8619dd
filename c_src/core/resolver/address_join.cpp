#include "core/resolver/address_join.hpp"

#include <algorithm>
#include <optional>

namespace caravan {
namespace {

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

struct AddressJoins::Join {
  explicit Join(Waiter waiter) noexcept : whole{std::move(waiter)} {}

  bool is_answered() const noexcept { return ipv4 && ipv6; }
  // The caller's place is free from here on, whoever still keeps this.
  void finish() noexcept { std::exchange(whole, Waiter{}).finish(join_replies(*ipv4, *ipv6)); }

  Waiter whole;
  std::optional<Reply> ipv4;
  std::optional<Reply> ipv6;
  LookupRef ipv4_lookup = kNoLookup;
  LookupRef ipv6_lookup = kNoLookup;
};

class AddressJoins::Half final : public Receiver {
 public:
  Half(AddressJoins& joins, std::shared_ptr<Join> join, std::optional<Reply> Join::*part) noexcept
      : joins_{joins}, join_{std::move(join)}, part_{part} {}

  Interest interest() const noexcept override {
    return join_->is_answered() ? Interest::kGone : join_->whole.receiver->interest();
  }

  Interest deliver(const Reply& reply) noexcept override {
    if (join_->is_answered()) {
      return Interest::kGone;
    }
    (*join_).*part_ = reply;
    if (join_->is_answered()) {
      join_->finish();
    } else if (!reply.error) {
      joins_.half_answered_.emplace_back(Waiter::Clock::now() + kGrace, join_);
    }
    return Interest::kWaiting;
  }

 private:
  AddressJoins& joins_;
  std::shared_ptr<Join> join_;
  std::optional<Reply> Join::*part_;
};

AddressJoins::Split AddressJoins::split(Waiter whole) {
  const auto deadline = whole.deadline;
  const auto timeout = whole.timeout;
  const auto join = std::make_shared<Join>(std::move(whole));
  return {Waiter{std::make_unique<Half>(*this, join, &Join::ipv4), {}, deadline, timeout},
          Waiter{std::make_unique<Half>(*this, join, &Join::ipv6), {}, deadline, timeout}, join};
}

void AddressJoins::set_lookups(Join& join, LookupRef ipv4, LookupRef ipv6) noexcept {
  join.ipv4_lookup = ipv4;
  join.ipv6_lookup = ipv6;
}

std::optional<AddressJoins::TimePoint> AddressJoins::next_end() const noexcept {
  return half_answered_.empty() ? std::nullopt : std::optional{half_answered_.front().first};
}

std::vector<LookupRef> AddressJoins::end_late(TimePoint now) {
  std::vector<LookupRef> late;
  while (!half_answered_.empty() && half_answered_.front().first <= now) {
    const auto join = half_answered_.front().second.lock();
    half_answered_.pop_front();
    if (join && !join->is_answered()) {
      late.push_back(join->ipv4 ? join->ipv6_lookup : join->ipv4_lookup);
      (join->ipv4 ? join->ipv6 : join->ipv4) = failed_reply(Error::kTimeout);
      join->finish();
    }
  }
  return late;
}

}  // namespace caravan
