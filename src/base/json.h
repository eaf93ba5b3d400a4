// Writes JSON text: keys in the order given, strings escaped, invalid UTF-8 replaced by U+FFFD.
//
// One thread. Misnesting is a programmer's error and is asserted. RapidJSON is included in json.cpp only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace topicfs {

bool is_valid_utf8(std::string_view text);

class JsonWriter {
public:
    enum class Style { kCompact, kIndented };

    explicit JsonWriter(Style style = Style::kCompact);
    ~JsonWriter();
    JsonWriter(const JsonWriter&) = delete;
    JsonWriter& operator=(const JsonWriter&) = delete;

    JsonWriter& begin_object();
    JsonWriter& end_object();
    JsonWriter& begin_array();
    JsonWriter& end_array();
    JsonWriter& key(std::string_view name);
    JsonWriter& value(std::string_view text);
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(std::uint64_t number);
    JsonWriter& value(std::int64_t number);
    JsonWriter& value(std::uint32_t number) { return value(std::uint64_t{number}); }
    JsonWriter& value(std::int32_t number) { return value(std::int64_t{number}); }
    JsonWriter& value(double number);
    JsonWriter& value(bool truth);
    JsonWriter& null();
    // A value that is JSON already.
    JsonWriter& raw(std::string_view json);

    // key and value in one.
    template <typename T>
    JsonWriter& member(std::string_view name, const T& what) {
        key(name);
        return value(what);
    }

    // What was written so far; whole once every object and array is ended.
    std::string text() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace topicfs
