#include <ares.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

// The cost of c-ares alone: one channel, poll(2), a window of queries in flight, and each reply parsed by
// ares_parse_srv_reply(). Each line read is a run, "udp|tcp PORT NAME RECORDS WINDOW LOOKUPS". Each line written is its
// result, "LOOKUPS WALL_NS CPU_NS FAILURES P50_NS P99_NS".

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr int kClassIn = 1;
constexpr int kTypeSrv = 33;
constexpr int kEdnsSize = 4096;
// The time after which Caravan asks again.
constexpr int kAttemptTimeoutMs = 1000;
constexpr int kTries = 3;
constexpr int kPollMs = 100;
constexpr std::chrono::seconds kRunLimit{60};

struct Destroy {
  void operator()(ares_channel channel) const noexcept { ::ares_destroy(channel); }
};
using Channel = std::unique_ptr<std::remove_pointer_t<ares_channel>, Destroy>;

struct FreeData {
  void operator()(void* data) const noexcept { ::ares_free_data(data); }
};

struct Task {
  bool tcp = false;
  unsigned port = 0;
  std::string name;
  std::size_t records = 0;
  std::size_t window = 0;
  std::size_t lookups = 0;
};

struct Run;

struct Query {
  Run* run;
  Clock::time_point sent;
};

struct Run {
  explicit Run(const Task& t) : task{t} {
    queries.reserve(task.lookups);
    latencies.reserve(task.lookups);
  }

  const Task& task;
  std::vector<Query> queries;  // never reallocated: c-ares holds pointers into it
  std::vector<std::int64_t> latencies;
  std::size_t ended = 0;
  std::size_t failures = 0;
};

struct Result {
  std::int64_t wall;
  std::int64_t cpu;
  std::size_t failures;
  std::vector<std::int64_t> latencies;
};

std::size_t count_records(const unsigned char* message, int size) noexcept {
  ares_srv_reply* first = nullptr;
  if (::ares_parse_srv_reply(message, size, &first) != ARES_SUCCESS) {
    return 0;
  }
  const std::unique_ptr<ares_srv_reply, FreeData> owned{first};
  std::size_t count = 0;
  for (const auto* record = first; record != nullptr; record = record->next) {
    ++count;
  }
  return count;
}

void on_answer(const Query& query, int status, const unsigned char* message, int size) noexcept {
  auto& run = *query.run;
  ++run.ended;
  if (status != ARES_SUCCESS || count_records(message, size) != run.task.records) {
    ++run.failures;
    return;
  }
  run.latencies.push_back(nanoseconds{Clock::now() - query.sent}.count());
}

Channel open_channel(const Task& task) {
  ares_options options{};
  options.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | (task.tcp ? ARES_FLAG_USEVC : 0);
  options.ednspsz = kEdnsSize;
  options.timeout = kAttemptTimeoutMs;
  options.tries = kTries;
  int mask = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
#ifdef ARES_OPT_QUERY_CACHE
  mask |= ARES_OPT_QUERY_CACHE;
  options.qcache_max_ttl = 0;
#endif
  ares_channel raw = nullptr;
  if (::ares_init_options(&raw, &options, mask) != ARES_SUCCESS) {
    return nullptr;
  }
  Channel channel{raw};
  const auto server = "127.0.0.1:" + std::to_string(task.port);
  return ::ares_set_servers_ports_csv(raw, server.c_str()) == ARES_SUCCESS ? std::move(channel) : nullptr;
}

void fill_window(ares_channel channel, Run& run) {
  const auto& task = run.task;
  while (run.queries.size() < task.lookups && run.queries.size() - run.ended < task.window) {
    auto& query = run.queries.emplace_back(Query{&run, Clock::now()});
    // A generic lambda, because it depends on the version of c-ares whether the message is const.
    ::ares_query(
        channel, task.name.c_str(), kClassIn, kTypeSrv,
        [](void* arg, int status, int, auto* message, int size) {
          on_answer(*static_cast<const Query*>(arg), status, message, size);
        },
        &query);
  }
}

void poll_once(ares_channel channel) {
  std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
  const auto wanted = ::ares_getsock(channel, sockets.data(), static_cast<int>(sockets.size()));
  std::array<pollfd, ARES_GETSOCK_MAXNUM> fds{};
  nfds_t count = 0;
  for (unsigned i = 0; i < sockets.size(); ++i) {
    const auto readable = ARES_GETSOCK_READABLE(static_cast<unsigned>(wanted), i) != 0;
    const auto writable = ARES_GETSOCK_WRITABLE(static_cast<unsigned>(wanted), i) != 0;
    if (readable || writable) {
      fds.at(count++) = {sockets.at(i), static_cast<short>((readable ? POLLIN : 0) | (writable ? POLLOUT : 0)), 0};
    }
  }
  if (::poll(fds.data(), count, kPollMs) <= 0) {
    ::ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    return;
  }
  for (nfds_t i = 0; i < count; ++i) {
    const auto events = static_cast<unsigned>(fds.at(i).revents);
    const bool broken = (events & static_cast<unsigned>(POLLERR | POLLHUP | POLLNVAL)) != 0;
    if (events != 0) {
      ::ares_process_fd(channel, broken || (events & POLLIN) != 0 ? fds.at(i).fd : ARES_SOCKET_BAD,
                        broken || (events & POLLOUT) != 0 ? fds.at(i).fd : ARES_SOCKET_BAD);
    }
  }
}

std::int64_t cpu_now() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return nanoseconds{std::chrono::seconds{time.tv_sec}}.count() + time.tv_nsec;
}

Result perform(const Task& task) {
  Run run{task};
  const auto channel = open_channel(task);
  if (!channel) {
    return {1, 1, task.lookups, {}};
  }
  const auto cpu = cpu_now();
  const auto start = Clock::now();
  while (run.ended < task.lookups && Clock::now() - start < kRunLimit) {
    fill_window(channel.get(), run);
    poll_once(channel.get());
  }
  const auto wall = nanoseconds{Clock::now() - start}.count();
  const auto spent = cpu_now() - cpu;
  const auto missing = task.lookups - run.ended;
  ::ares_cancel(channel.get());
  return {wall, spent, std::min(run.failures + missing, task.lookups), std::move(run.latencies)};
}

std::int64_t percentile(const std::vector<std::int64_t>& sorted, std::size_t percent) {
  return sorted.empty() ? 0 : sorted.at((sorted.size() - 1) * percent / 100);
}

}  // namespace

int main() {
  if (::ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
    return 1;
  }
  std::string line;
  while (std::getline(std::cin, line)) {
    Task task;
    std::string transport;
    std::istringstream{line} >> transport >> task.port >> task.name >> task.records >> task.window >> task.lookups;
    task.tcp = transport == "tcp";
    auto result = perform(task);
    std::sort(result.latencies.begin(), result.latencies.end());
    std::cout << task.lookups << ' ' << result.wall << ' ' << result.cpu << ' ' << result.failures << ' '
              << percentile(result.latencies, 50) << ' ' << percentile(result.latencies, 99) << std::endl;
  }
  ::ares_library_cleanup();
  return 0;
}
