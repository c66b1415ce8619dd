#pragma once

#include <bitset>
#include <cstddef>

#include "core/resolver/attempt_plan.hpp"
#include "core/resolver/edns_support.hpp"

namespace caravan {

// Which nameservers a lookup asks without EDNS, since they have refused it, or said nothing to two questions with it.
class EdnsTrials {
 public:
  using TimePoint = EdnsSupport::TimePoint;

  bool is_without(std::size_t server) const noexcept { return refused_[server] || silent_[server]; }

  // FORMERR to a question with EDNS (RFC 6891, section 7). Returns false if it was refused before.
  bool on_refusal(std::size_t server) noexcept {
    const bool is_first = !refused_[server];
    refused_.set(server);
    return is_first;
  }

  // No reply to a question with EDNS. Some nameservers, or what lies on the way to them, are silent then; one that has
  // ever answered it is silent for another reason. Returns true if from now on it is asked without.
  bool on_silence(std::size_t server, const EdnsSupport& support) noexcept {
    if (silent_[server] || support.has_answered()) {
      return false;
    }
    silent_[server] = timed_out_[server];
    timed_out_.set(server);
    return silent_[server];
  }

  // A reply that is not FORMERR says something of the nameserver.
  void on_reply(std::size_t server, bool had_edns, EdnsSupport& support, TimePoint now) const noexcept {
    if (had_edns) {
      support.on_answer();
    } else if (refused_[server]) {
      support.on_answer_after_refusal(now);
    } else if (silent_[server]) {
      support.on_answer_after_silence(now);
    }
  }

 private:
  std::bitset<kMaxNameservers> refused_;
  std::bitset<kMaxNameservers> silent_;
  std::bitset<kMaxNameservers> timed_out_;
};

}  // namespace caravan
