#include <erl_nif.h>

#include <ctime>

// cpu_time() returns the CPU time of the calling thread, in nanoseconds. noop() is the baseline.

namespace {

ERL_NIF_TERM cpu_time(ErlNifEnv* env, int /*argc*/, const ERL_NIF_TERM /*argv*/[]) {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return enif_make_int64(env, ErlNifSInt64{now.tv_sec} * 1'000'000'000 + now.tv_nsec);
}

ERL_NIF_TERM noop(ErlNifEnv* /*env*/, int /*argc*/, const ERL_NIF_TERM argv[]) { return argv[0]; }

ErlNifFunc functions[] = {{"cpu_time", 0, cpu_time, 0}, {"noop", 1, noop, 0}};

}  // namespace

extern "C" ERL_NIF_INIT(bench_nif_calls, functions, nullptr, nullptr, nullptr, nullptr)
