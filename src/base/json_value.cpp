#include "base/json_value.h"

// As in json.cpp.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>
#if defined(__clang__)
#pragma clang attribute pop
#endif

#include <cstddef>

namespace topicfs {

// RapidJSON calls it for each thing it meets.
class JsonReader : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, JsonReader> {
public:
    static constexpr std::size_t kDepthMax = 64;

    bool Default() { return add({}); }
    bool Bool(bool truth) { return add(truth); }
    bool Int(int number) { return Int64(number); }
    bool Uint(unsigned number) { return add(std::uint64_t{number}); }
    bool Int64(std::int64_t number) { return number < 0 ? add({}) : add(static_cast<std::uint64_t>(number)); }
    bool Uint64(std::uint64_t number) { return add(number); }
    bool String(const char* text, rapidjson::SizeType size, bool /*copy*/) { return add(std::string(text, size)); }
    bool StartObject() { return begin(JsonValue::Object()); }
    bool EndObject(rapidjson::SizeType /*count*/) { return end(); }
    bool StartArray() { return begin(JsonValue::Array()); }
    bool EndArray(rapidjson::SizeType /*count*/) { return end(); }
    bool Key(const char* text, rapidjson::SizeType size, bool /*copy*/) {
        open_.back().key.assign(text, size);
        return true;
    }

    JsonValue take() { return std::move(whole_); }

private:
    using Value = decltype(JsonValue::value_);
    struct Open {
        JsonValue value;
        std::string key;  // of its next member
    };

    bool begin(Value value) {
        if (open_.size() == kDepthMax) {
            return false;
        }
        open_.emplace_back().value.value_ = std::move(value);
        return true;
    }
    bool end() {
        Value value = std::move(open_.back().value.value_);
        open_.pop_back();
        return add(std::move(value));
    }
    bool add(Value value) {
        JsonValue one;
        one.value_ = std::move(value);
        if (open_.empty()) {
            whole_ = std::move(one);
        } else if (auto* array = std::get_if<JsonValue::Array>(&open_.back().value.value_)) {
            array->push_back(std::move(one));
        } else {
            std::get<JsonValue::Object>(open_.back().value.value_).emplace_back(open_.back().key, std::move(one));
        }
        return true;
    }

    std::vector<Open> open_;
    JsonValue whole_;
};

Result<JsonValue> JsonValue::parse(std::string_view text) {
    rapidjson::MemoryStream stream(text.data(), text.size());
    rapidjson::Reader reader;
    JsonReader handler;
    // Not by recursion: so the depth is what we say, not what the stack bears.
    if (!reader.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(stream, handler)) {
        Error error =
            make_error(ErrorCode::kInvalid, "read JSON", "", rapidjson::GetParseError_En(reader.GetParseErrorCode()));
        error.position = reader.GetErrorOffset();
        return error;
    }
    return handler.take();
}

const JsonValue* JsonValue::find(std::string_view key) const {
    if (const auto* object = std::get_if<Object>(&value_)) {
        for (const auto& [name, value] : *object) {
            if (name == key) {
                return &value;
            }
        }
    }
    return nullptr;
}

const std::vector<JsonValue>& JsonValue::items() const {
    static const Array kNone;
    const auto* array = std::get_if<Array>(&value_);
    return array != nullptr ? *array : kNone;
}

std::string_view JsonValue::text() const {
    const auto* text = std::get_if<std::string>(&value_);
    return text != nullptr ? *text : std::string_view();
}

std::uint64_t JsonValue::number() const {
    const auto* number = std::get_if<std::uint64_t>(&value_);
    return number != nullptr ? *number : 0;
}

bool JsonValue::truth() const {
    const auto* truth = std::get_if<bool>(&value_);
    return truth != nullptr && *truth;
}

const std::vector<JsonValue>& JsonValue::items(std::string_view key) const {
    static const JsonValue kNone;
    const JsonValue* value = find(key);
    return (value != nullptr ? *value : kNone).items();
}

std::string_view JsonValue::text(std::string_view key) const {
    const JsonValue* value = find(key);
    return value != nullptr ? value->text() : std::string_view();
}

std::uint64_t JsonValue::number(std::string_view key) const {
    const JsonValue* value = find(key);
    return value != nullptr ? value->number() : 0;
}

bool JsonValue::truth(std::string_view key) const {
    const JsonValue* value = find(key);
    return value != nullptr && value->truth();
}

}  // namespace topicfs
