#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "core/wire/dns_message.hpp"

namespace caravan {

// What the names of a search list say together when none of them has an answer. Owned by one thread.
class SearchVerdict {
 public:
  // A failure, or a negative answer.
  void add(Reply reply) {
    if (is_failure(reply)) {
      error_ = error_.value_or(*reply.error);
    } else if (!negative_) {
      negative_ = std::make_unique<Reply>(std::move(reply));
    } else {
      // A name that exists without such records says more than one that does not exist.
      if (reply.error == Error::kNodata) {
        negative_->error = reply.error;
      }
      // That there is none holds as long as the word on each name.
      negative_->ttl =
          negative_->ttl && reply.ttl ? std::optional{std::min(*negative_->ttl, *reply.ttl)} : std::nullopt;
    }
  }

  // At least one was added. "There is none" needs the word on every name.
  Reply take() { return error_ ? failed_reply(*error_) : std::move(*negative_); }

 private:
  // No optional: few lookups need it, and it is large.
  std::unique_ptr<Reply> negative_;
  std::optional<Error> error_;  // why the first name that could not be asked for could not
};

}  // namespace caravan
