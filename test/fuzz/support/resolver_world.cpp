#include "support/resolver_world.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/wire/dns_name.hpp"
#include "core/wire/dns_reader.hpp"
#include "support/dns_builder.hpp"
#include "support/require.hpp"

namespace caravan::fuzz {
namespace {

using std::chrono::milliseconds;

constexpr std::array<std::string_view, 6> kNames{"a", "b.a", "app.example", "app.example.", "APP.Example", "x.y.z"};
constexpr std::array kTypes{LookupType::kSrv, LookupType::kA, LookupType::kAaaa, LookupType::kAddresses};
constexpr std::array<TransportChoice, 4> kTransports{std::nullopt, Transport::kUdp, Transport::kTcp,
                                                     Transport::kTcpFirst};
const SearchList kSearch{{"one.test", "two.test"}, 2};

constexpr std::size_t kMaxCustomers = 6;
constexpr std::size_t kMaxLookups = 200;
constexpr std::size_t kMaxQueriesKept = 64;
constexpr std::size_t kHeaderSize = 12;

std::string folded(std::string_view name) {
  std::string lower{name};
  std::transform(lower.begin(), lower.end(), lower.begin(), to_lower_ascii);
  return lower;
}

}  // namespace

// Receives the answer on the resolver's thread, on which all of this runs.
class ResolverWorld::Caller final : public Receiver {
 public:
  Caller(ResolverWorld& world, Asked& asked) noexcept : world_{world}, asked_{asked} {}

  Interest interest() const noexcept override { return asked_.interest; }
  Interest deliver(const Reply& reply, std::unique_ptr<Rendering>* /*shared*/) noexcept override {
    world_.on_answer(asked_, reply);
    return asked_.interest;
  }

 private:
  ResolverWorld& world_;
  Asked& asked_;
};

ResolverWorld::ResolverWorld(Input input) : input_{input} {}

void ResolverWorld::run() {
  const auto manners = input_.u8();
  for (std::size_t server = 0; server < FakeNetwork::kServers; ++server) {
    network_.manners(server, true) = static_cast<Manners>(manners >> (2 * server) & 3U);
  }
  open();
  // The first accepted lookup starts the resolver's thread, which from then on calls all of this.
  while (asked_.empty() && !input_.empty()) {
    ask();
  }
  if (!asked_.empty()) {
    may_begin_.release();
    is_over_.acquire();
  }
  resolver_.reset();
  for (const auto& asked : asked_) {
    require(asked->has_ended);
  }
  require(network_.sockets().empty());
  check_numbers();
}

void ResolverWorld::open() {
  if (customers_.size() == kMaxCustomers) {
    return;
  }
  ClientOptions options;
  Nameservers nameservers;
  for (auto count = 1 + input_.below(FakeNetwork::kServers); count > 0; --count) {
    const auto port = std::to_string(FakeNetwork::kFirstPort + input_.below(FakeNetwork::kServers));
    nameservers.push_back(parse_nameserver("127.0.0.1:" + port).value());
  }
  options.nameservers = std::make_shared<const Nameservers>(std::move(nameservers));
  const auto bits = input_.u16();
  options.transport = kTransports[bits & 3U];
  options.tries = static_cast<std::uint8_t>(1 + (bits >> 2U & 3U));
  options.rotate = (bits & 0x10U) != 0;
  options.mixed_case = (bits & 0x20U) != 0;
  options.edns_size = (bits & 0x40U) != 0 ? kMaxEdnsSize : std::uint16_t{0};
  options.search = (bits & 0x80U) != 0;
  options.srv_order = (bits & 0x100U) != 0;
  options.max_inflight = 1 + (bits >> 9U & 3U);
  options.max_queue = (bits & 0x800U) != 0 ? 2 : 1000;
  if ((bits & 0x1000U) != 0) {
    options.cache = ReplyCache::Limits{2, 60, 5};
  }
  options.timeout = milliseconds{1 + 25 * input_.below(256)};
  options.hosts_file.clear();
  Customer customer;
  customer.searches = *options.search;
  customer.id = resolver_->open(std::move(options));
  customer.client = resolver_->find(customer.id);
  customers_.push_back(std::move(customer));
}

void ResolverWorld::ask() {
  const auto client = input_.below(customers_.size());
  auto& customer = customers_[client];
  const auto bits = input_.u8();
  const std::string name{kNames[(bits & 7U) % kNames.size()]};
  LookupRequest request;
  request.type = kTypes[bits >> 3U & 3U];
  request.name = name;
  if ((bits & 0x20U) != 0) {
    request.options.timeout = milliseconds{1 + 25 * input_.below(256)};
  }
  if (asked_.size() == kMaxLookups) {
    return;
  }
  auto asked = std::make_unique<Asked>();
  asked->client = client;
  asked->type = request.type;
  asked->names = search_candidates(name, customer.searches ? kSearch : SearchList{});
  std::transform(asked->names.begin(), asked->names.end(), asked->names.begin(), folded);
  asked->deadline = network_.now() + request.options.timeout.value_or(customer.client->options.timeout);
  request.waiter.receiver = std::make_unique<Caller>(*this, *asked);
  asked_.push_back(std::move(asked));
  if (const auto refusal = resolver_->submit(customer.id, std::move(request))) {
    require(refusal == Error::kOverload || (refusal == Error::kClosed && customer.is_closed));
    customer.refused += refusal == Error::kOverload ? 1U : 0U;
    asked_.pop_back();
  } else {
    ++customer.taken;
  }
}

// No lookup goes through a client that has left. If it was closed, its lookups end.
void ResolverWorld::leave() {
  auto& customer = customers_[input_.below(customers_.size())];
  const bool closes = input_.below(2) == 0;
  if (customer.is_closed) {
    return;
  }
  customer.is_closed = true;
  if (closes) {
    causes_.set(static_cast<std::size_t>(Error::kClosed));
    require(resolver_->close(customer.id));
  } else {
    resolver_->release(customer.id);
  }
  require(!resolver_->close(customer.id) && !resolver_->find(customer.id));
}

void ResolverWorld::cancel() {
  auto& asked = *asked_[input_.below(asked_.size())];
  asked.interest = input_.below(2) == 0 ? Interest::kCancelled : Interest::kGone;
}

void ResolverWorld::change_manners() {
  const auto bits = input_.u8();
  network_.manners(bits % FakeNetwork::kServers, (bits & 0x80U) != 0) = static_cast<Manners>(bits >> 4U & 3U);
  network_.set_descriptors_left((bits & 0x0CU) != 0x0CU);
  if ((bits & 0x0CU) == 0x0CU) {
    causes_.set(static_cast<std::size_t>(Error::kSystem));
  }
  if ((bits & 0x40U) != 0) {
    network_.connect_all();
  }
}

void ResolverWorld::end_connection() {
  auto& sockets = network_.sockets();
  const auto bits = input_.u8();
  if (sockets.empty()) {
    return;
  }
  auto& socket = std::next(sockets.begin(), static_cast<std::ptrdiff_t>(bits % sockets.size()))->second;
  (bits & 0x80U) != 0 ? socket.is_broken = true : socket.is_closed_by_peer = socket.tcp;
}

void ResolverWorld::on_question(int fd, std::span<const std::uint8_t> message) {
  const auto& socket = network_.sockets().at(fd);
  DnsReader reader{message, kHeaderSize};
  std::string name;
  reader.name(name);
  const auto name_end = reader.position();
  const auto type = static_cast<RecordType>(reader.u16());
  require(reader.u16() == kClassIn && !reader.failed());
  // A question to a server that recurses, followed by an OPT record or by no octets.
  require((message[2] & 0xF9U) == 0x01U && message[4] == 0 && message[5] == 1 && message[6] == 0 && message[7] == 0);
  require(message.size() - reader.position() == (message[11] != 0 ? 11U : 0U));
  require(type == RecordType::kSrv || type == RecordType::kA || type == RecordType::kAaaa);
  const Name question{folded(name), type};
  require(std::any_of(asked_.begin(), asked_.end(), [&](const auto& asked) {
    const auto types = types_of(*asked);
    return std::find(types.begin(), types.end(), type) != types.end() &&
           std::find(asked->names.begin(), asked->names.end(), question.first) != asked->names.end();
  }));
  const auto wire_name = message.subspan(kHeaderSize, name_end - kHeaderSize);
  if (queries_.size() == kMaxQueriesKept) {
    queries_.erase(queries_.begin());
  }
  queries_.push_back({fd,
                      {message.begin(), message.end()},
                      {wire_name.begin(), wire_name.end()},
                      question,
                      static_cast<std::uint8_t>(socket.server),
                      socket.tcp});
  // Three names of two types at three nameservers over two transports, four times each, and occasional repetitions.
  constexpr std::size_t most_of_a_lookup = 300;
  require(++query_count_ <= most_of_a_lookup * asked_.size());
}

std::vector<RecordType> ResolverWorld::types_of(const Asked& asked) const {
  switch (asked.type) {
    case LookupType::kSrv:
      return {RecordType::kSrv};
    case LookupType::kA:
      return {RecordType::kA};
    case LookupType::kAaaa:
      return {RecordType::kAaaa};
    case LookupType::kAddresses:
      break;
  }
  return {RecordType::kA, RecordType::kAaaa};
}

bool ResolverWorld::on_wait(int timeout) {
  if (!has_begun_) {
    may_begin_.acquire();
    has_begun_ = true;
  }
  if (is_stopping_) {
    return false;
  }
  if (timeout != 0) {
    check_nobody_is_late();
  }
  if (input_.empty()) {
    finish(timeout);
  } else {
    step();
  }
  return !is_stopping_;
}

void ResolverWorld::step() {
  switch (input_.below(16)) {
    case 0:
    case 1:
    case 2:
      ask();
      break;
    case 3:
      network_.advance(milliseconds{1 + input_.u8()});
      break;
    case 4:
      network_.advance(milliseconds{50 * (1 + input_.u8())});
      break;
    case 5:
      end_connection();
      break;
    case 6:
      leave();
      break;
    case 7:
      open();
      break;
    case 8:
      cancel();
      break;
    case 9:
      change_manners();
      break;
    case 10:
      send_garbage();
      break;
    case 11:
      if (input_.u8() == 0xFF) {
        stop();
      }
      break;
    default:
      answer();
  }
}

// There is no more input. Each wait must bring the end nearer, and at the last one no lookup may be open.
void ResolverWorld::finish(int timeout) {
  constexpr std::size_t most_waits = 20'000;
  constexpr std::size_t most_waits_without_time = 64;
  require(++waits_to_finish_ <= most_waits);
  waits_without_end_ = timeout == 0 ? waits_without_end_ + 1 : 0;
  require(waits_without_end_ <= most_waits_without_time);
  if (timeout >= 0) {
    network_.advance(milliseconds{timeout});
    return;
  }
  for (const auto& asked : asked_) {
    require(asked->has_ended);
  }
  for (const auto& customer : customers_) {
    require(customer.client->stats.in_flight == 0 && customer.client->stats.queued == 0);
  }
  stop();
}

void ResolverWorld::stop() {
  causes_.set(static_cast<std::size_t>(Error::kClosed));
  is_stopping_ = true;
  is_over_.release();
}

}  // namespace caravan::fuzz
