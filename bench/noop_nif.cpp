#include <erl_nif.h>

// The cost of a call of any NIF, for comparison.

namespace {

ERL_NIF_TERM noop(ErlNifEnv* /*env*/, int /*argc*/, const ERL_NIF_TERM argv[]) { return argv[0]; }

ErlNifFunc functions[] = {{"noop", 1, noop, 0}};

}  // namespace

extern "C" ERL_NIF_INIT(bench_dist_port, functions, nullptr, nullptr, nullptr, nullptr)
