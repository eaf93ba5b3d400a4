// Appends records to a topic with the engine alone, no mount, and reads them back: all of them, and one by its offset.
//
//     append_and_read [DIRECTORY]      the store's directory; without it a temporary one, removed afterwards
#include <topicfs/store.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <span>
#include <string>
#include <vector>

namespace {

int report(const topicfs::Error& error) {
    std::cerr << error.message() << '\n';
    return 2;
}

int append_and_read(const std::string& directory) {
    auto store = topicfs::open_store(directory);
    if (!store) {
        return report(store.error());
    }
    auto topic = (*store)->topic("orders");
    if (!topic) {
        topic = (*store)->create_topic("orders");
    }
    if (!topic) {
        return report(topic.error());
    }
    auto partition = (*topic)->partition(0);
    if (!partition) {
        return report(partition.error());
    }
    for (int id = 1; id <= 5; ++id) {
        const std::string record = "order " + std::to_string(id) + "\n";
        const auto appended = (*partition)->append(std::as_bytes(std::span(record)));
        if (!appended) {
            return report(appended.error());
        }
    }
    // What was appended outlives this process; with sync() it outlives a power cut as well.
    if (const auto synced = (*partition)->sync(); !synced) {
        return report(synced.error());
    }

    std::vector<std::byte> bytes(1 << 16);
    const auto third = (*partition)->find_offset(topicfs::Offset{2});
    const auto end = (*partition)->status();
    if (!third || !end) {
        return report(third ? end.error() : third.error());
    }
    const auto got = (*partition)->read(third->position, bytes);
    if (!got) {
        return report(got.error());
    }
    const std::string text(reinterpret_cast<const char*>(bytes.data()), *got);
    std::cout << end->end_offset.value << " records, the third is: " << text.substr(0, text.find('\n')) << '\n';
    if (const auto closed = (*store)->close(); !closed) {
        return report(closed.error());
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1) {
        return append_and_read(argv[1]);
    }
    std::string directory = (std::filesystem::temp_directory_path() / "topicfs-example-XXXXXX").string();
    if (mkdtemp(directory.data()) == nullptr) {
        std::cerr << "cannot make a temporary directory\n";
        return 2;
    }
    const int code = append_and_read(directory);
    std::filesystem::remove_all(directory);
    return code;
}
