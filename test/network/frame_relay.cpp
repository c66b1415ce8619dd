// Relays frames between TAP devices, with delay and duplication, for kernels without netem:
//
//   frame_relay PID...
//
// Device netN of this network namespace and device net of the namespace of the Nth process are the two ends of a link:
// a frame that enters at one end leaves at the other. Each line on the standard input has four numbers and changes a
// link in both directions: N, the least and the greatest delay in milliseconds, and the percentage of frames that are
// duplicated. Frames with different delays may overtake each other. Runs until the standard input ends.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <queue>
#include <random>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// An Ethernet header and a packet of the greatest size.
constexpr std::size_t kMaxFrame = 65'536;
// Like an overloaded network, drops frames beyond this number.
constexpr std::size_t kMaxLate = 20'000;

class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (descriptor_ >= 0)
      ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

int checked(int result, const std::string& what) {
  if (result < 0)
    throw std::system_error(errno, std::generic_category(), what);
  return result;
}

Descriptor open_file(const std::string& path, int flags) {
  return Descriptor(checked(::open(path.c_str(), flags | O_CLOEXEC), path));
}

Descriptor open_tap(const std::string& name) {
  Descriptor tap = open_file("/dev/net/tun", O_RDWR | O_NONBLOCK);
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  checked(::ioctl(tap.get(), TUNSETIFF, &request), name);
  return tap;
}

void enter(const Descriptor& name_space) { checked(::setns(name_space.get(), CLONE_NEWNET), "setns"); }

Descriptor open_tap_of(const std::string& pid) {
  const Descriptor here = open_file("/proc/self/ns/net", O_RDONLY);
  enter(open_file("/proc/" + pid + "/ns/net", O_RDONLY));
  Descriptor tap = open_tap("net");
  enter(here);
  return tap;
}

struct Weather {
  std::int64_t least_ms = 0;
  std::int64_t most_ms = 0;
  int duplicate_percent = 0;
};

struct Link {
  std::array<Descriptor, 2> ends;
  Weather weather;
};

struct LateFrame {
  Clock::time_point due;
  // Keeps the order of frames that are due at the same time.
  std::uint64_t number;
  int to;
  std::vector<char> octets;

  bool operator>(const LateFrame& other) const { return std::pair(due, number) > std::pair(other.due, other.number); }
};

class Relay {
 public:
  explicit Relay(const std::vector<std::string>& pids) {
    for (std::size_t place = 0; place < pids.size(); ++place) {
      links_.push_back(Link{{open_tap("net" + std::to_string(place + 1)), open_tap_of(pids[place])}, Weather{}});
    }
  }

  void run() {
    bool is_told = true;
    while (is_told) {
      std::vector<pollfd> ready = wait();
      if (ready.back().revents != 0)
        is_told = read_orders();
      for (std::size_t device = 0; device + 1 < ready.size(); ++device) {
        if ((ready[device].revents & POLLIN) != 0)
          receive(links_[device / 2], device % 2);
      }
      send_due();
    }
  }

 private:
  std::vector<pollfd> wait() {
    std::vector<pollfd> watched;
    for (const Link& link : links_) {
      for (const Descriptor& end : link.ends)
        watched.push_back({end.get(), POLLIN, 0});
    }
    watched.push_back({STDIN_FILENO, POLLIN, 0});
    if (::poll(watched.data(), watched.size(), until_next()) < 0 && errno != EINTR)
      checked(-1, "poll");
    return watched;
  }

  int until_next() const {
    if (late_.empty())
      return -1;
    const auto left = std::chrono::ceil<milliseconds>(late_.top().due - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(0, left.count()));
  }

  // Returns false at the end of the standard input.
  bool read_orders() {
    std::array<char, 4096> octets{};
    const ssize_t count = ::read(STDIN_FILENO, octets.data(), octets.size());
    if (count <= 0)
      return count < 0 && errno == EINTR;
    orders_.append(octets.data(), static_cast<std::size_t>(count));
    for (std::size_t end = orders_.find('\n'); end != std::string::npos; end = orders_.find('\n')) {
      obey(orders_.substr(0, end));
      orders_.erase(0, end + 1);
    }
    return true;
  }

  void obey(const std::string& order) {
    std::size_t place = 0;
    Weather weather;
    std::istringstream words(order);
    words >> place >> weather.least_ms >> weather.most_ms >> weather.duplicate_percent;
    if (!words || place < 1 || place > links_.size() || weather.least_ms < 0 || weather.least_ms > weather.most_ms) {
      throw std::system_error(EINVAL, std::generic_category(), order);
    }
    links_[place - 1].weather = weather;
  }

  void receive(const Link& link, std::size_t end) {
    std::array<char, kMaxFrame> octets;
    for (;;) {
      const ssize_t count = ::read(link.ends[end].get(), octets.data(), octets.size());
      // Reading from a device that is down fails. It is read again when it is up.
      if (count <= 0)
        return;
      const std::vector<char> frame(octets.data(), octets.data() + count);
      const int to = link.ends[1 - end].get();
      delay(frame, to, link.weather);
      if (std::uniform_int_distribution(1, 100)(random_) <= link.weather.duplicate_percent)
        delay(frame, to, link.weather);
    }
  }

  void delay(const std::vector<char>& frame, int to, const Weather& weather) {
    if (late_.size() >= kMaxLate)
      return;
    const milliseconds lateness(
        std::uniform_int_distribution<std::int64_t>(weather.least_ms, weather.most_ms)(random_));
    late_.push({Clock::now() + lateness, number_++, to, frame});
  }

  // A frame to a device that is down is lost.
  void send_due() {
    for (const auto now = Clock::now(); !late_.empty() && late_.top().due <= now; late_.pop()) {
      const LateFrame& frame = late_.top();
      [[maybe_unused]] const ssize_t count = ::write(frame.to, frame.octets.data(), frame.octets.size());
    }
  }

  std::vector<Link> links_;
  std::priority_queue<LateFrame, std::vector<LateFrame>, std::greater<>> late_;
  std::uint64_t number_ = 0;
  std::string orders_;
  std::minstd_rand random_{1};
};

}  // namespace

int main(int count, char** arguments) {
  try {
    Relay(std::vector<std::string>(arguments + 1, arguments + count)).run();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "frame_relay: %s\n", error.what());
    return 1;
  }
}
