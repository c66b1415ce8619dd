#include <fcntl.h>
#include <sys/resource.h>

#include <system_error>
#include <vector>

#include "catch.hpp"
#include "core/resolver/resolver.hpp"
#include "support/handlers.hpp"
#include "support/lookup_client.hpp"
#include "support/reply_text.hpp"

// A VM has thousands of descriptors, and sometimes none left.
namespace caravan {
namespace {

using test::at;
using test::MockDnsServer;
using test::outcome;

const Question kQuestion{"app.example", RecordType::kSrv};

Fd any_descriptor() { return Fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)}; }

// Sets how many descriptors the process may have, until the end of the scope.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t limit) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit wanted{limit, before_.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &wanted) != 0) {
      throw std::system_error{errno, std::generic_category(), "setrlimit"};
    }
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  rlimit before_{};
};

// Takes all descriptors that are left, until the end of the scope.
class NoDescriptors {
 public:
  NoDescriptors() {
    while (true) {
      auto descriptor = any_descriptor();
      if (descriptor.get() < 0) {
        return;
      }
      taken_.push_back(std::move(descriptor));
    }
  }

 private:
  DescriptorLimit limit_{100};
  std::vector<Fd> taken_;
};

TEST_CASE("sockets with numbers that select cannot take are served") {
  constexpr int kSelectLimit = 1024;
  const DescriptorLimit limit{kSelectLimit + 200};
  std::vector<Fd> taken;
  do {
    taken.push_back(any_descriptor());
    REQUIRE(taken.back().get() >= 0);
  } while (taken.back().get() < kSelectLimit);

  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example")};
  CHECK(outcome(client.ask(kQuestion, at(Transport::kUdp, server))) == "ok");
  CHECK(outcome(client.ask(kQuestion, at(Transport::kTcp, server))) == "ok");
}

// UndefinedBehaviorSanitizer checks the type of an exception with a pipe, and reports a wrong type if it cannot open
// one.
#if !defined(__SANITIZE_ADDRESS__)
TEST_CASE("a resolver without descriptors fails and works again when there are some") {
  test::LookupClient client;
  MockDnsServer server{test::answer_with("n1.example")};
  const auto options = at(Transport::kUdp, server);
  {
    const NoDescriptors none;
    std::promise<test::Answer> promise;
    CHECK(client.submit(kQuestion, options, std::make_unique<test::PromiseReceiver>(std::move(promise))) ==
          Error::kSystem);
  }
  CHECK(outcome(client.ask(kQuestion, options)) == "ok");
}
#endif

TEST_CASE("a lookup that gets no socket fails and the next one does not") {
  test::LookupClient client;
  MockDnsServer known{test::answer_with("n1.example")};
  MockDnsServer server{test::answer_with("n1.example")};
  const auto transport = GENERATE(Transport::kUdp, Transport::kTcp);
  // The resolver has its thread, but no socket for the other server yet.
  REQUIRE(outcome(client.ask(kQuestion, at(Transport::kUdp, known))) == "ok");
  {
    const NoDescriptors none;
    CHECK(outcome(client.ask(kQuestion, at(transport, server))) == "system");
  }
  CHECK(outcome(client.ask(kQuestion, at(transport, server))) == "ok");
}

}  // namespace
}  // namespace caravan
