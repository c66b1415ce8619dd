#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <exception>
#include <iostream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "core/resolver/resolver.hpp"
#include "core/system/cares.hpp"
#include "core/wire/packed_answer.hpp"

// Runs the lookups whose instructions bench/replay counts: "udp|tcp LOOKUPS", a hundred at a time. The core is that of
// the library. To make the count reproducible, everything runs in one thread, together with a DNS server. For that,
// this file replaces three functions of libc: main() runs the thread that the resolver starts, and when that waits for
// the network, the server answers, callers ask, and the clock advances. Without arguments, prints the versions that the
// count depends on.

namespace {

using namespace std::literals;
using caravan::Fd;
using Octets = std::vector<std::uint8_t>;

constexpr std::size_t kCallers = 100;
constexpr std::size_t kRecords = 3;

void check(ssize_t result, const char* function) {
  if (result < 0) {
    throw std::system_error{errno, std::generic_category(), function};
  }
}

// Repeats the question, with SRV records before its additional section.
Octets reply_to(std::span<const std::uint8_t> question) {
  // A pointer to the name of the question, SRV, IN, 30 s, 33 octets: priority 1, weight 1, port 4370, target.
  static constexpr auto record =
      "\300\014\0\041\0\1\0\0\0\036\0\041\0\1\0\1\021\022\005n0001\004node\003dc1\005nodes\004test\0"sv;
  Octets reply{question.begin(), question.end()};
  reply.at(2) |= 0x80U;
  reply.at(7) = kRecords;
  std::size_t end = 12;
  while (reply.at(end) != 0) {
    end += reply[end] + std::size_t{1};
  }
  for (std::size_t i = 0; i < kRecords; ++i) {
    reply.insert(reply.begin() + static_cast<std::ptrdiff_t>(end + 5), record.begin(), record.end());
  }
  return reply;
}

// Answers over one transport. Over TCP, serves a single connection.
class DnsServer {
 public:
  explicit DnsServer(bool tcp)
      : tcp_{tcp}, socket_{::socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    check(::bind(socket_.get(), raw, size), "bind");
    check(tcp ? ::listen(socket_.get(), 1) : 0, "listen");
    check(::getsockname(socket_.get(), raw, &size), "getsockname");
    nameserver_ = caravan::parse_nameserver("127.0.0.1:" + std::to_string(ntohs(address.sin_port))).value();
  }

  const caravan::Nameserver& nameserver() const noexcept { return nameserver_; }

  // Answers everything that has been received.
  void answer() { tcp_ ? answer_messages() : answer_datagrams(); }

 private:
  void answer_datagrams() {
    sockaddr_in client{};
    auto* raw = reinterpret_cast<sockaddr*>(&client);
    socklen_t size = sizeof client;
    ssize_t received = 0;
    while ((received = ::recvfrom(socket_.get(), buffer_.data(), buffer_.size(), 0, raw, &size)) > 0) {
      const auto reply = reply_to(std::span{buffer_}.first(static_cast<std::size_t>(received)));
      check(::sendto(socket_.get(), reply.data(), reply.size(), 0, raw, size), "sendto");
    }
  }

  // A read never ends within a message, because the client runs in this thread and writes whole messages.
  void answer_messages() {
    if (connection_.get() < 0) {
      connection_ = Fd{::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    }
    const auto received = ::recv(connection_.get(), buffer_.data(), buffer_.size(), 0);
    Octets replies;
    for (auto rest = std::span{buffer_}.first(received > 0 ? static_cast<std::size_t>(received) : 0); !rest.empty();) {
      const auto size = static_cast<std::size_t>(rest[0] << 8 | rest[1]);
      const auto reply = reply_to(rest.subspan(2, size));
      replies.push_back(static_cast<std::uint8_t>(reply.size() >> 8));
      replies.push_back(static_cast<std::uint8_t>(reply.size() & 0xFF));
      replies.insert(replies.end(), reply.begin(), reply.end());
      rest = rest.subspan(2 + size);
    }
    if (!replies.empty()) {
      check(::send(connection_.get(), replies.data(), replies.size(), 0), "send");
    }
  }

  bool tcp_;
  Fd socket_;
  Fd connection_;
  caravan::Nameserver nameserver_;
  Octets buffer_ = Octets(65536);
};

// Packs the answer, as the library does for a process.
class Caller final : public caravan::Receiver {
 public:
  explicit Caller(std::size_t& answered) noexcept : answered_{answered} {}

  caravan::Interest interest() const noexcept override { return caravan::Interest::kWaiting; }
  caravan::Interest deliver(const caravan::Reply& reply,
                            std::unique_ptr<caravan::Rendering>* /*shared*/) noexcept override {
    Octets answer(caravan::max_packed_size(reply));
    caravan::pack_answer(reply, answer);
    answered_ += reply.srv.size() / kRecords;
    return caravan::Interest::kWaiting;
  }

 private:
  std::size_t& answered_;
};

class Replay {
 public:
  Replay(bool tcp, std::size_t lookups) : server_{tcp}, lookups_{lookups} {
    caravan::ClientOptions options;
    options.nameservers = std::make_shared<const caravan::Nameservers>(1, server_.nameserver());
    options.transport = tcp ? caravan::Transport::kTcp : caravan::Transport::kUdp;
    id_ = resolver_.open(std::move(options));
    client_ = resolver_.find(id_);
  }

  // Each caller has its own name, since equal lookups would share a query.
  void ask() {
    for (std::size_t i = 0; i < kCallers; ++i) {
      caravan::LookupRequest request;
      request.name = std::string{"c"}.append(std::to_string(i)).append("._app-3._tcp.bench.test");
      request.waiter.receiver = std::make_unique<Caller>(answered_);
      if (resolver_.submit(id_, std::move(request))) {
        throw std::runtime_error{"a lookup was refused"};
      }
    }
    asked_ += kCallers;
  }

  // Called whenever the resolver waits.
  void go_on() {
    server_.answer();
    if (answered_ < asked_) {
      return;
    }
    if (asked_ < lookups_) {
      ask();
    } else {
      resolver_.stop(0ms);
      resolver_.detach(nullptr);  // its thread is this one, and cannot join itself
    }
  }

  // Returns whether every lookup was answered, and by its first question.
  bool is_good() const { return answered_ == client_->stats.get(caravan::Counter::kQueries) && answered_ == lookups_; }

 private:
  caravan::CaresLibrary cares_;
  DnsServer server_;
  std::size_t lookups_;
  std::size_t asked_ = 0;
  std::size_t answered_ = 0;
  caravan::Resolver resolver_;
  caravan::ClientId id_ = 0;
  std::shared_ptr<const caravan::Client> client_;
};

// The state that the functions below share.
struct World {
  Replay* replay = nullptr;
  long milliseconds = 1'000'000;  // of the clock; not 0, which the core uses for "never"
  void* (*thread)(void*) = nullptr;
  void* argument = nullptr;
};
constinit World world;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): libc passes no context

void print_versions() {
#ifdef __clang__
  std::cout << "clang++ " << __clang_major__;
#else
  std::cout << "g++ " << __GNUC__;
#endif
  utsname system{};
  ::uname(&system);
  std::cout << ", c-ares " << caravan::cares_versions().running << ", " << std::data(system.machine) << '\n';
}

}  // namespace

// These replace functions of libc. They are exported, so that libstdc++ and c-ares call them too.
extern "C" {

[[gnu::visibility("default")]] int pthread_create(pthread_t* newthread, const pthread_attr_t* /*attr*/,
                                                  void* (*start_routine)(void*), void* arg) noexcept {
  *newthread = ::pthread_self();
  world.thread = start_routine;
  world.argument = arg;
  return 0;
}

[[gnu::visibility("default")]] int clock_gettime(clockid_t /*clock_id*/, timespec* tp) noexcept {
  *tp = {world.milliseconds / 1000, world.milliseconds % 1000 * 1'000'000};
  return 0;
}

// Delivers all replies together when the resolver has nothing else to do, a millisecond later by this clock. The kernel
// may take a moment to deliver them.
[[gnu::visibility("default")]] int poll(pollfd* fds, nfds_t nfds, int timeout) {
  constexpr timespec at_once{};
  constexpr timespec kernel_delay{0, 1'000'000};
  if (timeout == 0) {
    return ::ppoll(fds, nfds, &at_once, nullptr);
  }
  ++world.milliseconds;
  int ready = 0;
  while (ready == 0) {
    world.replay->go_on();
    ready = ::ppoll(fds, nfds, &kernel_delay, nullptr);
  }
  return ready;
}
}

int main(int argc, char** argv) try {
  const std::span arguments{argv, static_cast<std::size_t>(argc)};
  if (arguments.size() != 3) {
    print_versions();
    return 0;
  }
  Replay replay{std::string_view{arguments[1]} == "tcp", std::stoul(arguments[2])};
  world.replay = &replay;
  replay.ask();
  world.thread(world.argument);
  if (!replay.is_good()) {
    throw std::runtime_error{"a lookup has failed, or was asked twice"};
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << "bench_replay: " << error.what() << '\n';
  return 1;
}
