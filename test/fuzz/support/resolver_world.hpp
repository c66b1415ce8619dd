#pragma once

#include <array>
#include <bitset>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <semaphore>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/resolver/resolver.hpp"
#include "core/system/cares.hpp"
#include "support/fake_network.hpp"
#include "support/input.hpp"

namespace caravan::fuzz {

// A resolver, its callers and its nameservers under virtual time. Each time the resolver waits, octets of the input say
// what happens. At the end of the input the nameservers fall silent, and time advances until no lookup is open.
// resolver_world.cpp and resolver_answers.cpp check the invariants.
class ResolverWorld final : FakeNetwork::Peers {
 public:
  explicit ResolverWorld(Input input);
  ~ResolverWorld() override = default;
  ResolverWorld(const ResolverWorld&) = delete;
  ResolverWorld& operator=(const ResolverWorld&) = delete;

  void run();

 private:
  using Name = std::pair<std::string, RecordType>;

  // A lookup, from its request to its answer.
  struct Asked {
    std::size_t client = 0;
    LookupType type = LookupType::kSrv;
    std::vector<std::string> names;  // the names that may be asked for it
    std::chrono::steady_clock::time_point deadline;
    Interest interest = Interest::kWaiting;
    bool has_ended = false;
  };
  struct Customer {
    ClientId id = 0;
    std::shared_ptr<const Client> client;
    bool is_closed = false;
    bool searches = false;
    std::uint64_t taken = 0;
    std::uint64_t refused = 0;
  };
  // A question as a nameserver received it.
  struct Query {
    int fd;
    Octets message;
    Octets wire_name;
    Name question;
    std::uint8_t server;
    bool tcp;
  };
  // An answer with records. Its number is encoded in its records.
  struct Served {
    Name question;
    bool tcp;
  };
  class Caller;

  void on_question(int fd, std::span<const std::uint8_t> message) override;
  bool on_wait(int timeout) override;

  void step();
  void finish(int timeout);
  void stop();
  void open();
  void ask();
  void leave();
  void cancel();
  void change_manners();
  void end_connection();
  void send_garbage();
  void answer();
  void answer_wrongly(const Query& query, std::size_t kind);
  Octets records_for(const Query& query, bool truncated);
  Octets negative(const Query& query, unsigned rcode);
  void say(const Query& query, const Octets& message) { network_.send(query.fd, message); }

  void on_answer(Asked& asked, const Reply& reply);
  void check_records(const Asked& asked, const Reply& reply) const;
  void check_error(const Asked& asked, Error error) const;
  bool is_spoilt(const Asked& asked) const;
  void check_nobody_is_late() const;
  void check_numbers() const;
  std::vector<RecordType> types_of(const Asked& asked) const;

  CaresLibrary cares_;
  Input input_;
  FakeNetwork network_{*this};
  std::vector<Customer> customers_;
  std::vector<std::unique_ptr<Asked>> asked_;  // pointers, because callers refer to the elements
  std::vector<Query> queries_;                 // the last ones
  std::size_t query_count_ = 0;
  std::vector<Served> served_;
  std::set<Name> denied_;   // the questions that got a negative answer
  std::set<Name> spoilt_;   // the questions to which a reply with arbitrary content may have been sent
  std::bitset<32> causes_;  // by Error: whether a cause of that error has happened
  bool is_stopping_ = false;
  std::size_t waits_without_end_ = 0;  // successive waits that took no time and ended no lookup
  std::size_t waits_to_finish_ = 0;
  // The thread that created this object does not use it between the two.
  std::binary_semaphore may_begin_{0};
  std::binary_semaphore is_over_{0};
  bool has_begun_ = false;
  // Declared after everything that its thread uses.
  std::unique_ptr<Resolver> resolver_ = std::make_unique<Resolver>();
};

}  // namespace caravan::fuzz
