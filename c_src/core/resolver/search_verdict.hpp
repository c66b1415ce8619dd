#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "core/wire/dns_message.hpp"

namespace caravan {

// Combines the results of the names of a search list when none of them has an answer. One thread owns it.
class SearchVerdict {
 public:
  // Adds a failure or a negative answer.
  void add(Reply reply) {
    if (is_failure(reply)) {
      error_ = error_.value_or(*reply.error);
    } else if (!negative_) {
      negative_ = std::make_unique<Reply>(std::move(reply));
    } else {
      // NODATA takes precedence over NXDOMAIN, because a name exists.
      if (reply.error == Error::kNodata) {
        negative_->error = reply.error;
      }
      // The combined answer expires with the first of its parts.
      negative_->ttl =
          negative_->ttl && reply.ttl ? std::optional{std::min(*negative_->ttl, *reply.ttl)} : std::nullopt;
    }
  }

  // Returns the result. At least one reply must have been added. It is a negative answer only if all names had one.
  Reply take() { return error_ ? failed_reply(*error_) : std::move(*negative_); }

 private:
  // A pointer, because few lookups need it and it is large.
  std::unique_ptr<Reply> negative_;
  std::optional<Error> error_;  // of the first name that could not be looked up
};

}  // namespace caravan
