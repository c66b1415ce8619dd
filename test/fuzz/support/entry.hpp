#pragma once

#include <cstddef>
#include <cstdint>

// The fuzzer: libFuzzer or replay_corpus.cpp calls it with each input.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
