#pragma once

#include <chrono>
#include <optional>

namespace caravan {

// Whether a nameserver answers questions that carry EDNS (RFC 6891). One that does not know it says FORMERR (section
// 7), and some, or what lies on the way to them, say nothing. What was learnt holds for a while: it may be upgraded.
// Owned by one thread.
class EdnsSupport {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // For how long one that has none is asked without.
  static constexpr std::chrono::minutes kMissing{10};
  // How many lookups have to have an answer without EDNS after nothing but silence with it: each may have been bad
  // luck. So many refusals are needed of one that has answered questions with EDNS: each may be forged.
  static constexpr unsigned kSilences = 3;

  bool is_missing(TimePoint now) const noexcept { return missing_until_ && now < *missing_until_; }
  // Whether a question with EDNS has been answered: then silence has another reason.
  bool has_answered() const noexcept { return has_answered_; }

  // A question with EDNS has been answered.
  void on_answer() noexcept {
    has_answered_ = true;
    silences_ = 0;
    refusals_ = 0;
    missing_until_.reset();
  }
  // A question without has been answered, after FORMERR to one with EDNS.
  void on_answer_after_refusal(TimePoint now) noexcept {
    if (!has_answered_ || ++refusals_ >= kSilences) {
      missing_until_ = now + kMissing;
    }
  }
  // A question without has been answered, after silence to those with EDNS.
  void on_answer_after_silence(TimePoint now) noexcept {
    if (!has_answered_ && ++silences_ >= kSilences) {
      missing_until_ = now + kMissing;
    }
  }

 private:
  bool has_answered_ = false;
  unsigned silences_ = 0;
  unsigned refusals_ = 0;
  std::optional<TimePoint> missing_until_;
};

}  // namespace caravan
