#include "support/mock_dns_server.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <system_error>
#include <utility>

#include "core/wire/dns_reader.hpp"

namespace caravan::test {
namespace {

using Listen = MockDnsServer::Listen;

constexpr std::size_t kLargestMessage = 65'535;

void require(bool ok, const char* what) {
  if (!ok) {
    throw std::system_error{errno, std::generic_category(), what};
  }
}

sockaddr* generic(sockaddr_storage& address) noexcept { return reinterpret_cast<sockaddr*>(&address); }

// IPv4 and IPv6 addresses have the port at the same offset.
in_port_t& port_of(sockaddr_storage& address) noexcept { return reinterpret_cast<sockaddr_in&>(address).sin_port; }

std::pair<sockaddr_storage, socklen_t> to_sockaddr(const IpAddress& address) noexcept {
  sockaddr_storage storage{};
  if (address.family == Family::kInet) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_addr, address.bytes.data(), address.size());
    return {storage, sizeof(sockaddr_in)};
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  v6.sin6_family = AF_INET6;
  std::memcpy(&v6.sin6_addr, address.bytes.data(), address.size());
  return {storage, sizeof(sockaddr_in6)};
}

Query parse_query(const Bytes& message, bool tcp) {
  constexpr std::size_t kCounts = 4;
  constexpr std::size_t kAdditionalCount = 10;
  Query query;
  query.tcp = tcp;
  query.message = message;
  DnsReader reader{message};
  query.id = reader.u16();
  reader.skip(2 + 2 * kCounts);
  reader.name(query.name);
  query.type = static_cast<RecordType>(reader.u16());
  reader.skip(2);
  if (DnsReader{message, kAdditionalCount}.u16() > 0) {
    reader.skip_name();
    if (reader.u16() == DnsBuilder::kTypeOpt) {
      query.edns_size = reader.u16();
    }
  }
  return query;
}

void write_all(int fd, const Bytes& octets) noexcept {
  std::size_t written = 0;
  while (written < octets.size()) {
    const auto count = ::send(fd, octets.data() + written, octets.size() - written, MSG_NOSIGNAL);
    if (count <= 0) {
      return;
    }
    written += static_cast<std::size_t>(count);
  }
}

}  // namespace

class MockDnsServer::UdpExchange final : public Exchange {
 public:
  UdpExchange(int fd, const sockaddr_storage& client, socklen_t client_size, const Bytes& message)
      : fd_{fd}, client_{client}, client_size_{client_size}, query_{parse_query(message, false)} {
    query_.client_port = ntohs(port_of(client_));
  }

  const Query& query() const noexcept override { return query_; }
  void reply(const Bytes& message) override { send_from(fd_, message); }
  void write(const Bytes& octets) override { send_from(fd_, octets); }
  void reply_from_elsewhere(const Bytes& message) override {
    const Fd other{::socket(client_.ss_family, SOCK_DGRAM, 0)};
    send_from(other.get(), message);
  }
  void close() override {}

 private:
  void send_from(int fd, const Bytes& message) noexcept {
    ::sendto(fd, message.data(), message.size(), MSG_NOSIGNAL, generic(client_), client_size_);
  }

  int fd_;
  sockaddr_storage client_;
  socklen_t client_size_;
  Query query_;
};

class MockDnsServer::TcpExchange final : public Exchange {
 public:
  TcpExchange(int fd, const Bytes& message) : fd_{fd}, query_{parse_query(message, true)} {
    sockaddr_storage client{};
    socklen_t size = sizeof(client);
    // The client may have closed the connection.
    if (::getpeername(fd, generic(client), &size) == 0) {
      query_.client_port = ntohs(port_of(client));
    }
  }

  bool closed() const noexcept { return closed_; }

  const Query& query() const noexcept override { return query_; }
  void reply(const Bytes& message) override { write(concat({u16(message.size()), message})); }
  void write(const Bytes& octets) override { write_all(fd_, octets); }
  void reply_from_elsewhere(const Bytes&) override {}
  void close() override { closed_ = true; }

 private:
  int fd_;
  Query query_;
  bool closed_ = false;
};

MockDnsServer::MockDnsServer(Handler handler, Listen listen, const char* address) : handler_{std::move(handler)} {
  nameserver_.address = parse_ip_address(address).value();
  const auto [any_port, size] = to_sockaddr(nameserver_.address);
  while (!bind_both(any_port, size)) {
  }
  accepts_ = listen == Listen::kUdpAndTcp || listen == Listen::kTcp;
  if (accepts_) {
    require(::listen(tcp_.get(), SOMAXCONN) == 0, "listen");
  }
  if (listen == Listen::kTcp || listen == Listen::kNothing) {
    // A connected datagram socket receives from its peer only, here itself. The kernel refuses other datagrams.
    auto self = any_port;
    port_of(self) = htons(nameserver_.port);
    require(::connect(udp_.get(), generic(self), size) == 0, "connect");
  }
  thread_ = std::thread{[this] { run(); }};
}

MockDnsServer::~MockDnsServer() {
  stop_.wake();
  thread_.join();
}

// Binds both sockets to one port. Returns false if the port that the system chose for TCP is in use for UDP.
bool MockDnsServer::bind_both(const sockaddr_storage& any_port, socklen_t size) {
  auto address = any_port;
  auto address_size = size;
  tcp_ = Fd{::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  udp_ = Fd{::socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  require(::bind(tcp_.get(), generic(address), size) == 0, "bind");
  require(::getsockname(tcp_.get(), generic(address), &address_size) == 0, "getsockname");
  nameserver_.port = ntohs(port_of(address));
  const bool bound = ::bind(udp_.get(), generic(address), size) == 0;
  require(bound || errno == EADDRINUSE, "bind");
  return bound;
}

void MockDnsServer::reply_over_tcp(const DnsBuilder& builder) {
  const auto message = builder.build();
  for (const auto& connection : connections_) {
    write_all(connection.fd.get(), concat({u16(message.size()), message}));
  }
}

std::vector<Query> MockDnsServer::queries() const {
  const std::lock_guard lock{mutex_};
  return queries_;
}

std::vector<std::string> MockDnsServer::transports() const {
  std::vector<std::string> transports;
  for (const auto& query : queries()) {
    transports.emplace_back(query.tcp ? "tcp" : "udp");
  }
  return transports;
}

void MockDnsServer::run() {
  constexpr std::size_t kFixed = 3;
  // poll(2) would report a hang-up for a TCP socket that does not listen.
  const int listener = accepts_ ? tcp_.get() : -1;
  while (true) {
    std::vector<pollfd> fds{{stop_.read_end(), POLLIN, 0}, {udp_.get(), POLLIN, 0}, {listener, POLLIN, 0}};
    for (const auto& connection : connections_) {
      fds.push_back({connection.fd.get(), POLLIN, 0});
    }
    require(::poll(fds.data(), fds.size(), -1) > 0 || errno == EINTR, "poll");
    if (fds[0].revents != 0) {
      return;
    }
    if (fds[1].revents != 0) {
      serve_udp();
    }
    auto connection = connections_.begin();
    for (std::size_t i = kFixed; i < fds.size(); ++i) {
      connection =
          fds[i].revents == 0 || serve_tcp(*connection) ? std::next(connection) : connections_.erase(connection);
    }
    if (fds[2].revents != 0) {
      connections_.push_back({Fd{::accept(listener, nullptr, nullptr)}, {}});
    }
  }
}

void MockDnsServer::serve_udp() {
  while (true) {
    Bytes message(kLargestMessage);
    sockaddr_storage client{};
    socklen_t client_size = sizeof(client);
    const auto size =
        ::recvfrom(udp_.get(), message.data(), message.size(), MSG_DONTWAIT, generic(client), &client_size);
    if (size < 0) {
      return;
    }
    message.resize(static_cast<std::size_t>(size));
    UdpExchange exchange{udp_.get(), client, client_size, message};
    handle(exchange);
  }
}

// Returns false if the connection has ended.
bool MockDnsServer::serve_tcp(Connection& connection) {
  std::array<std::uint8_t, 4096> octets{};
  const auto count = ::recv(connection.fd.get(), octets.data(), octets.size(), 0);
  if (count <= 0) {
    return false;
  }
  auto& received = connection.received;
  received.insert(received.end(), octets.begin(), octets.begin() + count);
  while (received.size() >= 2) {
    const auto end = 2 + static_cast<std::ptrdiff_t>(DnsReader{received}.u16());
    if (std::ssize(received) < end) {
      break;
    }
    const Bytes message{received.begin() + 2, received.begin() + end};
    received.erase(received.begin(), received.begin() + end);
    TcpExchange exchange{connection.fd.get(), message};
    handle(exchange);
    if (exchange.closed()) {
      return false;
    }
  }
  return true;
}

void MockDnsServer::handle(Exchange& exchange) {
  {
    const std::lock_guard lock{mutex_};
    queries_.push_back(exchange.query());
  }
  handler_(exchange);
}

}  // namespace caravan::test
