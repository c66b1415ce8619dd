#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/resolver/socket_set.hpp"
#include "core/wire/ip_address.hpp"
#include "support/dns_builder.hpp"

namespace caravan::test {

// A question as the server received it.
struct Query {
  std::uint16_t id = 0;
  bool tcp = false;
  std::uint16_t client_port = 0;
  std::string name;  // as text, in the case of the query
  RecordType type = RecordType::kSrv;
  std::optional<std::uint16_t> edns_size;
  Bytes message;

  // Returns a reply to it, without records.
  DnsBuilder reply() const { return DnsBuilder{name, type}.id(id); }
};

// A DNS server on one loopback port, which answers as the handler of a test says.
class MockDnsServer {
 public:
  // A query and the ways to answer it. A handler that calls none of them is silent.
  class Exchange {
   public:
    virtual ~Exchange() = default;

    virtual const Query& query() const noexcept = 0;
    virtual void reply(const Bytes& message) = 0;
    void reply(const DnsBuilder& builder) { reply(builder.build()); }
    // Over TCP: writes octets without the length of a message.
    virtual void write(const Bytes& octets) = 0;
    // Over UDP: replies from another port than the one that was asked.
    virtual void reply_from_elsewhere(const Bytes& message) = 0;
    // Over TCP: closes the connection once the handler returns.
    virtual void close() = 0;
  };

  // Runs on the server's thread, one query at a time.
  using Handler = std::function<void(Exchange&)>;

  // The transports on which the server listens. It holds the port of the other one too, and refuses there.
  enum class Listen : std::uint8_t { kUdpAndTcp, kUdp, kTcp, kNothing };

  explicit MockDnsServer(Handler handler, Listen listen = Listen::kUdpAndTcp, const char* address = "127.0.0.1");
  ~MockDnsServer();
  MockDnsServer(const MockDnsServer&) = delete;
  MockDnsServer& operator=(const MockDnsServer&) = delete;

  // Sends a message over each open TCP connection. For handlers, which run on the thread that owns the connections.
  void reply_over_tcp(const DnsBuilder& builder);

  const Nameserver& nameserver() const noexcept { return nameserver_; }

  // The queries so far, in the order in which they were received.
  std::vector<Query> queries() const;
  // "udp" or "tcp" for each of them.
  std::vector<std::string> transports() const;

 private:
  struct Connection {
    Fd fd;
    Bytes received;
  };
  class UdpExchange;
  class TcpExchange;

  bool bind_both(const sockaddr_storage& address, socklen_t size);
  void run();
  void serve_udp();
  bool serve_tcp(Connection& connection);
  void handle(Exchange& exchange);

  Handler handler_;
  Nameserver nameserver_;
  Fd udp_;
  Fd tcp_;
  bool accepts_ = false;  // whether it accepts connections
  std::list<Connection> connections_;
  WakePipe stop_;
  mutable std::mutex mutex_;
  std::vector<Query> queries_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace caravan::test
