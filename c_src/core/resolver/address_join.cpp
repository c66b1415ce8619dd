#include "core/resolver/address_join.hpp"

#include <algorithm>
#include <optional>

#include "core/resolver/search_verdict.hpp"

namespace caravan {
namespace {

bool is_conclusive(const Reply& reply) noexcept { return reply.complete || (reply.error && !is_failure(reply)); }

std::optional<std::uint32_t> lesser(std::optional<std::uint32_t> a, std::optional<std::uint32_t> b) noexcept {
  return a && b ? std::min(*a, *b) : (a ? a : b);
}

}  // namespace

Reply join_replies(const Reply& ipv4, const Reply& ipv6) {
  if (ipv4.error && ipv6.error) {
    // A negative answer needs one for each family, so a failure of either wins. If one family has kNodata, the name
    // exists.
    const auto& weightier = is_failure(ipv6) || (!is_failure(ipv4) && ipv6.error == Error::kNodata) ? ipv6 : ipv4;
    auto joined = failed_reply(*weightier.error);
    joined.ttl = is_failure(weightier) ? std::nullopt : lesser(ipv4.ttl, ipv6.ttl);
    return joined;
  }
  Reply joined;
  joined.complete = is_conclusive(ipv4) && is_conclusive(ipv6);
  for (const auto* part : {&ipv4, &ipv6}) {
    if (!part->error) {
      joined.addresses.insert(joined.addresses.end(), part->addresses.begin(), part->addresses.end());
      joined.ttl = lesser(joined.ttl, part->ttl);
    }
  }
  return joined;
}

struct AddressJoins::Join {
  bool is_answered() const noexcept { return ipv4 && ipv6; }
  bool has_more_names() const noexcept { return name + 1 < names.size(); }
  // Frees the caller's place at once, even if other objects still refer to this join.
  void finish(const Reply& reply) noexcept { std::exchange(waiter, Waiter{}).finish(reply); }

  Waiter waiter;
  Inquiry inquiry;
  std::vector<std::string> names;
  std::size_t name = 0;  // the index of the name that is being looked up
  SearchVerdict verdict;
  std::optional<Reply> ipv4;
  std::optional<Reply> ipv6;
  LookupRef ipv4_lookup = kNoLookup;
  LookupRef ipv6_lookup = kNoLookup;
};

class AddressJoins::Half final : public Receiver {
 public:
  Half(AddressJoins& joins, JoinRef join, std::optional<Reply> Join::*part) noexcept
      : joins_{joins}, join_{std::move(join)}, part_{part}, name_{join_->name} {}

  Interest interest() const noexcept override {
    return is_waiting() ? join_->waiter.receiver->interest() : Interest::kGone;
  }

  Interest deliver(const Reply& reply, std::unique_ptr<Rendering>* /*shared*/) noexcept override {
    if (!is_waiting()) {
      return Interest::kGone;
    }
    (*join_).*part_ = reply;
    if (join_->is_answered()) {
      joins_.answered(join_);
    } else if (!reply.error || (reply.error == Error::kNxdomain && join_->has_more_names())) {
      // After NXDOMAIN, which holds for all record types, the other family must not use up the time for the next name.
      joins_.half_answered_.push_back({Waiter::Clock::now() + kGrace, join_, name_});
    }
    return Interest::kWaiting;
  }

 private:
  bool is_waiting() const noexcept { return join_->name == name_ && !join_->is_answered(); }

  AddressJoins& joins_;
  JoinRef join_;
  std::optional<Reply> Join::*part_;
  std::size_t name_;
};

AddressJoins::JoinRef AddressJoins::begin(Waiter waiter, Inquiry inquiry, std::vector<std::string> names) {
  auto join = std::make_shared<Join>();
  join->waiter = std::move(waiter);
  join->inquiry = std::move(inquiry);
  join->names = std::move(names);
  return join;
}

AddressJoins::JoinRef AddressJoins::take_unfinished() {
  if (unfinished_.empty()) {
    return nullptr;
  }
  auto join = std::move(unfinished_.front());
  unfinished_.pop_front();
  return join;
}

AddressJoins::Parts AddressJoins::split(const JoinRef& join) {
  const auto part = [&](RecordType type, std::optional<Reply> Join::*reply) {
    Part made{join->inquiry,
              {std::make_unique<Half>(*this, join, reply), {}, join->waiter.deadline, join->waiter.timeout}};
    made.inquiry.question = {join->names[join->name], type};
    return made;
  };
  return {part(RecordType::kA, &Join::ipv4), part(RecordType::kAaaa, &Join::ipv6)};
}

void AddressJoins::set_lookups(Join& join, LookupRef ipv4, LookupRef ipv6) noexcept {
  join.ipv4_lookup = ipv4;
  join.ipv6_lookup = ipv6;
}

const std::shared_ptr<Client>& AddressJoins::client_of(const Join& join) noexcept { return join.waiter.place.client(); }

// Continues a join that has replies for both families of a name.
void AddressJoins::answered(const JoinRef& join) {
  if (join->ipv4->error == Error::kClosed || join->ipv6->error == Error::kClosed) {
    join->finish(failed_reply(Error::kClosed));
    return;
  }
  auto reply = join_replies(*join->ipv4, *join->ipv6);
  if (!reply.error) {
    join->finish(reply);
    return;
  }
  join->verdict.add(std::move(reply));
  if (!join->has_more_names()) {
    join->finish(join->verdict.take());
    return;
  }
  // Names that do not exist prove nothing about the names that were not looked up, so this is no negative answer.
  if (join->waiter.deadline <= Waiter::Clock::now()) {
    join->finish(failed_reply(Error::kTimeout));
    return;
  }
  ++join->name;
  join->ipv4.reset();
  join->ipv6.reset();
  unfinished_.push_back(join);
}

void AddressJoins::close(Join& join) noexcept { join.finish(failed_reply(Error::kClosed)); }

std::optional<AddressJoins::TimePoint> AddressJoins::next_end() const noexcept {
  return half_answered_.empty() ? std::nullopt : std::optional{half_answered_.front().end};
}

std::vector<LookupRef> AddressJoins::end_late(TimePoint now) {
  std::vector<LookupRef> late;
  while (!half_answered_.empty() && half_answered_.front().end <= now) {
    const auto join = half_answered_.front().join.lock();
    const bool is_current = join && join->name == half_answered_.front().name;
    half_answered_.pop_front();
    if (is_current && !join->is_answered()) {
      const auto& known = join->ipv4 ? join->ipv4 : join->ipv6;
      auto& missing = join->ipv4 ? join->ipv6 : join->ipv4;
      late.push_back(join->ipv4 ? join->ipv6_lookup : join->ipv4_lookup);
      missing = known->error ? *known : failed_reply(Error::kTimeout);
      answered(join);
    }
  }
  return late;
}

}  // namespace caravan
