#pragma once

#include <chrono>
#include <optional>

namespace caravan {

// Whether a nameserver supports EDNS (RFC 6891). One without support replies FORMERR (section 7); some, or middleboxes
// on the path to them, drop the question. The result expires, since a nameserver may be upgraded. One thread owns it.
class EdnsSupport {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // How long a nameserver without support is asked without EDNS.
  static constexpr std::chrono::minutes kMissing{10};
  // How many lookups must get an answer without EDNS after only silence with it, since each silence may be packet loss.
  // Also how many refusals it takes from a nameserver that has answered questions with EDNS, since each may be forged.
  static constexpr unsigned kMinEvidence = 3;

  bool is_missing(TimePoint now) const noexcept { return missing_until_ && now < *missing_until_; }
  // Returns whether a question with EDNS has been answered. Silence then has another cause.
  bool has_answered() const noexcept { return has_answered_; }

  // Records that a question with EDNS was answered.
  void on_answer() noexcept {
    has_answered_ = true;
    silences_ = 0;
    refusals_ = 0;
    missing_until_.reset();
  }
  // Records that a question without EDNS was answered after FORMERR to one with EDNS.
  void on_answer_after_refusal(TimePoint now) noexcept {
    if (!has_answered_ || ++refusals_ >= kMinEvidence) {
      missing_until_ = now + kMissing;
    }
  }
  // Records that a question without EDNS was answered after silence to those with EDNS.
  void on_answer_after_silence(TimePoint now) noexcept {
    if (!has_answered_ && ++silences_ >= kMinEvidence) {
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
