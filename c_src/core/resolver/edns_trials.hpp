#pragma once

#include <bitset>
#include <cstddef>

#include "core/resolver/attempt_plan.hpp"
#include "core/resolver/edns_support.hpp"

namespace caravan {

// The nameservers that one lookup asks without EDNS, because they have refused a question with EDNS or were silent to
// two.
class EdnsTrials {
 public:
  using TimePoint = EdnsSupport::TimePoint;

  bool is_without(std::size_t server) const noexcept { return refused_[server] || silent_[server]; }

  // Records FORMERR to a question with EDNS (RFC 6891, section 7). Returns false if the nameserver has refused one
  // before.
  bool on_refusal(std::size_t server) noexcept {
    const bool is_first = !refused_[server];
    refused_.set(server);
    return is_first;
  }

  // Records that a question with EDNS had no reply. Ignores it if the nameserver has ever answered a question with
  // EDNS. Returns true if the nameserver is asked without EDNS from now on.
  bool on_silence(std::size_t server, const EdnsSupport& support) noexcept {
    if (silent_[server] || support.has_answered()) {
      return false;
    }
    silent_[server] = timed_out_[server];
    timed_out_.set(server);
    return silent_[server];
  }

  // Updates `support` by a reply that is not FORMERR.
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
