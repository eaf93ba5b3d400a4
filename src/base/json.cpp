#include "base/json.h"

// RapidJSON's empty stack adds to a null pointer to see whether there is room; clang's sanitizer reports that.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>
#if defined(__clang__)
#pragma clang attribute pop
#endif

#include <cmath>
#include <cstddef>
#include <variant>

namespace topicfs {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";  // U+FFFD

// What a well-formed UTF-8 sequence that begins with a given byte looks like: its length, and the range of its second
// byte (Unicode 15, table 3-7). Length 0 where no sequence begins so.
struct Utf8Form {
    std::size_t length;
    unsigned char second_min;
    unsigned char second_max;
};

Utf8Form utf8_form(unsigned char first) {
    if (first < 0x80) {
        return {1, 0, 0};
    }
    if (first < 0xC2 || first > 0xF4) {
        return {0, 0, 0};
    }
    if (first < 0xE0) {
        return {2, 0x80, 0xBF};
    }
    if (first < 0xF0) {
        return {3, static_cast<unsigned char>(first == 0xE0 ? 0xA0 : 0x80),
                static_cast<unsigned char>(first == 0xED ? 0x9F : 0xBF)};
    }
    return {4, static_cast<unsigned char>(first == 0xF0 ? 0x90 : 0x80),
            static_cast<unsigned char>(first == 0xF4 ? 0x8F : 0xBF)};
}

// How many bytes at `at` belong to the sequence that begins there, and whether it is all there.
std::pair<std::size_t, bool> measure_sequence(std::string_view text, std::size_t at) {
    const Utf8Form form = utf8_form(static_cast<unsigned char>(text[at]));
    if (form.length == 0) {
        return {1, false};
    }
    for (std::size_t i = 1; i < form.length; ++i) {
        const unsigned char byte = at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
        const unsigned char low = i == 1 ? form.second_min : 0x80;
        const unsigned char high = i == 1 ? form.second_max : 0xBF;
        if (byte < low || byte > high) {
            return {i, false};
        }
    }
    return {form.length, true};
}

std::string with_valid_utf8(std::string_view text) {
    std::string valid;
    valid.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const auto [length, whole] = measure_sequence(text, at);
        valid += whole ? text.substr(at, length) : std::string_view(kReplacement);
        at += length;
    }
    return valid;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const auto [length, whole] = measure_sequence(text, at);
        if (!whole) {
            return false;
        }
        at += length;
    }
    return true;
}

namespace {

using Buffer = rapidjson::StringBuffer;
using CompactWriter = rapidjson::Writer<Buffer>;
using IndentedWriter = rapidjson::PrettyWriter<Buffer>;

}  // namespace

struct JsonWriter::Impl {
    explicit Impl(Style style) {
        if (style == Style::kCompact) {
            writer.emplace<CompactWriter>(buffer);
        } else {
            writer.emplace<IndentedWriter>(buffer).SetIndent(' ', 2);
        }
    }

    // Calls `what` with the writer in use.
    template <typename What>
    void write(const What& what) {
        if (auto* compact = std::get_if<CompactWriter>(&writer)) {
            what(*compact);
        } else {
            what(std::get<IndentedWriter>(writer));
        }
    }

    Buffer buffer;
    std::variant<std::monostate, CompactWriter, IndentedWriter> writer;
};

JsonWriter::JsonWriter(Style style) : impl_(std::make_unique<Impl>(style)) {}

JsonWriter::~JsonWriter() = default;

JsonWriter& JsonWriter::begin_object() {
    impl_->write([](auto& writer) { writer.StartObject(); });
    return *this;
}

JsonWriter& JsonWriter::end_object() {
    impl_->write([](auto& writer) { writer.EndObject(); });
    return *this;
}

JsonWriter& JsonWriter::begin_array() {
    impl_->write([](auto& writer) { writer.StartArray(); });
    return *this;
}

JsonWriter& JsonWriter::end_array() {
    impl_->write([](auto& writer) { writer.EndArray(); });
    return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
    const std::string valid = with_valid_utf8(name);
    impl_->write([&](auto& writer) { writer.Key(valid.data(), static_cast<rapidjson::SizeType>(valid.size())); });
    return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
    const std::string valid = with_valid_utf8(text);
    impl_->write([&](auto& writer) { writer.String(valid.data(), static_cast<rapidjson::SizeType>(valid.size())); });
    return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
    impl_->write([&](auto& writer) { writer.RawValue(json.data(), json.size(), rapidjson::kObjectType); });
    return *this;
}

JsonWriter& JsonWriter::value(std::uint64_t number) {
    impl_->write([&](auto& writer) { writer.Uint64(number); });
    return *this;
}

JsonWriter& JsonWriter::value(std::int64_t number) {
    impl_->write([&](auto& writer) { writer.Int64(number); });
    return *this;
}

JsonWriter& JsonWriter::value(double number) {
    // JSON has no word for infinity and for what is not a number.
    if (!std::isfinite(number)) {
        return null();
    }
    impl_->write([&](auto& writer) { writer.Double(number); });
    return *this;
}

JsonWriter& JsonWriter::value(bool truth) {
    impl_->write([&](auto& writer) { writer.Bool(truth); });
    return *this;
}

JsonWriter& JsonWriter::null() {
    impl_->write([](auto& writer) { writer.Null(); });
    return *this;
}

std::string JsonWriter::text() const {
    return {impl_->buffer.GetString(), impl_->buffer.GetSize()};
}

}  // namespace topicfs
