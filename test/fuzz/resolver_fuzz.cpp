#include <cstdint>
#include <cstdlib>

#include "support/entry.hpp"
#include "support/input.hpp"
#include "support/resolver_world.hpp"

// The whole resolver, fed with requests, replies, time-outs, connections that end and clients that go, by what the
// octets of the input say: resolver_world.cpp has what they mean. Nameservers and the clock are in this process.
namespace {

// The search list is that of the input's world, whatever the machine's is.
const bool has_environment = [] {
  return ::setenv("LOCALDOMAIN", "one.test two.test", 1) == 0 && ::setenv("RES_OPTIONS", "ndots:2", 1) == 0;
}();

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // More octets make it slower, and nothing else.
  constexpr std::size_t most = 1024;
  if (has_environment && size > 0 && size <= most) {
    caravan::fuzz::ResolverWorld world{caravan::fuzz::Input{data, size}};
    world.run();
  }
  return 0;
}
