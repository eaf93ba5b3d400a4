// One run of recover_partition(): its steps are in recovery.cpp, those that scan segments in recovery_scan.cpp.
//
// Inside log/ only. One thread.
#pragma once

#include "log/recovery.h"
#include "log/segment_scan.h"

#include <string>
#include <vector>

namespace topicfs {

class Recovery {
public:
    Recovery(FileSystem& fs, const std::string& directory, const RecoveryOptions& options)
        : fs_(fs), directory_(directory), options_(options) {}

    Result<Recovered> run();

private:
    Result<void> list_files();
    Result<void> open_head();
    Result<void> load_point();
    Result<RecoveryPoint> point_without_file();
    Result<bool> head_holds_all();
    Result<void> keep_to_point();
    Result<void> scan_segments();
    Result<bool> scan_one(std::size_t number, std::uint64_t from);
    Result<bool> pass_damage(const File& file, const SegmentScan& scan, SegmentScanOptions& next);
    Result<void> begin_at_segment(std::size_t number);
    void take_batch(const BatchHeader& header);
    Result<bool> head_has(Position position) const;
    Result<void> pass_hole();
    Result<void> cut_at(std::size_t number, std::uint64_t file_offset);
    Result<void> drop_segments_from(std::size_t number);
    Result<void> settle_head();
    Result<void> store_decision();
    Result<void> remove_other_heads();
    void remove_lone_indexes();
    void note_damage(Position from, Position to, const std::string& reason);
    std::string path(const std::string& name) const { return directory_ + "/" + name; }

    FileSystem& fs_;
    const std::string& directory_;
    const RecoveryOptions& options_;
    struct Listed {
        Position base;
        Codec codec;
        std::uint64_t bytes;
        std::uint64_t disk_bytes;
    };
    std::vector<Listed> listed_;
    std::vector<Position> heads_;
    std::vector<Position> times_;
    std::vector<Position> indexes_;
    Recovered out_;
    Position sealed_end_;
    Offset sealed_end_offset_;
    Position head_end_;
    bool scanned_ = false;
    Position scanned_from_;  // base of the first segment that was scanned
};

}  // namespace topicfs
