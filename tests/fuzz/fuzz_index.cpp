// The header and the entries of an index. What decodes must come back when it is encoded again.
#include "format/index_entry.h"
#include "fuzz/fuzz_input.h"

#include <algorithm>

using namespace topicfs;

namespace {

void try_header(std::vector<std::byte> bytes, bool fix) {
    if (fix && bytes.size() >= kIndexHeaderBytes) {
        const auto good = encode_index_header({});
        std::copy_n(good.begin(), 12, bytes.begin());  // magic and version
        fuzz::fix_crc(std::span(bytes).first(kIndexHeaderBytes), 4);
    }
    const Result<IndexHeader> header = decode_index_header(bytes);
    if (header.has_value()) {
        fuzz::require(header->segment_base.value <= kPositionMax, "the base is bounded");
        fuzz::require(decode_index_header(encode_index_header(*header)).value() == *header, "encoding gives it back");
    }
}

void try_entry(std::vector<std::byte> bytes, bool fix) {
    if (fix && bytes.size() >= kIndexEntryBytes) {
        fuzz::fix_crc(std::span(bytes).first(kIndexEntryBytes), 0);
    }
    const Result<IndexEntry> entry = decode_index_entry(bytes);
    if (entry.has_value()) {
        fuzz::require(entry->end_position().value <= kPositionMax, "positions are bounded");
        fuzz::require(entry->end_offset().value <= kPositionMax, "offsets are bounded");
        fuzz::require(entry->file_end() <= kPositionMax, "file offsets are bounded");
        fuzz::require(decode_index_entry(encode_index_entry(*entry)).value() == *entry, "encoding gives it back");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::uint8_t choice = input.take_byte();
    const bool fix = (choice & 1) != 0;
    if ((choice & 2) != 0) {
        try_header(input.take_rest(), fix);
    } else {
        try_entry(input.take_rest(), fix);
    }
    return 0;
}
