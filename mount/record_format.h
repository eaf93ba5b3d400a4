// Records as text, with where they come from: by a format as in printf, or as JSON.
//
// Values; any thread.
#pragma once

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

struct RecordPlace {
    std::string_view topic;
    std::uint32_t partition = 0;
    Offset offset;
    std::optional<TimestampMs> time;  // nothing where nobody knows
};

// The letters are those of kcat's format (its manual page), as far as we have what they stand for; %d is ours.
class RecordFormat {
public:
    // %s the record without its delimiter, %S its bytes, %t topic, %p partition, %o offset, %T Unix milliseconds (-1
    // where the time is not known), %d the same as local time (empty then), %%; \n \r \t \0 \\ and \xHH. kInvalid for
    // anything else behind % or \.
    static Result<RecordFormat> parse(std::string_view text);

    // Adds `record`, which is without its delimiter. Nothing is added behind it.
    void add(std::string& out, const RecordPlace& place, std::string_view record) const;

private:
    struct Piece {
        char letter = 0;  // 0: `text`
        std::string text;
    };
    std::vector<Piece> pieces_;
};

// Why a record was given up, by whom, and how often it was tried.
struct RecordFailure {
    std::string_view group;
    std::string_view reason;
    std::uint64_t attempts = 0;
};

// {"topic":"orders","partition":0,"offset":12,"time":"2026-11-21T14:00:00.000+01:00","timestamp":1763730000000,
// "record":"..."} and a newline. A record that is no UTF-8 is "record_base64" instead; where the time is not known it
// is null, as is the timestamp. With a failure "group", "reason" and "attempts" stand before the record.
void add_as_json(std::string& out, const RecordPlace& place, std::string_view record,
                 const RecordFailure* failure = nullptr);

}  // namespace topicfs
