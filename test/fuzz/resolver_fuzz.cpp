#include <cstdint>
#include <cstdlib>

#include "support/entry.hpp"
#include "support/input.hpp"
#include "support/resolver_world.hpp"

// Drives the whole resolver with requests, replies, time-outs, connections that end and clients that leave, as the
// input says; resolver_world.cpp defines its format. Nameservers and the clock are simulated in this process.
namespace {

// Makes the search list independent of the machine.
const bool has_environment = [] {
  return ::setenv("LOCALDOMAIN", "one.test two.test", 1) == 0 && ::setenv("RES_OPTIONS", "ndots:2", 1) == 0;
}();

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A longer input only takes more time.
  constexpr std::size_t most = 1024;
  if (has_environment && size > 0 && size <= most) {
    caravan::fuzz::ResolverWorld world{caravan::fuzz::Input{data, size}};
    world.run();
  }
  return 0;
}
