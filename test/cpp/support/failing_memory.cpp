#include "support/failing_memory.hpp"

#include <dlfcn.h>
#include <pthread.h>

#include <cerrno>
#include <cstdlib>
#include <new>

namespace caravan::test {
namespace {

thread_local std::size_t allocations_left = 0;  // the last one fails
thread_local bool has_no_threads = false;

}  // namespace

FailingAllocation::FailingAllocation(std::size_t number) noexcept { allocations_left = number; }
FailingAllocation::~FailingAllocation() { allocations_left = 0; }
bool FailingAllocation::has_failed() const noexcept { return allocations_left == 0; }

NoThreads::NoThreads() noexcept { has_no_threads = true; }
NoThreads::~NoThreads() { has_no_threads = false; }

}  // namespace caravan::test

// The other forms of operator new call these, unless a sanitizer replaces all of them.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  auto& left = caravan::test::allocations_left;
  if (left > 0 && --left == 0) {
    return nullptr;
  }
  return std::malloc(size > 0 ? size : 1);
}
void* operator new(std::size_t size) {
  if (auto* memory = operator new(size, std::nothrow)) {
    return memory;
  }
  throw std::bad_alloc{};
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

// A sanitizer needs its own pthread_create to be called.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                              void* argument) {
  if (caravan::test::has_no_threads) {
    return EAGAIN;
  }
  static const auto create = reinterpret_cast<decltype(&pthread_create)>(::dlsym(RTLD_NEXT, "pthread_create"));
  return create(thread, attributes, run, argument);
}
#endif
