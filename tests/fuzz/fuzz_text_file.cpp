// A text file. What decodes must come back when it is encoded again.
#include "format/text_file.h"
#include "fuzz/fuzz_input.h"

#include <cstdio>
#include <string>

using namespace topicfs;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::uint8_t choice = input.take_byte();
    const std::vector<std::byte> rest = input.take_rest();
    std::string content(reinterpret_cast<const char*>(rest.data()), rest.size());
    if ((choice & 1) != 0) {
        content = "topicfs-topic 1\n" + content + "\n";
    }
    if ((choice & 2) != 0) {
        char line[32];
        std::snprintf(line, sizeof line, "crc32c = %08x\n", crc32c(std::as_bytes(std::span(content))));
        content += line;
    }
    const Result<TextFile> file = decode_text_file(content, "topic", 1);
    if (file.has_value()) {
        fuzz::require(decode_text_file(encode_text_file(*file), "topic", 1).value() == *file, "encoding gives it back");
    }
    return 0;
}
