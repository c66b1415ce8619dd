#include "core/resolver/channel.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/resolver/datagrams.hpp"
#include "core/resolver/tcp_stream.hpp"

namespace caravan {
namespace {

// How long c-ares waits for a reply: as long as a lookup can last, so that a late reply still counts. A reply that no
// lookup waits for is dropped with its channel.
constexpr int kReplyLifetimeMs = 3'600'000;

// c-ares reports "connection refused" also if it cannot create a socket. Returns kSystem in that case.
Error connection_error() noexcept {
  const Fd any{::socket(AF_UNIX, SOCK_DGRAM, 0)};
  return any.get() < 0 ? Error::kSystem : Error::kConnrefused;
}

Error status_error(int status) noexcept {
  switch (status) {
    case ARES_ETIMEOUT:
      return Error::kTimeout;
    case ARES_EBADNAME:
      return Error::kBadname;
    case ARES_EBADRESP:
      return Error::kBadresp;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
      return Error::kClosed;
    case ARES_ENOMEM:
      return Error::kSystem;
    default:
      return connection_error();
  }
}

}  // namespace

std::size_t ChannelSettings::largest_reply() const noexcept {
  constexpr std::size_t over_tcp = 65535;
  constexpr std::size_t without_edns = 512;
  return endpoint.tcp ? over_tcp : std::max<std::size_t>(edns_size, without_edns);
}

// The context of a question, which c-ares passes to the callback.
struct Channel::Pending {
  Channel* channel;
  QueryToken token;
  Question question;

  // Returns the message as it was received. c-ares may have reencoded it, or have failed to parse it.
  std::span<const std::uint8_t> message(int status, std::span<const std::uint8_t> of_cares) const noexcept;
};

std::span<const std::uint8_t> Channel::Pending::message(int status,
                                                        std::span<const std::uint8_t> of_cares) const noexcept {
  if (of_cares.size() >= 2) {
    const auto id = static_cast<std::uint16_t>(of_cares[0] << 8 | of_cares[1]);
    const auto message = channel->incoming_->message_with_id(id);
    return message.empty() ? of_cares : message;
  }
  // c-ares could not parse the message, or could not reencode it.
  if (status == ARES_EBADRESP || status == ARES_EBADQUERY) {
    return channel->incoming_->message_for(question);
  }
  return of_cares;
}

std::unique_ptr<Channel> Channel::open(const ChannelSettings& settings, SocketSet& sockets, ReplyObserver& observer,
                                       Clock::time_point now) {
  std::unique_ptr<Channel> channel{new Channel{settings, sockets, observer, now}};
  if (!channel->initialise()) {
    return nullptr;
  }
  return channel;
}

Channel::Channel(const ChannelSettings& settings, SocketSet& sockets, ReplyObserver& observer,
                 Clock::time_point now) noexcept
    : settings_{settings}, sockets_{sockets}, observer_{observer}, opened_{now}, last_used_{now} {}

Channel::~Channel() = default;

bool Channel::initialise() {
  ares_options options{};
  // NOCHECKRESP: 1.18 would report SERVFAIL, NOTIMP and REFUSED as "connection refused". IGNTC: a retry over TCP is
  // ours, because we need to know which transport an answer came over. Flags without EDNS turn c-ares' own EDNS off: it
  // would retry without EDNS and not report that.
  options.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_IGNTC | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  if (settings_.endpoint.tcp) {
    // Successive questions share a connection (RFC 7766, section 6.2.1). c-ares would close it when nothing is in
    // flight.
    options.flags |= ARES_FLAG_USEVC | ARES_FLAG_STAYOPEN;
  }
  options.timeout = kReplyLifetimeMs;
  options.tries = 1;
  options.sock_state_cb = &Channel::on_socket_state;
  options.sock_state_cb_data = this;
  int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
#ifdef ARES_OPT_QUERY_CACHE
  // The query cache, on by default since 1.31, would return old answers until their TTL ends.
  mask |= ARES_OPT_QUERY_CACHE;
  options.qcache_max_ttl = 0;
#endif
  // A channel needs nothing from the files of the system, which c-ares would read for each channel.
  std::array<char, sizeof "/dev/null"> no_file{"/dev/null"};
  std::array<char, sizeof "b"> dns_only{"b"};
  options.resolvconf_path = no_file.data();
  options.lookups = dns_only.data();
  mask |= ARES_OPT_RESOLVCONF | ARES_OPT_LOOKUPS;
  ares_channel raw = nullptr;
  if (::ares_init_options(&raw, &options, mask) != ARES_SUCCESS) {
    return false;
  }
  ares_.reset(raw);
  if (settings_.endpoint.tcp) {
    incoming_ = std::make_unique<TcpStream>(settings_.endpoint.nameserver.scope);
  } else {
    incoming_ =
        std::make_unique<Datagrams>(settings_.edns_size, settings_.mixed_case, settings_.endpoint.nameserver.scope);
  }
  incoming_->attach(raw);
  // ares_set_servers_csv() ignores ports in 1.18.
  return ::ares_set_servers_ports_csv(raw, settings_.endpoint.nameserver.to_string().c_str()) == ARES_SUCCESS;
}

void Channel::on_socket_state(void* data, ares_socket_t fd, int readable, int writable) noexcept {
  auto& channel = *static_cast<Channel*>(data);
  channel.unwritten_ = writable != 0 && channel.incoming_->is_established() ? fd : kNoSocket;
  channel.sockets_.watch(channel, fd, readable != 0, writable != 0);
}

void Channel::on_answer(void* arg, int status, const unsigned char* message, int size) noexcept {
  std::unique_ptr<Pending> pending{static_cast<Pending*>(arg)};
  if (--pending->channel->in_flight_ == 0) {
    pending->channel->sent_in_a_row_ = 0;
  }
  auto& channel = *pending->channel;
  // With an error RCODE, c-ares passes an error status and the message. The message has more detail.
  const auto bytes =
      pending->message(status, {message, message == nullptr || size < 0 ? 0 : static_cast<std::size_t>(size)});
  if (!bytes.empty()) {
    channel.last_reply_ = channel.reading_at_;
  }
  // `failure` counts only without a message, and connection_error() costs a system call.
  const auto failure = bytes.empty() ? status_error(status) : Error::kBadresp;
  if (!channel.observer_.on_reply(channel, pending->token, bytes, failure)) {
    --channel.abandoned_;
  }
  if (channel.spare_.size() < kMaxSpare) {
    channel.spare_.push_back(std::move(pending));
  }
}

void Channel::send(const Question& question, QueryToken token, Clock::time_point now) {
  std::unique_ptr<Pending> pending;
  if (spare_.empty()) {
    pending = std::make_unique<Pending>(Pending{this, token, question});
  } else {
    pending = std::move(spare_.back());
    spare_.pop_back();
    pending->token = token;
    pending->question = question;
  }
  if (in_flight_++ == 0) {
    busy_since_ = now;
  }
  ++sent_in_a_row_;
  last_used_ = now;
  // c-ares owns `pending` from here on, and may call back before ares_query() returns. The generic lambda fits the
  // callback types of all versions: in 1.34.7 the message is const, in 1.34.8 it is not.
  ::ares_query(
      ares_.get(), question.name.c_str(), kClassIn, static_cast<int>(question.type),
      [](void* arg, int status, int, auto* message, int size) { on_answer(arg, status, message, size); },
      pending.release());
}

void Channel::process(const SocketSet::Ready& ready, Clock::time_point now) noexcept {
  reading_at_ = now;
  read_and_write(ready);
  // c-ares 1.18 reads only a length or a message at a time.
  for (auto unread = incoming_->unread(); unread > 0;) {
    read_and_write(ready);
    const auto before = std::exchange(unread, incoming_->unread());
    if (unread >= before) {
      break;
    }
  }
  incoming_->forget_messages();
}

void Channel::flush(Clock::time_point now) noexcept {
  if (unwritten_ != kNoSocket) {
    reading_at_ = now;
    read_and_write({this, std::exchange(unwritten_, kNoSocket), false, true});
  }
}

void Channel::read_and_write(const SocketSet::Ready& ready) noexcept {
#if ARES_VERSION >= 0x012200
  // Since 1.32, c-ares adapts its time-outs, from 250 ms up, and drops a reply that comes later. Since 1.34,
  // SKIP_NON_FD prevents that here.
  const ares_fd_events_t events{ready.fd, (ready.readable ? unsigned{ARES_FD_EVENT_READ} : 0U) |
                                              (ready.writable ? unsigned{ARES_FD_EVENT_WRITE} : 0U)};
  ::ares_process_fds(ares_.get(), &events, 1, ARES_PROCESS_FLAG_SKIP_NON_FD);
  if (in_flight_ == 0) {
    // SKIP_NON_FD also keeps c-ares from closing idle sockets, but the next question must leave from another source
    // port.
    ::ares_process_fds(ares_.get(), nullptr, 0, ARES_PROCESS_FLAG_NONE);
  }
#else
  ::ares_process_fd(ares_.get(), ready.readable ? ready.fd : ARES_SOCKET_BAD,
                    ready.writable ? ready.fd : ARES_SOCKET_BAD);
#endif
}

}  // namespace caravan
