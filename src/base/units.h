// Amounts as people type them: a time as 90s or 7d, a size as 64MiB, each also as a plain number of its base unit.
//
// Pure; any thread.
#pragma once

#include <topicfs/result.h>

#include <cstdint>
#include <string_view>

namespace topicfs {

// What a number is counted in where no unit stands behind it.
enum class Unit {
    kNone,  // and no unit may stand there
    kMilliseconds,
    kMinutes,
    kBytes,
};

// What is understood, for a message: "500ms, 90s, 15m, 1h or 7d". Empty for kNone.
const char* unit_examples(Unit unit);

// A whole number that is all of `text`, and a unit right behind it or none; the result is in base units. Times have ms,
// s, m, h and d. Sizes have B, K, M, G, T (or KiB, MiB, …) by 1024 and KB, MB, … by 1000, in small letters too.
// kInvalid: the detail says what is wrong, as what follows on the text ("is no time").
Result<std::uint64_t> parse_amount(std::string_view text, Unit unit);

}  // namespace topicfs
