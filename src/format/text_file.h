// The small text files of a store (`store`, `state`, `topic`): a first line "topicfs-KIND VERSION", then "key = value"
// lines, then "crc32c = XXXXXXXX" over all before it. Layout in FORMAT.md, "Text files".
//
// Values are one line each: backslash, newline and other control characters are escaped as \\, \n, \xNN. Keys are
// [a-z0-9._-]+.
#pragma once

#include <topicfs/result.h>

#include <map>
#include <string>
#include <string_view>

namespace topicfs {

struct TextFile {
    std::string kind;
    unsigned version = 1;
    std::map<std::string, std::string> values;
    friend bool operator==(const TextFile&, const TextFile&) = default;
};

inline constexpr std::size_t kTextFileBytesMax = 16u << 20;

std::string encode_text_file(const TextFile& file);

// kDamaged where the CRC, the kind or the form is wrong; kNewerFormat where the version is above `version_max` and the
// file is otherwise whole.
Result<TextFile> decode_text_file(std::string_view content, std::string_view kind, unsigned version_max);

}  // namespace topicfs
