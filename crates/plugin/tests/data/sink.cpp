// A sink in C++11: counts samples. No exception may leave a call.
#include <string>

#include "tickscope_sink.h"

namespace {

struct Count {
    uint64_t samples = 0;
    std::string said;
};

int32_t open(const TickscopeHost *, TickscopeText, const TickscopeMetadata *, void **sink) noexcept {
    *sink = new Count;
    return TICKSCOPE_CONTINUE;
}

int32_t batch(void *sink, const TickscopeBatch *batch) noexcept {
    static_cast<Count *>(sink)->samples += batch->n_samples;
    return TICKSCOPE_CONTINUE;
}

void health(void *sink, TickscopeHealth *health) noexcept {
    auto count = static_cast<Count *>(sink);
    count->said = std::to_string(count->samples) + " samples";
    health->message = { count->said.data(), count->said.size() };
    health->written = count->samples;
}

void close(void *sink) noexcept { delete static_cast<Count *>(sink); }

}

const TickscopeSink tickscope_sink = {
    TICKSCOPE_TABLE_HEAD,
    TICKSCOPE_TEXT("cpp-count"),
    TICKSCOPE_TEXT("1.0.0"),
    TICKSCOPE_TEXT("Counts samples."),
    TICKSCOPE_TEXT(""),
    open, batch, nullptr, nullptr, nullptr, health, close,
};
