// Reads JSON text.
//
// A JsonValue is a value, whole and owned. Any thread. RapidJSON is included in json_value.cpp only.
#pragma once

#include <topicfs/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace topicfs {

class JsonValue {
public:
    // kInvalid, with the position, for what is no JSON or is nested more than 64 deep.
    static Result<JsonValue> parse(std::string_view text);

    // Of an object; null where this is none, or has no such member.
    const JsonValue* find(std::string_view key) const;
    // Of an array; empty where this is none.
    const std::vector<JsonValue>& items() const;

    // Empty, 0 or false where this is of another kind (or below 0, or no whole number).
    std::string_view text() const;
    std::uint64_t number() const;
    bool truth() const;

    // As above, of a member.
    const std::vector<JsonValue>& items(std::string_view key) const;
    std::string_view text(std::string_view key) const;
    std::uint64_t number(std::string_view key) const;
    bool truth(std::string_view key) const;

private:
    friend class JsonReader;
    using Object = std::vector<std::pair<std::string, JsonValue>>;
    using Array = std::vector<JsonValue>;
    // Nothing: null, and numbers that are no uint64.
    std::variant<std::monostate, bool, std::uint64_t, std::string, Array, Object> value_;
};

}  // namespace topicfs
