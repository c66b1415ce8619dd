#include "core/resolver/socket_set.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>
#include <set>
#include <utility>

#include "catch.hpp"

namespace caravan {
namespace {

using std::chrono::milliseconds;

// The set does not dereference channels, so any addresses will do.
std::array<int, 2> addresses{};
Channel& kOne = reinterpret_cast<Channel&>(addresses[0]);
Channel& kOther = reinterpret_cast<Channel&>(addresses[1]);

struct SocketPair {
  SocketPair() {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()) == 0);
    near = Fd{fds[0]};
    far = Fd{fds[1]};
  }
  void send_to_near() { REQUIRE(::write(far.get(), "x", 1) == 1); }

  Fd near;
  Fd far;
};

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST_CASE("a descriptor is closed by its last owner and only by it") {
  int fd = -1;
  {
    Fd first{::open("/dev/null", O_RDONLY)};
    fd = first.get();
    Fd second{std::move(first)};
    CHECK(first.get() == -1);
    Fd third;
    third = std::move(second);
    CHECK(third.get() == fd);
    CHECK(is_open(fd));
  }
  CHECK_FALSE(is_open(fd));
}

TEST_CASE("a released descriptor stays open") {
  Fd owner{::open("/dev/null", O_RDONLY)};
  const Fd released{owner.release()};
  CHECK(owner.get() == -1);
  CHECK(is_open(released.get()));
}

TEST_CASE("waking ends a wait and draining ends the waking") {
  WakePipe wake;
  SocketSet sockets{wake.read_end()};
  // More bytes than a pipe holds.
  for (int i = 0; i < 100'000; ++i) {
    wake.wake();
  }
  CHECK(sockets.wait(std::nullopt).empty());
  wake.drain();
  char byte = 0;
  CHECK(::read(wake.read_end(), &byte, 1) == -1);
}

TEST_CASE("a socket is reported with its channel and its events") {
  WakePipe wake;
  SocketSet sockets{wake.read_end()};
  SocketPair pair;
  sockets.watch(kOne, pair.near.get(), true, false);
  CHECK(sockets.wait(milliseconds{0}).empty());

  pair.send_to_near();
  const auto& ready = sockets.wait(std::nullopt);
  REQUIRE(ready.size() == 1);
  CHECK(ready[0].channel == &kOne);
  CHECK(ready[0].fd == pair.near.get());
  CHECK(ready[0].readable);
  CHECK_FALSE(ready[0].writable);
}

TEST_CASE("what a socket is watched for can be changed") {
  WakePipe wake;
  SocketSet sockets{wake.read_end()};
  SocketPair pair;
  sockets.watch(kOne, pair.near.get(), true, false);
  sockets.watch(kOther, pair.near.get(), true, true);
  const auto& ready = sockets.wait(std::nullopt);
  REQUIRE(ready.size() == 1);
  CHECK(ready[0].channel == &kOther);
  CHECK_FALSE(ready[0].readable);
  CHECK(ready[0].writable);
}

TEST_CASE("a socket that is about to be closed is forgotten and the others are not") {
  WakePipe wake;
  SocketSet sockets{wake.read_end()};
  std::array<SocketPair, 3> pairs;
  for (auto& pair : pairs) {
    sockets.watch(kOne, pair.near.get(), true, false);
    pair.send_to_near();
  }
  sockets.watch(kOne, pairs[0].near.get(), false, false);
  // A socket that is removed twice, and one that was never watched.
  sockets.watch(kOne, pairs[0].near.get(), false, false);
  sockets.watch(kOne, 12345, false, false);

  std::set<int> fds;
  for (const auto& ready : sockets.wait(std::nullopt)) {
    fds.insert(ready.fd);
  }
  CHECK(fds == std::set<int>{pairs[1].near.get(), pairs[2].near.get()});
}

TEST_CASE("a socket whose peer has closed is readable and writable") {
  // c-ares detects the cause when it reads or writes.
  WakePipe wake;
  SocketSet sockets{wake.read_end()};
  SocketPair pair;
  sockets.watch(kOne, pair.near.get(), true, false);
  pair.far = Fd{};
  const auto& ready = sockets.wait(std::nullopt);
  REQUIRE(ready.size() == 1);
  CHECK(ready[0].readable);
  CHECK(ready[0].writable);
}

TEST_CASE("a descriptor with an error is readable and writable") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const Fd write_end{ends[1]};
  ::close(ends[0]);
  WakePipe wake;
  SocketSet sockets{wake.read_end()};
  sockets.watch(kOne, write_end.get(), true, false);
  const auto& ready = sockets.wait(std::nullopt);
  REQUIRE(ready.size() == 1);
  CHECK(ready[0].readable);
  CHECK(ready[0].writable);
}

// poll(2) fails at once if it gets more descriptors than the process may have open.
TEST_CASE("a wait that fails does not make its caller spin") {
  WakePipe wake;
  SocketSet sockets{wake.read_end()};
  SocketPair pair;
  sockets.watch(kOne, pair.near.get(), true, false);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{1, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  const auto begun = std::chrono::steady_clock::now();
  const bool nothing = sockets.wait(milliseconds{1000}).empty();
  const auto waited = std::chrono::steady_clock::now() - begun;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(nothing);
  CHECK(waited >= milliseconds{1});
}

}  // namespace
}  // namespace caravan
