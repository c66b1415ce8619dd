#include "core/resolver/datagrams.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>

#include "core/resolver/socket_functions.hpp"
#include "core/wire/dns_name.hpp"

namespace caravan {
namespace {

constexpr std::size_t kMaxSize = 65535;
// The limit of datagrams in one call of read(). Datagrams that are no replies are dropped, and an attacker must not
// keep the loop busy with them.
constexpr int kReadAtOnce = 64;

constexpr std::size_t kHeaderSize = RecentQuestions::kHeaderSize;
constexpr std::uint8_t kResponse = 0x80;   // in the third octet of the header
constexpr std::uint8_t kTruncated = 0x02;  // in the third octet of the header
constexpr std::size_t kAnswerCount = 6;
constexpr std::size_t kAdditionalCount = 11;  // the low octet of ARCOUNT
constexpr std::size_t kQuestionCount = 5;     // the low octet of QDCOUNT
constexpr std::uint8_t kRcode = 0x0F;         // in the fourth octet of the header
constexpr std::uint8_t kFormatError = 1;
constexpr std::size_t kMaxQuestionSize = RecentQuestions::kMaxSize;
constexpr std::size_t kOptRecordSize = 11;

}  // namespace

void Datagrams::attach(ares_channel channel) noexcept {
  static constexpr ares_socket_functions functions{
      .asocket = socket_functions::open,
      .aclose = [](ares_socket_t fd, void* /*datagrams*/) { return ::close(fd); },
      .aconnect =
          [](ares_socket_t fd, const sockaddr* address, ares_socklen_t size, void* datagrams) {
            return socket_functions::connect(fd, address, size, static_cast<const Datagrams*>(datagrams)->scope());
          },
      .arecvfrom = [](ares_socket_t fd, void* to, std::size_t size, int /*flags*/, sockaddr* from,
                      ares_socklen_t* from_size, void* datagrams) -> ares_ssize_t {
        return static_cast<Datagrams*>(datagrams)->read(fd, {static_cast<std::uint8_t*>(to), size}, from, from_size);
      },
      .asendv = [](ares_socket_t fd, const iovec* parts, int count, void* datagrams) -> ares_ssize_t {
        return static_cast<Datagrams*>(datagrams)->send(fd, parts, count);
      },
  };
  ::ares_set_socket_functions(channel, &functions, this);
}

// Sends a question, to which c-ares adds no additional records. Appends the OPT record and mixes the case.
ssize_t Datagrams::send(int fd, const iovec* parts, int count) noexcept {
  std::array<std::uint8_t, kMaxQuestionSize + kOptRecordSize> question{};
  std::size_t size = 0;
  for (const auto& part : std::span{parts, static_cast<std::size_t>(count)}) {
    const std::span octets{static_cast<const std::uint8_t*>(part.iov_base), part.iov_len};
    if (size + octets.size() > kMaxQuestionSize) {
      return socket_functions::send(fd, parts, count, nullptr);
    }
    std::copy(octets.begin(), octets.end(), std::span{question}.subspan(size).begin());
    size += octets.size();
  }
  if (size < kHeaderSize) {
    return socket_functions::send(fd, parts, count, nullptr);
  }
  sent_.remember(std::span{question}.first(size));
  if (mixed_case_) {
    mixed_case_->mix(std::span{question}.first(size));
  }
  iovec whole{question.data(), size};
  if (edns_size_ > 0) {
    question[kAdditionalCount] = 1;
    // The root name, the type OPT, the UDP size, no flags and no options (RFC 6891, section 6.1.2).
    const std::array<std::uint8_t, kOptRecordSize> opt{0, 0, 41, static_cast<std::uint8_t>(edns_size_ >> 8),
                                                       static_cast<std::uint8_t>(edns_size_ & 0xFF)};
    std::copy(opt.begin(), opt.end(), std::span{question}.subspan(size).begin());
    whole.iov_len += opt.size();
  }
  const auto sent = socket_functions::send(fd, &whole, 1, nullptr);
  return sent < 0 ? sent : static_cast<ssize_t>(size);
}

ssize_t Datagrams::read(int fd, std::span<std::uint8_t> to, sockaddr* from, socklen_t* from_size) noexcept try {
  last_ = {};
  if (!buffer_) {
    buffer_ = std::make_unique_for_overwrite<std::uint8_t[]>(kMaxSize);  // NOLINT(modernize-avoid-c-arrays)
  }
  const auto room = from_size == nullptr ? socklen_t{0} : *from_size;
  for (int count = 0; count < kReadAtOnce; ++count) {
    if (from_size != nullptr) {
      *from_size = room;
    }
    const auto received = ::recvfrom(fd, buffer_.get(), kMaxSize, 0, from, from_size);
    if (received < 0) {
      return received;
    }
    const auto datagram = checked(with_question({buffer_.get(), static_cast<std::size_t>(received)}));
    if (!datagram.empty()) {
      last_ = datagram;
      const auto size = std::min(to.size(), datagram.size());
      std::copy_n(datagram.begin(), size, to.begin());
      return static_cast<ssize_t>(size);
    }
  }
  errno = EAGAIN;
  return -1;
} catch (const std::exception&) {
  errno = ENOMEM;
  return -1;
}

// A nameserver that cannot parse a question may reply with a header alone (RFC 1035, section 4.1.1; RFC 6891, section
// 7).
std::span<std::uint8_t> Datagrams::with_question(std::span<std::uint8_t> reply) noexcept {
  const bool is_bare =
      reply.size() == kHeaderSize && (reply[2] & kResponse) != 0 && (reply[3] & kRcode) == kFormatError;
  const auto question =
      is_bare ? sent_.find(static_cast<std::uint16_t>(reply[0] << 8 | reply[1])) : std::span<const std::uint8_t>{};
  if (question.empty()) {
    return reply;
  }
  std::fill(reply.begin() + kAnswerCount - 2, reply.end(), std::uint8_t{0});
  reply[kQuestionCount] = 1;
  std::copy(question.begin() + kHeaderSize, question.end(), buffer_.get() + kHeaderSize);
  return {buffer_.get(), question.size()};
}

std::span<std::uint8_t> Datagrams::checked(std::span<std::uint8_t> reply) noexcept {
  if (!is_reply(reply)) {
    return {};
  }
  if (!mixed_case_) {
    return reply;
  }
  switch (mixed_case_->restore(reply, sent_)) {
    case MixedCase::Verdict::kKept:
      return reply;
    case MixedCase::Verdict::kChanged:
      reply[2] |= kTruncated;
      reply[3] &= static_cast<std::uint8_t>(~kRcode);
      std::fill(reply.begin() + kAnswerCount, reply.begin() + kHeaderSize, std::uint8_t{0});
      return reply;
    case MixedCase::Verdict::kOther:
      break;
  }
  return {};
}

std::span<const std::uint8_t> Datagrams::message_with_id(std::uint16_t id) noexcept {
  const bool is_it = last_.size() >= 2 && (last_[0] << 8 | last_[1]) == id;
  return is_it ? last_ : std::span<const std::uint8_t>{};
}

std::span<const std::uint8_t> Datagrams::message_for(const Question& question) noexcept try {
  return asks(last_, question) ? last_ : std::span<const std::uint8_t>{};
} catch (const std::exception&) {
  return {};
}

}  // namespace caravan
