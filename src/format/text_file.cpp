#include "format/text_file.h"

#include "base/crc32c.h"
#include "base/text.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <optional>
#include <span>
#include <utility>

namespace topicfs {
namespace {

constexpr std::string_view kFirstWord = "topicfs-";
constexpr std::string_view kAssign = " = ";
constexpr std::string_view kCrcKey = "crc32c";
constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::size_t kCrcDigits = 8;
// "crc32c = XXXXXXXX\n"
constexpr std::size_t kCrcLineBytes = kCrcKey.size() + kAssign.size() + kCrcDigits + 1;

bool is_key(std::string_view text) {
    return !text.empty() && text != kCrcKey && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    });
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

void append_escaped(std::string& out, std::string_view value) {
    for (const char c : value) {
        if (c == '\\') {
            out += "\\\\";
        } else if (c == '\n') {
            out += "\\n";
        } else if (is_control(c)) {
            const auto byte = static_cast<unsigned char>(c);
            out += "\\x";
            out += kHexDigits[byte >> 4];
            out += kHexDigits[byte & 0xF];
        } else {
            out += c;
        }
    }
}

// The byte of two hexadecimal digits.
std::optional<char> parse_hex_byte(std::string_view digits) {
    if (digits.size() != 2) {
        return std::nullopt;
    }
    const std::size_t high = kHexDigits.find(digits[0]);
    const std::size_t low = kHexDigits.find(digits[1]);
    if (high == std::string_view::npos || low == std::string_view::npos) {
        return std::nullopt;
    }
    return static_cast<char>(high * 16 + low);
}

std::optional<std::string> unescape(std::string_view text) {
    std::string value;
    value.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        if (is_control(text[at])) {
            return std::nullopt;
        }
        if (text[at] != '\\') {
            value += text[at++];
            continue;
        }
        const std::string_view escape = text.substr(at + 1, 1);
        if (escape == "\\" || escape == "n") {
            value += escape == "n" ? '\n' : '\\';
            at += 2;
            continue;
        }
        const std::optional<char> byte = escape == "x" ? parse_hex_byte(text.substr(at + 2, 2)) : std::nullopt;
        if (!byte) {
            return std::nullopt;
        }
        value += *byte;
        at += 4;
    }
    return value;
}

std::string crc_line(std::string_view before) {
    std::uint32_t crc = crc32c(std::as_bytes(std::span(before)));
    std::string digits(kCrcDigits, '0');
    for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
        *digit = kHexDigits[crc & 0xF];
        crc >>= 4;
    }
    return std::string(kCrcKey) + std::string(kAssign) + digits + "\n";
}

Error damaged(std::string_view kind, const char* why) {
    return make_error(ErrorCode::kDamaged, "decode", "", "the " + std::string(kind) + " file " + why);
}

// The version in the first line; nothing where that is not "topicfs-KIND VERSION".
std::optional<unsigned> parse_first_line(std::string_view line, std::string_view kind) {
    if (!line.starts_with(kFirstWord)) {
        return std::nullopt;
    }
    line.remove_prefix(kFirstWord.size());
    if (!line.starts_with(kind)) {
        return std::nullopt;
    }
    line.remove_prefix(kind.size());
    if (!line.starts_with(' ')) {
        return std::nullopt;
    }
    const std::optional<std::uint64_t> version = parse_unsigned(line.substr(1));
    if (!version || *version == 0 || *version > 0xFFFF) {
        return std::nullopt;
    }
    return static_cast<unsigned>(*version);
}

}  // namespace

std::string encode_text_file(const TextFile& file) {
    assert(is_key(file.kind) && file.version > 0 && file.version <= 0xFFFF);
    std::string text(kFirstWord);
    text += file.kind + " " + std::to_string(file.version) + "\n";
    for (const auto& [key, value] : file.values) {
        assert(is_key(key));
        text += key;
        text += kAssign;
        append_escaped(text, value);
        text += '\n';
    }
    return text + crc_line(text);
}

Result<TextFile> decode_text_file(std::string_view content, std::string_view kind, unsigned version_max) {
    if (content.size() > kTextFileBytesMax) {
        return make_error(ErrorCode::kTooLarge, "decode", "", "the " + std::string(kind) + " file is too large");
    }
    if (content.size() < kCrcLineBytes) {
        return damaged(kind, "is cut short");
    }
    const std::string_view body = content.substr(0, content.size() - kCrcLineBytes);
    if (content.substr(body.size()) != crc_line(body)) {
        return damaged(kind, "does not match its checksum: it was damaged, or edited by hand");
    }
    if (!body.ends_with('\n')) {
        return damaged(kind, "has no line of its own for its checksum");
    }
    const std::vector<std::string_view> lines = split_lines(body);
    const std::optional<unsigned> version = parse_first_line(lines.front(), kind);
    if (!version) {
        return damaged(kind, "does not begin with what it is and its version");
    }
    if (*version > version_max) {
        return make_error(ErrorCode::kNewerFormat, "decode", "",
                          "the " + std::string(kind) + " file has version " + std::to_string(*version) +
                              ", and this topicfs knows up to " + std::to_string(version_max));
    }
    TextFile file{std::string(kind), *version, {}};
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const std::size_t assign = lines[i].find(kAssign);
        if (assign == std::string_view::npos || !is_key(lines[i].substr(0, assign))) {
            return damaged(kind, "has a line that is no 'key = value'");
        }
        std::optional<std::string> value = unescape(lines[i].substr(assign + kAssign.size()));
        if (!value) {
            return damaged(kind, "has a value with an unknown escape");
        }
        if (!file.values.emplace(lines[i].substr(0, assign), std::move(*value)).second) {
            return damaged(kind, "has a key twice");
        }
    }
    return file;
}

}  // namespace topicfs
