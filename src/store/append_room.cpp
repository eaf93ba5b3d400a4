#include "store/append_room.h"

#include <cerrno>
#include <mutex>
#include <utility>

namespace topicfs {

namespace {

// Far more than there are threads that take what was made for another.
constexpr int kTriesMax = 1000;

}  // namespace

bool AppendRoom::take(std::uint64_t bytes) {
    return try_and_look(bytes, [&] { return try_take(bytes); });
}

bool AppendRoom::has_any() {
    if (!is_unbounded()) {
        (void)look_again(0);
    }
    return try_and_look(1, [&] { return left_ > 0; });
}

// What was made for one can be taken by another first.
template <typename Try>
bool AppendRoom::try_and_look(std::uint64_t bytes, Try attempt) {
    for (int tries = 0; tries < kTriesMax; ++tries) {
        if (attempt()) {
            return true;
        }
        if (!look_again(bytes)) {
            break;
        }
    }
    const bool has = attempt();
    if (!has) {
        has_refused_ = true;
    }
    return has;
}

// Two that take at once may both be told that there is too little, where there was enough for one. They look again.
bool AppendRoom::try_take(std::uint64_t bytes) {
    if (is_unbounded()) {
        return true;
    }
    const auto wanted = static_cast<std::int64_t>(bytes);
    if (left_.fetch_sub(wanted) >= wanted) {
        return true;
    }
    left_ += wanted;
    return false;
}

bool AppendRoom::look_again(std::uint64_t bytes) {
    const std::shared_lock lock(mutex_);
    return look_ && look_(bytes);
}

Error AppendRoom::refusal(const char* operation, std::string path) const {
    Error error = system_error(ENOSPC, operation, std::move(path));
    error.detail = "the store has met store.bytes.max or disk.free.min";
    return error;
}

void AppendRoom::on_shortage(std::function<bool(std::uint64_t bytes)> look) {
    const std::unique_lock lock(mutex_);
    look_ = std::move(look);
}

}  // namespace topicfs
