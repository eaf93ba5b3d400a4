// What the stores of the fault tests do: at random, or in a fixed order.
#include "fault/store_run.h"

#include <algorithm>
#include <array>
#include <utility>

namespace topicfs::test {
namespace {

constexpr std::array kTopics = {"lines", "bytes", "nuls"};

// Lines for "lines", anything for "bytes", NUL-ended records for "nuls".
std::string content_for(const std::string& topic, Random& random) {
    const std::uint64_t most = random.one_in(4) ? 20'000 : random.one_in(2) ? 600 : 40;
    std::string text = to_text(random.log_lines(random.between(2, most)));
    if (topic == "nuls") {
        std::replace(text.begin(), text.end(), '\n', '\0');
        return text;
    }
    if (random.one_in(8)) {
        const std::size_t at = random.between(0, text.size() - 1);
        text.replace(at, random.between(1, 5000), random.between(1, 5000), '\0');
    }
    if (random.one_in(3)) {
        text.pop_back();
    }
    return text.empty() ? "x" : text;
}

Result<void> change_setting(StoreRun& run, const std::string& topic, Random& random) {
    switch (random.between(0, 3)) {
        case 0: {
            constexpr std::array kCodecs = {"none", "lz4", "zstd"};
            return run.set(topic, "compression.type", kCodecs.at(random.between(0, 2)));
        }
        case 1:
            return run.set(topic, "segment.bytes", std::to_string(random.between(4096, 40'000)));
        case 2:
            return run.set(topic, "seal.bytes", std::to_string(random.between(1000, 30'000)));
        default:
            return run.set(topic, "flush.messages", random.one_in(3) ? "1" : "off");
    }
}

}  // namespace

Result<void> make_topics(StoreRun& run) {
    for (const std::string topic : kTopics) {
        if (run.has_topic(topic)) {
            continue;
        }
        TOPICFS_TRY(run.create_topic(topic));
        TOPICFS_TRY(run.set(topic, "seal.bytes", "9000"));
        TOPICFS_TRY(run.set(topic, "segment.bytes", "20000"));
        if (topic != "lines") {
            TOPICFS_TRY(run.set(topic, "record.delimiter", topic == "nuls" ? "\\0" : "none"));
        }
    }
    return {};
}

Result<void> do_something(StoreRun& run, ManualClock& clock, Random& random) {
    const std::string topic = kTopics.at(random.between(0, kTopics.size() - 1));
    const auto number = static_cast<std::uint32_t>(random.between(0, run.partition_count(topic) - 1));
    clock.advance(static_cast<std::int64_t>(random.one_in(4) ? random.between(10, 20'000) : random.between(0, 12)));
    const std::uint64_t what = random.between(0, 99);
    if (what < 55) {
        return run.append(topic, number, content_for(topic, random));
    }
    if (what < 67) {
        return run.sync(topic, number);
    }
    if (what < 77) {
        return run.maintain(random.one_in(3));
    }
    if (what < 85) {
        return run.seal(topic, number);
    }
    if (what < 93) {
        return change_setting(run, topic, random);
    }
    if (what < 95 && run.partition_count(topic) < 3) {
        return run.add_partition(topic);
    }
    if (what < 97) {
        TOPICFS_TRY(run.close());
        return run.open();
    }
    return {};
}

bool run_scenario(StoreRun& run, ManualClock& clock) {
    bool clean = true;
    const auto step = [&](const Result<void>& result) { clean = clean && result.has_value(); };
    const auto advance = [&] { clock.advance(15); };
    Random random(7);
    if (const auto opened = run.open(); !opened) {
        return false;
    }
    step(make_topics(run));
    for (const std::string topic : kTopics) {
        if (!run.has_topic(topic)) {
            return false;
        }
    }
    step(run.set("lines", "seal.bytes", "3000"));
    step(run.set("lines", "segment.bytes", "4096"));
    for (int round = 0; round < 3; ++round) {
        for (const std::string topic : kTopics) {
            std::string bytes = to_text(random.bytes(2500));
            bytes.back() = topic == "nuls" ? '\0' : 'x';
            step(run.append(topic, 0, bytes));
            advance();
            step(run.append(topic, 0, content_for(topic, random)));
        }
        step(run.maintain(false));
        step(run.append("lines", 0, "a line that was synced\n"));
        step(run.sync("lines", 0));
        step(run.append("lines", 0, std::string("with\0NUL\n", 9)));
        advance();
        step(run.sync("lines", 0));
        step(run.append("lines", 0, to_text(random.log_lines(5000))));
        step(run.maintain(true));
        constexpr std::array kCodecs = {"zstd", "none", "lz4"};
        step(run.set("lines", "compression.type", kCodecs.at(static_cast<std::size_t>(round))));
    }
    step(run.add_partition("lines"));
    const std::uint32_t newest = run.partition_count("lines") - 1;
    step(run.append("lines", newest, to_text(random.log_lines(9000))));
    step(run.set("bytes", "flush.messages", "1"));
    step(run.append("bytes", 0, "synced at once"));
    step(run.append("lines", 0, "unsynced\n"));
    step(run.close());
    if (const auto opened = run.open(); !opened) {
        return false;
    }
    step(run.append("lines", 0, to_text(random.log_lines(7000))));
    step(run.maintain(false));
    step(run.append("lines", 0, "the last line\n"));
    step(run.sync("lines", 0));
    step(run.append("nuls", 0, std::string("un\0synced", 9)));  // a NUL at its end would be taken for unwritten
    for (int batch = 0; batch < 4; ++batch) {
        step(run.append("lines", 0, to_text(random.bytes(2500))));
        step(run.seal("lines", 0));
    }
    step(run.append("bytes", 0, "sealed, and not synced"));
    step(run.seal("bytes", 0));
    return clean;
}

}  // namespace topicfs::test
