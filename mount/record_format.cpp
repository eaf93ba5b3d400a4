#include "record_format.h"

#include "base/json.h"
#include "base/text.h"

#include <boost/archive/iterators/base64_from_binary.hpp>
#include <boost/archive/iterators/transform_width.hpp>

#include <cctype>
#include <string>

namespace topicfs {

namespace {

constexpr std::string_view kLetters = "sStpoTd%";

Error bad_format(const std::string& what) {
    return make_error(ErrorCode::kInvalid, "", "",
                      "'" + what + "' in the format; it takes %s %S %t %p %o %T %d %% \\n \\r \\t \\0 \\\\ and \\xHH");
}

// The character that the escape at the beginning of `text`, behind its backslash, stands for; `text` goes behind it.
std::optional<char> take_escape(std::string_view& text) {
    constexpr std::string_view kNames = "nrt0\\";
    constexpr std::string_view kMeanings("\n\r\t\0\\", 5);
    const std::size_t known = text.empty() ? std::string_view::npos : kNames.find(text.front());
    if (known != std::string_view::npos) {
        text.remove_prefix(1);
        return kMeanings[known];
    }
    if (text.size() >= 3 && text.front() == 'x' && std::isxdigit(static_cast<unsigned char>(text[1])) != 0 &&
        std::isxdigit(static_cast<unsigned char>(text[2])) != 0) {
        const int value = std::stoi(std::string(text.substr(1, 2)), nullptr, 16);
        text.remove_prefix(3);
        return static_cast<char>(value);
    }
    return std::nullopt;
}

std::string base64(std::string_view bytes) {
    using namespace boost::archive::iterators;
    using Encoded = base64_from_binary<transform_width<std::string_view::const_iterator, 6, 8>>;
    std::string text(Encoded(bytes.begin()), Encoded(bytes.end()));
    text.resize((text.size() + 3) / 4 * 4, '=');
    return text;
}

}  // namespace

Result<RecordFormat> RecordFormat::parse(std::string_view text) {
    RecordFormat format;
    std::string literal;
    const auto end_literal = [&] {
        if (!literal.empty()) {
            format.pieces_.push_back({0, std::move(literal)});
            literal.clear();
        }
    };
    while (!text.empty()) {
        const char first = text.front();
        text.remove_prefix(1);
        if (first == '\\') {
            const std::string rest(text.substr(0, 1));
            const auto meant = take_escape(text);
            if (!meant) {
                return bad_format("\\" + rest);
            }
            literal += *meant;
        } else if (first != '%') {
            literal += first;
        } else if (text.empty() || kLetters.find(text.front()) == std::string_view::npos) {
            return bad_format("%" + std::string(text.substr(0, 1)));
        } else {
            const char letter = text.front();
            text.remove_prefix(1);
            if (letter == '%') {
                literal += '%';
                continue;
            }
            end_literal();
            format.pieces_.push_back({letter, {}});
        }
    }
    end_literal();
    return format;
}

void RecordFormat::add(std::string& out, const RecordPlace& place, std::string_view record) const {
    for (const Piece& piece : pieces_) {
        switch (piece.letter) {
            case 's':
                out += record;
                break;
            case 'S':
                out += std::to_string(record.size());
                break;
            case 't':
                out += place.topic;
                break;
            case 'p':
                out += std::to_string(place.partition);
                break;
            case 'o':
                out += std::to_string(place.offset.value);
                break;
            case 'T':
                out += std::to_string(place.time ? place.time->value : -1);
                break;
            case 'd':
                out += place.time ? human_time(place.time->value) : std::string();
                break;
            default:
                out += piece.text;
        }
    }
}

void add_as_json(std::string& out, const RecordPlace& place, std::string_view record, const RecordFailure* failure) {
    JsonWriter json;
    json.begin_object();
    json.member("topic", place.topic);
    json.member("partition", place.partition);
    json.member("offset", place.offset.value);
    if (place.time) {
        json.member("time", std::string_view(human_time(place.time->value)));
        json.member("timestamp", place.time->value);
    } else {
        json.key("time").null().key("timestamp").null();
    }
    if (failure != nullptr) {
        json.member("group", failure->group).member("reason", failure->reason).member("attempts", failure->attempts);
    }
    if (is_valid_utf8(record)) {
        json.member("record", record);
    } else {
        json.member("record_base64", std::string_view(base64(record)));
    }
    json.end_object();
    out += json.text();
    out += '\n';
}

}  // namespace topicfs
